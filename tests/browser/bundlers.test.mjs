// The package installed from its tarball in apps that nobody has configured for
// it: without a bundler, with Vite, esbuild and webpack, under a strict policy.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import webpack from "webpack";
import { Firefox } from "./firefox/harness.mjs";
import { launch, Watched } from "./kit/browser.mjs";
import { bin, Workshop } from "./kit/package.mjs";
import { serveSite } from "./kit/site.mjs";

const run = promisify(execFile);

describe("an app without configuration", { timeout: 180_000 }, () => {
  let workshop, browser;

  before(async () => {
    workshop = new Workshop();
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    workshop?.remove();
  });

  /** Opens an app in Chromium and has it talk in both threads, resume, and start the second program. */
  async function talks(name, url) {
    const context = await browser.createBrowserContext();
    const watched = await Watched.open(context, name);
    const { page } = watched;
    try {
      await page.goto(url);
      await watched.until("the app has started", () => "app" in globalThis);
      for (const thread of [undefined, "current"]) {
        const result = await page.evaluate((options) => globalThis.app.talk(options.thread ?? "default", options), { thread });
        assert.deepEqual(result, ["hello", "alice", "hello yourself", "bob"]);
      }
      assert.equal(await page.evaluate(() => typeof globalThis.MLSGroupView), "function", "the polyfill is not in the bundle");
      await page.reload();
      await watched.until("the app has started again", () => "app" in globalThis);
      assert.deepEqual(await page.evaluate(() => globalThis.app.resume("default")), ["on we go", "2"]);
      for (const thread of [undefined, "current"]) {
        assert.equal(await page.evaluate((options) => globalThis.app.x509(options), { thread }), "INVALID_ARGUMENT");
      }
      assert.deepEqual(watched.faults, []);
    } catch (error) {
      await watched.save(name);
      throw error;
    } finally {
      await context.close();
    }
  }

  /** The page of an app whose script has been built. */
  const pageFor = (script) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>app</title><link rel="icon" href="data:,">${script}`;

  async function served(folder, use) {
    const site = await serveSite(folder);
    try {
      await use(site.url);
    } finally {
      await site.stop();
    }
  }

  test("Vite builds it", async () => {
    const app = workshop.app("vite-build", "vite");
    await run(process.execPath, [bin("vite"), "build"], { cwd: app });
    await served(join(app, "dist"), (url) => talks("vite-build", url));
  });

  test("the example of the package's README runs in a fresh Vite app", async () => {
    const app = workshop.app("readme", "vite");
    const [, example] = /^```js\n(.*?)^```$/ms.exec(readFileSync(join(app, "node_modules/webmls/README.md"), "utf8"));
    writeFileSync(join(app, "src/main.js"), example);
    await run(process.execPath, [bin("vite"), "build"], { cwd: app });
    await served(join(app, "dist"), async (url) => {
      const watched = await Watched.open(await browser.createBrowserContext(), "readme");
      const printed = new Promise((resolve) => watched.page.once("console", (message) => resolve(message.text())));
      await watched.page.goto(url);
      assert.equal(await printed, /console\.log\(.*\); \/\/ (.*)$/m.exec(example)[1]);
      assert.deepEqual(watched.faults, []);
      await watched.page.browserContext().close();
    });
  });

  test("Vite serves it in development", async () => {
    const app = workshop.app("vite-dev", "vite");
    const vite = spawn(process.execPath, [bin("vite"), "--host", "127.0.0.1", "--port", "0"], { cwd: app, env: { ...process.env, NO_COLOR: "1" } });
    try {
      const url = await new Promise((resolve, reject) => {
        let printed = "";
        const read = (chunk) => {
          printed += chunk;
          const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(printed);
          if (found) resolve(found[0]);
        };
        vite.stdout.on("data", read);
        vite.stderr.on("data", read);
        vite.on("exit", () => reject(new Error(`vite ended: ${printed}`)));
      });
      await talks("vite-dev", url);
    } finally {
      vite.kill();
    }
  });

  // esbuild does not follow new URL(..., import.meta.url): the worker and the programs are named to it.
  test("esbuild builds it", async () => {
    const app = workshop.app("esbuild");
    const files = ["webmls/worker.js", "webmls/webmls.wasm", "webmls/x509-worker.js", "webmls/x509.wasm"];
    await run(bin("esbuild"), ["src/main.js", ...files, "--bundle", "--format=esm", "--loader:.wasm=copy", "--entry-names=[name]", "--outdir=dist"], { cwd: app });
    writeFileSync(join(app, "dist/index.html"), pageFor('<script type="module" src="main.js"></script>'));
    await served(join(app, "dist"), (url) => talks("esbuild", url));
  });

  test("esbuild builds it as a script that is no module", async () => {
    const app = workshop.app("esbuild-script");
    const files = ["webmls/worker.js", "webmls/webmls.wasm", "webmls/x509-worker.js", "webmls/x509.wasm"];
    await run(bin("esbuild"), ["src/main.js", ...files, "--bundle", "--log-level=error", "--loader:.wasm=copy", "--entry-names=[name]", "--outdir=dist"], { cwd: app });
    writeFileSync(join(app, "dist/index.html"), pageFor('<script src="main.js"></script>'));
    await served(join(app, "dist"), (url) => talks("esbuild-script", url));
  });

  test("webpack builds it", async () => {
    const app = workshop.app("webpack");
    const stats = await promisify(webpack)({ context: app, entry: "./src/main.js", mode: "production", output: { path: join(app, "dist") } });
    assert.deepEqual(stats.toJson().errors, []);
    writeFileSync(join(app, "dist/index.html"), pageFor('<script defer src="main.js"></script>'));
    await served(join(app, "dist"), (url) => talks("webpack", url));
  });

  test("it is loaded without a bundler", async () => {
    const app = workshop.app("bare");
    const site = join(app, "site");
    mkdirSync(site);
    cpSync(join(app, "node_modules/webmls/dist"), join(site, "webmls"), { recursive: true });
    for (const file of ["main.js", "talk.js"]) {
      const script = readFileSync(join(app, "src", file), "utf8");
      writeFileSync(join(site, file), script.replace(/"webmls(?:\/(\w+))?"/g, (_, entry = "index") => `"./webmls/${entry}.js"`));
    }
    writeFileSync(join(site, "index.html"), pageFor('<script type="module" src="main.js"></script>'));
    await served(site, async (url) => {
      await talks("bare", url);
      await firefoxTalks(url);
    });
  });

  async function firefoxTalks(url) {
    const firefox = await Firefox.start();
    try {
      await firefox.page.goto(url);
      await firefox.page.waitForFunction(() => "app" in globalThis);
      for (const thread of [undefined, "current"]) {
        const result = await firefox.page.evaluate((options) => globalThis.app.talk(options.thread ?? "default", options), { thread });
        assert.deepEqual(result, ["hello", "alice", "hello yourself", "bob"]);
      }
      assert.deepEqual(firefox.faults, []);
    } finally {
      await firefox.stop();
    }
  }
});
