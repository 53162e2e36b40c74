// What the app keeps on this device, in an IndexedDB database of its own beside
// that of webmls: who the user is, the conversations with all that was said in
// them, who added whom, the keys seen for each name, and pieces of attachments.
//
// What was said, and the names of groups, are sealed with a key of WebCrypto that no
// script can read out of the browser. The key lies in the same profile: whoever has all of the profile's
// files and knows how the browser keeps keys, has both. When something happened, how
// much, and the names of people are in the clear.
//
// Several tabs work on it. Each change is one transaction, and is told to all of them.
import { toHex } from "./hex.js";
import type { Attachment } from "./payload.js";

/** Who the user is to the delivery service. */
export interface Account {
  name: string;
  token: string;
  device: string;
  /** Whether the service has given the name to this device. */
  confirmed: boolean;
}

/** Bytes that only this database's key opens. */
export interface Sealed {
  iv: Uint8Array<ArrayBuffer>;
  data: ArrayBuffer;
}

/** A conversation: what must outlive a reload beside the MLS group. */
export interface ConversationRecord {
  /** The group id, in hexadecimal. */
  id: string;
  group: Uint8Array;
  /** The place in the group's log behind which it is read: of the commit that added this client; 0 is its beginning. */
  since: number;
  /** How often this client has become a member. */
  joined: number;
  /** The Welcome by which it is becoming one, by its place in the log. */
  joining?: number | undefined;
  /** When something last happened, for the order of the list. */
  active: number;
  /** How many texts nobody has looked at. */
  unread: number;
  /** The group's name, and when it was given. */
  title?: Sealed | undefined;
  titleAt: number;
  /** Whether this user has asked to be let out. */
  leaving?: boolean | undefined;
}

/** How far a message of one's own is. */
export type State = "sending" | "sent" | "failed";

/** What is sealed of an entry. */
export interface Content {
  /** "text" by somebody else, "own" by the user, "note" about the group. */
  kind: "text" | "own" | "note";
  /** The name of a person. */
  sender: string;
  text: string;
  /** The sender's name for the message. */
  id?: string;
  /** The device of the sender, where it is another one of the user's own. */
  device?: string;
  attachment?: Attachment;
}

interface Outside {
  conversation: string;
  at: number;
  /** What tells a message that comes twice. No two entries have the same. */
  source?: string;
  /** Of a message of one's own, from this device: how far it is. */
  state?: State;
  /** What webmls/sync calls it. */
  sync?: string;
  /** The tab that sends it. */
  tab?: string;
  /** How many pieces of its attachment are sent. */
  pieces?: number;
}

/** A line in a conversation. */
export interface Entry extends Outside, Content {
  /** Grows with time, over all conversations. */
  order: number;
}

export type NewEntry = Omit<Entry, "order">;

interface EntryRow extends Outside {
  order?: number;
  body: Sealed;
}

/** Something that was changed about a group. */
export interface ChangeRecord {
  epoch: bigint;
  at: number;
  by: string;
  added: string[];
  removed: string[];
  external: boolean;
}

/** A key that was seen for a person. */
export interface KnownKey {
  device: string;
  since: number;
  /** When the user has compared numbers with whoever has it. */
  verified?: number;
}

/** Somebody. */
export interface Person {
  name: string;
  /** Signature keys in hexadecimal. */
  keys: Record<string, KnownKey>;
}

/** What has changed, for all tabs. */
export type HistoryChange =
  | { kind: "record"; id: string }
  | { kind: "added" | "changed"; id: string; orders: number[] }
  | { kind: "piece"; attachment: string }
  | { kind: "people" };

const version = 1;
type Store = "account" | "conversations" | "entries" | "changes" | "people" | "pieces" | "keys";

export class History {
  readonly #database: IDBDatabase;
  readonly #channel: BroadcastChannel;
  readonly #key: CryptoKey;
  readonly #listeners = new Set<(change: HistoryChange) => void>();

  private constructor(database: IDBDatabase, key: CryptoKey) {
    this.#database = database;
    this.#key = key;
    this.#channel = new BroadcastChannel(database.name);
    this.#channel.onmessage = ({ data }: MessageEvent<HistoryChange>) => this.#emit(data);
  }

  static async open(name: string): Promise<History> {
    const request = indexedDB.open(name, version);
    request.onupgradeneeded = () => {
      const db = request.result;
      for (const store of ["account", "keys"]) db.createObjectStore(store);
      db.createObjectStore("conversations", { keyPath: "id" });
      db.createObjectStore("people", { keyPath: "name" });
      db.createObjectStore("changes"); // by [conversation, epoch]
      db.createObjectStore("pieces"); // by [attachment, index]
      const entries = db.createObjectStore("entries", { keyPath: "order", autoIncrement: true });
      entries.createIndex("conversation", ["conversation", "order"]);
      entries.createIndex("source", "source", { unique: true });
      entries.createIndex("state", ["conversation", "state"]);
      entries.createIndex("sync", "sync", { unique: true });
    };
    const database = await result(request);
    return new History(database, await keyOf(database));
  }

  close(): void {
    this.#channel.close();
    this.#database.close();
  }

  /** Calls back with each change, also those that other tabs make. Returns a function that ends it. */
  onChange(listener: (change: HistoryChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async seal(value: unknown): Promise<Sealed> {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const data = new TextEncoder().encode(JSON.stringify(value));
    return { iv, data: await crypto.subtle.encrypt({ name: "AES-GCM", iv }, this.#key, data) };
  }

  async unseal<T>({ iv, data }: Sealed): Promise<T> {
    return JSON.parse(new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, this.#key, data))) as T;
  }

  // The user

  account(): Promise<Account | undefined> {
    return result(this.#store("account").get("self"));
  }

  async saveAccount(account: Account): Promise<void> {
    await this.#write(["account"], (stores) => stores.account.put(account, "self"));
  }

  // Conversations

  conversations(): Promise<ConversationRecord[]> {
    return result(this.#store("conversations").getAll());
  }

  conversation(id: string): Promise<ConversationRecord | undefined> {
    return result(this.#store("conversations").get(id));
  }

  /** Changes a record, or makes one: `change` is given what is there, in a transaction. Returns what is there then. */
  async change(id: string, change: (record: ConversationRecord | undefined) => ConversationRecord | undefined): Promise<ConversationRecord | undefined> {
    let changed: ConversationRecord | undefined;
    await this.#write(["conversations"], ({ conversations }) => {
      conversations.get(id).onsuccess = function () {
        changed = change(this.result as ConversationRecord | undefined);
        if (changed) conversations.put(changed);
      };
    });
    this.#tell({ kind: "record", id });
    return changed;
  }

  /** Deletes a conversation with all that was said in it. */
  async forget(id: string, attachments: readonly string[]): Promise<void> {
    await this.#write(["conversations", "entries", "changes", "pieces"], ({ conversations, entries, changes, pieces }) => {
      conversations.delete(id);
      changes.delete(IDBKeyRange.bound([id], [id, []]));
      for (const attachment of attachments) pieces.delete(IDBKeyRange.bound([attachment], [attachment, []]));
      entries.index("conversation").openKeyCursor(IDBKeyRange.bound([id], [id, []])).onsuccess = function () {
        const cursor = this.result;
        if (!cursor) return;
        entries.delete(cursor.primaryKey);
        cursor.continue();
      };
    });
    this.#tell({ kind: "record", id });
  }

  // What was said

  /** Adds entries, all or nothing; one whose source is known is not added again. `unread` is added to the count of the conversation. */
  async add(conversation: string, entries: readonly NewEntry[], unread = 0): Promise<Entry[]> {
    const rows = await Promise.all(entries.map((entry) => this.#sealEntry(entry)));
    return this.#add(conversation, entries, rows, unread);
  }

  async #add(conversation: string, entries: readonly NewEntry[], rows: readonly EntryRow[], unread: number, change?: { key: IDBValidKey; value: Sealed }): Promise<Entry[]> {
    const added: Entry[] = [];
    await this.#write(["conversations", "entries", "changes"], (stores) => {
      const count = () => {
        stores.conversations.get(conversation).onsuccess = function () {
          const record = this.result as ConversationRecord | undefined;
          if (record) stores.conversations.put({ ...record, active: Date.now(), unread: record.unread + unread });
        };
      };
      const put = () =>
        rows.forEach((row, i) => {
          const add = () => {
            stores.entries.add(row).onsuccess = function () {
              if (added.push({ ...entries[i]!, order: this.result as number }) === 1) count();
            };
          };
          if (row.source === undefined) return add();
          stores.entries.index("source").getKey(row.source).onsuccess = function () {
            if (this.result === undefined) add();
          };
        });
      if (!change) return put();
      stores.changes.getKey(change.key).onsuccess = function () {
        if (this.result !== undefined) return;
        stores.changes.add(change.value, change.key);
        put();
      };
    });
    added.sort((a, b) => a.order - b.order);
    if (added.length > 0) {
      this.#tell({ kind: "added", id: conversation, orders: added.map(({ order }) => order) });
      this.#tell({ kind: "record", id: conversation });
    }
    return added;
  }

  /** Changes what is not sealed of an entry: `find` is its order, or what webmls/sync calls it. */
  async mark(find: number | { sync: string }, change: Partial<Pick<Entry, "state" | "sync" | "tab" | "pieces">>): Promise<void> {
    let row: EntryRow | undefined;
    await this.#write(["entries"], ({ entries }) => {
      const request: IDBRequest<EntryRow | undefined> = typeof find === "number" ? entries.get(find) : entries.index("sync").get(find.sync);
      request.onsuccess = () => {
        row = request.result;
        if (!row || row.state === "sent") return (row = undefined); // it is done, and another tab has said so
        Object.assign(row, change);
        entries.put(row);
        return undefined;
      };
    });
    if (row) this.#tell({ kind: "changed", id: row.conversation, orders: [row.order!] });
  }

  /** The orders of all entries of a conversation. */
  async orders(conversation: string): Promise<number[]> {
    return (await result(this.#store("entries").index("conversation").getAllKeys(IDBKeyRange.bound([conversation], [conversation, []])))) as number[];
  }

  /** The entries of a conversation between two orders, these among them. */
  async entries(conversation: string, first: number, last: number): Promise<Entry[]> {
    const rows: EntryRow[] = await result(
      this.#store("entries").index("conversation").getAll(IDBKeyRange.bound([conversation, first], [conversation, last])),
    );
    return Promise.all(rows.map((row) => this.#unsealEntry(row)));
  }

  /** Own messages that may not have reached the service, oldest first. */
  async unsent(conversation: string): Promise<Entry[]> {
    const rows: EntryRow[] = await result(this.#store("entries").index("state").getAll([conversation, "sending"]));
    const entries = await Promise.all(rows.map((row) => this.#unsealEntry(row)));
    return entries.sort((a, b) => a.order - b.order);
  }

  async #sealEntry(entry: NewEntry): Promise<EntryRow> {
    const { kind, sender, text, id, device, attachment, ...outside } = entry;
    const content: Content = { kind, sender, text, ...(id ? { id } : {}), ...(device ? { device } : {}), ...(attachment ? { attachment } : {}) };
    return { ...outside, body: await this.seal(content) };
  }

  async #unsealEntry({ body, ...outside }: EntryRow): Promise<Entry> {
    return { ...outside, ...(await this.unseal<Content>(body)), order: outside.order! };
  }

  // What was changed about groups

  /** Keeps what a commit did, with a note about it, unless that is kept. */
  async addChange(conversation: string, { epoch, ...change }: ChangeRecord, notes: readonly NewEntry[]): Promise<void> {
    const [value, rows] = await Promise.all([this.seal(change), Promise.all(notes.map((note) => this.#sealEntry(note)))]);
    await this.#add(conversation, notes, rows, 0, { key: [conversation, Number(epoch)], value });
  }

  /** What was changed about a group, the last first. */
  async changes(conversation: string): Promise<ChangeRecord[]> {
    const range = IDBKeyRange.bound([conversation], [conversation, []]);
    const store = this.#store("changes");
    const [keys, values] = await Promise.all([result(store.getAllKeys(range)), result<Sealed[]>(store.getAll(range))]);
    const list = await Promise.all(
      values.map(async (value, i) => ({ ...(await this.unseal<Omit<ChangeRecord, "epoch">>(value)), epoch: BigInt((keys[i] as [string, number])[1]) })),
    );
    return list.reverse();
  }

  // Pieces of attachments, sealed with the attachments' own keys

  async addPiece(attachment: string, index: number, sealed: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#write(["pieces"], ({ pieces }) => pieces.put(sealed, [attachment, index]));
    this.#tell({ kind: "piece", attachment });
  }

  async addPieces(attachment: string, list: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    await this.#write(["pieces"], ({ pieces }) => list.forEach((sealed, index) => pieces.put(sealed, [attachment, index])));
    this.#tell({ kind: "piece", attachment });
  }

  countPieces(attachment: string): Promise<number> {
    return result(this.#store("pieces").count(IDBKeyRange.bound([attachment], [attachment, []])));
  }

  pieces(attachment: string): Promise<Uint8Array<ArrayBuffer>[]> {
    return result(this.#store("pieces").getAll(IDBKeyRange.bound([attachment], [attachment, []])));
  }

  // People

  people(): Promise<Person[]> {
    return result(this.#store("people").getAll());
  }

  /** Adds a person, or changes one: `change` is given what is there, in a transaction. */
  async changePerson(name: string, change: (person: Person) => Person | undefined): Promise<void> {
    let changed: Person | undefined;
    await this.#write(["people"], ({ people }) => {
      people.get(name).onsuccess = function () {
        changed = change((this.result as Person | undefined) ?? { name, keys: {} });
        if (changed) people.put(changed);
      };
    });
    if (changed) this.#tell({ kind: "people" });
  }

  #tell(change: HistoryChange): void {
    this.#channel.postMessage(change);
    this.#emit(change);
  }

  #emit(change: HistoryChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  #store(name: Store): IDBObjectStore {
    return this.#database.transaction(name).objectStore(name);
  }

  #write<S extends Store>(names: S[], action: (stores: Record<S, IDBObjectStore>) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(names, "readwrite");
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
      action(Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)])) as Record<S, IDBObjectStore>);
    });
  }
}

/** The key that seals the database: made once, and not extractable. */
async function keyOf(database: IDBDatabase): Promise<CryptoKey> {
  const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const transaction = database.transaction("keys", "readwrite");
  const store = transaction.objectStore("keys");
  const found: CryptoKey | undefined = await result(store.get("history"));
  if (!found) store.add(fresh, "history");
  await new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
  return found ?? fresh;
}

/** What tells a message of a device: its key, and the name that the device gave the message. */
export function sourceOf(conversation: string, signatureKey: Uint8Array, id: string): string {
  return `${conversation}/${toHex(signatureKey)}/${id}`;
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
