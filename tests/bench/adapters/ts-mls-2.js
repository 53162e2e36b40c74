// ts-mls 2.x: as 1.x, with another interface.
import {
  clientStateDecoder,
  clientStateEncoder,
  createApplicationMessage,
  createCommit,
  createGroup,
  decode as decodeAs,
  defaultCredentialTypes,
  defaultProposalTypes,
  encode,
  generateKeyPackage,
  getCiphersuiteImpl,
  joinGroup,
  mlsExporter,
  mlsMessageDecoder,
  mlsMessageEncoder,
  processMessage,
  protocolVersions,
  unsafeTestingAuthenticationService,
  wireformats,
  zeroOutUint8Array,
} from "ts-mls-2";

const names = { 1: "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", 2: "MLS_128_DHKEMP256_AES128GCM_SHA256_P256" };
const contexts = new Map();
const decode = (bytes) => decodeAs(mlsMessageDecoder, bytes);

class Group {
  constructor(state, context) {
    this.state = state;
    this.context = context;
  }

  #step({ newState, consumed }) {
    this.state = newState;
    consumed.forEach(zeroOutUint8Array);
  }

  async #commit(extraProposals) {
    const result = await createCommit({ context: this.context, state: this.state, extraProposals, ratchetTreeExtension: true });
    this.#step(result);
    return { commit: encode(mlsMessageEncoder, result.commit), welcome: result.welcome && encode(mlsMessageEncoder, result.welcome) };
  }

  async #receive(message) {
    const result = await processMessage({ context: this.context, state: this.state, message: decode(message) });
    this.#step(result);
    return result.message;
  }

  add(keyPackages) {
    const proposalType = defaultProposalTypes.add;
    return this.#commit(keyPackages.map((bytes) => ({ proposalType, add: { keyPackage: decode(bytes).keyPackage } })));
  }

  addOne(keyPackage) {
    return this.add([keyPackage]);
  }

  memberHandle(leaf) {
    return leaf;
  }

  /** Its commit has no path, against RFC 9420, Section 12.4. */
  remove(removed) {
    return this.#commit([{ proposalType: defaultProposalTypes.remove, remove: { removed } }]);
  }

  selfUpdate() {
    return this.#commit([]);
  }

  async process(commit) {
    await this.#receive(commit);
  }

  async encrypt(message) {
    const result = await createApplicationMessage({ context: this.context, state: this.state, message });
    this.#step(result);
    return encode(mlsMessageEncoder, result.message);
  }

  decrypt(message) {
    return this.#receive(message);
  }

  exportSecret(label, context, length) {
    return mlsExporter(this.state.keySchedule.exporterSecret, label, context, length, this.context.cipherSuite);
  }

  serialize() {
    return encode(clientStateEncoder, this.state);
  }

  async reopen(state) {
    return new Group(decodeAs(clientStateDecoder, state), this.context);
  }
}

class Client {
  async keyPackage() {
    this.package = await generateKeyPackage({ credential: this.credential, cipherSuite: this.context.cipherSuite });
    const keyPackage = this.package.publicPackage;
    return encode(mlsMessageEncoder, { version: protocolVersions.mls10, wireformat: wireformats.mls_key_package, keyPackage });
  }

  async createGroup(groupId) {
    const { publicPackage: keyPackage, privatePackage: privateKeyPackage } = this.package;
    return new Group(await createGroup({ context: this.context, groupId, keyPackage, privateKeyPackage }), this.context);
  }

  async join(welcome) {
    const { publicPackage: keyPackage, privatePackage: privateKeys } = this.package;
    return new Group(await joinGroup({ context: this.context, welcome: decode(welcome).welcome, keyPackage, privateKeys }), this.context);
  }

  async close() {}
}

export default {
  async init() {},

  async open(name, { suite }) {
    if (!contexts.has(suite)) {
      contexts.set(suite, { cipherSuite: await getCiphersuiteImpl(names[suite]), authService: unsafeTestingAuthenticationService });
    }
    const client = new Client();
    client.context = contexts.get(suite);
    client.credential = { credentialType: defaultCredentialTypes.basic, identity: new TextEncoder().encode(name) };
    await client.keyPackage();
    return client;
  },
};
