// One group as the user sees it: follows the group's log, keeps what was said,
// sends, and changes the group through intents.
import { EpochError, MalformedError, MLSError, RejectedError, StateError } from "webmls";
import type { ApplicationEvent, Group, GroupStatus, GroupUpdateEvent, Member, ReceivedEvent, RemovedEvent } from "webmls";
import { Changes } from "./changes.js";
import { DeliveryError } from "./delivery.js";
import type { Delivery, LogMessage } from "./delivery.js";
import { toHex } from "./hex.js";
import type { ConversationRecord, Entry, History, NewEntry } from "./history.js";
import { carryOut, type Intent } from "./intents.js";
import { decodePayload, encodePayload, type Payload } from "./payload.js";
import { safetyNumber } from "./safety.js";
import { passing, Refusal } from "./failures.js";

/** What a conversation works with. */
export interface Surroundings {
  /** The user's own name. */
  me: string;
  delivery: Delivery;
  history: History;
  /** Shows what failed with nobody waiting for it. */
  report(error: unknown): void;
}

/** The group as it is in its present epoch. */
export interface Snapshot {
  status: GroupStatus;
  epoch: bigint;
  members: readonly Member[];
  safetyNumber: string;
}

/** How many entries are loaded at a time. */
const page = 200;
/** How often a message is tried again when the browser's storage fails, and after how many milliseconds. */
const storageTries = 5;
const storagePause = 1000;

interface Waiter {
  epoch: bigint;
  resolve(): void;
  reject(error: Error): void;
}

export class Conversation extends Changes {
  readonly #group: Group;
  readonly #around: Surroundings;
  readonly #record: ConversationRecord;

  #snapshot: Snapshot;
  #entries: Entry[];
  #hasEarlier: boolean;
  #ownEpoch: bigint | undefined;
  #changing: Intent | undefined;
  #following: (() => void) | undefined;
  #waiters = new Set<Waiter>();
  #intents: Promise<void> = Promise.resolve();
  #sending: Promise<void> = Promise.resolve();

  private constructor(group: Group, around: Surroundings, record: ConversationRecord, snapshot: Snapshot, entries: Entry[]) {
    super();
    this.#group = group;
    this.#around = around;
    this.#record = record;
    this.#snapshot = snapshot;
    this.#entries = entries;
    this.#hasEarlier = entries.length === page;
  }

  /** Opens a conversation as it was left. Nothing happens in it before {@link start}. */
  static async open(group: Group, record: ConversationRecord, around: Surroundings): Promise<Conversation> {
    await recover(group, record, around.history);
    return new Conversation(group, around, record, await look(group), await around.history.entries(record.id, page));
  }

  get id(): string {
    return this.#record.id;
  }

  /** The group's name, or the names of the others in it. */
  get title(): string {
    if (this.#record.title) return this.#record.title;
    const others = this.members.filter((member) => !member.own).map(nameOf);
    return others.length > 0 ? others.join(", ") : "New group";
  }

  get status(): GroupStatus {
    return this.#snapshot.status;
  }

  get epoch(): bigint {
    return this.#snapshot.epoch;
  }

  get members(): readonly Member[] {
    return this.#snapshot.members;
  }

  get safetyNumber(): string {
    return this.#snapshot.safetyNumber;
  }

  /** The change of the group that is under way. */
  get changing(): Intent | undefined {
    return this.#changing;
  }

  /** The loaded entries, oldest first. Entries change by being replaced. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get hasEarlier(): boolean {
    return this.#hasEarlier;
  }

  /** When something last happened. */
  get active(): number {
    return this.#record.active;
  }

  /** The sequence in the log up to which all was handled. */
  get cursor(): number {
    return this.#record.cursor;
  }

  /** Follows the log, and finishes what was begun before a reload. */
  start(): void {
    if (this.status === "removed") return;
    this.#follow();
    this.#send(async () => {
      for (const entry of await this.#around.history.unsent(this.id)) await this.#deliver(entry);
    });
  }

  /** Ends everything; what is unfinished goes on after the next {@link open}. */
  stop(): void {
    this.#unfollow(new DeliveryError("CLOSED", "the conversation was closed"));
  }

  /** Goes on after this client was removed, and then added again by the commit at a sequence of the log. */
  async rejoin(cursor: number, note: string): Promise<void> {
    this.#record.cursor = cursor;
    this.#record.intent = undefined;
    await this.#refresh();
    await this.#keep([this.#note(note)]);
    this.start();
  }

  /** Resolves when the log was handled up to a sequence, or this client was removed before that. */
  async past(seq: number): Promise<void> {
    if (this.status === "removed" || this.cursor >= seq) return;
    await new Promise<void>((resolve) => {
      const end = this.onChange(() => {
        if (this.status !== "removed" && this.cursor < seq) return;
        end();
        resolve();
      });
    });
  }

  async loadEarlier(): Promise<void> {
    const first = this.#entries[0];
    if (!first) return;
    const earlier = await this.#around.history.entries(this.id, page, first.order);
    this.#entries = [...earlier, ...this.#entries];
    this.#hasEarlier = earlier.length === page;
    this.changed();
  }

  /** Adds a note about the group. */
  async note(text: string): Promise<void> {
    await this.#keep([this.#note(text)]);
  }

  // Sending

  /** Sends a text. Resolves when it is kept here; the entry says how far it is. */
  async say(text: string): Promise<void> {
    const [entry] = await this.#keep([
      { conversation: this.id, kind: "own", sender: this.#around.me, text, at: Date.now(), state: "sending" },
    ]);
    this.#send(() => this.#deliver(entry!));
  }

  /** Tries a text again that could not be sent. */
  async sayAgain(entry: Entry): Promise<void> {
    const again = await this.#mark(entry, { state: "sending" });
    this.#send(() => this.#deliver(again));
  }

  /** One after the other, so that texts arrive in the order in which they were written. */
  #send(action: () => Promise<void>): void {
    this.#sending = this.#sending.then(action).catch((error: unknown) => this.#around.report(error));
  }

  async #deliver(entry: Entry): Promise<void> {
    try {
      let { sealed } = entry;
      if (!sealed) {
        sealed = await this.#seal({ type: "text", text: entry.text });
        entry = await this.#mark(entry, { sealed });
      }
      await this.#publish(sealed, { type: "text", text: entry.text });
      await this.#mark(entry, { state: "sent", sealed: undefined });
    } catch (error) {
      if (passing(error)) return; // it stays "sending", and goes out after the next start
      await this.#mark(entry, { state: "failed", sealed: undefined });
      throw error;
    }
  }

  /** Encrypts for the group. Where proposals wait, which no message may overtake, they are committed first. */
  async #seal(payload: Payload): Promise<Uint8Array> {
    const content = encodePayload(payload);
    try {
      return await this.#group.send(content);
    } catch (error) {
      if (!(error instanceof MLSError && error.code === "PENDING_PROPOSALS")) throw error;
      await this.#change({ kind: "renew" });
      return this.#group.send(content);
    }
  }

  async #publish(sealed: Uint8Array, payload: Payload): Promise<void> {
    try {
      await this.#around.delivery.publish(this.#group.id, sealed);
    } catch (error) {
      if (!(error instanceof DeliveryError && error.code === "EPOCH_BEHIND")) throw error;
      // Sealed so many epochs ago that the others can no longer read it.
      await this.#reach(error.epoch ?? this.epoch);
      await this.#around.delivery.publish(this.#group.id, await this.#seal(payload));
    }
  }

  // Changing the group

  /** Adds somebody by name. Resolves when it holds. */
  async invite(name: string): Promise<void> {
    if (name === this.#around.me) throw new Refusal("That is you. You are in this group already.");
    if (this.members.some((member) => member.name === name)) throw new Refusal(`${name} is in this group already.`);
    await this.#change({ kind: "add", name });
  }

  /** Removes a member. Resolves when it holds. */
  async remove(member: Member): Promise<void> {
    await this.#change({ kind: "remove", name: nameOf(member), key: toHex(member.signatureKey) });
  }

  /** Gives this client fresh keys. Resolves when it holds. */
  async renewKeys(): Promise<void> {
    await this.#change({ kind: "renew" });
  }

  /** One change after the other; first one that a reload has interrupted. */
  #change(intent: Intent | undefined): Promise<void> {
    const result = this.#intents.then(async () => {
      if (this.#record.intent) await this.#carryOut(this.#record.intent);
      // A commit without an intent was never published: intents are kept first.
      else await this.#dropPending();
      if (intent) await this.#carryOut(intent);
    });
    this.#intents = result.catch(() => {});
    return result;
  }

  async #carryOut(intent: Intent): Promise<void> {
    if (this.status !== "active") throw new Refusal("You are no longer a member of this group.");
    this.#changing = intent;
    this.#record.intent = intent;
    await this.#keep([]); // before anything leaves, so that a crash does not lose it
    try {
      await carryOut(intent, {
        group: this.#group,
        delivery: this.#around.delivery,
        members: () => this.members,
        reach: (epoch) => this.#reach(epoch),
        ownEpoch: () => this.#ownEpoch,
      });
      this.#record.intent = undefined;
    } catch (error) {
      if (!passing(error)) {
        this.#record.intent = undefined;
        await this.#dropPending();
      }
      throw error;
    } finally {
      this.#changing = undefined;
      await this.#keep([]);
    }
    if (intent.kind === "add" && this.#record.title) this.#send(() => this.#tellTitle());
  }

  /** Drops a commit that the service has not accepted and will not be given again. */
  async #dropPending(): Promise<void> {
    if (await this.#group.pendingCommit()) await this.#group.clearPendingCommit();
  }

  /** Tells the group's name to who was added, under the new epoch's keys. */
  async #tellTitle(): Promise<void> {
    const payload: Payload = { type: "title", title: this.#record.title };
    await this.#publish(await this.#seal(payload), payload);
  }

  // The log

  #follow(): void {
    this.#following = this.#around.delivery.subscribe(
      this.#group.id,
      this.#record.cursor + 1,
      (message) => this.#handle(message),
      // Up to the present: a change that a reload has interrupted is due.
      () => void this.#change(undefined).catch((error: unknown) => this.#around.report(error)),
    );
  }

  #unfollow(reason: Error): void {
    this.#following?.();
    this.#following = undefined;
    for (const waiter of this.#waiters) waiter.reject(reason);
    this.#waiters.clear();
  }

  /** Handles one message of the log. Nothing behind it is handled before it. */
  async #handle({ seq, message }: LogMessage): Promise<void> {
    const event = await this.#persist(() => this.#receive(message));
    if (!this.#following) return;
    const entries = event ? this.#learn(event) : [];
    this.#record.cursor = seq;
    await this.#persist(async () => {
      if (event?.type === "group-update" || event?.type === "removed") await this.#refresh();
      await this.#keep(entries);
      // webmls forgets the message only now, when it is kept here.
      if (event?.type === "application") await this.#group.acknowledge(event);
    });
    this.#moved();
  }

  /** Does what rests on the browser's storage, and again where that fails. In the end it gives up: the next start begins here. */
  async #persist<T>(action: () => Promise<T>): Promise<T | undefined> {
    for (let tries = 1; this.#following; tries++) {
      try {
        return await action();
      } catch (error) {
        if (tries === storageTries) {
          this.stop();
          this.#around.report(error);
        } else await new Promise((resolve) => setTimeout(resolve, storagePause));
      }
    }
    return undefined;
  }

  /** Decrypts a message or applies a commit. Undefined: it is not for this client. */
  async #receive(message: Uint8Array): Promise<ReceivedEvent | Refused | undefined> {
    try {
      return await this.#group.receive(message);
    } catch (error) {
      if (error instanceof EpochError) {
        // Received before, when something failed behind it; from before this
        // client joined; or forged, since epochs are readable to all.
        if (error.code === "ALREADY_PROCESSED") this.#show(await recover(this.#group, this.#record, this.#around.history));
        return undefined;
      }
      if (error instanceof RejectedError || error instanceof MalformedError) return { type: "refused", rule: error.rule };
      if (error instanceof StateError && error.code === "NOT_A_MEMBER") return undefined;
      throw error;
    }
  }

  /** What an event means for the conversation. */
  #learn(event: ReceivedEvent | Refused): NewEntry[] {
    switch (event.type) {
      case "application":
        return keep(this.#record, event);
      case "group-update":
        if (event.own) {
          this.#ownEpoch = event.epoch;
          // Any commit of one's own renews the keys; also one from before a reload.
          if (this.#record.intent?.kind === "renew") this.#record.intent = undefined;
        }
        return describe(event, this.#around.me).map((text) => this.#note(text));
      case "removed":
        return [this.#note(removal(event))];
      case "refused":
        return [this.#note(`A message was refused: ${event.rule}.`)];
      case "proposal":
      case "own":
        return [];
    }
  }

  /** Lets go on what waited for the epoch, and ends a conversation that this client is no longer in. */
  #moved(): void {
    if (this.status === "removed") {
      this.#record.intent = undefined;
      this.#unfollow(new Refusal("You are no longer a member of this group."));
      return;
    }
    for (const waiter of this.#waiters) {
      if (this.epoch < waiter.epoch) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #reach(epoch: bigint): Promise<void> {
    if (this.epoch >= epoch) return Promise.resolve();
    if (!this.#following) return Promise.reject(new DeliveryError("CLOSED", "the group's log is not followed"));
    return new Promise((resolve, reject) => this.#waiters.add({ epoch, resolve, reject }));
  }

  // Keeping

  async #refresh(): Promise<void> {
    this.#snapshot = await look(this.#group);
  }

  #note(text: string): NewEntry {
    return { conversation: this.id, kind: "note", sender: "", text, at: Date.now() };
  }

  /** Stores the conversation and new entries, and shows them. */
  async #keep(entries: NewEntry[]): Promise<Entry[]> {
    if (entries.length > 0) this.#record.active = Date.now();
    const added = await this.#around.history.save(this.#record, entries);
    this.#show(added);
    return added;
  }

  #show(added: Entry[]): void {
    if (added.length > 0) this.#entries = [...this.#entries, ...added];
    this.changed();
  }

  async #mark(entry: Entry, change: { state?: NonNullable<Entry["state"]>; sealed?: Uint8Array | undefined }): Promise<Entry> {
    const { sealed, ...rest } = { ...entry, ...change };
    const changed: Entry = sealed ? { ...rest, sealed } : rest;
    await this.#around.history.saveEntry(changed);
    this.#entries = this.#entries.map((other) => (other.order === entry.order ? changed : other));
    this.changed();
    return changed;
  }
}

/** A message that breaks a rule: nothing of it was believed. */
interface Refused {
  type: "refused";
  rule: string;
}

async function look(group: Group): Promise<Snapshot> {
  const info = await group.info();
  if (info.status !== "active") return { status: info.status, epoch: info.epoch, members: [], safetyNumber: "" };
  return {
    status: info.status,
    epoch: info.epoch,
    members: await group.members(),
    safetyNumber: safetyNumber(info.epochAuthenticator),
  };
}

/** Keeps what webmls received before a crash or failure, and the app did not get to keep. */
async function recover(group: Group, record: ConversationRecord, history: History): Promise<Entry[]> {
  const added: Entry[] = [];
  const inbox = await group.inbox();
  for (const event of inbox) added.push(...(await history.save(record, keep(record, event))));
  if (inbox.length > 0) await group.acknowledge(inbox);
  return added;
}

/** Makes what an application message says part of the record, and of the conversation. */
function keep(record: ConversationRecord, event: ApplicationEvent): NewEntry[] {
  const sender = event.sender ? nameOf(event.sender) : "Somebody";
  const payload = decodePayload(event.text);
  const source = `${record.id}/${event.inboxId}`;
  const about = { conversation: record.id, at: Date.now(), source };
  if (!payload) return [{ ...about, kind: "note", sender: "", text: `${sender} sent something that this version cannot show.` }];
  if (payload.type === "title") {
    record.title = payload.title;
    return [];
  }
  return [{ ...about, kind: "text", sender, text: payload.text }];
}

export function nameOf(member: Member): string {
  return member.name ?? `Member ${member.leaf}`;
}

/** What a commit did, in sentences. */
function describe(event: GroupUpdateEvent, me: string): string[] {
  const who = event.own ? "You" : event.committer ? nameOf(event.committer) : "Somebody";
  const whom = (member: Member) => (nameOf(member) === me ? "you" : nameOf(member));
  const lines: string[] = [];
  if (event.external) lines.push(`${who} joined.`);
  else if (event.added.length > 0) lines.push(`${who} added ${event.added.map(whom).join(", ")}.`);
  if (event.removed.length > 0) lines.push(`${who} removed ${event.removed.map(whom).join(", ")}.`);
  if (lines.length === 0) lines.push(`${who} renewed ${event.own ? "your" : "their"} keys.`);
  return lines;
}

function removal(event: RemovedEvent): string {
  return event.committer ? `${nameOf(event.committer)} removed you from the group.` : "You were removed from the group.";
}
