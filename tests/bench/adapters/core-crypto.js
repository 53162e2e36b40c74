// @wireapp/core-crypto, a fork of OpenMLS in wasm, on the page's thread. Everything
// is a transaction, stored in an encrypted SQLite database that lives in IndexedDB.
import {
  ClientId,
  ConversationId,
  CoreCrypto,
  Credential,
  Database,
  DatabaseKey,
  DeviceId,
  initWasmModule,
  KeyPackage,
  Uuid,
  Welcome,
} from "@wireapp/core-crypto/browser";

/** Client ids have a form of their own: this one is of random bytes. */
function randomId() {
  const device = crypto.getRandomValues(new Uint8Array(8));
  const hex = Array.from(device, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return new ClientId(new Uuid(crypto.randomUUID()), DeviceId.fromHexString(hex), "example.com");
}

class Group {
  constructor(client, id) {
    this.client = client;
    this.id = id;
  }

  #transaction(work) {
    return this.client.core.transaction(work);
  }

  /** A commit is applied when the client's transport has taken it. */
  async #commit(work) {
    await this.#transaction(work);
    const { commit, welcome } = this.client.sent;
    return { commit, welcome: welcome?.serialize() };
  }

  async add(keyPackages) {
    const list = keyPackages.map((bytes) => new KeyPackage(bytes));
    try {
      return await this.#commit((context) => context.addClientsToConversation(this.id, list));
    } finally {
      for (const keyPackage of list) keyPackage.uniffiDestroy();
    }
  }

  /** Its commits always have a path. */
  addOne(keyPackage) {
    return this.add([keyPackage]);
  }

  async memberHandle(leaf) {
    return (await this.client.core.getClientIds(this.id))[leaf];
  }

  remove(member) {
    return this.#commit((context) => context.removeClientsFromConversation(this.id, [member]));
  }

  selfUpdate() {
    return this.#commit((context) => context.updateKeyingMaterial(this.id));
  }

  async process(commit) {
    await this.#transaction((context) => context.decryptMessage(this.id, commit));
  }

  encrypt(content) {
    return this.#transaction((context) => context.encryptMessage(this.id, content));
  }

  async decrypt(message) {
    return (await this.#transaction((context) => context.decryptMessage(this.id, message))).inner.plaintext;
  }

  encryptBatch(contents) {
    return this.#transaction(async (context) => {
      const messages = [];
      for (const content of contents) messages.push(await context.encryptMessage(this.id, content));
      return messages;
    });
  }

  decryptBatch(messages) {
    return this.#transaction(async (context) => {
      const contents = [];
      for (const message of messages) contents.push((await context.decryptMessage(this.id, message)).inner.plaintext);
      return contents;
    });
  }

  /** Its exporter has one label, and no context. */
  async exportSecret(label, context, length) {
    return (await this.client.core.exportSecretKey(this.id, length)).copyBytes();
  }

  async reopen() {
    this.client.end();
    await this.client.start(await this.client.openDatabase());
    return new Group(this.client, this.id);
  }
}

class Client {
  id = randomId();
  key = crypto.getRandomValues(new Uint8Array(32));

  openDatabase() {
    return Database.open(this.name, new DatabaseKey(this.key));
  }

  async start(database) {
    this.database = database;
    this.core = CoreCrypto.new(database);
    const transport = {
      sendCommitBundle: async (bundle) => {
        this.sent = bundle;
      },
      prepareForTransport: async (secret) => secret.data,
    };
    await this.core.transaction((context) => context.mlsInit(this.id, transport));
  }

  async addCredential(suite) {
    this.credential = await this.core.transaction((context) => context.addCredential(Credential.basic(suite, this.id)));
  }

  async keyPackage() {
    const keyPackage = await this.core.transaction((context) => context.generateKeyPackage(this.credential));
    const bytes = keyPackage.serialize();
    keyPackage.uniffiDestroy();
    return bytes;
  }

  async createGroup(id) {
    const conversation = new ConversationId(id);
    await this.core.transaction((context) => context.createConversation(conversation, this.credential));
    return new Group(this, conversation);
  }

  async join(welcome) {
    return new Group(this, await this.core.transaction((context) => context.processWelcomeMessage(new Welcome(welcome))));
  }

  end() {
    this.core.uniffiDestroy();
    this.database.uniffiDestroy();
  }

  async close() {
    this.end();
  }
}

export default {
  async init(folder) {
    await initWasmModule(`${folder}index_bg.wasm`);
  },

  /** Key packages of n clients, which have nothing on the disk. */
  async keyPackages(n, { suite }) {
    const list = [];
    while (list.length < n) {
      const client = new Client();
      await client.start(await Database.inMemory());
      await client.addCredential(suite);
      list.push(await client.keyPackage());
      client.end();
    }
    return list;
  },

  async open(name, { suite }) {
    const client = new Client();
    client.name = name;
    await client.start(await client.openDatabase());
    await client.addCredential(suite);
    return client;
  },
};
