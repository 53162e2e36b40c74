// The real delivery service, as a child process with a data folder of its own.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "./paths.mjs";

const startTime = 30_000;

/** The service's program: DELIVERY, or bin/delivery, which is built when it is missing. */
function program() {
  if (process.env.DELIVERY) return process.env.DELIVERY;
  const path = join(root, "bin/delivery");
  if (!existsSync(path)) {
    const built = spawnSync("go", ["build", "-o", path, "."], { cwd: join(root, "web/delivery"), stdio: "inherit" });
    if (built.status !== 0) throw new Error("the delivery service could not be built");
  }
  return path;
}

export class Service {
  /** Starts the service on a free port, serving a folder. */
  static async start(folder) {
    const service = new Service();
    service.data = mkdtempSync(join(tmpdir(), "webmls-delivery-"));
    service.log = [];
    service.child = spawn(program(), ["-listen", "127.0.0.1:0", "-data", service.data, "-static", folder], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    service.exited = new Promise((resolve) => service.child.once("exit", resolve));
    process.once("exit", service.kill);
    service.url = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the service did not start:\n${service.log.join("\n")}`)), startTime);
      service.exited.then((code) => reject(new Error(`the service ended with ${code}:\n${service.log.join("\n")}`)));
      createInterface({ input: service.child.stderr }).on("line", (line) => {
        service.log.push(line);
        const found = /msg=listening address=(\S+)/.exec(line);
        if (found) {
          clearTimeout(timer);
          resolve(`${found[1]}/`);
        }
      });
    });
    return service;
  }

  /** Stops the process as it is, so that it answers nothing and closes nothing. */
  freeze() {
    this.child.kill("SIGSTOP");
  }

  thaw() {
    this.child.kill("SIGCONT");
  }

  /** Ends the process in good order, so that all it stores is on the disk. */
  async stop() {
    this.thaw();
    this.child.kill("SIGTERM");
    const timer = setTimeout(this.kill, 15_000);
    await this.exited;
    clearTimeout(timer);
    process.removeListener("exit", this.kill);
  }

  /** Removes the data folder. */
  clear() {
    rmSync(this.data, { recursive: true, force: true });
  }

  kill = () => {
    this.child.kill("SIGKILL");
  };
}
