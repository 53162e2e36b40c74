// webmls/polyfill in Chromium: how it is installed, where its state is, several
// tabs, and members through the package's own API. That it does as Firefox's own
// does is tested in firefox/polyfill.test.mjs.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, Watched } from "./kit/browser.mjs";
import { serve } from "./kit/bare.mjs";
import { built } from "./kit/paths.mjs";

describe("webmls/polyfill", { timeout: 110_000 }, () => {
  let server, browser;

  before(async () => {
    server = await serve(built("js/dist"));
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** A test with so many tabs of one profile, which runs scripts before those of the page. */
  const onPages = (name, count, scripts, body) =>
    test(name, async () => {
      const context = await browser.createBrowserContext();
      const tabs = [];
      try {
        for (let i = 0; i < count; i++) {
          const tab = await Watched.open(context, `tab ${i}`);
          for (const script of [kit, ...scripts]) await tab.page.evaluateOnNewDocument(script);
          await tab.page.goto(server.url);
          tabs.push(tab);
        }
        await body(...tabs.map(({ page }) => page));
        for (const tab of tabs) assert.deepEqual(tab.faults, []);
      } catch (error) {
        for (const tab of tabs) {
          await tab.page.bringToFront();
          await tab.save(name);
        }
        throw error;
      } finally {
        await context.close();
      }
    });

  onPages("importing it defines the interfaces, and loads nothing before it is needed", 1, [], async (page) => {
    const result = await page.evaluate(async () => {
      const polyfill = await import("/webmls/polyfill.js");
      const out = { ours: MLS === polyfill.MLS && MLSGroupView === polyfill.MLSGroupView };
      const { writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(globalThis, "MLS");
      out.property = [writable, enumerable, configurable];
      out.credential = (await new MLS().generateCredential("alice")).content.length;
      out.databases = (await indexedDB.databases()).length;
      out.programs = performance.getEntriesByType("resource").filter(({ name }) => /wasm/.test(name)).length;
      return out;
    });
    assert.deepEqual(result, { ours: true, property: [true, false, true], credential: 8, databases: 0, programs: 0 });
    assert.equal(page.workers().length, 0);
    await page.evaluate(() => new MLS().generateIdentity());
    assert.equal(page.workers().length, 1);
  });

  const otherMLS = () => Object.assign(globalThis, { MLS: class Other {} });
  onPages("what is there is left alone, unless it must not", 1, [otherMLS], async (page) => {
    const result = await page.evaluate(async () => {
      const polyfill = await import("/webmls/polyfill.js");
      const out = [MLS.name, typeof MLSGroupView];
      polyfill.install();
      out.push(MLS.name);
      polyfill.install({ force: true });
      out.push(MLS === polyfill.MLS, MLSGroupView === polyfill.MLSGroupView);
      return out;
    });
    assert.deepEqual(result, ["Other", "undefined", "Other", true, true]);
  });

  const insecure = () => Object.defineProperty(globalThis, "isSecureContext", { value: false });
  onPages("it defines nothing where the context is not secure", 1, [insecure], async (page) => {
    const found = await page.evaluate(async () => {
      (await import("/webmls/polyfill.js")).install({ force: true });
      return [typeof MLS, typeof MLSGroupView];
    });
    assert.deepEqual(found, ["undefined", "undefined"]);
  });

  onPages("each database has its state; in this very thread there is no worker", 1, [], async (page) => {
    const result = await page.evaluate(async () => {
      const { install, MLS } = await import("/webmls/polyfill.js");
      install({ database: "one", thread: "current" });
      const one = new MLS();
      install({ database: "two", thread: "current" });
      const two = new MLS();
      const alice = await one.generateIdentity();
      const credential = await one.generateCredential("alice");
      const out = [await kit.came(one.generateKeyPackage(alice, credential)), await kit.came(two.generateKeyPackage(alice, credential))];
      const bob = await two.generateIdentity();
      await one.deleteState();
      out.push(await kit.came(one.generateKeyPackage(alice, credential)), await kit.came(two.generateKeyPackage(bob, credential)));
      out.push((await indexedDB.databases()).map(({ name }) => name.replace(/\/.*/, "/…")).sort());
      return out;
    });
    const gone = "NS_ERROR_FAILURE: Error: there is no such client";
    assert.deepEqual(result, ["key-package", gone, gone, "key-package", ["one", "two", "two/…"]]);
    assert.equal(page.workers().length, 0);
  });

  onPages("a rejection says what happened", 1, [], async (page) => {
    const result = await page.evaluate(async () => {
      const { a, b } = await kit.pair();
      const sealed = await a.send("hello");
      await b.receive(sealed);
      const errors = [];
      const calls = [
        () => b.receive(sealed),
        () => b.receive(new Uint8Array([9])),
        () => a.applyPendingCommit(),
        () => a.exportSecret("x", new Uint8Array(), 0),
      ];
      for (const call of calls) {
        const error = await call().catch((error) => error);
        errors.push([error instanceof DOMException, error.name, error.result ?? "", error.cause.name, error.cause.code ?? ""]);
        errors.at(-1).push(error.name === "UnknownError" ? error.message : error.message.includes(error.cause.message));
      }
      return errors;
    });
    const failure = [true, "NS_ERROR_FAILURE", 0x80004005];
    assert.deepEqual(result, [
      [...failure, "EpochError", "ALREADY_PROCESSED", true],
      [...failure, "MalformedError", "MALFORMED", true],
      [true, "UnknownError", "", "StateError", "NO_PENDING_COMMIT", "Failed to apply pending commit"],
      [...failure, "RangeError", "", true],
    ]);
  });

  onPages("a group goes on after a reload, with the commit and the proposals that were pending", 1, [], async (page) => {
    const left = await page.evaluate(async () => {
      const { mls, bob, a, b } = await kit.pair();
      const { commit } = await a.add(await mls.generateKeyPackage(await mls.generateIdentity(), await mls.generateCredential("carol")));
      await b.proposeRemove(bob);
      return [a.groupId, a.clientId, b.clientId, commit].map((bytes) => [...bytes]);
    });
    await page.reload();
    const result = await page.evaluate(async (left) => {
      await import("/webmls/polyfill.js");
      const [group, alice, bob, commit] = left.map((bytes) => new Uint8Array(bytes));
      const [a, b] = [await new MLS().groupGet(group, alice), await new MLS().groupGet(group, bob)];
      const out = [await a.hasPendingCommit(), await a.hasPendingProposals(), await b.hasPendingCommit(), await b.hasPendingProposals()];
      await a.applyPendingCommit();
      await b.receive(commit);
      out.push((await a.details()).members.length, kit.text((await a.receive(await b.send("after the reload"))).content));
      return out;
    }, left);
    assert.deepEqual(result, [true, false, false, true, 3, "after the reload"]);
  });

  onPages("two tabs hold the same views: messages, commits and proposals are taken in turns", 2, [], async (one, other) => {
    const ids = await one.evaluate(async () => {
      globalThis.pair = await kit.pair();
      return [pair.a.groupId, pair.a.clientId].map((bytes) => [...bytes]);
    });
    await other.evaluate(async (ids) => {
      await import("/webmls/polyfill.js");
      globalThis.a = await new MLS().groupGet(...ids.map((bytes) => new Uint8Array(bytes)));
    }, ids);
    const send = (view, tab) => view.evaluate(async (tab) => {
      const group = globalThis.a ?? pair.a;
      const sent = await Promise.all(Array.from({ length: 20 }, (_, i) => group.send(`${tab} ${i}`)));
      return sent.map(({ content }) => [...content]);
    }, tab);
    const sent = (await Promise.all([send(one, "one"), send(other, "other")])).flat();
    const read = await one.evaluate(async (sent) => {
      const texts = [];
      for (const message of sent) texts.push(kit.text((await pair.b.receive(new Uint8Array(message))).content));
      return texts;
    }, sent);
    assert.deepEqual(read, ["one", "other"].flatMap((tab) => Array.from({ length: 20 }, (_, i) => `${tab} ${i}`)));

    // Both want to commit: one of them is told that a commit is pending.
    const close = (page) => page.evaluate(() => kit.came((globalThis.a ?? pair.a).close()));
    assert.deepEqual((await Promise.all([close(one), close(other)])).map((came) => came.replace(/:.*/, "")).sort(), ["NS_ERROR_FAILURE", "commit-output"]);
    assert.equal(await other.evaluate(async () => [...(await a.applyPendingCommit()).groupEpoch].join()), "2,0,0,0,0,0,0,0");
    assert.equal(await one.evaluate(async () => (await pair.a.details()).members.length), 1);
  });

  onPages("what one tab deletes is gone in the other, from the disk too", 2, [], async (one, other) => {
    const ids = await one.evaluate(async () => {
      globalThis.pair = await kit.pair();
      // A tab that was closed in the middle of generateIdentity has left this.
      await kit.done(indexedDB.open("webmls-polyfill/left"));
      const directory = await kit.done(indexedDB.open("webmls-polyfill"));
      await kit.done(directory.transaction("clients", "readwrite").objectStore("clients").put({ database: "webmls-polyfill/left" }));
      directory.close();
      return [pair.a.groupId, pair.a.clientId].map((bytes) => [...bytes]);
    });
    const result = await other.evaluate(async (ids) => {
      await import("/webmls/polyfill.js");
      const mls = new MLS();
      const group = await mls.groupGet(...ids.map((bytes) => new Uint8Array(bytes)));
      await group.send("x");
      await mls.deleteState();
      return [await kit.came(group.send("x")), (await indexedDB.databases()).map(({ name }) => name)];
    }, ids);
    const gone = "NS_ERROR_FAILURE: Error: there is no such client";
    assert.deepEqual(result, [gone, ["webmls-polyfill"]]);
    const came = await one.evaluate(async () => {
      const out = [await kit.came(pair.a.details()), await kit.came(pair.b.send("x")), await kit.came(pair.b.deleteState())];
      return [...out, (await indexedDB.databases()).length, (await kit.pair()).a.groupId.length];
    });
    assert.deepEqual(came, [gone, gone, "undefined", 1, 32]);
  });

  onPages("members through the package's own API: private messages, and what a crash leaves", 1, [], async (page) => {
    const result = await page.evaluate(async () => {
      await import("/webmls/polyfill.js");
      const webmls = await import("/webmls/index.js");
      const peer = await webmls.MLS.open({ database: "peer", authenticate: () => true });
      const identity = await peer.createIdentity("peer");
      const group = await peer.createGroup(identity);
      const mls = new MLS();
      const bob = await mls.generateIdentity();
      const keyPackage = async () => (await mls.generateKeyPackage(bob, await mls.generateCredential("bob"))).content;
      const { welcome } = await group.add(await keyPackage());
      await group.applyPendingCommit();
      const b = await mls.groupJoin(bob, welcome);
      const out = {};
      const [header, update] = [(bytes) => [...bytes.subarray(0, 4)].join(""), await group.propose({ update: true })];
      out.wire = [header(update.message)];
      const { commitOutput } = await b.receive(update.message); // a PrivateMessage
      out.wire.push(header(commitOutput.commit));
      await b.applyPendingCommit();
      out.received = (await group.receive(commitOutput.commit)).type;
      out.epoch = [...(await mls.getGroupEpochFromMessage(await group.send("x"))).content].join("");
      const sealed = await group.send("hello", { authenticatedData: new Uint8Array(3) });
      out.text = kit.text((await b.receive(sealed)).content);
      out.own = kit.text((await group.receive((await b.send("back")).content)).content);
      const secrets = [await group.exportSecret(new Uint8Array([255]), "context", 32), (await b.exportSecret(new Uint8Array([255]), new TextEncoder().encode("context"), 32)).secret];
      out.secret = String(secrets[0]) === String(secrets[1]);

      // The tab is closed between a message, or the removal, and what is to follow it.
      const [{ name }] = (await indexedDB.databases()).filter(({ name }) => name.startsWith("webmls-polyfill/"));
      const crashed = await webmls.MLS.open({ database: name, authenticate: () => true });
      await (await crashed.group(b.groupId)).receive(await group.send("never told"));
      out.inbox = [(await (await crashed.group(b.groupId)).inbox()).length];
      await b.receive(await group.send("told"));
      out.inbox.push((await (await crashed.group(b.groupId)).inbox()).length);
      const { commit } = await group.remove((await group.members())[1]);
      out.removed = (await (await crashed.group(b.groupId)).receive(commit)).type;
      out.view = await kit.came(b.details());
      // What another client deleted is heard of a little later.
      for (let i = 0; (out.left = (await crashed.groups()).length) > 0 && i < 200; i++) await new Promise((resolve) => setTimeout(resolve, 20));
      out.get = await kit.came(mls.groupGet(b.groupId, bob));
      await crashed.close();
      await peer.close();
      return out;
    });
    assert.deepEqual(result, {
      wire: ["0102", "0101"],
      received: "group-update",
      epoch: "20000000",
      text: "hello",
      own: "back",
      secret: true,
      inbox: [1, 0],
      removed: "removed",
      view: "NS_ERROR_FAILURE: Error: the client was removed from the group",
      left: 0,
      get: result.get,
    });
    assert.match(result.get, /^NS_ERROR_FAILURE: StateError: .*GROUP_NOT_FOUND/);
  });
});

/** Runs in each page before anything else. */
function kit() {
  globalThis.kit = {
    /** Alice's and Bob's views of a group of both. */
    async pair() {
      await import("/webmls/polyfill.js");
      const mls = new MLS();
      const [alice, bob] = [await mls.generateIdentity(), await mls.generateIdentity()];
      const a = await mls.groupCreate(alice, await mls.generateCredential("alice"));
      const { welcome } = await a.add(await mls.generateKeyPackage(bob, await mls.generateCredential("bob")));
      await a.applyPendingCommit();
      return { mls, alice, bob, a, b: await mls.groupJoin(bob, welcome) };
    },
    /** What comes of a promise: the type of the result, or the error. */
    came: (promise) => promise.then((value) => (value?.type ?? String(value)), (error) => `${error.name}: ${error.message}`),
    done: (request) =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => {
          if (request instanceof IDBOpenDBRequest && request.result.name.endsWith("left")) request.result.close();
          resolve(request.result);
        };
        request.onerror = () => reject(request.error);
      }),
    text: (bytes) => new TextDecoder().decode(bytes),
  };
}
