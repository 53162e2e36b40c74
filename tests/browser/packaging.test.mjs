// What npm publishes: which files, how large, and whether tools and compilers
// find their way in it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { brotliCompressSync } from "node:zlib";
import { bin, pack, Workshop } from "./kit/package.mjs";
import { root } from "./kit/paths.mjs";
import { filesIn } from "./kit/search.mjs";

const run = promisify(execFile);

/** Bytes of JavaScript, after brotli, that a page loads that imports nothing but "webmls": 25 kB of 1,024 bytes, as the megabyte of the program is of 1,024 of these. */
const budget = 25 * 1024;

describe("the package", { timeout: 110_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "webmls-package-"));
  let packed, workshop;

  before(() => {
    packed = pack(folder);
    workshop = new Workshop();
  });

  after(() => {
    rmSync(folder, { recursive: true, force: true });
    workshop?.remove();
  });

  const dist = (file) => readFileSync(join(root, "js/dist", file), "utf8");

  /** A module of dist and all that it imports. */
  function closure(file, found = new Set()) {
    if (found.has(file)) return found;
    found.add(file);
    for (const [, imported] of dist(file).matchAll(/(?:from|import) ?"\.\/([^"]+)"/g)) closure(imported, found);
    return found;
  }

  test("holds the modules, their types and maps, the programs, and nothing else", () => {
    const { exports } = JSON.parse(readFileSync(join(root, "js/package.json"), "utf8"));
    const exported = Object.values(exports).flatMap((target) => (typeof target === "string" ? target : Object.values(target)));
    const [modules, types, maps, others] = [[], [], [], []];
    for (const file of packed.files) {
      if (/^dist\/[\w-]+\.js$/.test(file)) modules.push(file);
      else if (/^dist\/.*\.d\.ts$/.test(file)) types.push(file);
      else if (/^dist\/[\w-]+\.js\.map$/.test(file)) maps.push(file);
      else others.push(file);
    }
    assert.deepEqual(others, ["LICENSE", "README.md", "THIRD-PARTY-LICENSES", "dist/webmls.wasm", "dist/x509.wasm", "package.json"]);
    const sources = filesIn(join(root, "js/src")).filter((file) => !file.endsWith(".d.ts"));
    assert.deepEqual(types, sources.map((file) => `dist/${relative(join(root, "js/src"), file).replace(/\.ts$/, ".d.ts")}`).sort());
    assert.deepEqual(maps, modules.map((file) => `${file}.map`));
    for (const file of exported) assert.ok(packed.files.includes(file.slice("./".length)), `${file} is exported, and missing`);
    // A module is exported, or shared by those that are.
    const used = new Set(exported.filter((file) => file.endsWith(".js")).flatMap((file) => [...closure(file.slice("./dist/".length))]));
    assert.deepEqual(modules.map((file) => file.slice("dist/".length)), [...used].sort());
  });

  test("has maps that lead to the sources, which they hold", () => {
    for (const file of packed.files.filter((file) => file.endsWith(".js.map"))) {
      const map = JSON.parse(readFileSync(join(root, "js", file), "utf8"));
      assert.equal(map.sourcesContent?.length, map.sources.length, file);
      map.sources.forEach((source, i) => {
        const goroot = /^goroot:/.test(source);
        assert.ok(goroot || /^\.\.\/src\/[\w/-]+\.ts$/.test(source), `${file}: ${source}`);
        if (!goroot) assert.equal(map.sourcesContent[i], readFileSync(join(root, "js", dirname(file), source), "utf8"), `${file}: ${source}`);
      });
      assert.match(dist(file.slice("dist/".length, -".map".length)), /\n\/\/# sourceMappingURL=[\w-]+\.js\.map\n$/);
    }
  });

  test(`makes a page load at most ${budget} bytes of JavaScript`, (t) => {
    const files = [...new Set([...closure("index.js"), ...closure("worker.js")])];
    const sizes = files.map((file) => brotliCompressSync(dist(file)).length);
    const sum = sizes.reduce((a, b) => a + b);
    t.diagnostic(`${sum} bytes after brotli: ${files.map((file, i) => `${file} ${sizes[i]}`).join(", ")}`);
    assert.ok(sum <= budget, `${sum} bytes`);
  });

  test("is as publint wants it", async () => {
    const { publint } = await import("publint");
    const { formatMessage } = await import("publint/utils");
    const { messages, pkg } = await publint({ pkgDir: workshop.installed("publint"), strict: true, pack: false });
    assert.deepEqual(messages.map((message) => formatMessage(message, pkg, { color: false })), []);
  });

  // The package is modules alone: that `require` cannot have them is meant.
  test("has types that TypeScript resolves as the runtimes resolve the modules", async () => {
    const flags = ["--profile", "esm-only", "--no-definitely-typed", "--no-color", "--exclude-entrypoints", "./webmls.wasm", "./x509.wasm"];
    await run(bin("attw"), [packed.tarball, ...flags]).catch(({ stdout }) => assert.fail(stdout));
  });

  // An app that is rendered on a server imports it there.
  test("can be imported where there is no browser, and says so when it is used", async () => {
    const app = workshop.app("server");
    const script = `
      import { InternalError, MLS } from "webmls";
      import "webmls/x509";
      import "webmls/sync";
      const error = await MLS.open({ database: "alice", authenticate: () => true }).catch((error) => error);
      console.log(error instanceof InternalError, error.code);`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script], { cwd: app });
    assert.equal(stdout, "true INSTANCE_FAILED\n");
  });

  test("compiles in a strict app that checks the types of its packages", async () => {
    const app = workshop.app("typescript");
    writeFileSync(
      join(app, "app.ts"),
      `import { MLS, MLSError, type Group } from "webmls";
       import { x509Authenticator } from "webmls/x509";
       import { sync, type GroupSync, type Transport } from "webmls/sync";
       export async function greet(): Promise<Group> {
         const mls = await MLS.open({ database: "alice", ...(await x509Authenticator({ roots: ["pem"] })) });
         return mls.createGroup(await mls.createIdentity("alice"));
       }
       export const live = async (transport: Transport): Promise<GroupSync> => sync(await greet(), transport, { database: "alice" });
       export const isMLS = (error: unknown): error is MLSError => error instanceof MLSError;
       // @ts-expect-error: a database has a name
       void MLS.open({ authenticate: () => true });
      `,
    );
    for (const module of ["nodenext", "esnext"]) {
      const resolution = module === "nodenext" ? "nodenext" : "bundler";
      const flags = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--types", "", "--module", module, "--moduleResolution", resolution];
      await run(join(root, "js/node_modules/.bin/tsc"), [...flags, "app.ts"], { cwd: app }).catch(({ stdout }) => assert.fail(stdout));
    }
  });
});
