/** The interfaces MLS and MLSGroupView, and what their operations do with the groups of this package. */
import { MLSError, type Bytes, type CommitResult, type Group, type Identity, type Member, type MLS as Instance } from "../index.js";
import type { MLSBytes, MLSCommitOutput, MLSExporterOutput, MLSGroupDetails, MLSReceived } from "./api.js";
import { describe } from "../errors.js";
import { clientIdentifier, GoneError, hex, type Client, type Origin } from "./origin.js";
import { bytes, bytesOrText, take, unsignedLongLong } from "./webidl.js";
import { basicIdentity, credentialBytes, epochBytes, header, noEpoch, type Header } from "./wire.js";

/** Firefox gives key packages a year. */
const lifetime = 365 * 24 * 60 * 60;

/** HKDF-Expand gives no more than this with SHA-256. */
const longestSecret = 255n * 32n;

/** As Firefox does, handshake messages are signed but readable for the delivery service. */
const handshake = { publicMessage: true };

let newOrigin: () => Origin;

/** Says where objects that are made from now on keep their state. */
export function keepStateIn(origin: () => Origin): void {
  newOrigin = origin;
}

/** An interface: its name, and what is behind its objects. */
interface Interface<State> {
  readonly name: string;
  readonly states: WeakMap<object, State>;
}

const ofMLS: Interface<Origin> = { name: "MLS", states: new WeakMap() };
const ofView: Interface<View> = { name: "MLSGroupView", states: new WeakMap() };

export class MLS {
  constructor() {
    ofMLS.states.set(this, newOrigin());
  }

  deleteState(): Promise<undefined> {
    return operation(ofMLS, this, "deleteState", 0, arguments, (origin) => origin.deleteState().then(nothing, fail));
  }

  generateIdentity(): Promise<MLSBytes> {
    return operation(ofMLS, this, "generateIdentity", 0, arguments, async (origin) => {
      const content = await origin.generateIdentity().catch(unknownError("generateIdentityKeypair failed"));
      return { content, type: "client-identifier" };
    });
  }

  generateCredential(credentialContent: unknown): Promise<MLSBytes> {
    return operation(ofMLS, this, "generateCredential", 1, arguments, async (_, at) => {
      const argument = bytesOrText(credentialContent, at);
      const identity = take(argument, at, "credential-basic", "The credential content must not be empty");
      return { content: credentialBytes({ type: "basic", identity }), type: "credential-basic" };
    });
  }

  generateKeyPackage(clientId: unknown, credential: unknown): Promise<MLSBytes> {
    return operation(ofMLS, this, "generateKeyPackage", 2, arguments, async (origin, at) => {
      const { client, name } = clientAndCredential(clientId, credential, at);
      const make = async (c: Client) => c.mls.createKeyPackage(await identityOf(c, name), { lifetime });
      return { content: await origin.run(client, make).catch(fail), type: "key-package" };
    });
  }

  groupCreate(clientId: unknown, credential: unknown): Promise<MLSGroupView> {
    return operation(ofMLS, this, "groupCreate", 2, arguments, async (origin, at) => {
      const { client, name } = clientAndCredential(clientId, credential, at);
      const create = async (c: Client) => c.mls.createGroup(await identityOf(c, name));
      const group = await origin.run(client, create).catch(fail);
      return viewOf(new View(origin, group.id, client));
    });
  }

  groupGet(groupId: unknown, clientId: unknown): Promise<MLSGroupView> {
    return operation(ofMLS, this, "groupGet", 2, arguments, async (origin, at) => {
      const [first, second] = [bytes(groupId, at, 1), bytes(clientId, at, 2)];
      const group = take(first, at, "group-identifier", "The group identifier must not be empty");
      const client = take(second, at, "client-identifier", "The client identifier must not be empty");
      await origin.run(client, ({ mls }) => openGroup(mls, group)).catch(fail);
      return viewOf(new View(origin, group, client));
    });
  }

  groupJoin(clientId: unknown, welcome: unknown): Promise<MLSGroupView> {
    return operation(ofMLS, this, "groupJoin", 2, arguments, async (origin, at) => {
      const [first, second] = [bytes(clientId, at, 1), bytes(welcome, at, 2)];
      const client = take(first, at, "client-identifier", "The client identifier must not be empty");
      const message = take(second, at, "welcome", "The welcome must not be empty");
      const group = await origin.run(client, ({ mls }) => mls.joinGroup(message)).catch(fail);
      return viewOf(new View(origin, group.id, client));
    });
  }

  getGroupIdFromMessage(message: unknown): Promise<MLSBytes> {
    return operation(ofMLS, this, "getGroupIdFromMessage", 1, arguments, async (_, at) => {
      return { content: headerOf(message, at).groupId, type: "group-identifier" };
    });
  }

  getGroupEpochFromMessage(message: unknown): Promise<MLSBytes> {
    return operation(ofMLS, this, "getGroupEpochFromMessage", 1, arguments, async (_, at) => {
      return { content: epochBytes(headerOf(message, at).epoch), type: "group-epoch" };
    });
  }
}

export class MLSGroupView {
  constructor() {
    throw new TypeError("Illegal constructor.");
  }

  deleteState(): Promise<undefined> {
    return operation(ofView, this, "deleteState", 0, arguments, (view) => view.delete());
  }

  add(keyPackage: unknown): Promise<MLSCommitOutput> {
    return operation(ofView, this, "add", 1, arguments, async (view, at) => {
      const added = take(bytes(keyPackage, at, 1), at, "key-package", "The key package must not be empty");
      return view.commitOutput(await view.run((group) => group.add(added, handshake)));
    });
  }

  proposeAdd(keyPackage: unknown): Promise<MLSBytes> {
    return operation(ofView, this, "proposeAdd", 1, arguments, async (view, at) => {
      const added = take(bytes(keyPackage, at, 1), at, "key-package", "The key package must not be empty");
      const propose = (group: Group) => group.propose({ add: added, ...handshake });
      const { message } = await view.run(propose, unknownError("Failed to propose add to group"));
      return { content: message, type: "proposal" };
    });
  }

  remove(remClientId: unknown): Promise<MLSCommitOutput> {
    return operation(ofView, this, "remove", 1, arguments, async (view, at) => {
      const argument = bytes(remClientId, at, 1);
      const removed = take(argument, at, "client-identifier", "The remove client identifier must not be empty");
      return view.commitOutput(await view.run(async (group) => group.remove(await memberOf(group, removed), handshake)));
    });
  }

  proposeRemove(remClientId: unknown): Promise<MLSBytes> {
    return operation(ofView, this, "proposeRemove", 1, arguments, async (view, at) => {
      const argument = bytes(remClientId, at, 1);
      const removed = take(argument, at, "client-identifier", "The removed client identifier must not be empty");
      const propose = async (group: Group) => group.propose({ remove: await memberOf(group, removed), ...handshake });
      return { content: (await view.run(propose)).message, type: "proposal" };
    });
  }

  close(): Promise<MLSCommitOutput> {
    return operation(ofView, this, "close", 0, arguments, async (view) => {
      const removal = async (group: Group) => {
        const others = (await group.members()).filter((member) => !member.own);
        return group.remove(others, { ...handshake, ignoreProposals: true }); // one could add somebody
      };
      return view.commitOutput(await view.run(removal));
    });
  }

  details(): Promise<MLSGroupDetails> {
    return operation(ofView, this, "details", 0, arguments, (view) => view.run((group) => view.details(group)));
  }

  send(message: unknown): Promise<MLSBytes> {
    return operation(ofView, this, "send", 1, arguments, async (view, at) => {
      const content = take(bytesOrText(message, at), at, "application-message-plaintext");
      return { content: await view.run((group) => group.send(content)), type: "application-message-ciphertext" };
    });
  }

  receive(message: unknown): Promise<MLSReceived> {
    return operation(ofView, this, "receive", 1, arguments, async (view, at) => {
      const received = take(bytes(message, at, 1), at, undefined, "The receivedmessage must not be empty");
      return view.run((group, { mls }) => view.receive(group, mls, received));
    });
  }

  hasPendingProposals(): Promise<boolean> {
    return operation(ofView, this, "hasPendingProposals", 0, arguments, (view) =>
      view.run(async (group) => (await group.info()).pendingProposals > 0),
    );
  }

  clearPendingProposals(): Promise<boolean> {
    return operation(ofView, this, "clearPendingProposals", 0, arguments, (view) => {
      const clear = async (group: Group) => {
        for (const proposal of await group.proposals()) await group.dropProposal(proposal);
        return true;
      };
      return view.run(clear, unlessGone(true));
    });
  }

  hasPendingCommit(): Promise<boolean> {
    return operation(ofView, this, "hasPendingCommit", 0, arguments, (view) =>
      view.run(async (group) => (await group.info()).hasPendingCommit),
    );
  }

  clearPendingCommit(): Promise<boolean> {
    return operation(ofView, this, "clearPendingCommit", 0, arguments, (view) => {
      const clear = async (group: Group) => {
        if ((await group.info()).hasPendingCommit) await group.clearPendingCommit();
        return true;
      };
      return view.run(clear, unlessGone(true));
    });
  }

  applyPendingCommit(): Promise<MLSReceived> {
    return operation(ofView, this, "applyPendingCommit", 0, arguments, async (view) => {
      const { epoch } = await view.run((group) => group.applyPendingCommit(), unknownError("Failed to apply pending commit"));
      return view.processed(epoch);
    });
  }

  exportSecret(label: unknown, context: unknown, length: unknown): Promise<MLSExporterOutput> {
    return operation(ofView, this, "exportSecret", 3, arguments, async (view, at) => {
      const [first, second, size] = [bytesOrText(label, at), bytes(context, at, 2), unsignedLongLong(length)];
      const name = take(first, at, "exporter-label", "The label must not be empty");
      const about = take(second, at, "exporter-context");
      return view.run(async (group) => {
        if (size < 1n || size > longestSecret) throw new RangeError(`a secret has 1 to ${longestSecret} bytes`);
        const secret = await group.exportSecret(name, about, Number(size));
        const { groupEpoch, groupId } = view.place(group.epoch);
        return { context: about, groupEpoch, groupId, label: name, secret, type: "exporter-output" };
      });
    });
  }

  get groupId(): Uint8Array {
    return stateOf(ofView, this, "get groupId").groupId;
  }

  get clientId(): Uint8Array {
    return stateOf(ofView, this, "get clientId").clientId;
  }
}

/** What is behind an MLSGroupView: a group as one client has it. */
class View {
  readonly #origin: Origin;
  readonly #group: Uint8Array;
  readonly #client: Uint8Array;
  /** For the page, which may write into them. */
  readonly groupId: Bytes;
  readonly clientId: Bytes;

  constructor(origin: Origin, group: Uint8Array, client: Uint8Array) {
    this.#origin = origin;
    this.#group = group;
    this.#client = client;
    this.groupId = new Uint8Array(group);
    this.clientId = new Uint8Array(client);
  }

  /** Runs a step on the group. `refuse` says what comes of an error. */
  run<T>(step: (group: Group, client: Client) => Promise<T>, refuse: (error: unknown) => T = fail): Promise<T> {
    return this.#origin.run(this.#client, async (client) => step(await openGroup(client.mls, this.#group), client)).catch(refuse);
  }

  delete(): Promise<undefined> {
    const refuse = unknownError("Failed to delete group state");
    return this.#origin.run(this.#client, ({ mls }) => mls.deleteGroup(this.#group)).then(nothing, unlessGone(undefined, refuse));
  }

  async details(group: Group): Promise<MLSGroupDetails> {
    const members = (await group.members()).map(async ({ signatureKey, credential }) => {
      return { clientId: await clientIdentifier(signatureKey), credential: credentialBytes(credential) };
    });
    return { ...this.place(group.epoch), members: await Promise.all(members), type: "group-info" };
  }

  /** Processes a message as Firefox does: a proposal is committed at once, with all that wait. */
  async receive(group: Group, mls: Instance, message: Uint8Array): Promise<MLSReceived> {
    const isProposal = (await mls.peek(message)).content === "proposal";
    if (isProposal && (await group.info()).hasPendingCommit) {
      throw new Error("a commit is pending: apply it or clear it before the next proposal");
    }
    const event = await group.receive(message).catch((error: unknown) => {
      if (isProposal && codeOf(error) === "ALREADY_PROCESSED") return undefined;
      throw error;
    });
    switch (event?.type) {
      case "application":
        await group.acknowledge(await group.inbox()); // there is none here; nor for what a crash has left in it
        return { content: event.content, groupId: new Uint8Array(this.#group), type: "application-message-plaintext" };
      case "group-update":
        return this.processed(event.epoch);
      case "removed":
        await group.delete();
        return this.processed(noEpoch);
    }
    // A proposal: a new one, or one's own, or one that is delivered again.
    if (!isProposal || (await group.info()).pendingProposals === 0) throw new Error("it was processed before");
    try {
      const commitOutput = this.commitOutput(await group.update(handshake));
      return { commitOutput, groupId: new Uint8Array(this.#group), type: "commit-output" };
    } catch (error) {
      if (event?.type === "proposal") await group.dropProposal(event.proposal); // it cannot be committed here
      throw error;
    }
  }

  processed(epoch: bigint): MLSReceived {
    return { ...this.place(epoch), type: "commit-processed" };
  }

  commitOutput({ commit, welcome }: CommitResult): MLSCommitOutput {
    return { commit, groupId: new Uint8Array(this.#group), type: "commit-output", ...(welcome && { welcome }) };
  }

  place(epoch: bigint): { groupEpoch: Bytes; groupId: Bytes } {
    return { groupEpoch: epochBytes(epoch), groupId: new Uint8Array(this.#group) };
  }
}

expose(MLS, ofMLS.name);
expose(MLSGroupView, ofView.name);

/** Gives a class the looks of an interface: what Web IDL says of names, order and enumeration. */
function expose(type: { prototype: object }, name: string): void {
  Object.defineProperty(type, "name", { value: name, configurable: true });
  const { prototype } = type;
  const { constructor, ...members } = Object.getOwnPropertyDescriptors(prototype) as PropertyDescriptorMap;
  const operations = Object.keys(members).filter((key) => "value" in members[key]!);
  for (const key of ["constructor", ...Object.keys(members)]) Reflect.deleteProperty(prototype, key);
  for (const key of new Set([...operations, ...Object.keys(members)])) {
    Object.defineProperty(prototype, key, { ...members[key], enumerable: true });
  }
  Object.defineProperty(prototype, "constructor", constructor!);
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
}

/** Carries an operation out: nothing throws, everything rejects. The arguments are converted before it returns. */
async function operation<State, T>(
  type: Interface<State>,
  self: object,
  name: string,
  required: number,
  given: IArguments,
  run: (state: State, at: string) => Promise<T>,
): Promise<T> {
  const state = stateOf(type, self, name);
  const at = `${type.name}.${name}`;
  if (given.length < required) {
    throw new TypeError(`${at}: At least ${required} argument${required > 1 ? "s" : ""} required, but only ${given.length} passed`);
  }
  return run(state, at);
}

function stateOf<State>(type: Interface<State>, self: object, member: string): State {
  const state = type.states.get(self);
  if (!state) throw new TypeError(`'${member}' called on an object that does not implement interface ${type.name}.`);
  return state;
}

function viewOf(view: View): MLSGroupView {
  const object = Object.create(MLSGroupView.prototype) as MLSGroupView;
  ofView.states.set(object, view);
  return object;
}

/** The arguments of what is done under a credential. */
function clientAndCredential(clientId: unknown, credential: unknown, at: string): { client: Uint8Array; name: Uint8Array } {
  const [first, second] = [bytes(clientId, at, 1), bytes(credential, at, 2)];
  const client = take(first, at, "client-identifier", "The client identifier must not be empty");
  const name = basicIdentity(take(second, at, "credential-basic", "The credential must not be empty"));
  return { client, name: name ?? fail(new Error("want a basic credential")) };
}

/** The identity of a client under a basic credential; it is made when there is none. */
async function identityOf({ mls, key }: Client, name: Uint8Array): Promise<Identity> {
  const same = ({ credential }: Identity) => credential.type === "basic" && hex(credential.identity) === hex(name);
  return (await mls.identities()).find(same) ?? mls.renewIdentity(key, name);
}

/** A group that the client is a member of. */
async function openGroup(mls: Instance, id: Uint8Array): Promise<Group> {
  const group = await mls.group(id);
  if ((await group.info()).status !== "removed") return group;
  await group.delete(); // it was removed, and before that was done here, there was a crash
  throw new GoneError("the client was removed from the group");
}

/** The member with a client identifier. */
async function memberOf(group: Group, client: Uint8Array): Promise<Member> {
  for (const member of await group.members()) {
    if (hex(await clientIdentifier(member.signatureKey)) === hex(client)) return member;
  }
  throw new Error("there is no such member");
}

function headerOf(message: unknown, at: string): Header {
  const found = header(take(bytes(message, at, 1), at, undefined, "The message must not be empty"));
  return found ?? fail(new Error("want a message of a group"));
}

/**
 * Throws what Firefox rejects with for almost everything. Its exception is of a
 * class that scripts cannot make; this one is a DOMException of the same name,
 * which says what happened.
 */
function fail(cause: unknown): never {
  const error = exception(describe(cause), "NS_ERROR_FAILURE", cause);
  throw Object.defineProperty(error, "result", { value: 0x80004005, configurable: true, writable: true });
}

/** Throws Firefox's other exception, which has a message. */
function unknownError(message: string): (cause: unknown) => never {
  return (cause) => {
    throw exception(message, "UnknownError", cause);
  };
}

function exception(message: string, name: string, cause: unknown): DOMException {
  return Object.defineProperty(new DOMException(message, name), "cause", { value: cause, configurable: true, writable: true });
}

/** Takes it for a result that what an operation is about is not there. */
function unlessGone<T>(result: T, refuse: (error: unknown) => never = fail): (error: unknown) => T {
  return (error) => (error instanceof GoneError || codeOf(error) === "GROUP_NOT_FOUND" ? result : refuse(error));
}

function codeOf(error: unknown): string | undefined {
  return error instanceof MLSError ? error.code : undefined;
}

function nothing(): undefined {}
