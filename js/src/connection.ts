/**
 * Connections of a page to a running program: in a worker, or in place. MLS
 * objects of one page share a connection, and with it the program.
 */
import type { Args, Bytes, CallMethod, Control, HostAuthenticator, ReceivedValue, SentValue, Settings } from "./bridge.js";
import { describe, errorOf, errorValue, failure, type ErrorValue, type MLSError } from "./errors.js";
import type { TabEvent } from "./host/channel.js";
import { Crew } from "./host/crew.js";
import { unpack, type Crossing } from "./host/pack.js";
import type { Secret } from "./host/unlock.js";
import { besidePage, compile, type Thread } from "./program.js";
import { programURL, Runtime } from "./runtime.js";

/** A database, and what opens its lock; or null, for the memory of the program. */
export interface Place {
  database: string | null;
  secret: Secret | undefined;
  /** Whether it was open before: then it is not made when it is missing. */
  existing: boolean;
}

/** What a client's page answers, and is told. */
export interface HostClient extends HostAuthenticator {
  /** Hears of what did not happen here: in another tab, or to the database. */
  happened(event: TabEvent): void;
}

/** A way to a running program. */
export interface Connection {
  /** Opens a client of a database and returns its number, when the program has started. Code: INSTANCE_FAILED. */
  open(place: Place, settings: Settings, client: HostClient): Promise<number>;
  /** Gives the database of a client another lock, or none; see DatabaseStore.setLock. */
  setLock(client: number, secret: Secret | undefined, current: Secret | undefined): Promise<void>;
  call<M extends CallMethod>(method: M, args: Args<M>, control: Control): Promise<Crossing>;
  /** Closes a client. */
  close(client: number): Promise<void>;
  /** Ends the program. */
  stop(): void;
  /** Whether the program has ended. */
  readonly dead: boolean;
  /** Is called once if the program ends by itself. */
  onDeath: (() => void) | undefined;
}

/** From the page to the worker, in lists: what is asked for at once crosses at once. */
export type Request =
  | { kind: "start"; id: number; wasm: string | undefined }
  | { kind: "program"; module: WebAssembly.Module | undefined }
  | { kind: "open"; id: number; place: Place; settings: Settings; host: number }
  | { kind: "lock"; id: number; client: number; secret: Secret | undefined; current: Secret | undefined }
  | { kind: "call"; id: number; method: CallMethod; args: Record<string, unknown>; controlled: boolean }
  | { kind: "cancel"; id: number }
  | { kind: "close"; id: number; client: number }
  | { kind: "crew"; hands: MessagePort[] }
  | ({ kind: "answer"; id: number } & Outcome);

/** From the worker to the page, in lists as well. */
export type Response =
  | ({ kind: "result"; id: number } & Outcome)
  | { kind: "progress"; id: number; done: number; total: number }
  | { kind: "ask"; id: number; host: number; method: keyof HostAuthenticator; params: unknown[] }
  | { kind: "tell"; host: number; event: TabEvent }
  | { kind: "crew" }
  | { kind: "died"; error: ErrorValue };

/** What a worker says when its program has started. */
export interface Started {
  /** The name of a lock that is held as long as it lives, if there are locks. */
  lock: string | undefined;
  /** Where its script is. */
  script: string;
}

type Call = Extract<Request, { kind: "call" }>;

type Outcome = { value: unknown; error?: undefined } | { error: ErrorValue };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: MLSError): void;
}

/** A call that others may go with, while nothing was asked for after it. */
interface Joint {
  key: string;
  request: Call;
  list: Bytes[];
  results: Promise<(ReceivedValue & SentValue)[]>;
}

/** A program in a dedicated module worker. */
export class WorkerConnection implements Connection {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #hosts = new Map<number, HostClient>();
  readonly #clients = new Map<number, number>(); // the host of each client
  readonly #underWay = new Map<Promise<unknown>, number>(); // the client of each call
  readonly #watching = new AbortController();
  readonly #progress = new Map<number, NonNullable<Control["progress"]>>(); // of each call that wants to be told
  readonly #leaving: Request[] = [];
  readonly #crew = new Crew((hands) => this.#post({ kind: "crew", hands }));
  #joint: Joint | undefined;
  #next = 0;
  #started = false;
  #death: MLSError | undefined;

  onDeath: (() => void) | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = (event: MessageEvent<Response[]>) => event.data.forEach((response) => this.#receive(response));
    worker.onmessageerror = () => this.#die("a message of the worker could not be read");
    worker.onerror = (event) => {
      event.preventDefault();
      this.#die(event.message || "worker.js could not be loaded: is it beside the script?");
    };
  }

  /** Starts a worker. Code: INSTANCE_FAILED. */
  static async start(wasm: string | undefined): Promise<WorkerConnection> {
    let worker: Worker;
    try {
      worker = import.meta.url
        ? new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "webmls-program" })
        : new Worker(besidePage("worker.js"), { type: "module", name: "webmls-program" });
    } catch (error) {
      throw failure("INSTANCE_FAILED", describe(error));
    }
    const connection = new WorkerConnection(worker);
    void connection.#start(wasm);
    return connection;
  }

  async #start(wasm: string | undefined): Promise<void> {
    // Compiling takes as long as starting a worker does. One that is given nothing
    // tries for itself: a policy may allow it alone to. It says what is wrong.
    const give = (module?: WebAssembly.Module) => this.#post({ kind: "program", module });
    const compiling = (async () => give(await compile(programURL(wasm))))();
    compiling.catch(() => give());
    try {
      const { lock, script } = (await this.#request({ kind: "start", id: ++this.#next, wasm })) as Started;
      this.#started = true;
      this.#crew.script = script;
      if (lock !== undefined) this.#watch(lock);
    } catch (error) {
      this.#die(errorValue(error).detail);
    }
  }

  /** Waits for a lock that the worker holds while it lives. */
  #watch(lock: string): void {
    const { signal } = this.#watching;
    navigator.locks.request(lock, { signal }, () => this.#die("the worker was ended")).catch(() => {}); // stopped
  }

  async open(place: Place, settings: Settings, host: HostClient): Promise<number> {
    const id = ++this.#next;
    this.#hosts.set(id, host);
    try {
      const client = (await this.#request({ kind: "open", id, place, settings, host: id })) as number;
      this.#clients.set(client, id);
      return client;
    } catch (error) {
      this.#hosts.delete(id);
      throw error;
    }
  }

  async setLock(client: number, secret: Secret | undefined, current: Secret | undefined): Promise<void> {
    await this.#request({ kind: "lock", id: ++this.#next, client, secret, current });
  }

  async call<M extends CallMethod>(method: M, args: Args<M>, { signal, progress }: Control): Promise<Crossing> {
    const id = ++this.#next;
    const controlled = signal !== undefined || progress !== undefined;
    const copy = copied(args) as Call["args"];
    const request: Call = { kind: "call", id, method, args: copy, controlled };
    const result = ((!controlled && this.#join(method, copy)) || this.#request(request)) as Promise<Crossing>;
    if (long.test(method) && weight(copy) > heavy) this.#crew.call();
    const done = () => this.#underWay.delete(result);
    this.#underWay.set(result, (args as { client?: number }).client ?? 0);
    result.then(done, done);
    if (!controlled) return result;
    const cancel = () => this.#post({ kind: "cancel", id });
    if (progress) this.#progress.set(id, progress);
    signal?.addEventListener("abort", cancel);
    try {
      return await result;
    } finally {
      this.#progress.delete(id);
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** Has a call go with those of its kind that were asked for right before it: as a list they cost much less than one by one. */
  #join(method: CallMethod, args: Call["args"]): Promise<unknown> | undefined {
    const { client, group, message, content = message, ...options } = args as Record<string, Bytes>;
    const receives = method === "group.receive";
    // Who waits for application data need not wait for what the application says to a commit (RFC 9420, Section 6).
    const joins = receives ? group!.length < 64 && message?.[3] === 2 && message[13 + group!.length] === 1 : method === "group.send";
    if (!joins || !(content instanceof Uint8Array) || Object.keys(options).length > 0) return undefined;
    const key = `${method} ${client} ${group}`;
    let joint = this.#joint;
    if (joint?.key !== key || joint.request !== this.#leaving.at(-1) || joint.list.length === most) {
      const list: Bytes[] = [];
      const request: Call = {
        kind: "call",
        id: ++this.#next,
        method: receives ? "group.receiveAll" : "group.sendEach",
        args: { client, group, [receives ? "messages" : "contents"]: list },
        controlled: false,
      };
      const results = this.#request(request).then((value) => unpack(new Uint8Array(value as ArrayBuffer)) as (ReceivedValue & SentValue)[]);
      joint = this.#joint = { key, request, list, results };
    }
    const { list, results } = joint;
    const i = list.push(content) - 1;
    const fail = (error: ErrorValue) => {
      throw errorOf({ ...error, op: method });
    };
    return results.then((found) => {
      const { event, sealed, error } = found[i]!;
      return error ? fail(error) : (event ?? sealed);
    }, (error: unknown) => fail(errorValue(error)));
  }

  async close(client: number): Promise<void> {
    try {
      await this.#request({ kind: "close", id: ++this.#next, client });
      // What its calls came to may be on the way, and the worker is about to be ended.
      await Promise.allSettled([...this.#underWay].flatMap(([call, of]) => (of === client ? [call] : [])));
    } finally {
      this.#hosts.delete(this.#clients.get(client) ?? -1);
      this.#clients.delete(client);
    }
  }

  stop(): void {
    this.onDeath = undefined;
    this.#die("stopped");
  }

  get dead(): boolean {
    return this.#death !== undefined;
  }

  #request(request: Extract<Request, { id: number }>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#death) return reject(this.#death);
      this.#waiting.set(request.id, { resolve, reject });
      this.#post(request);
    });
  }

  /** Posts, with all else that is posted before the caller's turn ends. */
  #post(request: Request): void {
    if (this.#leaving.push(request) === 1) queueMicrotask(() => this.#send(this.#leaving.splice(0)));
  }

  #send(requests: Request[]): void {
    try {
      this.#worker.postMessage(
        requests,
        requests.flatMap((request) => (request.kind === "crew" ? request.hands : [])),
      );
    } catch (error) {
      const [request, ...more] = requests as [Request & { id: number }];
      // One of them cannot be cloned.
      if (more.length > 0) return requests.forEach((request) => this.#send([request]));
      const failed = { id: request.id, error: errorValue(failure("INVALID_ARGUMENT", describe(error))) };
      if (request.kind === "answer") this.#send([{ kind: "answer", ...failed }]);
      else this.#receive({ kind: "result", ...failed });
    }
  }

  #receive(response: Response): void {
    switch (response.kind) {
      case "result": {
        const waiting = this.#waiting.get(response.id);
        this.#waiting.delete(response.id);
        if (response.error) waiting?.reject(errorOf(response.error));
        else waiting?.resolve(response.value);
        return;
      }
      case "progress":
        this.#progress.get(response.id)?.(response.done, response.total);
        return;
      case "ask":
        void this.#answer(response.id, response.host, response.method, response.params);
        return;
      case "tell":
        this.#hosts.get(response.host)?.happened(response.event);
        return;
      case "crew":
        this.#crew.call();
        return;
      case "died":
        this.#die(response.error.detail);
    }
  }

  async #answer(id: number, host: number, method: keyof HostAuthenticator, params: unknown[]): Promise<void> {
    let answer: Request;
    try {
      const found = this.#hosts.get(host);
      if (!found) throw failure("CLOSED", "");
      const ask = found[method] as (...params: unknown[]) => Promise<unknown>;
      answer = { kind: "answer", id, value: await ask.apply(found, params) };
    } catch (error) {
      answer = { kind: "answer", id, error: errorValue(error) };
    }
    if (!this.#death) this.#post(answer);
  }

  #die(detail: string): void {
    if (this.#death) return;
    this.#death = failure(this.#started ? "INSTANCE_DIED" : "INSTANCE_FAILED", detail);
    this.#worker.terminate();
    this.#crew.dismiss();
    this.#watching.abort();
    for (const waiting of this.#waiting.values()) waiting.reject(this.#death);
    this.#waiting.clear();
    this.#hosts.clear();
    this.onDeath?.();
  }
}

/** How many calls go as one. */
const most = 1024;

/** Calls that have long lists of keys and signatures, where their arguments have so many bytes: those of a hundred members. */
const long = /^join|commit$|receive$/;
const heavy = 32_768;

function weight(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  return typeof value === "object" && value !== null ? Object.values(value).reduce((sum: number, part) => sum + weight(part), 0) : 0;
}

/** A copy of what is called with: the caller may change it before it crosses. Cloning a view would clone all of the buffer under it as well. */
function copied(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice();
  if (Array.isArray(value)) return value.map(copied);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copied(part)]));
}

/** A program in this very thread. */
export class LocalConnection implements Connection {
  readonly #starting: Promise<Runtime>;
  #runtime!: Runtime; // once a client is open
  #failed = false;

  onDeath: (() => void) | undefined;

  private constructor(starting: Promise<Runtime>) {
    const end = () => this.onDeath?.();
    this.#starting = starting.then(
      (runtime) => {
        runtime.onDeath = end;
        return (this.#runtime = runtime);
      },
      (error: unknown) => {
        this.#failed = true;
        end();
        throw error;
      },
    );
    this.#starting.catch(() => {}); // whoever opens a client hears of it
  }

  /** Starts the program. */
  static async start(wasm: string | undefined): Promise<LocalConnection> {
    return new LocalConnection(Runtime.start(wasm));
  }

  open(place: Place, settings: Settings, host: HostClient): Promise<number> {
    return Runtime.open(this.#starting, place, settings, host);
  }

  setLock(client: number, secret: Secret | undefined, current: Secret | undefined): Promise<void> {
    return this.#runtime.setLock(client, secret, current);
  }

  call<M extends CallMethod>(method: M, args: Args<M>, control: Control): Promise<Crossing> {
    return this.#runtime.call(method, args, control);
  }

  close(client: number): Promise<void> {
    return this.#runtime.close(client);
  }

  stop(): void {
    this.onDeath = undefined;
    this.#runtime?.stop();
  }

  get dead(): boolean {
    return this.#failed || this.#runtime?.dead;
  }
}

interface Shared {
  connection: Promise<Connection>;
  users: number;
}

const shared = new Map<string, Shared>();

/** Gives the connection of this page to a program of a kind, and starts it when there is none. Each must be released once. */
export async function acquire(thread: Thread, wasm: string | undefined): Promise<{ connection: Connection; release(): void }> {
  const key = `${thread} ${wasm ?? ""}`;
  const entry = shared.get(key) ?? { connection: (thread === "worker" ? WorkerConnection : LocalConnection).start(wasm), users: 0 };
  const forget = () => {
    if (shared.get(key) === entry) shared.delete(key);
  };
  shared.set(key, entry);
  entry.users++;
  try {
    const connection = await entry.connection;
    connection.onDeath = forget;
    if (connection.dead) forget();
    const release = () => {
      if (--entry.users > 0) return;
      forget();
      connection.stop();
    };
    return { connection, release };
  } catch (error) {
    forget();
    throw error;
  }
}
