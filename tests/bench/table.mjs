// The results as text, for a terminal.
import { operations } from "./summary.mjs";

/** A number with three digits that count. */
export function figure(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return "-";
  if (value === 0) return "0";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toPrecision(value < 0.01 ? 1 : value < 1 ? 2 : 3);
}

const kilobytes = (bytes) => (bytes === undefined ? undefined : bytes / 1000);
const yes = (holds) => (holds === undefined ? "not measured" : holds ? "yes" : "NO");

/** Columns as wide as they must be; the first ones are words. */
function lines(head, rows, words = 1) {
  const all = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  return all.map((row) => row.map((cell, i) => (i < words ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ").trimEnd()).join("\n");
}

/** Everything: medians with ratios, what is no operation, and the targets. */
export function table(summary, targets) {
  const { run } = summary;
  const out = [];
  const section = (title, ...rest) => rest[1].length && out.push(`\n${title}\n${lines(...rest)}`);
  for (const browser of Object.keys(run.browsers)) {
    const those = summary.rows.filter((row) => row.browser === browser && Object.values(row.of).some(({ ms }) => ms !== undefined));
    const columns = run.implementations.filter(({ id }) => those.some(({ of }) => of[id]));
    const others = columns.filter(({ ours }) => !ours);
    const rows = those.map((row) => {
      const ours = row.of.webmls?.ms;
      const to = (theirs) => figure(ours === undefined || theirs === undefined ? undefined : ours / theirs);
      const ratios = others.map(({ id }) => to(row.of[id]?.ms));
      const name = row.operation.endsWith(":process") ? `  ${operations[row.operation]}` : (operations[row.operation] ?? row.operation);
      return [name, row.suite, row.n, ...columns.map(({ id }) => figure(row.of[id]?.ms)), to(summary.best(row)), ...ratios, figure(row.of.webmls?.task), figure(row.of.webmls?.silence)];
    });
    const head = ["operation", "suite", "n", ...columns.map(({ id }) => id), "to best", ...others.map(({ id }) => `to ${id}`), "task", "silence"];
    section(`${run.browsers[browser]}, medians in ms; many: ${run.messages.toLocaleString("en")}; WebMLS to the others; longest task and silence of the page while WebMLS works, ms`, head, rows);
  }
  const stored = summary.rows.filter(({ of }) => Object.values(of).some(({ stored }) => stored !== undefined));
  const storing = run.implementations.filter(({ id }) => stored.some(({ of }) => of[id]?.stored !== undefined));
  section(
    "Put into IndexedDB, kB",
    ["operation", "n", ...storing.map(({ id }) => id)],
    stored.map((row) => [operations[row.operation], row.n, ...storing.map(({ id }) => figure(kilobytes(row.of[id]?.stored)))]),
  );
  section(
    "Loading: kB that a page fetches, and ms from the beginning of the navigation to a first client in a new profile",
    ["implementation", "raw", "brotli", "start"],
    run.implementations
      .filter(({ id }) => summary.cold(id))
      .map(({ id, adapter }) => [id, figure(kilobytes(summary.size(adapter)?.raw)), figure(kilobytes(summary.size(adapter)?.brotli)), figure(summary.cold(id))]),
  );
  const columns = ["before", "joined", "after"];
  section(
    "A member alone in its page: before it joined, after that, and after commits of another; MB of wasm memory, of all that the page takes, and stored",
    ["implementation", "n", ...["wasm", "page", "stored"].flatMap((what) => columns.map((column) => `${what} ${column}`))],
    run.memory.filter(({ error }) => !error).map((row) => [row.id, row.n, ...["wasm", "page", "stored"].flatMap((what) => columns.map((column) => figure(row[column][what] / 1e6)))]),
  );
  section(
    "Must show",
    ["target", "is", "at most", "", "holds"],
    targets.map(({ name, value, most, unit, holds }) => [name, figure(value), figure(most), unit, yes(holds)]),
  );
  const leftOut = new Set(run.leftOut.map(({ browser, id, suite, n }) => `${browser} ${id} suite ${suite} n ${n}`));
  section("Left out, because it would take too long", ["what"], [...leftOut].map((what) => [what]));
  section("Failed", ["what", "why"], summary.failures.map(({ browser, part, id, suite, n, error }) => [`${browser} ${part} ${id} suite ${suite} n ${n}`, error]), 2);
  return out.join("\n").trimStart();
}
