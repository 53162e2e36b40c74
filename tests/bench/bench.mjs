// The measurements: which cells there are, and in which order, in which browser.
import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { attach, launch, launchFirefox } from "../browser/kit/browser.mjs";
import { serveSite } from "../browser/kit/site.mjs";
import { buildPage } from "./build.mjs";
import { implementations } from "./implementations.mjs";

export const parts = ["cold", "messages", "group", "storage", "memory"];

const patience = 3_600_000; // the longest cell takes minutes
const flags = ["--js-flags=--expose-gc", "--enable-blink-features=ForceEagerMeasureMemory"];
const native = { "security.mls.enabled": true, "dom.origin-trials.mls.state": 1 };
const groupInFirefox = 100;
const atRest = { commits: 100, chunk: 10 };
const coldStarts = 5;

/** Milliseconds until a browser that was just started has done what it does for itself: its own pages load in the meantime, on all cores. */
const settling = 2_500;

/**
 * Measures, and returns all samples. `say` is told how far it has come.
 * Options: peers, browsers and parts, lists of names; suites and sizes, lists of
 * numbers; rounds; messages, how many of them at once; patience, in
 * seconds, for one cell of one of the others.
 */
export async function measure(options, say) {
  const dist = await buildPage();
  const site = new Site(dist);
  await site.start();
  const lock = JSON.parse(readFileSync(fileURLToPath(new URL("package-lock.json", import.meta.url)), "utf8")).packages;
  const version = ({ package: name }) => name && lock[`node_modules/${name}`].version;
  const run = {
    date: new Date().toISOString(),
    cpu: `${cpus().length} x ${cpus()[0].model}`,
    load: { before: loadavg()[0] },
    browsers: {},
    messages: options.messages,
    implementations: options.peers.map((id) => ({ id, version: version(implementations[id]), ...implementations[id] })),
    cells: [],
    leftOut: [],
    cold: [],
    memory: [],
    files: {},
  };
  try {
    for (const browser of options.browsers) await new Measuring(run, site, browser, options, say).all();
    for (const adapter of Object.keys(run.files)) run.files[adapter] = sizes(dist, run.files[adapter]);
  } finally {
    await site.stop();
  }
  run.load.after = loadavg()[0];
  return run;
}

/** The page, cross-origin isolated: for finer clocks, and to be allowed to measure memory. */
class Site {
  requested = [];
  /** Hears of a cold start. */
  took = () => {};

  constructor(dist) {
    this.dist = dist;
  }

  async start() {
    const answer = (path, response) => {
      this.requested.push(path);
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
      const [, loaded, ready] = /^\/took\/([\d.]+)\/([\d.]+)$/.exec(path) ?? [];
      if (ready) {
        response.statusCode = 204;
        response.end();
        this.took({ loaded: Number(loaded), ready: Number(ready) });
        return true;
      }
      const instrumented = /^\/instrumented(\/[\w./-]+)$/.exec(path)?.[1];
      if (!instrumented) return false;
      response.setHeader("Content-Type", "text/javascript");
      response.end(`import "/instrument.js";\nimport "${instrumented}";\n`);
      return true;
    };
    const server = await serveSite(this.dist, { policy: null, answer });
    this.url = server.url;
    this.stop = server.stop;
  }
}

/** Everything in one browser. */
class Measuring {
  constructor(run, site, name, options, say) {
    Object.assign(this, { run, site, name, options, say });
    this.chromium = name === "chromium";
    this.taking = run.implementations.filter(({ browser }) => !browser || browser === name);
  }

  async all() {
    if (this.chromium && this.wants("cold")) await this.cold();
    const more = { protocolTimeout: patience };
    this.browser = await (this.chromium ? launch({ ...more, args: flags }) : launchFirefox({ ...more, extraPrefsFirefox: native }));
    try {
      this.run.browsers[this.name] = await this.browser.version();
      await this.inOnePage();
      if (this.chromium && this.wants("storage")) await this.storage();
      if (this.chromium && this.wants("memory")) await this.memory();
    } finally {
      await this.browser.close();
    }
  }

  wants(part) {
    return this.options.parts.includes(part);
  }

  /** All that takes time, of all implementations in turns. Firefox has it with one size, where its own is at its best. */
  async inOnePage() {
    const page = await this.page();
    const { options } = this;
    for (const suite of this.chromium ? options.suites : options.suites.filter((suite) => suite === 1)) {
      const taking = this.taking.filter(({ suites }) => suites.includes(suite));
      for (const { adapter } of taking) await call(page, "stay", { adapter });
      const inTurns = async (rounds, work) => {
        for (let round = 0; round < rounds; round++) for (const implementation of taking) await work(implementation, round);
      };
      if (this.wants("messages")) {
        await inTurns(options.rounds, (each, round) => this.cell(page, "messages", each, { suite, round }, [options.messages]));
      }
      if (!this.wants("group")) continue;
      const sizes = this.chromium ? options.sizes : [groupInFirefox];
      for (const each of taking) await this.pool(page, each, suite, Math.max(...sizes));
      for (const n of sizes) {
        const large = n > 1000;
        await inTurns(options.rounds, async (each, round) => {
          if (large && round > 0 && !each.ours) return; // minutes each
          if (this.takesTooLong(each, suite, n)) return;
          await this.cell(page, "group", each, { suite, n, round }, [n, large ? 1 : 2]);
        });
      }
    }
    await page.close();
  }

  /**
   * Whether one of the others would take longer than there is patience for, if its time
   * grows as the square of the group; of less than 200 members that says nothing.
   */
  takesTooLong({ id, ours }, suite, n) {
    const before = this.run.cells.findLast((cell) => cell.part === "group" && cell.browser === this.name && cell.id === id && cell.suite === suite && cell.n < n);
    if (ours || !before || before.n < 200 || before.seconds * (n / before.n) ** 2 < this.options.patience) return false;
    this.run.leftOut.push({ browser: this.name, id, suite, n });
    this.say(this.name, "group", `suite ${suite}`, `n ${n}`, id, "left out");
    return true;
  }

  /** What operations store, of those who do, where writing is counted and time is not taken. */
  async storage() {
    for (const each of this.taking.filter(({ stores }) => stores)) {
      const page = await this.page(true);
      await this.pool(page, each, 1, Math.max(...this.options.sizes));
      for (const n of this.options.sizes) await this.cell(page, "storage", each, { suite: 1, n, round: 0 }, [n, 1], "group");
      await page.close();
    }
  }

  /** What a member takes that has joined and processed commits, alone in its page; its host is in another. */
  async memory() {
    const { sizes } = this.options;
    const large = sizes.filter((n) => n >= 1000);
    if (large.length === 0) large.push(Math.max(...sizes));
    for (const each of this.taking.filter(({ variant }) => !variant)) {
      for (const n of each.ours ? large : [Math.min(...large)]) {
        const contexts = [await this.browser.createBrowserContext(), await this.browser.createBrowserContext()];
        const [guest, host] = [await this.page(true, contexts[0]), await this.page(true, contexts[1])];
        const of = { adapter: each.adapter, variant: each.variant, suite: 1 };
        const row = { id: each.id, n, commits: atRest.commits };
        try {
          await call(host, "pool", of, n);
          const keyPackage = await call(guest, "arrive", of);
          row.before = await call(guest, "look");
          await call(guest, "enter", await call(host, "invite", of, n, keyPackage));
          row.joined = await call(guest, "look");
          for (let i = 0; i < atRest.commits; i += atRest.chunk) await call(guest, "guestProcesses", await call(host, "hostCommits", atRest.chunk));
          row.after = await call(guest, "look");
        } catch (error) {
          row.error = error.message;
        }
        this.run.memory.push(row);
        this.say("memory", `n ${n}`, each.id, row.error ?? `${(row.after.wasm / 1e6).toFixed(1)} MB of wasm memory`);
        for (const context of contexts) await context.close();
      }
    }
  }

  /** From the beginning of the navigation to a first client, each time in a new profile. */
  async cold() {
    for (let round = 0; round < coldStarts; round++) {
      for (const { id, adapter } of this.taking.filter(({ variant }) => !variant)) {
        this.site.requested.length = 0;
        const took = await this.coldStart(`${this.site.url}cold/${adapter}/`);
        this.run.cold.push({ id, round, ...took });
        this.run.files[adapter] ??= this.site.requested.filter((path) => /^\/cold\/.*[^/]$/.test(path));
        this.say("cold start", `round ${round}`, id, `${took.ready.toFixed(0)} ms`);
      }
    }
  }

  /**
   * Has a new browser go to a page by itself, and waits for what that tells. Nobody is
   * attached to the browser meanwhile: who is has each worker wait until he has looked at it.
   */
  async coldStart(url) {
    const browser = await launch();
    const endpoint = browser.wsEndpoint();
    const told = new Promise((resolve) => (this.site.took = resolve));
    try {
      const [page] = await browser.pages();
      await page.evaluate((url, ms) => void setTimeout(() => location.assign(url), ms), url, settling);
      await browser.disconnect();
      const took = await Promise.race([told, sleep(60_000, undefined, { ref: false })]);
      if (!took) throw new Error(`${url}: no first client within a minute`);
      return took;
    } finally {
      await (await attach(endpoint)).close();
    }
  }

  /** A page with the scenario, in which nothing else runs. */
  async page(instrumented = false, context = this.browser) {
    const page = await context.newPage();
    page.on("pageerror", (error) => this.say("uncaught in the page:", error.message));
    // On a busy machine a new tab's own first page may come in between.
    do await page.goto(this.site.url);
    while ((await page.evaluate(() => location.href)) !== this.site.url);
    await page.evaluate(async (instrumented) => {
      if (instrumented) await import("/instrument.js");
      globalThis.scenario = await import("/scenario.js");
    }, instrumented);
    return page;
  }

  async pool(page, { id, adapter, variant }, suite, n) {
    await call(page, "pool", { adapter, variant, suite }, n).catch((error) => this.say("key packages", id, error.message));
    this.say("key packages", `suite ${suite}`, id);
  }

  /** Has one implementation carry out one function of scenario.js, and keeps its samples or why it failed. */
  async cell(page, part, { id, adapter, variant, ours }, place, args, name = part) {
    const began = Date.now();
    // Firefox's own cannot populate a tree: there all have the same one.
    const of = { adapter, variant, suite: place.suite, unawaited: ours === true, updatesLast: !this.chromium };
    const result = await call(page, name, of, ...args).catch(({ message }) => ({ error: message }));
    const seconds = (Date.now() - began) / 1000;
    this.run.cells.push({ browser: this.name, part, id, ...place, seconds, load: loadavg()[0], ...result });
    const where = Object.entries(place).map(([key, value]) => `${key} ${value}`);
    this.say(this.name, part, ...where, id, `${seconds.toFixed(1)} s`, result.error ?? "");
  }
}

/** Calls a function of scenario.js in the page, and throws what it throws. */
async function call(page, name, ...args) {
  const inPage = async (name, args) => {
    try {
      return { value: await globalThis.scenario[name](...args) };
    } catch (error) {
      return { error: String(error?.message || error) };
    }
  };
  const { value, error } = await page.evaluate(inPage, name, args);
  if (error !== undefined) throw new Error(error);
  return value;
}

/** The sizes of files that a page loads. */
function sizes(dist, paths) {
  return Object.fromEntries(
    paths.map((path) => {
      const body = readFileSync(join(dist, path));
      const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: body.length };
      return [path, { raw: body.length, brotli: brotliCompressSync(body, { params }).length }];
    }),
  );
}
