// The table of results for the terminal.
export const median = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted.length ? (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2 : undefined;
};
export function table(results) {
  const lines = [];
  const rows = new Map();
  for (const { part, id, suite, n, samples, error } of results.cells) {
    if (error) lines.push(`FAILED ${part} ${id} suite ${suite} n ${n}: ${error}`);
    for (const [op, list] of Object.entries(samples ?? {})) {
      const key = `${suite}|${n ?? 2}|${op}`;
      if (!rows.has(key)) rows.set(key, {});
      (rows.get(key)[id] ??= []).push(...list.map(([ms]) => ms));
    }
  }
  const ids = results.implementations.map(({ id }) => id);
  lines.push(["suite", "n", "operation".padEnd(24), ...ids.map((id) => id.padStart(12)), "ours/best"].join("  "));
  for (const [key, row] of rows) {
    const [suite, n, op] = key.split("|");
    const medians = ids.map((id) => (row[id] ? median(row[id]) : undefined));
    const ours = medians[0];
    const best = Math.min(...medians.slice(1).filter((x) => x !== undefined));
    lines.push([suite.padStart(5), n.padStart(5), op.padEnd(24), ...medians.map((m) => (m === undefined ? "-" : m.toFixed(2)).padStart(12)), (ours / best).toFixed(2)].join("  "));
  }
  return lines.join("\n");
}
