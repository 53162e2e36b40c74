/**
 * X.509 credentials (RFC 9420, Section 5.3): certificate chains judged by the
 * paths of RFC 5280 that lead to roots of the application's.
 *
 * The program behind it is one of its own, as large as that of the protocol. It is
 * loaded by an application that imports this, and by no other.
 *
 * @packageDocumentation
 */
import type { Bytes } from "./bridge.js";
import { besidePage, defaultThread, type Thread } from "./program.js";
import { describe, errorOf, failure, MLSError } from "./errors.js";
import type { Claim, Credential, OpenOptions, X509Credential } from "./types.js";
import { Program, type Chain, type Question, type Questions, type Trust } from "./x509-program.js";
import type { Request, Response } from "./x509-worker.js";

/** An extended key usage of RFC 5280, Section 4.2.1.12. */
export type ExtendedKeyUsage =
  | "any"
  | "serverAuth"
  | "clientAuth"
  | "codeSigning"
  | "emailProtection"
  | "timeStamping"
  | "OCSPSigning";

/** Whom to trust. */
export interface X509Options {
  /**
   * The trust anchors, at least one: each in DER, or any number in PEM as bytes
   * or text. The roots of the system and of the browser are never used.
   */
  roots: readonly (Uint8Array | string)[];
  /** A member's certificate needs one of these usages. Default: any will do. */
  keyUsages?: readonly ExtendedKeyUsage[];
  /** Who is asked about credentials of other types. Default: they are refused. */
  other?: Pick<OpenOptions, "authenticate" | "succeeds" | "identify">;
  /**
   * Where the work is done: in a worker of its own (the default), or in the
   * current thread (the default where there are no workers, as in a service worker).
   */
  thread?: Thread;
  /** Where x509.wasm is, if not beside this module. */
  wasm?: URL | string;
}

/** What `MLS.open` asks, and beside it what an application may ask. */
export interface X509Authenticator {
  /**
   * Answers true, or rejects with CREDENTIAL_REJECTED (RejectedError), which
   * says what is wrong with the chain. That a certificate is for the key in the
   * claim has been checked before, by this package itself.
   */
  readonly authenticate: (claim: Claim) => Promise<boolean>;
  /**
   * Whether two certificates name the same client: a renewal. It answers true,
   * or rejects with SUCCESSOR_REJECTED (RejectedError).
   */
  readonly succeeds: (previous: Claim, next: Claim) => Promise<boolean>;
  /**
   * What names the client of a chain, as `succeeds` compares it: the URIs, DNS
   * names and mail addresses of its certificate, each quoted, or its subject in
   * DER when it has none. It judges nothing: ask it about members. Rejects with
   * CREDENTIAL_REJECTED (RejectedError) for what is no certificate.
   */
  readonly identify: {
    (credential: Credential, claim: Claim): Promise<string | Uint8Array | undefined>;
    (credential: X509Credential): Promise<Bytes>;
  };
  /** Ends the program. What is asked later fails with CLOSED. */
  readonly close: () => void;
}

/** How many chains are judged without a pause: 16 short ones take Ed25519 about 5 ms, 16 long ones P-256 about 30. */
const batchSize = 16;

/**
 * Makes an authenticator of X.509 credentials, one for all clients of a page.
 *
 * ```ts
 * const mls = await MLS.open({ database, ...(await x509Authenticator({ roots: [pem] })) });
 * ```
 *
 * Rejects with INVALID_ARGUMENT (StateError) when a root is no certificate, and
 * with INSTANCE_FAILED (InternalError) when the program cannot be loaded.
 */
export async function x509Authenticator(options: X509Options): Promise<X509Authenticator> {
  const { other, thread = defaultThread() } = options;
  if (thread !== "worker" && thread !== "current") throw failure("INVALID_ARGUMENT", 'thread: want "worker" or "current"', "x509Authenticator");
  let wasm: string | undefined;
  try {
    wasm = options.wasm === undefined ? undefined : new URL(options.wasm, location.href).href;
  } catch (error) {
    throw failure("INVALID_ARGUMENT", describe(error), "x509Authenticator");
  }
  const trust = trustOf(options);
  let runner: Promise<Runner> | undefined;
  let closed = false;

  /** Asks the program; another is started in the place of one that has died. */
  async function ask<Q extends Question>(question: Q, ...params: Parameters<Questions[Q]>): Promise<ReturnType<Questions[Q]>> {
    if (closed) throw failure("CLOSED", "", "x509");
    return (await (runner ??= start())).ask(question, ...params);
  }

  function start(): Promise<Runner> {
    const died = () => {
      if (runner === started) runner = undefined;
    };
    const started = (thread === "worker" ? WorkerRunner : LocalRunner).start(wasm, trust, died);
    started.catch(died);
    return started;
  }

  // The claims of one operation come one by one, all before the first answer:
  // they cross together.
  let waiting: { chain: Chain; resolve(answer: true): void; reject(error: unknown): void }[] = [];
  async function flush(): Promise<void> {
    const list = waiting;
    waiting = [];
    try {
      for (let from = 0; from < list.length; from += batchSize) {
        const batch = list.slice(from, from + batchSize);
        const faults = await ask("authenticate", batch.map(({ chain }) => chain));
        batch.forEach(({ resolve, reject }, i) => {
          const fault = faults[i];
          if (fault) reject(failure(fault.code, fault.detail));
          else resolve(true);
        });
      }
    } catch (error) {
      for (const { reject } of list) reject(error); // those with an answer keep it
    }
  }

  await ask("authenticate", []); // what is wrong with the options is wrong now
  return {
    async authenticate(claim) {
      if (claim.credential.type !== "x509") return (await other?.authenticate(claim)) === true;
      const chain = chainOf(claim.credential);
      return new Promise((resolve, reject) => {
        if (waiting.push({ chain, resolve, reject }) === 1) queueMicrotask(flush);
      });
    },
    async succeeds(previous, next) {
      const [before, after] = [previous.credential, next.credential];
      if (before.type === "x509" && after.type === "x509") {
        await ask("succeeds", chainOf(before), chainOf(after));
        return true;
      }
      return before.type !== "x509" && after.type !== "x509" && (await other?.succeeds?.(previous, next)) === true;
    },
    identify: (async (credential: Credential, claim?: Claim) => {
      if (claim && other && credential.type !== "x509") return other.identify?.(credential, claim);
      return ask("identify", chainOf(credential));
    }) as X509Authenticator["identify"],
    close() {
      closed = true;
      runner?.then((running) => running.stop()).catch(() => {});
      runner = undefined;
    },
  };
}

/** Code: INVALID_ARGUMENT. */
function trustOf({ roots, keyUsages = [], other }: X509Options): Trust {
  const refuse = (detail: string) => failure("INVALID_ARGUMENT", detail, "x509Authenticator");
  if (!Array.isArray(roots) || roots.length === 0) throw refuse("roots: want at least one");
  if (!Array.isArray(keyUsages)) throw refuse("keyUsages: want a list");
  if (other && typeof other.authenticate !== "function") throw refuse("other.authenticate: want a function");
  return {
    roots: roots.map((root: unknown, i) => {
      if (typeof root === "string") return new TextEncoder().encode(root);
      if (root instanceof Uint8Array) return new Uint8Array(root);
      throw refuse(`roots[${i}]: want a Uint8Array or a string`);
    }),
    keyUsages: keyUsages.map(String),
  };
}

/** Code: INVALID_ARGUMENT. */
function chainOf(credential: Credential): Chain {
  if (credential.type !== "x509" || !credential.certificates.every((certificate) => certificate instanceof Uint8Array)) {
    throw failure("INVALID_ARGUMENT", "credential: want one of type x509", "x509");
  }
  return credential.certificates;
}

/** A program, wherever it runs. */
interface Runner {
  ask<Q extends Question>(question: Q, ...params: Parameters<Questions[Q]>): Promise<ReturnType<Questions[Q]>>;
  stop(): void;
}

/** A program in this very thread, which it leaves to others before each answer. */
class LocalRunner implements Runner {
  readonly #program: Program;
  readonly #died: () => void;

  private constructor(program: Program, died: () => void) {
    this.#program = program;
    this.#died = died;
  }

  static async start(wasm: string | undefined, trust: Trust, died: () => void): Promise<LocalRunner> {
    return new LocalRunner(await Program.start(wasm, trust), died);
  }

  async ask<Q extends Question>(question: Q, ...params: Parameters<Questions[Q]>): Promise<ReturnType<Questions[Q]>> {
    await new Promise((resolve) => setTimeout(resolve));
    try {
      return this.#program.ask(question, ...params);
    } catch (error) {
      if (error instanceof MLSError && error.code === "INSTANCE_DIED") this.#died();
      throw error;
    }
  }

  stop(): void {
    this.#program.stop();
  }
}

/** A program in a worker of its own. */
class WorkerRunner implements Runner {
  readonly #worker: Worker;
  readonly #died: () => void;
  readonly #waiting = new Map<number, { resolve(value: any): void; reject(error: MLSError): void }>();
  #next = 0;
  #started = false;
  #death: MLSError | undefined;

  private constructor(worker: Worker, died: () => void) {
    this.#worker = worker;
    this.#died = died;
    worker.onmessage = ({ data }: MessageEvent<Response>) => this.#receive(data);
    worker.onmessageerror = () => this.#die("a message of the worker could not be read");
    worker.onerror = (event) => {
      event.preventDefault();
      this.#die(event.message || "the worker could not be loaded");
    };
  }

  static async start(wasm: string | undefined, trust: Trust, died: () => void): Promise<WorkerRunner> {
    let worker: Worker;
    try {
      worker = import.meta.url
        ? new Worker(new URL("./x509-worker.js", import.meta.url), { type: "module", name: "webmls-x509" })
        : new Worker(besidePage("x509-worker.js"), { type: "module", name: "webmls-x509" });
    } catch (error) {
      throw failure("INSTANCE_FAILED", describe(error));
    }
    const runner = new WorkerRunner(worker, died);
    try {
      await runner.#request({ id: ++runner.#next, question: "start", wasm, trust });
    } catch (error) {
      worker.terminate();
      throw error;
    }
    runner.#started = true;
    return runner;
  }

  ask<Q extends Question>(question: Q, ...params: Parameters<Questions[Q]>): Promise<ReturnType<Questions[Q]>> {
    return this.#request({ id: ++this.#next, question, params });
  }

  stop(): void {
    this.#die("stopped");
  }

  #request(request: Request): Promise<any> {
    return new Promise((resolve, reject) => {
      if (this.#death) return reject(this.#death);
      this.#waiting.set(request.id, { resolve, reject });
      this.#worker.postMessage(request);
    });
  }

  #receive(response: Response): void {
    const waiting = this.#waiting.get(response.id);
    this.#waiting.delete(response.id);
    if (!response.error) waiting?.resolve(response.value);
    else if (response.error.code === "INSTANCE_DIED") {
      waiting?.reject(errorOf(response.error));
      this.#die(response.error.detail);
    } else waiting?.reject(errorOf(response.error));
  }

  #die(detail: string): void {
    if (this.#death) return;
    this.#death = failure(this.#started ? "INSTANCE_DIED" : "INSTANCE_FAILED", detail);
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(this.#death);
    this.#waiting.clear();
    this.#died();
  }
}
