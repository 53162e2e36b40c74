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

/** Has an implementation stay loaded in this page, whose code would else go with its last client. */
export async function stay({ adapter }) {
  await (await ready(adapter)).stay?.();
}

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

/** Adds one after the other, for an implementation that cannot add many; who is live joins when it is added. */
async function addInTurn(own, keyPackages, live) {
  for (const [i, keyPackage] of keyPackages.entries()) {
    const { commit, welcome } = await own.addOne(keyPackage);
    for (const { group } of live) await group?.process(commit);
    const member = live.find(({ leaf }) => leaf === i + 1);
    if (member) member.group = await member.client.join(welcome);
  }
}

/**
 * A group of n others, from its beginning to its reopening. Returns samples and sizes.
 * With updatesLast members are removed and added in the blank tree, else in the populated one.
 */
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
  if (own.add) {
    const added = await clock.time("add", () => own.add(keyPackages));
    Object.assign(bytes, { add: added.commit.length, welcome: added.welcome.length });
    for (const member of live) member.group = await clock.time("join", () => member.client.join(added.welcome));
  } else {
    await addInTurn(own, keyPackages, live);
  }
  const groups = () => [own, ...live.map(({ group }) => group)];
  await inStep(groups(), "joining");

  /** A commit of leaf 0, which all that are live process. */
  const commit = async (name, make) => {
    const made = await clock.time(name, make);
    bytes[name] = made.commit.length;
    for (const { group } of live) await clock.time(`${name}:process`, () => group.process(made.commit));
    return made;
  };
  const updates = async () => {
    for (let i = 0; i < reps; i++) await commit("updateBlank", () => own.selfUpdate());
    await inStep(groups(), "updates in the blank tree");

    // From the last to the first, so that each encrypts to no more than the half of the
    // tree that it is in. Who has committed, and does not receive later, may leave.
    for (const member of live.slice().reverse()) {
      const made = await member.group.selfUpdate();
      for (const group of groups()) if (group !== member.group) await group.process(made.commit);
      await inStep(groups(), "populating");
      if (member === live[0] || member === live.at(-1)) continue;
      live.splice(live.indexOf(member), 1);
      await member.client.close();
    }
    for (let i = 0; i < reps + 1; i++) await commit("updatePopulated", () => own.selfUpdate());
    await inStep(groups(), "updates in the populated tree");
  };
  if (own.selfUpdate && !of.updatesLast) await updates();

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
    if (i === 0) await inStep([...groups(), await (own.add ? client.join(welcome) : clock.time("join", () => client.join(welcome)))], "adding one");
    await client.close();
  }

  if (own.selfUpdate && of.updatesLast) await updates();

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

/** One member in a page of its own, and its host in another: see memory in run.mjs. What goes between the pages is in base64. */
let guest, host;
const text = (bytes) => bytes.toBase64();
const bytes = (text) => Uint8Array.fromBase64(text);

export async function arrive(of) {
  guest = await open(of);
  return text(await guest.keyPackage());
}

export async function invite(of, n, keyPackage) {
  const client = await open(of);
  await client.keyPackage();
  host = await client.createGroup(utf8(crypto.randomUUID()));
  return text((await host.add([...pools.get(poolOf(of)).slice(0, n - 1), bytes(keyPackage)])).welcome);
}

export async function enter(welcome) {
  guest = await guest.join(bytes(welcome));
}

/** The host's commits, and for the self-check a secret of the last epoch. */
export async function hostCommits(count) {
  const commits = [];
  for (let i = 0; i < count; i++) commits.push(text((await host.selfUpdate()).commit));
  return { commits, secret: text(await host.exportSecret("bench", random(0), 32)) };
}

export async function guestProcesses({ commits, secret }) {
  for (const commit of commits) await guest.process(bytes(commit));
  check(secret === text(await guest.exportSecret("bench", random(0), 32)), "exporters differ after commits");
}

/** What a page at rest takes: bytes of WebAssembly memory, of everything that the browser counts for it, and of its origin's storage. */
export async function look() {
  await new Promise((resolve) => setTimeout(resolve, 2000));
  clean();
  const { memory: wasm } = await globalThis.meter();
  const page = (await performance.measureUserAgentSpecificMemory()).bytes;
  return { wasm, page, stored: (await navigator.storage.estimate()).usage };
}
