/**
 * The MLS Web API as Firefox ships it, for every browser. Importing this module
 * defines `MLS` and `MLSGroupView` on the global object where they are missing;
 * where the browser has them, it does nothing.
 *
 * ```ts
 * import "webmls/polyfill";
 *
 * const mls = new MLS();
 * const alice = await mls.generateIdentity();
 * const group = await mls.groupCreate(alice, await mls.generateCredential("alice"));
 * ```
 *
 * **Nobody is asked whether a credential is true.** The MLS Web API has no
 * authentication service (RFC 9420, Section 5.3.1): every credential is taken,
 * for every key. Whoever hands an application a key package can call itself what
 * it likes; the application must compare `details().members` with what it knows
 * by another way. The API of the package `webmls` asks instead, for each.
 *
 * The worker and the WebAssembly binary are loaded by the first call that needs
 * them. Handshake messages are PublicMessages, as Firefox's are.
 *
 * What differs from Firefox, on purpose: a rejection that Firefox words
 * `NS_ERROR_FAILURE` without a message is a DOMException of that name, whose
 * message and `cause` say what happened; a view whose client was removed, or a
 * message of another group, is refused; `groupJoin` takes a Welcome only for its
 * `clientId`; `close` leaves waiting proposals out.
 *
 * @packageDocumentation
 */
import type * as api from "./polyfill/api.js";
import type {
  MLSBytes,
  MLSBytesOrUint8Array,
  MLSBytesOrUint8ArrayOrUTF8String,
  MLSCommitOutput,
  MLSExporterOutput,
  MLSGroupDetails,
  MLSReceived,
} from "./polyfill/api.js";
import * as interfaces from "./polyfill/interface.js";
import { Origin, type Settings } from "./polyfill/origin.js";

/** How {@link install} defines the MLS Web API. */
export interface InstallOptions extends Partial<Settings> {
  /** Whether to take the place of the browser's own. */
  force?: boolean;
}

export type * from "./polyfill/api.js";

/** Clients of the MLS Web API. All objects of an origin share their state. */
export interface MLS {
  /** Forgets all clients and groups of the origin. */
  deleteState(): Promise<undefined>;
  /** Makes a signature key; the result names the client that has it. */
  generateIdentity(): Promise<MLSBytes>;
  /** Makes a basic credential. */
  generateCredential(credentialContent: MLSBytesOrUint8ArrayOrUTF8String): Promise<MLSBytes>;
  /** Makes a key package, with which others can add the client to one group. */
  generateKeyPackage(clientId: MLSBytesOrUint8Array, credential: MLSBytesOrUint8Array): Promise<MLSBytes>;
  /** Makes a group with the client as its only member. */
  groupCreate(clientId: MLSBytesOrUint8Array, credential: MLSBytesOrUint8Array): Promise<MLSGroupView>;
  /** Gives a group that the client is a member of; rejects when there is none. */
  groupGet(groupId: MLSBytesOrUint8Array, clientId: MLSBytesOrUint8Array): Promise<MLSGroupView>;
  /** Joins a group by a Welcome for a key package of the client. */
  groupJoin(clientId: MLSBytesOrUint8Array, welcome: MLSBytesOrUint8Array): Promise<MLSGroupView>;
  /** Reads which group a message is for. Nothing is verified. */
  getGroupIdFromMessage(message: MLSBytesOrUint8Array): Promise<MLSBytes>;
  /** Reads which epoch a message is of: eight bytes, little-endian. Nothing is verified. */
  getGroupEpochFromMessage(message: MLSBytesOrUint8Array): Promise<MLSBytes>;
}

/** The interface object `MLS`. */
export interface MLSConstructor {
  readonly prototype: MLS;
  /** Makes an object. There may be any number. */
  new (): MLS;
}

/** A group as one client has it. Any number of views may be of one group. */
export interface MLSGroupView {
  /** The same object each time. */
  readonly groupId: Uint8Array;
  /** The same object each time. */
  readonly clientId: Uint8Array;
  /** Forgets the group; the other members are told nothing. */
  deleteState(): Promise<undefined>;
  /** Creates a commit that adds the owner of a key package, and all that is proposed. */
  add(keyPackage: MLSBytesOrUint8Array): Promise<MLSCommitOutput>;
  /** Creates a proposal to add the owner of a key package. */
  proposeAdd(keyPackage: MLSBytesOrUint8Array): Promise<MLSBytes>;
  /** Creates a commit that removes a member, with all that is proposed. Oneself cannot be removed. */
  remove(remClientId: MLSBytesOrUint8Array): Promise<MLSCommitOutput>;
  /** Creates a proposal to remove a member: oneself, to leave. */
  proposeRemove(remClientId: MLSBytesOrUint8Array): Promise<MLSBytes>;
  /** Creates a commit that removes all others. */
  close(): Promise<MLSCommitOutput>;
  /** What the group is now. */
  details(): Promise<MLSGroupDetails>;
  /** Encrypts a message for the group. */
  send(message: MLSBytesOrUint8ArrayOrUTF8String): Promise<MLSBytes>;
  /** Processes a message for the group. A proposal is committed at once, with all that are pending. */
  receive(message: MLSBytesOrUint8Array): Promise<MLSReceived>;
  /** Whether proposals wait for a commit. */
  hasPendingProposals(): Promise<boolean>;
  /** Drops the proposals that wait; true, also when there are none. */
  clearPendingProposals(): Promise<boolean>;
  /** Whether a commit waits to be applied. */
  hasPendingCommit(): Promise<boolean>;
  /** Drops the pending commit; true, also when there is none. */
  clearPendingCommit(): Promise<boolean>;
  /** Makes the pending commit the group's state: the delivery service has accepted it. */
  applyPendingCommit(): Promise<MLSReceived>;
  /** Derives a secret of 1 to 8,160 bytes from the epoch. */
  exportSecret(
    label: MLSBytesOrUint8ArrayOrUTF8String,
    context: MLSBytesOrUint8Array,
    length: number,
  ): Promise<MLSExporterOutput>;
}

/** The interface object `MLSGroupView`. It makes no objects: {@link MLS.groupCreate}, {@link MLS.groupJoin} and {@link MLS.groupGet} do. */
export interface MLSGroupViewConstructor {
  readonly prototype: MLSGroupView;
}

/** `MLS` of this module, whether it is on the global object or not. */
export const MLS: MLSConstructor = interfaces.MLS;
/** `MLSGroupView` of this module. */
export const MLSGroupView: MLSGroupViewConstructor = interfaces.MLSGroupView;

/** One state for each database, whatever objects there are. */
const origins = new Map<string, Origin>();

/**
 * Defines `MLS` and `MLSGroupView` on the global object, if it has no `MLS` or
 * by `force`, in secure contexts only, as the interfaces are. What is set here
 * holds for this module's `MLS` objects that are made afterwards, wherever they
 * are; importing the module has called it without options.
 */
export function install(options: InstallOptions = {}): void {
  const { force = false, database = "webmls-polyfill", ...rest } = options;
  interfaces.keepStateIn(() => {
    const origin = origins.get(database) ?? new Origin({ database, ...rest });
    origins.set(database, origin);
    return origin;
  });
  if (!globalThis.isSecureContext || ("MLS" in globalThis && !force)) return;
  for (const [name, value] of Object.entries({ MLS, MLSGroupView })) {
    Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
  }
}

install();

type Clients = MLS;
type View = MLSGroupView;

declare global {
  type MLSObjectType = api.MLSObjectType;
  type MLSBytes = api.MLSBytes;
  type MLSBytesOrUint8Array = api.MLSBytesOrUint8Array;
  type MLSBytesOrUint8ArrayOrUTF8String = api.MLSBytesOrUint8ArrayOrUTF8String;
  type MLSGroupMember = api.MLSGroupMember;
  type MLSGroupDetails = api.MLSGroupDetails;
  type MLSCommitOutput = api.MLSCommitOutput;
  type MLSExporterOutput = api.MLSExporterOutput;
  type MLSReceived = api.MLSReceived;
  type MLS = Clients;
  type MLSGroupView = View;

  var MLS: MLSConstructor;
  var MLSGroupView: MLSGroupViewConstructor;
}
