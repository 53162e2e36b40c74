/**
 * Storage: the program's records in IndexedDB.
 *
 * A batch is one readwrite transaction with strict durability; the revision
 * that it rests on is compared inside of it, and nothing else is awaited in it.
 */
import type { HostStore, StoredChange, StoredScope } from "../bridge.js";
import { MLSError, describe, failure } from "../errors.js";
import { ScopeLocks } from "./locks.js";

/** The version of the object stores. */
const schema = 2;

/** The form of what is in them; kept in `meta` under "format". */
const format = 1;

/** Records by [scope, name], revisions by scope, private keys by name, and what the database itself is. */
const stores = { records: "records", revisions: "revisions", keys: "keys", meta: "meta" } as const;

/**
 * A database of IndexedDB. A connection that the browser closes, or that gives
 * way to a deletion or an upgrade, is opened again at the next call.
 */
export class DatabaseStore implements HostStore {
  readonly #name: string;
  readonly #locks: ScopeLocks;
  /** Private keys that no commit has kept yet. */
  readonly #fresh = new Map<string, CryptoKey>();
  #database: Promise<IDBDatabase> | undefined;
  #closed = false;

  readonly wrapsKeys = false;

  private constructor(name: string) {
    this.#name = name;
    this.#locks = new ScopeLocks(name);
  }

  /** Opens a database, and makes it when there is none. Codes: STORE_UNAVAILABLE, STORE_BLOCKED, STORE_QUOTA, STATE_VERSION, STORE_FAILED. */
  static async open(name: string): Promise<DatabaseStore> {
    const store = new DatabaseStore(name);
    await store.#open();
    return store;
  }

  /** Closes the connection. What is under way finishes first; later calls fail with CLOSED. */
  close(): void {
    this.#closed = true;
    this.#fresh.clear();
    this.#locks.close();
    this.#database?.then((database) => database.close()).catch(() => {});
    this.#database = undefined;
  }

  async load(scope: string): Promise<StoredScope> {
    const transaction = await this.#begin("readonly", [stores.records, stores.revisions]);
    const records = transaction.objectStore(stores.records);
    const keys = records.getAllKeys(all(scope));
    const values = records.getAll(all(scope));
    const revision = transaction.objectStore(stores.revisions).get(scope);
    await completion(transaction);
    return {
      revision: revision.result ?? 0,
      names: keys.result.map((key) => (key as [string, string])[1]),
      values: values.result,
    };
  }

  async revision(scope: string): Promise<number> {
    const transaction = await this.#begin("readonly", [stores.revisions]);
    const revision = transaction.objectStore(stores.revisions).get(scope);
    await completion(transaction);
    return revision.result ?? 0;
  }

  lock(scope: string): Promise<() => void> {
    if (this.#closed) return Promise.reject(failure("CLOSED", `database ${this.#name}`));
    return this.#locks.lock(scope);
  }

  adopt(name: string, key: CryptoKey): void {
    this.#fresh.set(name, key);
  }

  async key(name: string): Promise<CryptoKey | undefined> {
    const fresh = this.#fresh.get(name);
    if (fresh) return fresh;
    const transaction = await this.#begin("readonly", [stores.keys]);
    const request = transaction.objectStore(stores.keys).get(name);
    await completion(transaction);
    return request.result;
  }

  async commit(changes: StoredChange[], keysKept: string[], keysDropped: string[]): Promise<void> {
    const kept = new Map<string, CryptoKey>();
    for (const name of keysKept) {
      const key = this.#fresh.get(name);
      if (key) kept.set(name, key);
    }
    const stored = keysKept.filter((name) => !kept.has(name));
    const dropped = keysDropped.filter((name) => !keysKept.includes(name));
    const keyed = keysKept.length + keysDropped.length > 0;
    const transaction = await this.#begin("readwrite", keyed ? [stores.records, stores.revisions, stores.keys] : [stores.records, stores.revisions]);
    let refusal: MLSError | undefined;
    const refuse = (error: MLSError) => {
      refusal ??= error;
      transaction.abort();
    };
    let unread = changes.length + stored.length;
    const read = () => {
      if (--unread === 0 && !refusal) write(transaction, changes, kept, dropped);
    };
    for (const change of changes) {
      transaction.objectStore(stores.revisions).get(change.scope).onsuccess = function () {
        if ((this.result ?? 0) === change.base) read();
        else if (!refusal) refuse(failure("STALE", ""));
      };
    }
    for (const name of stored) {
      transaction.objectStore(stores.keys).getKey(name).onsuccess = function () {
        if (this.result !== undefined) read();
        else if (!refusal) refuse(failure("KEY_NOT_FOUND", name));
      };
    }
    try {
      await completion(transaction);
    } catch (error) {
      throw refusal ?? error;
    }
    for (const name of [...kept.keys(), ...dropped]) this.#fresh.delete(name);
  }

  async #begin(mode: IDBTransactionMode, names: string[]): Promise<IDBTransaction> {
    for (let attempt = 1; ; attempt++) {
      const database = await this.#open();
      try {
        return database.transaction(names, mode, { durability: "strict" });
      } catch (error) {
        // The connection is closing: open another, once.
        if (attempt > 1) throw storageError(error);
        this.#database = undefined;
      }
    }
  }

  #open(): Promise<IDBDatabase> {
    if (this.#closed) return Promise.reject(failure("CLOSED", `database ${this.#name}`));
    if (!this.#database) {
      const opening = openDatabase(this.#name, () => {
        if (this.#database === opening) this.#database = undefined;
      });
      opening.catch(() => {
        if (this.#database === opening) this.#database = undefined;
      });
      this.#database = opening;
    }
    return this.#database;
  }
}

/** All keys of a scope: an array sorts after every string. */
function all(scope: string): IDBKeyRange {
  return IDBKeyRange.bound([scope], [scope, []]);
}

/** Makes the requests of a batch whose bases hold. An exception aborts the transaction. */
function write(transaction: IDBTransaction, changes: StoredChange[], kept: Map<string, CryptoKey>, dropped: string[]): void {
  const records = transaction.objectStore(stores.records);
  const revisions = transaction.objectStore(stores.revisions);
  for (const change of changes) {
    if (change.deleteAll) records.delete(all(change.scope));
    for (const name of change.delete) records.delete([change.scope, name]);
    change.names.forEach((name, i) => records.put(change.values[i], [change.scope, name]));
    revisions.put(change.base + 1, change.scope);
  }
  for (const [name, key] of kept) transaction.objectStore(stores.keys).put(key, name);
  for (const name of dropped) transaction.objectStore(stores.keys).delete(name);
}

/** Is fulfilled when a transaction is durable. */
function completion(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    // An abort without an error was asked for, or the browser is closing.
    transaction.onabort = () => reject(storageError(transaction.error ?? new DOMException("aborted", "AbortError")));
  });
}

/** Opens the database and checks its format. `lost` is called when the connection has gone. */
function openDatabase(name: string, lost: () => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    let request: IDBOpenDBRequest;
    try {
      request = indexedDB.open(name, schema);
    } catch (error) {
      reject(failure("STORE_UNAVAILABLE", describe(error)));
      return;
    }
    request.onupgradeneeded = (event) => {
      const database = request.result;
      if (event.oldVersion < 1) {
        database.createObjectStore(stores.records);
        database.createObjectStore(stores.revisions);
        database.createObjectStore(stores.meta).put(format, "format");
      }
      if (event.oldVersion < 2) database.createObjectStore(stores.keys);
    };
    request.onblocked = () => reject(failure("STORE_BLOCKED", `database ${name}`));
    request.onerror = () => reject(openError(request.error));
    request.onsuccess = () => {
      const database = request.result;
      database.onclose = lost;
      database.onversionchange = () => {
        database.close();
        lost();
      };
      readFormat(database).then(
        (found) => {
          if (found === format) return resolve(database);
          database.close();
          reject(failure("STATE_VERSION", `database ${name} has format ${String(found)}, this package reads ${format}`));
        },
        (error: unknown) => {
          database.close();
          reject(error);
        },
      );
    };
  });
}

async function readFormat(database: IDBDatabase): Promise<unknown> {
  if (!database.objectStoreNames.contains(stores.meta)) return undefined;
  const transaction = database.transaction(stores.meta, "readonly");
  const request = transaction.objectStore(stores.meta).get("format");
  await completion(transaction);
  return request.result;
}

function openError(error: DOMException | null): MLSError {
  switch (error?.name) {
    case "VersionError":
      return failure("STATE_VERSION", "the database was made by a newer version of this package");
    case "SecurityError":
    case "InvalidStateError":
      return failure("STORE_UNAVAILABLE", describe(error));
  }
  return storageError(error);
}

function storageError(error: unknown): MLSError {
  if (error instanceof MLSError) return error;
  const quota = error instanceof Error || error instanceof DOMException ? error.name === "QuotaExceededError" : false;
  return failure(quota ? "STORE_QUOTA" : "STORE_FAILED", describe(error));
}
