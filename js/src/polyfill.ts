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
import * as interfaces from "./polyfill/interface.js";
import { Origin, type Settings } from "./polyfill/origin.js";

/** How {@link install} defines the MLS Web API. */
export interface InstallOptions extends Partial<Settings> {
  /** Whether to take the place of the browser's own. */
  force?: boolean;
}

/** `MLS` of this module, whether it is on the global object or not. */
export const MLS = interfaces.MLS as typeof globalThis.MLS;
/** `MLSGroupView` of this module. */
export const MLSGroupView = interfaces.MLSGroupView as unknown as typeof globalThis.MLSGroupView;

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

declare global {
  /** What bytes of the MLS Web API are. */
  type MLSObjectType =
    | "group-epoch"
    | "group-identifier"
    | "group-info"
    | "client-identifier"
    | "credential-basic"
    | "key-package"
    | "proposal"
    | "commit-output"
    | "commit-processed"
    | "welcome"
    | "exporter-output"
    | "exporter-label"
    | "exporter-context"
    | "application-message-ciphertext"
    | "application-message-plaintext";

  /** Bytes that say what they are. */
  interface MLSBytes {
    content: Uint8Array<ArrayBuffer>;
    type: MLSObjectType;
  }

  /** Bytes as an argument: with their type, which is then compared, or without. */
  type MLSBytesOrUint8Array = { content: Uint8Array; type: MLSObjectType } | Uint8Array;
  /** The same, or a string as UTF-8. */
  type MLSBytesOrUint8ArrayOrUTF8String = MLSBytesOrUint8Array | string;

  /** A member of a group. */
  interface MLSGroupMember {
    /** SHA-256 of its public signature key. */
    clientId: Uint8Array<ArrayBuffer>;
    /** A Credential of RFC 9420, Section 5.3. Nobody has checked it. */
    credential: Uint8Array<ArrayBuffer>;
  }

  /** A group as it is. */
  interface MLSGroupDetails {
    /** Eight bytes, little-endian. */
    groupEpoch: Uint8Array<ArrayBuffer>;
    groupId: Uint8Array<ArrayBuffer>;
    members: MLSGroupMember[];
    type: MLSObjectType;
  }

  /** A commit, which is pending until it is applied. */
  interface MLSCommitOutput {
    /** For the members. */
    commit: Uint8Array<ArrayBuffer>;
    groupId: Uint8Array<ArrayBuffer>;
    type: MLSObjectType;
    /** For those whom it adds. */
    welcome?: Uint8Array<ArrayBuffer>;
  }

  /** A secret that all members of an epoch can derive. */
  interface MLSExporterOutput {
    context: Uint8Array<ArrayBuffer>;
    groupEpoch: Uint8Array<ArrayBuffer>;
    groupId: Uint8Array<ArrayBuffer>;
    label: Uint8Array<ArrayBuffer>;
    secret: Uint8Array<ArrayBuffer>;
    type: MLSObjectType;
  }

  /** What a message was. Branch by `type`. */
  interface MLSReceived {
    groupId: Uint8Array<ArrayBuffer>;
    type: MLSObjectType;
    /** With "commit-output": a proposal was received, and this commit of it was made; it is pending. */
    commitOutput?: MLSCommitOutput;
    /** With "application-message-plaintext". */
    content?: Uint8Array<ArrayBuffer>;
    /** With "commit-processed": eight bytes, little-endian; all ones when the client is no member any more. */
    groupEpoch?: Uint8Array<ArrayBuffer>;
  }

  /** Clients of the MLS Web API. All objects of an origin share their state. */
  interface MLS {
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

  var MLS: { readonly prototype: MLS; new (): MLS };

  /** A group as one client has it. Any number of views may be of one group. */
  interface MLSGroupView {
    readonly groupId: Uint8Array;
    readonly clientId: Uint8Array;
    /** Forgets the group; the other members are told nothing. */
    deleteState(): Promise<undefined>;
    /** Creates a commit that adds the owner of a key package, and all that is proposed. */
    add(keyPackage: MLSBytesOrUint8Array): Promise<MLSCommitOutput>;
    proposeAdd(keyPackage: MLSBytesOrUint8Array): Promise<MLSBytes>;
    /** Creates a commit that removes a member, with all that is proposed. Oneself cannot be removed. */
    remove(remClientId: MLSBytesOrUint8Array): Promise<MLSCommitOutput>;
    proposeRemove(remClientId: MLSBytesOrUint8Array): Promise<MLSBytes>;
    /** Creates a commit that removes all others. */
    close(): Promise<MLSCommitOutput>;
    details(): Promise<MLSGroupDetails>;
    send(message: MLSBytesOrUint8ArrayOrUTF8String): Promise<MLSBytes>;
    /** Processes a message for the group. A proposal is committed at once, with all that are pending. */
    receive(message: MLSBytesOrUint8Array): Promise<MLSReceived>;
    hasPendingProposals(): Promise<boolean>;
    clearPendingProposals(): Promise<boolean>;
    hasPendingCommit(): Promise<boolean>;
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

  var MLSGroupView: { readonly prototype: MLSGroupView };
}
