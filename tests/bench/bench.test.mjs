// That the benchmark works: a small run, whose self-checks hold and whose reports
// have what they must. No time is judged.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "../browser/kit/browser.mjs";
import { median, operations, Summary } from "./summary.mjs";
import { targets } from "./targets.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));

describe("a small run", { timeout: 300_000 }, () => {
  let folder, printed, written;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "webmls-bench-"));
    const options = ["--browsers", "chromium", "--peers", "webmls,webmls-memory,ts-mls-2", "--suites", "1", "--sizes", "10", "--rounds", "1", "--messages", "100", "--only", "messages,group,storage,cold", "--out", folder];
    printed = execFileSync(process.execPath, ["run.mjs", ...options], { cwd: here, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
    written = JSON.parse(readFileSync(join(folder, "bench.json"), "utf8"));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  test("every cell passes its self-checks and has samples", () => {
    assert.deepEqual(written.cells.map(({ part, id, error }) => [part, id, error]), [
      ["messages", "webmls", undefined],
      ["messages", "webmls-memory", undefined],
      ["messages", "ts-mls-2", undefined],
      ["group", "webmls", undefined],
      ["group", "webmls-memory", undefined],
      ["group", "ts-mls-2", undefined],
      ["storage", "webmls", undefined],
    ]);
    for (const { samples } of written.cells) assert.ok(Object.values(samples).every((list) => list.length > 0));
  });

  test("WebMLS does every operation, and the other all but those that it lacks", () => {
    const of = (id) => written.rows.filter(({ of }) => of[id]?.ms > 0).map(({ operation }) => operation);
    assert.deepEqual(of("webmls").sort(), Object.keys(operations).sort());
    assert.deepEqual(Object.keys(operations).filter((operation) => !of("webmls-memory").includes(operation)), ["reopen"]);
    assert.deepEqual(Object.keys(operations).filter((operation) => !of("ts-mls-2").includes(operation)), ["acknowledge", "unawaitedEncrypt", "unawaitedDecrypt", "batchEncrypt", "batchDecrypt"]);
  });

  test("what is stored is counted", () => {
    const stored = (operation) => written.rows.find((row) => row.n === 10 && row.operation === operation).of.webmls.stored;
    assert.equal(stored("exportSecret"), 0);
    assert.ok(stored("encrypt") > 100 && stored("add") > stored("encrypt"), `${stored("encrypt")}, ${stored("add")}`);
  });

  test("each is started anew, and its files are weighed", () => {
    const starts = (id) => written.cold.filter((start) => start.id === id && start.ready > 0).length;
    assert.deepEqual([starts("webmls"), starts("webmls-memory"), starts("ts-mls-2")], [5, 0, 5]);
    const files = Object.values(written.files).flatMap((of) => Object.entries(of));
    assert.ok(files.some(([path]) => path.endsWith("/webmls.wasm")) && files.some(([path]) => path.includes("/ts-mls-2/")), JSON.stringify(files));
    assert.ok(files.every(([, { raw, brotli }]) => raw > brotli && brotli > 0));
  });

  test("the table has all rows and targets", () => {
    for (const name of [...Object.values(operations), ...written.targets.map(({ name }) => name)]) assert.ok(printed.includes(name), name);
    assert.doesNotMatch(printed, /NaN|undefined/);
  });

  test("the report draws itself, and loads nothing", async () => {
    const browser = await launch();
    try {
      const page = await browser.newPage();
      const faults = [];
      page.on("pageerror", (error) => faults.push(error.message));
      page.on("request", (request) => /^(file|data):/.test(request.url()) || faults.push(request.url()));
      await page.goto(`file://${join(folder, "bench.html")}`);
      const drawn = await page.evaluate(() => ({
        targets: document.querySelectorAll("#targets tr").length - 1,
        charts: [...document.querySelectorAll("canvas")].map((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0)),
      }));
      assert.deepEqual(faults, []);
      assert.equal(drawn.targets, written.targets.length);
      assert.ok(drawn.charts.length > Object.keys(operations).length);
      assert.ok(drawn.charts.every(Boolean));
    } finally {
      await browser.close();
    }
  });
});

test("medians", () => {
  assert.deepEqual([median([]), median([3]), median([10, 2, 3]), median([4, 1, 2, 30])], [undefined, 3, 3, 3]);
});

test("targets say whether they hold, are missed or were not measured", () => {
  const implementations = [{ id: "webmls", ours: true }, { id: "core-crypto" }, { id: "ts-mls-2" }];
  const cell = (id, samples) => ({ browser: "chromium", part: "group", id, suite: 1, n: 1000, samples });
  const cells = [
    cell("webmls", { add: [[26, 0, 0]], join: [[56, 80, 0]] }),
    cell("core-crypto", { add: [[300, 0, 0]], join: [[100, 0, 0]] }),
    cell("ts-mls-2", { add: [[100, 0, 0]], join: [[200, 0, 0]] }),
  ];
  const list = targets(new Summary({ implementations, cells, cold: [], memory: [], files: {}, browsers: {}, messages: 1 }));
  const holds = (name) => list.find((target) => target.name.startsWith(name)).holds;
  assert.deepEqual(["suite 1, n 1000: add n", "suite 1, n 1000: join", "suite 1, n 1000: remove", "longest task", "wasm after"].map(holds), [true, false, undefined, false, undefined]);
});
