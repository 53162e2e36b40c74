// Headless Chromium, and pages that keep a record of all that went wrong in them.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import puppeteer from "puppeteer-core";
import { artifacts } from "./paths.mjs";

const patience = 20_000;

/** A browser's program: the one that the environment gives, a path or a name, or the first of its usual names. */
function program(given, usual) {
  const names = given ? [given] : usual;
  const folders = ["", ...(process.env.PATH ?? "").split(delimiter)];
  for (const name of names) {
    const path = folders.map((folder) => join(folder, name)).find((file) => file.includes("/") && existsSync(file));
    if (path) return path;
  }
  throw new Error(`no browser: ${names.join(", ")} not found`);
}

/** Starts a browser; `more` are options of puppeteer. */
export async function launch({ args = [], ...more } = {}) {
  return puppeteer.launch({
    executablePath: program(process.env.CHROMIUM, ["chromium", "chromium-browser", "google-chrome"]),
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
      ...args,
    ],
    defaultViewport: { width: 1280, height: 800 },
    ...more,
  });
}

/** Attaches to a browser that was started and then left by itself, with disconnect. */
export async function attach(endpoint) {
  return puppeteer.connect({ browserWSEndpoint: endpoint });
}

/** Starts Firefox; `more` are options of puppeteer. */
export async function launchFirefox(more = {}) {
  return puppeteer.launch({
    browser: "firefox",
    executablePath: program(process.env.FIREFOX, ["firefox-esr", "firefox"]),
    headless: true,
    defaultViewport: { width: 1280, height: 800 },
    ...more,
  });
}

/** A page and its record. */
export class Watched {
  /** Opens a page in a browser context. */
  static async open(context, label) {
    const watched = new Watched();
    watched.label = label;
    watched.console = [];
    watched.faults = [];
    watched.page = await context.newPage();
    const fault = (text) => {
      watched.faults.push(text);
      watched.console.push(`FAULT ${text}`);
    };
    watched.page.on("console", (message) => {
      const text = `${message.type()}: ${message.text()} (${message.location()?.url ?? ""})`;
      if (message.type() === "error") fault(`console ${text}`);
      else watched.console.push(text);
    });
    watched.page.on("pageerror", (error) => fault(`uncaught ${error.stack ?? error}`));
    watched.page.on("error", (error) => fault(`crashed ${error}`));
    await watched.page.exposeFunction("reportViolation", (text) => fault(`policy ${text}`));
    await watched.page.evaluateOnNewDocument(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        globalThis.reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
    });
    return watched;
  }

  /** Asks the page until the answer is true, or anything but false and undefined, and returns it. */
  async until(what, question, ...args) {
    const deadline = Date.now() + patience;
    for (;;) {
      const answer = await this.page.evaluate(question, ...args).catch((error) => {
        if (!/context was destroyed|Cannot find context|detached/i.test(String(error))) throw error;
      });
      if (answer !== false && answer !== undefined && answer !== null) return answer;
      if (Date.now() > deadline) throw new Error(`${this.label}: waited in vain until ${what}`);
      await sleep(40);
    }
  }

  /** Writes a picture and the console into the artifacts folder. */
  async save(name) {
    mkdirSync(artifacts, { recursive: true });
    const base = join(artifacts, `${name}-${this.label}`.replace(/[^\w.-]+/g, "-"));
    writeFileSync(`${base}.log`, this.console.join("\n"));
    await this.page.screenshot({ path: `${base}.png` }).catch(() => {});
  }
}
