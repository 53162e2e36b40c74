// Builds dist/: the modules by esbuild, the types by tsc. The Makefile puts the
// .wasm files beside them; make build-js does all.
import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { minify } from "terser";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

for (const file of readdirSync(here("dist"))) {
  if (!file.endsWith(".wasm")) rmSync(here(`dist/${file}`), { recursive: true });
}

/** What the go command prints, asked about the programs. */
const go = (...args) => execFileSync("go", args, { cwd: here(".."), env: { ...process.env, GOOS: "js", GOARCH: "wasm" }, encoding: "utf8" }).trim();

// Go's glue, of the Go that compiles the programs, by a name that is the same on every machine.
const goroot = go("env", "GOROOT");
const glue = {
  name: "wasm_exec.js of GOROOT",
  setup(build) {
    build.onResolve({ filter: /^wasm_exec$/ }, () => ({ path: "wasm_exec.js", namespace: "goroot" }));
    build.onLoad({ filter: /.*/, namespace: "goroot" }, () => ({ contents: readFileSync(join(goroot, "lib/wasm/wasm_exec.js")) }));
  },
};

const options = {
  absWorkingDir: here("."),
  outdir: "dist",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: true,
  plugins: [glue],
  logLevel: "warning",
};
// The worker is one file, so that nothing is waited for once it has come; what the
// page shares with it, the classes of errors above all, the page imports from there.
const { metafile } = await build({ ...options, entryPoints: ["src/worker.ts", "src/x509-worker.ts"], metafile: true });
const held = new Set(Object.keys(metafile.outputs["dist/worker.js"].inputs).map((source) => join(here("."), source)));
const worker = {
  name: "what worker.js holds",
  setup(build) {
    build.onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
      const source = join(resolveDir, path).replace(/\.js$/, ".ts");
      return held.has(source) ? { path: "./worker.js", external: true } : undefined;
    });
  },
};
await build({ ...options, entryPoints: ["src/index.ts", "src/x509.ts"], plugins: [worker] });
for (const page of ["index", "x509"]) await import(here(`dist/${page}.js`)); // throws where worker.js lacks what it takes from there
// It needs only types of the others.
await build({ ...options, entryPoints: ["src/sync.ts"] });
// It stands on what everybody can import.
const index = {
  name: "index.js as it is",
  setup(build) {
    build.onResolve({ filter: /\/index\.js$/ }, () => ({ path: "./index.js", external: true }));
  },
};
await build({ ...options, entryPoints: ["src/polyfill.ts"], plugins: [...options.plugins, index] });
// Terser looks at whole functions, several times over: another 3% less than esbuild leaves.
for (const file of readdirSync(here("dist")).filter((file) => file.endsWith(".js"))) {
  const path = here(`dist/${file}`);
  const { code, map } = await minify(readFileSync(path, "utf8"), {
    module: true,
    ecma: 2020,
    compress: { ecma: 2020, passes: 3 },
    sourceMap: { content: readFileSync(`${path}.map`, "utf8"), url: `${file}.map` },
  });
  writeFileSync(path, `${code}\n`);
  writeFileSync(`${path}.map`, map);
}
execFileSync(here("node_modules/.bin/tsc"), ["-p", here("."), "--emitDeclarationOnly"], { stdio: "inherit" });

// What the package holds of others' comes with their licenses.
copyFileSync(here("../LICENSE"), here("LICENSE"));
const module = "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}";
const linked = new Set(go("list", "-deps", "-f", module, "./wasm", "./wasm/x509").split("\n").filter(Boolean));
const parts = [`Go ${go("env", "GOVERSION").slice("go".length)}\t${goroot}`, ...linked].map((part) => part.split("\t"));
writeFileSync(
  here("THIRD-PARTY-LICENSES"),
  parts.map(([name, folder]) => `${name}\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}\n`).join(`\n${"-".repeat(72)}\n\n`),
);
