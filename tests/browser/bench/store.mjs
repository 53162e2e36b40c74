// Measures, in Chromium, what sealing, locking and storing cost an operation, in
// microseconds: make bench-store. Asserts nothing.
import { launch } from "../kit/browser.mjs";
import { serve } from "../kit/bare.mjs";
import { bundle } from "../kit/bundle.mjs";
import { built } from "../kit/paths.mjs";

const server = await serve(built("js/dist"), { "store.js": await bundle("host/store.ts", "host/channel.ts", "host/seal.ts", "host/locks.ts") });
const browser = await launch();
try {
  const page = await browser.newPage();
  await page.goto(server.url);
  const primitives = await page.evaluate(async () => {
    const { DatabaseStore, TabChannel, ScopeLocks, generateKeys, seal, unseal, term } = await import("/scripts/store.js");
    const channel = new TabChannel("cost");
    const open = () => DatabaseStore.open("cost", { existing: false, channel, lost() {} });
    const change = (scope, base, records) => ({ scope, base, deleteAll: false, delete: [], names: Object.keys(records), values: Object.values(records).map((size) => new Uint8Array(size)) });

    /** The median of single runs where one takes long, or the mean of many. */
    const median = async (runs, f) => {
      const times = [];
      for (let i = 0; i < runs + 10; i++) {
        const start = performance.now();
        await f(i);
        if (i >= 10) times.push(performance.now() - start);
      }
      return Math.round(1000 * times.sort((a, b) => a - b)[runs >> 1]);
    };
    const mean = async (runs, f) => {
      for (let i = 0; i < 50; i++) await f(i);
      const start = performance.now();
      for (let i = 0; i < runs; i++) await f(i + 50);
      return Math.round((1000 * (performance.now() - start)) / runs);
    };

    const out = {};
    const keys = await generateKeys(false);
    const place = ["record", "61", "one"];
    const row = await seal(keys, place, 1, new Uint8Array(1024));
    out["seal 1 KiB"] = await mean(1000, () => seal(keys, place, 1, new Uint8Array(1024)));
    out["unseal 1 KiB"] = await mean(1000, () => unseal(keys, place, row));
    out["term of a sum"] = await mean(1000, () => term(keys, place, row));
    const store = await open();
    out["commit of 2 records, 1 KiB and 200 bytes"] = await median(300, (i) => store.commit([change("61", i, { one: 1024, two: 200 })], [], []));
    await store.commit([change("62", 0, Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`r${i}`, 300])))], [], []);
    out["the same in a scope of 1,000 records"] = await median(200, (i) => store.commit([change("62", 1 + i, { one: 1024, two: 200 })], [], []));
    out["load of 2 records"] = await median(100, () => store.load("61"));
    out["load of 1,000 records"] = await median(10, () => store.load("62"));
    out["revision of a scope"] = await median(200, () => store.revision("61"));
    out["a lock that is kept"] = await mean(1000, async () => (await store.lock("61"))());
    const locks = new ScopeLocks("cost", channel);
    out["a lock that is asked for anew"] = await median(200, async (i) => (await locks.lock(`s${i}`))());
    out["a notice to other tabs"] = await mean(1000, () => channel.post({ kind: "commit", revisions: [{ scope: "61", revision: 1 }] }));

    // The same rows, neither sealed nor summed up, in the same transactions.
    const request = indexedDB.open("plain", 1);
    request.onupgradeneeded = () => ["records", "revisions"].forEach((name) => request.result.createObjectStore(name));
    await new Promise((resolve) => (request.onsuccess = resolve));
    const plain = (i) =>
      new Promise((resolve, reject) => {
        const transaction = request.result.transaction(["records", "revisions"], "readwrite", { durability: "strict" });
        transaction.objectStore("revisions").get("61").onsuccess = () => {
          transaction.objectStore("records").put(new Uint8Array(1024), ["61", "one"]);
          transaction.objectStore("records").put(new Uint8Array(200), ["61", "two"]);
          transaction.objectStore("revisions").put(i, "61");
        };
        Object.assign(transaction, { oncomplete: resolve, onabort: reject });
      });
    out["commit of the same 2 records in the open"] = await median(300, plain);
    return out;
  });
  const whole = await page.evaluate(async () => {
    const { MLS } = await import("/webmls/index.js");
    const [alice, bob] = await Promise.all(["alice", "bob"].map((database) => MLS.open({ database, authenticate: () => true })));
    const ours = await alice.createGroup(await alice.createIdentity("alice"));
    const { welcome } = await ours.add(await bob.createKeyPackage(await bob.createIdentity("bob")));
    await ours.applyPendingCommit();
    const theirs = await bob.joinGroup(welcome);
    const times = { send: [], receive: [] };
    for (let i = 0; i < 200; i++) {
      let start = performance.now();
      const message = await ours.send("hello");
      times.send.push(performance.now() - start);
      start = performance.now();
      await theirs.receive(message);
      times.receive.push(performance.now() - start);
    }
    return Object.fromEntries(Object.entries(times).map(([name, list]) => [`${name}, all told, over the worker`, Math.round(1000 * list.sort((a, b) => a - b)[100])]));
  });
  for (const [name, microseconds] of Object.entries({ ...primitives, ...whole })) console.log(`${String(microseconds).padStart(8)}  ${name}`);
} finally {
  await browser.close();
  await server.stop();
}
