/** The worker: a {@link Runtime}, and the messages of connection.ts; or, by its name, one of its crew. */
import type { HostAuthenticator } from "./bridge.js";
import type { HostClient, Request, Response, Started } from "./connection.js";
import { errorOf, errorValue } from "./errors.js";
import { allowCrew, crewName, meetCrew, serve } from "./host/crew.js";
import { work } from "./host/keys.js";
import { Runtime } from "./runtime.js";

/** The name of a worker that is this, and of no other that an app may have. */
const workerName = "webmls-program";

// The page has these from here: it loads this file, and not their code twice.
export { version } from "./bridge.js";
export {
  asMLSError,
  describe,
  EpochError,
  errorOf,
  errorValue,
  failure,
  InternalError,
  MalformedError,
  MLSError,
  RejectedError,
  StateError,
  StorageError,
  UnsupportedError,
} from "./errors.js";
export { Crew } from "./host/crew.js";
export { Database, deleteDatabase } from "./host/database.js";
export { opened, unpack } from "./host/pack.js";
export { random } from "./host/seal.js";
export { readLock } from "./host/unlock.js";
export { besidePage, compile, defaultThread, GoProgram, locate } from "./program.js";
export { programURL, Runtime } from "./runtime.js";

interface Waiting {
  resolve(value: any): void;
  reject(error: unknown): void;
}

let runtime: Runtime;
let starting: Promise<Runtime>;
let give: (module: WebAssembly.Module | undefined) => void;
/** The program as the page has compiled it, if it could. */
const compiled = new Promise<WebAssembly.Module | undefined>((resolve) => (give = resolve));
let asked = 0;
const leaving: Response[] = [];
const asking = new Map<number, Waiting>();
const aborts = new Map<number, AbortController>(); // of the calls under way that can be cancelled

if ("DedicatedWorkerGlobalScope" in globalThis) {
  if (self.name === crewName) {
    serve(work);
  } else if (self.name === workerName) {
    allowCrew(() => post({ kind: "crew" }));
    onmessage = (event: MessageEvent<Request[]>) => event.data.forEach(hear);
  }
}

function hear(request: Request): void {
  if (request.kind === "answer") {
    const waiting = asking.get(request.id);
    asking.delete(request.id);
    if (request.error) waiting?.reject(errorOf(request.error));
    else waiting?.resolve(request.value);
    return;
  }
  if (request.kind === "cancel") {
    aborts.get(request.id)?.abort();
    return;
  }
  if (request.kind === "program") {
    give(request.module);
    return;
  }
  if (request.kind === "crew") {
    meetCrew(request.hands);
    return;
  }
  carryOut(request).then(
    (value) => post({ kind: "result", id: request.id, value }),
    (error: unknown) => post({ kind: "result", id: request.id, error: errorValue(error) }),
  );
}

function carryOut(request: Exclude<Request, { kind: "answer" | "cancel" | "program" | "crew" }>): Promise<unknown> {
  switch (request.kind) {
    case "start":
      return start(request.wasm);
    case "open":
      return Runtime.open(starting, request.place, request.settings, host(request.host));
    case "lock":
      return runtime.setLock(request.client, request.secret, request.current);
    case "call":
      return request.controlled ? controlled(request) : runtime.call(request.method, request.args as never);
    case "close":
      return runtime.close(request.client);
  }
}

/** Starts the program. */
async function start(wasm: string | undefined): Promise<Started> {
  // Starting the program takes this thread for a while. By the time that the lock is
  // there, the browser has heard of the database as well, and looks for it meanwhile.
  const lock = live();
  const run = lock.then(() => Runtime.start(wasm, compiled));
  starting = run.then((started) => {
    runtime = started;
    runtime.onDeath = (error) => post({ kind: "died", error: errorValue(error) });
    return runtime;
  });
  await starting;
  return { lock: await lock, script: location.href };
}

/**
 * Returns the name of a lock that is held as long as this worker lives, if there are locks: a
 * worker that the browser ends says nothing, but its locks are given to those who wait for them.
 */
async function live(): Promise<string | undefined> {
  if (!navigator.locks) return undefined;
  const name = `webmls/worker/${crypto.randomUUID()}`;
  await new Promise<void>((held, failed) => {
    const forever = () => {
      held();
      return new Promise<never>(() => {});
    };
    navigator.locks.request(name, forever).catch(failed);
  });
  return name;
}

async function controlled({ id, method, args }: Extract<Request, { kind: "call" }>): Promise<unknown> {
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    return await runtime.call(method, args as never, {
      signal: abort.signal,
      progress: (done, total) => post({ kind: "progress", id, done, total }),
    });
  } finally {
    aborts.delete(id);
  }
}

/** The page, asked and told over there. */
function host(number: number): HostClient {
  const ask = (method: keyof HostAuthenticator, params: unknown[]): Promise<any> =>
    new Promise((resolve, reject) => {
      const id = ++asked;
      asking.set(id, { resolve, reject });
      post({ kind: "ask", id, host: number, method, params });
    });
  return {
    authenticate: (claims) => ask("authenticate", [claims]),
    succeeds: (claims) => ask("succeeds", [claims]),
    identify: (claim) => ask("identify", [claim]),
    issue: (issue, publicKey) => ask("issue", [issue, publicKey]),
    happened: (event) => post({ kind: "tell", host: number, event }),
  };
}

/** Posts to the page, with all else that is posted before this turn ends. (Results are not transferred: other tabs are still to be told.) */
function post(response: Response): void {
  if (leaving.push(response) === 1) queueMicrotask(() => postMessage(leaving.splice(0)));
}
