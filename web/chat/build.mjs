// Builds the chat into dist/: the page, its bundle and that of the worker of
// webmls, and the WebAssembly program.
import { cp, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const webmls = join(here, "../../js/dist");

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: [
    { in: "src/main.tsx", out: "app" },
    { in: join(webmls, "worker.js"), out: "worker" },
    { in: "style/app.css", out: "app" },
  ],
  outdir: dist,
  bundle: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  sourcemap: true,
  logLevel: "warning",
  // webmls is bundled already: imports of its parts that only order them have nothing to do.
  logOverride: { "ignored-bare-import": "silent" },
});
for (const [from, to] of [
  [join(here, "index.html"), "index.html"],
  [join(here, "icon.svg"), "icon.svg"],
  // import.meta.url of the bundle is app.js, so webmls looks for this, and for worker.js, beside it.
  [join(webmls, "webmls.wasm"), "webmls.wasm"],
]) {
  await cp(from, join(dist, to));
}
