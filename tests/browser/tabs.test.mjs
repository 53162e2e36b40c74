// Several tabs, and several clients in one tab, on one database, in
// Chromium and Firefox.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, launchFirefox, Watched } from "./kit/browser.mjs";
import { serve } from "./kit/bare.mjs";
import { built } from "./kit/paths.mjs";
import { formsOf } from "./kit/search.mjs";

for (const [browserName, start] of Object.entries({ Chromium: launch, Firefox: launchFirefox })) {
  describe(`tabs in ${browserName}`, { timeout: 170_000 }, () => {
    let server, browser;

    before(async () => {
      server = await serve(built("js/dist"));
      browser = await start();
    });

    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    /** A test with so many tabs of one profile. */
    const onPages = (name, count, body) =>
      test(name, async () => {
        const context = await browser.createBrowserContext();
        const tabs = [];
        try {
          for (let i = 0; i < count; i++) {
            const tab = await Watched.open(context, `tab ${i}`);
            await tab.page.evaluateOnNewDocument(kit);
            await tab.page.goto(server.url);
            tabs.push(tab);
          }
          await body(...tabs.map(({ page }) => page));
          for (const tab of tabs) assert.deepEqual(tab.faults, []);
        } catch (error) {
          for (const tab of tabs) {
            await tab.page.bringToFront(); // there are no pictures of tabs in the background
            await tab.save(name);
          }
          throw error;
        } finally {
          await context.close();
        }
      });

    onPages("what happens in one tab is told in the others", 2, async (one, other) => {
      await one.evaluate(async () => {
        await kit.found();
        await kit.listen("alice");
      });
      await other.evaluate(async () => {
        await kit.listen("alice");
        await kit.listen("alice"); // and a second client in the same tab
      });
      await one.evaluate(() => kit.happenings());
      const expected = ["message hello", "group-update 2", "message again", "message and again", "removed 3", "closed"];
      const events = await one.evaluate((n) => kit.until(() => kit.heard[0].length >= n && kit.heard[0]), expected.length);
      assert.deepEqual(events, expected);
      const [first, second] = await other.evaluate((n) => kit.until(() => kit.heard.every((list) => list.length >= n) && kit.heard), expected.length);
      const remote = expected.map((event) => `${event} remote`);
      assert.deepEqual(first, remote);
      assert.deepEqual(second, remote);
      assert.deepEqual(await other.evaluate(async () => (await kit.clients[0].groups()).length), 0);
    });

    onPages("what another tab commits while a client is being opened is not missed", 2, async (one, other) => {
      await one.evaluate(() => kit.found());
      await other.evaluate(async () => {
        // The client's records are read, and not opened before we say so.
        let read = false;
        const { getAll } = IDBObjectStore.prototype;
        IDBObjectStore.prototype.getAll = function (...params) {
          read ||= this.name === "records";
          return getAll.apply(this, params);
        };
        let goOn;
        const held = new Promise((resolve) => (goOn = resolve));
        const { decrypt } = SubtleCrypto.prototype;
        SubtleCrypto.prototype.decrypt = async function (...params) {
          if (read) await held;
          return decrypt.apply(this, params);
        };
        const committed = new Promise((resolve) => {
          new BroadcastChannel("webmls/alice").onmessage = ({ data }) => data.kind === "commit" && resolve();
        });
        kit.opening = kit.open("alice", { thread: "current" });
        await kit.until(() => read);
        kit.goOn = () => committed.then(goOn);
      });
      await one.evaluate(async () => (await kit.open("alice")).createIdentity("a second one"));
      const names = await other.evaluate(async () => {
        await kit.goOn();
        return (await (await kit.opening).identities()).map(({ name }) => name).sort();
      });
      assert.deepEqual(names, ["a second one", "alice"]);
    });

    onPages("who only listens at the door of a locked database reads nothing", 1, async (page) => {
      const found = await page.evaluate(async () => {
        const lock = { passphrase: "correct horse" };
        await kit.found();
        const bob = await kit.theGroup("bob");
        await kit.clients[0].setLock(lock);
        const [opened, other] = [await kit.open("bob", { lock }), await kit.open("bob", { lock })];
        const heard = [];
        new BroadcastChannel("webmls/bob").onmessage = ({ data }) => heard.push(data);
        const told = new Promise((resolve) => other.on("message", (event) => resolve(event.text)));
        const sent = await (await kit.theGroup("alice")).send("whispered in the group");
        await (await opened.group(bob.id)).receive(sent);
        const text = await told;
        const overheard = [...heard];
        // Nor is what the listener says believed.
        let forged = 0;
        other.on("closed", () => forged++);
        const door = new BroadcastChannel("webmls/bob");
        const { sealed } = overheard.find(({ kind }) => kind === "event");
        const garbled = new Uint8Array(sealed.sealed).map((byte) => byte ^ 1).buffer;
        for (const data of [{ kind: "event", sealed: { ...sealed, sealed: garbled } }, { kind: "event", event: { kind: "closed" } }, { kind: "closed" }, { kind: "commit", revisions: [{ scope: 1 }] }, { kind: "want" }, 7, null]) door.postMessage(data);
        const bytes = (value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value instanceof Uint8Array ? value : undefined);
        const all = (value) => (bytes(value) ? [...bytes(value)] : typeof value === "object" ? Object.values(value).flatMap(all) : [...new TextEncoder().encode(String(value))]);
        // What was posted before has been heard when this has.
        const last = new Promise((resolve) => other.on("proposal", resolve));
        await (await opened.group(bob.id)).receive((await (await kit.theGroup("alice")).propose({ update: true })).message);
        await last;
        return { text, forged, kinds: [...new Set(overheard.map(({ kind }) => kind))].sort(), heard: all(overheard) };
      });
      assert.deepEqual([found.text, found.forged, found.kinds], ["whispered in the group", 0, ["commit", "event"]]);
      const heard = Buffer.from(found.heard);
      assert.deepEqual(["whispered in the group", "alice"].filter((text) => Object.values(formsOf(text)).some((form) => heard.includes(form))), []);
    });

    onPages("what was told once is not told again when somebody posts it again", 1, async (page) => {
      const found = await page.evaluate(async () => {
        await kit.found();
        const recorded = [];
        const door = new BroadcastChannel("webmls/bob");
        door.onmessage = ({ data }) => data.kind === "event" && recorded.push(data);
        const replay = async () => {
          for (const notice of recorded.slice()) door.postMessage(notice);
          door.postMessage({ kind: "event" });
        };
        const alice = await kit.theGroup("alice");
        for (let i = 0; i < 2; i++) await kit.listen("bob");
        const [teller, listener] = kit.clients.slice(1);
        const identity = (await teller.identities())[0];
        const say = async (client, text) => {
          await (await client.group(alice.id)).receive(await alice.send(text));
          await kit.until(() => kit.heard.every((list) => list.some((line) => line.includes(text))));
        };
        await say(teller, "one");
        const id = new Uint8Array([7]);
        await (await teller.createGroup(identity, { id })).delete();
        await kit.until(() => recorded.length === 2);
        await teller.createGroup(identity, { id });
        await kit.listen("bob");
        const late = kit.clients.at(-1);
        kit.heard[2].push("one (before)");
        await replay();
        await say(teller, "two");
        // Nor when who told it has gone, nor to who told it.
        await teller.close();
        kit.heard[0].push("three (closed)");
        await replay();
        await say(late, "three");
        await replay();
        await listener.createGroup(identity).then((group) => group.delete());
        await kit.until(() => kit.heard.slice(1).every((list) => list.filter((line) => line.startsWith("closed")).length > 0) && recorded.length === 5);
        return { heard: kit.heard, groups: (await listener.groups()).length };
      });
      const told = (text) => `message ${text} remote`;
      const gone = "closed remote of no group";
      assert.deepEqual(found, {
        heard: [
          ["message one", "closed", "message two", "three (closed)"],
          [told("one"), gone, told("two"), told("three"), "closed"],
          ["one (before)", told("two"), "message three", gone],
        ],
        groups: 2,
      });
    });

    onPages("tabs that send and commit in one group at the same time do not trip over each other", 3, async (one, ...others) => {
      const count = 20;
      await one.evaluate(() => kit.found());
      const all = [one, ...others];
      const sent = await Promise.all(all.map((page, i) => page.evaluate((i, count) => kit.sendMany(i, count), i, count)));
      const texts = await one.evaluate((messages) => kit.receiveAll("bob", messages), sent.flat());
      const wanted = all.flatMap((_, i) => Array.from({ length: count }, (_, j) => `${i}.${j}`));
      // No key was used twice: then one of the messages would not open.
      assert.deepEqual([...texts].sort(), [...wanted].sort());
      for (const i of all.keys()) {
        const of = (list) => list.filter((text) => text.startsWith(`${i}.`));
        assert.deepEqual(of(texts), of(wanted));
      }
      await Promise.all(all.map((page) => page.evaluate(() => kit.commitMany(5))));
      const states = await Promise.all(all.map((page) => page.evaluate(() => kit.state())));
      assert.equal(new Set(states).size, 1, states.join(" "));
      assert.match(states[0], new RegExp(`^${1 + 5 * all.length} `));
    });

    onPages("a tab that goes without a word leaves its locks to the others", 2, async (one, other) => {
      await one.evaluate(() => kit.found());
      await one.evaluate(async () => {
        const group = await kit.theGroup("alice");
        kit.running = (async () => {
          for (;;) await group.send("on and on");
        })();
        kit.running.catch(() => {});
      });
      const sent = other.evaluate(() => kit.sendMany(1, 10));
      await one.goto("about:blank");
      assert.equal((await sent).length, 10);
    });
  });
}

/** What the tests use on the page. It is sent there as it stands. */
function kit() {
  globalThis.kit = {
    clients: [],
    heard: [],
    async open(name, options = {}) {
      const { MLS } = await import("/webmls/index.js");
      return MLS.open({ database: name, authenticate: () => true, ...options });
    },

    /** Makes a group of alice and bob. */
    async found() {
      const [alice, bob] = await Promise.all([this.open("alice"), this.open("bob")]);
      const ours = await alice.createGroup(await alice.createIdentity("alice"));
      const { welcome } = await ours.add(await bob.createKeyPackage(await bob.createIdentity("bob")));
      await ours.applyPendingCommit();
      await bob.joinGroup(welcome);
      await Promise.all([alice.close(), bob.close()]);
    },

    async theGroup(name) {
      const client = await this.open(name);
      this.clients.push(client);
      return client.group((await client.groups())[0]);
    },

    /** Opens a client and writes down what it hears. */
    async listen(name) {
      const client = await this.open(name);
      const heard = [];
      this.clients.push(client);
      this.heard.push(heard);
      const told = (text) => (event, group) => {
        const ours = group && String(group.id) === String(event.groupId);
        heard.push(`${text(event)}${event.remote ? " remote" : ""}${ours ? "" : " of no group"}`);
      };
      client.on("message", told((event) => `message ${event.text}`));
      client.on("group-update", told((event) => `group-update ${event.epoch}`));
      client.on("removed", told((event) => `removed ${event.epoch}`));
      client.on("closed", told(() => "closed"));
    },

    /** Lets alice, in this tab, live through all there is to tell. */
    async happenings() {
      const [alice] = this.clients;
      const ours = await alice.group((await alice.groups())[0]);
      const theirs = await this.theGroup("bob");
      await ours.receive(await theirs.send("hello"));
      await theirs.receive((await ours.update()).commit);
      await ours.applyPendingCommit();
      await ours.receiveAll(await theirs.sendAll(["again", "and again"]));
      const removal = await theirs.remove((await theirs.members()).find((member) => !member.own));
      await ours.receive(removal.commit);
      await ours.delete();
    },

    async sendMany(tab, count) {
      const group = await this.theGroup("alice");
      const out = [];
      for (let i = 0; i < count; i++) out.push([...(await group.send(`${tab}.${i}`))]);
      return out;
    },

    async receiveAll(name, messages) {
      const group = await this.theGroup(name);
      const texts = [];
      for (const message of messages) texts.push((await group.receive(new Uint8Array(message))).text);
      return texts;
    },

    /** Commits, and waits for its turn where another tab has a commit pending. */
    async commitMany(count) {
      const { MLSError } = await import("/webmls/index.js");
      const group = await this.theGroup("alice");
      const done = [];
      while (done.length < count) {
        try {
          await group.update();
          done.push((await group.applyPendingCommit()).epoch.toString());
        } catch (error) {
          const lost = error instanceof MLSError && ["PENDING_COMMIT", "NO_PENDING_COMMIT"].includes(error.code);
          if (!lost) throw error;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      }
      return done;
    },

    async state() {
      const info = await (await this.theGroup("alice")).info();
      return `${info.epoch} ${info.epochAuthenticator}`;
    },

    /** Asks until the answer is something. */
    async until(question) {
      for (;;) {
        const answer = question();
        if (answer) return answer;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}
