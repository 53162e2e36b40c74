/// <reference lib="esnext.disposable" preserve="true" />
/** Clients. */
import type { Args, Bytes, CallMethod, Control, CredentialValue, EventValue, HostAuthenticator, ReceivedValue, Result, Settings } from "./bridge.js";
import { acquire, type Connection, type HostClient } from "./connection.js";
import { defaultThread } from "./program.js";
import * as decode from "./decode.js";
import { asMLSError, describe, failure, MLSError, RejectedError } from "./errors.js";
import { Emitter } from "./events.js";
import type { TabEvent } from "./host/channel.js";
import { deleteDatabase } from "./host/database.js";
import { opened, unpack } from "./host/pack.js";
import type { Secret } from "./host/unlock.js";
import { newSecret, secretFor } from "./passkey.js";
import { encoded, Group, idOf, type GroupClient } from "./group.js";
import { entryOf, type LogEntry, type Replayable } from "./log.js";
import { clientSnapshot, groupSnapshot, type ClientSnapshot, type GroupSnapshot } from "./snapshot.js";
import type {
  CallOptions,
  CipherSuite,
  CommitResult,
  CreateGroupOptions,
  CredentialInput,
  ExternalProposalContents,
  GroupState,
  Identity,
  IssueCredential,
  JoinExternalOptions,
  JoinOptions,
  KeyPackageInfo,
  KeyPackageOptions,
  Lock,
  MessageHeader,
  OpenOptions,
  WelcomeInfo,
} from "./types.js";

const noDatabase = "lock: there is no database";

/** A client of a connection. */
interface Session {
  connection: Connection;
  client: number;
  release(): void;
}

/**
 * A client: one device of one user, with its identities, key packages and
 * groups, in one IndexedDB database.
 *
 * ```ts
 * const mls = await MLS.open({ database: "alice", authenticate });
 * const alice = await mls.createIdentity("alice@example.com");
 * const group = await mls.createGroup(alice);
 * ```
 *
 * Every method may reject with StateError (CLOSED, INVALID_ARGUMENT),
 * StorageError and InternalError; what else, it says. When the program behind it
 * ends, all that is pending rejects with INSTANCE_DIED; the next call starts
 * another on the stored state, where nothing is lost.
 */
export class MLS extends Emitter {
  /** @internal */
  static override readonly name: string = "MLS";
  readonly #options: OpenOptions;
  readonly #host: HostClient;
  readonly #groups = new Map<string, Group>();
  readonly #groupClient: GroupClient;
  /** What makes the credentials of the identities that are being made. */
  readonly #issuers = new Map<number, { suite: CipherSuite; issue: IssueCredential }>();
  #issues = 0;
  #recordedCalls = 0;
  /** What opens the lock, from the first opening on, so that the user is asked once. */
  #secret: Secret | undefined;
  /** Whether the database was opened. */
  #opened = false;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: OpenOptions) {
    super();
    this.#options = { ...options };
    this.#host = {
      ...authenticator(options),
      issue: (issue, publicKey) => this.#issue(issue, publicKey),
      happened: (event) => void this.#happened(event),
    };
    this.#groupClient = {
      call: (method, args) => this.#call(method, args as () => never),
      group: (state) => this.#group(state),
      forget: (group) => void this.#groups.delete(String(group.id)),
      emit: (type, event, group) => this.emit(type, event, group),
    };
  }

  /**
   * Opens a database, and makes it when there is none.
   *
   * Rejects with StorageError: STORE_UNAVAILABLE (no IndexedDB, as in some
   * private windows: `database: null` needs none), STORE_BLOCKED, STORE_QUOTA,
   * STATE_VERSION (made by a newer version), STATE_CORRUPT, STATE_TAMPERED; with
   * StateError: DATABASE_LOCKED,
   * UNLOCK_FAILED (what `lock` says does not open it, or it has no lock); with
   * UnsupportedError: LOCK_UNSUPPORTED, KEYS_EXTRACTABLE; and with InternalError
   * INSTANCE_FAILED when the worker or the WebAssembly binary cannot be loaded.
   */
  static async open(options: OpenOptions): Promise<MLS> {
    if (typeof options?.database !== "string" && options?.database !== null) throw failure("INVALID_ARGUMENT", "database: want a string or null", "open");
    if (options.database === null && options.lock) throw failure("INVALID_ARGUMENT", noDatabase, "open");
    if (typeof options.authenticate !== "function") throw failure("INVALID_ARGUMENT", "authenticate: want a function", "open");
    const mls = new MLS(options);
    await mls.#open();
    return mls;
  }

  /**
   * Makes an identity: a signature key for a cipher suite (1 by default), under
   * a credential. A string is a basic credential in UTF-8. A function is asked
   * for the credential once the key is there: so are certificates issued. It may
   * take its time; other calls do not wait for it.
   *
   * Rejects with UnsupportedError (UNSUPPORTED_CIPHER_SUITE, KEYS_EXTRACTABLE); with
   * CREDENTIAL_REJECTED (RejectedError) when the first certificate of a chain is
   * for another key; with AUTHENTICATOR_FAILED (StateError) when the function
   * throws.
   */
  async createIdentity(credential: CredentialInput | IssueCredential, options: { suite?: CipherSuite } = {}): Promise<Identity> {
    if (typeof credential === "function") return this.#issueIdentity(credential, options);
    return decode.identity(await this.#call("createIdentity", () => ({ ...options, credential: decode.credentialValue(credential) })));
  }

  /**
   * Makes another identity of the signature key of one that is there, under a
   * new credential: a certificate that was renewed for the same key, say. The old
   * one stays. A group learns of it by a commit or update with it.
   *
   * Rejects with IDENTITY_NOT_FOUND (StateError); with CREDENTIAL_REJECTED
   * (RejectedError) when the first certificate of a chain is for another key.
   */
  async renewIdentity(identity: Identity | Uint8Array, credential: CredentialInput): Promise<Identity> {
    const make = () => ({ identity: idOf(identity), credential: decode.credentialValue(credential) });
    return decode.identity(await this.#call("renewIdentity", make));
  }

  /** The identities in this database. */
  async identities(): Promise<Identity[]> {
    return (await this.#call("identities", () => ({}))).map(decode.identity);
  }

  /**
   * Makes `count` key packages, at most 1,000 at once (RFC 9420, Section 10),
   * each an MLSMessage with which one other can add this client to one group.
   * Rejects with IDENTITY_NOT_FOUND (StateError) and KEYS_EXTRACTABLE
   * (UnsupportedError).
   */
  createKeyPackages(identity: Identity | Uint8Array, count: number, options: KeyPackageOptions = {}): Promise<Bytes[]> {
    return this.#call("createKeyPackages", () => encoded({ ...options, identity, count }));
  }

  /** Makes one key package. See {@link createKeyPackages}. */
  async createKeyPackage(identity: Identity | Uint8Array, options: KeyPackageOptions = {}): Promise<Bytes> {
    return (await this.createKeyPackages(identity, 1, options))[0]!;
  }

  /** How many key packages of an identity are unused and in time. */
  keyPackageCount(identity: Identity | Uint8Array): Promise<number> {
    return this.#call("keyPackageCount", () => ({ identity: idOf(identity) }));
  }

  /**
   * The key packages of an identity, those that end first in front: what
   * {@link keyPackageCount} counts, and those that have ended and are kept for a
   * day more, for a Welcome that is on its way.
   */
  async keyPackages(identity: Identity | Uint8Array): Promise<KeyPackageInfo[]> {
    return (await this.#call("keyPackages", () => ({ identity: idOf(identity) }))).map(decode.keyPackage);
  }

  /**
   * Forgets key packages, by their references, with their private keys: once the
   * delivery service has dropped them, say. A Welcome for one of them can no
   * longer be joined. Those that have ended go by themselves.
   */
  async deleteKeyPackages(keyPackages: readonly (KeyPackageInfo | Uint8Array)[]): Promise<void> {
    await this.#call("deleteKeyPackages", () => ({ references: keyPackages.map((k) => (k instanceof Uint8Array ? k : k.reference)) }));
  }

  /**
   * Makes a group with this client as its only member (RFC 9420, Section 11).
   * Rejects with IDENTITY_NOT_FOUND and GROUP_EXISTS (StateError).
   */
  async createGroup(identity: Identity | Uint8Array, options: CreateGroupOptions = {}): Promise<Group> {
    const info = await this.#call("createGroup", () => encoded({ ...options, identity }));
    return this.#group(decode.state(info));
  }

  /**
   * Joins a group by a Welcome (RFC 9420, Section 12.4.3.1), which uses up the
   * key package that it is for. `authenticate` is asked about every member.
   *
   * Rejects with NO_MATCHING_KEY_PACKAGE, GROUP_EXISTS, TREE_MISSING (StateError),
   * MalformedError and RejectedError.
   */
  async joinGroup(welcome: Uint8Array, options: JoinOptions = {}): Promise<Group> {
    return this.#group(decode.state(await this.#call("joinGroup", () => ({ ...options, welcome }))));
  }

  /**
   * Joins a group by a commit of one's own (RFC 9420, Section 12.4.3.2), given a
   * GroupInfo of a member. This client is a member when the delivery service has
   * accepted the commit: call {@link Group.applyPendingCommit} then, or let
   * {@link Group.receive} have it back.
   *
   * Rejects with GROUP_EXISTS, TREE_MISSING (StateError), MalformedError and
   * RejectedError.
   */
  async joinExternal(
    identity: Identity | Uint8Array,
    groupInfo: Uint8Array,
    options: JoinExternalOptions = {},
  ): Promise<CommitResult & { readonly group: Group }> {
    const { info, commit } = await this.#call("joinExternal", () => encoded({ ...options, identity, groupInfo }));
    return { group: this.#group(decode.state(info)), ...decode.commit(commit) };
  }

  /**
   * Says what a Welcome is for, and changes nothing. Rejects with
   * NO_MATCHING_KEY_PACKAGE and PSK_UNKNOWN (StateError), and as
   * {@link joinGroup} does for a Welcome that does not open.
   */
  async inspectWelcome(welcome: Uint8Array): Promise<WelcomeInfo> {
    return decode.welcome(await this.#call("inspectWelcome", () => ({ welcome })));
  }

  /**
   * Proposes to a group, from outside, that one of this client's own key
   * packages be added (RFC 9420, Section 12.1.8): an MLSMessage for the group,
   * for the epoch of its GroupInfo. When a member commits it, join by the Welcome.
   * Rejects with INVALID_ARGUMENT (StateError) when the key package is not here.
   */
  proposeToJoin(groupInfo: Uint8Array, keyPackage: Uint8Array, options: { authenticatedData?: Uint8Array } = {}): Promise<Bytes> {
    return this.#call("proposeToJoin", () => ({ ...options, groupInfo, keyPackage }));
  }

  /**
   * Proposes to a group that this client is not in, as one whom its
   * external_senders extension lists at an index (RFC 9420, Section 12.1.8.1;
   * {@link externalSenders} makes the extension): an MLSMessage for the group, for
   * the epoch of its GroupInfo.
   *
   * Rejects with INVALID_SENDER (RejectedError) when the key of the identity is not
   * listed there, and with SENDER_NOT_ALLOWED (RejectedError).
   */
  proposeExternally(
    groupInfo: Uint8Array,
    from: { readonly index: number; readonly identity: Identity | Uint8Array },
    contents: ExternalProposalContents,
  ): Promise<Bytes> {
    return this.#call("proposeExternally", () => encoded({ ...contents, groupInfo, index: from.index, identity: from.identity }));
  }

  /** The ids of the groups in this database. */
  groups(): Promise<Bytes[]> {
    return this.#call("groups", () => ({}));
  }

  /** A group in this database. Rejects with GROUP_NOT_FOUND (StateError). */
  async group(id: Uint8Array): Promise<Group> {
    return this.#group(decode.state(await this.#call("group.info", () => ({ group: id }))));
  }

  /** Forgets a group, with its secrets and its inbox. It tells the other members nothing. Rejects with GROUP_NOT_FOUND (StateError). */
  async deleteGroup(group: Group | Uint8Array): Promise<void> {
    await this.#call("group.delete", () => ({ group: group instanceof Group ? group.id : group }));
  }

  /** Keeps an external pre-shared key under an id (RFC 9420, Section 8.4). All members must hold it before it is committed. */
  async storePSK(id: string | Uint8Array, secret: Uint8Array): Promise<void> {
    await this.#call("storePSK", () => ({ id: decode.utf8(id), secret }));
  }

  /** Forgets an external pre-shared key. */
  async deletePSK(id: string | Uint8Array): Promise<void> {
    await this.#call("deletePSK", () => ({ id: decode.utf8(id) }));
  }

  /**
   * What this client is like inside, without secrets and content: the trees of
   * its groups, proposals, the pending commit, which generations were used, how
   * much is stored, and why the last message was refused. To look at; what is in it
   * may change.
   */
  async inspect(): Promise<ClientSnapshot> {
    const value = await this.#call("inspect", () => ({}));
    const groups: GroupSnapshot[] = [];
    for (const group of value.groups) groups.push(groupSnapshot(await this.#call("group.inspect", () => ({ group }))));
    return clientSnapshot(value, groups);
  }

  /** Reads what the outside of a message shows: which group and epoch it is for. Rejects with MalformedError. */
  async peek(message: Uint8Array): Promise<MessageHeader> {
    return decode.header(await this.#call("peek", () => ({ message })));
  }

  /**
   * Locks the database with a passphrase or a passkey, with another one, or, with
   * `null`, with none. Where there is a lock, `current` must open it.
   *
   * A database that had no lock is sealed again with fresh keys, since the files
   * of the profile hold the old ones; its other clients, in other tabs, fail with
   * DATABASE_LOCKED until they are opened again. Private keys that were made
   * before that stay as they are: non-extractable CryptoKeys, which no script can
   * read, but who has the files can. Changing or taking off a lock disturbs no one.
   * To forget the passphrase or to lose the passkey is to lose the database.
   *
   * Rejects with DATABASE_LOCKED and UNLOCK_FAILED (StateError) when `current` is
   * missing or wrong, or the user declines; INVALID_ARGUMENT where there is no
   * database; LOCK_UNSUPPORTED (UnsupportedError)
   * when the browser or the authenticator lacks what a passkey needs.
   */
  async setLock(lock: Lock | null, current?: Lock): Promise<void> {
    if (this.#closing) throw failure("CLOSED", "", "setLock");
    const { database } = this.#options;
    if (database === null) throw failure("INVALID_ARGUMENT", noDatabase, "setLock");
    const present = current && (await secretFor(database, current));
    const secret = lock ? await newSecret(database, lock) : undefined;
    if (this.#closing) throw failure("CLOSED", "", "setLock"); // while the user was asked
    const { connection, client } = this.#ready() ?? (await this.#open());
    await connection.setLock(client, secret, present);
    this.#secret = secret;
    if (lock) this.#options.lock = lock;
    else delete this.#options.lock;
  }

  /**
   * Deletes a database, also one that is locked: with it go its identities, groups
   * and private keys. Its clients, in all tabs, tell their listeners ("closed") and
   * reject with STORE_DELETED from then on. The other members of its groups are
   * told nothing. Rejects with STORE_UNAVAILABLE and STORE_BLOCKED (StorageError).
   */
  static async deleteDatabase(database: string): Promise<void> {
    if (typeof database !== "string") throw failure("INVALID_ARGUMENT", "database: want a string", "deleteDatabase");
    await deleteDatabase(database);
  }

  /**
   * Asks the browser to keep this origin's storage when space is short, and says
   * whether it does. Without that it may evict all of it. Some browsers ask the user.
   */
  static async requestPersistence(): Promise<boolean> {
    return (await globalThis.navigator?.storage?.persist?.()) ?? false;
  }

  /** How much this origin stores, and how much it may, in bytes, as far as the browser says: of all databases together. */
  static async storageEstimate(): Promise<{ usage?: number; quota?: number }> {
    const { usage, quota } = (await globalThis.navigator?.storage?.estimate?.()) ?? {};
    return encoded({ usage, quota });
  }

  /**
   * Ends the client, when what it is doing is done; the last one of a page ends
   * the worker. What is called later rejects with CLOSED. The database stays.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const session = this.#session ?? (await this.#opening?.catch(() => undefined));
    if (!session) return;
    try {
      if (!session.connection.dead) await session.connection.close(session.client);
    } finally {
      session.release();
    }
  }

  async #issueIdentity(issue: IssueCredential, options: { suite?: CipherSuite }): Promise<Identity> {
    const number = ++this.#issues;
    this.#issuers.set(number, { suite: options?.suite ?? 1, issue });
    try {
      return decode.identity(await this.#call("issueIdentity", () => ({ ...options, issue: number })));
    } finally {
      this.#issuers.delete(number);
    }
  }

  /** Has the application make the credential of a key. */
  async #issue(number: number, publicKey: Bytes): Promise<CredentialValue> {
    const { suite, issue } = this.#issuers.get(number)!;
    const sign = (content: Uint8Array) => this.#call("issueIdentity.sign", () => ({ issue: number, content }));
    const credential = await asked((async () => issue({ suite, publicKey, sign }))());
    try {
      return decode.credentialValue(credential);
    } catch (error) {
      throw failure("CREDENTIAL_REJECTED", describe(error));
    }
  }

  /** One object for a group, whatever gave it. */
  #group(state: GroupState): Group {
    const key = String(state.groupId);
    const group = this.#groups.get(key) ?? Group.of(this.#groupClient, state);
    this.#groups.set(key, group);
    group.refresh(state);
    return group;
  }

  /** Tells what happened elsewhere as if it had happened here. */
  async #happened(event: TabEvent): Promise<void> {
    if (this.#closing) return;
    if (event.kind === "events") {
      // One, or a list with those that were refused.
      for (const result of [unpack(event.result)].flat() as (EventValue & ReceivedValue)[]) {
        const value = result.event ?? result;
        if (result.error || value.type === "own") continue;
        const received = { ...decode.event(value), remote: true as const };
        const { groupId } = received;
        const group = this.#groups.get(String(groupId)) ?? (await this.group(groupId).catch(() => undefined));
        group?.happened(received);
      }
      return;
    }
    if (event.group) {
      const closed = { type: "closed", groupId: new Uint8Array(event.group), remote: true } as const;
      const group = this.#groups.get(String(event.group));
      if (group) group.closed(closed);
      else this.emit("closed", closed, undefined);
      return;
    }
    const groups = [...this.#groups.values()];
    this.#groups.clear();
    for (const group of groups) group.emit("closed", { type: "closed" }, group);
    this.emit("closed", { type: "closed" }, undefined);
  }

  #open(): Promise<Session> {
    this.#session = undefined;
    this.#opening ??= this.#connect().then(
      (session) => {
        this.#opening = undefined;
        this.#session = session;
        return session;
      },
      (error: unknown) => {
        this.#opening = undefined;
        throw error;
      },
    );
    return this.#opening;
  }

  async #connect(): Promise<Session> {
    const { database, thread = defaultThread(), lock } = this.#options;
    const { url, settings } = settled(this.#options);
    if (lock) this.#secret ??= await secretFor(database!, lock);
    const { connection, release } = await acquire(thread, url);
    try {
      const place = { database, secret: this.#secret, existing: this.#opened };
      const client = await connection.open(place, settings, this.#host);
      this.#opened = true;
      return { connection, release, client };
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Calls a method: at once, so that calls keep their order and the caller may
   * change its bytes afterwards; or after opening again, where the program has
   * died. What the making of the arguments throws is INVALID_ARGUMENT.
   */
  async #call<M extends CallMethod>(method: M, make: () => Omit<Args<M>, "client"> & CallOptions): Promise<Result<M>> {
    if (this.#closing) throw failure("CLOSED", "", method);
    let args: object;
    let control: Control;
    try {
      ({ args, control } = controlled(make()));
    } catch (error) {
      throw failure("INVALID_ARGUMENT", describe(error), method);
    }
    if (control.signal?.aborted) throw failure("CANCELLED", describe(control.signal.reason), method);
    const { connection, client } = this.#ready() ?? (await this.#open());
    const carryOut = async () => opened(await connection.call(method, { ...args, client } as unknown as Args<M>, control)) as Result<M>;
    return this.#recorded(method, args, carryOut);
  }

  /** Carries out a call, and has it recorded where that is asked for. */
  async #recorded<T>(method: CallMethod, args: object, carryOut: () => Promise<T>): Promise<T> {
    const { record } = this.#options;
    if (!record) return carryOut();
    const number = ++this.#recordedCalls;
    const done = (end: { result: unknown } | { error: MLSError }) => {
      try {
        record(entryOf(number, method, args, end));
      } catch (error) {
        reportError(error);
      }
    };
    try {
      const result = await carryOut();
      done({ result });
      return result;
    } catch (error) {
      done({ error: asMLSError(error) });
      throw error;
    }
  }

  /** Carries out what a log has, for {@link replay}. @internal */
  async repeat(method: Replayable, args: object): Promise<LogEntry> {
    try {
      return entryOf(0, method, args, { result: await this.#call(method, () => args as never) });
    } catch (error) {
      return entryOf(0, method, args, { error: asMLSError(error) });
    }
  }

  /** The session, when it has not ended. */
  #ready(): Session | undefined {
    return this.#session && !this.#session.connection.dead ? this.#session : undefined;
  }
}

// Where the language has it: `await using mls = await MLS.open(...)`.
export interface MLS extends AsyncDisposable {}
if (Symbol.asyncDispose) MLS.prototype[Symbol.asyncDispose] = MLS.prototype.close;

/** What the program is opened with. Code: INVALID_ARGUMENT. */
function settled({ thread, wasm, limits, requireNonExtractable, supported, identify }: OpenOptions): {
  url: string | undefined;
  settings: Settings;
} {
  try {
    if (thread !== undefined && thread !== "worker" && thread !== "current") throw new TypeError('thread: want "worker" or "current"');
    return {
      url: wasm === undefined ? undefined : new URL(wasm, location.href).href,
      settings: {
        identifies: identify !== undefined,
        limits: { ...limits, maxMessage: limits?.maxMessage || maxMessage },
        requireNonExtractable: requireNonExtractable === true,
        supported: Object.fromEntries(Object.entries(supported ?? {}).map(([name, list]) => [name, [...list]])),
      },
    };
  } catch (error) {
    throw failure("INVALID_ARGUMENT", describe(error), "open");
  }
}

/** The largest message that is accepted, in bytes, where the application says nothing else. */
const maxMessage = 16 << 20;

/** Parts what is for the program from what its caller wants of the call. */
function controlled(made: CallOptions): { args: object; control: Control } {
  const { signal, progress, ...args } = made;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError("signal: want an AbortSignal");
  if (progress === undefined) return { args, control: { signal } };
  if (typeof progress !== "function") throw new TypeError("progress: want a function");
  const tell = (done: number, total: number): void => {
    try {
      progress(done, total);
    } catch (error) {
      reportError(error);
    }
  };
  return { args, control: { signal, progress: tell } };
}

/** The application's functions as the program asks them. */
function authenticator(options: OpenOptions): Omit<HostAuthenticator, "issue"> {
  const { authenticate, succeeds = () => false } = options;
  return {
    async identify(packed) {
      const [claim] = decode.claims(packed);
      const name = await asked((async () => options.identify?.(claim!.credential, claim!))());
      return name === undefined ? undefined : new Uint8Array(decode.utf8(name));
    },
    authenticate: (packed) => asked(firstRefused(packed, authenticate)),
    async succeeds(packed) {
      const [old, next] = decode.claims(packed);
      return asked((async () => (await succeeds(old!, next!)) === true)());
    },
  };
}

/** How long the page's thread is kept, in ms, before others have their turn. */
const slice = 20;

/** The index of the first claim that is not accepted, or -1. Every claim is asked about, and answers that take their time are waited for together. */
async function firstRefused(packed: Bytes, authenticate: OpenOptions["authenticate"]): Promise<number> {
  const answers: (boolean | Promise<boolean>)[] = [];
  let waits = false;
  let start = performance.now();
  for (const claim of decode.claims(packed)) {
    const answer = authenticate(claim);
    answers.push(answer);
    if (typeof answer === "object") {
      waits = true;
      Promise.resolve(answer).catch(() => {}); // heard of below
    }
    if (performance.now() - start > slice) {
      await new Promise((resolve) => setTimeout(resolve));
      start = performance.now();
    }
  }
  return (waits ? await Promise.all(answers) : answers).findIndex((answer) => answer !== true);
}

/** Makes what the application throws AUTHENTICATOR_FAILED, unless it is a refusal that says why, as webmls/x509 throws it. */
async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RejectedError && (error.code === "CREDENTIAL_REJECTED" || error.code === "SUCCESSOR_REJECTED")) throw error;
    throw failure("AUTHENTICATOR_FAILED", error instanceof MLSError ? error.message : describe(error));
  }
}
