/**
 * The program of wasm/x509: loads it and runs it, where that is: in the worker
 * of x509-worker.ts, or in the page with `thread: "current"`.
 */
import { version, type Bytes } from "./bridge.js";
import { describe, failure } from "./errors.js";
import { GoProgram, locate } from "./program.js";

/** A chain of certificates in DER, the member's own first. */
export type Chain = readonly Uint8Array[];

/** Why something is refused, as wasm/x509/entry.go says it. */
export interface Fault {
  code: "CREDENTIAL_REJECTED" | "SUCCESSOR_REJECTED" | "INVALID_ARGUMENT" | "INTERNAL";
  detail: string;
}

/** What the program answers: wasm/x509/methods.go. */
export interface Questions {
  /** For each chain null, or why it is refused. */
  authenticate(chains: readonly Chain[]): (Fault | null)[];
  /** Code: SUCCESSOR_REJECTED. */
  succeeds(previous: Chain, next: Chain): null;
  /** Code: CREDENTIAL_REJECTED. */
  identify(chain: Chain): Bytes;
}
export type Question = keyof Questions;

/** What the program is started with. */
export interface Trust {
  /** Certificates in DER or PEM. */
  roots: readonly Uint8Array[];
  keyUsages: readonly string[];
}

/** What the program hands over. Each function returns a value or a fault. */
type Exports = Record<Question | "open", (...params: unknown[]) => { value?: unknown; fault?: Fault } | undefined> & {
  version: string;
  stop(): void;
};

/** Where the program finds who takes it while it starts. */
const readySymbol = Symbol.for("webmls.x509.ready");

/** A running program. */
export class Program {
  readonly #exports: Exports;

  private constructor(exports: Exports) {
    this.#exports = exports;
  }

  /** Loads the program, from `wasm` or where it lies beside this module, and starts it. Codes: INSTANCE_FAILED, INVALID_ARGUMENT. */
  static async start(wasm: string | undefined, trust: Trust): Promise<Program> {
    let exports: Exports;
    try {
      exports = run(await GoProgram.load(locate(wasm, () => new URL("./x509.wasm", import.meta.url), "x509.wasm")));
    } catch (error) {
      throw failure("INSTANCE_FAILED", describe(error));
    }
    const program = new Program(exports);
    try {
      program.#call("open", trust.roots, trust.keyUsages);
    } catch (error) {
      program.stop();
      throw error;
    }
    return program;
  }

  /** Asks the program. Codes: those of the question, INSTANCE_DIED. */
  ask<Q extends Question>(question: Q, ...params: Parameters<Questions[Q]>): ReturnType<Questions[Q]> {
    return this.#call(question, ...params) as ReturnType<Questions[Q]>;
  }

  /** Ends the program. */
  stop(): void {
    this.#exports.stop();
  }

  #call(name: Question | "open", ...params: unknown[]): unknown {
    let answer: ReturnType<Exports["open"]>;
    try {
      answer = this.#exports[name](...params);
    } catch (error) {
      throw failure("INSTANCE_DIED", describe(error));
    }
    if (!answer) throw failure("INSTANCE_DIED", "the program ended");
    if (answer.fault) throw failure(answer.fault.code, answer.fault.detail);
    return answer.value;
  }
}

function run(go: GoProgram): Exports {
  let exports: Exports | undefined;
  const global = globalThis as { [readySymbol]?: (program: Exports) => void };
  global[readySymbol] = (program) => (exports = program);
  go.run(() => {}); // that it has ended, the next question finds out
  delete global[readySymbol];
  if (!exports) throw new Error("the program did not start");
  if (exports.version !== version) {
    throw new Error(`${version} of this package was given version ${exports.version} of the WebAssembly program`);
  }
  return exports;
}
