// WebMLS with all its defaults, as an app without a bundler loads it, or one with (page/cold.js): in a worker,
// storing every operation in IndexedDB; or, as the variant "memory", storing nothing.
// A commit is created and then applied.
import { MLS } from "/webmls/index.js";

class Group {
  constructor(client, group) {
    this.client = client;
    this.group = group;
  }

  async #commit(contents) {
    const { commit, welcome } = await this.group.commit(contents);
    await this.group.applyPendingCommit();
    return { commit, welcome };
  }

  add(keyPackages) {
    return this.#commit({ add: keyPackages });
  }

  addOne(keyPackage) {
    return this.#commit({ add: [keyPackage], noPath: true });
  }

  memberHandle(leaf) {
    return leaf;
  }

  remove(leaf) {
    return this.#commit({ remove: [leaf] });
  }

  selfUpdate() {
    return this.#commit({});
  }

  async process(commit) {
    await this.group.receive(commit);
  }

  encrypt(content) {
    return this.group.send(content);
  }

  async decrypt(message) {
    const event = await this.group.receive(message);
    (this.read ??= []).push(event.inboxId);
    return event.content;
  }

  encryptBatch(contents) {
    return this.group.sendAll(contents);
  }

  async decryptBatch(messages) {
    const events = await this.group.receiveAll(messages);
    (this.read ??= []).push(...events.map(({ inboxId }) => inboxId));
    return events.map(({ content }) => content);
  }

  /** What was decrypted is kept until the app has it. */
  async acknowledge() {
    await this.group.acknowledge(this.read ?? []);
    this.read = [];
  }

  exportSecret(label, context, length) {
    return this.group.exportSecret(label, context, length);
  }
}

class StoredGroup extends Group {
  /** Closes the client, opens it again, and returns its group. */
  async reopen() {
    await this.client.mls.close();
    this.client.mls = await openDatabase(this.client.database);
    return new StoredGroup(this.client, await this.client.mls.group(this.group.id));
  }
}

class Client {
  #group(group) {
    return this.database === null ? new Group(this, group) : new StoredGroup(this, group);
  }

  async keyPackage() {
    return this.mls.createKeyPackage(this.identity);
  }

  async createGroup(id) {
    return this.#group(await this.mls.createGroup(this.identity, { id }));
  }

  async join(welcome) {
    return this.#group(await this.mls.joinGroup(welcome));
  }

  async close() {
    await this.mls.close();
    if (this.database !== null) await MLS.deleteDatabase(this.database);
  }
}

const openDatabase = (database) => MLS.open({ database, authenticate: () => true });

export default {
  async init() {},

  /** One client is always open, as an app's own is: with the last one the worker ends, and what was compiled in it is gone. */
  async stay() {
    this.kept ??= await openDatabase(null);
  },

  /** Key packages for n members: one client that has that many identities. */
  async keyPackages(n, { suite }) {
    const client = await this.open(crypto.randomUUID(), { suite, variant: "memory" });
    const one = async () => client.mls.createKeyPackage(await client.mls.createIdentity(crypto.randomUUID(), { suite }));
    const list = [];
    while (list.length < n) list.push(...(await Promise.all(Array.from({ length: Math.min(100, n - list.length) }, one))));
    await client.close();
    return list;
  },

  async open(name, { suite, variant }) {
    const client = new Client();
    client.database = variant === "memory" ? null : name;
    client.mls = await openDatabase(client.database);
    client.identity = await client.mls.createIdentity(name, { suite });
    return client;
  },
};
