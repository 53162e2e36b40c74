/**
 * What sync keeps, by group: its place in the log, the intents, and messages that
 * were sealed and not yet published. No secrets: what is sealed stays sealed.
 */
import type { Cursor, ForkEvent, Intent } from "./types.js";
import type { Marks } from "./wire.js";

/** Where a group is. */
export interface Place {
  /** What is in front of this was handled. */
  cursor?: Cursor;
  /** The place at which the present epoch began for this client. */
  begun?: Cursor;
  /** Where the log begins for this client. */
  first?: Cursor;
  /** The marks of the last epochs, oldest first. */
  marks: Marks;
  /** When this client's keys were last changed, by the clock and by the epoch. */
  updated: { at: number; epoch: bigint };
  /** The commit that was, or is about to be, published: its hash, and the intents that it carries out. Without a hash it is about to be made. */
  pending?: { hash: string; intents: string[]; rejoins: boolean };
  /** The last epoch that all branches of a fork have. */
  common?: bigint;
  /** The fork that was told of last, until it is healed or one stays: a reload does not make the group whole. */
  fork?: ForkEvent;
}

/** An intent. */
export interface IntentRow {
  intent: Intent;
  since: number;
  /** For "update": the encryption key of the own leaf when it was asked for. It holds when that is another. */
  was?: Uint8Array;
  /** The epoch in which it came to hold. It is kept for a while: a fork may undo it. */
  held?: bigint;
}

/** A sealed message that waits to be published. */
export interface OutboxRow {
  message: Uint8Array;
}

/** All of a group. */
export interface Contents {
  place: Place | undefined;
  intents: Map<string, IntentRow>;
  outbox: Map<string, OutboxRow>;
}

/** A change of rows by name; undefined deletes. Names are "place", "intent/" and "outbox/" with an id. */
export type Change = readonly (readonly [name: string, value: Place | IntentRow | OutboxRow | undefined])[];

/** The rows of one group. */
export interface Rows {
  load(): Promise<Contents>;
  change(change: Change): Promise<void>;
  /** Deletes all of them. */
  clear(): Promise<void>;
  close(): void;
}

const store = "rows";

/** The IndexedDB database beside a client's. */
export const databaseOf = (name: string): string => `webmls-sync/${name}`;

/** Opens the rows of a group. */
export async function openRows(database: string | null, group: string): Promise<Rows> {
  return database === null ? new MemoryRows() : StoredRows.open(database, group);
}

function contentsOf(rows: Iterable<readonly [string, unknown]>): Contents {
  const contents: Contents = { place: undefined, intents: new Map(), outbox: new Map() };
  for (const [name, value] of rows) {
    const [kind, id] = name.split("/") as [string, string];
    if (kind === "place") contents.place = value as Place;
    else if (kind === "intent") contents.intents.set(id, value as IntentRow);
    else contents.outbox.set(id, value as OutboxRow);
  }
  return contents;
}

class MemoryRows implements Rows {
  readonly #rows = new Map<string, unknown>();

  async load(): Promise<Contents> {
    return contentsOf([...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  async change(change: Change): Promise<void> {
    for (const [name, value] of change) {
      if (value === undefined) this.#rows.delete(name);
      else this.#rows.set(name, structuredClone(value));
    }
  }

  async clear(): Promise<void> {
    this.#rows.clear();
  }

  close(): void {}
}

class StoredRows implements Rows {
  readonly #database: IDBDatabase;
  readonly #group: string;

  private constructor(database: IDBDatabase, group: string) {
    this.#database = database;
    this.#group = group;
    database.onversionchange = () => database.close(); // it is being deleted
  }

  static async open(name: string, group: string): Promise<Rows> {
    const opening = indexedDB.open(databaseOf(name), 1);
    opening.onupgradeneeded = () => void opening.result.createObjectStore(store);
    return new StoredRows(await done(opening), group);
  }

  async load(): Promise<Contents> {
    const rows = this.#database.transaction(store).objectStore(store);
    const [keys, values] = await Promise.all([done(rows.getAllKeys(this.#range())), done(rows.getAll(this.#range()))]);
    return contentsOf(keys.map((key, i) => [String(key).slice(this.#group.length + 1), values[i]]));
  }

  change(change: Change): Promise<void> {
    return this.#write((rows) => {
      for (const [name, value] of change) {
        const key = `${this.#group}/${name}`;
        if (value === undefined) rows.delete(key);
        else rows.put(value, key);
      }
    });
  }

  clear(): Promise<void> {
    return this.#write((rows) => rows.delete(this.#range()));
  }

  close(): void {
    this.#database.close();
  }

  #range(): IDBKeyRange {
    return IDBKeyRange.bound(`${this.#group}/`, `${this.#group}0`); // "0" comes after "/"
  }

  #write(action: (rows: IDBObjectStore) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(store, "readwrite", { durability: "strict" });
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new DOMException("aborted", "AbortError"));
      action(transaction.objectStore(store));
    });
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error as DOMException);
  });
}

/** Deletes what is kept about the groups of a database; `MLS.deleteDatabase` does not. */
export async function deleteSyncDatabase(database: string): Promise<void> {
  await done(indexedDB.deleteDatabase(databaseOf(database)));
}
