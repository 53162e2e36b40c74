// The JavaScript in the README runs as it stands there, and prints what its
// comments say.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { launch, Watched } from "./kit/browser.mjs";
import { serve } from "./kit/bare.mjs";
import { built, root } from "./kit/paths.mjs";

const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1]);

/** What a block says that it prints: the comment behind each console.log that has one. */
const promised = (block) => [...block.matchAll(/console\.log\(.*\);(?: \/\/ (.*))?$/gm)].map((match) => match[1]);

describe("the README", { timeout: 60_000 }, () => {
  let server, browser, watched;

  before(async () => {
    const scripts = Object.fromEntries(blocks.map((block, i) => [`${i}.js`, block.replaceAll('"webmls"', '"/webmls/index.js"').replaceAll('"webmls/polyfill"', '"/webmls/polyfill.js"')]));
    server = await serve(built("js/dist"), scripts);
    browser = await launch();
    watched = await Watched.open(await browser.createBrowserContext(), "readme");
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test("has its examples", () => assert.equal(blocks.length, 4));

  // One after the other, each on a page of its own: the second and the third find what the first has stored.
  for (const [i, block] of blocks.entries()) {
    test(`example ${i + 1} runs`, async () => {
      await watched.page.goto(server.url);
      const from = watched.console.length;
      await watched.page.evaluate((script) => import(script), `/scripts/${i}.js`);
      const printed = watched.console.slice(from).map((line) => line.replace(/^log: (.*) \(.*\)$/, "$1"));
      const expected = promised(block);
      assert.equal(printed.length, expected.length, printed.join("\n"));
      expected.forEach((text, n) => text && assert.equal(printed[n], text));
      assert.deepEqual(watched.faults, []);
    });
  }
});
