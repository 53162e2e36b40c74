/** The types of the API. */
import type { Bytes } from "./bridge.js";
import type { MLSError } from "./errors.js";
import type { LogEntry } from "./log.js";
import type { Thread } from "./program.js";

/**
 * A cipher suite of RFC 9420, Section 17.1, by its number. 1 is
 * MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, which every implementation has;
 * 2, 5 and 7 use the NIST curves P-256, P-521 and P-384, 4 and 6 use Curve448.
 */
export type CipherSuite = 1 | 2 | 3 | 4 | 5 | 6 | 7;

/** A credential of RFC 9420, Section 5.3: what a member says it is. Whether that is true is for `authenticate` to decide. */
export type Credential = BasicCredential | X509Credential | OtherCredential;

/** A bare name, in whatever form the application gives it. */
export interface BasicCredential {
  /** Tells it from the other credentials. */
  readonly type: "basic";
  /** The name, as bytes. */
  readonly identity: Bytes;
  /** `identity` as text, when it is UTF-8. */
  readonly name?: string;
}

/** A chain of X.509 certificates in DER, the member's own first. */
export interface X509Credential {
  /** Tells it from the other credentials. */
  readonly type: "x509";
  /** In DER, each certified by the next. */
  readonly certificates: readonly Bytes[];
}

/** A credential of a type that this package only carries. */
export interface OtherCredential {
  /** Tells it from the other credentials. */
  readonly type: "other";
  /** The code point of the IANA registry. */
  readonly credentialType: number;
  /** What the type defines. */
  readonly data: Bytes;
}

/** A credential as an identity is created with it: a name, or any credential. */
export type CredentialInput =
  | string
  | Uint8Array
  | { type: "basic"; identity: Uint8Array }
  | { type: "x509"; certificates: readonly Uint8Array[] }
  | { type: "other"; credentialType: number; data: Uint8Array };

/** A signature key that a credential is being made for. */
export interface NewSignatureKey {
  /** The cipher suite that the key is for. */
  readonly suite: CipherSuite;
  /**
   * The SignaturePublicKey (RFC 9420, Section 5.1.1): what stands in the
   * subjectPublicKey of a certificate. For suites 2, 5 and 7 an uncompressed
   * point, for the others 32 or 57 bytes.
   */
  readonly publicKey: Bytes;
  /**
   * Signs with the key, to prove that one holds it: the
   * CertificationRequestInfo of a certificate request, say. ECDSA signatures are
   * in DER, as certificates have them. It works until the credential is
   * returned, and refuses with INVALID_ARGUMENT (StateError) what could be a part
   * of the protocol.
   */
  sign(content: Uint8Array): Promise<Bytes>;
}

/** Makes the credential for a new signature key: has a certificate issued, say. */
export type IssueCredential = (key: NewSignatureKey) => CredentialInput | Promise<CredentialInput>;

/** A credential with a signature key of this client: what it is in a group. */
export interface Identity {
  /** What names it in this database: 16 bytes. */
  readonly id: Bytes;
  /** The cipher suite that its key is for. */
  readonly suite: CipherSuite;
  /** What it says it is. */
  readonly credential: Credential;
  /** The public signature key, as others see it. */
  readonly signatureKey: Bytes;
  /** Where its private key lives. */
  readonly keyStorage: KeyStorage;
  /** The name in a basic credential, when it is UTF-8. */
  readonly name?: string;
}

/**
 * Where a private signature key lives. The keys of leaves and key packages live in
 * the same way where the browser can store the suite's other algorithm too; WebKit
 * cannot store X25519, so that those of suites 1 and 3 are sealed there.
 *
 * - `"non-extractable"`: in IndexedDB as a key of WebCrypto that no script can read.
 * - `"wrapped"`: the same while it is in use; stored, it is encrypted under the
 *   key that the database's lock gives.
 * - `"sealed"`: as bytes in an encrypted record, because the browser lacks the
 *   algorithm or cannot store such keys. Where they are used they are in the
 *   memory of the program.
 */
export type KeyStorage = "non-extractable" | "wrapped" | "sealed";

/** A member of a group: a leaf of its tree (RFC 9420, Section 4). */
export interface Member {
  /** The index of the leaf. It stays the member's as long as it is one. */
  readonly leaf: number;
  /** What it says it is. */
  readonly credential: Credential;
  /** The public key that its messages are signed with. */
  readonly signatureKey: Bytes;
  /** Whether it is this client. */
  readonly own: boolean;
  /** The name in a basic credential, when it is UTF-8. */
  readonly name?: string;
}

/** All that a member's leaf says (RFC 9420, Section 7.2). */
export interface MemberDetails extends Member {
  /** The public key that path secrets are encrypted to. */
  readonly encryptionKey: Bytes;
  /** What the member understands, by code points. What RFC 9420 requires of all is not listed. */
  readonly capabilities: Capabilities;
  /** Extensions of the leaf. */
  readonly extensions: readonly Extension[];
  /** The lifetime of the key package that the leaf came with; absent once the member has changed its leaf. */
  readonly lifetime?: { readonly notBefore: Date; readonly notAfter: Date };
}

/** What a member understands (RFC 9420, Section 7.2), as numbers of the IANA registries. Some are of no meaning, by design (Section 13.5). */
export interface Capabilities {
  /** Versions of the protocol. */
  readonly versions: readonly number[];
  /** Cipher suites. */
  readonly suites: readonly number[];
  /** Types of extensions. */
  readonly extensions: readonly number[];
  /** Types of proposals. */
  readonly proposals: readonly number[];
  /** Types of credentials. */
  readonly credentials: readonly number[];
}

/**
 * Where a credential was presented: "key_package", of one to be added; "update",
 * an Update proposal; "commit", the path of a member's commit; "external", the
 * commit of one who joins by it; "tree", a member of a group that is being
 * joined; "external_sender", an entry of the external_senders extension.
 */
export type Place = "key_package" | "update" | "commit" | "external" | "tree" | "external_sender";

/** A credential with the signature key that it is presented for (RFC 9420, Section 5.3.1). */
export interface Claim {
  /** The id of the group where it is presented; empty where there is none yet. */
  readonly groupId: Bytes;
  /** What it says it is. */
  readonly credential: Credential;
  /** The key that the credential is said to belong to. */
  readonly signatureKey: Bytes;
  /** The index of the leaf; 0, and of no meaning, for "key_package" and "external_sender". */
  readonly leaf: number;
  /** Where it is presented. */
  readonly place: Place;
  /** The name in a basic credential, when it is UTF-8. */
  readonly name?: string;
}

/** How {@link MLS.open} opens a database. */
export interface OpenOptions {
  /**
   * The name of the IndexedDB database. One client's state is one database. With
   * `null` nothing is stored, and all of it is gone when the client is closed or
   * its page is: for tests, for clients that are thrown away, and where there is
   * no IndexedDB, as in some private windows. Private keys are not extractable
   * there either. If the program should die, calls reject with STORE_DELETED.
   */
  database: string | null;
  /**
   * The application's policy on credentials, the Authentication Service of RFC
   * 9420, Section 5.3.1: whether `claim.credential` belongs to the holder of
   * `claim.signatureKey`. It is asked about every member of a group that is
   * joined, and about everyone who is added or changes its leaf, before that is
   * accepted; of a commit or proposal perhaps while the signatures of its leaves
   * are still being verified, when a claim is no proof yet that somebody holds the
   * key.
   * It runs in the page, for several claims at once. Anything but
   * `true` refuses, and so does a thrown CREDENTIAL_REJECTED, as `webmls/x509`
   * throws it; if it throws anything else, the operation fails with
   * AUTHENTICATOR_FAILED and may be tried again. It must not wait for an
   * operation of the same group.
   */
  authenticate: (claim: Claim) => boolean | Promise<boolean>;
  /**
   * Whether the client of `next` may take the place of the client of `previous`:
   * an update with another credential, or a rejoining that removes the former
   * leaf. It is asked only where the credentials differ; by default the answer
   * is no.
   */
  succeeds?: (previous: Claim, next: Claim) => boolean | Promise<boolean>;
  /**
   * What the application calls a client, the same in all groups, so that the
   * members of a group that follows from another can be told to be its members
   * (RFC 9420, Sections 11.2 and 11.3). Without it, and where it returns
   * undefined, equal credentials are the same client.
   */
  identify?(
    credential: Credential,
    claim: Claim,
  ): string | Uint8Array | undefined | Promise<string | Uint8Array | undefined>;
  /** What groups keep, and what others can make this client do. */
  limits?: Limits;
  /**
   * What the application understands beyond RFC 9420. Key packages made, and
   * groups created or joined from now on say so; in a group that this client is
   * in already its leaf says what it said before, until a commit or an update
   * with `renewCapabilities`. A group may use what all its members say.
   */
  supported?: Supported;
  /**
   * Where the work is done: in a dedicated worker that this page's clients
   * share (the default), or in the current thread (the default where there are
   * no workers, as in a service worker).
   */
  thread?: Thread;
  /**
   * Refuses private signature keys, and keys of key packages and leaves, that
   * would be `"sealed"`, with UnsupportedError (KEYS_EXTRACTABLE): when they are to
   * be made, and a database that has such an identity. Cipher suites 4 and 6 are
   * of that kind in all browsers.
   */
  requireNonExtractable?: boolean;
  /**
   * What opens the lock of the database, or locks a new one: see
   * {@link MLS.setLock}. Without a lock, who has the files of the browser's
   * profile can read the state, and a script in the page can use the key that
   * seals it, as this package does.
   *
   * What is missing or empty is new, and is locked with this; that somebody has
   * removed all that was there, the application sees by its having no identities.
   * A database that has no lock is refused (UNLOCK_FAILED), also one of a version
   * that knew no locks: open it without, and call `setLock`.
   */
  lock?: Lock;
  /** Where the WebAssembly binary is, if not beside this module. */
  wasm?: URL | string;
  /**
   * Is given each call that was carried out, once it has ended, without secrets and content: for a
   * log that {@link replay} can repeat. Who was in which group when can be read
   * from such a log; treat it as one treats logs of the delivery service.
   */
  record?: (entry: LogEntry) => void;
}

/**
 * Bounds on what is kept and accepted. Sizes are in bytes, durations in seconds.
 * Where nothing else is said 0 stands for the default: to keep no past epoch, say
 * `pastEpochs: 0`.
 */
export interface Limits {
  /** Application data is padded to a multiple of this, so that its length says little; 256 by default, 0 for no padding. */
  padding?: number;
  /** The largest message that is accepted; 16 MiB by default. */
  maxMessage?: number;
  /** The largest group that is joined; 50,000 members by default. */
  maxMembers?: number;
  /** How many proposals of an epoch are kept; 4,096 by default. */
  maxProposals?: number;
  /** How many messages of one sender may be missing before one of its; 1,000 by default. */
  maxForward?: number;
  /** How many keys for messages that did not come yet are kept for a sender; 1,000 by default. */
  maxSkipped?: number;
  /** How many past epochs still open late messages; 5 by default, 0 for none. */
  pastEpochs?: number;
  /** How long a past epoch does; 7 days by default. */
  pastEpochAge?: number;
  /** How many past epochs' resumption keys are kept (RFC 9420, Section 8.6); 16 by default, 0 for none. */
  resumptionPSKs?: number;
  /** The longest lifetime of a key package that is accepted; 400 days by default. */
  maxLifetime?: number;
  /** How wrong the clocks of others may be; 1 day by default. */
  lifetimeSkew?: number;
  /** Leave the lifetimes of those whom others add unchecked, as RFC 9420, Section 7.3 allows. */
  ignoreReceivedLifetimes?: boolean;
}

/** Code points beyond RFC 9420 that the application understands. */
export interface Supported {
  /** Types of extensions of groups, key packages and leaves. */
  extensions?: readonly number[];
  /** Types of proposals. */
  proposals?: readonly number[];
  /** Types of credentials. */
  credentials?: readonly number[];
}

/** What every call that may take long can be given. */
export interface CallOptions {
  /**
   * Ends the call: it rejects with CANCELLED (StorageError), and has changed
   * nothing. A call that is done by then, or has begun to store what it did,
   * resolves as if nothing had been said.
   */
  signal?: AbortSignal;
  /** Is told how far the work has come: `done` counts up to `total`. A short call may not tell anything. */
  progress?: (done: number, total: number) => void;
}

/** How messages are received. */
export interface ReceiveOptions extends CallOptions {
  /**
   * What a failing power may undo. With "relaxed", the default, what was received
   * survives a crash of the browser, but if the power fails within the next
   * moments the message has to be received again. Who writes down elsewhere how far
   * a log has been read asks for "strict": it waits until the disk has it.
   */
  durability?: "relaxed" | "strict";
}

/**
 * What a database is locked with: a passphrase, which Argon2id makes a key of,
 * or a passkey, whose authenticator computes one (WebAuthn with the PRF
 * extension: current Chromium, Safari and Firefox, with an authenticator that has it).
 */
export type Lock = { passphrase: string } | { passkey: Passkey };

/** A passkey of this origin. When one is made, or asked, the browser shows its dialogue. */
export interface Passkey {
  /** What the browser calls it when it is made; by default the name of the database. */
  name?: string;
  /** The id of a credential that is there and has the PRF extension; by default one is made for a new lock. */
  credential?: Uint8Array;
  /** The relying party's id: the domain of the page, which is the default, or one that it is below. */
  relyingParty?: string;
}

/** How application data is sent. */
export interface SendOptions extends CallOptions {
  /** What travels along readable to all, and authenticated. */
  authenticatedData?: Uint8Array;
  /** Pad the content to a multiple of this many bytes, 0 for no padding, and not as {@link Limits.padding} says. */
  padding?: number;
}

/** A group context extension (RFC 9420, Section 13.4), by its code point. */
export interface Extension {
  /** The code point of the IANA registry. */
  readonly type: number;
  /** What the type defines. */
  readonly data: Uint8Array;
}

/**
 * A pre-shared key that a commit mixes in (RFC 9420, Section 8): an external
 * one, by the id that it was stored under, or the resumption key of a past epoch
 * of a group, which its members of then have.
 */
export type PSK = { readonly type: "external"; readonly id: Bytes } | { readonly type: "resumption"; readonly groupId: Bytes; readonly epoch: bigint };

/** How a pre-shared key is named: an external one by its id, a resumption key by its epoch. */
export type PSKInput = string | Uint8Array | { readonly groupId: Uint8Array; readonly epoch: bigint };

/** A proposal of a type beyond RFC 9420, which the application carries out. All members must support it. */
export interface CustomProposal {
  /** The code point. */
  readonly type: number;
  /** What the type defines. */
  readonly data: Uint8Array;
}

/** What a group is to be continued as (RFC 9420, Section 11.2). */
export interface ReInitContents {
  /** The id of the new group; 32 random bytes by default. */
  groupId?: Uint8Array;
  /** The cipher suite of the new group; that of the old one by default. */
  suite?: CipherSuite;
  /** The group context extensions of the new group; none by default. */
  extensions?: readonly Extension[];
}

/** What a group continues as: it accepts no more changes (RFC 9420, Section 11.2). */
export interface ReInit {
  /** The new group's id. */
  readonly groupId: Bytes;
  /** Its cipher suite. */
  readonly suite: number;
  /** Its group context extensions. */
  readonly extensions: readonly Extension[];
}

/** What a new group is like. */
export interface CreateGroupOptions {
  /** The group's id; 32 random bytes by default. It must be unique among all groups of the application. */
  id?: Uint8Array;
  /** Group context extensions. */
  extensions?: readonly Extension[];
  /** Extensions of this client's leaf. Their types must be among {@link Supported.extensions}. */
  leafExtensions?: readonly Extension[];
}

/** What new key packages are like (RFC 9420, Section 10). */
export interface KeyPackageOptions extends CallOptions {
  /** How long they may be used, in seconds; 90 days by default. */
  lifetime?: number;
  /** Whether it may be used again when no other is left (RFC 9420, Section 16.8). */
  lastResort?: boolean;
  /** Extensions of the key package. */
  extensions?: readonly Extension[];
  /** Extensions of its leaf. Their types must be among {@link Supported.extensions}. */
  leafExtensions?: readonly Extension[];
}

/** A key package of this client that is unused, or that may be used again. */
export interface KeyPackageInfo {
  /** The KeyPackageRef (RFC 9420, Section 5.2). */
  readonly reference: Bytes;
  /** The id of its identity. */
  readonly identity: Bytes;
  /** The MLSMessage, as it was made. */
  readonly keyPackage: Bytes;
  /** Whether it may be used again when no other is left. */
  readonly lastResort: boolean;
  /** When it ends: nobody may use it later. */
  readonly expires: Date;
}

/** What a Welcome says before it is joined. Nothing of it is authenticated, but that its sender knew the key package. */
export interface WelcomeInfo {
  /** The group's id. */
  readonly groupId: Bytes;
  /** The epoch that one joins in. */
  readonly epoch: bigint;
  /** The group's cipher suite. */
  readonly suite: CipherSuite;
  /** The id of the identity that it is for. */
  readonly identity: Bytes;
  /** The group context extensions. */
  readonly extensions: readonly Extension[];
  /** The pre-shared keys that one must hold. */
  readonly psks: readonly PSK[];
  /** Whether it holds the ratchet tree; else {@link JoinOptions.ratchetTree} is needed. */
  readonly hasTree: boolean;
  /** How many members there are, with the one who joins; 0 where it does not hold the tree. */
  readonly memberCount: number;
  /** Who says so; absent where it does not hold the tree. */
  readonly signer?: Member;
}

/** How a group is joined by a Welcome. */
export interface JoinOptions extends CallOptions {
  /** The ratchet tree, where the Welcome does not hold it (RFC 9420, Section 12.4.3.3). */
  ratchetTree?: Uint8Array;
}

/** How a group is joined by an external commit (RFC 9420, Section 12.4.3.2). */
export interface JoinExternalOptions extends JoinOptions {
  /** Remove one's own former leaf in the same commit. */
  resync?: boolean;
  /** Pre-shared keys to mix in. */
  psks?: readonly PSKInput[];
  /** What the commit carries readable to all and authenticated. */
  authenticatedData?: Uint8Array;
  /** Make a GroupInfo of the new epoch as well, for external joiners. */
  withGroupInfo?: boolean;
  /** Extensions of this client's leaf. Their types must be among {@link Supported.extensions}. */
  leafExtensions?: readonly Extension[];
}

/** What a group that follows from another is like. */
export interface SuccessorOptions extends CallOptions {
  /** The identity that this client has in the new group; by default the one in the old group, which must fit its cipher suite. */
  identity?: Identity | Uint8Array;
  /** Leave the ratchet tree out of the Welcome, and of the GroupInfo of `withGroupInfo`; it must reach those who join apart. */
  noRatchetTree?: boolean;
  /** Make a GroupInfo of the new group as well, for external joiners. */
  withGroupInfo?: boolean;
  /** Extensions of this client's leaf. Their types must be among {@link Supported.extensions}. */
  leafExtensions?: readonly Extension[];
}

/** What a subgroup is like (RFC 9420, Section 11.3). */
export interface BranchOptions extends SuccessorOptions {
  /** The subgroup's id; 32 random bytes by default. */
  id?: Uint8Array;
  /** Its group context extensions. */
  extensions?: readonly Extension[];
}

/** What holds for everything that is sent as a handshake message. */
export interface HandshakeOptions extends CallOptions {
  /** Send it as a PublicMessage: signed, but readable for the delivery service (RFC 9420, Section 6.2). By default it is encrypted, as a PrivateMessage. */
  publicMessage?: boolean;
  /** What the message carries readable to all and authenticated. */
  authenticatedData?: Uint8Array;
}

/** How a commit is made (RFC 9420, Section 12.4). */
export interface CommitOptions extends HandshakeOptions {
  /** Leave the update path out, where that is allowed: smaller, but it heals nothing. */
  noPath?: boolean;
  /** Leave the ratchet tree out of the Welcome, and of the GroupInfo of `withGroupInfo`; it must reach those who join apart. */
  noRatchetTree?: boolean;
  /** Make a GroupInfo of the new epoch as well, for external joiners. */
  withGroupInfo?: boolean;
  /** Leave the received proposals out. */
  ignoreProposals?: boolean;
  /** Extensions of this client's leaf from then on, in place of the present ones. Their types must be among {@link Supported.extensions}. */
  leafExtensions?: readonly Extension[];
  /** Have this client's leaf say from then on what {@link OpenOptions.supported} says today. */
  renewCapabilities?: boolean;
  /** The identity that this client has from this commit on. */
  identity?: Identity | Uint8Array;
}

/** All that one commit does. */
export interface CommitContents extends CommitOptions {
  /** Key packages of those to add. */
  add?: readonly Uint8Array[];
  /** Members to remove. */
  remove?: readonly (Member | number)[];
  /** Pre-shared keys to mix in. */
  psks?: readonly PSKInput[];
  /** New group context extensions, in place of the present ones. */
  extensions?: readonly Extension[];
  /** Continue the group as another, by {@link Group.reInit} once this is applied. It must stand alone. */
  reInit?: ReInitContents;
  /** Proposals of types beyond RFC 9420. */
  custom?: readonly CustomProposal[];
}

/** What may be proposed (RFC 9420, Section 12.1). */
export interface Proposable {
  /** A key package of one to add. */
  add: Uint8Array;
  /** A member to remove; oneself, to leave. */
  remove: Member | number;
  /** Fresh keys for oneself. */
  update: true;
  /** A pre-shared key to mix in. */
  psk: PSKInput;
  /** New group context extensions. */
  extensions: readonly Extension[];
  /** To continue the group as another. */
  reInit: ReInitContents;
  /** A proposal of a type beyond RFC 9420. */
  custom: CustomProposal;
}

/** An object with exactly one of the properties of a type. */
export type OneOf<T> = { [K in keyof T]: { [P in K]: T[P] } & { [P in Exclude<keyof T, K>]?: never } }[keyof T];

/** What one proposal proposes: exactly one thing. */
export type ProposalContents = OneOf<Proposable> &
  HandshakeOptions & {
    /** With `update`: the identity that this client has once the update is committed. */
    identity?: Identity | Uint8Array;
    /** With `update`: extensions of this client's leaf, in place of the present ones. Their types must be among {@link Supported.extensions}. */
    leafExtensions?: readonly Extension[];
    /** With `update`: have this client's leaf say what {@link OpenOptions.supported} says today. */
    renewCapabilities?: boolean;
  };

/** What one from outside may propose (RFC 9420, Section 12.1.8). */
export type ExternalProposalContents = OneOf<Omit<Proposable, "update">> & {
  /** What the message carries readable to all and authenticated. */
  authenticatedData?: Uint8Array;
};

/** A commit that was created, and is not applied before the delivery service has accepted it. */
export interface CommitResult {
  /** The MLSMessage for the group. */
  readonly commit: Bytes;
  /** The MLSMessage for those who were added, when anyone was. Send it after the commit was accepted. */
  readonly welcome?: Bytes;
  /** The MLSMessage for external joiners, when it was asked for. */
  readonly groupInfo?: Bytes;
  /** The epoch that the commit begins. */
  readonly epoch: bigint;
}

/** A proposal that was created. */
export interface ProposalResult {
  /** The MLSMessage for the group. */
  readonly message: Bytes;
  /** The ProposalRef (RFC 9420, Section 5.2). */
  readonly reference: Bytes;
}

/** Who sent a proposal (RFC 9420, Section 6). */
export type Sender =
  | { readonly type: "member"; readonly leaf: number }
  | { readonly type: "external"; readonly index: number }
  | { readonly type: "new-member" };

/** A proposal that was received or made in this epoch, and waits for a commit. */
export type Proposal = ProposalBase &
  (
    | { readonly type: "add" | "update"; readonly credential: Credential; readonly signatureKey: Bytes }
    | { readonly type: "remove"; readonly leaf: number }
    | { readonly type: "psk"; readonly psk: PSK }
    | { readonly type: "reinit"; readonly reInit: ReInit }
    | { readonly type: "external-init" }
    | { readonly type: "group-context-extensions"; readonly extensions: readonly Extension[] }
    | { readonly type: "other"; readonly proposalType: number; readonly data: Bytes }
  );

/** What all proposals have. */
export interface ProposalBase {
  /** The ProposalRef (RFC 9420, Section 5.2). */
  readonly reference: Bytes;
  /** Who proposes it. */
  readonly sender: Sender;
  /** The MLSMessage, where this client made it: send it again when it may not have left before a crash. */
  readonly message?: Bytes;
}

/** What a received message turned out to be. Branch by `type`. */
export type ReceivedEvent = ApplicationEvent | ProposalEvent | GroupUpdateEvent | RemovedEvent | OwnEvent;

/** What became of one message of many that were received at once. Branch by `type`. */
export type Received = ReceivedEvent | RefusedMessage;

/** A message that was not received. It has changed nothing. */
export interface RefusedMessage {
  /** Tells it from the events. */
  readonly type: "refused";
  /** Why, as {@link Group.receive} rejects. */
  readonly error: MLSError;
}

/** What all events have. */
export interface EventBase {
  /** The group's id. */
  readonly groupId: Bytes;
  /** The epoch of the message; for group-update and removed the one that the commit begins. */
  readonly epoch: bigint;
  /** The member who sent the message, as it was then; absent when it was no member. */
  readonly sender?: Member;
  /** What the message carried readable to all, authenticated. */
  readonly authenticatedData: Bytes;
  /** Set when it happened in another tab, or another client of this database. */
  readonly remote?: true;
}

/** A group was deleted, here or in another tab; or the database was. */
export interface ClosedEvent {
  readonly type: "closed";
  /** The group; absent when it is the database that was deleted: every call rejects with STORE_DELETED then. */
  readonly groupId?: Bytes;
  /** Set when the group was deleted in another tab, or by another client of this database; never where it is the database that was deleted. */
  readonly remote?: true;
}

/** Application data. It stays in the inbox until it is acknowledged. */
export interface ApplicationEvent extends EventBase {
  /** Tells it from the other events. */
  readonly type: "application";
  /** What was sent, as bytes. */
  readonly content: Bytes;
  /** `content` read as UTF-8. */
  readonly text: string;
  /** For {@link Group.acknowledge}. */
  readonly inboxId: number;
}

/** A proposal was received and waits for a commit. */
export interface ProposalEvent extends EventBase {
  /** Tells it from the other events. */
  readonly type: "proposal";
  /** What is proposed. */
  readonly proposal: Proposal;
}

/** A commit was applied: the group is in a new epoch. */
export interface GroupUpdateEvent extends EventBase, Update {
  /** Tells it from the other events. */
  readonly type: "group-update";
}

/** A commit removed this client from the group. */
export interface RemovedEvent extends EventBase, Update {
  /** Tells it from the other events. */
  readonly type: "removed";
}

/** A message that this client sent came back. */
export interface OwnEvent extends EventBase {
  /** Tells it from the other events. */
  readonly type: "own";
}

/** What a commit did. */
export interface Update {
  /** Whether the commit was this client's. */
  readonly own: boolean;
  /** Whether the committer joined by it (RFC 9420, Section 12.4.3.2). */
  readonly external: boolean;
  /** Who made the commit. */
  readonly committer?: Member;
  /** Those who are members now and were not. */
  readonly added: readonly Member[];
  /** As they were before. */
  readonly removed: readonly Member[];
  /** As they are now; the committer is not among them. */
  readonly updated: readonly Member[];
  /** Whether the group context extensions are others now. */
  readonly extensionsChanged: boolean;
  /** How many pre-shared keys were mixed in. */
  readonly pskCount: number;
  /** Proposals of types beyond RFC 9420: for the application to carry out. */
  readonly custom: readonly CustomProposal[];
  /** What the group continues as: it accepts no more changes. */
  readonly reInit?: ReInit;
}

/**
 * The life of a group at this client: "joining" until one's external commit is
 * accepted, then "active"; "read-only" after a reinitialization; "removed".
 */
export type GroupStatus = "joining" | "active" | "read-only" | "removed";

/** What a group is now. */
export interface GroupState {
  /** The group's id. */
  readonly groupId: Bytes;
  /** What this client is in it. */
  readonly status: GroupStatus;
  /** How many commits it has seen. */
  readonly epoch: bigint;
  /** The group's cipher suite. */
  readonly suite: CipherSuite;
  /** The index of the own leaf. */
  readonly ownLeaf: number;
  /** How many members there are. */
  readonly memberCount: number;
  /** The same for all members of an epoch, and for nobody else: compare it to be sure (RFC 9420, Section 8.7). */
  readonly epochAuthenticator: Bytes;
  /** The hash of the ratchet tree (RFC 9420, Section 7.8). */
  readonly treeHash: Bytes;
  /** The group context extensions. */
  readonly extensions: readonly Extension[];
  /** Whether a commit of one's own waits to be applied or cleared. */
  readonly hasPendingCommit: boolean;
  /** How many proposals wait for a commit; while there are any, nothing is sent. */
  readonly pendingProposals: number;
  /**
   * Whether the state was found to be a restored backup, or a clone, of one that
   * has sent more since: nothing is sent before a commit of {@link Group.update},
   * or an external one with `resync`, was applied.
   */
  readonly rolledBack: boolean;
  /** What the group continues as, once it is "read-only". */
  readonly reInit?: ReInit;
}

/** What the outside of a message shows to anyone. Nothing of it is authenticated. */
export interface MessageHeader {
  /** What kind of message it is (RFC 9420, Section 6). */
  readonly type: "public-message" | "private-message" | "welcome" | "group-info" | "key-package";
  /** For public and private messages and group infos. */
  readonly groupId?: Bytes;
  /** For public and private messages and group infos. */
  readonly epoch?: bigint;
  /** For public and private messages. */
  readonly content?: "application" | "proposal" | "commit";
  /** For public messages: what kind of party sent it. */
  readonly sender?: Sender["type"];
}
