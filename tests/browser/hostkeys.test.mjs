// The contract of suite.Keys, and a benchmark on demand, in Firefox: the wasm
// tests of wasm/hostkeys, which `make test-wasm` runs in Chromium.
//
//   BENCH=. node --test hostkeys.test.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { launchFirefox, Watched } from "./kit/browser.mjs";
import { root } from "./kit/paths.mjs";
import { serveSite } from "./kit/site.mjs";

describe("wasm/hostkeys in Firefox", { timeout: 600_000 }, () => {
  let folder, server, browser;

  before(async () => {
    execFileSync("make", ["-s", "wasm/hostkeys/hostkeystest/bundle/host.js"], { cwd: root, stdio: "inherit" });
    folder = mkdtempSync(join(tmpdir(), "webmls-hostkeys-"));
    const go = (...args) => execFileSync("go", args, { cwd: root, encoding: "utf8", env: { ...process.env, GOOS: "js", GOARCH: "wasm" } });
    go("test", "-c", "-o", join(folder, "test.wasm"), "./wasm/hostkeys");
    cpSync(join(go("env", "GOROOT").trim(), "lib/wasm/wasm_exec.js"), join(folder, "wasm_exec.js"));
    writeFileSync(join(folder, "index.html"), '<!doctype html><title>tests</title><link rel="icon" href="data:,"><script src="wasm_exec.js"></script>');
    server = await serveSite(folder, { policy: "" }); // the tests evaluate scripts
    browser = await launchFirefox({ protocolTimeout: 580_000 });
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  test("all tests pass", async () => {
    const watched = await Watched.open(await browser.createBrowserContext(), "page");
    await watched.page.goto(server.url);
    const flags = process.env.BENCH
      ? ["-test.run=^$", `-test.bench=${process.env.BENCH}`, "-test.benchtime=300ms"]
      : ["-test.run=^Test/^browser$", "-test.v"];
    const code = await page(watched, flags);
    const output = watched.console.map((line) => line.replace(/^log: (.*) \(.*\)$/s, "$1"));
    if (process.env.BENCH) console.log(output.join("\n"));
    assert.equal(code, 0, output.join("\n"));
    if (!process.env.BENCH) {
      for (const name of ["TestKeys/browser/Ed25519", "TestKeys/browser/ECDSA", "TestKeys/browser/BadPublicKeys", "TestX25519Encodings"]) {
        assert.ok(output.some((line) => line.includes(`--- PASS: ${name} `)), `${name} passed in\n${output.join("\n")}`);
      }
    }
  });
});

/** Runs the test binary and returns its exit code. */
function page(watched, flags) {
  return watched.page.evaluate(async (flags) => {
    const go = new globalThis.Go();
    go.argv = ["hostkeys.test", ...flags];
    go.env = { CI: "true" };
    let code;
    go.exit = (c) => (code = c);
    const { instance } = await WebAssembly.instantiateStreaming(fetch("test.wasm"), go.importObject);
    await go.run(instance);
    return code;
  }, flags);
}
