// Measures all implementations in one page, and prints, writes and draws what came of it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch } from "../browser/kit/browser.mjs";
import { serveSite } from "../browser/kit/site.mjs";
import { buildPage } from "./build.mjs";
import { implementations } from "./implementations.mjs";
import { table } from "./table.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const list = (text) => text.split(",").map((item) => item.trim()).filter(Boolean);

const { values: options } = parseArgs({
  options: {
    peers: { type: "string", default: Object.keys(implementations).join() },
    suites: { type: "string", default: "1,2" },
    sizes: { type: "string", default: "10,100,250,1000,4000" },
    only: { type: "string", default: "messages,group" },
    rounds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    out: { type: "string", default: here("results") },
  },
});
const sizes = list(options.quick ? "10,100" : options.sizes).map(Number);
const suites = list(options.suites).map(Number);
const parts = list(options.only);
const rounds = options.quick ? 1 : Number(options.rounds);
const started = Date.now();
const say = (...words) => console.error(`${((Date.now() - started) / 1000).toFixed(0).padStart(5)} s `, ...words);

const isolated = (path, response) => {
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
  return false;
};
const server = await serveSite(await buildPage(), { policy: null, answer: isolated });
const browser = await launch({ protocolTimeout: 3_600_000, args: ["--js-flags=--expose-gc"] });
const results = {
  date: new Date().toISOString(),
  browser: await browser.version(),
  cpu: `${cpus().length} x ${cpus()[0].model}`,
  load: [loadavg()[0]],
  implementations: list(options.peers).map((id) => ({ id, ...implementations[id] })),
  cells: [],
};
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => say("uncaught in the page:", error.message));
  await page.goto(server.url);
  await page.evaluate(async () => (globalThis.scenario = await import("/scenario.js")));
  /** Runs a function of scenario.js in the page. */
  const call = (name, ...args) =>
    page.evaluate(
      async (name, args) => {
        try {
          return await globalThis.scenario[name](...args);
        } catch (error) {
          const details = JSON.stringify(error, (key, value) => (typeof value === "bigint" ? String(value) : value));
          return { error: `${error?.message ?? error} ${details ?? ""}`.slice(0, 500) };
        }
      },
      name,
      args,
    );
  const cell = async (part, implementation, suite, round, rest, ...args) => {
    const { id, adapter, variant, ours } = implementation;
    const began = Date.now();
    const result = await call(part, { adapter, variant, suite, unawaited: ours }, ...args);
    results.cells.push({ part, id, suite, round, ...rest, load: loadavg()[0], ...result });
    say(part, `suite ${suite}`, JSON.stringify(rest), `round ${round}`, id, `${Date.now() - began} ms`, result.error ?? "");
  };
  for (const suite of suites) {
    const taking = results.implementations.filter((implementation) => implementation.suites.includes(suite));
    for (const { id, adapter, variant } of parts.includes("group") ? taking : []) {
      const result = await call("pool", { adapter, variant, suite }, Math.max(...sizes));
      say("key packages", `suite ${suite}`, id, result?.error ?? "");
    }
    if (parts.includes("messages")) {
      for (let round = 0; round < rounds; round++) for (const each of taking) await cell("messages", each, suite, round, {}, 1000);
    }
    for (const n of parts.includes("group") ? sizes : []) {
      for (let round = 0; round < rounds; round++) for (const each of taking) await cell("group", each, suite, round, { n }, n, n > 1000 ? 1 : 2);
    }
  }
} finally {
  await browser.close();
  await server.stop();
}
results.load.push(loadavg()[0]);
mkdirSync(options.out, { recursive: true });
writeFileSync(`${options.out}/bench.json`, JSON.stringify(results));
console.log(table(results));
