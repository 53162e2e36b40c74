// What WebMLS must show, and whether a run shows it. A target is a value and the most
// that it may be; without a value the run has not measured it.
import { operations } from "./summary.mjs";

const N = 1000;
const cores = "core-crypto";

/** Ratios to the best of the others in suite 1. */
const ofBest = { add: 0.27, join: 0.55, updateBlank: 0.6, updatePopulated: 0.25, "updateBlank:process": 0.2, "updatePopulated:process": 0.2 };

/** Ratios to core-crypto's in suite 1: of those that store, or that remove as RFC 9420 demands, it is the only one. */
const ofStoring = { remove: 0.25, encrypt: 1 / 6, decrypt: 1 / 6 };

/** In suite 2 every row, to the best of all. */
const ofBestInSuite2 = [...Object.keys(ofBest), "encrypt", "decrypt"];

/** All targets: {name, value, most, unit, holds}. */
export function targets(summary) {
  const list = [];
  const target = (name, value, most, unit = "x") => list.push({ name, value, most, unit, holds: value === undefined ? undefined : value <= most });
  const ratio = (a, b) => (a === undefined || b === undefined ? undefined : a / b);
  const ms = (...place) => summary.ms("webmls", ...place);
  const toBest = (suite, n, operation, browser, among) => {
    const row = summary.row(browser, suite, n, operation);
    return row && ratio(row.of.webmls?.ms, summary.best(row, among));
  };
  const called = (operation) => (operation.endsWith(":process") ? `${operations[operation.split(":")[0]]}: process` : operations[operation]);

  for (const [operation, most] of Object.entries(ofBest)) {
    target(`suite 1, n ${N}: ${called(operation)}, to the best`, toBest(1, N, operation, "chromium"), most);
  }
  for (const [operation, most] of Object.entries(ofStoring)) {
    target(`suite 1, n ${N}: ${called(operation)}, to ${cores}`, ratio(ms(1, N, operation), summary.ms(cores, 1, N, operation)), most);
  }
  for (const operation of ["encrypt", "decrypt"]) {
    target(`suite 1, n ${N}: ${called(operation)}, to n 10`, ratio(ms(1, N, operation), ms(1, 10, operation)), 1.3);
    const memory = summary.ms("webmls-memory", 1, N, operation);
    const row = summary.row("chromium", 1, N, operation);
    target(`suite 1, n ${N}: ${called(operation)}, in memory, to ts-mls`, row && ratio(memory, summary.best(row, (id) => id.startsWith("ts-mls"))), 1);
  }
  for (const way of ["batch", "unawaited"]) {
    for (const direction of ["Encrypt", "Decrypt"]) {
      const theirs = summary.ms(cores, 1, 1, `batch${direction}`);
      target(`suite 1: ${operations[way + direction]}, to ${cores}'s batch`, ratio(ms(1, 1, way + direction), theirs), 1 / 1.2);
    }
  }
  for (const operation of ofBestInSuite2) {
    target(`suite 2, n ${N}: ${called(operation)}, to the best`, toBest(2, N, operation, "chromium"), 0.5);
  }
  // ts-mls 2 removes without a path, against RFC 9420, Section 12.4.
  target(`suite 2, n ${N}: ${called("remove")}, to the best that has a path`, toBest(2, N, "remove", "chromium", (id) => id !== "ts-mls-2"), 0.5);
  target("suite 1: bytes stored by a path commit, n 4000 to 250", ratio(summary.stored("webmls", 4000, "updatePopulated"), summary.stored("webmls", 250, "updatePopulated")), 2);
  target("suite 1: process a path commit, n 4000 to 250", ratio(ms(1, 4000, "updatePopulated:process"), ms(1, 250, "updatePopulated:process")), 2);
  const { task, operation } = longestTask(summary);
  target(`longest task on the page's thread${task ? `: ${called(operation)}` : ""}`, task, 50, "ms");
  target("cold start to a first client, to core-crypto", ratio(summary.cold("webmls"), summary.cold(cores)), 0.5);
  target("wasm after brotli", megabytes(summary.size("webmls", (path) => path.endsWith(".wasm"))?.brotli, 2 ** 20), 1, "MiB");
  for (const [n, most] of [[1000, 30], [4000, 70]]) target(`wasm memory at rest, n ${n}`, megabytes(summary.memory("webmls", n)?.after.wasm, 1e6), most, "MB");
  for (const row of summary.rows.filter(({ browser, of }) => browser === "firefox" && of.firefox?.ms !== undefined)) {
    const where = row.n === 1 ? "" : `, n ${row.n}`;
    target(`Firefox${where}: ${called(row.operation)}, to its own`, ratio(row.of.webmls?.ms, row.of.firefox.ms), 1.5);
  }
  return list;
}

const megabytes = (bytes, unit) => (bytes === undefined ? undefined : bytes / unit);

/** The longest of all tasks while WebMLS worked in Chromium, and when; 0 where none took 50 ms. */
function longestTask(summary) {
  let longest = {};
  for (const { browser, operation, of } of summary.rows) {
    const task = browser === "chromium" ? of.webmls?.task : undefined;
    if (task !== undefined && !(task <= longest.task)) longest = { task, operation };
  }
  return longest;
}
