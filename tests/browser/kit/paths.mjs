// Where things are in the repository.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
export const artifacts = join(root, "tests/browser/artifacts");

/** A folder that the build makes. */
export function built(path) {
  const folder = join(root, path);
  if (!existsSync(join(folder, "webmls.wasm"))) throw new Error(`${path} is not built: run make build`);
  return folder;
}
