// ts-mls 1.x: TypeScript on the page's thread, with WebCrypto. It stores nothing.
import {
  acceptAll,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeGroupState,
  decodeMlsMessage,
  defaultCapabilities,
  defaultLifetime,
  emptyPskIndex,
  encodeGroupState,
  encodeMlsMessage,
  generateKeyPackage,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  mlsExporter,
  processMessage,
  zeroOutUint8Array,
} from "ts-mls-1";

const names = { 1: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", 2: "MLS_128_DHKEMP256_AES128GCM_SHA256_P256" };
const suites = new Map();
const decode = (bytes) => decodeMlsMessage(bytes, 0)[0];

class Group {
  constructor(state, suite) {
    this.state = state;
    this.suite = suite;
  }

  #step({ newState, consumed }) {
    this.state = newState;
    consumed.forEach(zeroOutUint8Array);
  }

  async #commit(extraProposals) {
    const result = await createCommit({ state: this.state, cipherSuite: this.suite }, { extraProposals, ratchetTreeExtension: true });
    this.#step(result);
    const { commit, welcome } = result;
    return { commit: encodeMlsMessage(commit), welcome: welcome && encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome }) };
  }

  async #receive(message) {
    const result = await processMessage(decode(message), this.state, emptyPskIndex, acceptAll, this.suite);
    this.#step(result);
    return result.message;
  }

  add(keyPackages) {
    return this.#commit(keyPackages.map((bytes) => ({ proposalType: "add", add: { keyPackage: decode(bytes).keyPackage } })));
  }

  addOne(keyPackage) {
    return this.add([keyPackage]);
  }

  memberHandle(leaf) {
    return leaf;
  }

  remove(removed) {
    return this.#commit([{ proposalType: "remove", remove: { removed } }]);
  }

  selfUpdate() {
    return this.#commit([]);
  }

  async process(commit) {
    await this.#receive(commit);
  }

  async encrypt(content) {
    const result = await createApplicationMessage(this.state, content, this.suite);
    this.#step(result);
    return encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage: result.privateMessage });
  }

  decrypt(message) {
    return this.#receive(message);
  }

  exportSecret(label, context, length) {
    return mlsExporter(this.state.keySchedule.exporterSecret, label, context, length, this.suite);
  }

  serialize() {
    return encodeGroupState(this.state);
  }

  async reopen(state) {
    return new Group({ ...decodeGroupState(state, 0)[0], clientConfig: this.state.clientConfig }, this.suite);
  }
}

class Client {
  async keyPackage() {
    this.package = await generateKeyPackage(this.credential, defaultCapabilities(), defaultLifetime, [], this.suite);
    return encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage: this.package.publicPackage });
  }

  async createGroup(id) {
    const { publicPackage, privatePackage } = this.package;
    return new Group(await createGroup(id, publicPackage, privatePackage, [], this.suite), this.suite);
  }

  async join(welcome) {
    const { publicPackage, privatePackage } = this.package;
    return new Group(await joinGroup(decode(welcome).welcome, publicPackage, privatePackage, emptyPskIndex, this.suite), this.suite);
  }

  async close() {}
}

export default {
  async init() {},

  async open(name, { suite }) {
    const client = new Client();
    if (!suites.has(suite)) suites.set(suite, await getCiphersuiteImpl(getCiphersuiteFromName(names[suite])));
    client.suite = suites.get(suite);
    client.credential = { credentialType: "basic", identity: new TextEncoder().encode(name) };
    await client.keyPackage();
    return client;
  },
};
