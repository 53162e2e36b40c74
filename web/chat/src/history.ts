// What the app keeps on this device, in an IndexedDB database of its own beside
// that of webmls: who the user is, the conversations with all that was said in
// them, what is still to be done, and the keys seen for each name.
//
// It is kept in the clear, as in most chat apps: whoever can read the profile
// folder of the browser can read it. MLS protects messages on their way; what
// was received is the app's to protect, or to forget.
import type { Intent } from "./intents.js";

/** Who the user is to the delivery service. */
export interface Account {
  name: string;
  token: string;
  /** Whether the service has given the name to this device. */
  confirmed: boolean;
}

/** A conversation: what must outlive a reload beside the MLS group. */
export interface ConversationRecord {
  /** The group id, in hexadecimal. */
  id: string;
  group: Uint8Array;
  /** The group's name; "" when nobody told it yet. */
  title: string;
  /** The sequence of the last message of the log that was handled. */
  cursor: number;
  /** When something last happened, for the order of the list. */
  active: number;
  /** A change of the group that was asked for and does not hold yet. */
  intent?: Intent | undefined;
}

/** A line in a conversation. */
export interface Entry {
  /** Grows with time, over all conversations. */
  order: number;
  conversation: string;
  /** "text" by somebody else, "own" by the user, "note" about the group. */
  kind: "text" | "own" | "note";
  sender: string;
  text: string;
  at: number;
  /** Of received text: the group and the id in the inbox of webmls. No two entries have the same. */
  source?: string;
  /** Of own text: how far it is. */
  state?: "sending" | "sent" | "failed";
  /** Of own text under way: what was sealed, so that it can be published again. */
  sealed?: Uint8Array;
}

export type NewEntry = Omit<Entry, "order">;

const version = 1;

export class History {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  static async open(database: string): Promise<History> {
    const request = indexedDB.open(database, version);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("account");
      db.createObjectStore("conversations", { keyPath: "id" });
      db.createObjectStore("keys");
      const entries = db.createObjectStore("entries", { keyPath: "order", autoIncrement: true });
      entries.createIndex("conversation", ["conversation", "order"]);
      entries.createIndex("source", "source", { unique: true });
      entries.createIndex("state", ["conversation", "state"]);
    };
    return new History(await result(request));
  }

  close(): void {
    this.#database.close();
  }

  account(): Promise<Account | undefined> {
    return result(this.#store("account").get("self"));
  }

  async saveAccount(account: Account): Promise<void> {
    await this.#write(["account"], (transaction) => transaction.objectStore("account").put(account, "self"));
  }

  conversations(): Promise<ConversationRecord[]> {
    return result(this.#store("conversations").getAll());
  }

  /** Stores a conversation and adds entries, all or nothing. Returns the entries that are new: one whose source is known is not. */
  async save(record: ConversationRecord, entries: NewEntry[] = []): Promise<Entry[]> {
    const added: Entry[] = [];
    await this.#write(["conversations", "entries"], (transaction) => {
      transaction.objectStore("conversations").put(record);
      const store = transaction.objectStore("entries");
      for (const entry of entries) {
        const add = () => {
          store.add(entry).onsuccess = function () {
            added.push({ ...entry, order: this.result as number });
          };
        };
        if (entry.source === undefined) add();
        else {
          store.index("source").getKey(entry.source).onsuccess = function () {
            if (this.result === undefined) add();
          };
        }
      }
    });
    return added.sort((a, b) => a.order - b.order);
  }

  async saveEntry(entry: Entry): Promise<void> {
    await this.#write(["entries"], (transaction) => transaction.objectStore("entries").put(entry));
  }

  /** The last `count` entries of a conversation before one, or before its end; oldest first. */
  async entries(conversation: string, count: number, before = Infinity): Promise<Entry[]> {
    const range = IDBKeyRange.bound([conversation, -Infinity], [conversation, before], true, true);
    const list: Entry[] = [];
    const request = this.#store("entries").index("conversation").openCursor(range, "prev");
    return new Promise((resolve, reject) => {
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        const cursor = request.result;
        if (cursor) list.push(cursor.value as Entry);
        if (cursor && list.length < count) cursor.continue();
        else resolve(list.reverse());
      };
    });
  }

  /** Own text that may not have reached the service, oldest first. */
  async unsent(conversation: string): Promise<Entry[]> {
    const list: Entry[] = await result(this.#store("entries").index("state").getAll([conversation, "sending"]));
    return list.sort((a, b) => a.order - b.order);
  }

  /** The signature keys seen for a name, in hexadecimal. */
  async keysOf(name: string): Promise<string[]> {
    return (await result(this.#store("keys").get(name))) ?? [];
  }

  async saveKeysOf(name: string, keys: string[]): Promise<void> {
    await this.#write(["keys"], (transaction) => transaction.objectStore("keys").put(keys, name));
  }

  #store(name: string): IDBObjectStore {
    return this.#database.transaction(name).objectStore(name);
  }

  #write(stores: string[], action: (transaction: IDBTransaction) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(stores, "readwrite");
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      action(transaction);
    });
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
