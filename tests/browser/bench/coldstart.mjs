// How long it takes until a client is open, where nothing of the package has run
// before: in a page, in its worker and in place, and in the service worker of an
// extension. The median of 10, in milliseconds: node bench/coldstart.mjs
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "../kit/bare.mjs";
import { launch } from "../kit/browser.mjs";
import { built } from "../kit/paths.mjs";

const runs = 10;
const fixtures = fileURLToPath(new URL("../fixtures", import.meta.url));

/** The median of each column. */
function report(name, rows) {
  const columns = Object.keys(rows[0]).map((column) => {
    const sorted = rows.map((row) => row[column]).sort((a, b) => a - b);
    const median = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
    return `${column} ${median.toFixed(0)}`;
  });
  console.log(`${name}: ${columns.join(", ")}`);
}

/** On a page: loads the modules, opens a client, makes an identity and a group; then opens another client. */
async function start(thread) {
  const began = performance.now();
  const { MLS } = await import("/webmls/index.js");
  const loaded = performance.now();
  const mls = await MLS.open({ database: "alice", authenticate: () => true, thread });
  const opened = performance.now();
  await mls.createGroup(await mls.createIdentity("alice"));
  const grouped = performance.now();
  await MLS.open({ database: "bob", authenticate: () => true, thread });
  const again = performance.now();
  return { modules: loaded - began, open: opened - loaded, "identity and group": grouped - opened, "open another": again - grouped };
}

async function inPages(thread) {
  const server = await serve(built("js/dist"));
  const [cold, warm] = [[], []];
  try {
    for (let i = 0; i < runs; i++) {
      const browser = await launch(); // nothing is cached, nothing compiled
      try {
        const page = await browser.newPage();
        await page.goto(server.url);
        cold.push(await page.evaluate(start, thread));
        await page.reload();
        warm.push(await page.evaluate(start, thread));
      } finally {
        await browser.close();
      }
    }
  } finally {
    await server.stop();
  }
  report(`page, thread "${thread}", first visit`, cold);
  report(`page, thread "${thread}", reload`, warm);
}

async function inServiceWorkers() {
  const folder = mkdtempSync(join(tmpdir(), "webmls-bench-"));
  cpSync(join(fixtures, "extension"), folder, { recursive: true });
  cpSync(join(fixtures, "app/src/talk.js"), join(folder, "talk.js"));
  cpSync(built("js/dist"), join(folder, "webmls"), { recursive: true });
  const browser = await launch({ enableExtensions: true, pipe: true });
  const rows = [];
  try {
    const id = await browser.installExtension(folder);
    const page = await browser.newPage();
    await page.goto(`chrome-extension://${id}/popup.html`);
    for (let i = 0; i < runs; i++) {
      const target = await browser.waitForTarget((target) => target.type() === "service_worker" && target.url().includes(id));
      const gone = new Promise((resolve) => browser.on("targetdestroyed", (destroyed) => destroyed === target && resolve()));
      await (await target.worker()).close();
      await gone;
      rows.push(
        await page.evaluate(async () => {
          const began = performance.now();
          const { started, open } = await globalThis.app.there("start", "bench");
          return { "from its start to the call": started, open, "as the page sees it": performance.now() - began };
        }),
      );
    }
  } finally {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  }
  report("service worker, woken by a message", rows);
}

await inPages("worker");
await inPages("current");
await inServiceWorkers();
