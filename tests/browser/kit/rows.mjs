/**
 * What the database's enemy does, in the page, with IndexedDB itself. It is sent
 * there as it stands; `rows` is what the page gets.
 */
export function rawRows() {
  const finished = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });

  /** Runs something with a connection of its own, which gives way to nobody meanwhile. */
  async function connected(database, use) {
    const connection = await finished(indexedDB.open(database));
    try {
      return await use(connection);
    } finally {
      connection.close();
    }
  }

  globalThis.rows = {
    /** All rows of all object stores: {store: [[key, value]]}. */
    dump: (database) =>
      connected(database, async (connection) => {
        const out = {};
        for (const name of connection.objectStoreNames) {
          const store = connection.transaction(name).objectStore(name);
          const [keys, values] = await Promise.all([finished(store.getAllKeys()), finished(store.getAll())]);
          out[name] = keys.map((key, i) => [key, values[i]]);
        }
        return out;
      }),

    /** Puts rows in the place of all that is there. */
    restore: (database, dump) =>
      connected(database, async (connection) => {
        const transaction = connection.transaction([...connection.objectStoreNames], "readwrite");
        for (const [name, list] of Object.entries(dump)) {
          const store = transaction.objectStore(name);
          store.clear();
          for (const [key, value] of list) store.put(value, key);
        }
        await new Promise((resolve, reject) => Object.assign(transaction, { oncomplete: resolve, onabort: () => reject(transaction.error) }));
      }),

    /** The value of a key in a dump. */
    of: (dump, store, key) => dump[store].find(([k]) => indexedDB.cmp(k, key) === 0)?.[1],

    /** Changes the value of a key in a dump; undefined deletes it. */
    set(dump, store, key, value) {
      const at = dump[store].findIndex(([k]) => indexedDB.cmp(k, key) === 0);
      if (value === undefined) dump[store].splice(at, 1);
      else if (at < 0) dump[store].push([key, value]);
      else dump[store][at] = [key, value];
    },

    /** Bytes as base64. */
    text: (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))),

    bytes: (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)),

    /** A dump, or a part of it, as JSON has it. What has no such form, as a CryptoKey, is refused. */
    toJSON(value) {
      if (value instanceof Uint8Array) return { bytes: rows.text(value) };
      if (value instanceof ArrayBuffer) return { buffer: rows.text(value) };
      if (Array.isArray(value)) return value.map(rows.toJSON);
      if (typeof value !== "object" || value === null) return value;
      if (Object.getPrototypeOf(value) !== Object.prototype) throw new TypeError(`${value}`);
      return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, rows.toJSON(part)]));
    },

    fromJSON(value) {
      if (Array.isArray(value)) return value.map(rows.fromJSON);
      if (typeof value !== "object" || value === null) return value;
      if (typeof value.bytes === "string") return rows.bytes(value.bytes);
      if (typeof value.buffer === "string") return rows.bytes(value.buffer).buffer;
      return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, rows.fromJSON(part)]));
    },

    /** Makes a database of rows, with the object stores of an IndexedDB version. */
    async make(database, version, dump) {
      const request = indexedDB.open(database, version);
      request.onupgradeneeded = () => {
        for (const name of Object.keys(dump)) request.result.createObjectStore(name);
      };
      (await finished(request)).close();
      await rows.restore(database, dump);
    },

    /** A copy of bytes with one bit changed. */
    flip(bytes) {
      const copy = new Uint8Array(bytes).slice();
      copy[copy.length >> 1] ^= 1;
      return bytes instanceof ArrayBuffer ? copy.buffer : copy;
    },
  };
}
