// Medians of all samples, and what targets and reports ask them.

/** The median of a list; undefined of an empty one. */
export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted.length ? (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2 : undefined;
}

/** What operations are called in reports, in their order. */
export const operations = {
  createGroup: "create a group",
  add: "add n in one commit",
  join: "join",
  updateBlank: "path commit, worst tree",
  "updateBlank:process": "process that",
  updatePopulated: "path commit, best tree",
  "updatePopulated:process": "process that",
  remove: "remove one",
  "remove:process": "process that",
  addOne: "add one",
  "addOne:process": "process that",
  encrypt: "encrypt 1 KiB",
  decrypt: "decrypt 1 KiB",
  acknowledge: "acknowledge 20",
  exportSecret: "export a secret",
  reopen: "reopen, and encrypt",
  keyPackage: "make a key package",
  awaitedEncrypt: "encrypt many of 32 B, each awaited",
  awaitedDecrypt: "decrypt many of 32 B, each awaited",
  unawaitedEncrypt: "encrypt many of 32 B, called at once",
  unawaitedDecrypt: "decrypt many of 32 B, called at once",
  batchEncrypt: "encrypt many of 32 B, as a list",
  batchDecrypt: "decrypt many of 32 B, as a list",
};

export class Summary {
  /** Rows of one operation in one browser, suite and size, with what each implementation made of it. */
  rows = [];
  failures = [];

  constructor(run) {
    this.run = run;
    const rows = new Map();
    for (const { browser, part, id, suite, n = 1, samples, error } of run.cells) {
      if (error) this.failures.push({ browser, part, id, suite, n, error });
      for (const [operation, list] of Object.entries(samples ?? {})) {
        const key = [browser, suite, n, operation].join();
        if (!rows.has(key)) rows.set(key, { browser, suite, n, operation, of: {} });
        const samples = (rows.get(key).of[id] ??= []);
        samples.push(...list);
      }
    }
    const order = Object.keys(operations);
    for (const row of rows.values()) {
      for (const [id, samples] of Object.entries(row.of)) row.of[id] = figures(samples);
      this.rows.push(row);
    }
    this.rows.sort((a, b) => (a.browser < b.browser ? -1 : a.browser > b.browser ? 1 : a.suite - b.suite || a.n - b.n || order.indexOf(a.operation) - order.indexOf(b.operation)));
    for (const row of run.memory) if (row.error) this.failures.push({ browser: "chromium", part: "memory", suite: 1, ...row });
  }

  row(browser, suite, n, operation) {
    return this.rows.find((row) => row.browser === browser && row.suite === suite && row.n === n && row.operation === operation);
  }

  /** The median in milliseconds of one implementation, if it has one. */
  ms(id, suite, n, operation, browser = "chromium") {
    return this.row(browser, suite, n, operation)?.of[id]?.ms;
  }

  /** The bytes that an operation stores. */
  stored(id, n, operation) {
    return this.row("chromium", 1, n, operation)?.of[id]?.stored;
  }

  /** The best median of those that are not ours, of a row. */
  best(row, among = () => true) {
    const others = this.run.implementations.filter(({ id, ours }) => !ours && among(id) && row.of[id]?.ms !== undefined);
    return others.length ? Math.min(...others.map(({ id }) => row.of[id].ms)) : undefined;
  }

  /** The median of the cold starts of one implementation. */
  cold(id) {
    return median(this.run.cold.filter((start) => start.id === id).map(({ ready }) => ready));
  }

  /** What a page loads for an implementation, summed up. */
  size(adapter, only = () => true) {
    const files = Object.entries(this.run.files[adapter] ?? {}).filter(([path]) => only(path));
    if (files.length === 0) return undefined;
    return { raw: sum(files.map(([, { raw }]) => raw)), brotli: sum(files.map(([, { brotli }]) => brotli)) };
  }

  memory(id, n) {
    return this.run.memory.find((row) => row.id === id && row.n === n && !row.error);
  }
}

const sum = (list) => list.reduce((a, b) => a + b, 0);

/** Of samples: the median, the least and the most milliseconds, the longest task and silence, the median of bytes stored. */
function figures(samples) {
  const of = (index) => samples.map((sample) => sample[index]).filter((value) => value !== null && value !== undefined);
  const most = (list) => (list.length ? Math.max(...list) : undefined);
  const ms = of(0);
  return { runs: ms.length, ms: median(ms), min: ms.length ? Math.min(...ms) : undefined, max: most(ms), task: most(of(1)), silence: most(of(2)), stored: median(of(3)) };
}
