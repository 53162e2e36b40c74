// What is measured, in the page, of any implementation: see README.md for the
// interface of an adapter. Nothing here knows about a particular one, and all that
// passes between members is bytes.
//
// In a group the creator is leaf 0, the n others that it adds are leaves 1 to n.
// Those at leaves 1, 2, 4, 8, ... are live in this page; of the others there is a
// real key package, whose private keys nobody has kept. The shapes of the tree:
//
//   blank      only leaf 0 has committed: it encrypts to every other leaf, the worst case;
//   populated  1, 2, 4, 8, ... have committed too: it encrypts to log2 n nodes, the best.
import { Clock } from "./clock.js";

const utf8 = (text) => new TextEncoder().encode(text);
const random = (length) => crypto.getRandomValues(new Uint8Array(length));
const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Throws, so that the cell fails, when an implementation does not do what it is measured doing. */
function check(holds, what) {
  if (!holds) throw new Error(`self-check failed: ${what}`);
}

const adapters = new Map();
const pools = new Map();

/** The adapter of an implementation, loaded. */
async function ready(adapter) {
  if (!adapters.has(adapter)) {
    const folder = new URL(`/adapters/${adapter}/`, location.href).href;
    const { default: made } = await import(`${folder}adapter.js`);
    await made.init(folder);
    adapters.set(adapter, made);
  }
  return adapters.get(adapter);
}

const open = async ({ adapter, suite, variant }, name = crypto.randomUUID()) => (await ready(adapter)).open(name, { suite, variant });

/** Runs without what earlier cells have left behind, as far as the browser lets one. */
const clean = () => globalThis.gc?.();

async function inStep(members, what) {
  const secrets = [];
  for (const member of members) secrets.push(await member.exportSecret("bench", random(0), 32));
  check(secrets.every((secret) => secret.length === 32 && same(secret, secrets[0])), `exporters differ after ${what}`);
}

/** Makes sure that there are n key packages of an implementation, each of a client, or at least an identity, of its own. */
export async function pool(of, n) {
  const key = poolOf(of);
  const list = pools.get(key) ?? [];
  const adapter = await ready(of.adapter);
  if (adapter.keyPackages) list.push(...(await adapter.keyPackages(n - list.length, of)));
  while (list.length < n) {
    const client = await open(of);
    list.push(await client.keyPackage());
    await client.close();
  }
  pools.set(key, list);
}

const poolOf = ({ adapter, suite }) => `${adapter} ${suite}`;

/** A group of n others, from its beginning to its reopening. Returns samples and sizes. */
export async function group(of, n, reps) {
  clean();
  const clock = new Clock();
  const bytes = {};
  const filling = pools.get(poolOf(of)).slice();
  const creator = await open(of);
  await creator.keyPackage();
  const live = [];
  const keyPackages = [];
  for (let leaf = 1; leaf <= n; leaf++) {
    const isLive = (leaf & (leaf - 1)) === 0;
    if (isLive) live.push({ leaf, client: await open(of) });
    keyPackages.push(isLive ? await live.at(-1).client.keyPackage() : filling.pop());
  }

  let own = await clock.time("createGroup", () => creator.createGroup(utf8(crypto.randomUUID())));
  const added = await clock.time("add", () => own.add(keyPackages));
  Object.assign(bytes, { add: added.commit.length, welcome: added.welcome.length });
  for (const member of live) member.group = await clock.time("join", () => member.client.join(added.welcome));
  const groups = () => [own, ...live.map(({ group }) => group)];
  await inStep(groups(), "joining");

  /** A commit of leaf 0, which all that are live process. */
  const commit = async (name, make) => {
    const made = await clock.time(name, make);
    bytes[name] = made.commit.length;
    for (const { group } of live) await clock.time(`${name}:process`, () => group.process(made.commit));
    return made;
  };
  for (let i = 0; i < reps; i++) await commit("updateBlank", () => own.selfUpdate());
  await inStep(groups(), "updates in the blank tree");

  // From the last to the first, so that each encrypts to no more than the half of the
  // tree that it is in. Who has committed, and does not receive later, may leave.
  for (const member of live.slice().reverse()) {
    const { commit } = await member.group.selfUpdate();
    for (const group of groups()) if (group !== member.group) await group.process(commit);
    await inStep(groups(), "populating");
    if (member === live[0] || member === live.at(-1)) continue;
    live.splice(live.indexOf(member), 1);
    await member.client.close();
  }
  for (let i = 0; i < reps + 1; i++) await commit("updatePopulated", () => own.selfUpdate());
  await inStep(groups(), "updates in the populated tree");

  const content = random(1024);
  const [reader] = live;
  for (let i = 0; i < 20; i++) {
    const message = await clock.time("encrypt", () => own.encrypt(content));
    const read = await clock.time("decrypt", () => reader.group.decrypt(message));
    check(same(read, content), "another plaintext came back");
    bytes.message = message.length;
    await clock.time("exportSecret", () => own.exportSecret("bench", random(8), 32));
  }
  if (reader.group.acknowledge) await clock.time("acknowledge", () => reader.group.acknowledge());

  const removed = [];
  for (const leaf of [3, 5, 6].slice(0, reps)) removed.push(await own.memberHandle(leaf));
  for (const member of removed) await commit("remove", () => own.remove(member));
  await inStep(groups(), "removals");
  for (let i = 0; i < reps; i++) {
    const client = await open(of);
    const keyPackage = await client.keyPackage();
    const { welcome } = await commit("addOne", () => own.addOne(keyPackage));
    // ts-mls 1.6 wrongly refuses the tree in which two have been added since the last path.
    if (i === 0) await inStep([...groups(), await client.join(welcome)], "adding one");
    await client.close();
  }

  if (own.reopen) {
    const state = own.serialize?.();
    let message;
    own = await clock.time("reopen", async () => {
      const again = await own.reopen(state);
      message = await again.encrypt(content);
      return again;
    });
    check(same(await reader.group.decrypt(message), content), "another plaintext came back after reopening");
  }
  const samples = await clock.samples();
  for (const { client } of [{ client: creator }, ...live]) await client.close();
  return { samples, bytes };
}

/** Messages of 32 bytes between two members. Samples are of `count` of them. */
export async function messages(of, count) {
  clean();
  const clock = new Clock();
  const [sender, receiver] = [await open(of), await open(of)];
  await sender.keyPackage();
  const own = await sender.createGroup(utf8(crypto.randomUUID()));
  const theirs = await receiver.join((await own.add([await receiver.keyPackage()])).welcome);
  const contents = Array.from({ length: count }, () => random(32));

  const exchange = async (name, encrypt, decrypt) => {
    const sent = await clock.time(`${name}Encrypt`, encrypt);
    const read = await clock.time(`${name}Decrypt`, () => decrypt(sent));
    check(read.length === count && read.every((content, i) => same(content, contents[i])), `${name}: other plaintexts came back`);
    await theirs.acknowledge?.();
  };
  const each = async (list, operation) => {
    const results = [];
    for (const item of list) results.push(await operation(item));
    return results;
  };
  await exchange("awaited", () => each(contents, (content) => own.encrypt(content)), (sent) => each(sent, (message) => theirs.decrypt(message)));
  if (own.encryptBatch) await exchange("batch", () => own.encryptBatch(contents), (sent) => theirs.decryptBatch(sent));
  if (of.unawaited) {
    const all = (list, operation) => Promise.all(list.map(operation));
    await exchange("unawaited", () => all(contents, (content) => own.encrypt(content)), (sent) => all(sent, (message) => theirs.decrypt(message)));
  }
  for (let i = 0; i < 20; i++) await clock.time("keyPackage", () => receiver.keyPackage());
  const samples = await clock.samples();
  await sender.close();
  await receiver.close();
  return { samples };
}
