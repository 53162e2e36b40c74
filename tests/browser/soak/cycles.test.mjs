// Nothing piles up: not in a program that runs for long, not where programs are
// started and ended. SOAK=full does both for longer.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { serve } from "../kit/bare.mjs";
import { launch, Watched } from "../kit/browser.mjs";
import { built } from "../kit/paths.mjs";

const full = process.env.SOAK === "full";
const calls = full ? 100_000 : 1_000;
const clients = full ? 1_000 : 100;
const programs = full ? 100 : 5;
const MiB = 2 ** 20;

describe("what was used is given back", { timeout: full ? 3_600_000 : 110_000 }, () => {
  let server, browser, context, watched, page;

  before(async () => {
    const kit = readFileSync(new URL("../fixtures/execution.js", import.meta.url));
    server = await serve(built("js/dist"), { "kit.js": kit });
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** A page that counts what programs in its own thread make. */
  async function open() {
    context = await browser.createBrowserContext();
    watched = await Watched.open(context, "page");
    page = watched.page;
    await page.evaluateOnNewDocument(takeCensus);
    await page.goto(server.url);
    await page.evaluate(async () => (globalThis.kit = await import("/scripts/kit.js")) && undefined);
  }

  async function close() {
    assert.deepEqual(watched.faults, []);
    await watched.until("all locks are released", async () => (await kit.locks()).length === 0);
    assert.equal(await page.evaluate(() => census.channels), 0);
    await context.close();
  }

  test(`after ${calls} calls and ${clients} clients of one program`, async (t) => {
    await open();
    await page.evaluate(async () => {
      globalThis.keeper = await kit.open("keeper", { thread: "current" });
      globalThis.group = await keeper.createGroup(await keeper.createIdentity("keeper"));
    });
    const work = (calls) =>
      page.evaluate(async (calls) => {
        for (let i = 0; i < calls; i += 4) {
          await group.send("hello");
          await group.exportSecret("label", "context", 32);
          await group.info();
          await group.receive(new Uint8Array([1, 2, 3])).catch(() => {});
        }
        return census.now();
      }, calls);
    const cycles = (clients) =>
      page.evaluate(async (clients) => {
        for (let i = 0; i < clients; i++) {
          const mls = await kit.open("other", { thread: "current" });
          await mls.identities();
          await mls.close();
        }
        return census.now();
      }, clients);

    await cycles(1);
    const before = await work(400);
    const worked = await work(calls);
    const cycled = await cycles(clients);
    t.diagnostic(`functions ${before.functions}; memory ${[before, worked, cycled].map(({ memory }) => `${memory / MiB} MiB`).join(", ")}`);
    assert.ok(before.functions > 0);
    assert.equal(worked.functions, before.functions);
    assert.equal(cycled.functions, before.functions);
    assert.equal(cycled.channels, before.channels);
    assert.ok(worked.memory - before.memory <= 8 * MiB, "the memory grows with each call");
    assert.ok(cycled.memory - worked.memory <= 8 * MiB, "the memory grows with each client");
    assert.equal(await page.evaluate(() => kit.remove("other")), "deleted");
    assert.equal(await page.evaluate(() => keeper.close().then(() => kit.remove("keeper"))), "deleted");
    await close();
  });

  test(`after ${programs} programs in workers`, async () => {
    await open();
    for (let i = 0; i < programs; i++) {
      await page.evaluate(async () => {
        const mls = await kit.open("alice");
        await mls.createIdentity("alice");
        await mls.close();
      });
    }
    for (let tries = 0; page.workers().length > 0 && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(page.workers().length, 0);
    assert.equal(await page.evaluate(() => kit.remove("alice")), "deleted");
    await close();
  });

  test(`after ${programs} programs in the page`, async () => {
    await open();
    for (let i = 0; i < programs; i++) {
      await page.evaluate(async () => {
        const mls = await kit.open("alice", { thread: "current" });
        await mls.createIdentity("alice");
        await mls.close();
      });
    }
    assert.equal(await page.evaluate(() => kit.remove("alice")), "deleted");
    const session = await page.createCDPSession();
    await session.send("HeapProfiler.collectGarbage");
    await session.send("HeapProfiler.collectGarbage");
    const { started, alive } = await page.evaluate(() => census.now());
    assert.equal(started, programs);
    // The last one may still be on somebody's stack.
    assert.ok(alive <= 1, `${alive} of ${started} programs are still in memory`);
    await close();
  });
});

/** Counts on the page. It is sent there as it stands, and runs before everything else. */
function takeCensus() {
  const memories = []; // of each program
  let functions = 0;
  globalThis.census = {
    channels: 0,
    now() {
      const alive = memories.map((memory) => memory.deref()).filter(Boolean);
      const memory = alive.reduce((sum, memory) => sum + memory.buffer.byteLength, 0);
      return { started: memories.length, alive: alive.length, memory, functions, channels: this.channels };
    },
  };

  // Each js.FuncOf in Go has Go's glue make a function.
  let glue;
  Object.defineProperty(globalThis, "Go", {
    configurable: true,
    get: () => glue,
    set(Go) {
      glue = Go;
      const make = Go.prototype._makeFuncWrapper;
      Go.prototype._makeFuncWrapper = function (id) {
        functions++;
        return make.call(this, id);
      };
    },
  });

  const instantiate = WebAssembly.instantiate;
  WebAssembly.instantiate = async (module, imports) => {
    const instance = await instantiate.call(WebAssembly, module, imports);
    memories.push(new WeakRef(instance.exports.mem));
    return instance;
  };

  globalThis.BroadcastChannel = class extends BroadcastChannel {
    #open = true;
    constructor(name) {
      super(name);
      census.channels++;
    }
    close() {
      if (this.#open) census.channels--;
      this.#open = false;
      super.close();
    }
  };
}
