// The store at rest, in Chromium and Firefox: what its enemy can do to the rows, what can
// be read in them, its locks and its errors.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { launch, launchFirefox, Watched } from "./kit/browser.mjs";
import { serve } from "./kit/bare.mjs";
import { bundle } from "./kit/bundle.mjs";
import { built } from "./kit/paths.mjs";
import { rawRows } from "./kit/rows.mjs";
import { formsOf } from "./kit/search.mjs";

// Firefox asks the user whether it may keep the storage: here, the answer is yes.
const answer = { "dom.storageManager.prompt.testing": true, "dom.storageManager.prompt.testing.allow": true };
const browsers = { Chromium: launch, Firefox: () => launchFirefox({ extraPrefsFirefox: answer }) };

for (const [browserName, start] of Object.entries(browsers)) {
  describe(`the store in ${browserName}`, { timeout: 300_000 }, () => {
    let server, browser;
    // What is provoked through the protocol of Chromium's developer tools.
    const chromium = { skip: browserName !== "Chromium" && "it has no way to provoke this" };

    before(async () => {
      server = await serve(built("js/dist"), { "store.js": await bundle("host/store.ts", "host/channel.ts", "host/locks.ts") });
      browser = await start();
    });

    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    /** A test with a page of its own, on which `kit` and `rows` are what the page needs. */
    const onPage = (name, body, options = {}) =>
      test(name, options, async () => {
        const context = await browser.createBrowserContext();
        const watched = await Watched.open(context, "page");
        await watched.page.evaluateOnNewDocument(rawRows);
        await watched.page.evaluateOnNewDocument(kit);
        await watched.page.goto(server.url);
        try {
          await body(watched.page);
          assert.deepEqual(watched.faults, []);
        } catch (error) {
          await watched.save(name);
          throw error;
        } finally {
          await context.close();
        }
      });

    for (const lock of ["none", "passphrase"]) {
      onPage(`whatever is done to the rows is noticed, and nothing of it used (lock: ${lock})`, async (page) => {
        const found = await page.evaluate(async (secret) => {
          const out = {};
          for (const [name, damage] of Object.entries(kit.damages)) {
            const database = `damaged ${name}`;
            const { early, late } = await kit.history(database, secret);
            const damaged = structuredClone(late);
            damage(damaged, early, await kit.foreign(secret), await kit.foreign());
            // A live instance, which has loaded nothing but the heads.
            const live = await kit.store(database, secret);
            await rows.restore(database, damaged);
            const inLive = await kit.outcome(() => kit.readAll(live));
            live.close();
            const again = await kit.outcome(async () => {
              const store = await kit.store(database, secret);
              try {
                return await kit.readAll(store);
              } finally {
                store.close();
              }
            });
            out[name] = { inLive, again };
            await rows.restore(database, late);
            const whole = await kit.outcome(async () => kit.readAll(await kit.store(database, secret)));
            if (whole !== kit.whole) out[name].restored = whole;
          }
          return out;
        }, lock === "none" ? undefined : { kind: "passphrase", passphrase: "correct horse" });
        const tampered = "StorageError STATE_TAMPERED";
        const strange = lock === "none" ? tampered : "StateError UNLOCK_FAILED";
        for (const [name, { inLive, again, restored }] of Object.entries(found)) {
          const fresh = ["keys exchanged", "lock taken off"].includes(name) ? strange : tampered;
          if (name === "everything rolled back") {
            // A backup: a new instance cannot tell, a live one can.
            assert.deepEqual([inLive, again], [tampered, "a: one 1, two 1, in 1; b: one 1, in 1; k1"], name);
            continue;
          }
          assert.deepEqual([again, restored], [fresh, undefined], name);
          // A live instance has its keys in memory, and the root that it saw: these it does not read again.
          const unread = ["keys exchanged", "keys removed", "keys replaced by bytes", "lock taken off", "the root altered"];
          if (lock === "none") unread.push("the root's keys altered");
          assert.equal(inLive, unread.includes(name) ? "a: one 2, three 1, in 2; b: one 1, in 1; k1, k2" : tampered, `${name}, in a live instance`);
        }
        assert.ok(Object.keys(found).length > 20);
      });
    }

    onPage("a passphrase locks a database, is changed and taken off", async (page) => {
      const out = await page.evaluate(async () => {
        const [one, other] = [{ passphrase: "correct horse battery staple" }, { passphrase: "schlüssel" }];
        const out = {};
        const opened = (lock) =>
          kit.outcome(async () => {
            const client = await kit.mls("alice", lock && { lock });
            const group = await client.group((await client.groups())[0]);
            await group.send("hello");
            const storage = (await client.identities()).map(({ keyStorage }) => keyStorage);
            await client.close();
            return storage.sort().join(", ");
          });
        const alice = await kit.mls("alice");
        await alice.createGroup(await alice.createIdentity("alice"));
        out.withoutALock = await opened(one);
        const bystander = await kit.mls("alice");
        const overtaken = await bystander.group((await bystander.groups())[0]);
        await overtaken.send("before");
        const before = await rows.dump("alice");
        await alice.setLock(one);
        out.bystander = await kit.outcome(() => overtaken.send("after"));
        await (await alice.group((await alice.groups())[0])).send("after");
        const after = await rows.dump("alice");
        out.sealedAgain = after.records.every(([key, row]) => String(rows.of(before, "records", key)?.nonce) !== String(row.nonce));
        out.row = Object.entries(rows.of(after, "meta", "lock")).map(([name, value]) => `${name} ${value.constructor.name}`);
        // The old keys open nothing.
        await Promise.all([alice.close(), bystander.close()]);
        const old = structuredClone(after);
        rows.set(old, "meta", "lock", rows.of(before, "meta", "lock"));
        await rows.restore("alice", old);
        out.oldKeys = await opened();
        await rows.restore("alice", after);
        out.missing = await opened();
        out.wrong = await opened(other);
        out.right = await opened(one);
        const client = await kit.mls("alice", { lock: one });
        const still = await kit.mls("alice", { lock: one });
        await client.createIdentity("alice, locked");
        out.change = await kit.outcome(() => client.setLock(other));
        out.changeWrong = await kit.outcome(() => client.setLock(other, other));
        await client.setLock(other, one);
        out.undisturbed = await kit.outcome(async () => (await (await still.group((await still.groups())[0])).send("still")).length > 0);
        await Promise.all([client.close(), still.close()]);
        out.former = await opened(one);
        out.changed = await opened({ passphrase: other.passphrase.normalize("NFD") }); // as another keyboard types it
        const last = await kit.mls("alice", { lock: other });
        await last.setLock(null, other);
        await last.createIdentity("alice, open");
        await last.close();
        out.takenOff = await opened();
        out.stillGiven = await opened(other);
        const born = await kit.mls("carol", { lock: one });
        await born.createGroup(await born.createIdentity("carol"));
        await born.close();
        out.born = await kit.outcome(() => kit.mls("carol"));
        out.empty = await kit.outcome(() => kit.mls("dave", { lock: { passphrase: "" } }));
        return out;
      });
      const locked = "StateError DATABASE_LOCKED";
      const failed = "StateError UNLOCK_FAILED";
      assert.deepEqual(out, {
        withoutALock: failed,
        bystander: locked,
        sealedAgain: true,
        row: ["kind String", "salt Uint8Array", "passes Number", "memory Number", "id Uint8Array", "nonces Array", "seal ArrayBuffer", "mac ArrayBuffer"],
        oldKeys: "StorageError STATE_TAMPERED",
        missing: locked,
        wrong: failed,
        right: "non-extractable", // it was made before the lock
        change: locked,
        changeWrong: failed,
        undisturbed: true,
        former: failed,
        changed: "non-extractable, wrapped",
        takenOff: "non-extractable, wrapped, wrapped",
        stillGiven: failed,
        born: locked,
        empty: "StateError INVALID_ARGUMENT",
      });
    });

    test("a passkey locks a database", chromium, async () => {
      const context = await browser.createBrowserContext();
      const { page, faults } = await Watched.open(context, "passkey");
      await page.evaluateOnNewDocument(rawRows);
      await page.evaluateOnNewDocument(kit);
      try {
        await page.goto(server.url.replace("127.0.0.1", "localhost")); // an address has no passkeys
        const session = await page.createCDPSession();
        await session.send("WebAuthn.enable");
        const authenticator = (hasPrf) =>
          session.send("WebAuthn.addVirtualAuthenticator", {
            options: {
              protocol: "ctap2",
              ctap2Version: "ctap2_1",
              transport: "internal",
              hasResidentKey: true,
              hasUserVerification: true,
              isUserVerified: true,
              automaticPresenceSimulation: true,
              hasPrf,
            },
          });
        const { authenticatorId } = await authenticator(true);
        const made = await page.evaluate(async () => {
          const passkey = { passkey: { name: "alice's messages" } };
          const alice = await kit.mls("alice", { lock: passkey });
          await alice.createGroup(await alice.createIdentity("alice"));
          await alice.close();
          const again = await kit.mls("alice", { lock: passkey });
          const [identity] = await again.identities();
          await again.close();
          return [
            identity.keyStorage,
            rows.of(await rows.dump("alice"), "meta", "lock").kind,
            await kit.outcome(() => kit.mls("alice")),
            await kit.outcome(() => kit.mls("alice", { lock: { passphrase: "a passphrase" } })),
          ];
        });
        assert.deepEqual(made, ["wrapped", "passkey", "StateError DATABASE_LOCKED", "StateError UNLOCK_FAILED"]);
        assert.equal((await session.send("WebAuthn.getCredentials", { authenticatorId })).credentials.length, 1);
        const changed = await page.evaluate(async () => {
          const [passkey, passphrase] = [{ passkey: {} }, { passphrase: "a passphrase" }];
          const alice = await kit.mls("alice", { lock: passkey });
          await alice.setLock(passphrase, passkey);
          await alice.setLock(passkey, passphrase); // a new one
          await alice.setLock(null, passkey);
          await alice.close();
          const open = await kit.mls("alice");
          const count = (await open.groups()).length;
          await open.close();
          await kit.mls("dave", { lock: passkey });
          const other = await kit.mls("bob");
          const unset = await kit.outcome(() => other.setLock(null, passkey));
          return [count, unset, await kit.outcome(() => kit.mls("bob", { lock: passkey }))];
        });
        assert.deepEqual(changed, [1, "StateError UNLOCK_FAILED", "StateError UNLOCK_FAILED"]);
        assert.equal((await session.send("WebAuthn.getCredentials", { authenticatorId })).credentials.length, 3);
        await session.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
        const refused = await page.evaluate(() => kit.outcome(() => kit.mls("dave", { lock: { passkey: {} } })));
        assert.equal(refused, "StateError UNLOCK_FAILED");
        await session.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId });
        await authenticator(false);
        const without = await page.evaluate(() => kit.outcome(() => kit.mls("carol", { lock: { passkey: {} } })));
        assert.equal(without, "UnsupportedError LOCK_UNSUPPORTED");
        assert.deepEqual(faults, []);
      } finally {
        await context.close();
      }
    });

    onPage("a lock that the user says yes to after the client was closed opens nothing again", async (page) => {
      const out = await page.evaluate(async () => {
        globalThis.PublicKeyCredential ??= class {};
        let answer;
        const create = () => new Promise((resolve) => (answer = resolve));
        Object.defineProperty(navigator, "credentials", { value: { create } });
        const alice = await kit.mls("alice");
        const setting = kit.outcome(() => alice.setLock({ passkey: {} }));
        await kit.until(() => answer);
        await alice.close();
        answer({ rawId: new ArrayBuffer(16), getClientExtensionResults: () => ({ prf: { results: { first: new ArrayBuffer(32) } } }) });
        return [await setting, rows.of(await rows.dump("alice"), "meta", "lock").kind];
      });
      assert.deepEqual(out, ["StateError CLOSED", "none"]);
    });

    onPage("a full disk stops an operation, and nothing is lost by it", async (page) => {
      const session = await page.createCDPSession();
      const origin = new URL(server.url).origin;
      const quota = (quotaSize) => session.send("Storage.overrideQuotaForOrigin", { origin, ...(quotaSize !== undefined && { quotaSize }) });
      await quota(4 << 20);
      const full = await page.evaluate(async () => {
        const [alice, bob] = [await kit.mls("alice"), await kit.mls("bob")];
        const ours = await alice.createGroup(await alice.createIdentity("alice"));
        const { welcome } = await ours.add(await bob.createKeyPackage(await bob.createIdentity("bob")));
        await ours.applyPendingCommit();
        const theirs = await bob.joinGroup(welcome);
        globalThis.theirs = theirs;
        globalThis.received = 0;
        return kit.outcome(async () => {
          for (;; received++) {
            globalThis.message = await ours.send(String(received).padStart(1 << 20, "x"));
            await theirs.receive(message);
          }
        });
      });
      await quota();
      const { later, received } = await page.evaluate(async () => {
        const later = await kit.outcome(async () => Number((await theirs.receive(message)).text.replaceAll("x", "")));
        return { later, received: (await theirs.inbox()).length };
      });
      assert.equal(full, "StorageError STORE_QUOTA");
      assert.equal(received, later + 1);
    }, chromium);

    for (const thread of ["worker", "current"]) {
      onPage(`a database that is deleted is an error of its own, and not made again behind one's back (thread: ${thread})`, async (page) => {
        const out = await page.evaluate(async (thread) => {
          const heard = [];
          const clients = [await kit.mls("alice", { thread }), await kit.mls("alice", { thread })];
          const group = await clients[0].createGroup(await clients[0].createIdentity("alice"));
          for (const on of [...clients, group]) on.on("closed", (event, of) => heard.push(`${event.groupId} ${of === group}`));
          await (await import("/webmls/index.js")).MLS.deleteDatabase("alice");
          await kit.until(() => heard.length === 3);
          const calls = [() => group.send("hello"), () => group.members(), () => clients[1].groups(), () => clients[0].createIdentity("again")];
          const codes = [];
          for (const call of calls) codes.push(await kit.outcome(call));
          const databases = (await indexedDB.databases()).map(({ name }) => name);
          await Promise.all(clients.map((client) => client.close()));
          const fresh = (await (await kit.mls("alice", { thread })).groups()).length;
          return { heard: heard.sort(), codes: [...new Set(codes)], databases, fresh };
        }, thread);
        assert.deepEqual(out, {
          heard: ["undefined false", "undefined false", "undefined true"],
          codes: ["StorageError STORE_DELETED"],
          databases: [],
          fresh: 0,
        });
      });
    }

    onPage("storage that the user clears is deleted too", async (page) => {
      await page.evaluate(async () => {
        globalThis.alice = await kit.mls("alice");
        globalThis.group = await alice.createGroup(await alice.createIdentity("alice"));
        globalThis.hearsOfIt = new Promise((resolve) => alice.on("closed", resolve));
      });
      const session = await page.createCDPSession();
      await session.send("Storage.clearDataForOrigin", { origin: new URL(server.url).origin, storageTypes: "indexeddb" });
      assert.deepEqual(await page.evaluate(() => hearsOfIt), { type: "closed" });
      assert.equal(await page.evaluate(() => kit.outcome(() => group.send("hello"))), "StorageError STORE_DELETED");
    }, chromium);

    onPage("a tab with an older version that does not give way is named, and so is a database of a newer version", async (page) => {
      const out = await page.evaluate(async () => {
        const open = (name, version) =>
          new Promise((resolve, reject) => {
            const request = indexedDB.open(name, version);
            request.onupgradeneeded = () => {
              const stores = ["records", "revisions", "meta"].map((store) => request.result.createObjectStore(store));
              stores[2].put(1, "format");
            };
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
          });
        const old = await open("alice", 1);
        const blocked = await kit.outcome(() => kit.mls("alice"));
        old.close();
        const free = await kit.outcome(async () => (await (await kit.mls("alice")).groups()).length);
        (await open("bob", 99)).close();
        const newer = await kit.outcome(() => kit.mls("bob"));
        const format = await kit.mls("carol");
        await format.close();
        const dump = await rows.dump("carol");
        rows.set(dump, "meta", "format", 3);
        await rows.restore("carol", dump);
        const newerFormat = await kit.outcome(() => kit.mls("carol"));
        return { blocked, free, newer, newerFormat };
      });
      assert.deepEqual(out, {
        blocked: "StorageError STORE_BLOCKED",
        free: 0,
        newer: "StorageError STATE_VERSION",
        newerFormat: "StorageError STATE_VERSION",
      });
    });

    onPage("where there is no storage, that is said", async (page) => {
      const without = await page.evaluate(() => {
        Object.defineProperty(globalThis, "indexedDB", { value: undefined });
        return kit.outcome(() => kit.mls("alice", { thread: "current" }));
      });
      assert.equal(without, "StorageError STORE_UNAVAILABLE");
      await page.goto(`${server.url}nowhere`);
      assert.equal(await page.evaluate(() => globalThis.origin), "null");
      assert.equal(await page.evaluate(() => kit.outcome(() => kit.mls("alice", { thread: "current" }))), "StorageError STORE_UNAVAILABLE");
    });

    for (const thread of ["worker", "current"]) {
      onPage(`a client without a database stores nothing, and needs no storage (thread: ${thread})`, async (page) => {
        const out = await page.evaluate(async (thread) => {
          const options = { thread, requireNonExtractable: true };
          if (thread === "current") Object.defineProperty(globalThis, "indexedDB", { value: undefined });
          const [alice, bob] = [await kit.mls(null, options), await kit.mls(null, options)];
          const identities = [await alice.createIdentity("alice"), await alice.createIdentity("alice", { suite: 2 }), await bob.createIdentity("bob")];
          const ours = await alice.createGroup(identities[0]);
          const { welcome } = await ours.add(await bob.createKeyPackage(identities[2]));
          await ours.applyPendingCommit();
          const theirs = await bob.joinGroup(welcome);
          const out = { keys: identities.map(({ keyStorage }) => keyStorage), texts: [] };
          for (let i = 0; i < 3; i++) {
            out.texts.push((await theirs.receive(await ours.send(`hello ${i}`))).text);
            await ours.receive((await theirs.update()).commit);
            await theirs.applyPendingCommit();
          }
          out.inbox = (await theirs.inbox()).length;
          out.again = String((await (await bob.group(ours.id)).info()).epoch);
          const secret = { passphrase: "correct horse" };
          out.locks = [await kit.outcome(() => alice.setLock(secret)), await kit.outcome(() => kit.mls(null, { lock: secret }))];
          out.missing = await kit.outcome(() => kit.mls(undefined));
          out.held = (await navigator.locks.query()).held.filter(({ name }) => /^webmls\/(null)?\//.test(name)).length;
          await Promise.all([alice.close(), bob.close()]);
          out.closed = await kit.outcome(() => ours.send("hello"));
          const next = await kit.mls(null, options);
          out.gone = [(await next.groups()).length, (await next.identities()).length];
          return out;
        }, thread);
        assert.deepEqual(out, {
          keys: Array(3).fill("non-extractable"),
          texts: ["hello 0", "hello 1", "hello 2"],
          inbox: 3,
          again: "4",
          locks: Array(2).fill("StateError INVALID_ARGUMENT"),
          missing: "StateError INVALID_ARGUMENT",
          held: 0,
          closed: "StateError CLOSED",
          gone: [0, 0],
        });
        assert.deepEqual(await page.evaluate(async () => globalThis.indexedDB ? (await indexedDB.databases()).length : 0), 0);
      });
    }

    onPage("a client without a database is over when the program behind it dies", async (page) => {
      const codes = await page.evaluate(async () => {
        const start = Worker.prototype.postMessage;
        let worker;
        Worker.prototype.postMessage = function (...params) {
          worker = this;
          return start.apply(this, params);
        };
        const alice = await kit.mls(null, { thread: "worker" });
        const group = await alice.createGroup(await alice.createIdentity("alice"));
        const pending = kit.outcome(() => group.send("hello"));
        worker.terminate();
        return [await pending, await kit.outcome(() => group.send("hello")), await kit.outcome(() => alice.groups())];
      });
      assert.deepEqual(codes, ["InternalError INSTANCE_DIED", "StorageError STORE_DELETED", "StorageError STORE_DELETED"]);
    });

    onPage("what is only received may be lost with the power, and nothing else", async (page) => {
      const asked = await page.evaluate(async () => {
        const written = [];
        const real = IDBDatabase.prototype.transaction;
        IDBDatabase.prototype.transaction = function (names, mode, options) {
          if (mode === "readwrite") written.push(options?.durability ?? "none");
          return real.call(this, names, mode, options);
        };
        const during = async (action) => {
          written.length = 0;
          const result = await action();
          return [result, [...new Set(written)].join()];
        };
        const [alice, bob] = [await kit.mls("alice", { thread: "current" }), await kit.mls("bob", { thread: "current" })];
        const ours = await alice.createGroup(await alice.createIdentity("alice"));
        const out = {};
        let commit, sealed, event;
        [{ welcome: event }, out.add] = await during(async () => ours.add(await bob.createKeyPackage(await bob.createIdentity("bob"))));
        [, out.apply] = await during(() => ours.applyPendingCommit());
        let theirs;
        [theirs, out.join] = await during(() => bob.joinGroup(event));
        [sealed, out.send] = await during(() => ours.send("one"));
        [event, out.receive] = await during(() => theirs.receive(sealed));
        [, out.acknowledge] = await during(() => theirs.acknowledge(event));
        const list = await ours.sendAll(["two", "three"]);
        [, out.receiveAll] = await during(() => theirs.receiveAll(list));
        [{ commit }, out.update] = await during(() => ours.update());
        await ours.applyPendingCommit();
        [, out.commit] = await during(() => theirs.receive(commit));
        sealed = await ours.sendAll(["three and a half", "and a quarter"]);
        [, out.strict] = await during(() => theirs.receive(sealed[0], { durability: "strict" }));
        [, out.strictAll] = await during(() => theirs.receiveAll([sealed[1]], { durability: "strict" }));
        // What is sent beside it is not lost.
        sealed = await ours.send("four");
        [, out.both] = await during(() => Promise.all([theirs.send("five"), theirs.receive(sealed)]));
        return out;
      });
      assert.deepEqual(asked, {
        add: "strict", apply: "strict", join: "strict", send: "strict", receive: "relaxed", acknowledge: "relaxed",
        receiveAll: "relaxed", update: "strict", commit: "relaxed", strict: "strict", strictAll: "strict", both: asked.both,
      });
      assert.match(asked.both, /^strict(,relaxed)?$/); // the send comes first
    });

    onPage("persistence can be asked for, and how much is stored", async (page) => {
      const [persistent, { usage, quota }] = await page.evaluate(async () => {
        const { MLS } = await import("/webmls/index.js");
        await kit.mls("alice");
        return [await MLS.requestPersistence(), await MLS.storageEstimate()];
      });
      assert.equal(typeof persistent, "boolean");
      assert.ok(usage > 0 && quota > usage, `${usage} of ${quota}`);
    });

    onPage("nothing of what is stored can be read in the rows", async (page) => {
      const words = ["alice-in-the-credential", "said-in-the-group", "group-of-this-name"];
      const dump = await page.evaluate(async ([name, text, id]) => {
        const alice = await kit.mls("alice");
        const bob = await kit.mls("bob");
        const group = await alice.createGroup(await alice.createIdentity(name), { id: new TextEncoder().encode(id) });
        const { welcome } = await group.add(await bob.createKeyPackage(await bob.createIdentity("bob")));
        await group.applyPendingCommit();
        await (await bob.joinGroup(welcome)).receive(await group.send(text));
        const bytes = (value) => (value instanceof Uint8Array ? value : value instanceof ArrayBuffer ? new Uint8Array(value) : undefined);
        const all = [];
        const collect = (value) => {
          if (bytes(value)) all.push(...bytes(value));
          else if (typeof value === "string") all.push(...new TextEncoder().encode(value));
          else if (typeof value === "object" && value) Object.values(value).forEach(collect);
        };
        for (const database of ["alice", "bob"]) collect(await rows.dump(database));
        const keys = Object.values(await rows.dump("bob")).flat().filter(([, value]) => value instanceof CryptoKey);
        return { all, keys: keys.length, extractable: keys.filter(([, key]) => key.extractable).length };
      }, words);
      const stored = Buffer.from(dump.all);
      assert.ok(stored.length > 2000);
      const found = words.flatMap((word) => Object.entries(formsOf(word)).flatMap(([form, needle]) => (stored.includes(needle) ? [`${form} of ${word}`] : [])));
      // The ids of scopes name groups: they are the keys of the rows.
      assert.deepEqual(found, ["hex of group-of-this-name"]);
      assert.deepEqual([dump.keys > 0, dump.extractable], [true, 0]);
    });

    onPage("of more instances than it remembers a store hears everything once", async (page) => {
      const out = await page.evaluate(async () => {
        const count = 103;
        const posted = [];
        const channel = { listen: () => {}, post: (notice) => notice.kind === "event" && posted.push(notice.sealed) };
        const listener = await kit.store("many");
        const others = [];
        for (let i = 0; i < count; i++) others.push(await kit.store("many", undefined, { channel }));
        const tell = async (i, base) => {
          await others[i].commit([{ ...kit.put("a", base, { one: "one" }), scope: i.toString(16).padStart(4, "0") }], [], []);
          others[i].tell({ kind: "closed", group: new Uint8Array([i]) });
          await others[i].told;
        };
        const heard = async (events) => {
          const groups = [];
          for (const event of events) groups.push(...(await listener.hear(event)).map(({ group }) => group[0]));
          return groups;
        };
        for (let i = 0; i < count; i++) await tell(i, 0);
        const first = await heard(posted);
        const again = await heard(posted);
        await tell(0, 1); // it is not remembered
        await tell(count - 1, 1);
        const more = await heard(posted);
        const late = await kit.store("many");
        return { first: first.length, again, more, own: await others[5].hear(posted[5]), late: await late.hear(posted.at(-1)) };
      });
      assert.deepEqual([out.first, out.again, out.more], [103, [], [0, 102]]);
      assert.deepEqual([out.own, out.late], [[], []]);
    });

    for (const lock of [undefined, { passphrase: "correct horse" }]) {
      onPage(`a private key in the place of another is not used (lock: ${Object.keys(lock ?? { none: 0 })})`, async (page) => {
        const codes = await page.evaluate(async (options) => {
          const out = {};
          for (const suite of options.lock ? [1] : [1, 2]) {
            const database = `suite ${suite}`;
            const alice = await kit.mls(database, options);
            const first = await alice.createIdentity("one", { suite });
            const before = (await rows.dump(database)).keys.map(([name]) => name);
            await alice.createIdentity("other", { suite });
            await alice.close();
            const whole = await rows.dump(database);
            const [one, other] = before.concat(whole.keys.map(([name]) => name).filter((name) => !before.includes(name)));
            const tried = async (change) => {
              const dump = { ...whole, keys: [...whole.keys] };
              change(dump, rows.of(dump, "keys", one), rows.of(dump, "keys", other));
              await rows.restore(database, dump);
              const client = await kit.mls(database, options);
              const code = await kit.outcome(async () => (await client.createGroup(first)).epoch.toString());
              await client.close();
              return code;
            };
            out[suite] = [
              await tried((dump, mine, other) => rows.set(dump, "keys", one, other)),
              await tried((dump) => rows.set(dump, "keys", one, undefined)),
              await tried(() => {}),
            ];
          }
          return out;
        }, lock ? { lock } : {});
        const expected = ["StorageError STATE_TAMPERED", "StorageError KEY_NOT_FOUND", "0"];
        assert.deepEqual(codes, lock ? { 1: expected } : { 1: expected, 2: expected });
      });
    }

    onPage("a client says what was tampered with, and does not go on with it", async (page) => {
      const out = await page.evaluate(async () => {
        const alice = await kit.mls("alice");
        const group = await alice.createGroup(await alice.createIdentity("alice"));
        await group.send("one");
        // So long that it has a row of its own.
        await group.commit({ add: [await alice.createKeyPackage(await alice.createIdentity("x".repeat(5000)))] });
        const [client, own] = (await rows.dump("alice")).revisions.map(([scope]) => scope).sort();
        const hit = async (store, scope) => {
          const dump = await rows.dump("alice");
          const [key, row] = dump[store].find(([key]) => [key].flat()[0] === scope);
          rows.set(dump, store, key, { ...row, sealed: rows.flip(row.sealed) });
          await rows.restore("alice", dump);
        };
        const whole = await rows.dump("alice");
        const said = async (f) => f().then((value) => value, (error) => `${error.name} ${error.code}: ${error.detail}`);
        const out = {};
        await hit("records", own);
        const other = await kit.mls("alice");
        out.groups = (await other.groups()).length;
        out.group = await said(() => other.group(group.id));
        // Who has the group in memory writes on, and loads nothing of it.
        await group.send("two");
        out.stillNoticed = await said(() => other.group(group.id));
        await Promise.all([alice.close(), other.close()]);
        await rows.restore("alice", whole);
        await hit("revisions", client);
        out.client = await said(() => kit.mls("alice"));
        return out;
      });
      assert.deepEqual(out, {
        groups: 1,
        group: "StorageError STATE_TAMPERED: record pending of scope group",
        stillNoticed: "StorageError STATE_TAMPERED: record pending of scope group",
        client: "StorageError STATE_TAMPERED: head of scope client",
      });
    });

    onPage("a live instance goes on from what it knows, and from nothing that was tampered with", async (page) => {
      const out = await page.evaluate(async () => {
        const out = {};
        const heads = ["a head altered", "a head removed", "a revision rolled back", "a scope rolled back"];
        for (const moved of [false, true]) {
          for (const name of [...heads, "the root rolled back", "the root removed", "everything rolled back"]) {
            const database = `damaged ${name}, ${moved}`;
            let { early, late } = await kit.history(database);
            const live = await kit.store(database);
            await kit.readAll(live);
            if (moved) {
              // Another instance writes elsewhere: now the root says nothing of the heads that are known.
              const other = await kit.store(database);
              await other.commit([kit.put("c", 0, { in: "in 1" })], [], []);
              other.close();
              late = await rows.dump(database);
            }
            kit.damages[name](late, early);
            if (name === "a head altered") rows.of(late, "revisions", "61").nonce[0] ^= 1;
            await rows.restore(database, late);
            const damaged = await rows.dump(database);
            const code = await kit.outcome(() => live.commit([kit.put("a", 2, { ONE: "one 3" })], [], []));
            live.close();
            const after = await rows.dump(database);
            const nonces = (dump) => Object.values(dump).flatMap((list) => list.map(([, row]) => String(row.nonce))).join(" ");
            const found = await kit.outcome(async () => kit.readAll(await kit.store(database)));
            out[`${name}${moved ? ", moved" : ""}`] = nonces(after) === nonces(damaged) ? `${code}, unwritten` : `${code}: ${found}`;
          }
        }
        // A scope that was taken away is not one that never was, also for who has not loaded it.
        const { late } = await kit.history("taken away");
        const live = await kit.store("taken away");
        kit.damages["a scope removed"](late);
        await rows.restore("taken away", late);
        out["a scope taken away"] = await kit.outcome(() => live.commit([kit.put("b", 0, { ONE: "one 1" })], [], []));
        live.close();
        return out;
      });
      const tampered = "StorageError STATE_TAMPERED";
      const again = "undefined: a: one 3, three 1, in 2; b: one 1, in 1; k1, k2";
      for (const [name, outcome] of Object.entries(out)) {
        let expected = `${tampered}, unwritten`;
        // The root is as it was left: what the heads are is known, and what was made of them is written over.
        if (["a head altered", "a head removed", "a revision rolled back"].includes(name)) expected = again;
        if (name === "a scope rolled back") expected = `undefined: ${tampered}`;
        if (name === "a scope taken away") expected = tampered;
        assert.equal(outcome, expected, name);
      }
    });

    onPage("a scope that another instance has written is stale, whatever was written elsewhere meanwhile", async (page) => {
      const out = await page.evaluate(async () => {
        await kit.history("moved");
        const [live, other] = [await kit.store("moved"), await kit.store("moved")];
        await kit.readAll(live);
        await other.commit([kit.put("a", 2, { in: "in 3" })], [], []);
        // From here on the root is known again, and the head of the other scope is not.
        await live.commit([kit.put("b", 1, { in: "in 2" })], [], []);
        const stale = [];
        for (let i = 0; i < 2; i++) stale.push(await kit.outcome(() => live.commit([kit.put("a", 2, { in: "lost" })], [], [])));
        await live.load("61");
        await live.commit([kit.put("a", 3, { ONE: "one 4" })], [], []);
        return [...stale, await kit.readAll(await kit.store("moved"))];
      });
      assert.deepEqual(out, ["StorageError STALE", "StorageError STALE", "a: one 4, three 1, in 3; b: one 1, in 2; k1, k2"]);
    });

    onPage("a record is in the head of its scope or in a row of its own, and leaves the one for the other", async (page) => {
      const out = await page.evaluate(async () => {
        const store = await kit.store("places");
        const own = async () => (await rows.dump("places")).records.map(([[, name]]) => name).join(" ");
        const places = [];
        let base = 0;
        const write = async (sizes, rest) => {
          const names = Object.keys(sizes);
          const values = Object.values(sizes).map((size) => new Uint8Array(size).fill(base + 1));
          await store.commit([{ ...kit.put("a", base++, {}, rest), names, values }], [], []);
          // It is the same for who opens it anew: each name once, with its last value.
          const fresh = await kit.store("places");
          const found = await fresh.load("61");
          fresh.close();
          places.push(`${await own()} | ${found.names.map((name, i) => `${name} ${found.values[i].length}/${found.values[i][0]}`).sort().join(", ")}`);
        };
        await write({ a: 100, b: 2048, c: 2049 });
        await write({ a: 3000, c: 10 }); // one grows, one shrinks
        await write({ d: 2000, e: 2000, f: 2000 }); // there is room for all but the one that is large
        await write({ c: 20, b: 30 }); // what was in a row comes back
        await write({}, { delete: ["a", "c", "nowhere"] });
        await write(Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`g${i}`, 1500]))); // more than there is room for: the largest go
        await write({ d: 1 }, { deleteAll: true });
        const again = await kit.outcome(() => store.commit([kit.put("a", 0, { d: "x" })], [], []));
        return { places, again };
      });
      assert.deepEqual(out.places, [
        "c | a 100/1, b 2048/1, c 2049/1",
        "a | a 3000/2, b 2048/1, c 10/2",
        "a | a 3000/2, b 2048/1, c 10/2, d 2000/3, e 2000/3, f 2000/3",
        "a | a 3000/2, b 30/4, c 20/4, d 2000/3, e 2000/3, f 2000/3",
        " | b 30/4, d 2000/3, e 2000/3, f 2000/3",
        "d e f g0 | b 30/4, d 2000/3, e 2000/3, f 2000/3, g0 1500/6, g1 1500/6, g2 1500/6, g3 1500/6, g4 1500/6, g5 1500/6",
        " | d 1/7",
      ]);
      assert.equal(out.again, "StorageError STALE");
    });

    onPage("what was deleted or written over is in no row any more, and not in memory", async (page) => {
      const out = await page.evaluate(async () => {
        const store = await kit.store("gone");
        const given = [];
        const commit = (base, records, rest) => {
          const change = kit.put("a", base, records, rest);
          given.push(...change.values);
          return store.commit([change], [], []);
        };
        const sealed = (dump) => [...dump.records, ...dump.revisions].map(([, row]) => rows.text(row.sealed));
        const clear = () => given.map((value) => value.some((byte) => byte > 0));
        await commit(0, { in: "a secret", other: "another", LONG: "a long one" });
        const first = [sealed(await rows.dump("gone")), clear()];
        await commit(1, { in: "its successor" }, { delete: ["LONG"] });
        const second = [sealed(await rows.dump("gone")), clear()];
        await store.load("61"); // what is the store's stays the store's
        const third = clear();
        await kit.outcome(() => commit(7, { in: "never stored" }));
        const fourth = clear();
        await commit(2, { in: "x" }, { deleteAll: true });
        const fifth = clear();
        store.close();
        return { left: second[0].filter((text) => first[0].includes(text)).length, clear: [first[1], second[1], third, fourth, fifth, clear()] };
      });
      assert.deepEqual(out, {
        left: 0,
        clear: [
          [true, true, false],
          [false, true, false, true],
          [false, true, false, true],
          [false, true, false, true, false],
          [false, false, false, false, false, true],
          [false, false, false, false, false, false],
        ],
      });
    });

    onPage("a program that ends while it writes leaves the one state or the other", async (page) => {
      const out = await page.evaluate(async () => {
        const found = new Set();
        for (const [how, cut] of ["ends", "fails"].flatMap((how) => [0, 1, 2, 3, 4].map((cut) => [how, cut]))) {
          const database = `${how} ${cut}`;
          await kit.history(database);
          const store = await kit.store(database);
          await kit.readAll(store);
          // After so many requests of the next transaction it is over: Chromium and Firefox undo what is unfinished.
          // Or the browser cannot carry one out.
          const { put } = IDBObjectStore.prototype;
          let puts = 0;
          IDBObjectStore.prototype.put = function (...params) {
            const request = put.apply(this, params);
            if (puts++ === cut) how === "ends" ? request.addEventListener("success", () => this.transaction.abort()) : this.add(...params);
            return request;
          };
          const filler = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`f${i}`, "f".repeat(2000)]));
          const code = await kit.outcome(() => store.commit([kit.put("a", 2, { ONE: "one 3", in: "in 3", ...filler })], [], []));
          IDBObjectStore.prototype.put = put;
          // The same instance knows that nothing was stored.
          await store.commit([kit.put("a", 2, { THREE: "three 2" })], [], []);
          found.add(`${code}: ${await kit.readAll(await kit.store(database))}`);
        }
        return [...found];
      });
      assert.deepEqual(out, ["StorageError STORE_FAILED: a: one 2, three 2, in 2; b: one 1, in 1; k1, k2"]);
    });

    onPage("a batch of which a part cannot be stored is not stored at all", async (page) => {
      const out = await page.evaluate(async () => {
        const store = await kit.store("whole");
        await store.commit([kit.put("a", 0, { one: "one 1" })], [], []);
        const before = JSON.stringify(rows.toJSON(await rows.dump("whole").then(({ records, revisions, keys }) => ({ records, revisions, keys }))));
        const other = await kit.store("whole");
        const codes = [];
        // The keys come last: all that is before them was asked for already.
        store.adopt("odd", { extractable: false, cannotBeCloned() {} });
        codes.push(await kit.outcome(() => store.commit([kit.put("a", 1, { one: "one 2" })], ["odd"], [])));
        codes.push(await kit.outcome(() => store.commit([kit.put("a", 1, { one: "one 3" })], ["never adopted"], [])));
        codes.push(await kit.outcome(() => store.commit([kit.put("b", 0, { one: "one" }), kit.put("a", 0, { one: "one 4" })], [], [])));
        const after = JSON.stringify(rows.toJSON(await rows.dump("whole").then(({ records, revisions, keys }) => ({ records, revisions, keys }))));
        // What another instance writes in between makes one of these stale, whichever was asked for first.
        await store.load("61");
        const both = await Promise.all([store, other].map((each, i) => kit.outcome(() => each.commit([kit.put("a", 1, { one: `one of ${i}` })], [], []))));
        // So is what it has made, of a scope that was nowhere when this one looked.
        await store.commit([kit.put("b", 0, { one: "one" })], [], []);
        both.push(await kit.outcome(() => other.commit([kit.put("b", 0, { one: "one" })], [], [])));
        return { codes, unchanged: before === after, both: both.map(String).sort(), whole: (await (await kit.store("whole")).load("61")).revision };
      });
      assert.deepEqual(out, {
        codes: ["StorageError STORE_FAILED", "StorageError KEY_NOT_FOUND", "StorageError STALE"],
        unchanged: true,
        both: ["StorageError STALE", "StorageError STALE", "undefined"],
        whole: 2,
      });
    });

    onPage("a batch that is refused while it is being stored is not stored at all", async (page) => {
      const out = await page.evaluate(async () => {
        const store = await kit.store("refused");
        await store.commit([kit.put("a", 0, { one: "one 1" })], [], []);
        const dump = async () => JSON.stringify(rows.toJSON(await rows.dump("refused").then(({ records, revisions, keys }) => ({ records, revisions, keys }))));
        const before = await dump();
        // All is asked for by then, and nothing was answered.
        const { put } = IDBObjectStore.prototype;
        let puts = 0;
        let answered = 0;
        IDBObjectStore.prototype.put = function (...params) {
          puts++;
          const request = put.apply(this, params);
          request.addEventListener("success", () => answered++);
          return request;
        };
        const seen = [];
        const check = (comes) => () => {
          seen.push([puts > 0, answered]);
          return comes();
        };
        const codes = [];
        for (const comes of [() => false, () => undefined, () => { throw new Error("a trap"); }]) {
          codes.push(await kit.outcome(() => store.commit([kit.put("a", 1, { one: "one 2", LONG: "long" }), kit.put("b", 0, { two: "two" })], [], [], check(comes))));
        }
        const unchanged = (await dump()) === before && answered === 0;
        await store.commit([kit.put("a", 1, { one: "one 3" })], [], [], check(() => true));
        IDBObjectStore.prototype.put = put;
        return { codes, seen, unchanged, then: await kit.readAll(await kit.store("refused")) };
      });
      assert.deepEqual(out.codes, Array(3).fill("StorageError STORE_FAILED"));
      assert.deepEqual(out.seen, Array(4).fill([true, 0]));
      assert.ok(out.unchanged);
      assert.match(out.then, /^a: one 3\b/);
    });

    onPage("instances that write at the same time leave a whole database", async (page) => {
      const out = await page.evaluate(async () => {
        const stores = await Promise.all(Array.from({ length: 3 }, () => kit.store("shared")));
        const stale = { count: 0 };
        // Each writes to a scope of its own and to one of all.
        await Promise.all(
          stores.map(async (store, i) => {
            for (let n = 0; n < 20; n++) {
              await store.commit([{ ...kit.put("a", n, { [`r${n}`]: `${i} ${n}` }), scope: `0${i}` }], [], []);
              for (;;) {
                const { revision } = await store.load("61");
                const code = await kit.outcome(() => store.commit([kit.put("a", revision, { [`r${i}.${n}`]: "x" })], [], []));
                if (code === undefined) break;
                if (code !== "StorageError STALE") throw new Error(code);
                stale.count++;
              }
            }
          }),
        );
        const fresh = await kit.store("shared");
        const own = await Promise.all([0, 1, 2].map(async (i) => (await fresh.load(`0${i}`)).names.length));
        return { own, all: (await fresh.load("61")).names.length, revision: await fresh.revision("61"), stale: stale.count };
      });
      assert.deepEqual([out.own, out.all, out.revision], [[20, 20, 20], 60, 60]);
      assert.ok(out.stale > 0, "nobody was in anybody's way");
    });

    for (const version of [2, 3]) onPage(`a database of version ${version} opens, as it was left by the package that introduced it`, async (page) => {
      const { passphrase, expected, messages, rows: stored } = JSON.parse(readFileSync(new URL(`fixtures/database-version-${version}.json`, import.meta.url)));
      const found = await page.evaluate(async (version, passphrase, messages, stored) => {
        await rows.make("alice", version, rows.fromJSON(stored));
        const alice = await kit.mls("alice", { lock: { passphrase } });
        const identities = await alice.identities();
        const group = await alice.group((await alice.groups())[0]);
        const { epoch, epochAuthenticator } = await group.info();
        const out = {
          identities: identities.map(({ suite, name }) => `${name} ${suite}`).sort(),
          group: rows.text(group.id),
          epoch: String(epoch),
          epochAuthenticator: rows.text(epochAuthenticator),
          inbox: (await group.inbox()).map(({ text }) => text),
          pending: rows.text((await group.pendingCommit()).commit),
          next: (await group.receive(rows.bytes(messages.message))).text,
        };
        // Keys of every kind are there, and work.
        await group.applyPendingCommit();
        await alice.joinGroup(rows.bytes(messages.welcome));
        for (const identity of identities) await alice.createGroup(identity);
        await group.commit({ psks: ["a pre-shared key"] });
        await alice.close();
        // An older package does not open it any more.
        const older = indexedDB.open("alice", 2);
        out.older = await new Promise((resolve) => (older.onerror = (event) => (event.preventDefault(), resolve(older.error.name))));
        return out;
      }, version, passphrase, messages, stored);
      assert.deepEqual(found, { ...expected, older: "VersionError" });
    });

    onPage("a lock is one's at a time, is kept while nobody else wants it, and ends with its instance", async (page) => {
      const out = await page.evaluate(async () => {
        const { ScopeLocks, TabChannel } = await kit.load();
        const locksOf = () => new ScopeLocks("locks", new TabChannel("locks"));
        const all = [locksOf(), locksOf(), locksOf()];
        const turn = () => new Promise((resolve) => setTimeout(resolve));
        let inside = 0;
        let most = 0;
        let turns = 0;
        await Promise.all(
          all.flatMap((locks) => [0, 1].map(async () => {
            for (let n = 0; n < 15; n++) {
              const release = await locks.lock("61");
              most = Math.max(most, ++inside);
              if (n % 3) await turn();
              inside--;
              turns++;
              release();
              release(); // does nothing more
            }
          })),
        );
        const held = async () => (await navigator.locks.query()).held.map(({ name }) => name).filter((name) => name === "webmls/locks/62").length;
        const [one, other, third] = all;
        const request = LockManager.prototype.request;
        let requests = 0;
        LockManager.prototype.request = function (...params) {
          requests++;
          return request.apply(this, params);
        };
        for (let n = 0; n < 3; n++) (await one.lock("62"))();
        LockManager.prototype.request = request;
        const release = await other.lock("62"); // it is given away at once
        const waits = kit.outcome(() => third.lock("62"));
        await turn();
        third.close();
        const refused = await waits;
        const afterwards = await kit.outcome(() => third.lock("62"));
        let asked = false;
        const next = Promise.resolve(one.lock("62")).then(() => (asked = true));
        await turn();
        const early = asked;
        other.close();
        await next;
        release(); // it is not ours any more: that changes nothing
        const stillHeld = await held();
        one.close();
        while (await held()) await turn();
        return { most, turns, requests, refused, afterwards, early, stillHeld };
      });
      assert.deepEqual(out, {
        most: 1,
        turns: 90,
        requests: 1, // for three uses
        refused: "StateError CLOSED",
        afterwards: "StateError CLOSED",
        early: false,
        stillHeld: 1,
      });
    });

    onPage("the last keys that were made are remembered, until they are dropped or others may have written", async (page) => {
      const out = await page.evaluate(async () => {
        const [one, other] = [await kit.store("keys"), await kit.store("keys")];
        const { privateKey } = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
        const names = Array.from({ length: 40 }, (_, i) => `k${i}`);
        const made = () => names.filter((name) => one.made(name));
        const found = {};
        for (const name of names) one.adopt(name, privateKey);
        found.adopted = made().length;
        await one.commit([kit.put("a", 0, { in: "1" })], names, []);
        found.kept = made();
        found.usable = (await one.made("k39")) instanceof CryptoKey;
        await one.commit([kit.put("a", 1, { in: "2" })], [], ["k39"]);
        found.dropped = made();
        await kit.outcome(() => one.commit([kit.put("a", 1, { in: "stale" })], [], ["k38"]));
        found.stale = made().length;
        await other.commit([kit.put("a", 2, { in: "3" })], [], ["k38"]);
        await one.load(kit.put("a", 0, {}).scope);
        found.loaded = made();
        found.stored = await Promise.all(["k38", "k37"].map(async (name) => (await one.key(name)) !== undefined));
        one.close();
        other.close();
        return found;
      });
      const last = Array.from({ length: 32 }, (_, i) => `k${i + 8}`);
      assert.deepEqual(out, { adopted: 40, kept: last, usable: true, dropped: last.slice(0, -1), stale: 31, loaded: [], stored: [false, true] });
    });

    onPage("a lock that is set while there is work loses nothing of it", async (page) => {
      const out = await page.evaluate(async () => {
        const secret = { kind: "passphrase", passphrase: "correct horse" };
        const [one, other] = [await kit.store("busy"), await kit.store("busy")];
        const fresh = async (name) => one.adopt(name, (await crypto.subtle.generateKey("Ed25519", one.wrapsKeys, ["sign", "verify"])).privateKey);
        await fresh("k1");
        const work = async (store, scope) => {
          let done = 0;
          for (; done < 30; done++) {
            const code = await kit.outcome(() => store.commit([{ ...kit.put("a", done, { [`r${done}`]: `${done}` }), scope }], [], []));
            if (code !== undefined) return [done, code];
          }
          return [done];
        };
        const lock = async () => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          await one.setLock(secret, undefined);
          await fresh("k2");
          await one.commit([], ["k1", "k2"], []);
        };
        const [ours, theirs] = await Promise.all([work(one, "01"), work(other, "02"), lock()]);
        const again = await kit.store("busy", secret);
        const found = await Promise.all(["01", "02"].map(async (scope) => (await again.load(scope)).names.length));
        const forms = (await rows.dump("busy")).keys.map(([name, form]) => `${name} ${form.constructor.name}`);
        return { ours, theirs, found, forms, usable: [!!(await again.key("k1")), !(await again.key("k2")).extractable] };
      });
      // The instance that set the lock goes on; the other stops, with all that it was told is stored.
      assert.deepEqual(out.ours, [30]);
      assert.deepEqual(out.found, [30, out.theirs[0]]);
      if (out.theirs[0] < 30) assert.equal(out.theirs[1], "StateError DATABASE_LOCKED");
      assert.deepEqual(out.forms, ["k1 CryptoKey", "k2 Object"]);
      assert.deepEqual(out.usable, [true, true]);
    });

    onPage("a database of format 1 is sealed when it is opened, without a lock, and can be locked then", async (page) => {
      const out = await page.evaluate(async () => {
        const options = { lock: { passphrase: "correct horse" } };
        // Suite 4, whose keys are in the records in all browsers, as all were in format 1.
        const alice = await kit.mls("alice");
        const group = await alice.createGroup(await alice.createIdentity("alice", { suite: 4 }));
        await group.send("before");
        const { epochAuthenticator } = await group.info();
        await alice.close();
        const plain = await kit.plain("alice");
        await new Promise((resolve, reject) => Object.assign(indexedDB.deleteDatabase("alice"), { onsuccess: resolve, onerror: reject }));
        await rows.make("alice", 1, plain);
        const locked = await kit.outcome(() => kit.mls("alice", options));
        const untouched = rows.of(await rows.dump("alice"), "meta", "format");
        // Two at once: one of them does it.
        const clients = await Promise.all([kit.mls("alice"), kit.mls("alice")]);
        const opened = await clients[1].group(group.id);
        const same = String((await opened.info()).epochAuthenticator) === String(epochAuthenticator);
        await opened.send("after");
        const dump = await rows.dump("alice");
        const sealed = [...dump.records, ...dump.revisions].every(([, row]) => row.sealed instanceof ArrayBuffer);
        const format = rows.of(dump, "meta", "format");
        await clients[0].setLock(options.lock);
        await Promise.all(clients.map((client) => client.close()));
        const again = await (await kit.mls("alice", options)).groups();
        return { locked, untouched, same, sealed, format, revisions: plain.revisions.map(([, revision]) => revision > 0), again: again.length };
      });
      assert.deepEqual(out, {
        locked: "StateError UNLOCK_FAILED",
        untouched: 1,
        same: true,
        sealed: true,
        format: 2,
        revisions: [true, true],
        again: 1,
      });
    });

    onPage("rows of format 1 in the place of sealed ones are not sealed in their turn", async (page) => {
      const out = await page.evaluate(async () => {
        const lock = { kind: "passphrase", passphrase: "correct horse" };
        const out = {};
        for (const [name, [options, change]] of Object.entries({
          locked: [{ secret: lock }, () => {}],
          "lock left": [{ secret: lock }, (forged, { meta }) => rows.set(forged, "meta", "lock", rows.of({ meta }, "meta", "lock"))],
          "lock null": [{}, (forged) => rows.set(forged, "meta", "lock", null)],
          "root left": [{}, (forged, { meta }) => rows.set(forged, "meta", "root", rows.of({ meta }, "meta", "root"))],
          "a record of another type": [{}, (forged) => rows.set(forged, "records", ["61", "one"], "one")],
          "a sealed record": [{}, (forged, { records }) => rows.set(forged, "records", ["61", "one"], rows.of({ records }, "records", ["61", "ONE"]))],
          "a revision of another type": [{}, (forged) => rows.set(forged, "revisions", "61", "1")],
          "no revision": [{}, (forged) => rows.set(forged, "revisions", "61", 0)],
          "reopened, rows of format 1": [{ existing: true }, () => {}],
          "reopened, nothing": [{ existing: true }, (forged) => Object.assign(forged, { records: [], revisions: [], keys: [], meta: [["format", 2]] })],
        })) {
          const database = `forged ${name}`;
          const { late } = await kit.history(database, lock);
          const forged = {
            meta: [["format", 1]],
            records: [[["61", "one"], new Uint8Array(1)]],
            revisions: [["61", 1]],
            keys: [],
          };
          change(forged, late);
          await rows.restore(database, forged);
          const opened = kit.outcome(async () => (await kit.store(database, options.secret, options)).close());
          out[name] = await Promise.race([opened, new Promise((resolve) => setTimeout(resolve, 5000, "nothing in five seconds"))]);
        }
        return out;
      });
      const tampered = "StorageError STATE_TAMPERED";
      assert.deepEqual(out, {
        locked: "StateError UNLOCK_FAILED",
        "lock left": tampered,
        "lock null": tampered,
        "root left": tampered,
        "a record of another type": tampered,
        "a sealed record": tampered,
        "a revision of another type": tampered,
        "no revision": tampered,
        "reopened, rows of format 1": tampered,
        "reopened, nothing": "StorageError STORE_DELETED",
      });
    });
  });
}

/** What the tests use on the page. It is sent there as it stands. */
function kit() {
  const scopes = { a: "61", b: "62", c: "63" };
  const bytes = (text) => new TextEncoder().encode(text);
  let modules;
  globalThis.kit = {
    whole: "a: one 2, three 1, in 2; b: one 1, in 1; k1, k2",

    /** Opens a client that believes everybody. */
    async mls(database, options = {}) {
      const { MLS } = await import("/webmls/index.js");
      return MLS.open({ database, authenticate: () => true, ...options });
    },

    load: async () => (modules ??= await import("/scripts/store.js")),

    /** Opens a store. Argon2id is the program's: here another function will do. */
    async store(database, secret, options = {}) {
      const { DatabaseStore, TabChannel } = await this.load();
      const argon2id = async (password, salt) => new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array([...password, ...salt])));
      const channel = new TabChannel(database);
      return DatabaseStore.open(database, { secret, existing: false, argon2id, channel, lost: () => {}, ...options });
    },

    /** A change of a scope. A record whose name is in capitals is so long that it has a row of its own; the others are in the head, while there is room. */
    put: (scope, base, records, rest = {}) => ({
      scope: scopes[scope],
      base,
      deleteAll: false,
      delete: [],
      names: Object.keys(records),
      values: Object.entries(records).map(([name, text]) => bytes(/^[A-Z]/.test(name) ? text.padEnd(5000) : text)),
      ...rest,
    }),

    /** Makes a database with two scopes and two keys; returns its rows at two moments. */
    async history(database, secret) {
      const store = await this.store(database, secret);
      const key = async (name) => store.adopt(name, (await crypto.subtle.generateKey("Ed25519", store.wrapsKeys, ["sign", "verify"])).privateKey);
      await key("k1");
      await store.commit([this.put("a", 0, { ONE: "one 1", TWO: "two 1", in: "in 1" }), this.put("b", 0, { ONE: "one 1", in: "in 1" })], ["k1"], []);
      const early = await rows.dump(database);
      await key("k2");
      await store.commit([this.put("a", 1, { ONE: "one 2", THREE: "three 1", in: "in 2" }, { delete: ["TWO"] })], ["k2"], []);
      store.close();
      return { early, late: await rows.dump(database) };
    },

    /** The rows of another database, with the same contents. */
    async foreign(secret) {
      const database = `foreign ${Math.random()}`;
      return (await this.history(database, secret && { ...secret, passphrase: "another" })).late;
    },

    /** What a database without private keys holds, as rows of format 1. */
    async plain(database) {
      const store = await this.store(database);
      const out = { records: [], revisions: [], meta: [["format", 1]] };
      for (const [scope] of (await rows.dump(database)).revisions) {
        const { revision, names, values } = await store.load(scope);
        out.revisions.push([scope, revision]);
        names.forEach((name, i) => out.records.push([[scope, name], values[i]]));
      }
      store.close();
      return out;
    },

    /** All that a store holds, in a line. */
    async readAll(store) {
      const out = [];
      for (const [name, scope] of Object.entries(scopes)) {
        const { revision, values } = await store.load(scope);
        if (revision > 0) out.push(`${name}: ${values.map((value) => new TextDecoder().decode(value).trim()).join(", ")}`);
      }
      const keys = [];
      for (const name of ["k1", "k2"]) {
        const key = await store.key(name);
        if (!key) continue;
        if (key.extractable) throw new Error("a key that can be exported");
        await crypto.subtle.sign("Ed25519", key, new Uint8Array(1));
        keys.push(name);
      }
      return [...out, keys.join(", ")].join("; ");
    },

    async until(question) {
      while (!question()) await new Promise((resolve) => setTimeout(resolve, 10));
    },

    /** What something returns, or the class and code of its error. */
    async outcome(f) {
      try {
        return await f();
      } catch (error) {
        return error.code ? `${error.name} ${error.code}` : `${error.name}: ${error.message}`;
      }
    },

    /** What can be done to the rows of `late`, with those of an earlier moment and of another database at hand. */
    damages: {
      "a record altered": (late) => change(late, "records", ["61", "ONE"], ({ sealed, ...row }) => ({ ...row, sealed: rows.flip(sealed) })),
      "a record's nonce altered": (late) => change(late, "records", ["61", "ONE"], ({ nonce, ...row }) => ({ ...row, nonce: rows.flip(nonce) })),
      "a record's revision altered": (late) => change(late, "records", ["61", "ONE"], (row) => ({ ...row, revision: 1 })),
      "a record shortened": (late) => change(late, "records", ["61", "ONE"], ({ sealed, ...row }) => ({ ...row, sealed: sealed.slice(0, -1) })),
      "a record emptied": (late) => change(late, "records", ["61", "ONE"], () => new Uint8Array()),
      "a record removed": (late) => rows.set(late, "records", ["61", "ONE"], undefined),
      "a record copied": (late) => rows.set(late, "records", ["61", "FOUR"], rows.of(late, "records", ["61", "ONE"])),
      "a record brought back": (late, early) => rows.set(late, "records", ["61", "TWO"], rows.of(early, "records", ["61", "TWO"])),
      "a record rolled back": (late, early) => rows.set(late, "records", ["61", "ONE"], rows.of(early, "records", ["61", "ONE"])),
      "two records swapped": (late) => swap(late, "records", ["61", "ONE"], ["61", "THREE"]),
      "records of two scopes swapped": (late) => swap(late, "records", ["61", "ONE"], ["62", "ONE"]),
      "a record of another database": (late, _, foreign) => rows.set(late, "records", ["61", "ONE"], rows.of(foreign, "records", ["61", "ONE"])),
      "two scopes swapped": (late) => {
        late.records = late.records.map(([[scope, name], row]) => [[scope === "61" ? "62" : "61", name], row]);
        swap(late, "revisions", "61", "62");
      },
      "a scope rolled back": (late, early) => {
        late.records = [...late.records.filter(([[scope]]) => scope !== "61"), ...early.records.filter(([[scope]]) => scope === "61")];
        rows.set(late, "revisions", "61", rows.of(early, "revisions", "61"));
      },
      "all scopes rolled back": (late, early) => Object.assign(late, { records: early.records, revisions: early.revisions }),
      "a scope removed": (late) => {
        late.records = late.records.filter(([[scope]]) => scope !== "62");
        rows.set(late, "revisions", "62", undefined);
      },
      "a scope copied": (late) => {
        for (const [[scope, name], row] of [...late.records]) if (scope === "62") rows.set(late, "records", ["63", name], row);
        rows.set(late, "revisions", "63", rows.of(late, "revisions", "62"));
      },
      "a head altered": (late) => change(late, "revisions", "61", ({ sealed, ...row }) => ({ ...row, sealed: rows.flip(sealed) })),
      // What is in a head is under its seal alone.
      "a head rolled back under the present revision": (late, early) =>
        change(late, "revisions", "61", (row) => ({ ...rows.of(early, "revisions", "61"), revision: row.revision })),
      "a head rolled back under the present nonce": (late, early) =>
        change(late, "revisions", "61", (row) => ({ ...row, sealed: rows.of(early, "revisions", "61").sealed })),
      "what two heads hold swapped": (late) => {
        const [a, b] = ["61", "62"].map((scope) => rows.of(late, "revisions", scope));
        rows.set(late, "revisions", "61", { ...a, sealed: b.sealed });
        rows.set(late, "revisions", "62", { ...b, sealed: a.sealed });
      },
      "a head cut down to its sum": (late) => change(late, "revisions", "61", ({ sealed, ...row }) => ({ ...row, sealed: sealed.slice(0, 48) })),
      "a head as a record": (late) => rows.set(late, "records", ["61", "in"], rows.of(late, "revisions", "61")),
      "a revision raised": (late) => change(late, "revisions", "61", (row) => ({ ...row, revision: 3 })),
      "a revision rolled back": (late) => change(late, "revisions", "61", (row) => ({ ...row, revision: 1 })),
      "a head removed": (late) => rows.set(late, "revisions", "61", undefined),
      "a head replaced by a number": (late) => rows.set(late, "revisions", "61", 2),
      "a head replaced by nothing": (late) => rows.set(late, "revisions", "61", null),
      "a record replaced by nothing": (late) => rows.set(late, "records", ["61", "ONE"], null),
      "the root replaced by nothing": (late) => rows.set(late, "meta", "root", null),
      "the root altered": (late) => change(late, "meta", "root", ({ sealed, ...row }) => ({ ...row, sealed: rows.flip(sealed) })),
      "the root's revision altered": (late) => change(late, "meta", "root", (row) => ({ ...row, revision: 9 })),
      "the root's keys altered": (late) => change(late, "meta", "root", ({ keys, ...row }) => ({ ...row, keys: rows.flip(keys) })),
      "the root rolled back": (late, early) => rows.set(late, "meta", "root", rows.of(early, "meta", "root")),
      "the root removed": (late) => rows.set(late, "meta", "root", undefined),
      "keys exchanged": (late, _, foreign) => rows.set(late, "meta", "lock", rows.of(foreign, "meta", "lock")),
      "keys removed": (late) => rows.set(late, "meta", "lock", undefined),
      "keys replaced by bytes": (late) =>
        rows.set(late, "meta", "lock", { kind: "none", id: new Uint8Array(16), seal: new ArrayBuffer(32), mac: new ArrayBuffer(32) }),
      "lock taken off": (late, _, __, open) => rows.set(late, "meta", "lock", rows.of(open, "meta", "lock")),
      "everything rolled back": (late, early) => Object.assign(late, early),
    },
  };

  function change(dump, store, key, f) {
    rows.set(dump, store, key, f(rows.of(dump, store, key)));
  }

  function swap(dump, store, one, other) {
    const [a, b] = [one, other].map((key) => rows.of(dump, store, key));
    rows.set(dump, store, one, b);
    rows.set(dump, store, other, a);
  }
}
