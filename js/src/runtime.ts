/**
 * The WebAssembly program: loads it, runs it, and is its host. It lives where
 * the program runs: in the worker, or in the page with `thread: "current"`.
 */
import type { Args, Bytes, CallMethod, Control, HostKeys, Settings } from "./bridge.js";
import { version } from "./bridge.js";
import { describe, errorOf, failure, type ErrorValue, type MLSError } from "./errors.js";
import type { HostClient, Place } from "./connection.js";
import { TabChannel, type Notice, type TabEvent } from "./host/channel.js";
import { detect, openKeys } from "./host/keys.js";
import { MemoryStore } from "./host/memory.js";
import type { Crossing } from "./host/pack.js";
import { DatabaseStore } from "./host/store.js";
import type { Secret } from "./host/unlock.js";
import { GoProgram, locate } from "./program.js";
import type { ReceiveOptions } from "./types.js";

/** What the program hands over when it is ready. */
interface Program {
  version(): string;
  /** Calls a method. A number other than 0 is what `cancel` and `progress` name the call by. */
  call(method: string, args: object, number: number): Promise<Crossing>;
  cancel(number: number): void;
  /** Tells a client that another instance has written a scope, or, with revision 0, waits for its lock. */
  changed(client: number, scope: string, revision: number): void;
  settle(id: number, fulfilled: boolean, value: unknown): void;
  stop(): void;
}

interface Deferred {
  promise: Promise<unknown>;
  resolve(value: unknown): void;
  reject(error: ErrorValue | MLSError): void;
}

/** What the program is handed: wasm/main.go and wasm/promise.go use it. */
interface Host {
  ready(program: Program): void;
  /** Makes a promise for the program to settle. */
  defer(): Deferred;
  /** Has the program told how a promise ends. */
  then(promise: Promise<unknown>, id: number): void;
  /** Tells how far a call has come; whoever asked hears of it once the program is left. */
  progress(number: number, done: number, total: number): void;
}

/** What belongs to a client of the program. */
interface Client {
  store: DatabaseStore | MemoryStore;
  /** Missing without a database: nobody shares it. */
  channel: TabChannel | undefined;
  /** What is heard is read one after the other. */
  heard: Promise<void>;
}

/** Where the program finds its host while it starts. */
const hostSymbol = Symbol.for("webmls.host");

/** Where the program is: at `wasm`, or beside this module. */
export function programURL(wasm: string | undefined): string {
  return locate(wasm, () => new URL("./webmls.wasm", import.meta.url), "webmls.wasm");
}

/** A running program. */
export class Runtime {
  readonly #program: Program;
  readonly #clients = new Map<number, Client>();
  readonly #waiting: Set<Deferred>;
  readonly #progress = new Map<number, Control["progress"]>();
  #calls = 0;
  #death: MLSError | undefined;
  #stopped = false;

  /** Is called once if the program ends without having been stopped. */
  onDeath: ((error: MLSError) => void) | undefined;

  private constructor(program: Program, waiting: Set<Deferred>) {
    this.#program = program;
    this.#waiting = waiting;
  }

  /** Loads the program, unless somebody has compiled it, and starts it. Code: INSTANCE_FAILED. */
  static async start(wasm: string | undefined, compiled?: Promise<WebAssembly.Module | undefined>): Promise<Runtime> {
    try {
      return Runtime.#run(await GoProgram.load(programURL(wasm), compiled));
    } catch (error) {
      throw failure("INSTANCE_FAILED", describe(error));
    }
  }

  static #run(go: GoProgram): Runtime {
    let runtime: Runtime | undefined;
    let end: string | undefined;
    const waiting = new Set<Deferred>();
    const host: Host = {
      ready: (program) => (runtime = new Runtime(program, waiting)),
      defer: () => defer(waiting),
      then: (promise, id) => {
        const settle = (fulfilled: boolean) => (value: unknown) =>
          runtime!.#enter(() => runtime!.#program.settle(id, fulfilled, value));
        promise.then(settle(true), settle(false));
      },
      progress: (number, done, total) => {
        const tell = runtime!.#progress.get(number);
        if (tell) queueMicrotask(() => tell(done, total));
      },
    };
    // The program takes its host before run returns, so that the property is
    // gone before anything else on the page can see it.
    const global = globalThis as { [hostSymbol]?: Host };
    global[hostSymbol] = host;
    go.run((detail) => {
      end = detail;
      if (runtime) runtime.#die(detail);
    });
    delete global[hostSymbol];
    if (!runtime || end !== undefined) throw new Error(end ?? "the program did not start");
    const found = runtime.#program.version();
    if (found !== version) throw new Error(`the package is ${version}, the program ${found}`);
    return runtime;
  }

  /**
   * Opens a client of a database and returns its number. The database is opened
   * while the program starts. Codes: INSTANCE_FAILED before those of storage.
   */
  static async open(starting: Promise<Runtime>, { database, secret, existing }: Place, settings: Settings, host: HostClient): Promise<number> {
    const { requireNonExtractable, ...rest } = settings;
    if (database === null && existing) throw failure("STORE_DELETED", "it was in the memory of a program that has ended");
    const channel = database === null ? undefined : new TabChannel(database);
    // What others commit while the program reads, it hears of when it has read.
    const early: Notice[] = [];
    let opened: ((notice: Notice) => void) | undefined;
    channel?.listen((notice) => void (opened ? opened(notice) : early.push(notice)));
    const argon2id = async (password: Bytes, salt: Bytes, passes: number, memory: number) =>
      (await starting).#call("argon2id", { password, salt, passes, memory }) as Promise<Bytes>;
    let store: Client["store"] | undefined;
    try {
      let keys: Promise<HostKeys> | undefined;
      const connected = (store: DatabaseStore) => {
        keys = openKeys(store, requireNonExtractable);
        keys.catch(() => {}); // what is wrong with the rest of the database is said first
      };
      const lost = () => host.happened({ kind: "closed" });
      const opening = channel ? DatabaseStore.open(database!, { secret, existing, argon2id, channel, connected, lost }) : new MemoryStore();
      void detect(); // while the browser finds the database
      store = await opening;
      keys ??= openKeys(store, requireNonExtractable);
      const runtime = await starting;
      const client = (await runtime.#call("open", { ...rest, store, keys: await keys, authenticator: host })) as number;
      runtime.#clients.set(client, { store, channel, heard: Promise.resolve() });
      opened = (notice) => runtime.#hear(client, notice, host);
      for (const notice of early.splice(0)) opened(notice);
      return client;
    } catch (error) {
      store?.close();
      channel?.close();
      await starting;
      throw error;
    }
  }

  /** See DatabaseStore.setLock. The client has a database. */
  async setLock(client: number, secret: Secret | undefined, current: Secret | undefined): Promise<void> {
    const found = this.#clients.get(client);
    if (!found) throw this.#death ?? failure("CLOSED", "", "setLock");
    await (found.store as DatabaseStore).setLock(secret, current);
  }

  /**
   * Calls a method of the program. What it made happen, the other instances are
   * told. Code: CANCELLED, STORE_DELETED, and those of the method.
   */
  async call<M extends CallMethod>(method: M, args: Args<M>, control: Control = {}): Promise<Crossing> {
    const client = this.#clients.get((args as { client?: number }).client ?? 0);
    if (!client) return this.#controlled(method, args, control);
    const { store } = client;
    if (store.end) throw store.end;
    // What a call stores, it stores while it is under way: the store asks which there are.
    const relaxed = /receive|acknowledge/.test(method) && (args as ReceiveOptions).durability !== "strict";
    const kind = relaxed ? "receiving" : "others";
    store[kind]++;
    try {
      const result = await this.#controlled(method, args, control);
      const event = eventOf(method, args, result);
      if (event) store.tell(event);
      return result;
    } finally {
      store[kind]--;
    }
  }

  async #controlled(method: CallMethod, args: object, { signal, progress }: Control): Promise<Crossing> {
    if (!signal && !progress) return this.#call(method, args);
    const number = ++this.#calls;
    const cancel = () => this.#enter(() => this.#program.cancel(number));
    this.#progress.set(number, progress);
    signal?.addEventListener("abort", cancel);
    try {
      return await this.#call(method, args, number);
    } finally {
      this.#progress.delete(number);
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** Closes a client, when what it is doing is done, and then its database. */
  async close(client: number): Promise<void> {
    try {
      await this.#call("close", { client });
    } finally {
      await this.#clients.get(client)?.store.told;
      this.#leave(client);
    }
  }

  /** Hears of what another instance did: first the program, then the page. */
  #hear(number: number, notice: Notice, host: HostClient): void {
    const client = this.#clients.get(number);
    if (!client) return;
    if (notice.kind !== "event") {
      for (const { scope, revision = 0 } of notice.kind === "want" ? [notice] : notice.revisions) {
        this.#enter(() => this.#program.changed(number, scope, revision));
      }
      return;
    }
    client.heard = client.heard.then(async () => {
      for (const event of await client.store.hear(notice.sealed)) if (this.#clients.has(number)) host.happened(event);
    });
  }

  #leave(number: number): void {
    const client = this.#clients.get(number);
    this.#clients.delete(number);
    client?.store.close();
    client?.channel?.close();
  }

  /** Whether the program has ended, or is about to. */
  get dead(): boolean {
    return this.#stopped || this.#death !== undefined;
  }

  /** Ends the program. All clients must be closed. */
  stop(): void {
    this.#stopped = true;
    if (!this.#death) this.#program.stop();
  }

  async #call(method: string, args: object, number = 0): Promise<Crossing> {
    const promise = this.#enter(() => this.#program.call(method, args, number));
    if (this.#death) promise?.catch(() => {}); // it is rejected as well
    if (!promise || this.#death) throw this.#death;
    try {
      return await promise;
    } catch (error) {
      throw error instanceof Error ? error : errorOf(error as ErrorValue);
    }
  }

  /** Enters the program. What it throws there, a trap, is its end. */
  #enter<T>(f: () => T): T | undefined {
    if (this.#death) return undefined;
    try {
      return f();
    } catch (error) {
      this.#die(describe(error));
      return undefined;
    }
  }

  #die(detail: string): void {
    if (this.#death) return;
    this.#death = failure("INSTANCE_DIED", detail);
    for (const deferred of this.#waiting) deferred.reject(this.#death);
    this.#waiting.clear();
    for (const client of [...this.#clients.keys()]) this.#leave(client);
    if (!this.#stopped) this.onDeath?.(this.#death);
  }
}

/** What other instances are told of the result of a call. */
function eventOf(method: CallMethod, args: object, result: Crossing): TabEvent | undefined {
  switch (method) {
    case "group.receive":
    case "group.receiveAll":
    case "group.applyPendingCommit":
      return { kind: "events", result: new Uint8Array(result as ArrayBuffer) };
    case "group.delete":
      return { kind: "closed", group: (args as { group: Uint8Array }).group };
  }
  return undefined;
}

function defer(waiting: Set<Deferred>): Deferred {
  const deferred = {} as Deferred;
  deferred.promise = new Promise((resolve, reject) => {
    deferred.resolve = (value) => {
      waiting.delete(deferred);
      resolve(value);
    };
    deferred.reject = (error) => {
      waiting.delete(deferred);
      reject(error);
    };
  });
  // A call that ends the program never gets its promise.
  deferred.promise.catch(() => {});
  waiting.add(deferred);
  return deferred;
}
