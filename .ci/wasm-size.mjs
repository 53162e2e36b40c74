// Prints the size of a wasm file, raw and compressed, and fails when brotli
// leaves more than the budget, if one is given: node wasm-size.mjs <file> [<budget in bytes>].
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const [file, budget] = process.argv.slice(2);
const wasm = readFileSync(file);

// Brotli at its best takes seconds: the last result of each file is kept, with the file's hash.
const cache = new URL("../.cache/wasm-size.json", import.meta.url);
const hash = createHash("sha256").update(wasm).digest("hex");
let sizes = {};
try {
  sizes = JSON.parse(readFileSync(cache, "utf8"));
} catch {
  // No result yet.
}
let size = sizes[file];
if (size?.hash !== hash) {
  // As the brotli command does it: its window, which every browser takes, holds the whole file.
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: wasm.length };
  size = {
    hash,
    raw: wasm.length,
    gzip: gzipSync(wasm, { level: 9 }).length,
    brotli: brotliCompressSync(wasm, { params }).length,
  };
  mkdirSync(new URL(".", cache), { recursive: true });
  writeFileSync(cache, JSON.stringify({ ...sizes, [file]: size }));
}

const mb = (bytes) => `${(bytes / 2 ** 20).toFixed(3)} MB`;
console.log(`${file}: ${mb(size.raw)} raw, ${mb(size.gzip)} gzip -9, ${mb(size.brotli)} brotli -q 11${budget ? ` (budget ${mb(budget)})` : ""}`);
if (budget && size.brotli > Number(budget)) {
  console.error(`${file} is ${size.brotli - budget} bytes over the budget`);
  process.exit(1);
}
