// The package as it is published: packed by npm, and installed from the tarball.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { built, root } from "./paths.mjs";

const here = fileURLToPath(new URL("..", import.meta.url));

/** npm, without its network. */
function npm(folder, ...args) {
  const environment = { ...process.env, npm_config_offline: "true", npm_config_loglevel: "error", npm_config_audit: "false", npm_config_fund: "false" };
  return execFileSync("npm", args, { cwd: folder, env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

/** Packs webmls into a folder. Returns the tarball's path and the files that it holds. */
export function pack(folder) {
  built("js/dist");
  const [{ filename, files }] = JSON.parse(npm(join(root, "js"), "pack", "--json", "--pack-destination", folder));
  return { tarball: join(folder, filename), files: files.map(({ path }) => path).sort() };
}

/**
 * A folder of apps, each a copy of fixtures/app that has installed webmls from its
 * tarball. The bundlers, which such an app has as well, are those of these tests.
 */
export class Workshop {
  #folder = mkdtempSync(join(tmpdir(), "webmls-apps-"));
  #packed;

  /** Makes an app. What it needs beside webmls is linked. */
  app(name, ...linked) {
    this.#packed ??= pack(this.#folder);
    const app = join(this.#folder, name);
    cpSync(join(here, "fixtures/app"), app, { recursive: true });
    writeFileSync(join(app, "package.json"), JSON.stringify({ name, private: true, type: "module" }));
    npm(app, "install", "--no-package-lock", this.#packed.tarball);
    for (const dependency of linked) symlinkSync(join(here, "node_modules", dependency), join(app, "node_modules", dependency));
    return app;
  }

  /** Makes an app, and returns where webmls is in it. */
  installed(name) {
    return join(this.app(name), "node_modules/webmls");
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The program of a package that these tests depend on. */
export const bin = (name) => join(here, "node_modules/.bin", name);
