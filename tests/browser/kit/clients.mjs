// What a test page has at hand: clients, groups of them, and how to compare.

/** What the tests use on the page. It is sent there as it stands. */
export function kit() {
  const load = () => import("/webmls/index.js");
  globalThis.kit = {
    webmls: undefined,
    /** Opens a client that believes everybody. */
    async open(name, options = {}) {
      this.webmls ??= await load();
      return this.webmls.MLS.open({ database: name, authenticate: () => true, ...options });
    },
    /** Two clients in one group: `ours` is alice's, `theirs` bob's. */
    async pair(suite, options) {
      const [alice, bob] = await Promise.all([this.open("alice", options), this.open("bob", options)]);
      const ours = await alice.createGroup(await alice.createIdentity("alice", { suite }));
      const keyPackage = await bob.createKeyPackage(await bob.createIdentity("bob", { suite }));
      const { welcome } = await ours.add(keyPackage);
      await ours.applyPendingCommit();
      return { alice, bob, ours, theirs: await bob.joinGroup(welcome) };
    },
    /** Whether two groups are in the same epoch with the same secrets. */
    async same(a, b) {
      const [one, other] = await Promise.all([a.info(), b.info()]);
      return one.epoch === other.epoch && this.hex(one.epochAuthenticator) === this.hex(other.epochAuthenticator);
    },
    /** The class and code with which a promise is rejected. */
    codeOf(promise) {
      return promise.then(
        () => "nothing was refused",
        (error) => (error instanceof this.webmls.MLSError ? `${error.constructor.name} ${error.code}` : `${error}`),
      );
    },
    /** Lets all others receive a message, and returns what it was to the first of them. */
    async deliver(message, ...groups) {
      const events = [];
      for (const group of groups) events.push(await group.receive(message));
      return events[0];
    },
    /** A crowd in one group of the first one's, as { clients, identities, groups }. */
    async crowd(names, options = {}) {
      const { suite, open, group } = { open: {}, group: {}, ...options };
      const clients = [];
      for (const name of names) clients.push(await this.open(name, open));
      const identities = [];
      for (const [i, client] of clients.entries()) identities.push(await client.createIdentity(names[i], { suite }));
      const keyPackages = await Promise.all(clients.slice(1).map((client, i) => client.createKeyPackage(identities[i + 1])));
      const groups = [await clients[0].createGroup(identities[0], group)];
      const { welcome } = await groups[0].add(keyPackages);
      await groups[0].applyPendingCommit();
      for (const client of clients.slice(1)) groups.push(await client.joinGroup(welcome));
      return { clients, identities, groups };
    },
    /** Copies a database of IndexedDB, keys that nobody can read and all. */
    async copyDatabase(from, to) {
      const done = (request) =>
        new Promise((resolve, reject) => {
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
      const source = await done(indexedDB.open(from));
      const names = [...source.objectStoreNames];
      const reading = source.transaction(names, "readonly");
      const stores = names.map((name) => reading.objectStore(name));
      const contents = await Promise.all(stores.map((store) => Promise.all([done(store.getAllKeys()), done(store.getAll())])));
      const opening = indexedDB.open(to, source.version);
      opening.onupgradeneeded = () => {
        for (const { name, keyPath, autoIncrement } of stores) opening.result.createObjectStore(name, { keyPath, autoIncrement });
      };
      const target = await done(opening);
      const writing = target.transaction(names, "readwrite");
      await Promise.all(
        names.flatMap((name, i) => {
          const store = writing.objectStore(name);
          const [keys, values] = contents[i];
          return keys.map((key, n) => done(store.keyPath === null ? store.put(values[n], key) : store.put(values[n])));
        }),
      );
      source.close();
      target.close();
    },
    hex: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
}
