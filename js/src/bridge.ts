/**
 * The bridge to the WebAssembly program: the typed twin of wasm/methods.go and
 * wasm/convert.go. `tests/contract` compares the two; change them together.
 *
 * Epochs cross as decimal strings, cipher suites and other code points as
 * numbers, bytes as `Uint8Array`. What is absent in Go is absent here.
 */

import type { ErrorValue } from "./errors.js";

/** The version of this package and of the WebAssembly program that it works with. */
export const version = "0.1.0";

/** Bytes that this package made: never shared memory, and the receiver's own. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Methods of the program itself. */
export interface ProgramMethods {
  open(args: {
    store: HostStore;
    keys: HostKeys;
    authenticator: HostAuthenticator;
    identifies?: boolean;
    limits?: LimitsValue;
    supported?: SupportedValue;
  }): number;
  close(args: { client: number }): void;
  peek(args: { message: Uint8Array }): HeaderValue;
  /** Argon2id (RFC 9106) with one lane and 32 bytes of output; memory in KiB. It occupies the thread until it is done. */
  argon2id(args: { password: Uint8Array; salt: Uint8Array; passes: number; memory: number }): Bytes;
}

/** Methods of an open client. Their arguments hold its number beside what stands here. */
export interface ClientMethods {
  createIdentity(args: { suite?: number; credential: CredentialValue }): IdentityValue;
  /** `createIdentity` with a credential that depends on the key: the program asks `HostAuthenticator.issue` for it, by the number `issue`. */
  issueIdentity(args: { suite?: number; issue: number }): IdentityValue;
  /** Signs with the key of an `issueIdentity` that is waiting for its credential. */
  "issueIdentity.sign"(args: { issue: number; content: Uint8Array }): Bytes;
  renewIdentity(args: { identity: Uint8Array; credential: CredentialValue }): IdentityValue;
  identities(args: {}): IdentityValue[];
  createKeyPackages(args: {
    identity: Uint8Array;
    count: number;
    lifetime?: number;
    lastResort?: boolean;
    extensions?: ExtensionValue[];
    leafExtensions?: ExtensionValue[];
  }): Bytes[];
  keyPackageCount(args: { identity: Uint8Array }): number;
  keyPackages(args: { identity: Uint8Array }): KeyPackageValue[];
  deleteKeyPackages(args: { references?: Uint8Array[] }): void;
  createGroup(args: { identity: Uint8Array; id?: Uint8Array; extensions?: ExtensionValue[]; leafExtensions?: ExtensionValue[] }): InfoValue;
  joinGroup(args: { welcome: Uint8Array; ratchetTree?: Uint8Array }): InfoValue;
  inspectWelcome(args: { welcome: Uint8Array }): WelcomeValue;
  joinExternal(args: {
    identity: Uint8Array;
    groupInfo: Uint8Array;
    ratchetTree?: Uint8Array;
    resync?: boolean;
    psks?: PskValue[];
    authenticatedData?: Uint8Array;
    withGroupInfo?: boolean;
    leafExtensions?: ExtensionValue[];
  }): FoundedValue;
  proposeToJoin(args: { groupInfo: Uint8Array; keyPackage: Uint8Array; authenticatedData?: Uint8Array }): Bytes;
  proposeExternally(args: {
    identity: Uint8Array;
    index: number;
    groupInfo: Uint8Array;
    add?: Uint8Array;
    remove?: number;
    psk?: PskValue;
    extensions?: ExtensionValue[];
    reInit?: ReInitValue;
    custom?: CustomValue;
    authenticatedData?: Uint8Array;
  }): Bytes;
  groups(args: {}): Bytes[];
  storePSK(args: { id: Uint8Array; secret: Uint8Array }): void;
  deletePSK(args: { id: Uint8Array }): void;
  inspect(args: {}): ClientSnapshotValue;
}

/** Methods of a group. Their arguments hold the client's number and the group's id beside what stands here. */
export interface GroupMethods {
  "group.delete"(args: {}): void;
  "group.info"(args: {}): InfoValue;
  "group.members"(args: {}): MemberValue[];
  "group.member"(args: { leaf: number }): MemberDetailsValue;
  "group.inspect"(args: {}): GroupSnapshotValue;
  "group.commit"(args: {
    add?: Uint8Array[];
    remove?: number[];
    psks?: PskValue[];
    extensions?: ExtensionValue[];
    reInit?: ReInitValue;
    custom?: CustomValue[];
    noPath?: boolean;
    publicMessage?: boolean;
    noRatchetTree?: boolean;
    withGroupInfo?: boolean;
    ignoreProposals?: boolean;
    authenticatedData?: Uint8Array;
    identity?: Uint8Array;
    leafExtensions?: ExtensionValue[];
    renewCapabilities?: boolean;
  }): CommitValue;
  "group.pendingCommit"(args: {}): CommitValue | undefined;
  "group.pendingRatchetTree"(args: {}): Bytes;
  "group.applyPendingCommit"(args: {}): EventValue;
  "group.clearPendingCommit"(args: {}): void;
  "group.reInit"(args: {
    keyPackages?: Uint8Array[];
    identity?: Uint8Array;
    noRatchetTree?: boolean;
    withGroupInfo?: boolean;
    leafExtensions?: ExtensionValue[];
  }): FoundedValue;
  "group.branch"(args: {
    keyPackages?: Uint8Array[];
    id?: Uint8Array;
    extensions?: ExtensionValue[];
    identity?: Uint8Array;
    noRatchetTree?: boolean;
    withGroupInfo?: boolean;
    leafExtensions?: ExtensionValue[];
  }): FoundedValue;
  "group.propose"(args: {
    add?: Uint8Array;
    remove?: number;
    update?: boolean;
    psk?: PskValue;
    extensions?: ExtensionValue[];
    reInit?: ReInitValue;
    custom?: CustomValue;
    identity?: Uint8Array;
    leafExtensions?: ExtensionValue[];
    renewCapabilities?: boolean;
    publicMessage?: boolean;
    authenticatedData?: Uint8Array;
  }): ProposalResultValue;
  "group.proposals"(args: {}): ProposalValue[];
  "group.dropProposal"(args: { reference: Uint8Array }): void;
  "group.send"(args: { content: Uint8Array; authenticatedData?: Uint8Array; padding?: number }): Bytes;
  "group.sendAll"(args: { contents?: Uint8Array[]; authenticatedData?: Uint8Array; padding?: number }): Bytes[];
  /** What `group.send` does, for each of the contents. */
  "group.sendEach"(args: { contents?: Uint8Array[]; authenticatedData?: Uint8Array; padding?: number }): SentValue[];
  "group.receive"(args: { message: Uint8Array }): EventValue;
  "group.receiveAll"(args: { messages?: Uint8Array[] }): ReceivedValue[];
  "group.inbox"(args: {}): EventValue[];
  "group.acknowledge"(args: { ids?: number[] }): void;
  "group.exportSecret"(args: { label: Uint8Array; context: Uint8Array; length: number }): Bytes;
  "group.groupInfo"(args: { noRatchetTree?: boolean; noExternalPub?: boolean }): Bytes;
  "group.ratchetTree"(args: {}): Bytes;
}

/** All methods. */
export type Methods = ProgramMethods & ClientMethods & GroupMethods;
export type Method = keyof Methods;
/** The methods that go over a connection; `open` and `close` have ways of their own. */
export type CallMethod = Exclude<Method, "open" | "close">;
/** What a method takes, all told. */
export type Args<M extends Method> = Parameters<Methods[M]>[0] &
  (M extends keyof ClientMethods ? { client: number } : unknown) &
  (M extends keyof GroupMethods ? { client: number; group: Uint8Array } : unknown);
/** What a database is opened with, beside the functions of the host. */
export type Settings = Omit<Args<"open">, "store" | "keys" | "authenticator"> & { requireNonExtractable: boolean };
/** What a caller wants of a call that may take long. */
export interface Control {
  signal?: AbortSignal | undefined;
  progress?: ((done: number, total: number) => void) | undefined;
}
/** What a method gives. */
export type Result<M extends Method> = ReturnType<Methods[M]>;

/** RFC 9420, Section 5.3. `type` is the code point; which of the others is set depends on it. */
export interface CredentialValue {
  type: number;
  identity?: Bytes;
  certificates?: Bytes[];
  data?: Bytes;
}

/** RFC 9420, Section 13.4. */
export interface ExtensionValue {
  type: number;
  data: Bytes;
}

export interface IdentityValue {
  id: Bytes;
  suite: number;
  credential: CredentialValue;
  signatureKey: Bytes;
  keyStorage: string;
}

export interface MemberValue {
  leaf: number;
  credential: CredentialValue;
  signatureKey: Bytes;
  own: boolean;
}

export interface MemberDetailsValue {
  member: MemberValue;
  encryptionKey: Bytes;
  versions: number[];
  suites: number[];
  extensionTypes: number[];
  proposalTypes: number[];
  credentialTypes: number[];
  extensions: ExtensionValue[];
  notBefore?: string;
  notAfter?: string;
}

/** A key package of this client. `notAfter` is in seconds since 1970. */
export interface KeyPackageValue {
  reference: Bytes;
  identity: Bytes;
  keyPackage: Bytes;
  lastResort: boolean;
  notAfter: string;
}

/** A pre-shared key: an external one by its id, else the resumption key of an epoch of a group. */
export interface PskValue {
  id?: Bytes;
  group?: Bytes;
  epoch?: string;
}

/** A proposal of a type beyond RFC 9420. */
export interface CustomValue {
  type: number;
  data: Bytes;
}

/** What mls.Limits bounds. Durations are in seconds, sizes in bytes; 0 is none where that is possible. */
export interface LimitsValue {
  maxMessage?: number;
  maxMembers?: number;
  maxProposals?: number;
  maxForward?: number;
  maxSkipped?: number;
  pastEpochs?: number;
  pastEpochAge?: number;
  resumptionPSKs?: number;
  maxLifetime?: number;
  lifetimeSkew?: number;
  ignoreReceivedLifetimes?: boolean;
  padding?: number;
}

/** The code points that the application supports beyond RFC 9420. */
export interface SupportedValue {
  extensions?: number[];
  proposals?: number[];
  credentials?: number[];
}

export interface InfoValue {
  group: Bytes;
  status: string;
  epoch: string;
  suite: number;
  ownLeaf: number;
  memberCount: number;
  epochAuthenticator: Bytes;
  treeHash: Bytes;
  extensions: ExtensionValue[];
  hasPendingCommit: boolean;
  pendingProposals: number;
  rolledBack: boolean;
  reInit?: ReInitValue;
}

export interface WelcomeValue {
  group: Bytes;
  epoch: string;
  suite: number;
  identity: Bytes;
  extensions: ExtensionValue[];
  psks: PskValue[];
  hasTree: boolean;
  memberCount: number;
  signer?: MemberValue;
}

/** A group with the commit that leads into it. */
export interface FoundedValue {
  info: InfoValue;
  commit: CommitValue;
}

export interface CommitValue {
  commit: Bytes;
  welcome?: Bytes;
  groupInfo?: Bytes;
  epoch: string;
}

export interface ProposalResultValue {
  message: Bytes;
  reference: Bytes;
}

/** RFC 9420, Section 6: `type` is the code point. */
export interface SenderValue {
  type: number;
  leaf?: number;
  index?: number;
}

export interface ProposalValue {
  reference: Bytes;
  type: number;
  sender: SenderValue;
  credential?: CredentialValue;
  signatureKey?: Bytes;
  leaf?: number;
  psk?: PskValue;
  reInit?: ReInitValue;
  extensions?: ExtensionValue[];
  data?: Bytes;
  message?: Bytes;
}

export interface ReInitValue {
  group: Bytes;
  suite: number;
  extensions: ExtensionValue[];
}

export interface UpdateValue {
  own: boolean;
  external: boolean;
  committer?: MemberValue;
  added: MemberValue[];
  removed: MemberValue[];
  updated: MemberValue[];
  extensionsChanged: boolean;
  pskCount: number;
  custom: CustomValue[];
  reInit?: ReInitValue;
}

export interface EventValue {
  type: string;
  group: Bytes;
  epoch: string;
  sender?: MemberValue;
  authenticatedData: Bytes;
  inboxId?: number;
  content?: Bytes;
  proposal?: ProposalValue;
  update?: UpdateValue;
}

/** What became of one content of many: the one or the other. */
export interface SentValue {
  sealed?: Bytes;
  error?: ErrorValue;
}

/** What became of one message of many: the one or the other. */
export interface ReceivedValue {
  event?: EventValue;
  error?: ErrorValue;
}

export interface ClientSnapshotValue {
  revision: number;
  identities: IdentitySnapshotValue[];
  psks: number;
  groups: Bytes[];
  records: RecordSnapshotValue[];
}

/** `signatureKey` is the beginning of its hash. */
export interface IdentitySnapshotValue {
  id: Bytes;
  suite: number;
  credential: CredentialValue;
  signatureKey: Bytes;
  keyStorage: string;
  keyPackages: number;
  lastResort: number;
  expired: number;
}

export interface RecordSnapshotValue {
  kind: string;
  count: number;
  bytes: number;
}

export interface GroupSnapshotValue {
  group: Bytes;
  status: string;
  suite: number;
  epoch: string;
  revision: number;
  ownLeaf: number;
  rolledBack: boolean;
  treeHash: Bytes;
  tree: NodeSnapshotValue[];
  members: MemberValue[];
  extensions: ExtensionValue[];
  proposals: ProposalSnapshotValue[];
  pending?: PendingSnapshotValue;
  senders: SenderSnapshotValue[];
  past: PastSnapshotValue[];
  resumptionPSKs: string[];
  inbox: number;
  records: RecordSnapshotValue[];
  lastRejected?: RejectionValue;
}

/** A node of the ratchet tree, at its index; `key` is the beginning of the hash of its encryption key. */
export interface NodeSnapshotValue {
  kind: string;
  key?: Bytes;
  unmerged: number[];
  known: boolean;
}

export interface SenderSnapshotValue {
  leaf: number;
  handshake: RatchetSnapshotValue;
  application: RatchetSnapshotValue;
}

export interface RatchetSnapshotValue {
  next: number;
  skipped: number;
}

export interface ProposalSnapshotValue {
  reference: Bytes;
  type: number;
  sender: SenderValue;
  dropped: boolean;
}

export interface PendingSnapshotValue {
  epoch: string;
  external: boolean;
  added: number[];
  removed: number[];
  updated: number[];
  commitSize: number;
  welcomeSize: number;
}

/** `ended` is in seconds since 1970. */
export interface PastSnapshotValue {
  epoch: string;
  ended: string;
  senders: SenderSnapshotValue[];
}

/** `time` is in seconds since 1970. */
export interface RejectionValue {
  code: string;
  detail: string;
  time: string;
  size: number;
  header?: HeaderValue;
}

/** What the outside of a message shows. */
export interface HeaderValue {
  wireFormat: number;
  contentType?: number;
  sender?: number;
  group?: Bytes;
  epoch?: string;
}

/**
 * The private keys that the program only has names of, and, where `load` is not
 * missing, its records. Implemented in host/store.ts; without records in
 * host/memory.ts.
 */
export type HostStore = KeyStore & (RecordStore | { readonly load?: undefined });

/** Where the browser keeps private keys. */
export interface KeyStore {
  /**
   * Carries out all changes or none; when the promise is fulfilled they are
   * durable. In the same transaction the keys of `keysKept` are stored and those
   * of `keysDropped` deleted; one in both lists is kept. `check`, which a store of
   * records is given for some, is called while they are carried out, and where it is not
   * true, nothing is. Codes: STALE, KEY_NOT_FOUND for a key that was never adopted, and
   * those of storage.
   */
  commit(changes: StoredChange[], keysKept: string[], keysDropped: string[], check?: () => boolean): Promise<void>;
  /** Takes a fresh private key under a name that no other key ever has. It is in memory until a commit keeps it, or it is forgotten. */
  adopt(name: string, key: CryptoKey): void;
  /** Drops those of the adopted keys that no commit has kept. */
  forget(names: string[]): void;
  /** Returns a private key that was adopted, if this store remembers it: nobody can have put another in its place. */
  made(name: string): Promise<CryptoKey> | CryptoKey | undefined;
  /** Returns a private key that is stored; never one that can be exported. */
  key(name: string): Promise<CryptoKey | undefined>;
  /** Tells of each key whether the database could keep it as it is, by trying. Missing where all can be kept. */
  keeps?(keys: CryptoKey[]): Promise<boolean[]>;
  /** Whether this store wraps the keys that it keeps: then they must be made extractable. Once it does, it always does. */
  readonly wrapsKeys: boolean;
}

/** Where the browser keeps records. */
export interface RecordStore {
  /** Returns all records of a scope, and 0 and none for a scope that was never written. */
  load(scope: string): Promise<StoredScope>;
  /** Returns the stored revision of a scope, without reading its records. */
  revision(scope: string): Promise<number>;
  /** Waits until nobody else, in this tab or another, has the lock of a scope, if anybody has. Gives, or resolves with, what releases it. */
  lock(scope: string): Promise<() => void> | (() => void);
}

export interface StoredScope {
  revision: number;
  names: string[];
  values: Uint8Array[];
}

/** A change of one scope, whose revision must be `base` and is `base + 1` afterwards. First all, then some, records are deleted; then others put. */
export interface StoredChange {
  scope: string;
  base: number;
  deleteAll: boolean;
  delete: string[];
  names: string[];
  values: Uint8Array[];
}

/**
 * The Authentication Service of RFC 9420, Section 5.3.1, which is the application's.
 * Implemented in mls.ts. Claims are packed: wasm/host_auth.go makes them, claims of
 * decode.ts takes them apart.
 */
export interface HostAuthenticator {
  /** Returns the index of a claim that is refused, or -1. */
  authenticate(claims: Bytes): Promise<number>;
  /** Returns whether the client of the second claim may take the place of the client of the first. */
  succeeds(claims: Bytes): Promise<boolean>;
  /** Names the client of a claim, the same in all groups. Asked where `open` says so. */
  identify(claim: Bytes): Promise<Uint8Array | undefined>;
  /** Makes the credential for a new signature key. */
  issue(issue: number, publicKey: Bytes): Promise<CredentialValue>;
}

/** The private keys of a database, and the cryptography that is the browser's. Implemented in host/keys.ts. */
export interface HostKeys {
  /** What works in this browser, of Ed25519 and X25519. */
  readonly algorithms: string[];
  /** Those of them whose private keys the database can keep. */
  readonly kept: string[];
  /** The same of P-256, P-384 and P-521, which are tried when they are first asked for. */
  nist(): Promise<string[]>;
  /** Codes: those of storage. */
  nistKept(): Promise<string[]>;
  /** Whether keys that the database cannot keep are refused. */
  readonly requireNonExtractable: boolean;
  /** Makes a key pair, leaves the private key with the store under a name, and tells how that keeps it. */
  generate(kind: KeyKind, algorithm: string, name: string): Promise<{ publicKey: Bytes; storage: "non-extractable" | "wrapped" }>;
  /** Tells the store that what these keys were made for is over: those that it has not kept by now, it need not. */
  forget(names: string[]): void;
  /** Returns a private key that the store has, once it has proven to be that of a public key. Codes: KEY_NOT_FOUND, STATE_TAMPERED. */
  key(name: string, kind: KeyKind, algorithm: string, publicKey: Bytes): Promise<CryptoKey>;
  /** Makes a key pair of a NIST curve that the store does not have: the scalar, then the uncompressed point. */
  generateBytes(kind: KeyKind, curve: string): Promise<Bytes>;
  /** Makes a key of WebCrypto of a scalar and its point. */
  importKey(kind: KeyKind, curve: string, scalar: Bytes, point: Bytes): Promise<CryptoKey>;
  /** Signs each message of a packed list, and returns the signatures in a row. One of ECDSA is r and s, one after the other. */
  sign(algorithm: string, key: CryptoKey, packed: Bytes): Promise<Bytes>;
  /** Checks a packed list of public key, message and signature. Returns the lowest index of a bad signature, or -1. */
  verify(algorithm: string, packed: Bytes): Promise<number>;
  /** Returns what a key gives with a public key: of a NIST curve, the x coordinate. */
  diffieHellman(algorithm: string, key: CryptoKey, publicKey: Bytes): Promise<Bytes>;
  /** Returns for each public key of a packed list that of an ephemeral key pair and what this gives with it, all in a row. */
  encapsulate(algorithm: string, packed: Bytes): Promise<Bytes>;
}

/** What a key is for: signatures or HPKE. */
export type KeyKind = "sign" | "derive";
