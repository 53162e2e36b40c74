// Takes the time of operations, and how long the page's thread was held meanwhile.

const beat = 5;
const longTasks = [];
const gaps = [];
let last = performance.now();

// Chromium tells of tasks of 50 ms and more; that the beat came late, all browsers do.
const observer = PerformanceObserver.supportedEntryTypes.includes("longtask") ? new PerformanceObserver((list) => note(list.getEntries())) : undefined;
observer?.observe({ type: "longtask" });
const note = (entries) => longTasks.push(...entries.map(({ startTime, duration }) => [startTime, startTime + duration]));
setInterval(() => {
  const now = performance.now();
  if (now - last > 3 * beat) gaps.push([last, now - beat]);
  last = now;
}, beat);

const channel = new MessageChannel();
/** The next task, so that what an operation does is not billed to the one before. */
const task = () =>
  new Promise((resolve) => {
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(0);
  });
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The longest of the spans that overlap with another. */
const longest = (spans, from, to) => Math.max(0, ...spans.filter(([a, b]) => a < to && b > from).map(([a, b]) => b - a));

/** What an error says: those of other packages are of all kinds. */
function describe(error) {
  const details = JSON.stringify(error, (key, value) => (typeof value === "bigint" ? String(value) : value));
  return `${error?.name ?? ""} ${error?.message ?? error} ${details === "{}" ? "" : details}`.trim().slice(0, 500);
}

export class Clock {
  #runs = [];

  /** Carries out an operation and takes its time; or, where instrument.js is loaded, counts what it stores. */
  async time(name, operation) {
    const before = await globalThis.meter?.(false);
    await task();
    const from = performance.now();
    let result;
    try {
      result = await operation();
    } catch (error) {
      throw new Error(`${name}: ${describe(error)}`, { cause: error });
    }
    const to = performance.now();
    const after = await globalThis.meter?.();
    this.#runs.push([name, from, to, after && after.written - before.written]);
    return result;
  }

  /** For each operation a list of [milliseconds, longest task, longest time without a beat, bytes stored]. */
  async samples() {
    await rest(100);
    if (observer) note(observer.takeRecords());
    const samples = {};
    for (const [name, from, to, written] of this.#runs) {
      const task = observer ? longest(longTasks, from, to) : null;
      (samples[name] ??= []).push(written === undefined ? [to - from, task, longest(gaps, from, to)] : [null, null, null, written]);
    }
    longTasks.length = gaps.length = 0;
    return samples;
  }
}
