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

export class Clock {
  #runs = [];

  /** Carries out an operation and takes its time. */
  async time(name, operation) {
    await task();
    const from = performance.now();
    const result = await operation();
    this.#runs.push([name, from, performance.now()]);
    return result;
  }

  /** For each operation a list of [milliseconds, longest task, longest time without a beat]. */
  async samples() {
    await rest(100);
    if (observer) note(observer.takeRecords());
    const samples = {};
    for (const [name, from, to] of this.#runs) {
      (samples[name] ??= []).push([to - from, observer ? longest(longTasks, from, to) : null, longest(gaps, from, to)]);
    }
    longTasks.length = gaps.length = 0;
    return samples;
  }
}
