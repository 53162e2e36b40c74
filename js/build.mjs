// Builds dist/: index.js and worker.js by esbuild, the types by tsc. The
// Makefile puts webmls.wasm and wasm_exec.js beside them; make build-js does all.
import { execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

for (const file of readdirSync(here("dist"))) {
  if (!["webmls.wasm", "wasm_exec.js"].includes(file)) rmSync(here(`dist/${file}`), { recursive: true });
}
await build({
  entryPoints: [here("src/index.ts"), here("src/worker.ts")],
  outdir: here("dist"),
  bundle: true,
  format: "esm",
  target: "es2022",
  minifySyntax: true,
  sourcemap: true,
  external: ["./wasm_exec.js"],
  logLevel: "warning",
});
execFileSync(here("node_modules/.bin/tsc"), ["-p", here("."), "--emitDeclarationOnly"], { stdio: "inherit" });
