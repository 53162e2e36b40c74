// Firefox's own MLS Web API, behind its preferences; tests/browser/firefox/NATIVE-API.md
// says what it does. It has cipher suite 1 only, and no way to commit nothing.
class Group {
  constructor(client, view) {
    this.client = client;
    this.view = view;
  }

  async #commit({ commit, welcome }) {
    await this.view.applyPendingCommit();
    return { commit, welcome };
  }

  /**
   * It adds one at a time. Several could be proposed and committed together, but a
   * Welcome for several clients of one origin confuses it.
   */
  async addOne(keyPackage) {
    return this.#commit(await this.view.add(keyPackage));
  }

  async memberHandle(leaf) {
    return (await this.view.details()).members[leaf].clientId;
  }

  async remove(member) {
    return this.#commit(await this.view.remove(member));
  }

  async process(commit) {
    await this.view.receive(commit);
  }

  async encrypt(content) {
    return (await this.view.send(content)).content;
  }

  async decrypt(message) {
    return (await this.view.receive(message)).content;
  }

  async exportSecret(label, context, length) {
    return (await this.view.exportSecret(label, context, length)).secret;
  }

  async reopen() {
    return new Group(this.client, await this.client.mls.groupGet(this.view.groupId, this.client.id));
  }
}

class Client {
  async keyPackage() {
    return (await this.mls.generateKeyPackage(this.id, this.credential)).content;
  }

  async createGroup() {
    return new Group(this, await this.mls.groupCreate(this.id, this.credential));
  }

  async join(welcome) {
    return new Group(this, await this.mls.groupJoin(this.id, welcome));
  }

  async close() {}
}

export default {
  async init() {},

  async open(name) {
    const client = new Client();
    client.mls = new globalThis.MLS();
    client.id = await client.mls.generateIdentity();
    client.credential = await client.mls.generateCredential(name);
    return client;
  },
};
