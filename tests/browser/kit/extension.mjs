// The extension in a browser: built, given leave to work on the sites of the tests (which the
// user gives by a dialogue that no test can press), and used as hands do, or asked
// as its popup asks.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { launch } from "./browser.mjs";
import { artifacts, built, root } from "./paths.mjs";

const patience = 30_000;

/** Asks until the answer is neither false nor nothing. */
export async function until(what, question, time = patience) {
  const deadline = Date.now() + time;
  for (;;) {
    const answer = await question();
    if (answer !== false && answer !== undefined && answer !== null) return answer;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(50);
  }
}

/** Whether a frame answers: puppeteer holds each new frame of another process until it has seen it, and now and then forgets to let it go. */
export function answers(frame) {
  return Promise.race([frame.evaluate(() => true).catch(() => false), sleep(2000, false)]);
}

/** The popup's own way of asking, as a script that defines `asking`. */
async function askingScript() {
  const { build } = createRequire(join(root, "web/extension/package.json"))("esbuild");
  const options = { entryPoints: [join(root, "web/extension/src/ask.ts")], bundle: true, format: "iife", globalName: "asking", write: false };
  const script = (await build(options)).outputFiles[0].text;
  return `${script}; globalThis.asking = asking;`;
}

/** A browser with a profile of its own. */
export async function browserWithExtensions() {
  return launch({ enableExtensions: true, pipe: true });
}

export class Extension {
  /** What went wrong in the worker and in the pages of the extension. */
  faults = [];

  /** Lays out the extension and installs it; `hosts` are the sites that need no dialogue. */
  static async install(browser, name, hosts = ["http://127.0.0.1/*"]) {
    const extension = new Extension();
    extension.browser = browser;
    extension.name = name;
    extension.folder = mkdtempSync(join(tmpdir(), "webmls-extension-"));
    cpSync(built("web/extension/dist"), extension.folder, { recursive: true });
    const manifest = JSON.parse(readFileSync(join(extension.folder, "manifest.json"), "utf8"));
    if (hosts.length > 0) manifest.host_permissions = hosts;
    writeFileSync(join(extension.folder, "manifest.json"), JSON.stringify(manifest));
    extension.id = await browser.installExtension(extension.folder);
    await extension.worker();
    extension.page = await browser.newPage();
    extension.watch(extension.page);
    await extension.page.evaluateOnNewDocument(await askingScript());
    await extension.page.goto(`chrome-extension://${extension.id}/popup.html`);
    await extension.page.waitForSelector("#name, [role=tab]");
    return extension;
  }

  watch(page) {
    page.on("console", (message) => message.type() === "error" && this.faults.push(`console ${message.text()}`));
    page.on("pageerror", (error) => this.faults.push(`uncaught ${error.stack ?? error}`));
  }

  /** The service worker, once it runs. */
  async worker() {
    const target = await this.browser.waitForTarget((one) => one.type() === "service_worker" && one.url() === `chrome-extension://${this.id}/worker.js`);
    return target.worker();
  }

  /** Stops the service worker, as the browser does when it likes. Says whether there was one. */
  async stop() {
    const target = this.browser.targets().find((one) => one.type() === "service_worker" && one.url() === `chrome-extension://${this.id}/worker.js`);
    if (!target) return false;
    try {
      await (await target.worker())?.close();
      return true;
    } catch {
      return false; // it ended by itself
    }
  }

  /** Asks the worker, as the popup does. */
  ask(request) {
    return this.page.evaluate((given) => globalThis.asking.ask(given), request);
  }

  /** Has something done, as the popup does. */
  operate(what) {
    return this.page.evaluate((given) => globalThis.asking.operate(given), what);
  }

  state() {
    return this.ask({ type: "state" });
  }

  async group(name) {
    return (await this.state()).groups.find((group) => group.name === name);
  }

  paste(text) {
    return this.ask({ type: "paste", text });
  }

  /** Opens the popup over a page, as a click on the icon in the toolbar does. */
  async popupOver(page) {
    await page.bringToFront();
    const known = new Set(this.browser.targets());
    const installed = (await this.browser.extensions()).get(this.id);
    await installed.triggerAction(page);
    const target = await this.browser.waitForTarget((one) => !known.has(one) && one.url() === `chrome-extension://${this.id}/popup.html`);
    const popup = await target.asPage();
    this.watch(popup);
    await popup.waitForSelector(".site");
    return popup;
  }

  /** The frames of the extension in a page, with what they show; null where one does not answer. */
  async #frames(page) {
    const frames = page.frames().filter((frame) => frame.url().startsWith(`chrome-extension://${this.id}/reader.html`));
    const text = (frame) => frame.evaluate(() => document.querySelector(".message[data-state]")?.innerText).catch(() => undefined);
    return Promise.all(frames.map((frame) => Promise.race([text(frame), sleep(2000, null)])));
  }

  /** What the frames of the extension in a page show. */
  async shownIn(page) {
    return (await this.#frames(page)).filter((text) => typeof text === "string").map((text) => text.replace(/\s+/g, " ").trim());
  }

  /** Waits until a frame in a page shows a text. */
  async shows(page, text) {
    let shown = [];
    const found = async () => {
      await page.evaluate(() => scrollTo(0, document.body.scrollHeight)); // what is far away is not loaded
      const frames = await this.#frames(page);
      shown = frames.map((one) => one?.replace(/\s+/g, " ").trim());
      if (shown.some((one) => one?.includes(text))) return true;
      if (frames.includes(null)) await page.reload(); // see answers()
      return false;
    };
    await until(`${this.name} is shown “${text}”`, found).catch(async (error) => {
      const marks = await page.evaluate(() => [...document.querySelectorAll("webmls-frame")].map((e) => `${e.getAttribute("state")} at ${e.getBoundingClientRect().y}`));
      throw new Error(`${error.message}, but only ${JSON.stringify({ shown, marks })}`);
    });
  }

  /** Writes a draft into the field of a page, and opens the frame in which it goes on. */
  async composing(page, draft) {
    for (let tries = 1; ; tries++) {
      await page.$eval("#field", (e) => (e.value = ""));
      await page.type("#field", draft);
      const { x, y, width } = await page.$eval("#field", (e) => e.getBoundingClientRect().toJSON());
      await page.mouse.click(x + width - 20, y + 18);
      const frame = await until("the composing frame is there", () => page.frames().find((one) => one.url().startsWith(`chrome-extension://${this.id}/compose.html`)));
      if ((await answers(frame)) || tries === 3) return frame;
      await page.reload();
    }
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Keeps a picture for a person to look at; of a page that is not in front the browser may make none. */
export async function picture(page, name) {
  mkdirSync(artifacts, { recursive: true });
  const made = page.screenshot({ path: join(artifacts, `extension-${name}.png`) }).catch(() => {});
  await Promise.race([made, sleep(3000)]);
}
