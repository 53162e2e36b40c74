/** Keeps a group live. */
import type { Group } from "../group.js";
import type { MLSError } from "../errors.js";
import type { ApplicationEvent, CommitContents, GroupState, GroupUpdateEvent, Member, Received } from "../types.js";
import { Ahead } from "./ahead.js";
import { SyncChannel, type Notice, type Told } from "./channel.js";
import { openRows, type Change, type Contents, type IntentRow, type Place, type Rows } from "./rows.js";
import {
  SyncError,
  type AddOptions,
  type Answer,
  type Cursor,
  type Failure,
  type ForkEvent,
  type Intent,
  type Kept,
  type Logged,
  type Publication,
  type Rejoining,
  type SentEvent,
  type SyncErrorCode,
  type SyncEventMap,
  type SyncOptions,
  type SyncSendOptions,
  type SyncStatus,
  type Transport,
  type WaitingIntent,
} from "./types.js";
import * as wire from "./wire.js";

const day = 86_400_000;
/** How long an intent that holds is remembered, in epochs: so far back a fork can undo it. */
const remembered = BigInt(wire.keptMarks);
/** How many pages of the log are read in one round; of how many bytes messages are received at once, but for the last of them, and as how many more each counts: small ones are 256. */
const [mostPages, mostAtOnce, overhead] = [256, 4 << 20, 16 << 10];
/** How often expired leaves are looked for, and by how much each member waits for the one before it, in ms. */
const [expiryCheck, expiryTurn] = [3_600_000, 3_600_000];
/** How many times the log is read again for what is missing, until something moves. */
const mostMissing = 12;
/** What a timer can wait, in ms: of more it makes nothing. */
const longestTimer = 2 ** 31 - 1;
/** How many different forks are reported that messages show: these can be made up. */
const mostForks = 64;

/** What is refused now and may be received later. */
const waits = /^(EPOCH_AHEAD|PROPOSAL_UNKNOWN|PSK_UNKNOWN|AUTHENTICATOR_FAILED)$/;
/** What is no news: it was received before, or is from before this client's time, or a commit is to follow it. */
const known = /^(ALREADY_PROCESSED|EPOCH_BEHIND|NOT_A_MEMBER|WRONG_GROUP|STATE_ROLLED_BACK)$/;
/** Failures of an operation that say nothing about what was asked for. */
const passing = /^(AUTHENTICATOR_FAILED|PSK_UNKNOWN|PENDING_COMMIT|STALE|CANCELLED|CLOSED|(STORE|INSTANCE)_.*)$/;

/** Why nothing can be sent before the next commit. */
const mustCommit = /^(PENDING_PROPOSALS|STATE_ROLLED_BACK)$/;

interface Waiter {
  resolve(): void;
  reject(error: SyncError): void;
}

/**
 * Keeps a group live over a transport, as `sync` makes it. While it does, commits
 * and proposals are made through it alone.
 */
export class GroupSync {
  readonly #group: Group;
  readonly #transport: Transport;
  readonly #options: SyncOptions;
  readonly #rows: Rows;
  readonly #channel: SyncChannel;
  readonly #ahead: Ahead;
  readonly #end = new AbortController();
  readonly #listeners = new Map<keyof SyncEventMap, Set<(event: never) => void>>();
  readonly #waiters = new Map<string, Waiter>();
  /** The content of messages that are on their way, to seal it again when their epoch has passed. */
  readonly #contents = new Map<string, { content: string | Uint8Array; options: SyncSendOptions }>();
  /** Messages that the service said to have taken, and the log has not handed back: when to publish them again. */
  readonly #said = new Map<string, { until: number; tries: number }>();
  /** The proposals of this epoch, for a service that has lost them. */
  readonly #proposals: Uint8Array[] = [];
  readonly #forks = new Set<string>();
  readonly #unhear: (() => void)[] = [];
  #worked: Promise<void> = Promise.resolve();

  #status: SyncStatus = "starting";
  #leading = false;
  #place: Place = { marks: new Map(), updated: { at: Date.now(), epoch: 0n } };
  #intents = new Map<string, IntentRow>();
  #outbox = new Map<string, { message: Uint8Array }>();
  /** What in the place and the intents is to be written. */
  readonly #changed = new Map<string, Change[number][1]>();
  /** What is told when that is written: else a page that is loaded again would do what was said to have failed. */
  readonly #news: Told[] = [];

  /** Where the log was read up to; the place that is kept may be behind it, for what is held in memory alone. */
  #head: Cursor | undefined;
  /** The epoch in which leaving was last proposed. */
  #left: bigint | undefined;
  #again = false;
  #rouse: (() => void) | undefined;
  /** Failed rounds, commits without an answer that holds, lost races, and rounds in which something was missing: each in a row. */
  readonly #tries = { failed: 0, unheard: 0, lost: 0, missing: 0 };
  /** Commit one intent at a time: together they broke a rule. */
  #singly = false;
  /** Somebody waits for a commit: to send, or to carry out what was proposed. */
  #commitWanted = false;
  #ignoreProposals = false;
  #proposalsSince: number | undefined;
  #expiryChecked = -Infinity;
  /** When a commit may be made or published again, after a race was lost or nothing came of it. */
  #notBefore = 0;
  #draining: Promise<void> | undefined;
  /** Whether there may be something in the inbox. */
  #fresh = false;
  #rejoining: { by: Rejoining; done: Waiter } | undefined;

  private constructor(group: Group, transport: Transport, options: SyncOptions, rows: Rows) {
    this.#group = group;
    this.#transport = transport;
    this.#options = options;
    this.#rows = rows;
    this.#ahead = new Ahead(options.maxAhead ?? 1_024);
    this.#channel = new SyncChannel(options.database, wire.hex(group.id), (notice) => this.#hear(notice));
  }

  /** @internal */
  static async start(group: Group, transport: Transport, options: SyncOptions): Promise<GroupSync> {
    const rows = await openRows(options.database, wire.hex(group.id));
    const sync = new GroupSync(group, transport, options, rows);
    sync.#unhear.push(group.on("closed", () => void sync.#closed()));
    sync.#worked = sync.#channel.lead(() => sync.#lead()).catch((error: unknown) => sync.#trouble(error, 0));
    // Where the lock is free it is granted in a moment; who waits longer, follows.
    setTimeout(() => {
      if (!sync.#leading && sync.#status === "starting") sync.#become("following");
    }, 50);
    return sync;
  }

  /** The group. */
  get group(): Group {
    return this.#group;
  }

  /** What the group is doing. */
  get status(): SyncStatus {
    return this.#status;
  }

  /** Has a function called at every event of a type. Returns a function that ends this. */
  on<K extends keyof SyncEventMap>(type: K, listener: (event: SyncEventMap[K]) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Adds the owner of a key package. */
  async add(keyPackage: Uint8Array, options: AddOptions = {}): Promise<Kept> {
    return this.want({ kind: "add", keyPackage, ...options });
  }

  /** Removes a member. */
  async remove(member: Member): Promise<Kept> {
    return this.want(removalOf(member));
  }

  /** Gives this client fresh keys. */
  async update(): Promise<Kept> {
    return this.want({ kind: "update" });
  }

  /** Leaves the group: somebody else commits it. */
  async leave(): Promise<Kept> {
    return this.want({ kind: "leave" });
  }

  /** Keeps an intent until it holds, or can no longer hold. Resolves when it is kept. */
  async want(intent: Intent): Promise<Kept> {
    this.#mustRun();
    if (intent.kind === "add" && !wire.signatureKeyOf(intent.keyPackage)) throw new SyncError("IMPOSSIBLE", "no key package");
    if (intent.kind === "custom" && !this.#options.intents?.[intent.name]) throw new SyncError("IMPOSSIBLE", `no intent has the name ${intent.name}`);
    const row: IntentRow = { intent: structuredClone(intent), since: Date.now() };
    if (intent.kind === "update") row.was = (await this.#group.member((await this.#group.info()).ownLeaf)).encryptionKey;
    return this.#keep("intent", row);
  }

  /** The intents that wait. */
  async intents(): Promise<WaitingIntent[]> {
    const { intents } = await this.#rows.load();
    return [...intents].filter(([, row]) => row.held === undefined).map(([id, { intent, since }]) => ({ id, intent, since: new Date(since) }));
  }

  /** Gives an intent up. Rejects with PUBLISHED when the service may have taken its commit already. */
  async withdraw(id: string): Promise<void> {
    this.#mustRun();
    const { place, intents } = await this.#rows.load();
    const row = intents.get(id);
    if (!row || row.held !== undefined) return;
    if (place?.pending?.intents.includes(id)) throw new SyncError("PUBLISHED");
    await this.#rows.change([[`intent/${id}`, undefined]]);
    // Who makes a commit first writes down for what, and then looks what is still wanted; this is the other way round.
    if ((await this.#rows.load()).place?.pending?.intents.includes(id)) {
      await this.#rows.change([[`intent/${id}`, row]]);
      throw new SyncError("PUBLISHED");
    }
    this.#tell({ type: "intent", event: { id, intent: row.intent, state: "failed", failure: { code: "WITHDRAWN", message: "given up" } } });
    this.#wake();
  }

  /**
   * Encrypts application data and sees it into the log. Resolves when it is sealed
   * and kept; it waits while proposals wait for a commit. The content is kept in memory alone.
   */
  async send(content: string | Uint8Array, options: SyncSendOptions = {}): Promise<Kept> {
    this.#mustRun();
    const message = await this.#seal(content, options);
    const kept = await this.#keep("outbox", { message });
    this.#contents.set(kept.id, { content, options });
    const forget = () => void this.#contents.delete(kept.id);
    kept.done.then(forget, forget);
    return kept;
  }

  /**
   * What this client knows of the group's last epochs, to be given to other
   * members by whatever way, and there to {@link compare}. It is readable to all, and not signed.
   */
  async statement(): Promise<Uint8Array> {
    const marks = await this.#known();
    return wire.statementOf(this.#group.id, marks, this.#group.epoch);
  }

  /** Compares what another member says with what is known here. A fork is reported, too. */
  async compare(statement: Uint8Array): Promise<"same" | "forked" | "unknown"> {
    this.#mustRun();
    const { marks, data } = wire.readMarks(statement);
    if (!wire.same(data, this.#group.id)) return "unknown";
    const ours = await this.#known();
    if (!wire.overlap(ours, marks)) return "unknown";
    if (!wire.parting(ours, marks)) return "same";
    if (this.#leading) this.#suspect(marks, "statement");
    else this.#channel.post({ kind: "statement", statement });
    return "forked";
  }

  /**
   * Comes back into the group by an external commit (RFC 9420, Section 12.4.3.2) that
   * takes the former leaf out: from a fork, or when commits are lost. What held only
   * on the branch that is left is made again. Resolves when this client is in.
   *
   * Rejects with FOLLOWING in a tab that does not do the work, and as `MLS.joinExternal` does.
   */
  async rejoin(by: Rejoining): Promise<void> {
    this.#mustRun();
    if (!this.#leading) throw new SyncError("FOLLOWING");
    this.#rejoining?.done.reject(new SyncError("WITHDRAWN"));
    await new Promise<void>((resolve, reject) => {
      this.#rejoining = { by, done: { resolve, reject } };
      this.#wake();
    });
  }

  /** Looks at the log now. */
  refresh(): void {
    this.#wake(true);
  }

  /** Stays on this branch of a fork: the alarm was false, or it is the others who come back. */
  stay(): void {
    if (!this.#leading) return this.#channel.post({ kind: "stay" });
    delete this.#place.fork;
    this.#writePlace();
    this.#wake();
  }

  /** Ends this. What is kept goes on when the group is synced again. */
  async stop(): Promise<void> {
    if (!this.#ended) this.#finish("stopped", "STOPPED");
    await this.#worked;
    this.#rows.close();
  }

  // What is kept

  get #ended(): boolean {
    return this.#end.signal.aborted;
  }

  #mustRun(): void {
    if (this.#status === "removed") throw new SyncError("REMOVED");
    if (this.#ended) throw new SyncError("STOPPED");
  }

  async #keep(kind: "intent" | "outbox", row: IntentRow | { message: Uint8Array }): Promise<Kept> {
    // Ids are in the order of time, and no two tabs make the same.
    const id = `${Date.now().toString(36).padStart(9, "0")}${(order++ % 46_656).toString(36).padStart(3, "0")}${Math.random().toString(36).slice(2, 8)}`;
    const done = new Promise<void>((resolve, reject) => this.#waiters.set(id, { resolve, reject }));
    done.catch(() => {}); // who does not wait, hears of it by the event
    await this.#rows.change([[`${kind}/${id}`, row]]);
    this.#wake();
    return { id, done };
  }

  #write(name: string, row: Change[number][1]): void {
    this.#changed.set(name, row);
  }

  #writePlace(): void {
    this.#write("place", this.#place);
  }

  /** Writes what has changed, and tells what came of it. */
  async #store(): Promise<void> {
    if (this.#changed.size > 0) await this.#writeChanges();
    this.#tellNews();
  }

  async #writeChanges(): Promise<void> {
    const change: Change = [...this.#changed];
    this.#changed.clear();
    try {
      await this.#rows.change(change);
    } catch (error) {
      // The next round tries again.
      for (const [name, row] of change) if (!this.#changed.has(name)) this.#write(name, row);
      throw error;
    }
  }

  #load({ intents, outbox }: Contents): void {
    this.#intents = intents;
    this.#outbox = outbox;
  }

  /** The intents that are to be carried out, in their order. */
  get #wanted(): [string, IntentRow][] {
    return [...this.#intents].filter(([, row]) => row.held === undefined);
  }

  /** Those of them that a commit of one's own carries out. */
  get #changes(): [string, IntentRow][] {
    return this.#wanted.filter(([, { intent }]) => intent.kind !== "leave");
  }

  #settle(id: string, row: IntentRow, failure?: Failure, epoch = this.#group.epoch): void {
    if (failure) {
      this.#intents.delete(id);
      this.#write(`intent/${id}`, undefined);
    } else {
      row.held = epoch;
      this.#write(`intent/${id}`, row);
    }
    const event = { id, intent: row.intent, state: failure ? "failed" : "held" } as const;
    this.#news.push({ type: "intent", event: failure ? { ...event, failure } : event });
  }

  // The work

  /** Has a round begin; when the last one failed, not before its time, unless that is asked for. */
  #wake(urgent = false): void {
    if (!this.#leading) return this.#channel.post({ kind: "wake" });
    this.#again = true;
    if (urgent || this.#tries.failed === 0) this.#rouse?.();
  }

  async #lead(): Promise<void> {
    if (this.#ended) return;
    this.#leading = true;
    const wake = () => this.#wake(true);
    globalThis.addEventListener?.("online", wake);
    let unsubscribe: (() => void) | undefined;
    try {
      unsubscribe = await this.#attempt(async () => this.#transport.subscribe(this.#group.id, () => this.#wake()));
      await this.#attempt(() => this.#begin());
      while (!this.#ended) {
        this.#again = false;
        const rest = await this.#attempt(() => this.#round());
        if (!this.#again && !this.#ended) await this.#sleep(rest ?? 0);
      }
    } finally {
      this.#leading = false;
      globalThis.removeEventListener?.("online", wake);
      unsubscribe?.();
    }
  }

  /** Does something, and where that fails waits and does it again. */
  async #attempt<T>(action: () => Promise<T>): Promise<T | undefined> {
    while (!this.#ended) {
      try {
        const result = await action();
        this.#tries.failed = 0;
        return result;
      } catch (error) {
        if (this.#ended) break;
        if (codeOf(error) === "CLOSED") return void this.#finish("stopped", "STOPPED"); // the client is
        const wait = this.#backoff(this.#tries.failed++);
        this.#become("unreachable");
        this.#trouble(error, wait);
        await this.#sleep(wait);
      }
    }
    return undefined;
  }

  async #begin(): Promise<void> {
    const contents = await this.#rows.load();
    this.#load(contents);
    if (contents.place) this.#place = contents.place;
    else {
      const { since } = this.#options;
      if (since !== undefined) Object.assign(this.#place, { cursor: since, begun: since, first: since });
      this.#place.updated.epoch = this.#group.epoch;
    }
    this.#head = this.#place.cursor;
    await this.#mark();
    if (this.#place.fork) this.#fork(this.#place.fork);
    this.#drain();
  }

  /** One round: what has come, what is to be sent, what is to be changed. Returns how long nothing need be done. */
  async #round(): Promise<number> {
    await this.#store();
    this.#load(await this.#rows.load());
    await this.#catchUp();
    if (this.#ended) return 0;
    const rest = Math.min(await this.#publishOutbox(), await this.#carryOut(), this.#jittered(this.#options.poll ?? 60_000));
    await this.#store();
    if (this.#ended) return 0;
    this.#become(this.#place.fork ? "forked" : this.#ahead.size ? "behind" : "live");
    return this.#ahead.size ? Math.min(rest, this.#backoff(this.#tries.missing++)) : rest;
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#ended) return; // a listener has stopped it
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(ms, longestTimer));
      this.#rouse = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #backoff(tries: number): number {
    const { first = 500, longest = 60_000 } = this.#options.retry ?? {};
    return this.#jittered(Math.min(longest, first * 2 ** Math.min(tries, 20)));
  }

  #jittered(ms: number): number {
    return ms * (0.5 + Math.random() / 2);
  }

  /** Calls the transport, and gives up after a while: what it did is unknown then. */
  #ask<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const control = new AbortController();
    return new Promise<T>((resolve, reject) => {
      const end = () => {
        const error = new DOMException("the transport did not answer", "TimeoutError");
        control.abort(error);
        reject(error);
      };
      if (this.#ended) return end();
      const timer = setTimeout(end, this.#options.timeout ?? 30_000);
      this.#end.signal.addEventListener("abort", end, { once: true });
      (async () => call(control.signal))()
        // A transport that is closed is no client that is: it is asked again.
        .then(resolve, (error: unknown) => reject(codeOf(error) === "CLOSED" ? new Error("the transport is closed", { cause: error }) : error))
        .finally(() => {
          clearTimeout(timer);
          this.#end.signal.removeEventListener("abort", end);
        });
    });
  }

  #publish(publication: Publication): Promise<Answer> {
    return this.#ask((signal) => this.#transport.publish(publication, signal));
  }

  // The log

  /** Reads the log up to its end; from where the epoch began, when something is missing. */
  async #catchUp(): Promise<void> {
    let from = this.#from();
    for (let pages = 0; pages < mostPages && !this.#ended; pages++) {
      const before = this.#group.epoch;
      const { entries, more } = await this.#ask((signal) => this.#transport.fetch(this.#group.id, from, signal));
      for (let at = 0, to = 0; at < entries.length; at = to) {
        for (let bytes = 0; to < entries.length && bytes < mostAtOnce; to++) bytes += entries[to]!.message.length + overhead;
        await this.#receive(entries.slice(at, to));
        if (this.#ended) return;
      }
      from = entries.at(-1)?.cursor ?? from;
      this.#head = from;
      const again = this.#group.epoch !== before && this.#ahead.forgotten();
      if (again) from = this.#place.begun;
      this.#keepPlace();
      await this.#store();
      this.#drain();
      if (!again && (entries.length === 0 || !more)) break;
    }
    if (this.#ahead.size) {
      const failure = this.#ahead.first?.failure;
      if (this.#tries.missing > mostMissing && failure?.code === "EPOCH_AHEAD") this.#ahead.forget();
      // What comes in a wrong order is not missing: the first time nothing is said.
      if (failure && this.#tries.missing === 1) this.#tell({ type: "missing", event: { epoch: this.#group.epoch, waiting: this.#ahead.size, failure } });
    } else this.#tries.missing = 0;
  }

  /** Where to read on; where something is missing further back, and now and then from the beginning. */
  #from(): Cursor | undefined {
    const tries = Math.max(this.#ahead.size ? this.#tries.missing + 1 : 0, this.#tries.unheard - 1);
    if (tries <= 0) return this.#head;
    return tries % 6 === 0 ? this.#place.first : this.#place.begun;
  }

  #keepPlace(): void {
    const cursor = this.#ahead.complete ? this.#head : this.#place.begun;
    if (cursor !== undefined) this.#place.cursor = cursor;
    this.#writePlace();
  }

  /** Receives messages of the log, and what has waited for them. */
  async #receive(entries: readonly Logged[]): Promise<void> {
    let batch = entries;
    while (batch.length > 0) {
      let news = false;
      for (let at = 0, to = 0; at < batch.length; at = to) {
        // Up to a commit, so that each epoch is marked: of two branches, the first that differs tells them apart.
        do to++;
        while (to < batch.length && wire.outsideOf(batch[to - 1]!.message)?.content !== wire.commitContent);
        const part = batch.slice(at, to);
        const before = this.#group.epoch;
        // The place in the log is in another database, whose file may be on the disk first.
        const results = await this.#group.receiveAll(part.map(({ message }) => message), { durability: "strict" });
        for (const [i, result] of results.entries()) {
          if (result.type !== "refused") news = true;
          await this.#learn(part[i]!, result);
          if (this.#ended) return;
        }
        if (this.#group.epoch !== before) await this.#mark();
      }
      batch = news ? this.#ahead.take(this.#group.epoch) : [];
    }
  }

  /** What became of a message. */
  async #learn({ cursor, message }: Logged, result: Received): Promise<void> {
    if (result.type === "own" || result.type === "refused") {
      // Also what MLS does not know for one's own any more, among many.
      const [id] = [...this.#outbox].find(([, row]) => wire.same(row.message, message)) ?? [];
      if (id !== undefined) {
        this.#tries.unheard = 0;
        return this.#sent(id, "sent");
      }
    }
    switch (result.type) {
      case "proposal":
        this.#proposals.push(message);
        return;
      case "group-update":
        this.#place.begun = cursor;
        this.#proposals.length = 0;
        this.#proposalsSince = undefined;
        this.#tries.missing = 0;
        this.#ignoreProposals = false;
        this.#follow(result);
        if (result.own) await this.#won(result.external);
        return;
      case "removed":
        this.#removed();
        return;
      case "refused":
        return this.#refused({ cursor, message }, result.error);
    }
  }

  async #refused({ cursor, message }: Logged, error: MLSError): Promise<void> {
    const { code } = error;
    if (code.startsWith("STORE_")) throw error; // it says nothing about the message
    const failure = failureOf(error);
    const outside = wire.outsideOf(message);
    if (outside && code !== "ALREADY_PROCESSED") this.#suspect(wire.readMarks(outside.authenticatedData).marks, "message");
    if (waits.test(code)) {
      if (outside) await this.#ahead.add({ message, epoch: outside.epoch, cursor, failure }, this.#group.epoch);
      return;
    }
    // The service has taken a commit that it said it would not: others went on with it.
    if (code === "OWN_MESSAGE_UNKNOWN" && outside?.content === wire.commitContent && outside.epoch === this.#group.epoch) {
      this.#fork({ epoch: outside.epoch + 1n, common: outside.epoch, evidence: "own-commit" });
    }
    if (!known.test(code)) this.#tell({ type: "refused", event: { cursor, failure } });
  }

  /** Sees what a commit means for the intents. */
  #follow(update: GroupUpdateEvent): void {
    const holds = (id: string, row: IntentRow) => this.#settle(id, row, undefined, update.epoch);
    const added = (key: Uint8Array) => update.added.find((member) => wire.same(member.signatureKey, key));
    for (const [id, row] of this.#wanted) {
      const { intent } = row;
      if (intent.kind === "add" && added(wire.signatureKeyOf(intent.keyPackage)!)) holds(id, row);
      if (intent.kind === "update" && update.own) holds(id, row);
      if (intent.kind !== "remove") continue;
      const changed = [...update.updated, ...(update.committer ? [update.committer] : [])].find(({ leaf }) => leaf === intent.leaf);
      if (update.removed.some(({ leaf }) => leaf === intent.leaf)) {
        // Whoever came back by itself is still the one who is to go.
        const back = update.external ? added(intent.signatureKey) : undefined;
        if (back) this.#retarget(id, row, back);
        else holds(id, row);
      } else if (changed && !wire.same(changed.signatureKey, intent.signatureKey)) this.#retarget(id, row, changed);
    }
  }

  #retarget(id: string, row: IntentRow, member: Member): void {
    row.intent = removalOf(member);
    this.#write(`intent/${id}`, row);
  }

  /** A commit of one's own has come back. */
  async #won(external: boolean): Promise<void> {
    this.#tries.unheard = this.#tries.lost = this.#notBefore = 0;
    this.#commitWanted = false;
    this.#singly = false;
    this.#place.updated = { at: Date.now(), epoch: this.#group.epoch };
    if (external) await this.#rejoined();
    delete this.#place.pending;
    this.#again = true;
  }

  /** This client was removed: nothing is left to do, nor to keep. */
  #removed(): void {
    for (const [id, row] of this.#wanted) {
      if (row.intent.kind === "leave") this.#settle(id, row);
      else this.#settle(id, row, { code: "REMOVED", message: "removed" });
    }
    this.#changed.clear();
    this.#tellNews();
    this.#drain();
    void this.#rows.clear().catch((error: unknown) => this.#trouble(error, 0));
    this.#finish("removed", "REMOVED");
  }

  async #closed(): Promise<void> {
    if (this.#ended) return;
    this.#finish("stopped", "STOPPED");
    await this.#rows.clear().catch(() => {}); // its database may be gone as well
  }

  #finish(status: "removed" | "stopped", code: SyncErrorCode): void {
    this.#become(status);
    this.#end.abort();
    this.#rouse?.();
    for (const unhear of this.#unhear) unhear();
    for (const waiter of this.#waiters.values()) waiter.reject(new SyncError(code));
    this.#waiters.clear();
    this.#rejoining?.done.reject(new SyncError(code));
    this.#channel.close();
  }

  /** Gives the application what is in the inbox, one after the other. */
  #drain(): void {
    const { deliver } = this.#options;
    if (!deliver) return;
    this.#fresh = true;
    this.#draining ??= (async () => {
      for (let tries = 0; this.#fresh; ) {
        this.#fresh = false;
        try {
          for (const event of await this.#group.inbox()) {
            await deliver(this.withoutMarks(event));
            await this.#group.acknowledge(event);
            if (this.#status === "stopped") return;
          }
          tries = 0;
        } catch (error) {
          if (this.#status === "stopped") return;
          this.#fresh = true;
          const wait = this.#backoff(tries++);
          this.#trouble(error, wait);
          await new Promise((resolve) => setTimeout(resolve, wait));
        }
      }
      this.#draining = undefined;
    })();
  }

  /** A message as its sender gave it to {@link send}: without what sync has put into its authenticated data. */
  withoutMarks(event: ApplicationEvent): ApplicationEvent {
    return { ...event, authenticatedData: new Uint8Array(wire.readMarks(event.authenticatedData).data) };
  }

  // Sending

  async #encrypt(content: string | Uint8Array, options: SyncSendOptions): Promise<Uint8Array> {
    const authenticatedData = wire.withMarks(await this.#known(), this.#group.epoch, options.authenticatedData);
    return this.#group.send(content, { ...options, authenticatedData });
  }

  async #seal(content: string | Uint8Array, options: SyncSendOptions): Promise<Uint8Array> {
    for (;;) {
      try {
        return await this.#encrypt(content, options);
      } catch (error) {
        if (!mustCommit.test(codeOf(error))) throw error;
        await this.#nextEpoch();
      }
    }
  }

  /** Has a commit made, and waits for it. */
  async #nextEpoch(): Promise<void> {
    const epoch = this.#group.epoch;
    this.#commitWanted = true;
    if (this.#leading) this.#wake();
    else await this.update();
    let off: () => void;
    await new Promise<void>((resolve, reject) => {
      const ended = () => reject(new SyncError(this.#status === "removed" ? "REMOVED" : "STOPPED"));
      const offUpdate = this.#group.on("group-update", () => this.#group.epoch > epoch && resolve());
      this.#end.signal.addEventListener("abort", ended);
      off = () => {
        offUpdate();
        this.#end.signal.removeEventListener("abort", ended);
      };
      if (this.#group.epoch > epoch) resolve();
    }).finally(() => off());
  }

  /** Publishes what was sealed. It is there when the log hands it back. Returns how long nothing need be done. */
  async #publishOutbox(): Promise<number> {
    let rest = Infinity;
    if (this.#rejoining || this.#place.pending?.rejoins) return rest; // on the other branch nobody can read it
    for (const [id, { message }] of this.#outbox) {
      const said = this.#said.get(id) ?? { until: 0, tries: 0 };
      if (said.until <= now()) {
        const { result } = await this.#publish({ kind: "application", groupId: this.#group.id, message });
        if (this.#ended) return 0;
        if (result === "stale" && (await this.#overtaken(id, message))) continue;
        if (result === "refused" || (result === "accepted" && this.#transport.echoes === false)) {
          this.#sent(id, result === "refused" ? result : "sent");
          await this.#store();
          continue;
        }
        // The service says that it has it, and the log does not; or that its epoch has passed, and it has not.
        if (said.tries > 1) this.#tries.unheard++;
        this.#said.set(id, { until: now() + this.#backoff(said.tries + 1), tries: said.tries + 1 });
      }
      rest = Math.min(rest, this.#said.get(id)!.until - now());
    }
    return Math.max(0, rest);
  }

  /** Looks whether a message is in the log, for the answer to an earlier try may be lost, or else whether its epoch has passed. Returns whether that is settled. */
  async #overtaken(id: string, message: Uint8Array): Promise<boolean> {
    await this.#catchUp();
    if (!this.#outbox.has(id) || this.#ended) return true;
    return wire.outsideOf(message)!.epoch < this.#group.epoch && this.#sealAgain(id);
  }

  /** Seals a message for this epoch, where its content is still here. Returns false while nothing can be sent: it stays as it is. */
  async #sealAgain(id: string): Promise<boolean> {
    const sent = this.#contents.get(id);
    try {
      if (!sent) throw new SyncError("EXPIRED");
      const row = { message: await this.#encrypt(sent.content, sent.options) };
      this.#outbox.set(id, row);
      this.#write(`outbox/${id}`, row);
      this.#again = true;
    } catch (error) {
      if (mustCommit.test(codeOf(error))) {
        this.#commitWanted = true;
        return false;
      }
      if (!/EXPIRED|READ_ONLY/.test(codeOf(error))) throw error;
      this.#sent(id, "expired");
    }
    return true;
  }

  #sent(id: string, state: SentEvent["state"]): void {
    this.#outbox.delete(id);
    this.#said.delete(id);
    this.#write(`outbox/${id}`, undefined);
    this.#news.push({ type: "sent", event: { id, state } });
  }

  // Changing

  /** Publishes the commit that waits, or makes one where something is wanted. Returns how long nothing need be done. */
  async #carryOut(): Promise<number> {
    const info = await this.#group.info();
    if (info.status === "removed") {
      this.#removed();
      return 0;
    }
    await this.#turnAway(info);
    await this.#judge(info);
    if (info.status === "read-only") return Infinity;
    const early = this.#notBefore - now();
    if (early > 0) return early;
    if (this.#rejoining) await this.#rejoin();
    let pending = await this.#group.pendingCommit();
    const hash = pending && wire.hex(await wire.digest(pending.commit));
    if (hash && info.status === "joining") this.#place.pending = { hash, intents: [], rejoins: true };
    if (pending && this.#place.pending?.hash !== hash) {
      // It was made just before a crash, and never published: what is published is kept first.
      await this.#group.clearPendingCommit();
      pending = undefined;
    }
    if (!pending && this.#place.pending) this.#unpend();
    if (!pending) {
      const wait = await this.#due(info);
      if (wait > 0) return wait;
      if (!(await this.#make(info))) return 0;
      pending = await this.#group.pendingCommit();
      if (!pending) return 0;
    }
    return this.#publishCommit(pending, info);
  }

  async #publishCommit(pending: NonNullable<Awaited<ReturnType<Group["pendingCommit"]>>>, info: GroupState): Promise<number> {
    const { intents, rejoins } = this.#place.pending!;
    const to = intents.flatMap((id) => {
      const intent = this.#intents.get(id)?.intent;
      return intent?.kind === "add" && intent.to !== undefined ? [intent.to] : [];
    });
    const { commit: message, epoch, ...rest } = pending;
    const { result, ...more } = await this.#publish({ kind: "commit", groupId: this.#group.id, message, epoch: epoch - 1n, to, ...rest });
    if (this.#ended) return 0;
    switch (result) {
      case "accepted":
        if (this.#transport.echoes === false) {
          const update = await this.#group.applyPendingCommit();
          await this.#mark();
          await this.#learn({ cursor: this.#head ?? 0, message: pending.commit }, update);
          this.#keepPlace();
          return 0;
        }
        break;
      case "missing-proposal":
        return this.#republish(info);
      case "refused":
        await this.#group.clearPendingCommit();
        this.#unpend();
        for (const id of intents) {
          const row = this.#intents.get(id);
          if (row) this.#settle(id, row, { code: "REFUSED", message: ("reason" in more && more.reason) || "" });
        }
        this.#commitWanted = false;
        if (rejoins) this.#giveUpRejoining(new SyncError("REFUSED"));
        return this.#later(this.#backoff(this.#tries.lost++));
    }
    // The log has the last word: it hands back this commit, or the one that was faster.
    await this.#catchUp();
    if (this.#ended) return 0;
    const left = await this.#group.pendingCommit();
    if (!left || left.epoch !== pending.epoch) {
      if (this.#place.pending) this.#tries.lost++; // else it was won
      return this.#place.pending ? this.#lost() : 0;
    }
    if (rejoins && result === "stale") {
      await this.#group.clearPendingCommit(); // the branch has gone on: its next GroupInfo
      this.#tries.lost++;
      return this.#lost();
    }
    return this.#later(this.#backoff(this.#tries.unheard++));
  }

  async #pend(pending: NonNullable<Place["pending"]>): Promise<void> {
    this.#place.pending = pending;
    this.#writePlace();
    await this.#store();
  }

  #unpend(): void {
    delete this.#place.pending;
    this.#writePlace();
  }

  #later(ms: number): number {
    this.#notBefore = now() + ms;
    return ms;
  }

  /** How long to wait after a race was lost: with many who race, chance spreads them. */
  #lost(): number {
    this.#unpend();
    const { first = 500 } = this.#options.retry ?? {};
    return this.#later(Math.random() * Math.min(first * 2 ** Math.min(this.#tries.lost, 4), 5_000));
  }

  /** Publishes the proposals of this epoch again; where that does not help, the commit is made without them. */
  async #republish(info: GroupState): Promise<number> {
    const own = (await this.#group.proposals()).flatMap(({ message }) => (message ? [message] : []));
    for (const message of [...own, ...this.#proposals]) await this.#publish({ kind: "proposal", groupId: this.#group.id, message });
    if (this.#tries.unheard++ === 0) return 0;
    await this.#catchUp();
    if (this.#group.epoch !== info.epoch) return 0;
    await this.#group.clearPendingCommit();
    this.#ignoreProposals = true;
    this.#tries.unheard = 0;
    return this.#later(this.#backoff(this.#tries.lost++));
  }

  /**
   * Sets aside the proposals of those who are no members and propose themselves (RFC
   * 9420, Section 12.1.8): whoever knows the group's id can, the service above all, and it
   * is given the Welcome. Nobody has asked for them; who is wanted is added.
   */
  async #turnAway(info: GroupState): Promise<void> {
    if (info.pendingProposals === 0) return;
    for (const proposal of await this.#group.proposals()) if (proposal.sender.type === "new-member") await this.#group.dropProposal(proposal);
  }

  /** Sees which intents hold, or can no longer hold. */
  async #judge(info: GroupState): Promise<void> {
    for (const [id, row] of this.#intents) {
      if (row.held === undefined || row.held + remembered > info.epoch) continue;
      this.#intents.delete(id);
      this.#write(`intent/${id}`, undefined);
    }
    const wanted = this.#wanted;
    if (wanted.length === 0) return;
    const members = await this.#group.members();
    for (const [id, row] of wanted) {
      if (await this.#holds(row, members, wanted)) this.#settle(id, row);
      else if (info.status === "read-only") this.#settle(id, row, { code: "IMPOSSIBLE", message: "the group is continued as another" });
    }
    await this.#store();
  }

  async #holds({ intent, was }: IntentRow, members: readonly Member[], wanted: [string, IntentRow][]): Promise<boolean> {
    switch (intent.kind) {
      case "add": {
        // Who is to go first, and come back with another key package, is not there yet.
        const key = wire.signatureKeyOf(intent.keyPackage)!;
        const leaves = wanted.some(([, row]) => row.intent.kind === "remove" && wire.same(row.intent.signatureKey, key));
        return !leaves && members.some((member) => wire.same(member.signatureKey, key));
      }
      case "remove":
        return !members.some((member) => member.leaf === intent.leaf && wire.same(member.signatureKey, intent.signatureKey));
      case "update": {
        const own = members.find((member) => member.own);
        return !!own && !!was && !wire.same((await this.#group.member(own)).encryptionKey, was);
      }
      case "leave":
        return false;
      case "custom":
        return (await this.#options.intents?.[intent.name]?.holds(this.#group, intent.data)) === true;
    }
  }

  /** Whether a commit is due: 0, or how long it has time. */
  async #due(info: GroupState): Promise<number> {
    await this.#applyPolicy(info);
    if (!info.rolledBack) await this.#proposeLeaving(info); // else keys come first
    // Who only wants to leave makes no commit, which would drop the proposal.
    if (this.#changes.length > 0 || info.rolledBack || (this.#commitWanted && this.#wanted.length === 0)) return 0;
    if (info.pendingProposals === 0) return Infinity;
    // Somebody has to commit what was proposed. All members wait, by chance: the first one does it for all.
    const others = (await this.#group.proposals()).filter(
      (p) => !(p.type === "remove" && p.leaf === info.ownLeaf) && !(p.type === "update" && p.sender.type === "member" && p.sender.leaf === info.ownLeaf),
    );
    if (others.length === 0) return Infinity;
    const { first = 500 } = this.#options.retry ?? {};
    this.#proposalsSince ??= now() + Math.random() * first * 4;
    return Math.max(0, this.#proposalsSince - now());
  }

  async #applyPolicy(info: GroupState): Promise<void> {
    const { updateAfter, removeExpiredAfter } = this.#options;
    const wanted = this.#wanted.map(([, row]) => row.intent);
    if (updateAfter && !wanted.some(({ kind }) => kind === "update")) {
      const { at, epoch } = this.#place.updated;
      const old = updateAfter.days !== undefined && Math.abs(Date.now() - at) >= updateAfter.days * day; // of the future, the clock was wrong
      const far = updateAfter.epochs !== undefined && info.epoch - epoch >= BigInt(updateAfter.epochs);
      if (old || far) await this.#adopt({ kind: "update" }, (await this.#group.member(info.ownLeaf)).encryptionKey);
    }
    if (removeExpiredAfter === undefined || now() < this.#expiryChecked + expiryCheck) return;
    this.#expiryChecked = now();
    const members = await this.#group.members();
    const turn = members.findIndex(({ own }) => own) * expiryTurn;
    for (const member of members) {
      if (member.own || wanted.some((intent) => intent.kind === "remove" && intent.leaf === member.leaf)) continue;
      const { lifetime } = await this.#group.member(member);
      if (!lifetime || Date.now() < lifetime.notAfter.getTime() + removeExpiredAfter * day + turn) continue;
      await this.#adopt(removalOf(member));
    }
  }

  /** Makes an intent of the policy's one of this round. */
  async #adopt(intent: Intent, was?: Uint8Array): Promise<void> {
    const row: IntentRow = { intent, since: Date.now(), ...(was ? { was } : {}) };
    const { id } = await this.#keep("intent", row);
    this.#intents.set(id, row);
  }

  async #proposeLeaving(info: GroupState): Promise<void> {
    if (!this.#wanted.some(([, { intent }]) => intent.kind === "leave")) return;
    const present = (await this.#group.proposals()).find((p) => p.type === "remove" && p.leaf === info.ownLeaf && p.message);
    const message = present?.message ?? (await this.#group.leave({ authenticatedData: wire.withMarks(this.#place.marks, info.epoch) })).message;
    if (this.#left === info.epoch && present) return;
    await this.#publish({ kind: "proposal", groupId: this.#group.id, message });
    this.#left = info.epoch;
  }

  /** Makes a commit of what is wanted. Returns whether there is one. */
  async #make(info: GroupState): Promise<boolean> {
    const wanted = this.#changes;
    const rows = this.#singly || wanted[0]?.[1].intent.kind === "custom" ? wanted.slice(0, 1) : wanted.filter(([, { intent }]) => intent.kind !== "custom");
    const options = {
      authenticatedData: wire.withMarks(this.#place.marks, info.epoch),
      ignoreProposals: this.#ignoreProposals,
      withGroupInfo: this.#options.withGroupInfo === true,
    };
    const contents = await this.#contentsOf(rows);
    if (!contents) {
      for (const [id, row] of rows) this.#settle(id, row, { code: "IMPOSSIBLE", message: "there is nothing to commit for it" });
      return false;
    }
    const intents = rows.map(([id]) => id);
    await this.#pend({ hash: "", intents, rejoins: false });
    const kept = (await this.#rows.load()).intents;
    if (!intents.every((id) => kept.has(id))) return false; // one was withdrawn
    try {
      const { commit } = await this.#group.commit({ ...contents, ...options });
      await this.#pend({ hash: wire.hex(await wire.digest(commit)), intents, rejoins: false });
      return true;
    } catch (error) {
      const failure = failureOf(error);
      if (passes(error) || rows.length === 0) throw error;
      if (rows.length === 1) {
        this.#settle(...rows[0]!, failure);
        this.#singly = false;
      } else this.#singly = true;
      return false;
    }
  }

  async #contentsOf(rows: readonly [string, IntentRow][]): Promise<CommitContents | undefined> {
    const first = rows[0]?.[1].intent;
    if (first?.kind === "custom") return this.#options.intents?.[first.name]?.contents(this.#group, first.data);
    const add = rows.flatMap(([, { intent }]) => (intent.kind === "add" ? [intent.keyPackage] : []));
    const remove = rows.flatMap(([, { intent }]) => (intent.kind === "remove" ? [intent.leaf] : []));
    return { ...(add.length > 0 ? { add } : {}), ...(remove.length > 0 ? { remove: [...new Set(remove)] } : {}) };
  }

  // Forks

  /** Keeps the mark of the present epoch. */
  async #mark(): Promise<void> {
    const { epoch, epochAuthenticator, status } = await this.#group.info();
    if (status !== "active" && status !== "read-only") return;
    const { marks } = this.#place;
    marks.set(epoch, await wire.markOf(epochAuthenticator));
    for (const old of [...marks.keys()].slice(0, -wire.keptMarks)) marks.delete(old);
    this.#writePlace();
  }

  /** The marks, also in a tab that does not keep them. */
  async #known(): Promise<wire.Marks> {
    if (this.#leading && this.#place.marks.has(this.#group.epoch)) return this.#place.marks;
    const { epoch, epochAuthenticator } = await this.#group.info();
    const kept = (await this.#rows.load()).place?.marks ?? this.#place.marks;
    return new Map(kept).set(epoch, await wire.markOf(epochAuthenticator));
  }

  #suspect(marks: wire.Marks, evidence: ForkEvent["evidence"]): void {
    const parting = wire.parting(this.#place.marks, marks);
    if (parting) this.#fork({ ...parting, evidence }, marks.get(parting.epoch));
  }

  #fork(event: ForkEvent, mark = ""): void {
    const key = `${event.epoch}/${mark}`;
    if (this.#forks.has(key) || (event.evidence === "message" && this.#forks.size >= mostForks)) return;
    this.#forks.add(key);
    const { common } = event;
    if (common !== undefined && (this.#place.common === undefined || common < this.#place.common)) this.#place.common = common;
    this.#place.fork = event;
    this.#writePlace();
    this.#wake(); // to store it
    this.#become("forked");
    this.#tell({ type: "fork", event });
    const { heal } = this.#options;
    if (!heal) return;
    (async () => heal(event))().then(
      (by) => (by ? this.rejoin(by).catch((error: unknown) => this.#trouble(error, 0)) : this.stay()),
      (error: unknown) => this.#trouble(error, 0),
    );
  }

  /** Makes the external commit that comes back. */
  async #rejoin(): Promise<void> {
    const { by } = this.#rejoining!;
    if (this.#place.pending?.rejoins) return; // it is on its way
    const groupInfo = await this.#ask(() => by.groupInfo());
    try {
      const { commit } = await by.mls.joinExternal(by.identity, groupInfo, { resync: true });
      await this.#pend({ hash: wire.hex(await wire.digest(commit)), intents: [], rejoins: true });
    } catch (error) {
      if (passes(error)) throw error;
      this.#giveUpRejoining(error);
    }
  }

  #giveUpRejoining(error: unknown): void {
    this.#rejoining?.done.reject(error as SyncError);
    this.#rejoining = undefined;
  }

  /** This client is on another branch now: what held only on the old one is made again. */
  async #rejoined(): Promise<void> {
    const { marks, common } = this.#place;
    for (const epoch of [...marks.keys()]) if (common === undefined || epoch > common) marks.delete(epoch);
    const members = await this.#group.members();
    // What was sealed on the other branch nobody can read.
    await this.#mark();
    for (const id of this.#outbox.keys()) await this.#sealAgain(id);
    for (const [id, row] of this.#intents) {
      if (row.held === undefined || row.intent.kind === "update" || (common !== undefined && row.held <= common)) continue;
      if (await this.#holds(row, members, [])) continue;
      delete row.held;
      this.#write(`intent/${id}`, row);
      this.#news.push({ type: "intent", event: { id, intent: row.intent, state: "revived" } });
    }
    delete this.#place.common;
    delete this.#place.fork;
    this.#forks.clear();
    this.#ahead.forget();
    this.#rejoining?.done.resolve();
    this.#rejoining = undefined;
    this.#news.push({ type: "healed", event: { epoch: this.#group.epoch } });
  }

  // Telling

  #become(status: SyncStatus): void {
    if (this.#status === status || this.#ended) return;
    this.#status = status;
    this.#emit({ type: "status", event: { status } });
  }

  #trouble(error: unknown, retryIn: number): void {
    if (!this.#ended) this.#tell({ type: "trouble", event: { failure: failureOf(error), retryIn } });
  }

  #tellNews(): void {
    for (const told of this.#news.splice(0)) this.#tell(told);
  }

  /** Tells the listeners, in all tabs. */
  #tell(told: Told): void {
    this.#channel.post({ kind: "event", ...told });
    this.#emit(told);
  }

  #emit({ type, event }: Told): void {
    if (type === "intent" && event.state !== "revived") this.#answer(event.id, event.state === "held" ? undefined : event.failure);
    if (type === "sent") this.#answer(event.id, event.state === "sent" ? undefined : { code: event.state === "expired" ? "EXPIRED" : "REFUSED", message: "" });
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        (listener as (e: unknown) => void)(event);
      } catch (error) {
        reportError(error);
      }
    }
  }

  /** Ends the waiting for an intent or a message. */
  #answer(id: string, failure: Failure | undefined): void {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    if (failure) waiter?.reject(errorOf(failure));
    else waiter?.resolve();
  }

  #hear(notice: Notice): void {
    if (this.#ended) return;
    if (notice.kind === "event") return this.#emit(notice);
    if (!this.#leading) return;
    if (notice.kind === "statement") void this.compare(notice.statement).catch((error: unknown) => this.#trouble(error, 0));
    else if (notice.kind === "stay") this.stay();
    else this.#wake();
  }
}

let order = 0;

/** The time for what waits: the clock of the machine may be set back. */
const now = () => performance.now();

const removalOf = ({ leaf, signatureKey }: Member): Intent => ({ kind: "remove", leaf, signatureKey });

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code; // also of a promise that was rejected without a reason
  return typeof code === "string" ? code : "ERROR";
}

const passes = (error: unknown): boolean => passing.test(codeOf(error));

function failureOf(error: unknown): Failure {
  return { code: codeOf(error), message: error instanceof Error ? error.message : String(error) };
}

const ownCodes = /^(REMOVED|REFUSED|EXPIRED|WITHDRAWN)$/;

function errorOf(failure: Failure): SyncError {
  if (ownCodes.test(failure.code)) return new SyncError(failure.code as SyncErrorCode, failure.message);
  return new SyncError("IMPOSSIBLE", failure.message, failure);
}
