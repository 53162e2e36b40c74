/**
 * The connection to a database of IndexedDB: its object stores, its opening,
 * and every way in which it can be refused or lost.
 */
import { MLSError, describe, failure } from "../errors.js";

/**
 * The version of the object stores, which an older package refuses. In 2 there are
 * keys; in 3 heads may hold records. What was written in 2 stands as it is: a head
 * that holds none.
 */
const schema = 3;

/**
 * Records by [scope, name], the heads of scopes by scope, private keys by name;
 * and in `meta`, by name, the format, the root, and the keys that seal it all.
 */
export const stores = { records: "records", heads: "revisions", keys: "keys", meta: "meta" } as const;

/** Writes what a new database holds, in the transaction that makes its stores. */
export type Make = (upgrade: IDBTransaction) => void;

export type StoreName = (typeof stores)[keyof typeof stores];

/**
 * A connection. One that the browser closes, or that gives way to an upgrade, is
 * opened again at the next transaction. A database that is deleted is not made
 * again: what was in it is lost, and whoever held it must hear of that.
 */
export class Database {
  readonly name: string;
  readonly #lost: (error: MLSError) => void;
  #connection: Promise<IDBDatabase> | undefined;
  #opened = false;
  /** Why nothing can be done with it any more: CLOSED or STORE_DELETED. */
  end: MLSError | undefined;

  private constructor(name: string, lost: (error: MLSError) => void) {
    this.name = name;
    this.#lost = lost;
  }

  /**
   * Opens a database, and makes it when there is none, where `make` writes what is in
   * it from the beginning; without that it is STORE_DELETED. `lost` is called when it is deleted later. Codes:
   * STORE_UNAVAILABLE, STORE_BLOCKED, STORE_QUOTA, STATE_VERSION, STORE_FAILED.
   */
  static async open(name: string, make: Make | undefined, lost: (error: MLSError) => void): Promise<Database> {
    const database = new Database(name, lost);
    await database.#connect(make);
    database.#opened = true;
    return database;
  }

  /** Closes the connection. What is under way finishes first; later calls fail with CLOSED. */
  close(): void {
    this.#finish(failure("CLOSED", `database ${this.name}`));
  }

  /** Begins a transaction. The caller makes its requests at once. Codes: CLOSED, STORE_DELETED and those of {@link open}. */
  async begin(mode: IDBTransactionMode, names: StoreName[], durability: IDBTransactionDurability = "strict"): Promise<IDBTransaction> {
    for (let attempt = 1; ; attempt++) {
      const connection = await this.#connect();
      try {
        return connection.transaction(names, mode, { durability });
      } catch (error) {
        // The connection is closing: open another, once.
        if (attempt > 1) throw storageError(error);
        this.#connection = undefined;
      }
    }
  }

  #connect(make?: Make): Promise<IDBDatabase> {
    if (this.end) return Promise.reject(this.end);
    if (!this.#connection) {
      const forget = () => {
        if (this.#connection === connecting) this.#connection = undefined;
      };
      const connecting = connect(this.name, make, (deleted) => {
        forget();
        if (deleted) this.#delete();
        else void this.#look();
      });
      connecting.catch((error: unknown) => {
        forget();
        if (this.#opened && error instanceof MLSError && error.code === "STORE_DELETED") this.#delete();
      });
      this.#connection = connecting;
    }
    return this.#connection;
  }

  /** The browser has closed the connection: finds out, by and by, whether that was because it deletes the database. */
  async #look(): Promise<void> {
    for (let pause = 50; pause < 3_000; pause *= 2) {
      try {
        await this.#connect();
        return;
      } catch {
        if (this.end) return;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  #delete(): void {
    if (this.end) return;
    this.#finish(failure("STORE_DELETED", `database ${this.name}`));
    this.#lost(this.end!);
  }

  #finish(end: MLSError): void {
    this.end ??= end;
    this.#connection?.then((connection) => connection.close()).catch(() => {});
    this.#connection = undefined;
  }
}

/** Deletes a database; one that is missing too. Whoever has it open hears of it. Codes: STORE_UNAVAILABLE, STORE_BLOCKED, STORE_FAILED. */
export function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let request: IDBOpenDBRequest;
    try {
      request = indexedDB.deleteDatabase(name);
    } catch (error) {
      reject(failure("STORE_UNAVAILABLE", describe(error)));
      return;
    }
    request.onsuccess = () => resolve();
    request.onblocked = () => reject(failure("STORE_BLOCKED", `database ${name}`));
    request.onerror = (event) => {
      event.preventDefault();
      reject(openError(request.error));
    };
  });
}

/** Is fulfilled when a transaction is durable. `request` makes requests of it; an exception there undoes them all. */
export function completion(transaction: IDBTransaction, request?: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    // An abort without an error was asked for, or the browser is closing.
    transaction.onabort = () => reject(storageError(transaction.error ?? new DOMException("aborted", "AbortError")));
    try {
      request?.();
    } catch (error) {
      transaction.abort();
      reject(storageError(error));
    }
  });
}

/**
 * Opens the connection. Without `make`, a database that is missing is
 * STORE_DELETED. `lost` is called when the connection has gone.
 */
function connect(name: string, make: Make | undefined, lost: (deleted: boolean) => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    let request: IDBOpenDBRequest;
    try {
      request = indexedDB.open(name, schema);
    } catch (error) {
      reject(failure("STORE_UNAVAILABLE", describe(error)));
      return;
    }
    let cause: DOMException | null = null; // of an upgrade that was aborted, where the request says only that it was
    let refusal: MLSError | undefined;
    const refuse = (error: MLSError) => {
      refusal = error;
      reject(error);
    };
    request.onupgradeneeded = (event) => {
      if (event.oldVersion === 0 && !make) {
        refuse(failure("STORE_DELETED", `database ${name}`));
        request.transaction!.abort();
        return;
      }
      const database = request.result;
      const upgrade = request.transaction!;
      upgrade.onabort = () => (cause = upgrade.error);
      if (event.oldVersion < 1) {
        database.createObjectStore(stores.records);
        database.createObjectStore(stores.heads);
        database.createObjectStore(stores.meta);
      }
      if (event.oldVersion < 2) database.createObjectStore(stores.keys);
      if (event.oldVersion < 1) make!(upgrade);
    };
    request.onblocked = () => refuse(failure("STORE_BLOCKED", `database ${name}`));
    request.onerror = (event) => {
      event.preventDefault(); // Firefox would report it as an error of the page
      if (!refusal) reject(openError(cause ?? request.error));
    };
    request.onsuccess = () => {
      const database = request.result;
      if (refusal) return database.close(); // it was blocked, and is too late
      database.onclose = () => lost(false);
      database.onversionchange = (event) => {
        database.close();
        lost(event.newVersion === null);
      };
      if (Object.values(stores).every((store) => database.objectStoreNames.contains(store))) return resolve(database);
      database.close();
      reject(failure("STATE_VERSION", `database ${name} is not one of this package`));
    };
  });
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
