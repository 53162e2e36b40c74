// A smoke test in WebKitGTK, where it is installed: create, add, join, talk in
// both threads, reload, and go on.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { built } from "./kit/paths.mjs";
import { serveSite } from "./kit/site.mjs";
import { missing, WebKit } from "./kit/webkit.mjs";

const dist = built("js/dist");
const source = (file) => readFileSync(fileURLToPath(new URL(`fixtures/app/src/${file}`, import.meta.url)), "utf8");
const files = {
  "/": ["text/html", '<!doctype html><html lang="en"><meta charset="utf-8"><title>app</title><link rel="icon" href="data:,"><script type="module" src="main.js"></script>'],
  "/main.js": ["text/javascript", source("main.js").replace(/"webmls(?:\/(\w+))?"/g, (_, entry = "index") => `"./${entry}.js"`)],
  "/talk.js": ["text/javascript", source("talk.js")],
};

const without = missing();
if (without) console.log(`SKIPPED: WebKitGTK, for want of ${without}: apt-get install webkit2gtk-driver xvfb`);

describe("WebKitGTK", { timeout: 110_000, skip: without !== undefined }, () => {
  let server, webkit;

  before(async () => {
    server = await serveSite(dist, {
      answer(path, response) {
        const file = files[path];
        if (!file) return false;
        response.setHeader("Content-Type", file[0]);
        response.end(file[1]);
        return true;
      },
    });
    webkit = await WebKit.start();
    await webkit.goto(server.url);
    await started();
  });

  /** The scripts of a page that has loaded may not have run. */
  async function started() {
    for (let tries = 0; tries < 100 && !(await webkit.evaluate(() => "app" in globalThis)); tries++) await sleep(50);
  }

  after(async () => {
    await webkit?.stop();
    await server?.stop();
  });

  // Suites 1 and 2: WebKitGTK keeps keys of the NIST curves, and none for X25519.
  for (const [thread, suite] of [["worker", 1], ["worker", 2], ["current", 1]]) {
    test(`suite ${suite}, thread "${thread}": talks, and goes on after a reload`, async (t) => {
      t.diagnostic(webkit.version);
      const prefix = `${thread} ${suite}`;
      const talked = await webkit.evaluate((...args) => globalThis.app.talk(...args), prefix, { thread }, suite);
      assert.deepEqual(talked, ["hello", "alice", "hello yourself", "bob"]);
      await webkit.reload();
      await started();
      assert.deepEqual(await webkit.evaluate((...args) => globalThis.app.resume(...args), prefix, { thread }), ["on we go", "2"]);
    });
  }
});
