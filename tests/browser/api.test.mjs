// Each method of the API, on a bare page: in Chromium with the program in a worker
// and in the page's own thread, in Firefox with a worker; and without a database.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch, launchFirefox, Watched } from "./kit/browser.mjs";
import { serve } from "./kit/bare.mjs";
import { kit } from "./kit/clients.mjs";
import { built } from "./kit/paths.mjs";

describe("the API", { timeout: 600_000 }, () => {
  let server;
  const browsers = {};

  before(async () => {
    server = await serve(built("js/dist"));
    browsers.Chromium = await launch();
    browsers.Firefox = await launchFirefox();
  });

  after(async () => {
    await browsers.Chromium?.close();
    await browsers.Firefox?.close();
    await server?.stop();
  });

  /** Runs a function on a page of its own, once for each browser and kind of thread, and, unless it needs a database, without one; and compares what it returns. */
  const onPage = (name, body, expected, { needsDatabase = false } = {}) => {
    for (const [browser, thread, more] of [["Chromium", "worker"], ["Chromium", "current"], ["Firefox", "worker"], ["Chromium", "current", { database: null }]]) {
      if (more && needsDatabase) continue;
      test(`${name}; ${browser}, thread "${thread}"${more ? ", in memory" : ""}`, async () => {
        const context = await browsers[browser].createBrowserContext();
        const watched = await Watched.open(context, "page");
        await watched.page.evaluateOnNewDocument(kit);
        await watched.page.goto(server.url);
        try {
          const result = await watched.page.evaluate(body, { thread, ...more });
          assert.deepEqual(result, expected);
          assert.deepEqual(watched.faults, []);
        } catch (error) {
          await watched.save(`${name} ${browser} ${thread}`);
          throw error;
        } finally {
          await context.close();
        }
      });
    }
  };

  onPage(
    "one's own leaf: its extensions, and what it says it understands",
    async (open) => {
      const extension = (n) => [{ type: 0xff01, data: new Uint8Array([n]) }];
      const leaf = async (group, index) => {
        const { extensions, capabilities } = await group.member(index);
        return [extensions.map((e) => e.data[0]), capabilities.extensions.includes(0xff01)];
      };
      const old = await kit.open("alice", open);
      const alice = await old.createIdentity("alice");
      const id = (await old.createGroup(alice)).id;
      const out = { refused: await kit.codeOf(old.createGroup(alice, { leafExtensions: extension(1) })) };
      await old.close();

      const client = await kit.open("alice", { ...open, supported: { extensions: [0xff01] } });
      const group = await client.group(id);
      out.before = await leaf(group, 0);
      await group.update({ renewCapabilities: true, leafExtensions: extension(2) });
      await group.applyPendingCommit();
      out.renewed = await leaf(group, 0);
      const other = await client.createGroup(alice, { leafExtensions: extension(3) });
      out.created = await leaf(other, 0);

      const bob = await kit.open("bob", { ...open, supported: { extensions: [0xff01] } });
      const join = await bob.joinExternal(await bob.createIdentity("bob"), await group.groupInfo(), { leafExtensions: extension(4) });
      await join.group.applyPendingCommit();
      await group.receive(join.commit);
      out.joined = await leaf(group, 1);
      const { message } = await join.group.propose({ update: true, leafExtensions: extension(5) });
      await group.receive(message);
      await group.commit();
      await group.applyPendingCommit();
      out.updated = await leaf(group, 1);
      await Promise.all([client.close(), bob.close()]);
      return out;
    },
    {
      refused: "RejectedError EXTENSION_NOT_LISTED",
      before: [[], false],
      renewed: [[2], true],
      created: [[3], true],
      joined: [[4], true],
      updated: [[5], true],
    },
    { needsDatabase: true },
  );

  onPage(
    "key packages: many at once, last resort, listed, ended, deleted",
    async (open) => {
      const bob = await kit.open("bob", open);
      const identity = await bob.createIdentity("bob");
      const many = await bob.createKeyPackages(identity, 5, { lifetime: 3600 });
      const last = await bob.createKeyPackage(identity.id, { lastResort: true, extensions: [{ type: 0xff01, data: new Uint8Array([7]) }] });
      const out = { count: await bob.keyPackageCount(identity), none: await bob.keyPackageCount(new Uint8Array(16)) };
      const list = await bob.keyPackages(identity);
      out.list = list.map(({ lastResort, reference }) => [lastResort, reference.length]);
      out.same = list.slice(0, 5).map((k) => kit.hex(k.keyPackage)).sort().join() === many.map(kit.hex).sort().join();
      out.last = kit.hex(list[5].keyPackage) === kit.hex(last);
      out.hour = Math.round((list[0].expires - Date.now()) / 60_000);
      out.days = Math.round((list[5].expires - Date.now()) / 86_400_000);
      await bob.deleteKeyPackages([list[0], list[1].reference, new Uint8Array(32)]);
      out.left = await bob.keyPackageCount(identity);
      // What was deleted opens no Welcome; one of last resort opens several.
      const alice = await kit.open("alice", open);
      const group = await alice.createGroup(await alice.createIdentity("alice"));
      const { welcome } = await group.add(list[0].keyPackage);
      out.deleted = await kit.codeOf(bob.joinGroup(welcome));
      await group.clearPendingCommit();
      for (const id of [1, 2]) {
        const other = await alice.createGroup((await alice.identities())[0], { id: new Uint8Array([id]) });
        const { welcome } = await other.add(last);
        await other.applyPendingCommit();
        await bob.joinGroup(welcome);
      }
      out.groups = (await bob.groups()).map((id) => [...id]);
      out.after = await bob.keyPackageCount(identity);
      out.wrong = [
        await kit.codeOf(bob.createKeyPackages(identity, 1001)),
        await kit.codeOf(bob.createKeyPackages(new Uint8Array(16), 1)),
        await kit.codeOf(bob.createKeyPackage(identity, { leafExtensions: [{ type: 0xff01, data: new Uint8Array() }] })),
      ];
      return out;
    },
    {
      count: 6,
      none: 0,
      list: [...Array(5).fill([false, 32]), [true, 32]],
      same: true,
      last: true,
      hour: 60,
      days: 90,
      left: 4,
      deleted: "StateError NO_MATCHING_KEY_PACKAGE",
      groups: [[1], [2]],
      after: 4,
      wrong: ["StateError INVALID_ARGUMENT", "StateError IDENTITY_NOT_FOUND", "RejectedError EXTENSION_NOT_LISTED"],
    },
  );

  onPage(
    "a Welcome is inspected, and joined with the tree that came apart",
    async (open) => {
      const { clients, groups } = await kit.crowd(["alice", "carol"], { open });
      const [alice] = clients;
      const bob = await kit.open("bob", open);
      const identity = await bob.createIdentity("bob");
      await alice.storePSK("psk", new Uint8Array(32).fill(1));
      await bob.storePSK("psk", new Uint8Array(32).fill(1));
      const { welcome } = await groups[0].add(await bob.createKeyPackage(identity));
      const whole = await bob.inspectWelcome(welcome);
      const out = { whole: [whole.memberCount, whole.hasTree, whole.signer.name, String(whole.epoch), whole.suite, kit.hex(whole.identity) === kit.hex(identity.id)] };
      await groups[0].clearPendingCommit();
      const apart = await groups[0].commit({ add: [await bob.createKeyPackage(identity)], psks: ["psk"], noRatchetTree: true });
      const info = await bob.inspectWelcome(apart.welcome);
      out.apart = [info.memberCount, info.hasTree, "signer" in info, info.psks.map((psk) => [psk.type, new TextDecoder().decode(psk.id)])];
      out.missing = await kit.codeOf(bob.joinGroup(apart.welcome));
      const ratchetTree = await groups[0].pendingRatchetTree();
      await groups[0].applyPendingCommit();
      out.none = await kit.codeOf(groups[0].pendingRatchetTree());
      out.sameTree = kit.hex(ratchetTree) === kit.hex(await groups[0].ratchetTree());
      const joined = await bob.joinGroup(apart.welcome, { ratchetTree });
      out.joined = await kit.same(joined, groups[0]);
      out.used = await kit.codeOf(bob.inspectWelcome(apart.welcome));
      return out;
    },
    {
      whole: [3, true, "alice", "2", 1, true],
      apart: [0, false, false, [["external", "psk"]]],
      missing: "StateError TREE_MISSING",
      none: "StateError NO_PENDING_COMMIT",
      sameTree: true,
      joined: true,
      used: "StateError NO_MATCHING_KEY_PACKAGE",
    },
  );

  onPage(
    "members with all that their leaves say",
    async (open) => {
      const supported = { extensions: [0xff01], proposals: [0xff02], credentials: [0xff03] };
      const { groups, identities } = await kit.crowd(["alice", "bob"], { open: { ...open, supported } });
      const bob = (await groups[0].members())[1];
      const details = await groups[0].member(bob);
      const ours = (list, from = 0xf000) => list.filter((n) => n >= from && (n & 0x0f0f) !== 0x0a0a);
      const out = {
        member: [details.name, details.leaf, details.own, kit.hex(details.signatureKey) === kit.hex(identities[1].signatureKey)],
        keys: details.encryptionKey.length,
        extensions: ours(details.capabilities.extensions),
        proposals: ours(details.capabilities.proposals),
        credentials: details.capabilities.credentials.filter((n) => [1, 2, 0xff03].includes(n)),
        suites: details.capabilities.suites.filter((n) => n < 8),
        versions: details.capabilities.versions,
        days: Math.round((details.lifetime.notAfter - details.lifetime.notBefore) / 3_600_000),
      };
      const update = await groups[1].update();
      await groups[0].receive(update.commit);
      out.lifetime = "lifetime" in (await groups[0].member(1));
      out.nobody = await kit.codeOf(groups[0].member(7));
      return out;
    },
    {
      member: ["bob", 1, false, true],
      keys: 32,
      extensions: [0xff01],
      proposals: [0xff02],
      credentials: [1, 2, 0xff03],
      suites: [1, 2, 3, 4, 5, 6, 7],
      versions: [1],
      days: 90 * 24 + 1,
      lifetime: false,
      nobody: "StateError NOT_A_MEMBER",
    },
  );

  onPage(
    "proposals of every kind: made, listed, sent again, dropped, committed",
    async (open) => {
      const supported = { proposals: [0xff02], extensions: [0xff01] };
      const { clients, identities, groups } = await kit.crowd(["alice", "bob", "carol"], { open: { ...open, supported } });
      const [ours, theirs, hers] = groups;
      const dave = await kit.open("dave", { ...open, supported });
      const daveId = await dave.createIdentity("dave");
      for (const client of [...clients, dave]) await client.storePSK("psk", new Uint8Array(32).fill(1));
      const again = await clients[1].createIdentity("bob"); // another key under the same name
      const out = {};
      const proposed = [
        await theirs.propose({ add: await dave.createKeyPackage(daveId) }),
        await theirs.propose({ update: true, identity: again }),
        await theirs.propose({ psk: "psk" }),
        await theirs.propose({ psk: { groupId: ours.id, epoch: 0n } }), // which only alice has
        await theirs.propose({ extensions: [{ type: 0xff01, data: new Uint8Array([5]) }], publicMessage: true }),
        await theirs.propose({ custom: { type: 0xff02, data: new Uint8Array([1, 2, 3]) }, authenticatedData: new Uint8Array([9]) }),
        await theirs.propose({ reInit: { suite: 2 } }),
        await theirs.propose({ remove: 0 }),
      ];
      out.types = [];
      for (const proposal of proposed) {
        const event = await kit.deliver(proposal.message, ours, hers);
        const { type, sender } = event.proposal;
        out.types.push([type, event.sender.name, sender.type, sender.leaf, kit.hex(event.proposal.reference) === kit.hex(proposal.reference)].join());
        if (type === "other") out.custom = [event.proposal.proposalType, [...event.proposal.data], [...event.authenticatedData]];
        if (type === "reinit") out.reInit = [event.proposal.reInit.suite, event.proposal.reInit.groupId.length];
        const { psk } = event.proposal;
        if (psk?.type === "external") out.psk = new TextDecoder().decode(psk.id);
        if (psk?.type === "resumption") out.pskOf = [kit.hex(psk.groupId) === kit.hex(ours.id), String(psk.epoch)];
        if (type === "group-context-extensions") out.gce = event.proposal.extensions.map((e) => [e.type, [...e.data]]);
      }
      const mine = await theirs.proposals();
      out.again = mine.map((p, i) => kit.hex(p.message) === kit.hex(proposed[i].message)).every(Boolean);
      const received = await ours.proposals();
      out.others = received.filter((p) => "message" in p).length;
      out.waiting = await kit.codeOf(ours.send("not now"));
      // Hers to commit: what would remove alice, and the reinitialization, she drops.
      for (const proposal of await hers.proposals()) {
        if (proposal.type === "reinit") await hers.dropProposal(proposal);
        if (proposal.type === "remove") await hers.dropProposal(proposal.reference);
      }
      out.unknown = await kit.codeOf(hers.dropProposal(new Uint8Array(32)));
      const { commit, welcome } = await hers.commit();
      const event = await kit.deliver(commit, ours, theirs);
      await hers.applyPendingCommit();
      const joined = await dave.joinGroup(welcome);
      out.update = [event.added.map((m) => m.name), event.updated.map((m) => m.name), event.pskCount, event.extensionsChanged, event.custom.map((c) => [c.type, [...c.data]])];
      out.key = kit.hex((await ours.member(1)).signatureKey) === kit.hex(again.signatureKey);
      out.same = [await kit.same(ours, theirs), await kit.same(ours, hers), await kit.same(ours, joined)];
      out.talk = (await joined.receive(await theirs.send("hello"))).text;
      // A resumption key, by those who were there; and a custom proposal by value.
      const removal = await ours.remove(3);
      await kit.deliver(removal.commit, theirs, hers);
      await ours.applyPendingCommit();
      const psk = await ours.commit({ psks: [{ groupId: ours.id, epoch: 2n }], custom: [{ type: 0xff02, data: new Uint8Array([4]) }] });
      const mixed = await kit.deliver(psk.commit, theirs, hers);
      out.resumption = [mixed.pskCount, mixed.custom.map((c) => [...c.data])];
      out.unknownType = await kit.codeOf(theirs.propose({ custom: { type: 0xff09, data: new Uint8Array() } }));
      out.two = await kit.codeOf(theirs.propose({ remove: 0, update: true }));
      out.nothing = await kit.codeOf(theirs.propose({}));
      return out;
    },
    {
      types: ["add", "update", "psk", "psk", "group-context-extensions", "other", "reinit", "remove"].map((type) => `${type},bob,member,1,true`),
      custom: [0xff02, [1, 2, 3], [9]],
      reInit: [2, 32],
      psk: "psk",
      pskOf: [true, "0"],
      gce: [[0xff01, [5]]],
      again: true,
      others: 0,
      waiting: "StateError PENDING_PROPOSALS",
      unknown: "EpochError PROPOSAL_UNKNOWN",
      update: [["dave"], ["bob"], 1, true, [[0xff02, [1, 2, 3]]]],
      key: true,
      same: [true, true, true],
      talk: "hello",
      resumption: [1, [[4]]],
      unknownType: "RejectedError PROPOSAL_UNSUPPORTED",
      two: "StateError INVALID_ARGUMENT",
      nothing: "StateError INVALID_ARGUMENT",
    },
  );

  onPage(
    "leaving: one proposes it, another commits it",
    async (open) => {
      const { groups } = await kit.crowd(["alice", "bob"], { open });
      const { message } = await groups[1].leave({ publicMessage: true });
      const event = await groups[0].receive(message);
      const out = { proposal: [event.proposal.type, event.proposal.leaf] };
      out.own = await kit.codeOf(groups[1].commit()); // one cannot commit one's own removal, and commits what else there is
      const { commit } = await groups[0].commit();
      const left = await groups[0].applyPendingCommit();
      out.removed = left.removed.map((m) => m.name);
      out.gone = (await groups[1].receive(commit)).type;
      out.status = (await groups[1].info()).status;
      await groups[1].delete();
      out.deleted = await kit.codeOf(groups[1].info());
      return out;
    },
    { proposal: ["remove", 1], own: "nothing was refused", removed: ["bob"], gone: "removed", status: "removed", deleted: "StateError GROUP_NOT_FOUND" },
  );

  onPage(
    "a group is reinitialized with another cipher suite, and branched",
    async (open) => {
      const { clients, groups } = await kit.crowd(["alice", "bob", "carol"], { open });
      const [alice, bob, carol] = clients;
      const out = {};
      // A subgroup of two.
      const [bobs] = await bob.identities();
      const branched = await groups[0].branch([await bob.createKeyPackage(bobs)], { id: new Uint8Array([1]) });
      out.stranger = await kit.codeOf(
        (async () => {
          const dave = await kit.open("dave", open);
          return groups[0].branch([await dave.createKeyPackage(await dave.createIdentity("dave"))]);
        })(),
      );
      await branched.group.applyPendingCommit();
      const theirs = await bob.joinGroup(branched.welcome);
      out.branch = [[...theirs.id], await kit.same(branched.group, theirs), String(theirs.epoch), (await alice.groups()).length];
      // All of it, as a group of another suite.
      const early = await kit.codeOf(groups[0].reInit([]));
      const { commit } = await groups[0].commit({ reInit: { suite: 2, groupId: new Uint8Array([2]) } });
      const event = await kit.deliver(commit, groups[1], groups[2]);
      const applied = await groups[0].applyPendingCommit();
      out.reInit = [early, event.reInit.suite, [...applied.reInit.groupId]];
      const info = await groups[1].info();
      out.readOnly = [info.status, info.reInit.suite, [...info.reInit.groupId], await kit.codeOf(groups[1].send("too late"))];
      const identities = [];
      for (const [client, name] of [[alice, "alice"], [bob, "bob"], [carol, "carol"]]) identities.push(await client.createIdentity(name, { suite: 2 }));
      const keyPackages = [await bob.createKeyPackage(identities[1]), await carol.createKeyPackage(identities[2])];
      out.wrong = [await kit.codeOf(groups[0].reInit(keyPackages)), await kit.codeOf(groups[0].reInit(keyPackages.slice(1), { identity: identities[0] }))];
      const next = await groups[0].reInit(keyPackages, { identity: identities[0], withGroupInfo: true });
      await next.group.applyPendingCommit();
      const joined = [await bob.joinGroup(next.welcome), await carol.joinGroup(next.welcome)];
      out.next = [[...next.group.id], next.group.suite, next.groupInfo.length > 0, await kit.same(joined[0], joined[1]), await kit.same(joined[0], next.group)];
      out.talk = (await joined[1].receive(await joined[0].send("over here"))).text;
      return out;
    },
    {
      stranger: "RejectedError WELCOME_INVALID",
      branch: [[1], true, "1", 2],
      reInit: ["RejectedError REINIT_INVALID", 2, [2]],
      readOnly: ["read-only", 2, [2], "StateError GROUP_READ_ONLY"],
      wrong: ["StateError INVALID_ARGUMENT", "RejectedError REINIT_INVALID"],
      next: [[2], 2, true, true, true],
      talk: "over here",
    },
  );

  onPage(
    "who is the same client in another group is the application's to say",
    async (open) => {
      const asked = [];
      const identify = ({ type, name }, { place }) => {
        asked.push(`${type} ${place}`);
        return name?.split("#")[0];
      };
      const { clients, groups } = await kit.crowd(["alice#1", "bob#1"], { open: { ...open, identify } });
      const [, bob] = clients;
      const keyPackage = await bob.createKeyPackage(await bob.createIdentity("bob#2"));
      const { group, welcome } = await groups[0].branch([keyPackage]);
      await group.applyPendingCommit();
      const joined = await bob.joinGroup(welcome);
      const failing = await kit.crowd(["carol#1", "dave#1"], {
        open: {
          ...open,
          identify: () => {
            throw new Error("no directory");
          },
        },
      });
      const [daves] = await failing.clients[1].identities();
      const failed = await kit.codeOf(failing.groups[0].branch([await failing.clients[1].createKeyPackage(daves)]));
      return { same: await kit.same(group, joined), asked: [...new Set(asked)], failed };
    },
    { same: true, asked: ["basic tree"], failed: "StateError AUTHENTICATOR_FAILED" },
  );

  onPage(
    "those outside propose: a listed sender, and one who wants to join",
    async (open) => {
      const service = await kit.open("service", open);
      const { externalSenders, readExternalSenders, requiredCapabilities } = kit.webmls;
      const watch = await service.createIdentity("watch");
      const other = await service.createIdentity({ type: "x509", certificates: [new Uint8Array(100), new Uint8Array(20_000)] }).catch((e) => e.code);
      const extensions = [
        externalSenders([
          { signatureKey: new Uint8Array(32).fill(1), credential: { type: "x509", certificates: [new Uint8Array(100), new Uint8Array(20_000)] } },
          { signatureKey: watch.signatureKey, credential: watch.credential },
        ]),
        requiredCapabilities({ credentials: [1] }),
      ];
      const { groups } = await kit.crowd(["alice", "bob"], { open, group: { extensions } });
      const listed = readExternalSenders((await groups[1].info()).extensions);
      const out = { other, listed: listed.map(({ credential }) => [credential.type, credential.name ?? credential.certificates.map((c) => c.length)]) };
      out.key = kit.hex(listed[1].signatureKey) === kit.hex(watch.signatureKey);
      out.empty = readExternalSenders([]);
      const info = await groups[0].groupInfo();
      const removal = await service.proposeExternally(info, { index: 1, identity: watch }, { remove: 1 });
      out.header = await service.peek(removal).then(({ type, content, sender, epoch }) => [type, content, sender, String(epoch)]);
      out.refused = [
        await kit.codeOf(service.proposeExternally(info, { index: 0, identity: watch }, { remove: 1 })),
        await kit.codeOf(service.proposeExternally(info, { index: 1, identity: watch }, { update: true })),
      ];
      const event = await kit.deliver(removal, ...groups);
      out.proposal = [event.type, "sender" in event, event.proposal.type, event.proposal.sender, event.proposal.leaf];
      const dave = await kit.open("dave", open);
      const keyPackage = await dave.createKeyPackage(await dave.createIdentity("dave"));
      const wish = await dave.proposeToJoin(info, keyPackage);
      out.notHere = await kit.codeOf(service.proposeToJoin(info, keyPackage));
      const wished = await groups[0].receive(wish);
      out.wished = [wished.proposal.type, wished.proposal.credential.name, wished.proposal.sender.type];
      const { welcome } = await groups[0].commit();
      const done = await groups[0].applyPendingCommit();
      out.done = [done.added.map((m) => m.name), done.removed.map((m) => m.name)];
      out.joined = await kit.same(groups[0], await dave.joinGroup(welcome));
      return out;
    },
    {
      other: "CREDENTIAL_REJECTED",
      listed: [["x509", [100, 20_000]], ["basic", "watch"]],
      key: true,
      empty: [],
      header: ["public-message", "proposal", "external", "1"],
      refused: ["RejectedError INVALID_SENDER", "StateError INVALID_ARGUMENT"],
      proposal: ["proposal", false, "remove", { type: "external", index: 1 }, 1],
      notHere: "StateError INVALID_ARGUMENT",
      wished: ["add", "dave", "new-member"],
      done: [["dave"], ["bob"]],
      joined: true,
    },
  );

  onPage(
    "an external commit: join, rejoin, with a GroupInfo of the new epoch and a pre-shared key",
    async (open) => {
      const { clients, identities, groups } = await kit.crowd(["alice", "bob"], { open });
      const carol = await kit.open("carol", open);
      const carols = await carol.createIdentity("carol");
      for (const client of [...clients, carol]) await client.storePSK(new Uint8Array([1]), new Uint8Array(32).fill(3));
      const first = await carol.joinExternal(carols, await groups[0].groupInfo(), { psks: [new Uint8Array([1])], withGroupInfo: true });
      const out = { joining: (await first.group.info()).status };
      const event = await kit.deliver(first.commit, ...groups);
      out.event = [event.external, event.committer.name, event.pskCount];
      await first.group.applyPendingCommit();
      out.joined = await kit.same(first.group, groups[0]);
      // Bob has lost everything but his key, and comes back.
      await groups[1].delete();
      const apart = await groups[0].groupInfo({ noRatchetTree: true });
      out.missing = await kit.codeOf(clients[1].joinExternal(identities[1], apart, { resync: true }));
      const back = await clients[1].joinExternal(identities[1], apart, { resync: true, ratchetTree: await groups[0].ratchetTree() });
      const rejoined = await kit.deliver(back.commit, groups[0], first.group);
      await back.group.receive(back.commit);
      out.rejoined = [rejoined.removed.map((m) => m.name), rejoined.committer.name, await kit.same(back.group, groups[0])];
      const closed = await groups[0].groupInfo({ noExternalPub: true });
      out.closed = await kit.codeOf(carol.joinExternal(carols, closed, { resync: true }));
      await carol.deletePSK(new Uint8Array([1]));
      out.deleted = await kit.codeOf(first.group.commit({ psks: [new Uint8Array([1])] }));
      // What the commit before left behind opens the group for the next.
      const dave = await kit.open("dave", open);
      out.early = await kit.codeOf(dave.joinExternal(await dave.createIdentity("dave"), first.groupInfo));
      return out;
    },
    {
      joining: "joining",
      event: [true, "carol", 1],
      joined: true,
      missing: "StateError TREE_MISSING",
      rejoined: [["bob"], "bob", true],
      closed: "RejectedError GROUP_INFO_INVALID",
      deleted: "StateError PSK_UNKNOWN",
      early: "nothing was refused",
    },
  );

  onPage(
    "messages: authenticated data, one's own, those too many, the inbox",
    async (open) => {
      const { groups } = await kit.crowd(["alice", "bob"], { open });
      const [ours, theirs] = groups;
      const data = new Uint8Array([1, 2, 3]);
      const sealed = await ours.send("hello \u{1f44b}", { authenticatedData: data });
      const out = {};
      const event = await theirs.receive(sealed);
      out.event = [event.type, event.text, event.content.length, [...event.authenticatedData], event.sender.name, String(event.epoch), kit.hex(event.groupId) === kit.hex(ours.id)];
      const own = await ours.receive(sealed);
      out.own = [own.type, own.sender.name, own.sender.own];
      out.twice = await kit.codeOf(theirs.receive(sealed));
      // The caller may change its bytes as soon as it has called.
      const bytes = new Uint8Array([7, 7, 7, 7]).subarray(1, 3);
      const sending = ours.send(bytes);
      bytes.fill(0);
      const second = await sending;
      const receiving = theirs.receive(second);
      second.fill(0);
      out.copied = [...(await receiving).content];
      for (const text of ["three", "four", "five"]) await theirs.receive(await ours.send(text));
      const inbox = await theirs.inbox();
      out.inbox = inbox.map(({ text, sender }) => [text, sender.name]).slice(2);
      await theirs.acknowledge(inbox[0]);
      await theirs.acknowledge(inbox[1].inboxId);
      await theirs.acknowledge([inbox[2], inbox[3].inboxId, 99]);
      out.left = (await theirs.inbox()).map(({ text }) => text);
      out.wrong = [await kit.codeOf(theirs.acknowledge(-1)), await kit.codeOf(theirs.acknowledge("all")), await kit.codeOf(ours.send(7))];
      const other = await kit.open("carol", open);
      const elsewhere = await other.createGroup(await other.createIdentity("carol"));
      out.elsewhere = await kit.codeOf(elsewhere.receive(await ours.send("not here")));
      out.kinds = [];
      for (const [group, message] of [
        [ours, await ours.send("")],
        [ours, await ours.groupInfo()],
        [ours, await other.createKeyPackage((await other.identities())[0])],
        [ours, (await ours.propose({ update: true, publicMessage: true })).message],
        [ours, (await ours.commit({ ignoreProposals: true })).commit],
      ]) {
        const { type, content, epoch, sender, groupId } = await other.peek(message);
        out.kinds.push([type, content, String(epoch), sender, groupId && kit.hex(groupId) === kit.hex(group.id)].join());
      }
      out.notHere = await kit.codeOf(ours.receive(await ours.groupInfo()));
      return out;
    },
    {
      event: ["application", "hello \u{1f44b}", 10, [1, 2, 3], "alice", "1", true],
      own: ["own", "alice", true],
      twice: "EpochError ALREADY_PROCESSED",
      copied: [7, 7],
      inbox: [["three", "alice"], ["four", "alice"], ["five", "alice"]],
      left: ["five"],
      wrong: ["StateError INVALID_ARGUMENT", "StateError INVALID_ARGUMENT", "StateError INVALID_ARGUMENT"],
      elsewhere: "RejectedError WRONG_GROUP",
      kinds: [
        "private-message,application,1,,true",
        "group-info,,1,,true",
        "key-package,,undefined,,",
        "public-message,proposal,1,member,true",
        "private-message,commit,1,,true",
      ],
      notHere: "RejectedError WRONG_WIRE_FORMAT",
    },
  );

  onPage(
    "messages that are sent and received in one turn: each for itself, in their order",
    async (open) => {
      const { groups } = await kit.crowd(["alice", "bob"], { open });
      const [ours, theirs] = groups;
      const heard = [];
      theirs.on("message", ({ text }) => heard.push(text));
      theirs.on("group-update", ({ epoch }) => heard.push(String(epoch)));
      const each = async (promises) => (await Promise.allSettled(promises)).map(({ value, reason }) => value ?? `${reason.constructor.name} ${reason.code} ${reason.op}`);
      const [one, two, wrong, three] = await each([ours.send("one"), ours.send("two"), ours.send(7), ours.send("three")]);
      const { commit } = await ours.update();
      await ours.applyPendingCommit();
      const four = await ours.send("four");
      const forged = one.map((byte, i) => (i === one.length - 1 ? byte ^ 1 : byte));
      const messages = [two, forged, one, one, new Uint8Array(3), undefined, commit, four, three, commit];
      const out = { wrong };
      out.list = (await each(messages.map((message) => theirs.receive(message)))).map((r) => (r.type ? `${r.type} ${r.text ?? r.epoch}` : r));
      out.heard = heard;
      out.inbox = (await theirs.inbox()).map(({ text }) => text);
      out.own = (await each([one, two].map((message) => ours.receive(message)))).map(({ type }) => type);
      await theirs.propose({ update: true });
      out.waiting = await each([theirs.send("x"), theirs.send("y")]);
      out.same = await kit.same(ours, theirs);
      return out;
    },
    {
      wrong: "StateError INVALID_ARGUMENT group.send",
      list: [
        "application two",
        "RejectedError DECRYPTION_FAILED group.receive",
        "application one",
        "EpochError ALREADY_PROCESSED group.receive",
        "MalformedError MALFORMED group.receive",
        "StateError INVALID_ARGUMENT group.receive",
        "group-update 2",
        "application four",
        "application three",
        "EpochError ALREADY_PROCESSED group.receive",
      ],
      heard: ["two", "one", "2", "four", "three"],
      inbox: ["two", "one", "four", "three"],
      own: ["own", "own"],
      waiting: ["StateError PENDING_PROPOSALS group.send", "StateError PENDING_PROPOSALS group.send"],
      same: true,
    },
  );

  onPage(
    "many messages at once: sent all or none, received each for itself",
    async (open) => {
      const { groups } = await kit.crowd(["alice", "bob"], { open });
      const [ours, theirs] = groups;
      const heard = [];
      theirs.on("message", ({ text }) => heard.push(text));
      theirs.on("group-update", ({ epoch }) => heard.push(String(epoch)));
      const sealed = await ours.sendAll(["one", new Uint8Array([0x74, 0x77, 0x6f]), "three"], { authenticatedData: new Uint8Array([9]), padding: 0 });
      const { commit } = await ours.update();
      await ours.applyPendingCommit();
      const after = await ours.sendAll(["four"]);
      const forged = sealed[0].map((byte, i) => (i === sealed[0].length - 1 ? byte ^ 1 : byte));
      const list = await theirs.receiveAll([sealed[1], forged, sealed[0], sealed[0], new Uint8Array(3), commit, after[0], sealed[2], commit]);
      const out = { list: list.map((r) => (r.type === "refused" ? `${r.error.constructor.name} ${r.error.code}` : `${r.type} ${r.text ?? r.epoch}`)) };
      out.op = list[1].error.op;
      out.data = [...list[0].authenticatedData];
      out.heard = [...heard];
      out.inbox = (await theirs.inbox()).map(({ text }) => text);
      out.same = await kit.same(ours, theirs);
      out.own = (await ours.receiveAll(sealed)).map(({ type }) => type);
      out.empty = [(await ours.sendAll([])).length, (await ours.receiveAll([])).length];
      // Counted while it is done; ended in the middle it has received nothing, and can be done again.
      const backlog = await ours.sendAll(Array.from({ length: 400 }, (_, i) => `message ${i}`));
      const abort = new AbortController();
      const held = (await theirs.inbox()).length;
      out.ended = await kit.codeOf(theirs.receiveAll(backlog, { signal: abort.signal, progress: (done) => done >= 64 && abort.abort() }));
      out.held = (await theirs.inbox()).length - held;
      const told = [];
      const all = await theirs.receiveAll(backlog, { progress: (done, total) => told.push([done, total]) });
      await new Promise((resolve) => setTimeout(resolve));
      out.all = all.filter(({ type }, i) => type === "application" && all[i].text === `message ${i}`).length;
      out.told = [told.length > 3, told.every(([done, total], i) => total === 400 && (i === 0 || done > told[i - 1][0])), told.at(-1)[0]];
      await theirs.propose({ update: true });
      out.waiting = await kit.codeOf(theirs.sendAll(["x", "y"]));
      out.wrong = [await kit.codeOf(ours.sendAll(["x", 7])), await kit.codeOf(ours.receiveAll([7]))];
      out.unpadded = (await ours.send("x", { padding: 0 })).length < (await ours.send("x")).length;
      out.aborted = await kit.codeOf(ours.receiveAll(sealed, { signal: AbortSignal.abort() }));
      return out;
    },
    {
      list: [
        "application two",
        "RejectedError DECRYPTION_FAILED",
        "application one",
        "EpochError ALREADY_PROCESSED",
        "MalformedError MALFORMED",
        "group-update 2",
        "application four",
        "application three",
        "EpochError ALREADY_PROCESSED",
      ],
      op: "group.receiveAll",
      data: [9],
      heard: ["two", "one", "2", "four", "three"],
      inbox: ["two", "one", "four", "three"],
      same: true,
      own: ["own", "own", "own"],
      empty: [0, 0],
      ended: "StorageError CANCELLED",
      held: 0,
      all: 400,
      told: [true, true, 400],
      waiting: "StateError PENDING_PROPOSALS",
      wrong: ["StateError INVALID_ARGUMENT", "StateError INVALID_ARGUMENT"],
      unpadded: true,
      aborted: "StorageError CANCELLED",
    },
  );

  onPage(
    "events reach the listeners of the group, then those of the client, before the call resolves",
    async (open) => {
      const heard = [];
      const { clients, groups } = await kit.crowd(["alice", "bob"], { open });
      const [ours, theirs] = groups;
      const [, bob] = clients;
      const hear = (who) => (event, group) => heard.push(`${who} ${event.type} ${group === theirs} ${group.epoch}`);
      for (const type of ["message", "proposal", "group-update", "removed"]) {
        theirs.on(type, hear("group"));
        bob.on(type, hear("client"));
      }
      const stop = theirs.on("message", () => heard.push("stopped"));
      stop();
      let faults = 0;
      addEventListener("error", (event) => {
        faults++;
        event.preventDefault();
      });
      theirs.on("message", () => {
        throw new Error("a listener's own");
      });
      await theirs.receive(await ours.send("hello"));
      heard.push("received");
      const { message } = await ours.propose({ update: true });
      await theirs.receive(message);
      const commit = await theirs.commit();
      await theirs.applyPendingCommit();
      heard.push("applied");
      await ours.receive(commit.commit);
      await theirs.receive(await theirs.send("one's own")); // no event
      const removal = await ours.remove(1);
      await theirs.receive(removal.commit);
      const same = (await bob.group(ours.id)) === theirs;
      return { heard, faults, same };
    },
    {
      heard: [
        "group application true 1",
        "client application true 1",
        "received",
        "group proposal true 1",
        "client proposal true 1",
        "group group-update true 2",
        "client group-update true 2",
        "applied",
        "group removed true 3",
        "client removed true 3",
      ],
      faults: 1,
      same: true,
    },
  );

  onPage(
    "a commit's life: pending after a reload, cleared, lost to another, healed with another identity",
    async (open) => {
      const { clients, groups } = await kit.crowd(["alice", "bob"], { open });
      const [ours, theirs] = groups;
      const out = {};
      const first = await ours.update({ authenticatedData: new Uint8Array([5]), withGroupInfo: true });
      const pending = await ours.pendingCommit();
      out.pending = [pending.epoch === first.epoch, kit.hex(pending.commit) === kit.hex(first.commit), kit.hex(pending.groupInfo) === kit.hex(first.groupInfo), "welcome" in pending];
      await ours.clearPendingCommit();
      out.cleared = [await ours.pendingCommit() === undefined, String(ours.epoch)];
      // Two at once: the other's comes first.
      const [mine, winner] = [await ours.update(), await theirs.update({ authenticatedData: new Uint8Array([6]) })];
      const event = await ours.receive(winner.commit);
      out.lost = [event.own, [...event.authenticatedData], await ours.pendingCommit() === undefined];
      await theirs.applyPendingCommit();
      out.late = await kit.codeOf(theirs.receive(mine.commit));
      out.same = await kit.same(ours, theirs);
      // Another identity, with another key, by one's own commit.
      const again = await clients[0].createIdentity("alice");
      const { commit } = await ours.update({ identity: again });
      const changed = await theirs.receive(commit);
      await ours.applyPendingCommit();
      out.changed = [kit.hex(changed.committer.signatureKey) === kit.hex(again.signatureKey), await kit.same(ours, theirs)];
      const renewed = await clients[0].renewIdentity(again, "alice");
      out.renewed = kit.hex(renewed.signatureKey) === kit.hex(again.signatureKey) && kit.hex(renewed.id) !== kit.hex(again.id);
      out.wrong = await kit.codeOf(ours.update({ identity: new Uint8Array(16) }));
      out.refused = await kit.codeOf(theirs.update({ identity: await clients[1].createIdentity("robert") }).then(({ commit }) => ours.receive(commit)));
      return out;
    },
    {
      pending: [true, true, true, false],
      cleared: [true, "1"],
      lost: [false, [6], true],
      late: "EpochError EPOCH_BEHIND",
      same: true,
      changed: [true, true],
      renewed: true,
      wrong: "StateError IDENTITY_NOT_FOUND",
      refused: "RejectedError SUCCESSOR_REJECTED",
    },
  );

  onPage(
    "limits: sizes, padding, past epochs",
    async (open) => {
      const limits = { maxMessage: 5000, padding: 0, pastEpochs: 1, maxForward: 3 };
      const { groups } = await kit.crowd(["alice", "bob"], { open: { ...open, limits } });
      const [ours, theirs] = groups;
      const out = {};
      const lengths = await Promise.all([0, 1, 2].map(async (n) => (await ours.send(new Uint8Array(n))).length));
      out.unpadded = lengths.map((n) => n - lengths[0]);
      out.tooLarge = await kit.codeOf(theirs.receive(await ours.send(new Uint8Array(6000))));
      // 4 messages are missing by now: one more is too far.
      out.tooFar = await kit.codeOf(theirs.receive(await ours.send("far")));
      const late = [await theirs.send("zero")];
      for (let i = 0; i < 2; i++) {
        await theirs.receive((await ours.update()).commit);
        await ours.applyPendingCommit();
        late.push(await theirs.send(`one ${i}`));
      }
      out.late = [(await ours.receive(late[2])).text, (await ours.receive(late[1])).text, await kit.codeOf(ours.receive(late[0]))];
      const big = await kit.open("carol", open);
      const group = await big.createGroup(await big.createIdentity("carol"));
      const padded = await Promise.all([100, 200, 256, 257].map(async (n) => (await group.send(new Uint8Array(n))).length));
      out.padded = [padded[0] === padded[1], padded[2] === padded[1], padded[3] > padded[2]];
      out.default = await kit.codeOf(group.receive(new Uint8Array((16 << 20) + 1)));
      out.wrong = await kit.codeOf(kit.open("dave", { ...open, limits: { maxMessage: -1 } }));
      return out;
    },
    {
      unpadded: [0, 1, 2],
      tooLarge: "MalformedError TOO_LARGE",
      tooFar: "RejectedError GENERATION_TOO_FAR",
      late: ["one 1", "one 0", "EpochError EPOCH_BEHIND"],
      padded: [true, true, true],
      default: "MalformedError TOO_LARGE",
      wrong: "StateError INVALID_ARGUMENT",
    },
  );

  onPage(
    "the claims of a group are asked about in order, whatever they are and whoever takes his time",
    async (open) => {
      const asked = [];
      let verdict = () => true;
      const bytes = (...list) => new Uint8Array(list);
      const options = { ...open, supported: { credentials: [0xfff1] } };
      const alice = await kit.open("alice", options);
      const bob = await kit.open("bob", { ...options, authenticate: (claim) => (asked.push(claim), verdict(claim)) });
      const group = await alice.createGroup(await alice.createIdentity("alice"));
      const other = (...data) => ({ type: "other", credentialType: 0xfff1, data: bytes(...data) });
      const identities = [];
      for (const credential of ["", bytes(0xff, 1), "caf\u00e9", other(7, 8), other()]) identities.push(await bob.createIdentity(credential));
      const keyPackages = [];
      for (const identity of identities) keyPackages.push(await bob.createKeyPackage(identity));
      const { welcome } = await group.add(keyPackages);
      await group.applyPendingCommit();
      const out = {};
      const join = async (judge) => {
        asked.length = 0;
        verdict = judge;
        return kit.codeOf(bob.joinGroup(welcome));
      };
      const later = (value) => new Promise((resolve) => setTimeout(resolve, 20 - 2 * asked.length, value));
      out.refused = [
        await join(({ name }) => name !== "caf\u00e9"),
        await join(({ leaf }) => later(leaf !== 5)),
        await join(({ leaf }) => (leaf % 2 === 0 ? later(true) : leaf === 1)),
        await join(() => undefined),
        await join(() => null),
      ];
      out.all = asked.length;
      out.failed = [
        await join(({ leaf }) => (leaf === 1 ? Promise.reject(new Error("no")) : true)),
        await join(() => {
          throw new Error("no");
        }),
      ];
      // Each takes its time: the page has its turn in between.
      const turns = [];
      let turn = 0;
      const counting = setInterval(() => turn++);
      out.joined = await join(() => {
        turns.push(turn);
        for (const start = performance.now(); performance.now() - start < 15; );
        return true;
      });
      clearInterval(counting);
      out.turns = turns.at(-1) > turns[0];
      const content = ({ credential }) => [...(credential.identity ?? credential.data)];
      out.asked = asked.map((claim) => [claim.leaf, claim.place, claim.name ?? null, claim.credential.type, claim.credential.name ?? null, content(claim)]);
      out.keys = asked.slice(1).map(({ signatureKey }, i) => kit.hex(signatureKey) === kit.hex(identities[i].signatureKey));
      out.groups = asked.every(({ groupId }) => kit.hex(groupId) === kit.hex(group.id));
      out.apart = new Set(asked.flatMap(({ groupId, signatureKey }) => [groupId.buffer, signatureKey.buffer])).size;
      return out;
    },
    {
      refused: Array(5).fill("RejectedError CREDENTIAL_REJECTED"),
      all: 6,
      failed: Array(2).fill("StateError AUTHENTICATOR_FAILED"),
      joined: "nothing was refused",
      turns: true,
      asked: [
        [0, "tree", "alice", "basic", "alice", [97, 108, 105, 99, 101]],
        [1, "tree", "", "basic", "", []],
        [2, "tree", null, "basic", null, [255, 1]],
        [3, "tree", "caf\u00e9", "basic", "caf\u00e9", [99, 97, 102, 195, 169]],
        [4, "tree", null, "other", null, [7, 8]],
        [5, "tree", null, "other", null, []],
      ],
      keys: Array(5).fill(true),
      groups: true,
      apart: 12,
    },
  );

  onPage(
    "a call that is cancelled has changed nothing, and those behind it go on",
    async (open) => {
      let answer;
      const asked = () => new Promise((resolve) => (answer = resolve));
      let policy = () => true;
      const alice = await kit.open("alice", { ...open, authenticate: (claim) => policy(claim) });
      const bob = await kit.open("bob", open);
      const group = await alice.createGroup(await alice.createIdentity("alice"));
      const keyPackage = await bob.createKeyPackage(await bob.createIdentity("bob"));
      const before = kit.hex((await group.info()).epochAuthenticator);
      const out = {};
      out.before = await kit.codeOf(group.add(keyPackage, { signal: AbortSignal.abort() }));
      // In the middle: while the application thinks about it.
      const called = new Promise((resolve) => {
        policy = () => (resolve(), asked());
      });
      const abort = new AbortController();
      const adding = kit.codeOf(group.add(keyPackage, { signal: abort.signal }));
      await called;
      // Behind it: one that is cancelled before its turn, and one that is not.
      const waits = new AbortController();
      const waiting = kit.codeOf(group.update({ signal: waits.signal }));
      const members = group.members();
      waits.abort();
      out.waiting = await waiting;
      abort.abort();
      out.adding = await adding;
      out.members = (await members).length;
      answer(true); // too late
      policy = () => true;
      const info = await group.info();
      out.unchanged = [kit.hex(info.epochAuthenticator) === before, info.hasPendingCommit, String(info.epoch)];
      // After its end nothing happens any more.
      const after = new AbortController();
      const { welcome } = await group.add(keyPackage, { signal: after.signal });
      after.abort();
      await group.applyPendingCommit();
      out.joined = await kit.same(group, await bob.joinGroup(welcome, { signal: new AbortController().signal }));
      out.wrong = [await kit.codeOf(group.update({ signal: "now" })), await kit.codeOf(group.update({ progress: 7 }))];
      return out;
    },
    {
      before: "StorageError CANCELLED",
      waiting: "StorageError CANCELLED",
      adding: "StorageError CANCELLED",
      members: 1,
      unchanged: [true, false, "0"],
      joined: true,
      wrong: ["StateError INVALID_ARGUMENT", "StateError INVALID_ARGUMENT"],
    },
  );

  onPage(
    "long calls tell how far they are, and can be ended in the middle",
    async (open) => {
      const count = 300;
      const alice = await kit.open("alice", open);
      const bob = await kit.open("bob", open);
      const out = {};
      /** Calls with a progress function, and judges what that was told. */
      const watched = async (call) => {
        const told = [];
        const result = await call({ progress: (done, total) => told.push([done, total]) });
        await new Promise((resolve) => setTimeout(resolve)); // what was told last may be on its way
        const up = told.every(([done, total], i) => done <= total && (i === 0 || done > told[i - 1][0]));
        return { result, judged: [told.length > 2, up, told.at(-1)[0] === told.at(-1)[1]] };
      };
      const identity = await bob.createIdentity("bob");
      const others = [];
      for (let i = 0; i < count; i++) others.push(await bob.createIdentity(`other ${i}`));
      const made = await watched((options) => bob.createKeyPackages(identity, count, options));
      out.made = made.judged;
      const keyPackages = [await bob.createKeyPackage(identity)];
      for (const other of others) keyPackages.push(await bob.createKeyPackage(other));
      const group = await alice.createGroup(await alice.createIdentity("alice"));
      const before = kit.hex((await group.info()).epochAuthenticator);
      // Ended by what tells of it, in the middle.
      const abort = new AbortController();
      let last = 0;
      const ended = kit.codeOf(
        group.add(keyPackages, {
          signal: abort.signal,
          progress: (done, total) => {
            last = done / total;
            if (done > total / 4) abort.abort();
          },
        }),
      );
      out.ended = [await ended, last > 0.25 && last < 1];
      const info = await group.info();
      out.unchanged = [kit.hex(info.epochAuthenticator) === before, info.hasPendingCommit, info.memberCount];
      const added = await watched((options) => group.add(keyPackages, options));
      out.added = added.judged;
      await group.applyPendingCommit();
      const joining = new AbortController();
      out.notJoined = await kit.codeOf(
        bob.joinGroup(added.result.welcome, { signal: joining.signal, progress: (done, total) => done > total / 4 && joining.abort() }),
      );
      out.groups = (await bob.groups()).length;
      const joined = await watched((options) => bob.joinGroup(added.result.welcome, options));
      out.joined = joined.judged;
      out.same = await kit.same(group, joined.result);
      return out;
    },
    {
      made: [true, true, true],
      ended: ["StorageError CANCELLED", true],
      unchanged: [true, false, 1],
      added: [true, true, true],
      notJoined: "StorageError CANCELLED",
      groups: 0,
      joined: [true, true, true],
      same: true,
    },
  );

  onPage(
    "what a client is like inside, without secrets and content",
    async (open) => {
      const { clients, groups } = await kit.crowd(["alice", "bob", "carol"], { open });
      const [ours, theirs, hers] = groups;
      const [alice] = clients;
      const { drawTree } = kit.webmls;
      await alice.storePSK("id", new TextEncoder().encode("the pre-shared key itself"));
      const update = await theirs.update();
      await kit.deliver(update.commit, ours, hers);
      await theirs.applyPendingCommit();
      await ours.receive(await theirs.send("what bob wrote"));
      await theirs.send("lost");
      await ours.receive(await theirs.send("what bob wrote next"));
      const garbage = (await theirs.send("x")).map((byte, i, all) => (i === all.length - 1 ? byte ^ 1 : byte));
      await kit.codeOf(ours.receive(garbage));
      await ours.receive((await theirs.propose({ update: true })).message);
      await ours.dropProposal((await ours.proposals())[0]);
      await ours.remove(2);
      const inside = await alice.inspect();
      const [group] = inside.groups;
      const out = {
        client: [inside.psks, inside.identities.length, inside.identities[0].signatureKey.length, inside.groups.length],
        group: [group.status, String(group.epoch), group.ownLeaf, group.members.map((m) => m.name).join(), group.inbox, group.rolledBack],
        tree: group.tree.map(({ kind, level, known, children }) => [kind, level, known, children?.join()].join(" ")),
        unmerged: group.tree.map(({ unmerged }) => unmerged.join()),
        drawn: drawTree(group.tree).split("\n").map((line) => line.replace(/[0-9a-f]{16}/, "key")),
        bob: group.senders.find(({ leaf }) => leaf === 1),
        pending: [String(group.pending.epoch), group.pending.removed.join(), group.pending.external, group.pending.commitSize > 100, group.pending.welcomeSize],
        proposals: group.proposals.map(({ proposalType, sender, dropped }) => [proposalType, sender.type, dropped].join()),
        rejected: [group.lastRejected.code, group.lastRejected.size === garbage.length, group.lastRejected.header.content, Date.now() - group.lastRejected.time < 60_000],
        past: group.past.map(({ epoch, ended }) => [String(epoch), Date.now() - ended < 60_000].join()),
        inbox: group.records.find(({ kind }) => kind === "inbox").count,
        same: kit.hex((await ours.inspect()).treeHash) === kit.hex(group.treeHash),
      };
      const text = JSON.stringify(inside, (_, value) => (typeof value === "bigint" ? String(value) : value instanceof Uint8Array ? kit.hex(value) : value));
      const secrets = [await ours.exportSecret("x", "", 32), (await ours.info()).epochAuthenticator];
      for (const secret of ["the pre-shared key itself", "what bob wrote"]) secrets.push(new TextEncoder().encode(secret));
      out.found = secrets.filter((secret) => text.includes(kit.hex(secret)) || text.includes(new TextDecoder().decode(secret))).length;
      return out;
    },
    {
      client: [1, 1, 8, 1],
      group: ["active", "2", 0, "alice,bob,carol", 2, false],
      tree: ["leaf 0 true ", "parent 1 true 0,2", "leaf 0 false ", "parent 2 true 1,5", "leaf 0 false ", "blank 1 false 4,6", "blank 0 false "],
      unmerged: ["", "", "", "", "", "", ""],
      drawn: ["3 key *", "  1 key *", "    0 key *", "    2 key", "  5 -", "    4 key", "    6 -"],
      bob: { leaf: 1, handshake: { next: 1, skipped: 0 }, application: { next: 3, skipped: 1 } },
      pending: ["3", "2", false, true, 0],
      proposals: ["2,member,true"],
      rejected: ["DECRYPTION_FAILED", true, "application", true],
      past: ["1,true", "0,true"],
      inbox: 2,
      same: true,
      found: 0,
    },
  );

  onPage(
    "whatever is given, what is rejected is an MLSError",
    async (open) => {
      const { clients, groups } = await kit.crowd(["alice", "bob"], { open });
      const [alice] = clients;
      const [group] = groups;
      const { MLS, Group, MLSError } = kit.webmls;
      const junk = [undefined, null, 7, -1, "text", true, {}, [], [null], [7], new Uint8Array(3), new Float32Array(2), () => {}, Symbol("s"), 1n];
      const out = { raw: [], tried: 0 };
      const attempt = async (name, call) => {
        out.tried++;
        try {
          await call();
        } catch (error) {
          if (!(error instanceof MLSError)) out.raw.push(`${name}: ${error}`);
        }
      };
      const left = { MLS: ["constructor", "close", "on", "emit", "repeat"], Group: ["constructor", "delete", "on", "emit", "refresh", "happened", "closed"] };
      for (const [target, type] of [[alice, MLS], [group, Group]]) {
        for (const name of Object.getOwnPropertyNames(type.prototype)) {
          if (left[type.name].includes(name) || typeof Object.getOwnPropertyDescriptor(type.prototype, name).value !== "function") continue;
          for (const value of junk) {
            await attempt(`${name}(${String(value)})`, () => target[name](value));
            await attempt(`${name}(value, ${String(value)})`, () => target[name](new Uint8Array(3), value));
            await attempt(`${name}(value, value, ${String(value)})`, () => target[name](new Uint8Array(3), new Uint8Array(3), value));
          }
        }
      }
      for (const value of junk) {
        if (typeof value === "function") continue; // that is one
        for (const name of ["authenticate", "limits", "supported", "thread", "lock"]) {
          if (value === undefined || (name !== "authenticate" && value === null)) continue;
          await attempt(`open ${name} ${String(value)}`, async () => (await MLS.open({ database: "junk", authenticate: () => true, ...open, [name]: value })).close());
        }
        await attempt(`open database ${String(value)}`, async () => (await MLS.open({ authenticate: () => true, ...open, database: value })).close());
      }
      await attempt("open", () => MLS.open());
      out.tried = out.tried > 1500;
      out.alive = (await group.info()).status;
      return out;
    },
    { raw: [], tried: true, alive: "active" },
  );

  onPage(
    "a log of the calls holds no secret and no content, and what others sent can be replayed from it",
    async (open) => {
      const log = [];
      const record = (entry) => log.push(entry);
      const secrets = { psk: "the pre-shared key itself", plain: "what bob wrote", data: "authenticated but private", label: "an export label", name: "bob@example.com" };
      const bytes = (text) => new TextEncoder().encode(text);
      const alice = await kit.open("alice", { ...open, record });
      const bob = await kit.open("bob", open);
      const bobsId = await bob.createIdentity(secrets.name);
      const keyPackage = await bob.createKeyPackage(bobsId);
      await bob.storePSK("id", bytes(secrets.psk));
      await bob.close();
      await kit.copyDatabase("bob", "copy of bob");
      const ours = await alice.createGroup(await alice.createIdentity(bytes(secrets.name)));
      await alice.storePSK("id", bytes(secrets.psk));
      const { welcome } = await ours.commit({ add: [keyPackage], psks: ["id"] });
      await ours.applyPendingCommit();
      await ours.exportSecret(secrets.label, secrets.data, 32);
      // Bob's side, which is recorded and replayed.
      const bobs = [];
      const again = await kit.open("bob", { ...open, record: (entry) => bobs.push(entry) });
      const theirs = await again.joinGroup(welcome);
      await theirs.receive(await ours.send(secrets.plain, { authenticatedData: bytes(secrets.data) }));
      const late = await ours.send(secrets.plain);
      const { commit } = await ours.update();
      await ours.applyPendingCommit();
      const codes = [await kit.codeOf(theirs.receive(await ours.send("ahead"))), await kit.codeOf(theirs.receive(commit.slice(0, -1)))];
      await Promise.all([theirs.receive(commit), theirs.receive(late)]);
      codes.push(await kit.codeOf(theirs.receive(commit)));
      await theirs.receiveAll([await ours.send(secrets.plain), commit]);
      await theirs.acknowledge(0);
      await theirs.send(secrets.plain);
      await theirs.propose({ psk: "id", authenticatedData: bytes(secrets.data) });
      const text = JSON.stringify([log, bobs]);
      const forms = (secret) => [secret, btoa(secret).replaceAll("=", "").slice(0, -2), kit.hex(bytes(secret)), [...bytes(secret)].join()];
      const out = { found: Object.entries(secrets).filter(([, secret]) => forms(secret).some((form) => text.includes(form))).map(([name]) => name) };
      out.size = { ...log.find((entry) => entry.method === "group.send").input };
      delete out.size.group;
      out.numbers = bobs.map((entry) => entry.number).sort((a, b) => a - b).every((number, i) => number === i + 1);
      out.codes = codes;
      const copy = await kit.open("copy of bob", open);
      const kept = JSON.parse(JSON.stringify(bobs)).filter(({ method }) => method !== "group.acknowledge");
      out.replayed = (await kit.webmls.replay(copy, kept)).map(({ entry, outcome, same }) => [entry.method, entry.type ?? "", outcome, same].join(" "));
      out.each = String(kept.at(-3).each);
      const [id] = await copy.groups();
      out.inbox = (await (await copy.group(id)).inbox()).map((event) => event.text);
      // Against what is there now, it says what is known already.
      out.now = (await kit.webmls.replay(again, kept)).map(({ outcome, same }) => `${outcome} ${same}`);
      return out;
    },
    {
      found: [],
      size: { content: { size: 14 }, authenticatedData: { size: 25 } },
      numbers: true,
      codes: ["EpochError EPOCH_AHEAD", "MalformedError MALFORMED", "EpochError ALREADY_PROCESSED"],
      replayed: [
        "joinGroup  ok true",
        "group.receive application ok true",
        "group.receive  EPOCH_AHEAD true",
        "group.receive  MALFORMED true",
        "group.receive group-update ok true",
        "group.receive application ok true",
        "group.receive  ALREADY_PROCESSED true",
        "group.receiveAll  ok true",
      ],
      each: "application,ALREADY_PROCESSED",
      inbox: ["what bob wrote", "what bob wrote", "what bob wrote"],
      now: ["NO_MATCHING_KEY_PACKAGE false", "ALREADY_PROCESSED false", "ok false", "MALFORMED true", "ALREADY_PROCESSED false", "ALREADY_PROCESSED false", "ALREADY_PROCESSED true", "ok false"],
    },
    { needsDatabase: true },
  );
});
