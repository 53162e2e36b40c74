// Private keys in the browser, in Chromium and Firefox: what is stored of them,
// that no script can read them, and what happens where they cannot be kept so.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, launchFirefox, Watched } from "./kit/browser.mjs";
import { serve } from "./kit/bare.mjs";
import { kit } from "./kit/clients.mjs";
import { built } from "./kit/paths.mjs";
import { rawRows } from "./kit/rows.mjs";

const suites = [1, 2, 3, 4, 5, 6, 7];

/** Where the keys of each cipher suite live: no browser has X448 and Ed448. */
const storageOf = (suite) => ([4, 6].includes(suite) ? "sealed" : "non-extractable");

for (const [browserName, start] of Object.entries({ Chromium: launch, Firefox: launchFirefox })) {
  describe(`keys in ${browserName}`, { timeout: 400_000 }, () => {
    let server, browser;

    before(async () => {
      server = await serve(built("js/dist"));
      browser = await start();
    });

    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    /** A test with a page of its own, where `scripts` have run before everything. */
    const onPage = (name, scripts, body) =>
      test(name, async () => {
        const context = await browser.createBrowserContext();
        const watched = await Watched.open(context, "page");
        for (const script of [kit, rawRows, keyKit, ...scripts]) await watched.page.evaluateOnNewDocument(script);
        await watched.page.goto(server.url);
        try {
          await body(watched.page);
          assert.deepEqual(watched.faults, []);
        } catch (error) {
          await watched.save(`${browserName} ${name}`);
          throw error;
        } finally {
          await context.close();
        }
      });

    for (const thread of ["worker", "current"]) {
      onPage(`no stored key can be exported, for every cipher suite; thread "${thread}"`, [], async (page) => {
        const found = await page.evaluate(
          async (suites, thread) => {
            const out = {};
            for (const suite of suites) {
              const names = [`alice ${suite}`, `bob ${suite}`];
              const [alice, bob] = await Promise.all(names.map((name) => kit.open(name, { thread })));
              const identities = [await alice.createIdentity("alice", { suite }), await bob.createIdentity("bob", { suite })];
              const ours = await alice.createGroup(identities[0]);
              await bob.createKeyPackages(identities[1], 2);
              const { welcome } = await ours.add(await bob.createKeyPackage(identities[1]));
              await ours.applyPendingCommit();
              const theirs = await bob.joinGroup(welcome);
              await ours.receive((await theirs.update()).commit); // and theirs stays pending
              const listed = (await bob.identities()).map((identity) => identity.keyStorage);
              const stored = await Promise.all(names.map((name) => keyKit.keys(name)));
              out[suite] = { storage: identities.map((identity) => identity.keyStorage), listed, counts: [], readable: [], algorithms: [] };
              for (const keys of stored) {
                out[suite].counts.push(keys.filter((key) => key.type === "private").length);
                for (const key of keys) {
                  out[suite].readable.push(...(await keyKit.waysToRead(key)));
                  if (key.type === "private") out[suite].algorithms.push(`${key.algorithm.name} ${key.usages}`);
                }
              }
              out[suite].algorithms = [...new Set(out[suite].algorithms)].sort();
              await Promise.all([alice.close(), bob.close()]);
            }
            return out;
          },
          suites,
          thread,
        );
        for (const suite of suites) {
          const storage = storageOf(suite);
          const [signature, exchange] = { 1: ["Ed25519", "X25519"], 3: ["Ed25519", "X25519"] }[suite] ?? ["ECDSA", "ECDH"];
          assert.deepEqual(found[suite], {
            storage: [storage, storage],
            listed: [storage],
            // Alice: identity and leaf. Bob: identity, two key packages of two keys, his leaf and that of his pending commit.
            counts: storage === "sealed" ? [0, 0] : [2, 7],
            readable: [],
            algorithms: storage === "sealed" ? [] : [`${exchange} deriveBits`, `${signature} sign`].sort(),
          }, `suite ${suite}`);
        }
      });
    }

    onPage("keys are there after a reload, and go when what they are for has gone", [], async (page) => {
      const before = await page.evaluate(async () => {
        const out = {};
        for (const suite of [1, 2]) {
          const [alice, bob] = await Promise.all([kit.open(`alice ${suite}`), kit.open(`bob ${suite}`)]);
          const ours = await alice.createGroup(await alice.createIdentity("alice", { suite }));
          const identity = await bob.createIdentity("bob", { suite });
          const keyPackages = await bob.createKeyPackages(identity, 3);
          out[suite] = { made: await keyKit.names(`bob ${suite}`) };
          const { welcome } = await ours.add(keyPackages[1]);
          await ours.applyPendingCommit();
          await bob.joinGroup(welcome);
          out[suite].joined = await keyKit.names(`bob ${suite}`);
        }
        return out;
      });
      await page.reload();
      const found = await page.evaluate(async () => {
        const out = {};
        for (const suite of [1, 2]) {
          const [alice, bob] = await Promise.all([kit.open(`alice ${suite}`), kit.open(`bob ${suite}`)]);
          const ours = await alice.group((await alice.groups())[0]);
          const theirs = await bob.group((await bob.groups())[0]);
          const names = () => keyKit.names(`bob ${suite}`);
          const result = (out[suite] = { opened: await names() });
          result.text = (await ours.receive(await theirs.send("signed with a key from before"))).text;
          await theirs.receive((await ours.update()).commit); // opened with bob's leaf key from before
          await ours.applyPendingCommit();
          const { commit } = await theirs.update();
          result.pending = await names();
          await ours.receive(commit);
          await theirs.applyPendingCommit();
          result.updated = await names();
          await theirs.update();
          await theirs.clearPendingCommit();
          result.cleared = await names();
          result.same = await kit.same(ours, theirs);
          const removal = await ours.remove((await ours.members()).find((member) => !member.own));
          await ours.applyPendingCommit();
          await theirs.receive(removal.commit);
          result.removed = await names();
        }
        return out;
      });
      for (const suite of [1, 2]) {
        const { made, joined } = before[suite];
        const { opened, text, pending, updated, cleared, same, removed } = found[suite];
        assert.equal(made.length, 1 + 3 * 2); // the identity's, and an init key and a leaf key each
        assert.equal(joined.length, 6); // less the init key that was used
        assert.ok(joined.every((name) => made.includes(name)));
        assert.deepEqual(opened, joined);
        assert.equal(text, "signed with a key from before");
        const fresh = pending.filter((name) => !joined.includes(name));
        assert.equal(fresh.length, 1);
        assert.equal(pending.length, 7);
        assert.equal(updated.length, 6); // less the leaf key that was replaced
        assert.ok(updated.includes(fresh[0]));
        assert.deepEqual(cleared, updated); // the leaf key of the commit that was cleared is gone
        assert.equal(same, true);
        assert.deepEqual(removed, updated.filter((name) => name !== fresh[0])); // and that of the leaf that was removed
      }
    });

    onPage("no private scalar is in what is stored, sealed or not", [spy], async (page) => {
      const found = await page.evaluate(async () => {
        const out = {};
        for (const suite of [1, 2, 3, 5, 7]) {
          spied.clear();
          const open = { thread: "current" };
          const names = ["alice", "bob", "carol"].map((name) => `${name} ${suite}`);
          const { groups } = await kit.crowd(names, { suite, open });
          // Carol's commit is encrypted to the node above alice and bob, whose key derives from alice's path secret.
          for (const at of [0, 2, 1]) {
            const { commit } = await groups[at].update();
            await kit.deliver(commit, ...groups.filter((_, i) => i !== at));
            await groups[at].applyPendingCommit();
          }
          await groups[1].receive(await groups[0].send("hello"));
          out[suite] = { generated: spied.generated.length, found: spied.search(spied.generated), derived: spied.imported.length, control: spied.search(spied.imported) };
        }
        return out;
      });
      for (const [suite, { generated, found: leaked, derived, control }] of Object.entries(found)) {
        assert.ok(generated >= 3 + 2 * 2 + 1 + 3, `suite ${suite}: ${generated} keys were made`);
        assert.equal(leaked, 0, `suite ${suite}: private scalars in records`);
        // Keys that derive from path secrets are bytes by nature: the search finds them, so it works.
        if (suite !== "1" && suite !== "3") assert.ok(derived > 0 && control > 0, `suite ${suite}: ${control} of ${derived} derived keys`);
      }
    });

    onPage("in a locked database keys are wrapped, and used in no other form than non-extractable", [watchUse], async (page) => {
      const lock = { passphrase: "correct horse" };
      const before = await page.evaluate(async (lock) => {
        const out = { groups: [] };
        const [alice, bob] = await Promise.all(["alice", "bob"].map((name) => kit.open(name, { thread: "current", lock })));
        for (const suite of [1, 2, 4]) {
          const identity = await alice.createIdentity("alice", { suite });
          const ours = await alice.createGroup(identity);
          const { welcome } = await ours.add(await bob.createKeyPackage(await bob.createIdentity("bob", { suite })));
          await ours.applyPendingCommit();
          const theirs = await bob.joinGroup(welcome);
          await theirs.receive((await ours.update()).commit);
          await ours.applyPendingCommit();
          out.groups.push(`${suite} ${identity.keyStorage} ${await kit.same(ours, theirs)}`);
        }
        const stored = (await rows.dump("alice")).keys.map(([, value]) => value);
        out.plain = stored.filter((value) => value instanceof CryptoKey).length;
        out.wrapped = stored.filter((value) => value.sealed instanceof ArrayBuffer).length;
        // A lock that comes later leaves the keys from before as they are.
        const carol = await kit.open("carol", { thread: "current" });
        await carol.createIdentity("early");
        await carol.setLock(lock);
        await carol.createIdentity("late");
        out.carol = (await carol.identities()).map(({ name, keyStorage }) => `${name} ${keyStorage}`).sort();
        return { ...out, used: used.count(false), extractable: used.count(true) };
      }, lock);
      await page.reload();
      const after = await page.evaluate(async (lock) => {
        const out = { texts: [] };
        const [alice, bob] = await Promise.all(["alice", "bob"].map((name) => kit.open(name, { thread: "current", lock })));
        for (const id of await alice.groups()) {
          const [ours, theirs] = await Promise.all([alice, bob].map((client) => client.group(id)));
          await ours.receive((await theirs.update()).commit);
          await theirs.applyPendingCommit();
          out.texts.push((await ours.receive(await theirs.send("on we go"))).text);
        }
        return { ...out, used: used.count(false), extractable: used.count(true) };
      }, lock);
      assert.deepEqual(before.groups, ["1 wrapped true", "2 wrapped true", "4 sealed true"]);
      assert.deepEqual([before.wrapped, before.plain], [4, 0]); // of suites 1 and 2, an identity's key and a leaf's
      assert.deepEqual(before.carol, ["early non-extractable", "late wrapped"]);
      assert.deepEqual(after.texts, Array(3).fill("on we go"));
      for (const { used, extractable } of [before, after]) assert.ok(used > 0 && extractable === 0, `${used} uses of keys, and ${extractable} of extractable ones`);
    });

    for (const lock of [undefined, { passphrase: "correct horse" }]) {
      onPage(`keys of what fails, or is cancelled, are not kept in memory (lock: ${Object.keys(lock ?? { none: 0 })})`, [watchFresh], async (page) => {
        const found = await page.evaluate(async (lock) => {
          const options = { thread: "current", lock };
          const [alice, bob] = [await kit.open("alice", options), await kit.open("bob", options)];
          const identity = await alice.createIdentity("alice");
          const theirs = await bob.createIdentity("bob");
          const group = await alice.createGroup(identity);
          const out = {};
          const tried = async (name, promise) => {
            const before = fresh.adopted;
            const code = await kit.codeOf(promise());
            out[name] = [code, fresh.adopted > before, fresh.held()];
          };
          await tried("fails", () => alice.createIdentity(() => Promise.reject(new Error("no"))));
          const { put } = IDBObjectStore.prototype;
          IDBObjectStore.prototype.put = function (...params) {
            queueMicrotask(() => this.transaction.abort());
            IDBObjectStore.prototype.put = put;
            return put.apply(this, params);
          };
          await tried("is not stored", () => group.update());
          const amid = async (count) => {
            const { adopted } = fresh;
            const controller = new AbortController();
            const made = alice.createKeyPackages(identity, 300, { signal: controller.signal });
            while (fresh.adopted < adopted + count) await new Promise((resolve) => setTimeout(resolve));
            controller.abort();
            return made;
          };
          await tried("is cancelled", () => amid(10));
          await tried("is cancelled while a key is made", async () => {
            const release = fresh.hold();
            const controller = new AbortController();
            const made = alice.createKeyPackages(identity, 3, { signal: controller.signal });
            made.catch(() => {});
            while (fresh.waiting === 0) await new Promise((resolve) => setTimeout(resolve));
            controller.abort();
            setTimeout(release, 100);
            await made.finally(() => new Promise((resolve) => setTimeout(resolve, 200)));
          });
          // Nothing is forgotten of what goes on beside them.
          await tried("succeeds", async () => {
            const [keyPackages] = await Promise.all([alice.createKeyPackages(identity, 20), kit.codeOf(amid(5)), group.update()]);
            await group.applyPendingCommit();
            const ours = await bob.createGroup(theirs);
            const { welcome } = await ours.add(keyPackages[0]);
            await ours.applyPendingCommit();
            await alice.joinGroup(welcome);
          });
          return out;
        }, lock);
        assert.deepEqual(found, {
          fails: ["StateError AUTHENTICATOR_FAILED", true, 0],
          "is not stored": ["StorageError STORE_FAILED", true, 0],
          "is cancelled": ["StorageError CANCELLED", true, 0],
          "is cancelled while a key is made": ["StorageError CANCELLED", true, 0],
          succeeds: ["nothing was refused", true, 0],
        });
      });
    }

    onPage("where the browser gives null for a stored key, a lock that is taken off loses none", [nullClones], async (page) => {
      const found = await page.evaluate(async () => {
        const lock = { passphrase: "correct horse" };
        const here = { thread: "current" };
        const out = {};
        let bob = await kit.open("bob", { ...here, lock });
        const identity = await bob.createIdentity("bob");
        await bob.setLock(null, lock);
        const keyPackages = [await bob.createKeyPackage(identity)];
        out.wrapped = (await keyKit.names("bob")).length;
        await bob.close();
        bob = await kit.open("bob", here);
        keyPackages.push(await bob.createKeyPackage(identity)); // sealed, as it is in such a browser
        out.then = (await keyKit.names("bob")).length;
        const alice = await kit.open("alice", here);
        const made = await alice.createIdentity("alice");
        out.texts = [];
        for (const keyPackage of keyPackages) {
          const ours = await alice.createGroup(made);
          const { welcome } = await ours.add(keyPackage);
          await ours.applyPendingCommit();
          const theirs = await bob.joinGroup(welcome);
          out.texts.push((await theirs.receive(await ours.send("hello"))).text);
        }
        // A key that was lost is none, and in nobody's way.
        const dump = await rows.dump("bob");
        rows.set(dump, "keys", "lost", null);
        await rows.restore("bob", dump);
        await bob.setLock(lock);
        out.locked = (await bob.identities()).length;
        return out;
      });
      // Of an identity and a key package.
      assert.deepEqual(found, { wrapped: 3, then: 3, texts: ["hello", "hello"], locked: 1 });
    });

    for (const [what, script] of Object.entries({ "lacks Curve25519": withoutCurve25519, "cannot store private keys": withoutClones })) {
      onPage(`where the browser ${what}, keys are sealed and all works; or they are refused`, [script], async (page) => {
        const found = await page.evaluate(async (suites) => {
          const out = { storage: {}, privateKeys: 0, refused: {}, made: {} };
          for (const suite of suites) {
            // Nothing is missing in the worker, where bob is.
            const alice = await kit.open(`alice ${suite}`, { thread: "current" });
            const bob = await kit.open(`bob ${suite}`, { thread: "worker" });
            const identity = await alice.createIdentity("alice", { suite });
            out.storage[suite] = identity.keyStorage;
            const ours = await alice.createGroup(identity);
            const { welcome } = await ours.add(await bob.createKeyPackage(await bob.createIdentity("bob", { suite })));
            await ours.applyPendingCommit();
            const theirs = await bob.joinGroup(welcome);
            for (const [one, other] of [[ours, theirs], [theirs, ours]]) {
              await other.receive((await one.update()).commit);
              await one.applyPendingCommit();
              await other.receive(await one.send("hello"));
            }
            if (!(await kit.same(ours, theirs))) throw new Error(`suite ${suite}: the groups are not the same`);
            if (identity.keyStorage === "sealed") out.privateKeys += (await keyKit.names(`alice ${suite}`)).length;
            await alice.close();

            const strict = { thread: "current", requireNonExtractable: true };
            const other = await kit.open(`strict ${suite}`, strict);
            out.made[suite] = await other.createIdentity("other", { suite }).then((made) => made.keyStorage, (error) => `${error.constructor.name} ${error.code}`);
            out.refused[suite] = await kit.codeOf(kit.open(`alice ${suite}`, strict).then((client) => client.identities()));
            await other.close();
          }
          return out;
        }, suites);
        const keeps = what === "lacks Curve25519" ? [2, 5, 7] : [];
        for (const suite of suites) {
          const kept = keeps.includes(suite);
          assert.deepEqual(
            [found.storage[suite], found.made[suite], found.refused[suite]],
            kept ? ["non-extractable", "non-extractable", "nothing was refused"] : ["sealed", ...Array(2).fill("UnsupportedError KEYS_EXTRACTABLE")],
            `suite ${suite}`,
          );
        }
        assert.equal(found.privateKeys, 0);
      });
    }
  });
}

/** What the tests know of stored keys, in the page. */
function keyKit() {
  const walk = (value, found) => {
    if (value instanceof CryptoKey) found.push(value);
    else if (value instanceof CryptoKeyPair) found.push(value.privateKey, value.publicKey);
    else if (Array.isArray(value)) for (const part of value) walk(part, found);
    else if (value && typeof value === "object" && !ArrayBuffer.isView(value) && !(value instanceof ArrayBuffer)) for (const part of Object.values(value)) walk(part, found);
    return found;
  };
  // Firefox has no such interface: there, a pair is an object like any other.
  globalThis.CryptoKeyPair ??= class {};
  const formats = ["raw", "pkcs8", "jwk", "spki"];

  globalThis.keyKit = {
    /** All keys, wherever they are in a database. */
    keys: async (database) => walk(Object.values(await rows.dump(database)), []),
    /** The names of the private keys in a database, in order. */
    names: async (database) => (await rows.dump(database)).keys.map(([name]) => name).sort(),
    /** How a private or secret key can be read: there should be no way. */
    async waysToRead(key) {
      if (key.type === "public") return [];
      const ways = key.extractable ? [`${key.algorithm.name} is extractable`] : [];
      const wrapping = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["wrapKey"]);
      for (const format of formats) {
        const attempts = {
          export: () => crypto.subtle.exportKey(format, key),
          wrap: () => crypto.subtle.wrapKey(format, key, wrapping, { name: "AES-GCM", iv: new Uint8Array(12) }),
        };
        for (const [name, attempt] of Object.entries(attempts)) {
          const refused = await attempt().then(() => false, (error) => error instanceof DOMException);
          if (!refused) ways.push(`${name} ${format} of ${key.algorithm.name}`);
        }
      }
      return ways;
    },
  };
}

/**
 * Has the private keys that are generated in this thread, and those that are
 * imported from scalars, give their scalars away to the test, and keeps what is
 * sealed and what is stored.
 */
function spy() {
  const { generateKey, exportKey, importKey, encrypt } = SubtleCrypto.prototype;
  const bytesOf = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const spied = (globalThis.spied = {
    generated: [],
    imported: [],
    written: [], // byte strings
    clear() {
      this.generated = [];
      this.imported = [];
      this.written = [];
    },
    /** How many of the scalars are in what was written. Leading zeros may have been left out. */
    search(scalars) {
      const latin = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
      const texts = this.written.map(latin);
      return scalars.filter((scalar) => texts.some((text) => text.includes(latin(scalar).slice(2)))).length;
    },
  });
  SubtleCrypto.prototype.generateKey = async function (algorithm, extractable, usages) {
    const made = await generateKey.call(this, algorithm, true, usages);
    if (!made.privateKey) return generateKey.call(this, algorithm, extractable, usages);
    const jwk = await exportKey.call(this, "jwk", made.privateKey);
    if (usages.length) spied.generated.push(bytesOf(jwk.d));
    const privateKey = await importKey.call(this, "pkcs8", await exportKey.call(this, "pkcs8", made.privateKey), algorithm, extractable, made.privateKey.usages);
    return { publicKey: made.publicKey, privateKey };
  };
  SubtleCrypto.prototype.importKey = function (format, data, ...rest) {
    if (format === "jwk" && data.d) spied.imported.push(bytesOf(data.d));
    return importKey.call(this, format, data, ...rest);
  };
  const write = (data) => {
    if (data instanceof ArrayBuffer) spied.written.push(new Uint8Array(data).slice());
    else if (ArrayBuffer.isView(data)) spied.written.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice());
    else if (typeof data === "string") spied.written.push(new TextEncoder().encode(data));
    else if (data && typeof data === "object") for (const part of Object.values(data)) write(part);
  };
  SubtleCrypto.prototype.encrypt = function (algorithm, key, data) {
    write(data);
    return encrypt.call(this, algorithm, key, data);
  };
  for (const method of ["put", "add"]) {
    const original = IDBObjectStore.prototype[method];
    IDBObjectStore.prototype[method] = function (value, ...rest) {
      write(value);
      return original.call(this, value, ...rest);
    };
  }
}

/** Counts with what kind of private keys the program signs and derives, in this thread. */
function watchUse() {
  const uses = [];
  globalThis.used = { count: (extractable) => uses.filter((key) => key.extractable === extractable).length };
  for (const method of ["sign", "deriveBits"]) {
    const original = SubtleCrypto.prototype[method];
    SubtleCrypto.prototype[method] = function (algorithm, key, ...rest) {
      if (key.type === "private") uses.push(key);
      return original.call(this, algorithm, key, ...rest);
    };
  }
}

/** Tells how many private keys the store holds that no commit has kept, in this thread, and can hold up the making of others. */
function watchFresh() {
  const maps = new Set();
  let held;
  const fresh = (globalThis.fresh = {
    adopted: 0,
    waiting: 0,
    held: () => [...maps].reduce((sum, { size }) => sum + size, 0),
    hold() {
      let release;
      held = new Promise((resolve) => (release = resolve));
      return () => {
        held = undefined;
        release();
      };
    },
  });
  const { set } = Map.prototype;
  Map.prototype.set = function (key, value) {
    if (value?.usable instanceof Promise) {
      maps.add(this);
      fresh.adopted++;
    }
    return set.call(this, key, value);
  };
  const { generateKey } = SubtleCrypto.prototype;
  SubtleCrypto.prototype.generateKey = async function (...params) {
    fresh.waiting++;
    await held;
    fresh.waiting--;
    return generateKey.apply(this, params);
  };
}

/** A browser without Ed25519 and X25519, in this thread. */
function withoutCurve25519() {
  const { generateKey } = SubtleCrypto.prototype;
  SubtleCrypto.prototype.generateKey = async function (algorithm, ...rest) {
    if (/25519/.test(algorithm.name)) throw new DOMException("unknown algorithm", "NotSupportedError");
    return generateKey.call(this, algorithm, ...rest);
  };
}

/** A browser whose IndexedDB takes no private keys, in this thread. */
function withoutClones() {
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (value, ...rest) {
    if (value instanceof CryptoKey && value.type === "private") throw new DOMException("cannot be cloned", "DataCloneError");
    return put.call(this, value, ...rest);
  };
}

/** A browser whose IndexedDB takes private keys of X25519 and gives null for them, as WebKitGTK does, in this thread. */
function nullClones() {
  const { put } = IDBObjectStore.prototype;
  IDBObjectStore.prototype.put = function (value, ...rest) {
    const lost = value instanceof CryptoKey && value.type === "private" && value.algorithm.name === "X25519";
    return put.call(this, lost ? null : value, ...rest);
  };
}
