/** The types of the API. */
import type { Bytes } from "./bridge.js";
import type { Thread } from "./thread.js";

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
  readonly type: "basic";
  readonly identity: Bytes;
  /** `identity` as text, when it is UTF-8. */
  readonly name?: string;
}

/** A chain of X.509 certificates in DER, the member's own first. */
export interface X509Credential {
  readonly type: "x509";
  readonly certificates: readonly Bytes[];
}

/** A credential of a type that this package only carries. */
export interface OtherCredential {
  readonly type: "other";
  /** The code point of the IANA registry. */
  readonly credentialType: number;
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
  readonly credential: Credential;
  /** The public signature key, as others see it. */
  readonly signatureKey: Bytes;
  /** The name in a basic credential, when it is UTF-8. */
  readonly name?: string;
}

/** A member of a group: a leaf of its tree (RFC 9420, Section 4). */
export interface Member {
  /** The index of the leaf. It stays the member's as long as it is one. */
  readonly leaf: number;
  readonly credential: Credential;
  readonly signatureKey: Bytes;
  /** Whether it is this client. */
  readonly own: boolean;
  /** The name in a basic credential, when it is UTF-8. */
  readonly name?: string;
}

/** Where a credential was presented. */
export type Place = "key_package" | "update" | "commit" | "external" | "tree" | "external_sender";

/** A credential with the signature key that it is presented for (RFC 9420, Section 5.3.1). */
export interface Claim {
  readonly groupId: Bytes;
  readonly credential: Credential;
  readonly signatureKey: Bytes;
  /** The index of the leaf, where the claim is made by a leaf that is in the tree. */
  readonly leaf: number;
  readonly place: Place;
  /** The name in a basic credential, when it is UTF-8. */
  readonly name?: string;
}

/** How {@link MLS.open} opens a database. */
export interface OpenOptions {
  /** The name of the IndexedDB database. One client's state is one database. */
  database: string;
  /**
   * The application's policy on credentials, the Authentication Service of RFC
   * 9420, Section 5.3.1: whether `claim.credential` belongs to the holder of
   * `claim.signatureKey`. It is asked about every member of a group that is
   * joined, and about everyone who is added or changes its leaf, before that is
   * accepted. It runs in the page, for several claims at once. Anything but
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
   * Where the work is done: in a dedicated worker that this page's clients
   * share (the default), or in the current thread (the default where there are
   * no workers, as in a service worker).
   */
  thread?: Thread;
  /** Where the WebAssembly binary is, if not beside this module. */
  wasm?: URL | string;
}

/** A group context extension (RFC 9420, Section 13.4), by its code point. */
export interface Extension {
  readonly type: number;
  readonly data: Uint8Array;
}

/** What a new group is like. */
export interface CreateGroupOptions {
  /** The group's id; 32 random bytes by default. It must be unique among all groups of the application. */
  id?: Uint8Array;
  /** Group context extensions. */
  extensions?: readonly Extension[];
}

/** What new key packages are like (RFC 9420, Section 10). */
export interface KeyPackageOptions {
  /** How long they may be used, in seconds; 90 days by default. */
  lifetime?: number;
  /** Whether it may be used again when no other is left (RFC 9420, Section 16.8). */
  lastResort?: boolean;
}

/** How a group is joined by a Welcome. */
export interface JoinOptions {
  /** The ratchet tree, where the Welcome does not hold it (RFC 9420, Section 12.4.3.3). */
  ratchetTree?: Uint8Array;
}

/** How a group is joined by an external commit (RFC 9420, Section 12.4.3.2). */
export interface JoinExternalOptions extends JoinOptions {
  /** Remove one's own former leaf in the same commit. */
  resync?: boolean;
  /** The ids of external pre-shared keys to mix in (RFC 9420, Section 8.4). */
  psks?: readonly Uint8Array[];
  /** What the commit carries readable to all and authenticated. */
  authenticatedData?: Uint8Array;
}

/** What holds for everything that is sent as a handshake message. */
export interface HandshakeOptions {
  /** Send it signed, but readable for the delivery service (RFC 9420, Section 6.2). */
  publicMessage?: boolean;
  /** What the message carries readable to all and authenticated. */
  authenticatedData?: Uint8Array;
}

/** How a commit is made (RFC 9420, Section 12.4). */
export interface CommitOptions extends HandshakeOptions {
  /** Leave the update path out, where that is allowed: smaller, but it heals nothing. */
  noPath?: boolean;
  /** Leave the ratchet tree out of the Welcome; it must reach the new members apart. */
  noRatchetTree?: boolean;
  /** Make a GroupInfo of the new epoch as well, for external joiners. */
  withGroupInfo?: boolean;
  /** Leave the received proposals out. */
  ignoreProposals?: boolean;
  /** The identity that this client has from this commit on. */
  identity?: Identity | Uint8Array;
}

/** All that one commit does. */
export interface CommitContents extends CommitOptions {
  /** Key packages of those to add. */
  add?: readonly Uint8Array[];
  /** Members to remove. */
  remove?: readonly (Member | number)[];
  /** The ids of external pre-shared keys to mix in (RFC 9420, Section 8.4). */
  psks?: readonly Uint8Array[];
  /** New group context extensions, in place of the present ones. */
  extensions?: readonly Extension[];
}

/** What one proposal proposes (RFC 9420, Section 12.1). Exactly one of the first five. */
export interface ProposalContents extends HandshakeOptions {
  /** A key package of one to add. */
  add?: Uint8Array;
  /** A member to remove; oneself, to leave. */
  remove?: Member | number;
  /** Fresh keys for oneself. */
  update?: boolean;
  /** The id of an external pre-shared key to mix in. */
  psk?: Uint8Array;
  /** New group context extensions. */
  extensions?: readonly Extension[];
  /** With `update`: the identity that this client has once the update is committed. */
  identity?: Identity | Uint8Array;
}

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

/** A proposal that was received and waits for a commit. */
export type Proposal = ProposalBase &
  (
    | { readonly type: "add" | "update"; readonly credential: Credential; readonly signatureKey: Bytes }
    | { readonly type: "remove"; readonly leaf: number }
    | { readonly type: "group-context-extensions"; readonly extensions: readonly Extension[] }
    | { readonly type: "psk" | "reinit" | "external-init" }
    | { readonly type: "other"; readonly proposalType: number }
  );

/** What all proposals have. */
export interface ProposalBase {
  readonly reference: Bytes;
  readonly sender: Sender;
}

/** What a received message turned out to be. Branch by `type`. */
export type ReceivedEvent = ApplicationEvent | ProposalEvent | GroupUpdateEvent | RemovedEvent | OwnEvent;

/** What all events have. */
export interface EventBase {
  readonly groupId: Bytes;
  /** The epoch of the message; for group-update and removed the one that the commit begins. */
  readonly epoch: bigint;
  /** The member who sent the message, as it was then; absent when it was no member. */
  readonly sender?: Member;
  /** What the message carried readable to all, authenticated. */
  readonly authenticatedData: Bytes;
}

/** Application data. It stays in the inbox until it is acknowledged. */
export interface ApplicationEvent extends EventBase {
  readonly type: "application";
  readonly content: Bytes;
  /** `content` read as UTF-8. */
  readonly text: string;
  /** For {@link Group.acknowledge}. */
  readonly inboxId: number;
}

/** A proposal was received and waits for a commit. */
export interface ProposalEvent extends EventBase {
  readonly type: "proposal";
  readonly proposal: Proposal;
}

/** A commit was applied: the group is in a new epoch. */
export interface GroupUpdateEvent extends EventBase, Update {
  readonly type: "group-update";
}

/** A commit removed this client from the group. */
export interface RemovedEvent extends EventBase, Update {
  readonly type: "removed";
}

/** A message that this client sent came back. */
export interface OwnEvent extends EventBase {
  readonly type: "own";
}

/** What a commit did. */
export interface Update {
  /** Whether the commit was this client's. */
  readonly own: boolean;
  /** Whether the committer joined by it (RFC 9420, Section 12.4.3.2). */
  readonly external: boolean;
  readonly committer?: Member;
  readonly added: readonly Member[];
  /** As they were before. */
  readonly removed: readonly Member[];
  /** As they are now; the committer is not among them. */
  readonly updated: readonly Member[];
  readonly extensionsChanged: boolean;
  /** How many pre-shared keys were mixed in. */
  readonly pskCount: number;
  /** What the group continues as: it accepts no more changes (RFC 9420, Section 11.2). */
  readonly reInit?: { readonly groupId: Bytes; readonly suite: number; readonly extensions: readonly Extension[] };
}

/**
 * The life of a group at this client: "joining" until one's external commit is
 * accepted, then "active"; "read-only" after a reinitialization; "removed".
 */
export type GroupStatus = "joining" | "active" | "read-only" | "removed";

/** What a group is now. */
export interface GroupState {
  readonly groupId: Bytes;
  readonly status: GroupStatus;
  readonly epoch: bigint;
  readonly suite: CipherSuite;
  readonly ownLeaf: number;
  readonly memberCount: number;
  /** The same for all members of an epoch, and for nobody else: compare it to be sure (RFC 9420, Section 8.7). */
  readonly epochAuthenticator: Bytes;
  readonly treeHash: Bytes;
  readonly extensions: readonly Extension[];
  readonly hasPendingCommit: boolean;
  readonly pendingProposals: number;
}

/** What the outside of a message shows to anyone. Nothing of it is authenticated. */
export interface MessageHeader {
  readonly type: "public-message" | "private-message" | "welcome" | "group-info" | "key-package";
  /** For public and private messages and group infos. */
  readonly groupId?: Bytes;
  /** For public and private messages and group infos. */
  readonly epoch?: bigint;
  /** For public and private messages. */
  readonly content?: "application" | "proposal" | "commit";
}
