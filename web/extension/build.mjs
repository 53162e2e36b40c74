// Builds the extension into dist/, which a browser loads as it is: the service
// worker with webmls in it, the popup, the frames that are shown in pages, the
// content script, and the WebAssembly program.
import { cp, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");

const options = {
  absWorkingDir: here,
  outdir: dist,
  bundle: true,
  target: "es2022",
  minify: true,
  jsx: "automatic",
  jsxImportSource: "preact",
  logLevel: "warning",
  // The chunks of webmls are imported for what they export, and for nothing else.
  logOverride: { "ignored-bare-import": "silent" },
};

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
await build({
  ...options,
  format: "esm",
  entryPoints: [
    { in: "src/worker/main.ts", out: "worker" },
    { in: "src/popup/main.tsx", out: "popup" },
    { in: "src/compose/main.tsx", out: "compose" },
    { in: "src/reader/main.tsx", out: "reader" },
    { in: "style/popup.css", out: "popup" },
    { in: "style/compose.css", out: "compose" },
    { in: "style/reader.css", out: "reader" },
    { in: "style/content.css", out: "content" },
  ],
});
// A content script is no module.
await build({ ...options, format: "iife", entryPoints: [{ in: "src/content/main.ts", out: "content" }] });
for (const file of ["manifest.json", "popup.html", "compose.html", "reader.html", "icons"]) await cp(join(here, file), join(dist, file), { recursive: true });
// import.meta.url of the service worker is worker.js, so webmls looks for this beside it.
await cp(join(here, "../../js/dist/webmls.wasm"), join(dist, "webmls.wasm"));
