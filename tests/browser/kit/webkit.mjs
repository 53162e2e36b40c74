// WebKitGTK by its WebDriver, on a screen that nobody sees.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What of the programs that this needs is missing, or undefined. */
export function missing() {
  const programs = ["WebKitWebDriver", "Xvfb"].filter((name) => !inPath(name));
  if (!miniBrowser()) programs.push("MiniBrowser");
  return programs.length > 0 ? programs.join(", ") : undefined;
}

function inPath(name) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => executable(join(folder, name)));
}

function executable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The browser that the driver comes with: Debian keeps it beside the library. */
function miniBrowser() {
  for (const parent of ["/usr/lib", "/usr/libexec", "/usr/lib64"]) {
    for (const folder of ["", ...entries(parent)]) {
      for (const library of entries(join(parent, folder)).filter((name) => /^webkit2?gtk-/.test(name))) {
        const file = join(parent, folder, library, "MiniBrowser");
        if (executable(file)) return file;
      }
    }
  }
  return undefined;
}

function entries(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** A browser with one page. */
export class WebKit {
  #home = mkdtempSync(join(tmpdir(), "webmls-webkit-"));
  #programs = [];
  #session;
  version;

  static async start() {
    const webkit = new WebKit();
    try {
      const display = await webkit.#display();
      const port = await freePort();
      webkit.#run("WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], { DISPLAY: `:${display}` });
      const driver = `http://127.0.0.1:${port}/session`;
      const options = { binary: miniBrowser(), args: ["--automation"] };
      const { sessionId, capabilities } = await webkit.#ask(driver, { capabilities: { alwaysMatch: { "webkitgtk:browserOptions": options } } }, 50);
      webkit.#session = `${driver}/${sessionId}`;
      webkit.version = `${capabilities.browserName} ${capabilities.browserVersion}`;
      await webkit.#ask(`${webkit.#session}/timeouts`, { script: 30_000, pageLoad: 30_000 });
    } catch (error) {
      await webkit.stop();
      throw error;
    }
    return webkit;
  }

  goto(url) {
    return this.#ask(`${this.#session}/url`, { url });
  }

  reload() {
    return this.#ask(`${this.#session}/refresh`, {});
  }

  /** Calls a function in the page, and rejects with what it throws there. */
  async evaluate(f, ...args) {
    const script = `
      const done = arguments[arguments.length - 1];
      (async () => (${f})(...[...arguments].slice(0, -1)))().then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const { value, error } = await this.#ask(`${this.#session}/execute/async`, { script, args });
    if (error !== undefined) throw new Error(error);
    return value;
  }

  async stop() {
    if (this.#session) await fetch(this.#session, { method: "DELETE" }).catch(() => {});
    for (const program of this.#programs.reverse()) {
      if (program.exitCode !== null || program.signalCode !== null) continue;
      const ended = once(program, "exit");
      program.kill();
      await Promise.race([ended, sleep(3_000)]);
    }
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Starts a screen, and returns its number. */
  async #display() {
    const screen = this.#run("Xvfb", ["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"]);
    return new Promise((resolve, reject) => {
      let printed = "";
      screen.stdout.on("data", (chunk) => {
        printed += chunk;
        if (printed.includes("\n")) resolve(printed.trim());
      });
      screen.once("exit", (code) => reject(new Error(`Xvfb ended with exit code ${code}`)));
      screen.once("error", reject);
    });
  }

  #run(name, args, environment = {}) {
    // Nothing of a desktop, nor of a graphics card: neither need be there.
    const none = { HOME: this.#home, XDG_RUNTIME_DIR: this.#home, GDK_BACKEND: "x11", LIBGL_ALWAYS_SOFTWARE: "1", WEBKIT_DISABLE_DMABUF_RENDERER: "1", NO_AT_BRIDGE: "1" };
    const program = spawn(name, args, { env: { ...process.env, ...none, ...environment }, stdio: ["ignore", "pipe", "ignore"] });
    this.#programs.push(program);
    return program;
  }

  async #ask(url, body, tries = 1) {
    for (;;) {
      try {
        const response = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
        const { value } = await response.json();
        if (!response.ok) throw new Error(`WebDriver: ${value.error}: ${value.message}`);
        return value;
      } catch (error) {
        if (--tries <= 0 || error.cause?.code !== "ECONNREFUSED") throw error;
        await sleep(100); // it has just been started
      }
    }
  }
}

/** A port that was free a moment ago. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
