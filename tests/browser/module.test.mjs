// The package webmls by itself, on a bare page in Chromium: real IndexedDB,
// WebCrypto and workers, no bundler, no delivery service.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { launch, Watched } from "./kit/browser.mjs";
import { serve } from "./kit/bare.mjs";
import { kit } from "./kit/clients.mjs";
import { built } from "./kit/paths.mjs";

describe("webmls", { timeout: 110_000 }, () => {
  let server, browser, context, watched;

  before(async () => {
    server = await serve(built("js/dist"));
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  beforeEach(async () => {
    context = await browser.createBrowserContext();
  });

  /** A test with a page of its own, on which `kit` is what the page needs. */
  const onPage = (name, body) =>
    test(name, async () => {
      watched = await Watched.open(context, "page");
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

  for (const thread of ["worker", "current"]) {
    for (const suite of [1, 2, 3, 4, 5, 6, 7]) {
      onPage(`suite ${suite}, thread "${thread}": create, add, join, talk, update, remove`, async (page) => {
        const result = await page.evaluate(async (options) => {
          const { alice, bob, ours, theirs } = await kit.pair(options.suite, { thread: options.thread });
          const out = { suite: [ours.suite, theirs.suite] };
          out.members = (await theirs.members()).map((member) => `${member.name}${member.own ? "*" : ""}`);
          const hello = await theirs.receive(await ours.send("hello"));
          const answer = await ours.receive(await theirs.send(new Uint8Array([0, 255, 7])));
          out.texts = [hello.type, hello.text, hello.sender.name, answer.type, [...answer.content], answer.sender.name];
          out.joined = await kit.same(ours, theirs);
          const update = await theirs.update();
          const changed = await ours.receive(update.commit);
          const own = await theirs.receive(update.commit); // coming back, it is applied
          out.update = [changed.type, changed.own, own.type, own.own, String(ours.epoch), String(theirs.epoch)];
          out.updated = await kit.same(ours, theirs);
          const [a, b] = await Promise.all([ours, theirs].map((group) => group.exportSecret("test", "context", 32)));
          out.exported = [a.length, kit.hex(a) === kit.hex(b)];
          const removal = await ours.remove((await ours.members()).find((member) => !member.own));
          await ours.applyPendingCommit();
          const removed = await theirs.receive(removal.commit);
          out.removed = [removed.type, (await theirs.info()).status, (await ours.members()).length];
          out.later = await kit.codeOf(theirs.receive(await ours.send("not for you")));
          globalThis.end = () => Promise.all([alice.close(), bob.close()]);
          return out;
        }, { suite, thread });
        assert.equal(page.workers().length, thread === "worker" ? 1 : 0);
        await page.evaluate(() => globalThis.end());
        assert.deepEqual(result, {
          suite: [suite, suite],
          members: ["alice", "bob*"],
          texts: ["application", "hello", "alice", "application", [0, 255, 7], "bob"],
          joined: true,
          update: ["group-update", false, "group-update", true, "2", "2"],
          updated: true,
          exported: [32, true],
          removed: ["removed", "removed", 1],
          later: "StateError NOT_A_MEMBER",
        });
      });
    }
  }

  onPage("errors have a class, a code and a section, and change nothing", async (page) => {
    const result = await page.evaluate(async () => {
      const { alice, ours, theirs } = await kit.pair(1);
      const before = kit.hex((await theirs.info()).epochAuthenticator);
      const sealed = await ours.send("hello");
      const update = await ours.update();
      const flipped = (bytes, at) => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
      const codes = {
        nothing: await kit.codeOf(theirs.receive(new Uint8Array())),
        garbage: await kit.codeOf(theirs.receive(new Uint8Array([9, 9, 9, 9]))),
        short: await kit.codeOf(theirs.receive(sealed.slice(0, -1))),
        long: await kit.codeOf(theirs.receive(new Uint8Array([...sealed, 0]))),
        forged: await kit.codeOf(theirs.receive(flipped(sealed, sealed.length - 1))),
        forgedCommit: await kit.codeOf(theirs.receive(flipped(update.commit, update.commit.length - 1))),
        noBytes: await kit.codeOf(theirs.receive("text")),
        welcome: await kit.codeOf(alice.joinGroup(new Uint8Array([0, 1, 0, 3, 0, 1, 0, 0]))),
        twoCommits: await kit.codeOf(ours.update()),
        noCommit: await kit.codeOf(theirs.clearPendingCommit()),
        noGroup: await kit.codeOf(alice.group(new Uint8Array(32))),
        noSuite: await kit.codeOf(alice.createIdentity("alice", { suite: 99 })),
      };
      const unchanged = kit.hex((await theirs.info()).epochAuthenticator) === before;
      const fresh = await theirs.receive(sealed);
      codes.twice = await kit.codeOf(theirs.receive(sealed));
      await ours.applyPendingCommit();
      codes.ahead = await kit.codeOf(theirs.receive(await ours.send("ahead")));
      await theirs.receive(update.commit);
      codes.commitTwice = await kit.codeOf(theirs.receive(update.commit));
      let shape;
      await theirs.receive(new Uint8Array([1])).catch((error) => {
        shape = [error instanceof kit.webmls.MLSError, error instanceof kit.webmls.MalformedError, error.name, error.section, typeof error.rule, error.op];
      });
      return { codes, unchanged, text: fresh.text, shape };
    });
    assert.deepEqual(result.codes, {
      nothing: "MalformedError MALFORMED",
      garbage: "MalformedError UNKNOWN_VERSION",
      short: "MalformedError MALFORMED",
      long: "MalformedError MALFORMED",
      forged: "RejectedError DECRYPTION_FAILED",
      forgedCommit: "RejectedError DECRYPTION_FAILED",
      noBytes: "StateError INVALID_ARGUMENT",
      welcome: "StateError NO_MATCHING_KEY_PACKAGE",
      twoCommits: "StateError PENDING_COMMIT",
      noCommit: "StateError NO_PENDING_COMMIT",
      noGroup: "StateError GROUP_NOT_FOUND",
      noSuite: "UnsupportedError UNSUPPORTED_CIPHER_SUITE",
      twice: "EpochError ALREADY_PROCESSED",
      ahead: "EpochError EPOCH_AHEAD",
      commitTwice: "EpochError ALREADY_PROCESSED",
    });
    assert.equal(result.unchanged, true);
    assert.equal(result.text, "hello");
    assert.deepEqual(result.shape, [true, true, "MalformedError", "2.1", "string", "group.receive"]);
  });

  onPage("after a reload everything is there: groups, a pending commit, the inbox", async (page) => {
    const left = await page.evaluate(async () => {
      const { ours, theirs } = await kit.pair(1);
      const event = await theirs.receive(await ours.send("kept until acknowledged"));
      const { commit } = await ours.update();
      return { group: kit.hex(ours.id), inboxId: event.inboxId, commit: kit.hex(commit), authenticator: kit.hex((await ours.info()).epochAuthenticator) };
    });
    await page.reload();
    const found = await page.evaluate(async () => {
      const [alice, bob] = await Promise.all(["alice", "bob"].map((name) => kit.open(name)));
      const [id] = await alice.groups();
      const ours = await alice.group(id);
      const theirs = await bob.group(id);
      const out = { group: kit.hex(id), identities: (await alice.identities()).map((identity) => identity.name) };
      out.authenticator = kit.hex((await ours.info()).epochAuthenticator);
      out.inbox = (await theirs.inbox()).map(({ inboxId, text, sender }) => ({ inboxId, text, sender: sender.name }));
      await theirs.acknowledge(out.inbox[0].inboxId);
      out.after = (await theirs.inbox()).length;
      out.commit = kit.hex((await ours.pendingCommit()).commit);
      await theirs.receive((await ours.pendingCommit()).commit);
      await ours.applyPendingCommit();
      out.same = await kit.same(ours, theirs);
      out.talk = (await ours.receive(await theirs.send("on we go"))).text;
      return out;
    });
    assert.deepEqual(found, {
      group: left.group,
      identities: ["alice"],
      authenticator: left.authenticator,
      inbox: [{ inboxId: left.inboxId, text: "kept until acknowledged", sender: "alice" }],
      after: 0,
      commit: left.commit,
      same: true,
      talk: "on we go",
    });
    await page.reload();
    assert.equal(await page.evaluate(async () => (await (await (await kit.open("bob")).group((await (await kit.open("bob")).groups())[0])).inbox()).length), 0);
  });

  onPage("the policy decides who gets in, and a policy that fails changes nothing", async (page) => {
    const result = await page.evaluate(async () => {
      let verdict = () => true;
      const asked = [];
      const alice = await kit.open("alice", {
        authenticate: (claim) => {
          asked.push(`${claim.name} ${claim.place}`);
          return verdict(claim);
        },
      });
      const bob = await kit.open("bob");
      const group = await alice.createGroup(await alice.createIdentity("alice"));
      const keyPackage = await bob.createKeyPackage(await bob.createIdentity("bob"));
      verdict = ({ name }) => name !== "bob";
      const refused = await kit.codeOf(group.add(keyPackage));
      verdict = () => {
        throw new Error("the directory does not answer");
      };
      const failed = await kit.codeOf(group.add(keyPackage));
      verdict = () => true;
      const { epoch, hasPendingCommit, memberCount } = await group.info();
      await group.add(keyPackage);
      await group.applyPendingCommit();
      return { refused, failed, between: [String(epoch), hasPendingCommit, memberCount], members: (await group.members()).length, asked: asked.includes("bob key_package") };
    });
    assert.deepEqual(result, {
      refused: "RejectedError CREDENTIAL_REJECTED",
      failed: "StateError AUTHENTICATOR_FAILED",
      between: ["0", false, 1],
      members: 2,
      asked: true,
    });
  });
});
