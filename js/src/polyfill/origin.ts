/**
 * The state of an origin. A client identifier names a signature key, and one
 * page may have several of them in one group; a client of this package is in a
 * group once. So each has a database of its own, and one more database is the
 * directory of them.
 */
import { MLS, type Bytes, type Identity, type Thread } from "../index.js";

/** Where the state is, and where the work is done. */
export interface Settings {
  /** The name of the directory, and the beginning of the names of the other databases. */
  database: string;
  /** As `MLS.open` of the package `webmls` takes it. */
  thread?: Thread;
  /** As `MLS.open` of the package `webmls` takes it. */
  wasm?: URL | string;
}

/** There is no such client, or it is in no such group, any more. */
export class GoneError extends Error {}

/** A signature key with all that is done in its name. */
export interface Client {
  readonly mls: MLS;
  /** The identity that was made with the key. It has no name. */
  readonly key: Identity;
}

/** A row of the directory. One without a client is of a database that is to go, or that is just being made. */
interface Row {
  database: string;
  client?: Uint8Array;
}

const rows = "clients";
const byClient = "client";

export class Origin {
  readonly #settings: Settings;
  readonly #open = new Map<string, Promise<Client>>();
  #directory: Promise<IDBDatabase> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Makes a signature key and returns its client identifier. */
  generateIdentity(): Promise<Bytes> {
    return this.#lock("shared", async () => {
      const database = `${this.#settings.database}/${crypto.randomUUID()}`;
      await this.#put({ database });
      const mls = await this.#openDatabase(database);
      try {
        const key = await mls.createIdentity(new Uint8Array());
        const client = await clientIdentifier(key.signatureKey);
        await this.#put({ database, client });
        this.#open.set(hex(client), Promise.resolve({ mls, key }));
        return client;
      } catch (error) {
        await mls.close();
        throw error;
      }
    });
  }

  /**
   * Runs a step in the name of a client, alone in all tabs, and in the order of
   * the calls. Rejects with a GoneError when there is no such client.
   */
  run<T>(client: Uint8Array, step: (client: Client) => Promise<T>): Promise<T> {
    const name = `${this.#settings.database}/${hex(client)}`;
    return this.#lock("shared", () => navigator.locks.request(name, async () => step(await this.#find(client)))) as Promise<T>;
  }

  /** Forgets all clients, with their groups. Rejects with a GoneError when there is nothing. */
  deleteState(): Promise<void> {
    return this.#lock("exclusive", async () => {
      const all = (await this.#request("readonly", (store) => store.getAll())) as Row[];
      if (all.length === 0) throw new GoneError("there is no state");
      // From here on nobody finds them; what a crash leaves is deleted the next time.
      await this.#request("readwrite", (store) => all.map(({ database }) => store.put({ database })).at(-1));
      const open = [...this.#open.values()];
      this.#open.clear();
      await Promise.allSettled(open.map(async (client) => (await client).mls.close()));
      for (const { database } of all) {
        await settled(indexedDB.deleteDatabase(database));
        await this.#request("readwrite", (store) => store.delete(database));
      }
    });
  }

  #lock<T>(mode: LockMode, step: () => Promise<T>): Promise<T> {
    return navigator.locks.request(this.#settings.database, { mode }, step) as Promise<T>;
  }

  /** Opens a client, unless it is open. The directory is asked each time, for another tab may have deleted it. */
  async #find(id: Uint8Array): Promise<Client> {
    const row = (await this.#request("readonly", (store) => store.index(byClient).get(id as Bytes))) as Row | undefined;
    const name = hex(id);
    let client = this.#open.get(name);
    if (!row) {
      this.#open.delete(name);
      await client?.then(({ mls }) => mls.close()).catch(() => {});
      throw new GoneError("there is no such client");
    }
    if (!client) {
      client = this.#openClient(row.database, id);
      this.#open.set(name, client);
      client.catch(() => this.#open.delete(name));
    }
    return client;
  }

  async #openClient(database: string, id: Uint8Array): Promise<Client> {
    const mls = await this.#openDatabase(database);
    for (const key of await mls.identities()) {
      if (hex(await clientIdentifier(key.signatureKey)) === hex(id)) return { mls, key };
    }
    await mls.close();
    throw new Error("the key of the client is gone");
  }

  #openDatabase(database: string): Promise<MLS> {
    const { database: _, ...where } = this.#settings;
    // The MLS Web API knows no authentication service: it takes every credential.
    return MLS.open({ ...where, database, authenticate: () => true, succeeds: () => true });
  }

  #put(row: Row): Promise<unknown> {
    return this.#request("readwrite", (store) => store.put(row));
  }

  /** Makes requests in a transaction of their own; the result is that of the one that is returned. */
  async #request<T>(mode: IDBTransactionMode, make: (store: IDBObjectStore) => IDBRequest<T> | undefined): Promise<T | undefined> {
    const transaction = (await this.#openDirectory()).transaction(rows, mode, { durability: "strict" });
    const request = make(transaction.objectStore(rows));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new DOMException("aborted", "AbortError"));
    });
    return request?.result;
  }

  #openDirectory(): Promise<IDBDatabase> {
    if (this.#directory) return this.#directory;
    const request = indexedDB.open(this.#settings.database, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(rows, { keyPath: "database" }).createIndex(byClient, byClient, { unique: true });
    };
    const forget = () => {
      if (this.#directory === directory) this.#directory = undefined;
    };
    const directory = settled(request).then((database) => {
      database.onclose = forget;
      database.onversionchange = () => {
        database.close();
        forget();
      };
      return database;
    });
    directory.catch(forget);
    this.#directory = directory;
    return directory;
  }
}

/** SHA-256 of a signature key names its client. */
export async function clientIdentifier(signatureKey: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", signatureKey));
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
