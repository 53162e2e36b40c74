// Measures, and prints, writes and draws what came of it: make bench-browser. The
// options are in README.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { measure, parts } from "./bench.mjs";
import { implementations } from "./implementations.mjs";
import { writeReport } from "./report.mjs";
import { Summary } from "./summary.mjs";
import { table } from "./table.mjs";
import { targets } from "./targets.mjs";

const { values: given } = parseArgs({
  options: {
    peers: { type: "string", default: Object.keys(implementations).join() },
    browsers: { type: "string", default: "chromium,firefox" },
    suites: { type: "string", default: "1,2" },
    sizes: { type: "string" },
    only: { type: "string", default: parts.join() },
    rounds: { type: "string" },
    messages: { type: "string", default: "1000" },
    patience: { type: "string", default: "600" },
    quick: { type: "boolean", default: false },
    out: { type: "string", default: fileURLToPath(new URL("results", import.meta.url)) },
  },
});

/** A list that was given, each of which must be one of those that there are. */
function listed(name, text, known) {
  const list = text.split(",").map((item) => item.trim());
  for (const item of list) if (!known(item)) throw new Error(`--${name}: there is no ${item}`);
  return list;
}
const positive = (text) => Number.isInteger(Number(text)) && Number(text) > 0;
const numbers = (name, text) => listed(name, text, positive).map(Number);

const options = {
  peers: listed("peers", given.peers, (id) => id in implementations),
  browsers: listed("browsers", given.browsers, (name) => ["chromium", "firefox"].includes(name)),
  parts: listed("only", given.only, (part) => parts.includes(part)),
  suites: numbers("suites", given.suites),
  sizes: numbers("sizes", given.sizes ?? (given.quick ? "10,100" : "10,100,250,1000,4000")),
  rounds: numbers("rounds", given.rounds ?? (given.quick ? "1" : "5"))[0],
  messages: numbers("messages", given.messages)[0],
  patience: numbers("patience", given.patience)[0],
};
const began = Date.now();
const say = (...words) => console.error(`${Math.round((Date.now() - began) / 1000)} s`.padStart(7), ...words);

const run = await measure(options, say);
const summary = new Summary(run);
const verdicts = targets(summary);
mkdirSync(given.out, { recursive: true });
writeFileSync(join(given.out, "bench.json"), JSON.stringify({ ...run, rows: summary.rows, targets: verdicts }, null, 1));
await writeReport(join(given.out, "bench.html"), summary, verdicts);
console.log(table(summary, verdicts));
console.log(`\nWritten: ${join(given.out, "bench.json")} and bench.html`);
if (summary.failures.length > 0) process.exitCode = 1;
