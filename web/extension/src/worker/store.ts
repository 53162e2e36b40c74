/**
 * What the extension keeps beside the state of MLS: names, opened texts, work that
 * was begun. One IndexedDB database; each row is sealed by AES-GCM under a
 * non-extractable key in the same database, with its name bound to it. It must not
 * know what the rows mean.
 */

const name = "webmls-extension";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface StoredRow {
  iv: Uint8Array<ArrayBuffer>;
  sealed: ArrayBuffer;
}

interface Keys {
  seal: CryptoKey;
  mac: CryptoKey;
}

/** Rows to put and delete, all or none. */
export interface Batch {
  put?: readonly (readonly [key: string, value: unknown])[];
  delete?: readonly string[];
}

export class Store {
  readonly #database: IDBDatabase;
  readonly #keys: Keys;

  private constructor(database: IDBDatabase, keys: Keys) {
    this.#database = database;
    this.#keys = keys;
  }

  static async open(): Promise<Store> {
    const opening = indexedDB.open(name, 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore("keys");
      opening.result.createObjectStore("rows");
    };
    const database = await finished(opening);
    // Of two that open it for the first time, one's keys are kept.
    const made: Keys = {
      seal: await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]),
      mac: await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]),
    };
    const transaction = database.transaction("keys", "readwrite", { durability: "strict" });
    const keys = transaction.objectStore("keys");
    const kept = (await finished(keys.get("keys"))) as Keys | undefined;
    if (!kept) keys.put(made, "keys");
    await committed(transaction);
    return new Store(database, kept ?? made);
  }

  async get<T>(key: string): Promise<T | undefined> {
    const row = (await finished(this.#database.transaction("rows").objectStore("rows").get(key))) as StoredRow | undefined;
    return row && (this.#unseal(key, row) as Promise<T>);
  }

  /** All rows whose key begins so, in the order of their keys. */
  async list<T>(prefix: string): Promise<[key: string, value: T][]> {
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
    const rows = this.#database.transaction("rows").objectStore("rows");
    const [keys, values] = await Promise.all([finished(rows.getAllKeys(range)), finished(rows.getAll(range))]);
    return Promise.all(values.map(async (row: StoredRow, i) => [keys[i] as string, (await this.#unseal(keys[i] as string, row)) as T] as [string, T]));
  }

  /** The keys that begin so. */
  async keys(prefix: string): Promise<string[]> {
    return (await finished(this.#database.transaction("rows").objectStore("rows").getAllKeys(IDBKeyRange.bound(prefix, `${prefix}\uffff`)))) as string[];
  }

  /** Is on the disk when the promise is fulfilled. */
  async write({ put = [], delete: gone = [] }: Batch): Promise<void> {
    // Nothing foreign is awaited in the transaction.
    const rows = await Promise.all(put.map(async ([key, value]) => [key, await this.#seal(key, value)] as const));
    const transaction = this.#database.transaction("rows", "readwrite", { durability: "strict" });
    const store = transaction.objectStore("rows");
    for (const key of gone) store.delete(key);
    for (const [key, row] of rows) store.put(row, key);
    await committed(transaction);
  }

  /** Proves later that this extension has said something. */
  async vouch(text: string): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await crypto.subtle.sign("HMAC", this.#keys.mac, encoder.encode(text)));
  }

  /** Whether it has. */
  vouched(text: string, proof: Uint8Array<ArrayBuffer>): Promise<boolean> {
    return crypto.subtle.verify("HMAC", this.#keys.mac, proof, encoder.encode(text));
  }

  async #seal(key: string, value: unknown): Promise<StoredRow> {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: encoder.encode(key) }, this.#keys.seal, encoder.encode(JSON.stringify(value)));
    return { iv, sealed };
  }

  async #unseal(key: string, { iv, sealed }: StoredRow): Promise<unknown> {
    return JSON.parse(decoder.decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: encoder.encode(key) }, this.#keys.seal, sealed)));
  }
}

function finished<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}
