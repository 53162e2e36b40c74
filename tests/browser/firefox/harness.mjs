// Headless Firefox with its MLS Web API, a server of files for it, and a record
// of all that went wrong in the page.
import { createServer } from "node:http";
import { accessSync, constants, existsSync, mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

const here = fileURLToPath(new URL(".", import.meta.url));
const folders = { "/webmls/": join(here, "../../../js/dist"), "/firefox/": here };
const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".map": "application/json" };
const page = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Firefox</title><link rel="icon" href="data:,">';
const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:";

/** The interface of Firefox is behind these, and offered to secure contexts: https and 127.0.0.1. */
const preferences = { "security.mls.enabled": true, "dom.origin-trials.mls.state": 1 };

/** Firefox with one page. */
export class Firefox {
  /** What went wrong in the page: errors and warnings on its console, and exceptions. */
  faults = [];

  /** Starts it, with the MLS Web API or without. */
  static async start({ native = true } = {}) {
    if (!existsSync(join(folders["/webmls/"], "webmls.wasm"))) throw new Error("js/dist is not built: run make build-js");
    const firefox = new Firefox();
    try {
      firefox.server = await serve();
      firefox.profile = mkdtempSync(join(tmpdir(), "webmls-firefox-"));
      firefox.browser = await puppeteer.launch({
        browser: "firefox",
        executablePath: program(),
        headless: true,
        userDataDir: firefox.profile,
        extraPrefsFirefox: native ? preferences : {},
        timeout: 30_000,
      });
      firefox.version = await firefox.browser.version();
      firefox.page = await firefox.browser.newPage();
      firefox.page.on("console", (message) => {
        if (["error", "warn", "assert"].includes(message.type())) firefox.faults.push(`console ${message.type()}: ${message.text()}`);
      });
      firefox.page.on("pageerror", (error) => firefox.faults.push(`uncaught: ${error.stack ?? error}`));
      await firefox.open();
    } catch (error) {
      await firefox.stop();
      throw error;
    }
    return firefox;
  }

  /** Goes to the page. On a busy machine a new tab's own first page may come in between. */
  async open() {
    const url = `http://127.0.0.1:${this.server.address().port}/`;
    do await this.page.goto(url);
    while ((await this.page.evaluate(() => location.href)) !== url);
  }

  /** Runs a function of scenarios.mjs in the page, and rejects with what it throws there. */
  async run(name, ...args) {
    if (!this.browser.connected) throw new Error("Firefox has crashed before");
    const inPage = async (name, args) => {
      try {
        const scenarios = await import("/firefox/scenarios.mjs");
        return { value: await scenarios[name](...args) };
      } catch (error) {
        return { error: `${error.name}: ${error.message}\n${error.stack}` }; // the name is all that Firefox's own errors have
      }
    };
    const { value, error } = await this.page.evaluate(inPage, name, args).catch((error) => {
      throw this.browser.connected ? error : new Error("Firefox has crashed", { cause: error });
    });
    if (error !== undefined) throw new Error(error);
    return value;
  }

  reload() {
    return this.page.reload();
  }

  /** Ends Firefox, by force when it does not want to, and removes its profile. */
  async stop() {
    const program = this.browser?.process();
    const force = setTimeout(() => program?.kill("SIGKILL"), 5_000);
    await this.browser?.close().catch(() => program?.kill("SIGKILL"));
    clearTimeout(force);
    this.server?.close();
    this.server?.closeAllConnections();
    if (this.profile) rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** FIREFOX, or the first Firefox in the PATH. */
function program() {
  if (process.env.FIREFOX) return process.env.FIREFOX;
  for (const name of ["firefox-esr", "firefox"]) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // not here
      }
    }
  }
  throw new Error("Firefox is missing: install firefox-esr, or set FIREFOX");
}

/** Serves the bare page, the package and the scenarios on a free port, under the policy of the delivery service. */
async function serve() {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    response.setHeader("Content-Security-Policy", policy);
    response.setHeader("X-Content-Type-Options", "nosniff");
    const prefix = Object.keys(folders).find((p) => path.startsWith(p));
    try {
      const content = path === "/" ? page : await readFile(join(folders[prefix], path.slice(prefix.length)));
      response.setHeader("Content-Type", path === "/" ? "text/html" : (types[extname(path)] ?? "application/octet-stream"));
      response.end(content);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
