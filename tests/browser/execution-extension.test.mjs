// webmls in an extension (Manifest V3) that nobody has configured for it: in a
// page, where it works in a worker, and in the service worker, where there is
// none and where nothing can be imported later on. Once as the package is, once
// bundled into scripts that are no modules.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { launch, Watched } from "./kit/browser.mjs";
import { built } from "./kit/paths.mjs";

const fixtures = fileURLToPath(new URL("fixtures", import.meta.url));

/** Lays out the extension as it stands. */
function asModules(folder) {
  cpSync(join(fixtures, "extension"), folder, { recursive: true });
  cpSync(join(fixtures, "app/src/talk.js"), join(folder, "talk.js"));
  cpSync(built("js/dist"), join(folder, "webmls"), { recursive: true });
}

/** Bundles it: only the files that webmls looks for beside a bundle are left. */
async function asScripts(folder) {
  const sources = mkdtempSync(join(tmpdir(), "webmls-extension-"));
  try {
    asModules(sources);
    const entryPoints = ["popup.js", "service-worker.js", "webmls/worker.js"].map((file) => join(sources, file));
    // That there is no import.meta in a script, esbuild warns of.
    await build({ entryPoints, outdir: folder, entryNames: "[name]", bundle: true, format: "iife", logLevel: "error" });
    const manifest = JSON.parse(readFileSync(join(sources, "manifest.json"), "utf8"));
    delete manifest.background.type;
    writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
    cpSync(join(sources, "popup.html"), join(folder, "popup.html"));
    cpSync(join(sources, "webmls/webmls.wasm"), join(folder, "webmls.wasm"));
  } finally {
    rmSync(sources, { recursive: true, force: true });
  }
}

for (const [how, layOut] of [["of modules", asModules], ["of bundled scripts", asScripts]]) {
  describe(`an extension ${how}`, { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "webmls-extension-"));
    let browser, watched, page, id;

    before(async () => {
      await layOut(folder);
      browser = await launch({ enableExtensions: true, pipe: true });
      id = await browser.installExtension(folder);
      watched = await Watched.open(browser.defaultBrowserContext(), "popup");
      page = watched.page;
      await page.goto(`chrome-extension://${id}/popup.html`);
      await watched.until("the popup has started", () => "app" in globalThis);
    });

    after(async () => {
      await browser?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const serviceWorker = () => browser.waitForTarget((target) => target.type() === "service_worker" && target.url().includes(id));

    test("talks in its page", async () => {
      assert.deepEqual(await page.evaluate(() => globalThis.app.talk("page")), ["hello", "alice", "hello yourself", "bob"]);
      assert.deepEqual(watched.faults, []);
    });

    test("talks in its service worker, and goes on after the browser has ended that", async () => {
      assert.deepEqual(await page.evaluate(() => globalThis.app.there("talk", "service worker")), ["hello", "alice", "hello yourself", "bob"]);
      const before = await serviceWorker();
      const gone = new Promise((resolve) => browser.on("targetdestroyed", (target) => target === before && resolve()));
      await (await before.worker()).close();
      await gone;
      assert.deepEqual(await page.evaluate(() => globalThis.app.there("resume", "service worker")), ["on we go", "2"]);
      assert.notEqual(await serviceWorker(), before);
    });

    test("shares its database between the two", async () => {
      assert.deepEqual(await page.evaluate(() => globalThis.app.there("talk", "shared")), ["hello", "alice", "hello yourself", "bob"]);
      assert.deepEqual(await page.evaluate(() => globalThis.app.resume("shared")), ["on we go", "2"]);
      assert.deepEqual(watched.faults, []);
    });
  });
}
