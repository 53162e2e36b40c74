/**
 * Storage: the program's records in IndexedDB, sealed (seal.ts).
 *
 * A batch is one readwrite transaction. Its durability is strict, but while no
 * calls are under way other than those that receive: what these store withstands a
 * crash of the browser, and may be lost with the power. Then it is received again.
 * Nothing that was sent or signed rests on it: what is stored strictly later takes
 * along what was stored before.
 *
 * All of a batch is sealed before the transaction opens; inside of it what the batch rests on is
 * compared, and nothing foreign is awaited: the root, which answers for all heads
 * that it is known to belong to, and else the head of each scope. Writers of
 * different scopes meet at the root alone: who finds another root than the one
 * that was sealed for seals the root again, and nothing else.
 *
 * Small records have no rows: they are in the head of their scope, which every
 * batch writes anyway, so that a message costs two rows. A record is in one place:
 * what does not fit into the head any more moves, in the same transaction, into a
 * row, and out of it again when it is next written and small. Nothing is appended
 * to what was there: a head is written whole, so that what was deleted is gone.
 */
import type { Bytes, KeyStore, RecordStore, StoredChange, StoredScope } from "../bridge.js";
import { failure, type MLSError } from "../errors.js";
import type { TabChannel, TabEvent, Told } from "./channel.js";
import { completion, Database, stores, type Make, type StoreName } from "./database.js";
import { ScopeLocks } from "./locks.js";
import { pack, unpack } from "./pack.js";
import * as sealing from "./seal.js";
import { format, isRevision, tampered, type DataKeys, type Sealed, type Sum, type WrappedKey } from "./seal.js";
import {
  checkHeads,
  headOf,
  isSame,
  openRoot,
  openScope,
  sealAll,
  sealRoot,
  sealRow,
  type Known,
  type KnownHead,
  type PlainScope,
  type Root,
  type RootRow,
  type SealedAll,
  type SealedRow,
} from "./sums.js";
import { lockKeys, readLock, unlockKeys, type Argon2id, type LockRow, type Secret } from "./unlock.js";

/** How a store is opened, and whom it tells what. */
export interface StoreOptions {
  /** What opens the lock of the database, or makes the lock of a new one. */
  secret: Secret | undefined;
  /** Whether the database was there before: a missing one is STORE_DELETED then. */
  existing: boolean;
  argon2id: Argon2id;
  /** Where other instances are told of commits. */
  channel: TabChannel;
  /** Is called as soon as there is a connection: what needs no more need not wait for what is read first. */
  connected?(store: DatabaseStore): void;
  /** Is called when the database was deleted. */
  lost(error: MLSError): void;
}

/** All heads, in step with a root. */
interface View {
  root: Root;
  heads: Map<string, KnownHead>;
}

/** What is known of a scope that was loaded. */
interface LoadedScope {
  revision: number;
  head: KnownHead | undefined;
  sum: Sum;
  /** The records that the head holds, in the clear. They are wiped when they are replaced. */
  inline: Map<string, Bytes>;
  /** Those in rows of their own. */
  records: Map<string, Known>;
}

/** What is known of a scope that nothing is stored of. */
const nothing = (): LoadedScope => ({ revision: 0, head: undefined, sum: sealing.emptySum(), inline: new Map(), records: new Map() });

/** A change that is sealed, and what is known of its scope then. */
interface SealedChange {
  change: StoredChange;
  loaded: LoadedScope;
  /** The records whose rows are deleted, and those whose rows are written. */
  gone: Set<string>;
  rows: [name: string, sealed: SealedRow][];
  head: SealedRow;
  sum: Sum;
  inline: Map<string, Bytes>;
}

/** A private key that no commit has kept yet: as it will be stored, if it is wrapped with these keys, and as it is used. */
interface FreshKey {
  keys: DataKeys;
  stored: Promise<CryptoKey | WrappedKey>;
  usable: Promise<CryptoKey>;
}

/** What a batch does to private keys. */
interface KeyChanges {
  put: Map<string, CryptoKey | WrappedKey>;
  /** Those that must be stored already. */
  stored: string[];
  delete: string[];
}

const everything = Object.values(stores);

/** How many bytes a record in a head may have, and all of them: so many more in one row cost less than a second row does. */
const small = 2 << 10;
const room = 8 << 10;

/** How many private keys that were made here are remembered. */
const remembered = 32;

/** Of how many other instances it is remembered what they told last. */
const instances = 100;

/** The records and keys of a client, in a database of IndexedDB. */
export class DatabaseStore implements KeyStore, RecordStore {
  readonly #options: StoreOptions;
  readonly #locks: ScopeLocks;
  readonly #fresh = new Map<string, FreshKey>();
  /** The last of them that were kept, as they are used: what is used soon is not read. What others may have deleted is not in it. */
  readonly #made = new Map<string, Promise<CryptoKey>>();
  readonly #scopes = new Map<string, LoadedScope>();
  #database!: Database;
  #keys!: DataKeys;
  /** The scope of the client, which was read with the root, until it is asked for. */
  #client: Promise<StoredScope> | undefined;
  /** Whether there was a lock at any time of this instance: what the browser cannot keep unwrapped was told apart at its beginning. */
  wrapsKeys: boolean;
  /** How many calls are under way that only receive, and how many others. */
  receiving = 0;
  others = 0;
  /** The newest root that was seen. */
  #root!: Root;
  #view!: View;
  /** What other instances know this one by, and how much it has told. */
  readonly #id = String(sealing.random(16));
  #number = 0;
  /** What is about to be told. */
  #news: TabEvent[] = [];
  /** By instance, the last that was heard of it; and up to which revision of the root all has been. */
  readonly #heard = new Map<string, { number: number; revision: number }>();
  #heardUpTo!: number;
  /** Is fulfilled when all that was to be told is told, or cannot be: events are told one after the other. */
  told: Promise<void> = Promise.resolve();
  /** Commits seal the root one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(name: string, options: StoreOptions) {
    this.#options = options;
    this.wrapsKeys = options.secret !== undefined; // what it does not open is not opened
    this.#locks = new ScopeLocks(name, options.channel);
  }

  /**
   * Opens a database, and makes it when there is none. Codes: DATABASE_LOCKED,
   * UNLOCK_FAILED, STORE_UNAVAILABLE, STORE_BLOCKED, STORE_QUOTA, STATE_VERSION,
   * STATE_TAMPERED, STORE_FAILED.
   */
  static async open(name: string, options: StoreOptions): Promise<DatabaseStore> {
    const store = new DatabaseStore(name, options);
    store.#database = await Database.open(name, options.existing ? undefined : store.#making(), (error) => {
      store.#locks.close(error);
      options.lost(error);
    });
    try {
      options.connected?.(store);
      await store.#begin();
    } catch (error) {
      store.close();
      throw error;
    }
    return store;
  }

  /** Reads what all else rests on. */
  async #begin(): Promise<void> {
    const { row, root, scopes, heads, records } = await this.#readRoot();
    this.#keys = await unlockKeys(row, this.#options.secret, this.#options.argon2id);
    await this.#check(root, scopes, heads);
    this.#client = this.#open(this.#keys, clientScope, this.#view.heads.get(clientScope), heads[scopes.indexOf(clientScope)], ...records);
    this.#client.catch(() => {}); // whoever loads it hears of it
  }

  /** Closes the connection. What is under way finishes first; later calls fail with CLOSED. */
  close(): void {
    this.#fresh.clear();
    this.#made.clear();
    this.#client = undefined;
    this.#forget();
    this.#locks.close();
    this.#database.close();
  }

  /** Why nothing can be done with it any more, when that is so: CLOSED or STORE_DELETED. */
  get end(): MLSError | undefined {
    return this.#database.end;
  }

  async load(scope: string): Promise<StoredScope> {
    const read = scope === clientScope ? this.#client : undefined;
    this.#client = undefined;
    if (read) return read;
    this.#made.clear(); // others may have written
    for (;;) {
      const keys = this.#keys;
      const found = await this.#read(keys, scope);
      if (found) return found;
      if (keys === this.#keys) throw await this.#strangeKeys();
      // The keys were exchanged meanwhile: read again what is under the new ones.
    }
  }

  async revision(scope: string): Promise<number> {
    const transaction = await this.#database.begin("readonly", [stores.heads]);
    const request = transaction.objectStore(stores.heads).get(scope) as IDBRequest<Sealed | undefined>;
    await completion(transaction);
    return request.result?.revision ?? 0;
  }

  lock(scope: string): Promise<() => void> | (() => void) {
    const end = this.end;
    return end ? Promise.reject(end) : this.#locks.lock(scope);
  }

  adopt(name: string, key: CryptoKey): void {
    const keys = this.#keys;
    // An extractable key is so for this moment alone.
    const stored = key.extractable ? sealing.wrap(keys, name, key) : Promise.resolve(key);
    const usable = stored.then((form) => (form instanceof CryptoKey ? form : sealing.unwrap(keys, name, form, false)));
    for (const promise of [stored, usable]) promise.catch(() => {}); // whoever needs it hears of it
    this.#fresh.set(name, { keys, stored, usable });
  }

  forget(names: string[]): void {
    for (const name of names) this.#fresh.delete(name);
  }

  made(name: string): Promise<CryptoKey> | undefined {
    return this.#fresh.get(name)?.usable ?? this.#made.get(name);
  }

  async key(name: string): Promise<CryptoKey | undefined> {
    const keys = this.#keys;
    const transaction = await this.#database.begin("readonly", [stores.keys, stores.meta]);
    const request = transaction.objectStore(stores.keys).get(name) as IDBRequest<CryptoKey | WrappedKey | null | undefined>;
    const root = transaction.objectStore(stores.meta).get("root") as IDBRequest<RootRow | undefined>;
    await completion(transaction);
    const form = request.result;
    if (!form) return undefined; // WebKitGTK gives null for keys that it has lost
    if (form instanceof CryptoKey) {
      if (form.extractable) throw tampered(["private-key", name, {}, []]);
      return form;
    }
    if (!(root.result?.keys instanceof Uint8Array)) throw tampered(["root"]);
    if (!sealing.same(root.result.keys, keys.id)) {
      if (keys !== this.#keys) return this.key(name);
      throw await this.#strangeKeys();
    }
    return sealing.unwrap(keys, name, form, false);
  }

  async keeps(keys: CryptoKey[]): Promise<boolean[]> {
    const transaction = await this.#database.begin("readwrite", [stores.keys]);
    const kept = keys.map(() => false);
    keys.forEach((key, i) => {
      try {
        const store = transaction.objectStore(stores.keys);
        store.put(key, `attempt/${i}`).onerror = (event) => event.preventDefault();
        // WebKitGTK stores keys for X25519, and gives null back.
        const request = store.get(`attempt/${i}`);
        request.onsuccess = () => (kept[i] = request.result instanceof CryptoKey);
        request.onerror = (event) => event.preventDefault();
      } catch {
        // It cannot be cloned.
      }
    });
    // The answer to a last request comes after those to all before it.
    const last = transaction.objectStore(stores.keys).count();
    last.onsuccess = () => transaction.abort();
    return completion(transaction).then(
      () => kept,
      (error: unknown) => {
        if (last.readyState === "done" && !last.error) return kept;
        throw error;
      },
    );
  }

  async commit(changes: StoredChange[], keysKept: string[], keysDropped: string[], check?: () => boolean): Promise<void> {
    this.#client = undefined; // it may be old then
    try {
      for (;;) {
        const keys = this.#keys;
        const keyChanges = await this.#keyChanges(keys, keysKept, keysDropped);
        const sealed = await Promise.all(changes.map((change) => this.#seal(keys, change)));
        const done = await this.#inTurn(() => (keys === this.#keys ? this.#write(keys, sealed, keyChanges, check) : false));
        if (!done) continue; // the keys were exchanged meanwhile
        for (const { change, loaded, gone, rows, head, sum, inline } of sealed) {
          // Not before it is stored: a batch that fails leaves what is known as it was.
          const { records } = loaded;
          for (const name of gone) records.delete(name);
          for (const [name, { known }] of rows) records.set(name, known);
          this.#learn({ revision: change.base + 1, head: head.known, sum, inline, records }, change.scope, keys);
        }
        for (const name of keysKept) {
          const fresh = this.#fresh.get(name);
          if (fresh) this.#made.set(name, fresh.usable);
          this.#fresh.delete(name);
        }
        for (const name of keyChanges.delete) {
          this.#fresh.delete(name);
          this.#made.delete(name);
        }
        for (const name of [...this.#made.keys()].slice(0, -remembered)) this.#made.delete(name);
        break;
      }
    } finally {
      for (const { scope, names, values } of changes) {
        const kept = this.#scopes.get(scope)?.inline;
        values.forEach((value, i) => kept?.get(names[i]!) !== value && value.fill(0));
      }
    }
    const revisions = changes.map(({ scope, base }) => ({ scope, revision: base + 1 }));
    if (revisions.length > 0) this.#options.channel.post({ kind: "commit", revisions });
  }

  /** Tells the other instances what happened, and is stored: by itself or with what else happens before the caller's thread is free. */
  tell(event: TabEvent): void {
    if (this.#news.push(event) > 1) return;
    // Not before whoever waits for what happened has it.
    const tell = async () => {
      const told = pack({ events: this.#news.splice(0), from: this.#id, number: ++this.#number } satisfies Told);
      this.#options.channel.post({ kind: "event", sealed: await sealing.seal(this.#keys, ["event"], this.#root.row.revision, told) });
    };
    this.told = this.told.then(free).then(tell).catch(() => {});
  }

  /** Reads what another instance told; nothing, when it has other keys, or when it told that before: who hears it can post it again. */
  async hear(sealed: Sealed): Promise<TabEvent[]> {
    try {
      const told = unpack(await sealing.unseal(this.#keys, ["event"], sealed)) as Told;
      return this.#isNew(told, sealed.revision) ? told.events : [];
    } catch {
      return [];
    }
  }

  /** Whether something is told for the first time, and not of a revision from before this instance. */
  #isNew({ from, number }: Told, revision: number): boolean {
    const before = this.#heard.get(from)?.number ?? 0;
    if (from === this.#id || !(number > before) || revision <= this.#heardUpTo) return false;
    this.#heard.delete(from); // it comes last again
    this.#heard.set(from, { number, revision });
    if (this.#heard.size > instances) {
      const [[oldest, last]] = this.#heard as unknown as [[string, { revision: number }]];
      this.#heard.delete(oldest);
      this.#heardUpTo = Math.max(this.#heardUpTo, last.revision);
    }
    return true;
  }

  /**
   * Gives the database a lock, another one, or, without a secret, none.
   * `current` opens the present one. A database that had no lock gets fresh keys,
   * since the old ones lay open, and is sealed again with them, all in one
   * transaction; other instances must be opened again. A lock that is changed or
   * removed keeps the keys, and other instances go on. Codes: DATABASE_LOCKED,
   * UNLOCK_FAILED, and those of storage.
   */
  async setLock(secret: Secret | undefined, current: Secret | undefined): Promise<void> {
    const release = await this.#locks.lock("");
    try {
      const { argon2id } = this.#options;
      const row = await readLock(this.#database);
      if (!row) throw tampered(["lock"]);
      if (row.kind === "none") {
        if (current) throw failure("UNLOCK_FAILED", "the database has no lock");
        if (!secret) return;
        const keys = await sealing.generateKeys(true);
        const next = await lockKeys(keys, secret, argon2id);
        await this.#exchange(next, await unlockKeys(next, secret, argon2id));
      } else {
        const keys = await unlockKeys(row, current, argon2id, secret !== undefined);
        const next = await lockKeys(keys, secret, argon2id);
        await this.#relock(row, next);
      }
      this.wrapsKeys ||= secret !== undefined;
    } finally {
      release();
    }
  }

  /**
   * Writes into a new database its keys and its root, if they are there when it is
   * made; those under a lock, which takes a while, are not. What is missing then,
   * {@link #found} makes.
   */
  #making(): Make {
    let made: Founded | undefined;
    if (!this.#options.secret) void this.#founded([]).then((founded) => (made = founded)).catch(() => {}); // whoever founds it hears of it
    return (upgrade) => {
      upgrade.objectStore(stores.meta).put(format, "format");
      if (made) putAll(upgrade, ...made);
    };
  }

  /** Reads the row of the keys, the root and the heads, and makes them in a new database; and reads the scope of the client. */
  async #readRoot() {
    for (;;) {
      const transaction = await this.#database.begin("readonly", everything);
      const meta = transaction.objectStore(stores.meta);
      const found = meta.get("format");
      const row = meta.get("lock") as IDBRequest<LockRow | undefined>;
      const root = meta.get("root") as IDBRequest<RootRow | undefined>;
      const record = transaction.objectStore(stores.records).getAllKeys(null, 1);
      const records = readAll<RecordKey, Sealed>(transaction, stores.records, all(clientScope));
      const [scopes, heads] = readAll<string, Sealed>(transaction, stores.heads);
      await completion(transaction);
      const sealed = row.result !== undefined || root.result !== undefined;
      if (found.result === 1) {
        // Such a database has no keys and never had a lock: else somebody else's
        // rows, in the place of those behind a lock, would be sealed under it.
        if (sealed) throw tampered(["lock"], "left in a database of format 1");
        if (this.#options.secret) throw failure("UNLOCK_FAILED", "the database has no lock");
        if (this.#options.existing) throw tampered(["lock"], "removed");
        await this.#migrate();
        continue;
      }
      if (found.result !== format) {
        throw failure("STATE_VERSION", `format ${String(found.result)}`);
      }
      if (row.result) {
        const [names, values] = records;
        return { row: row.result, root: root.result, scopes: scopes.result, heads: heads.result, records: [names.result, values.result] as const };
      }
      if (sealed || record.result.length > 0 || scopes.result.length > 0) throw tampered(["lock"], "removed");
      if (this.#options.existing) throw failure("STORE_DELETED", `database ${this.#database.name} was emptied`);
      await this.#found([], 2);
    }
  }

  /**
   * Seals a database of format 1, where records are bytes and in the place of
   * heads there are the revisions. All of it is one transaction, which does
   * nothing when another tab was faster.
   */
  async #migrate(): Promise<void> {
    const transaction = await this.#database.begin("readonly", [stores.records, stores.heads, stores.meta]);
    const present = transaction.objectStore(stores.meta).get("format");
    const [recordKeys, records] = readAll<RecordKey, Bytes>(transaction, stores.records);
    const [scopes, revisions] = readAll<string, number>(transaction, stores.heads);
    await completion(transaction);
    if (present.result !== 1) return; // another tab was faster
    const formed = records.result.every((value) => value instanceof Uint8Array) && revisions.result.every(isRevision);
    if (!formed) throw tampered(["root"], "is missing");
    const old = scopes.result.map((scope, i) => {
      const [names, values] = ownOf(scope, recordKeys.result, records.result);
      return { scope, revision: revisions.result[i]!, names, values };
    });
    await this.#found(old, 1);
  }

  /** Makes the keys of a database that has none, and seals with them what is in it; unless its format is another by then, or it has keys. */
  async #found(scopes: PlainScope[], from: number): Promise<void> {
    const founded = await this.#founded(scopes);
    const transaction = await this.#database.begin("readwrite", everything);
    const meta = transaction.objectStore(stores.meta);
    const present = meta.get("format");
    const row = meta.get("lock");
    const [, revisions] = readAll(transaction, stores.heads);
    revisions.onsuccess = () => {
      const unchanged = revisions.result.length === scopes.length && scopes.every(({ revision }, i) => revisions.result[i] === revision);
      if (present.result !== from || row.result !== undefined || !unchanged) return transaction.abort();
      putAll(transaction, ...founded);
    };
    await completion(transaction).catch((error: unknown) => {
      if (transaction.error) throw error; // else it was another tab
    });
  }

  /** Makes keys, and seals scopes with them. */
  async #founded(scopes: PlainScope[]): Promise<Founded> {
    const { secret, argon2id } = this.#options;
    const keys = await sealing.generateKeys(secret !== undefined);
    const lock = await lockKeys(keys, secret, argon2id);
    return [await sealAll(keys, scopes, 1), lock];
  }

  /** Checks that all scopes are there, in the state in which they were left. */
  async #check(row: RootRow | undefined, scopes: string[], heads: Sealed[]): Promise<void> {
    const root = await openRoot(this.#keys, row);
    if (!root) throw await this.#strangeKeys();
    this.#see({ root, heads: await checkHeads(this.#keys, root, scopes, heads, new Map()) });
    this.#heardUpTo = root.row.revision;
  }

  /** Loads a scope and checks it. Returns nothing when other keys sealed it. */
  async #read(keys: DataKeys, scope: string): Promise<StoredScope | undefined> {
    // What must not go backwards is taken down before the transaction begins.
    const { root: before, heads: known } = this.#view;
    const floor = this.#root;
    const knownHead = known.get(scope);
    const transaction = await this.#database.begin("readonly", [stores.records, stores.heads, stores.meta]);
    const [names, rows] = readAll<RecordKey, Sealed>(transaction, stores.records, all(scope));
    const headRow = transaction.objectStore(stores.heads).get(scope) as IDBRequest<Sealed | undefined>;
    const rootRow = transaction.objectStore(stores.meta).get("root") as IDBRequest<RootRow | undefined>;
    let moved: Rows<string, Sealed> | undefined;
    rootRow.onsuccess = () => {
      if (!isSame(rootRow.result, before.row)) moved = readAll(transaction, stores.heads);
    };
    await completion(transaction);
    let head = knownHead;
    if (moved) {
      const [scopes, heads] = moved;
      const root = await openRoot(keys, rootRow.result, floor);
      if (!root) return undefined;
      const view = { root, heads: await checkHeads(keys, root, scopes.result, heads.result, known) };
      head = view.heads.get(scope);
      if (keys === this.#keys) this.#see(view);
    } else if (!isSame(headRow.result, knownHead)) throw tampered(["head", scope], "rolled back");
    return this.#open(keys, scope, head, headRow.result, names.result, rows.result);
  }

  /** Opens a scope of which was read what is stored of it, where its head is known to be in the root. */
  async #open(keys: DataKeys, scope: string, head: KnownHead | undefined, row: Sealed | undefined, names: RecordKey[], rows: Sealed[]): Promise<StoredScope> {
    if (!head) {
      if (names.length > 0) throw tampered(["head", scope], "removed");
      this.#learn(nothing(), scope, keys);
      return { revision: 0, names: [], values: [] };
    }
    const { stored, ...found } = await openScope(keys, scope, row!, ...ownOf(scope, names, rows), this.#scopes.get(scope)?.records);
    this.#learn({ revision: head.revision, head, ...found }, scope, keys);
    return stored;
  }

  /** Keeps what was learned of a scope, unless something newer is known, and wipes the other. */
  #learn(loaded: LoadedScope, scope: string, keys: DataKeys): void {
    const present = this.#scopes.get(scope);
    // One of the same revision stays: what is being sealed rests on it.
    const newer = keys === this.#keys && !this.end && !(present?.revision! >= loaded.revision);
    if (newer) this.#scopes.set(scope, loaded);
    const [kept, gone] = newer ? [loaded, present] : [present, loaded];
    wipe(gone, kept);
  }

  #forget(): void {
    for (const loaded of this.#scopes.values()) wipe(loaded);
    this.#scopes.clear();
  }

  /** Keeps a view, unless a newer one is known. */
  #see(view: View): void {
    const { revision } = view.root.row;
    if (!(this.#view?.root.row.revision >= revision)) this.#view = view;
    if (!(this.#root?.row.revision >= revision)) this.#root = view.root;
  }

  /** Finds out what a batch does to private keys, and how the new ones are stored. */
  async #keyChanges(keys: DataKeys, kept: string[], dropped: string[]): Promise<KeyChanges> {
    const put = new Map<string, CryptoKey | WrappedKey>();
    const stored: string[] = [];
    for (const name of kept) {
      const fresh = this.#fresh.get(name);
      if (!fresh) {
        stored.push(name);
        continue;
      }
      const form = await fresh.stored;
      put.set(name, form instanceof CryptoKey || fresh.keys === keys ? form : await sealing.rewrap(fresh.keys, keys, name, form));
    }
    const keep = new Set(kept);
    return { put, stored, delete: dropped.filter((name) => !keep.has(name)) };
  }

  /** Seals a change, and the head that its scope has then. Code: STALE. */
  async #seal(keys: DataKeys, change: StoredChange): Promise<SealedChange> {
    const { scope, base } = change;
    let loaded = this.#scopes.get(scope);
    // What is new as far as is known need not be read: that it is, is compared on writing.
    if (!loaded && base === 0 && !this.#view.heads.has(scope)) loaded = nothing();
    if (!loaded || loaded.revision < base) {
      await this.load(scope);
      loaded = this.#scopes.get(scope);
    }
    if (!loaded || loaded.revision !== base) throw failure("STALE", "");
    const known = loaded.records;
    const revision = base + 1;
    const inline = new Map(change.deleteAll ? [] : loaded.inline);
    const gone = new Set(change.deleteAll ? known.keys() : []);
    for (const name of [...change.delete, ...change.names]) {
      inline.delete(name);
      if (known.has(name)) gone.add(name);
    }
    const own = new Map<string, Bytes>();
    change.names.forEach((name, i) => {
      const value = change.values[i] as Bytes;
      (value.length > small ? own : inline).set(name, value);
    });
    // Where there is no room, the largest go into rows of their own, which are the fewest:
    // what is small and soon deleted stays.
    let size = 0;
    for (const value of inline.values()) size += value.length;
    const largest = size > room ? [...inline].sort(([, a], [, b]) => b.length - a.length) : [];
    for (const [name, value] of largest) {
      if (size <= room) break;
      size -= value.length;
      inline.delete(name);
      own.set(name, value);
    }
    const removed = [...gone].map((name) => known.get(name)!.term);
    // All that is in the clear is read at once: it may be wiped while this waits.
    const plain = headOf(inline);
    const rows = await Promise.all(
      [...own].map(async ([name, value]): Promise<[string, SealedRow]> => [name, await sealRow(keys, ["record", scope, name], revision, value)]),
    );
    const sum = sealing.changedSum(loaded.sum, rows.map(([, { known }]) => known.term), removed);
    plain.set(sum);
    const head = sealRow(keys, ["head", scope], revision, plain);
    plain.fill(0); // it was copied
    for (const name of own.keys()) gone.delete(name);
    return { change, loaded, gone, rows, head: await head, sum, inline };
  }

  /** Runs something when those before it are done. */
  #inTurn<T>(f: () => Promise<T> | T): Promise<T> {
    const done = this.#turn.then(f);
    this.#turn = done.catch(() => {});
    return done;
  }

  /**
   * Seals the root and writes a batch. When another writer changed the root
   * meanwhile, it is sealed again for that one. Codes: STALE, KEY_NOT_FOUND,
   * STATE_TAMPERED and those of storage.
   */
  async #write(keys: DataKeys, batch: SealedChange[], keyChanges: KeyChanges, check: (() => boolean) | undefined): Promise<boolean> {
    const added = batch.map(({ head }) => head.known.term);
    const removed = batch.flatMap(({ loaded }) => loaded.head?.term ?? []);
    for (;;) {
      const root = this.#root;
      const sum = sealing.changedSum(root.sum, added, removed);
      const next = await sealRoot(keys, root.row.revision + 1, sum);
      const transaction = await this.#database.begin("readwrite", everything, this.receiving && !this.others ? "relaxed" : "strict");
      let moved: { to: RootRow | undefined } | undefined;
      let refusal: MLSError | undefined;
      const refuse = (error: MLSError) => {
        if (moved || refusal) return;
        refusal = error;
        transaction.abort();
      };
      // All requests are made at once. Those that compare come first, so that one
      // that finds something else undoes those behind it: until all of them are
      // answered, nothing is durable. (An explicit commit() would not wait for that;
      // and called when all is compared, it makes Firefox 153 store the rest of a
      // batch of which one request fails.)
      transaction.objectStore(stores.meta).get("root").onsuccess = function () {
        if (refusal || isSame(this.result, root.row)) return;
        moved = { to: this.result };
        transaction.abort();
      };
      const { root: of, heads } = this.#view;
      for (const { change, loaded } of batch) {
        // A root that is in step with the heads answers for all of them.
        if (of === root && isSame(heads.get(change.scope), loaded.head)) continue;
        transaction.objectStore(stores.heads).get(change.scope).onsuccess = function () {
          if (isSame(this.result, loaded.head)) return;
          const stored = (this.result as Sealed | undefined)?.revision ?? 0;
          refuse(stored > change.base ? failure("STALE", "") : tampered(["head", change.scope], "rolled back"));
        };
      }
      for (const name of keyChanges.stored) {
        transaction.objectStore(stores.keys).getKey(name).onsuccess = function () {
          if (this.result === undefined) refuse(failure("KEY_NOT_FOUND", ""));
        };
      }
      try {
        await completion(transaction, () => {
          put(transaction, batch, keyChanges, next);
          // In this very turn, in which no request is answered, so that nothing is committed.
          if (check && !check()) throw failure("STORE_FAILED", "refused");
        });
      } catch (error) {
        if (refusal) throw refusal;
        if (!moved) throw error;
        const found = await openRoot(keys, moved.to, root);
        if (!found) throw await this.#strangeKeys();
        if (this.#root.row.revision < found.row.revision) this.#root = found;
        continue;
      }
      const written = { row: next, sum };
      if (this.#view.root === root) {
        for (const { change, head } of batch) this.#view.heads.set(change.scope, head.known);
        this.#view = { root: written, heads: this.#view.heads };
      }
      if (this.#root.row.revision < next.revision) this.#root = written;
      return true;
    }
  }

  /** Seals everything again, with other keys, in one transaction. */
  #exchange(next: LockRow, keys: DataKeys): Promise<void> {
    return this.#inTurn(async () => {
      for (;;) {
        const found = await this.#readAll();
        const sealed = await sealAll(keys, found.scopes, found.root.row.revision + 1);
        const wrapped = await Promise.all(
          found.wrapped.map(async ([name, form]) => [name, await sealing.rewrap(this.#keys, keys, name, form)] as const),
        );
        const transaction = await this.#database.begin("readwrite", everything);
        const meta = transaction.objectStore(stores.meta);
        let moved = false;
        meta.get("root").onsuccess = function () {
          moved = !isSame(this.result, found.root.row);
          if (moved) return transaction.abort();
          putAll(transaction, sealed, next);
          for (const [name, form] of wrapped) transaction.objectStore(stores.keys).put(form, name);
        };
        try {
          await completion(transaction);
        } catch (error) {
          if (moved) continue;
          throw error;
        }
        this.#keys = keys;
        this.#root = { row: sealed.root, sum: sealed.sum };
        this.#view = { root: this.#root, heads: sealed.known };
        this.#forget();
        return;
      }
    });
  }

  /** Reads and checks everything. */
  async #readAll() {
    const transaction = await this.#database.begin("readonly", everything);
    const [recordKeys, records] = readAll<RecordKey, Sealed>(transaction, stores.records);
    const [scopes, heads] = readAll<string, Sealed>(transaction, stores.heads);
    const [names, forms] = readAll<string, CryptoKey | WrappedKey | null>(transaction, stores.keys);
    const rootRow = transaction.objectStore(stores.meta).get("root") as IDBRequest<RootRow | undefined>;
    const floor = this.#root;
    await completion(transaction);
    const root = await openRoot(this.#keys, rootRow.result, floor);
    if (!root) throw await this.#strangeKeys();
    await checkHeads(this.#keys, root, scopes.result, heads.result, new Map());
    const plain = await Promise.all(
      scopes.result.map(async (scope, i) => {
        return { scope, ...(await openScope(this.#keys, scope, heads.result[i]!, ...ownOf(scope, recordKeys.result, records.result))).stored };
      }),
    );
    const wrapped = names.result.flatMap((name, i) => {
      const form = forms.result[i];
      return !form || form instanceof CryptoKey ? [] : [[name, form] as const];
    });
    return { root, scopes: plain, wrapped };
  }

  /** Puts another lock in the place of one, on the same keys. */
  async #relock(present: LockRow, next: LockRow): Promise<void> {
    const transaction = await this.#database.begin("readwrite", [stores.meta]);
    const meta = transaction.objectStore(stores.meta);
    let moved = false;
    meta.get("lock").onsuccess = function () {
      const row = this.result as LockRow;
      moved = row.kind !== present.kind || !sealing.same(row.id, present.id);
      if (moved) transaction.abort();
      else meta.put(next, "lock");
    };
    await completion(transaction).catch((error: unknown) => {
      throw moved ? failure("STALE", "the lock was changed meanwhile") : error;
    });
  }

  /** The error of finding what other keys sealed: a lock was set elsewhere, or somebody plays with us. */
  async #strangeKeys(): Promise<MLSError> {
    const row = await readLock(this.#database);
    const exchanged = row && row.kind !== "none" && !sealing.same(row.id, this.#keys.id);
    return exchanged ? failure("DATABASE_LOCKED", "a lock was set meanwhile") : tampered(["root"]);
  }
}

/** Is fulfilled when the thread has done what it is about to do; in a page that is hidden, within a second. */
function free(): Promise<unknown> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** The scope of the client in every database, as the program names it. */
const clientScope = "636c69656e74";

/** What a database has when it is made. */
type Founded = [sealed: SealedAll, lock: LockRow];

type RecordKey = [scope: string, name: string];
type Rows<K, V> = [keys: IDBRequest<K[]>, values: IDBRequest<V[]>];

/** Asks for the rows of an object store. */
function readAll<K, V>(transaction: IDBTransaction, name: StoreName, range?: IDBKeyRange): Rows<K, V> {
  const store = transaction.objectStore(name);
  return [store.getAllKeys(range) as IDBRequest, store.getAll(range)];
}

/** Of records and their keys, those of a scope. */
function ownOf<T>(scope: string, keys: RecordKey[], records: T[]): [names: string[], records: T[]] {
  const own = (_: unknown, i: number) => keys[i]![0] === scope;
  return [keys.filter(own).map(([, name]) => name), records.filter(own)];
}

/** Wipes the records that are in memory of a scope, but for those that are kept. */
function wipe(gone: LoadedScope | undefined, kept?: LoadedScope): void {
  for (const [name, value] of gone?.inline ?? []) if (kept?.inline.get(name) !== value) value.fill(0);
}

/** All keys of a scope: an array sorts after every string. */
function all(scope: string): IDBKeyRange {
  return IDBKeyRange.bound([scope], [scope, []]);
}

/** Makes the requests of a batch whose bases hold, or are being compared. */
function put(transaction: IDBTransaction, batch: SealedChange[], keys: KeyChanges, root: RootRow): void {
  const records = transaction.objectStore(stores.records);
  for (const { change, gone, rows, head } of batch) {
    const { scope } = change;
    if (change.deleteAll) records.delete(all(scope));
    else for (const name of gone) records.delete([scope, name]);
    for (const [name, { row }] of rows) records.put(row, [scope, name]);
    transaction.objectStore(stores.heads).put(head.row, scope);
  }
  transaction.objectStore(stores.meta).put(root, "root");
  for (const [name, key] of keys.put) transaction.objectStore(stores.keys).put(key, name);
  for (const name of keys.delete) transaction.objectStore(stores.keys).delete(name);
}

/** Writes a whole database in place of what is there. */
function putAll(transaction: IDBTransaction, sealed: SealedAll, lock: LockRow): void {
  const records = transaction.objectStore(stores.records);
  const meta = transaction.objectStore(stores.meta);
  records.clear();
  for (const [key, row] of sealed.rows) records.put(row, key);
  for (const [scope, row] of sealed.heads) transaction.objectStore(stores.heads).put(row, scope);
  meta.put(lock, "lock");
  meta.put(sealed.root, "root");
  meta.put(format, "format");
}
