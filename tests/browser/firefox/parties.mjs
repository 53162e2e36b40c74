// Runs in the page. The two implementations behind one interface, so that a
// scenario is written once, and a room: a delivery service for them.
import { MLS as WebMLS } from "/webmls/index.js";

const label = "webmls interop";
const context = new Uint8Array([1, 2, 3]);

/** A member through the MLS Web API of Firefox. See NATIVE-API.md for what it does. */
export class Native {
  #mls = new globalThis.MLS();
  #client;
  #credential;
  group;

  constructor(name) {
    this.name = name;
  }

  static async open(name) {
    const party = new Native(name);
    party.#client = await party.#mls.generateIdentity();
    party.#credential = await party.#mls.generateCredential(name);
    return party;
  }

  get clientId() {
    return this.#client.content;
  }

  async keyPackage() {
    return (await this.#mls.generateKeyPackage(this.#client, this.#credential)).content;
  }

  async create() {
    this.group = await this.#mls.groupCreate(this.#client, this.#credential);
  }

  async join(welcome) {
    this.group = await this.#mls.groupJoin(this.#client, welcome);
  }

  add(keyPackage) {
    return this.group.add(keyPackage);
  }

  async remove(name) {
    return this.group.remove(await this.#idOf(name));
  }

  async proposeAdd(keyPackage) {
    return (await this.group.proposeAdd(keyPackage)).content;
  }

  async proposeRemove(name) {
    return (await this.group.proposeRemove(await this.#idOf(name))).content;
  }

  async #idOf(name) {
    return fromHex((await this.members()).find((m) => m.name === name).clientId);
  }

  apply() {
    return this.group.applyPendingCommit();
  }

  async clear() {
    await this.group.clearPendingCommit();
  }

  async send(text) {
    return (await this.group.send(text)).content;
  }

  /** A received proposal comes with a commit of it that Firefox has made at once. */
  async receive(message) {
    const got = await this.group.receive(message);
    switch (got.type) {
      case "application-message-plaintext":
        return { type: "application", text: text(got.content) };
      case "commit-output":
        return { type: "proposal", commit: got.commitOutput };
      case "commit-processed":
        return got.groupEpoch.every((byte) => byte === 0xff) ? { type: "removed" } : { type: "group-update" };
    }
    throw new Error(`an event of type ${got.type}`);
  }

  async epoch() {
    const { groupEpoch } = await this.group.details();
    return new DataView(groupEpoch.buffer, groupEpoch.byteOffset).getBigUint64(0, true);
  }

  async secret() {
    return hex((await this.group.exportSecret(label, context, 32)).secret);
  }

  /** A credential is `00 01`, the length, and the name: short names only. */
  async members() {
    const { members } = await this.group.details();
    return members.map((m) => ({ name: text(m.credential.subarray(3)), clientId: hex(m.clientId) })).sort(byName);
  }

  async close() {}
}

/** A member through this package. */
export class Ours {
  #mls;
  #identity;
  group;

  /** Whether handshake messages are sent as PublicMessages. */
  publicMessage = false;

  constructor(name) {
    this.name = name;
  }

  static async open(name, options = {}) {
    const party = new Ours(name);
    const database = `${name}-${crypto.randomUUID()}`;
    party.#mls = await WebMLS.open({ database, authenticate: () => true, succeeds: () => true });
    party.#identity = await party.#mls.createIdentity(options.credential ?? name, { suite: options.suite ?? 1 });
    return party;
  }

  async keyPackage() {
    return this.#mls.createKeyPackage(this.#identity);
  }

  async create(options) {
    this.group = await this.#mls.createGroup(this.#identity, options);
  }

  async join(welcome) {
    this.group = await this.#mls.joinGroup(welcome);
  }

  /** Joins by an external commit; with `resync`, as one who has lost its state. */
  async joinExternal(groupInfo, resync) {
    if (resync) await this.group.delete();
    const { group, ...result } = await this.#mls.joinExternal(this.#identity, groupInfo, { resync });
    this.group = group;
    return result;
  }

  add(keyPackage) {
    return this.group.add(keyPackage, this.#options);
  }

  async remove(name) {
    return this.group.remove(await this.#member(name), this.#options);
  }

  /** Commits the proposals that were received, with fresh keys. */
  update() {
    return this.group.update(this.#options);
  }

  proposeAdd(keyPackage) {
    return this.propose({ add: keyPackage });
  }

  async proposeRemove(name) {
    return this.propose({ remove: await this.#member(name) });
  }

  async propose(contents) {
    return (await this.group.propose({ ...contents, ...this.#options })).message;
  }

  async #member(name) {
    return (await this.group.members()).find((m) => m.name === name);
  }

  get #options() {
    return { publicMessage: this.publicMessage };
  }

  apply() {
    return this.group.applyPendingCommit();
  }

  async clear() {
    if (await this.group.pendingCommit()) await this.group.clearPendingCommit();
  }

  send(text) {
    return this.group.send(text);
  }

  async receive(message) {
    const got = await this.group.receive(message);
    if (got.type === "application") await this.group.acknowledge(got);
    return got;
  }

  async epoch() {
    return (await this.group.info()).epoch;
  }

  async secret() {
    return hex(await this.group.exportSecret(label, context, 32));
  }

  async members() {
    const members = await this.group.members();
    const ids = await Promise.all(members.map((m) => crypto.subtle.digest("SHA-256", m.signatureKey)));
    return members.map((m, i) => ({ name: m.name, clientId: hex(new Uint8Array(ids[i])) })).sort(byName);
  }

  async close() {
    await this.#mls.close();
  }
}

/** The parties of one group, and the delivery service between them. */
export class Room {
  parties;

  constructor(creator) {
    this.parties = [creator];
  }

  static async create(creator, options) {
    await creator.create(options);
    return new Room(creator);
  }

  /** Everyone but the sender. */
  others(sender) {
    return this.parties.filter((party) => party !== sender);
  }

  /** Accepts a commit: the committer applies it, the others receive it, then whom it adds joins. */
  async commit(committer, { commit, welcome }, { joins = [], leaves = [] } = {}) {
    for (const party of this.others(committer)) {
      equal((await party.receive(commit)).type, leaves.includes(party) ? "removed" : "group-update", party.name);
    }
    await committer.apply();
    for (const party of joins) await party.join(welcome);
    this.parties = [...this.parties.filter((party) => !leaves.includes(party)), ...joins];
    await this.agree();
  }

  /** One adds another, by a key package that the other has made. */
  async add(committer, joiner) {
    await this.commit(committer, await committer.add(await joiner.keyPackage()), { joins: [joiner] });
  }

  async remove(committer, leaver) {
    await this.commit(committer, await committer.remove(leaver.name), { leaves: [leaver] });
  }

  /** One joins by an external commit. */
  async external(joiner, groupInfo) {
    const resync = this.parties.includes(joiner);
    const { commit } = await joiner.joinExternal(groupInfo, resync);
    for (const party of this.others(joiner)) equal((await party.receive(commit)).type, "group-update", party.name);
    await joiner.apply();
    if (!resync) this.parties.push(joiner);
    await this.agree();
  }

  /**
   * Gives a proposal to all. Firefox commits each proposal that it receives at
   * once, and refuses the next one while that commit is pending: it is cleared
   * first. Returns the commits that Firefox has made, by party.
   */
  async propose(proposer, message) {
    const commits = new Map();
    for (const party of this.others(proposer)) {
      await party.clear();
      const got = await party.receive(message);
      equal(got.type, "proposal", party.name);
      if (got.commit) commits.set(party, got.commit);
    }
    return commits;
  }

  /** All are in the same epoch, know the same members with the same keys, and export the same secret. */
  async agree() {
    const views = await Promise.all(
      this.parties.map(async (p) => JSON.stringify([String(await p.epoch()), await p.secret(), await p.members()])),
    );
    this.parties.forEach((party, i) => equal(views[i], views[0], `${party.name} and ${this.parties[0].name}`));
    const names = (await this.parties[0].members()).map((m) => m.name);
    equal(names.join(), this.parties.map((p) => p.name).sort().join(), "the members");
  }

  /** One says something, or everyone does, and all others read it. */
  async talk(senders = this.parties) {
    for (const sender of senders) {
      const said = `${sender.name} in epoch ${await sender.epoch()}`;
      const message = await sender.send(said);
      for (const party of this.others(sender)) equal((await party.receive(message)).text, said, party.name);
    }
  }

  async close() {
    for (const party of this.parties) await party.close();
  }
}

/** Throws unless two values are the same. */
export function equal(actual, expected, what = "") {
  if (actual !== expected) throw new Error(`${what}: got ${actual}, want ${expected}`);
}

/** Waits for a promise to reject, and returns with what. */
export async function refused(promise, what) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what}: was not refused`);
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(digits) {
  return Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
}

function text(bytes) {
  return new TextDecoder().decode(bytes);
}

function byName(a, b) {
  return a.name < b.name ? -1 : 1;
}
