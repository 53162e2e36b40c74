// A module of the package by itself, for tests of what the package does not export.
import { join } from "node:path";
import { createRequire } from "node:module";
import { root } from "./paths.mjs";

/** Bundles modules of js/src, by path, into one script that exports what they export. */
export async function bundle(...modules) {
  const { build } = createRequire(join(root, "js/package.json"))("esbuild");
  const contents = modules.map((module) => `export * from "./${module}";`).join("\n");
  const result = await build({ stdin: { contents, resolveDir: join(root, "js/src"), loader: "ts" }, bundle: true, format: "esm", target: "es2022", write: false });
  return result.outputFiles[0].text;
}
