// Builds dist/: index.js, x509.js and their workers by esbuild, the types by tsc.
// The Makefile puts the .wasm files and wasm_exec.js beside them; make build-js does all.
import { execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

for (const file of readdirSync(here("dist"))) {
  if (!["webmls.wasm", "x509.wasm", "wasm_exec.js"].includes(file)) rmSync(here(`dist/${file}`), { recursive: true });
}
const options = {
  outdir: here("dist"),
  bundle: true,
  format: "esm",
  target: "es2022",
  minifySyntax: true,
  sourcemap: true,
  external: ["./wasm_exec.js"],
  logLevel: "warning",
};
await build({ ...options, entryPoints: ["src/index.ts", "src/worker.ts", "src/x509-worker.ts"].map(here) });
// x509.js has its errors from index.js, so that instanceof knows them.
const errorsOfIndex = {
  name: "errors of index.js",
  setup: (build) => build.onResolve({ filter: /\/errors\.js$/ }, () => ({ path: "./index.js", external: true })),
};
await build({ ...options, entryPoints: [here("src/x509.ts")], plugins: [errorsOfIndex] });
execFileSync(here("node_modules/.bin/tsc"), ["-p", here("."), "--emitDeclarationOnly"], { stdio: "inherit" });
