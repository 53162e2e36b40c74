/**
 * Programs in Go: in which thread one runs, where its file is, loading it by what
 * the server says that it is, running it, and hearing of its end, whatever that is. What the program and the page
 * have to say to each other is the business of runtime.ts and x509-program.ts.
 */
import { describe } from "./errors.js";

/** Go's own glue: wasm_exec.js of GOROOT, as it stands. It is in the bundle, and evaluated here. */
declare function require(glue: "wasm_exec"): unknown;

let glue: (new () => Go) | undefined;

/**
 * Evaluates Go's glue, once. It leaves properties on `globalThis`. All but `fs`,
 * to which a program writes what it has to say before it dies, are taken off
 * again: a page whose libraries look for `process` must not take itself for
 * Node, and another Go program on the page keeps the glue of its own version.
 */
function loadGlue(): new () => Go {
  if (glue) return glue;
  const names = ["Go", "path", "process"];
  const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
  require("wasm_exec");
  const found = globalThis.Go;
  names.forEach((name, i) => {
    const property = before[i];
    if (property) Object.defineProperty(globalThis, name, property);
    else Reflect.deleteProperty(globalThis, name);
  });
  return (glue = found);
}

/** A program in Go. It has memory of its own, which goes when the last reference to this goes. */
export class GoProgram {
  readonly #go: Go;
  readonly #instance: WebAssembly.Instance;
  #ended: ((detail: string) => void) | undefined;

  private constructor(go: Go, instance: WebAssembly.Instance) {
    this.#go = go;
    this.#instance = instance;
  }

  /** Loads a program, unless somebody has compiled it. What it throws says what came instead of one. */
  static async load(wasm: string, compiled?: Promise<WebAssembly.Module | undefined>): Promise<GoProgram> {
    const go = new (loadGlue())();
    const module = (await compiled) ?? (await compile(wasm));
    try {
      return new GoProgram(go, await WebAssembly.instantiate(module, go.importObject));
    } catch (error) {
      throw new Error(`${wasm}: ${describe(error)}`);
    }
  }

  /**
   * Runs the program until it waits for something. `ended` is called once, when
   * it has returned, exited or trapped, be it in a call or in a timer of its own.
   */
  run(ended: (detail: string) => void): void {
    this.#ended = ended;
    this.#go.exit = (code) => this.#end(code === 0 ? "the program ended" : `the program ended with exit code ${code}`);
    this.#go.run(this.#heard()).catch((error: unknown) => this.#end(describe(error)));
  }

  /** The instance with entries that hear of a trap: Go's glue enters through them alone. */
  #heard(): WebAssembly.Instance {
    const exports: Record<string, unknown> = { ...this.#instance.exports };
    for (const name of ["run", "resume"]) {
      const enter = exports[name] as (...params: unknown[]) => unknown;
      exports[name] = (...params: unknown[]) => {
        try {
          return enter(...params);
        } catch (error) {
          this.#end(describe(error));
          throw error;
        }
      };
    }
    return Object.create(this.#instance, { exports: { value: exports } });
  }

  #end(detail: string): void {
    const ended = this.#ended;
    this.#ended = undefined;
    // A timer that fires now would find the program gone, and throw.
    for (const timer of this.#go._scheduledTimeouts.values()) clearTimeout(timer);
    this.#go._scheduledTimeouts.clear();
    this.#go.exited = true;
    ended?.(detail);
  }
}

/** Where a program runs: in a dedicated worker, or in the thread that calls it. */
export type Thread = "worker" | "current";

/** What an application that does not say gets: a worker, where there are any. A service worker has none. */
export function defaultThread(): Thread {
  return typeof Worker === "function" ? "worker" : "current";
}

/**
 * Where the script of a worker is when a bundle is no module, and cannot know
 * where it is itself: beside the page.
 */
export function besidePage(script: string): URL {
  return new URL(script, location.href);
}

/**
 * Where a file of this package is, which a module of this package knows as
 * `new URL(file, import.meta.url)`: so it is written there, for the bundlers to
 * find. In a bundle that is no module there is no such URL: beside the page then,
 * or beside the script of the service worker.
 */
export function locate(given: string | undefined, beside: () => URL, file: string): string {
  if (given !== undefined) return given;
  try {
    return beside().href;
  } catch {
    return new URL(file, location.href).href;
  }
}

/** Compiles while it loads, where the server says that it is WebAssembly; after it has loaded, where it says something else and it is. */
export async function compile(wasm: string): Promise<WebAssembly.Module> {
  let response: Response;
  try {
    response = await fetch(wasm, { credentials: "same-origin" });
  } catch (error) {
    throw new Error(`${wasm} could not be fetched: ${describe(error)}`);
  }
  const type = response.headers.get("Content-Type") ?? "no Content-Type";
  const came = `${wasm}: HTTP status ${response.status}, ${type}`;
  if (!response.ok) throw new Error(came);
  try {
    // With a parameter, such as a charset, browsers refuse the type.
    if (type.trim().toLowerCase() === "application/wasm" && typeof WebAssembly.compileStreaming === "function") {
      return await WebAssembly.compileStreaming(response);
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    // What a server for single pages gives for a file that it does not have is HTML.
    const head = String.fromCharCode(...bytes.subarray(0, 16));
    if (!head.startsWith("\0asm")) throw new Error(`no WebAssembly: it begins with ${JSON.stringify(head)}`);
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new Error(`${came}: ${describe(error)}`);
  }
}
