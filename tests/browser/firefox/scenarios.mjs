// Runs in the page. One exported function a scenario; each throws when it does
// not go as it must, and may return what the test should print.
import { EpochError, MalformedError, MLS as WebMLS, RejectedError, StateError, UnsupportedError } from "/webmls/index.js";
import { equal, fromHex, hex, Native, Ours, refused, Room } from "./parties.mjs";

export function nativeMethods() {
  const { MLS, MLSGroupView } = globalThis;
  return [MLS, MLSGroupView].flatMap((type) => (type ? Object.getOwnPropertyNames(type.prototype) : []));
}

export async function nativeCreates() {
  const room = await Room.create(await Native.open("alice"));
  await room.add(room.parties[0], await Ours.open("bob"));
  await room.talk();
  await room.close();
}

export async function weCreate() {
  const room = await Room.create(await Ours.open("alice"));
  await room.add(room.parties[0], await Native.open("bob"));
  await room.talk();
  await room.close();
}

/** Two and two, each side having added one of each. */
async function four(creator = Native) {
  const alice = await creator.open("alice");
  const bob = await (creator === Native ? Ours : Native).open("bob");
  const room = await Room.create(alice);
  await room.add(alice, bob);
  await room.add(bob, await Native.open("carol"));
  await room.add(alice, await Ours.open("dave"));
  return room;
}

/** The first of a kind in a room, but for some. */
const first = (room, kind, ...not) => room.parties.find((party) => party instanceof kind && !not.includes(party));

/**
 * Firefox cannot commit without a change: it commits what it adds, what it
 * removes, and our proposals.
 */
export async function tenEpochs() {
  const native = await Native.open("alice");
  const ours = await Ours.open("bob");
  const room = await Room.create(native);
  await room.add(native, ours);
  const from = await native.epoch();
  for (let round = 0; round < 5; round++) {
    ours.publicMessage = round % 2 === 1;
    await room.commit(ours, await ours.update());
    await room.talk();
    const commits = await room.propose(ours, await ours.propose({ update: true }));
    await room.commit(native, commits.get(native));
    await room.talk();
  }
  equal((await native.epoch()) - from, 10n, "epochs");
  await room.close();
}

export async function addsAndRemoves() {
  const room = await four();
  const [alice, bob, carol, dave] = room.parties;
  await room.talk();

  // We remove a member of Firefox's, and it removes one of ours.
  for (const [committer, leaver] of [[bob, carol], [alice, dave]]) {
    await room.remove(committer, leaver);
    const message = await committer.send("only for those who are here");
    const error = await refused(leaver.receive(message), `${leaver.name}, removed, reading`);
    if (leaver === dave) equal(error.code, "NOT_A_MEMBER");
  }
  equal((await dave.group.info()).status, "removed");
  await room.talk();

  // Their leaves are used again, and the same people may come back.
  await room.add(bob, await Native.open("carol"));
  await room.add(alice, await Ours.open("dave"));
  await room.talk();

  // Each side is removed from a group of two.
  for (const party of room.parties.slice(2)) await room.remove(alice, party);
  await room.remove(bob, alice);
  equal(room.parties.length, 1);
  await room.close();
}

/** Firefox makes a group empty with close: it removes all others at once. */
export async function nativeCloses() {
  const room = await four();
  const [alice, ...others] = room.parties;
  await room.commit(alice, await alice.group.close(), { leaves: others });
  for (const party of others) await party.close();
}

export async function ourProposals() {
  const room = await four();
  const [alice, bob, carol, dave] = room.parties;
  const required = { extensions: [{ type: 3, data: new Uint8Array([0, 0, 2, 0, 1]) }] }; // required_capabilities: basic credentials
  for (const contents of [{ update: true }, required]) {
    for (const publicMessage of [false, true]) {
      bob.publicMessage = publicMessage;
      const commits = await room.propose(bob, await bob.propose(contents));
      await room.commit(publicMessage ? alice : carol, commits.get(publicMessage ? alice : carol));
    }
  }

  const erin = await Native.open("erin");
  let commits = await room.propose(bob, await bob.proposeAdd(await erin.keyPackage()));
  await room.commit(carol, commits.get(carol), { joins: [erin] });
  commits = await room.propose(bob, await bob.proposeRemove("erin"));
  await room.commit(alice, commits.get(alice), { leaves: [erin] });

  // To leave, one proposes one's own removal. And several proposals in one commit.
  await room.propose(bob, await bob.propose({ update: true }));
  commits = await room.propose(dave, await dave.proposeRemove("dave"));
  await room.commit(alice, commits.get(alice), { leaves: [dave] });
  await room.talk();
  await room.close();
  await dave.close();
}

export async function nativeProposals() {
  const room = await four();
  const [alice, bob, carol, dave] = room.parties;
  const erin = await Ours.open("erin");
  await room.propose(alice, await alice.proposeAdd(await erin.keyPackage()));
  await room.commit(bob, await bob.update(), { joins: [erin] });
  await room.talk([bob, erin, carol]);

  await room.propose(alice, await alice.proposeRemove("erin"));
  await room.commit(dave, await dave.update(), { leaves: [erin] });

  await room.propose(carol, await carol.proposeRemove("carol"));
  await room.commit(bob, await bob.update(), { leaves: [carol] });
  await room.talk();
  await room.close();
  await erin.close();
}

/** Two commit in the same epoch; the service accepts one. */
export async function races() {
  const room = await four();
  const [alice, bob] = room.parties;
  const spare = await Ours.open("erin");
  for (const winner of [alice, bob, bob, alice]) {
    const commits = new Map([
      [alice, await alice.add(await spare.keyPackage())],
      [bob, await bob.update()],
    ]);
    const joins = winner === alice ? [spare] : [];
    await room.commit(winner, commits.get(winner), { joins });
    const loser = winner === alice ? bob : alice;
    equal(await pending(loser), false, `${loser.name} still has a commit pending`);
    for (const party of room.others(loser)) if (!joins.includes(party)) await refused(party.receive(commits.get(loser).commit), "the losing commit");
    await room.agree();
    if (winner === alice) await room.remove(bob, spare);
  }
  await room.talk();
  await room.close();
  await spare.close();
}

async function pending(party) {
  return party instanceof Native ? party.group.hasPendingCommit() : (await party.group.info()).hasPendingCommit;
}

export async function messages() {
  const room = await four(Ours);
  const [alice, bob] = room.parties;
  for (const [sender, reader] of [[alice, bob], [bob, alice]]) {
    // Out of order, many at once.
    const texts = Array.from("abcdefghij");
    const sent = await Promise.all(texts.map((text) => sender.send(text)));
    for (const i of [7, 0, 9, 1, 8, 2, 6, 3, 5, 4]) equal((await reader.receive(sent[i])).text, texts[i]);
    for (const message of sent) await refused(reader.receive(message), "a replay");

    // Late, after a commit.
    const late = await sender.send("late");
    await room.commit(alice, await alice.update());
    equal((await reader.receive(late)).text, "late");
    await refused(reader.receive(late), "a late replay");

    // Nothing, more than UTF-8 of one byte each, and much.
    for (const text of ["", "Grüße, 東京 🦊", "long ".repeat(50_000)]) equal((await reader.receive(await sender.send(text))).text, text);
  }
  await room.close();
}

/** One of ours joins by an external commit, then again, having lost its state. */
export async function externalCommits() {
  const native = await Native.open("alice");
  const bob = await Ours.open("bob");
  const room = await Room.create(native);
  await room.add(native, bob);
  const carol = await Ours.open("carol");
  await room.external(carol, await bob.group.groupInfo());
  await room.talk();
  await room.external(carol, await bob.group.groupInfo());
  await room.talk();
  await room.remove(native, carol);
  await room.close();
  await carol.close();
}

/** What Firefox does not support must not get into a group that it is in, and neither side lets it in. */
export async function unsupported() {
  const native = await Native.open("alice");
  const ours = await Ours.open("bob");
  const room = await Room.create(native);
  await room.add(native, ours);

  const stranger = await Ours.open("mallory", { credential: { type: "other", credentialType: 0x5a5a, data: new Uint8Array([1]) } });
  for (const [what, promise] of [
    ["a credential type", ours.add(await stranger.keyPackage())],
    ["a group context extension", ours.group.commit({ extensions: [{ type: 0xf0f0, data: new Uint8Array([1]) }] })],
    ["required capabilities", ours.group.commit({ extensions: [{ type: 3, data: new Uint8Array([2, 0xf0, 0xf0, 0, 0]) }] })],
  ]) {
    const error = await refused(promise, what);
    equal(error instanceof RejectedError && error.code, "CAPABILITY_MISSING", what);
  }
  await refused(native.add(await stranger.keyPackage()), "Firefox, adding a credential type that it does not know");

  // Firefox is not asked: it crashes when it is given this (NATIVE-API.md).
  const p256 = await Ours.open("peggy", { suite: 2 });
  const error = await refused(ours.add(await p256.keyPackage()), "another cipher suite");
  equal(error instanceof RejectedError && error.code, "KEY_PACKAGE_MISMATCH");

  await room.agree();
  await room.talk();
  for (const party of [stranger, p256]) await party.close();
  await room.close();
}

/** Whatever byte of Firefox's Welcome, commit and message is changed, we refuse it, and take the true one afterwards. */
export async function changedBytes() {
  const native = await Native.open("alice");
  const ours = await Ours.open("bob");
  const room = await Room.create(native);
  const { commit, welcome } = await native.add(await ours.keyPackage());
  await everyByte(welcome, (changed) => ours.join(changed));
  await room.commit(native, { commit, welcome }, { joins: [ours] });

  const state = async () => {
    const { epochAuthenticator, treeHash, ...info } = await ours.group.info();
    return [hex(epochAuthenticator), hex(treeHash), info.pendingProposals, info.status, (await ours.group.inbox()).length].join();
  };
  const before = await state();

  const message = await native.send("hello");
  await everyByte(message, (changed) => ours.receive(changed));
  equal(await state(), before, "the state after changed messages");
  equal((await ours.receive(message)).text, "hello");

  const carol = await Ours.open("carol");
  const added = await native.add(await carol.keyPackage());
  await everyByte(added.commit, (changed) => ours.receive(changed));
  equal(await state(), before, "the state after changed commits");
  await room.commit(native, added, { joins: [carol] });
  await room.close();
}

async function everyByte(message, give) {
  for (let i = 0; i < message.length; i++) {
    const changed = message.slice();
    changed[i] ^= 1 << i % 8;
    const error = await refused(give(changed), `byte ${i} of ${message.length} changed`);
    const expected = [MalformedError, RejectedError, EpochError, UnsupportedError, StateError].some((type) => error instanceof type);
    if (!expected) throw error;
  }
}

/** Makes a group that both sides find again after a reload. */
export async function beforeReload() {
  const native = await Native.open("alice");
  const mls = await WebMLS.open({ database: "reload", authenticate: () => true });
  await native.create();
  const { welcome } = await native.add(await mls.createKeyPackage(await mls.createIdentity("bob")));
  await native.apply();
  const group = await mls.joinGroup(welcome);
  await group.update(); // stays pending
  return { groupId: hex(group.id), clientId: hex(native.clientId), late: hex(await native.send("sent before")) };
}

export async function afterReload({ groupId, clientId, late }) {
  const native = new Native("alice");
  native.group = await new globalThis.MLS().groupGet(fromHex(groupId), fromHex(clientId));
  const mls = await WebMLS.open({ database: "reload", authenticate: () => true });
  const ours = new Ours("bob");
  ours.group = await mls.group(fromHex(groupId));
  equal((await ours.receive(fromHex(late))).text, "sent before");

  const room = new Room(native);
  room.parties.push(ours);
  await room.agree();
  await room.commit(ours, await ours.group.pendingCommit());
  await room.talk();
  await mls.close();
}

/** A random history, the same for the same seed. */
export async function history(seed, epochs) {
  const random = mulberry32(seed);
  const below = (n) => Math.floor(random() * n);
  const pick = (list) => list[below(list.length)];
  const room = await four(pick([Native, Ours]));
  const of = (kind, ...not) => room.parties.filter((party) => party instanceof kind && !not.includes(party));
  let count = 0;
  const newcomer = () => pick([Native, Ours]).open(`member ${++count}`);
  const done = [];

  const moves = {
    async add() {
      if (room.parties.length < 8) await room.add(pick(room.parties), await newcomer());
    },
    async remove() {
      const committer = pick(room.parties);
      const leaver = pick(room.others(committer));
      if (room.parties.length > 3 && of(leaver.constructor, leaver).length > 0) await room.remove(committer, leaver);
    },
    async update() {
      const ours = pick(of(Ours));
      ours.publicMessage = below(2) === 1;
      await room.commit(ours, await ours.update());
    },
    async external() {
      const ours = of(Ours);
      const joiner = ours.length > 1 && below(2) ? pick(ours) : await Ours.open(`member ${++count}`);
      if (room.parties.length < 8 || ours.includes(joiner)) await room.external(joiner, await pick(of(Ours, joiner)).group.groupInfo());
    },
    /** One to three proposals, committed by Firefox or by us. */
    async reference() {
      const joins = [];
      const leaves = [];
      const updated = [];
      let proposer, commits;
      for (let n = 1 + below(3); n > 0; n--) {
        proposer = pick(room.parties);
        const kind = below(3);
        if (kind === 0 && room.parties.length + joins.length < 8) {
          const joiner = await newcomer();
          joins.push(joiner);
          commits = await room.propose(proposer, await proposer.proposeAdd(await joiner.keyPackage()));
        } else if (kind === 1 && proposer instanceof Ours && !updated.includes(proposer) && !leaves.includes(proposer)) {
          updated.push(proposer);
          commits = await room.propose(proposer, await proposer.propose({ update: true }));
        } else if (room.parties.length - leaves.length > 4) {
          const leaver = pick(room.parties);
          if (leaves.includes(leaver) || updated.includes(leaver) || of(leaver.constructor, leaver, ...leaves).length < 1) continue;
          leaves.push(leaver);
          commits = await room.propose(proposer, await proposer.proposeRemove(leaver.name));
        }
      }
      if (!commits) return;
      // Firefox has committed the last proposal that it received, with those before; we commit when asked.
      const able = room.parties.filter((p) => !leaves.includes(p) && !updated.includes(p) && (p instanceof Ours || commits.has(p)));
      if (able.length === 0) throw new Error("nobody can commit");
      const committer = pick(able);
      if (committer instanceof Ours) committer.publicMessage = below(2) === 1;
      const result = committer instanceof Ours ? await committer.update() : commits.get(committer);
      await room.commit(committer, result, { joins, leaves });
    },
  };

  try {
    while (done.length < epochs) {
      const move = pick(Object.keys(moves));
      const epoch = await room.parties[0].epoch();
      done.push(move);
      await moves[move]();
      if ((await room.parties[0].epoch()) === epoch) done.pop();
      else await room.talk([pick(room.parties)]);
    }
    await room.talk();
  } catch (error) {
    error.message += ` (seed ${seed}, after ${done.join(" ")})`;
    throw error;
  }
  await room.close();
  return done.reduce((counts, move) => ({ ...counts, [move]: (counts[move] ?? 0) + 1 }), {});
}

function mulberry32(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Our module alone: what an app does with it, in one cipher suite. */
export async function suite(number, thread) {
  const open = (name) => WebMLS.open({ database: `${name}-${number}-${thread}`, authenticate: () => true, thread });
  const alice = await open("alice");
  const bob = await open("bob");
  const group = await alice.createGroup(await alice.createIdentity("alice", { suite: number }));
  equal(group.suite, number);
  const { welcome } = await group.add(await bob.createKeyPackage(await bob.createIdentity("bob", { suite: number })));
  await group.applyPendingCommit();
  const bobs = await bob.joinGroup(welcome);

  const talk = async () => {
    for (const [sender, reader] of [[group, bobs], [bobs, group]]) {
      const got = await reader.receive(await sender.send(`epoch ${sender.epoch}`));
      equal(got.text, `epoch ${sender.epoch}`);
      await reader.acknowledge(got);
    }
    equal(hex(await group.exportSecret("test", "", 32)), hex(await bobs.exportSecret("test", "", 32)));
  };
  await talk();
  for (const [committer, other] of [[bobs, group], [group, bobs]]) {
    const { commit } = await committer.update();
    equal((await other.receive(commit)).type, "group-update");
    await committer.applyPendingCommit();
    await talk();
  }
  const { commit } = await group.remove((await group.members()).find((m) => m.name === "bob"));
  equal((await bobs.receive(commit)).type, "removed");
  await group.applyPendingCommit();
  await alice.close();
  await bob.close();
}
