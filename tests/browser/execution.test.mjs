// Where the program runs, how it is loaded, how it dies and how it ends.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { launch, Watched } from "./kit/browser.mjs";
import { built } from "./kit/paths.mjs";
import { serveSite, strict } from "./kit/site.mjs";

const dist = built("js/dist");
const scripts = { "/kit.js": readFileSync(new URL("fixtures/execution.js", import.meta.url)) };
const page = '<!doctype html><html lang="en"><meta charset="utf-8"><title>execution</title><link rel="icon" href="data:,">';

describe("the program", { timeout: 300_000 }, () => {
  let server, browser, context, watched, wasm;
  let held; // what the program waits for, where it is asked for by that name

  before(async () => {
    wasm = await readFile(join(dist, "webmls.wasm"));
    server = await serveSite(dist, { answer });
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  beforeEach(async () => {
    context = await browser.createBrowserContext();
  });

  /** The pages, the script of these tests, and the program in forms that a server may give it. */
  async function answer(path, response) {
    const send = (status, type, content) => {
      response.statusCode = status;
      if (type) response.setHeader("Content-Type", type);
      response.end(content);
      return true;
    };
    if (path === "/") return send(200, "text/html", page);
    if (path === "/no-wasm") {
      response.setHeader("Content-Security-Policy", strict.replace(" 'wasm-unsafe-eval'", ""));
      return send(200, "text/html", page);
    }
    if (scripts[path]) return send(200, "text/javascript", scripts[path]);
    if (path.startsWith("/webmls/")) {
      const file = path.slice("/webmls/".length);
      if (file.endsWith(".js")) return send(200, "text/javascript", await readFile(join(dist, file)));
      return send(200, "application/wasm", await readFile(join(dist, file)));
    }
    // Here the page has worker.js, and the worker has none.
    if (path.startsWith("/alone/") && response.req.headers["sec-fetch-dest"] !== "worker") return send(200, "text/javascript", await readFile(join(dist, path.slice("/alone/".length))));
    if (path === "/as/held") await held;
    if (path === "/as/held") return send(200, "application/wasm", wasm);
    if (path === "/as/octets") return send(200, "application/octet-stream", wasm);
    if (path === "/as/text") return send(200, "text/plain; charset=utf-8", wasm);
    if (path === "/as/nothing") return send(200, undefined, wasm);
    if (path === "/as/wasm") return send(200, "Application/Wasm; charset=utf-8", wasm);
    if (path === "/as/missing") return send(404, "text/html", "<!doctype html>not found");
    if (path === "/as/page") return send(200, "text/html", page);
    if (path === "/as/lie") return send(200, "application/wasm", page);
    if (path === "/as/cut") return response.destroy();
    if (path === "/as/half") return send(200, "application/wasm", wasm.subarray(0, wasm.length / 2));
    return false;
  }

  /** A test with a page of its own, on which `kit` is fixtures/execution.js. */
  const onPage = (name, body, { path = "", faults = /^$/ } = {}) =>
    test(name, async () => {
      watched = await Watched.open(context, "page");
      await watched.page.goto(server.url + path);
      await watched.page.evaluate(async () => (globalThis.kit = await import("/kit.js")) && undefined);
      try {
        await body(watched.page);
        assert.deepEqual(watched.faults.filter((fault) => !faults.test(fault)), []);
      } catch (error) {
        await watched.save(name);
        throw error;
      } finally {
        await context.close();
      }
    });

  /** Waits until the page has so many workers. */
  async function workers(page, count) {
    for (let tries = 0; page.workers().length !== count; tries++) {
      if (tries === 200) assert.equal(page.workers().length, count);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  onPage(
    "a policy without 'wasm-unsafe-eval' is named",
    async (page) => {
      const { code, detail } = await page.evaluate(() => kit.refusal(kit.open("alice", { thread: "current" })));
      assert.equal(code, "INSTANCE_FAILED");
      assert.match(detail, /Content Security Policy/);
    },
    { path: "no-wasm", faults: /violates the following Content Security Policy directive|^policy script-src wasm-eval/ },
  );

  onPage(
    "a policy that leaves the program to the worker is enough",
    async (page) => {
      assert.equal(await page.evaluate(async () => (await kit.open("alice")).identities().then((list) => list.length)), 0);
    },
    { path: "no-wasm", faults: /violates the following Content Security Policy directive|^policy script-src wasm-eval/ },
  );

  /** Waits until no lock is left: those of a worker that was ended go a moment later. */
  const unlocked = () => watched.until("all locks are released", async () => (await kit.locks()).length === 0);

  onPage(
    "a worker that is not where it should be is named",
    async (page) => {
      const { code, detail } = await page.evaluate(async () => {
        const { MLS } = await import("/alone/index.js");
        const error = await MLS.open({ database: "alice", authenticate: () => true }).catch((error) => error);
        return { code: error.code, detail: error.detail };
      });
      assert.equal(code, "INSTANCE_FAILED");
      assert.match(detail, /worker\.js/);
    },
    { faults: /Failed to load resource/ },
  );

  for (const thread of ["worker", "current"]) {
    for (const [how, path] of [
      ["application/wasm with a parameter", "as/wasm"],
      ["application/octet-stream", "as/octets"],
      ["text/plain", "as/text"],
      ["no type at all", "as/nothing"],
    ]) {
      onPage(`thread "${thread}": is loaded from another place, as ${how}`, async (page) => {
        const count = await page.evaluate(async (options) => {
          const mls = await kit.open("alice", options);
          await mls.createIdentity("alice");
          const count = (await mls.identities()).length;
          await mls.close();
          return count;
        }, { thread, wasm: path });
        assert.equal(count, 1);
      });
    }

    onPage(
      `thread "${thread}": what comes instead of it is named, and the next attempt starts anew`,
      async (page) => {
        const refusals = {};
        for (const form of ["missing", "page", "lie", "half", "cut"]) {
          refusals[form] = await page.evaluate((options) => kit.refusal(kit.open("alice", options)), { thread, wasm: `/as/${form}` });
        }
        refusals.other = await page.evaluate((options) => kit.refusal(kit.open("alice", options)), { thread, wasm: "/webmls/x509.wasm" });
        for (const [form, { code }] of Object.entries(refusals)) assert.equal(code, "INSTANCE_FAILED", form);
        const as = (form) => `${server.url}as/${form}: HTTP status`;
        assert.match(refusals.missing.detail, new RegExp(`${as("missing")} 404, text/html$`));
        assert.match(refusals.page.detail, new RegExp(`${as("page")} 200, text/html: .*begins with "<!doctype html>`));
        assert.match(refusals.lie.detail, new RegExp(`${as("lie")} 200, application/wasm: CompileError: `));
        assert.match(refusals.half.detail, new RegExp(`${as("half")} 200, application/wasm: CompileError: `));
        assert.match(refusals.cut.detail, new RegExp(`${server.url}as/cut could not be fetched: TypeError: `));
        assert.match(refusals.other.detail, /the program (did not start|ended with exit code 2)$/);
        await workers(page, 0);
        await unlocked();
        assert.equal(await page.evaluate(() => kit.remove("alice")), "deleted"); // nobody has it open
        assert.equal(await page.evaluate(async (options) => (await kit.open("alice", options)).identities().then((list) => list.length), { thread }), 0);
      },
      { faults: /Failed to load resource/ },
    );

    onPage(`thread "${thread}": is loaded while the database is opened`, async (page) => {
      let release;
      held = new Promise((resolve) => (release = resolve));
      try {
        await page.evaluate((options) => {
          globalThis.opening = kit.open("alice", options);
        }, { thread, wasm: "/as/held" });
        await watched.until("there is a database", async () => (await indexedDB.databases()).some(({ name }) => name === "alice"));
      } finally {
        release();
      }
      assert.equal(await page.evaluate(async () => (await (await opening).identities()).length), 0);
    });

    onPage(`thread "${thread}": is shared by the clients of a page, and ends with the last of them`, async (page) => {
      const load = page.evaluate(async (options) => {
        globalThis.clients = await Promise.all(["one", "two", "three"].map((name) => kit.open(name, options)));
        await Promise.all(clients.map((mls) => mls.createIdentity("alice")));
        return performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("webmls.wasm")).length;
      }, { thread });
      assert.equal(await load, 1); // the page compiles it while the worker starts
      const loads = () => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("webmls.wasm")).length;
      if (thread === "worker") assert.equal(await page.workers()[0].evaluate(loads), 0);
      await workers(page, thread === "worker" ? 1 : 0);
      // Libraries that find a process on the page take it for Node.
      assert.deepEqual(await page.evaluate(() => ["Go", "process", "path"].filter((name) => name in globalThis)), []);
      await page.evaluate(() => Promise.all(clients.slice(1).map((mls) => mls.close())));
      await workers(page, thread === "worker" ? 1 : 0);
      assert.equal(await page.evaluate(async () => (await clients[0].identities()).length), 1);
      const after = await page.evaluate(async () => {
        await Promise.all([clients[0].close(), clients[0].close()]);
        const call = await kit.codes(clients[0].identities());
        return { call, databases: await Promise.all(["one", "two", "three"].map(kit.remove)) };
      });
      await workers(page, 0);
      await unlocked();
      assert.deepEqual(after, { call: ["CLOSED"], databases: ["deleted", "deleted", "deleted"] });
    });

    onPage(`thread "${thread}": "await using" gives everything back, also when the block throws`, async (page) => {
      // As text: not every Node that runs these tests can read it.
      const thrown = await page.evaluate(`(async () => {
        try {
          await using mls = await kit.open("alice", { thread: ${JSON.stringify(thread)} });
          await mls.createIdentity("alice");
          throw new Error("the app's own");
        } catch (error) {
          return error.message;
        }
      })()`);
      assert.equal(thrown, "the app's own");
      await workers(page, 0);
      await unlocked();
      assert.equal(await page.evaluate(() => kit.remove("alice")), "deleted");
    });

    /** Has the program die while much is pending; everything rejects, and the next call finds what was stored. */
    const dies = (how, kill, codes = ["INSTANCE_DIED", "INSTANCE_DIED"]) =>
      onPage(
        `thread "${thread}": when ${how}, all that is pending rejects, and the next call starts another`,
        async (page) => {
          await page.evaluate(async (options) => {
            globalThis.story = await kit.unsettled(options);
          }, { thread });
          await kill(page);
          const pending = await page.evaluate(async () => {
            const { hanging, other, theirs, bob, sent = theirs.send("never") } = story;
            const result = await kit.codes(hanging, sent, other.send("never either"), bob.identities());
            globalThis.undo?.();
            return result;
          });
          // What came before the end, and what brought it; later calls may have found the next program.
          assert.deepEqual(pending.slice(0, codes.length), codes);
          const settled = await page.evaluate(() => kit.settle(story));
          assert.deepEqual(settled, { kept: true, text: "on we go", other: [1, false] });
          await workers(page, 0);
          await unlocked();
          assert.deepEqual(await page.evaluate(() => Promise.all(["alice", "bob"].map(kit.remove))), ["deleted", "deleted"]);
        },
      );
    const where = (page) => (thread === "worker" ? page.workers()[0] : page);

    // Go asks for randomness in the middle of WebAssembly: what is thrown there is a trap.
    dies("it traps", (page) =>
      where(page).evaluate(() => {
        crypto.getRandomValues = () => {
          throw new Error("no randomness");
        };
        globalThis.undo = () => delete crypto.getRandomValues;
      }),
    );

    // The first promise of a call is made for Go, which expects to be given one.
    dies("it panics", (page) =>
      where(page).evaluate(() => {
        const before = Promise;
        globalThis.Promise = function () {
          globalThis.Promise = before;
          throw new Error("no promises");
        };
      }),
    );

    // Nobody is told: not even the page, were it not for the lock that the worker held.
    if (thread === "worker") {
      dies("the browser ends its worker", (page) => page.workers()[0].evaluate(() => self.close()).catch(() => {}), ["INSTANCE_DIED"]);
    }
  }

  onPage("what is called in one turn crosses at once, and what cannot cross is refused alone", async (page) => {
    const found = await page.evaluate(async () => {
      const { postMessage } = Worker.prototype;
      let posts = 0;
      let answers = 0;
      let worker;
      Worker.prototype.postMessage = function (...params) {
        // A long list has the page call hands, and introduce them, which is nobody's call.
        if (!params[0].length || params[0][0].kind === "crew") return postMessage.apply(this, params);
        if (worker !== this) this.addEventListener("message", () => answers++);
        worker = this;
        posts++;
        return postMessage.apply(this, params);
      };
      const [alice, bob] = [await kit.open("alice"), await kit.open("bob")];
      const ours = await alice.createGroup(await alice.createIdentity("alice"));
      const { welcome } = await ours.add(await bob.createKeyPackage(await bob.createIdentity("bob")));
      await ours.applyPendingCommit();
      const theirs = await bob.joinGroup(welcome);
      const counted = async (f) => {
        posts = answers = 0;
        const result = await f();
        return [result, posts, answers];
      };
      const texts = Array.from({ length: 200 }, (_, i) => `text ${i}`);
      const [sealed, ...sent] = await counted(() => Promise.all(texts.map((text) => ours.send(text))));
      const [events, ...received] = await counted(() => Promise.all(sealed.map((message) => theirs.receive(message))));
      const [, ...alone] = await counted(() => ours.info());
      const odd = await Promise.allSettled([ours.send("before"), ours.send("odd", { padding: () => {} }), ours.send("after")]);
      const after = await Promise.all([odd[0], odd[2]].map(({ value }) => theirs.receive(value)));
      const abort = new AbortController();
      const cancelled = kit.codes(ours.update({ signal: abort.signal }));
      abort.abort();
      return {
        same: events.every(({ text }, i) => text === texts[i]),
        sent,
        received,
        alone,
        odd: odd[1].reason.code,
        after: after.map(({ text }) => text),
        cancelled: await cancelled,
      };
    });
    assert.deepEqual([found.same, found.alone, found.odd, found.after], [true, [1, 1], "INVALID_ARGUMENT", ["before", "after"]]);
    // A call that is cancelled in the turn in which it was called has been posted before that.
    assert.deepEqual(found.cancelled, ["CANCELLED"]);
    for (const [posts, answers] of [found.sent, found.received]) {
      assert.equal(posts, 1);
      assert.ok(answers < 50, `${answers} answers`);
    }
  });

  /** Opens a client, and has its page tell what becomes of its crew of two; `meddle` may change what a hand is. */
  async function withCrew(page, meddle = () => {}) {
    await page.evaluate(async () => {
      globalThis.first = await kit.open("first"); // its worker is none of the crew
      globalThis.told = [];
      Object.defineProperty(navigator, "hardwareConcurrency", { value: 3, configurable: true });
      globalThis.Worker = class extends Worker {
        constructor(url, options) {
          super(url, options);
          told.push(`made ${options.name}`);
          this.addEventListener("error", () => told.push("failed"));
        }
        /** What a hand says to the program passes here. */
        postMessage(port) {
          const { port1, port2 } = new MessageChannel();
          port.onmessage = ({ data }) => port2.postMessage(data);
          port2.onmessage = ({ data }) => {
            told.push("did");
            this.did?.();
            port.postMessage(data);
          };
          super.postMessage(port1, [port1]);
        }
        terminate() {
          super.terminate();
          told.push("ended");
        }
      };
    });
    await page.evaluate(meddle);
  }
  const told = (page, what) => page.evaluate((what) => told.filter((one) => one.startsWith(what)).length, what);
  const expected = { refused: { code: "INVALID_SIGNATURE", detail: "signature 120" }, same: true };

  for (const suite of [1, 2]) {
    onPage(`suite ${suite}: a crew takes its share of long lists, the result is the same, and it leaves`, async (page) => {
      const alone = await page.evaluate((suite) => kit.crowd(140, { suite, thread: "current" }), suite);
      assert.deepEqual(alone, expected);
      // What is long to the crew is short to this test.
      await withCrew(page, () => {
        const { setTimeout } = globalThis;
        globalThis.setTimeout = (f, ms, ...params) => setTimeout(f, ms === 10_000 ? 700 : ms, ...params);
      });
      assert.deepEqual(await page.evaluate((suite) => kit.crowd(140, { suite }), suite), alone);
      assert.equal(await told(page, "made webmls-crew"), 2 * Math.ceil((await told(page, "made")) / 2));
      assert.ok((await told(page, "did")) > 10);
      await watched.until("the crew has left", () => told.filter((one) => one === "ended").length === told.filter((one) => one.startsWith("made")).length);
      await page.evaluate(() => first.close());
      await workers(page, 0);
      await unlocked();
    });
  }

  /** What a hand may be that is of no use, and what of it is seen. */
  const useless = {
    "is refused by a policy": () => {
      globalThis.Worker = class {
        constructor() {
          throw new DOMException("no", "SecurityError");
        }
      };
    },
    "is not there": () => {
      const before = Worker;
      globalThis.Worker = class extends before {
        constructor(url, options) {
          super(new URL("/missing.js", url), options);
        }
      };
    },
    "says nothing": () => {
      const before = Worker;
      globalThis.Worker = class extends before {
        postMessage() {}
      };
    },
    "dies in the middle": () => {
      const before = Worker;
      globalThis.Worker = class extends before {
        constructor(url, options) {
          super(url, options);
          let done = 0;
          this.did = () => ++done === 2 && super.terminate();
        }
      };
    },
  };
  for (const [how, meddle] of Object.entries(useless)) {
    onPage(
      `a crew that ${how} is done without`,
      async (page) => {
        await withCrew(page, meddle);
        assert.deepEqual(await page.evaluate(() => kit.crowd(140, { suite: 1 })), expected);
        if (how === "is not there") assert.equal(await told(page, "made"), 2); // it is tried once
        await page.evaluate(() => first.close());
        await workers(page, 0);
        await unlocked();
      },
      { faults: /Failed to load resource/ },
    );
  }
});
