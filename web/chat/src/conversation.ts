// One group as the user sees it: what was said in it, who is in it, and what is to
// become of it. webmls/sync keeps the group live; this keeps what people see.
import { MLSError } from "webmls";
import type { ApplicationEvent, Group, GroupSnapshot, GroupStatus, GroupUpdateEvent, Member, MLS, Proposal, RemovedEvent } from "webmls";
import { sync, SyncError, type GroupSync, type SyncStatus, type Transport, type WaitingIntent } from "webmls/sync";
import { openFile, sealFile } from "./attachments.js";
import { Changes } from "./changes.js";
import type { Delivery } from "./delivery.js";
import { passing, Refusal } from "./failures.js";
import { toHex } from "./hex.js";
import { sourceOf, type ChangeRecord, type ConversationRecord, type Entry, type History, type NewEntry } from "./history.js";
import { nameIn } from "./keypackage.js";
import { credentialOf, deviceInWords, deviceOf, ownerOf, personOf } from "./names.js";
import { decodePayload, decodePiece, encodePayload, encodePiece, keptAs, newId, type Attachment, type Payload } from "./payload.js";
import { safetyNumber } from "./safety.js";
import { Timeline } from "./timeline.js";
import { addressOf } from "./transport.js";
import type { Trust } from "./trust.js";

/** What a conversation works with. */
export interface Surroundings {
  /** The user's own name, and this device's. */
  me: string;
  device: string;
  /** What names the database of webmls, and that of sync beside it. */
  database: string;
  /** Names this tab for as long as it lives. */
  tab: string;
  mls: MLS;
  delivery: Delivery;
  transport: Transport;
  history: History;
  trust: Trust;
  /** Shows what failed with nobody waiting for it. */
  report(error: unknown): void;
}

/** The group as it is in its present epoch. */
interface Snapshot {
  status: GroupStatus;
  epoch: bigint;
  members: readonly Member[];
  safetyNumber: string;
}

/** Own keys are renewed when they are so old. */
const updateAfter = { days: 7, epochs: 200 };
/** Whoever was invited, and has done nothing until their invitation key ran out, and for so many days after, is removed. */
const removeExpiredAfter = 30;
/** How long after coming back messages are waited for that were under way, in ms. */
const grace = 3_000;

/** How often the tab that does the work looks for what others have left behind, in ms. */
const often = 5_000;

export class Conversation extends Changes {
  readonly timeline: Timeline;
  readonly #group: Group;
  readonly #around: Surroundings;
  #record: ConversationRecord;
  #title = "";
  #snapshot: Snapshot;
  #live: GroupSync | undefined;
  #starting: Promise<void> = Promise.resolve();
  #waiting: readonly WaitingIntent[] = [];
  /** Whom this tab is inviting: the invitation is not yet an intent. */
  #inviting: string | undefined;
  #forked = false;
  /** Looks for what tabs have left behind. */
  #looking: ReturnType<typeof setInterval> | undefined;
  #resuming = false;
  /** What is being sealed, one after the other, so that it arrives in the order in which it was written. */
  #sealing: Promise<void> = Promise.resolve();
  /** Files go beside the texts, which do not wait for them; they wait for the texts that were written before. */
  #uploading: Promise<void> = Promise.resolve();
  /** The leaves that have asked to be let out in this epoch. */
  readonly #leavers = new Set<number>();
  readonly #unhear: (() => void)[];

  private constructor(group: Group, around: Surroundings, record: ConversationRecord, snapshot: Snapshot, timeline: Timeline) {
    super();
    this.#group = group;
    this.#around = around;
    this.#record = record;
    this.#snapshot = snapshot;
    this.timeline = timeline;
    const catching = (action: Promise<unknown>) => void action.catch((error: unknown) => around.report(error));
    this.#unhear = [
      group.on("group-update", (event) => catching(this.#updated(event))),
      group.on("removed", (event) => catching(this.#removed(event))),
      group.on("proposal", ({ proposal }) => this.#proposed(proposal)),
      timeline.onChange(() => this.changed()),
      () => timeline.close(),
      around.trust.onChange(() => this.changed()),
    ];
  }

  /** Opens a conversation as it was left. Nothing happens in it before {@link start}. */
  static async open(group: Group, record: ConversationRecord, around: Surroundings): Promise<Conversation> {
    const [snapshot, timeline] = await Promise.all([look(group), Timeline.open(around.history, record.id, around.report)]);
    const conversation = new Conversation(group, around, record, snapshot, timeline);
    await conversation.#readTitle();
    return conversation;
  }

  get id(): string {
    return this.#record.id;
  }

  /** The group's name, or the names of the others in it. */
  get title(): string {
    if (this.#title) return this.#title;
    const others = [...new Set(this.members.map(personOf))].filter((name) => name !== this.#around.me);
    return others.length > 0 ? others.join(", ") : "New group";
  }

  /** Whether somebody has given it a name. */
  get named(): boolean {
    return this.#title !== "";
  }

  get status(): GroupStatus {
    return this.#snapshot.status;
  }

  /** What sync is doing. */
  get activity(): SyncStatus {
    return this.#live?.status ?? "stopped";
  }

  /** Whether members were seen to be in another epoch of the same number. */
  get forked(): boolean {
    return this.#forked;
  }

  get leaving(): boolean {
    return this.#record.leaving === true && this.status === "active";
  }

  get epoch(): bigint {
    return this.#snapshot.epoch;
  }

  get members(): readonly Member[] {
    return this.#snapshot.members;
  }

  /** The members' names, each once. */
  get people(): string[] {
    return [...new Set(this.members.map(personOf))];
  }

  get safetyNumber(): string {
    return this.#snapshot.safetyNumber;
  }

  /** What is under way, in words. */
  get changing(): string | undefined {
    if (this.#inviting) return `Inviting ${this.#inviting}…`;
    const intent = this.#waiting[0]?.intent;
    switch (intent?.kind) {
      case "add":
        return `Inviting ${ownerOf(nameIn(intent.keyPackage))?.name ?? "somebody"}…`;
      case "remove": {
        const member = this.members.find(({ leaf }) => leaf === intent.leaf);
        return `Removing ${member ? personOf(member) : "somebody"}…`;
      }
      case "update":
        return "Updating your keys…";
      case "leave":
        return "Leaving…";
    }
    return undefined;
  }

  /** When something last happened. */
  get active(): number {
    return this.#record.active;
  }

  get unread(): number {
    return this.#record.unread;
  }

  /** The membership that the record is about: another number is another membership. */
  get joined(): number {
    return this.#record.joined;
  }

  get record(): ConversationRecord {
    return this.#record;
  }

  /** The group as webmls sees it from inside: for the security panel. */
  async inside(): Promise<GroupSnapshot> {
    return this.#group.inspect();
  }

  /** What was changed about the group, the last first. */
  history(): Promise<ChangeRecord[]> {
    return this.#around.history.changes(this.id);
  }

  /** Keeps the group live. */
  start(): Promise<void> {
    this.#starting = this.#starting.then(() => this.#start()).catch((error: unknown) => this.#around.report(error));
    return this.#starting;
  }

  async #start(): Promise<void> {
    if (this.status !== "active" || this.#live) return;
    const { database, transport } = this.#around;
    const live = await sync(this.#group, transport, {
      database,
      ...(this.#record.since > 0 ? { since: this.#record.since } : {}),
      deliver: (event) => this.#deliver(event),
      updateAfter,
      removeExpiredAfter,
    });
    this.#live = live;
    for (const proposal of await this.#group.proposals()) this.#proposed(proposal);
    live.on("status", ({ status }) => {
      if (status === "live") void this.#resume();
      this.changed();
    });
    // A tab that dies while this one does the work tells nobody.
    this.#looking ??= setInterval(() => void this.#resume(), often);
    live.on("intent", (event) => {
      if (event.failure && event.failure.code !== "REMOVED" && live.status !== "following") this.#around.report(new Refusal(refused(event.failure)));
      void this.#look();
    });
    live.on("sent", ({ id, state }) => {
      if (live.status !== "following") void this.#settled({ sync: id }, state);
    });
    live.on("trouble", ({ failure }) => {
      // The network is tried again in silence; a full disk is not.
      if (live.status !== "following" && /^STORE_|Quota/.test(`${failure.code} ${failure.message}`)) this.#around.report(new Refusal(`The browser could not store what came: ${failure.message}. It is tried again.`));
    });
    live.on("fork", () => {
      this.#forked = true;
      this.changed();
    });
    await this.#look();
  }

  /** Ends everything; what is unfinished goes on after the next {@link open}. */
  async stop(): Promise<void> {
    for (const unhear of this.#unhear) unhear();
    await this.#starting;
    clearInterval(this.#looking);
    await this.#live?.stop();
  }

  /** Looks at the log now: the connection is back. */
  refresh(): void {
    this.#live?.refresh();
  }

  /** Learns that the record was changed, here or in another tab. */
  async reread(): Promise<void> {
    const record = await this.#around.history.conversation(this.id);
    if (!record) return;
    const again = record.joined !== this.#record.joined;
    const renamed = record.titleAt !== this.#record.titleAt;
    this.#record = record;
    if (renamed) await this.#readTitle();
    if (again) await this.#joinedAgain();
    this.changed();
  }

  /** Goes on after this client was removed, and then added again. */
  async #joinedAgain(): Promise<void> {
    await this.#starting;
    await this.#live?.stop();
    this.#live = undefined;
    this.#forked = false;
    await this.#refresh();
    await this.start();
  }

  async #readTitle(): Promise<void> {
    const { title } = this.#record;
    this.#title = title ? await this.#around.history.unseal<string>(title).catch(() => "") : "";
  }

  /** Adds a note about the group. */
  async note(text: string): Promise<void> {
    await this.#around.history.add(this.id, [this.#note(text)]);
  }

  /** Somebody looks at the conversation. */
  async seen(): Promise<void> {
    if (this.#record.unread === 0) return;
    await this.#around.history.change(this.id, (record) => record && { ...record, unread: 0 });
  }

  // Sending

  /** Sends a text. Resolves when it is kept here; the entry says how far it is. */
  async say(text: string): Promise<void> {
    const [entry] = await this.#around.history.add(this.id, [this.#own(text)]);
    if (entry) this.#post(entry);
  }

  /** Sends a file, with a text or without. */
  async sayFile(file: File, text = ""): Promise<void> {
    const { attachment, pieces } = await sealFile(file);
    await this.#around.history.addPieces(keptAs(attachment), pieces);
    const [entry] = await this.#around.history.add(this.id, [{ ...this.#own(text), attachment, pieces: 0 }]);
    if (entry) this.#post(entry);
  }

  /** Tries a message again that could not be sent. */
  async sayAgain(entry: Entry): Promise<void> {
    await this.#around.history.mark(entry.order, { state: "sending", tab: this.#around.tab });
    this.#post(entry);
  }

  #own(text: string): NewEntry {
    return { conversation: this.id, kind: "own", sender: this.#around.me, text, id: newId(), at: Date.now(), state: "sending", tab: this.#around.tab };
  }

  #post(entry: Entry): void {
    const post = () => this.#seal(entry).catch((error: unknown) => this.#around.report(error));
    if (entry.attachment) this.#uploading = Promise.all([this.#uploading, this.#sealing]).then(post);
    else this.#sealing = this.#sealing.then(post);
  }

  /** Has sync send an entry: once it is sealed, it goes its way without this tab. */
  async #seal(entry: Entry): Promise<void> {
    const { attachment, text, order } = entry;
    const id = entry.id!;
    try {
      // One after the other in all tabs: what is written first is sealed first.
      const kept = await navigator.locks.request(`${this.#around.database}/${this.id}/seal`, async () => {
        const sealed = await this.#sync.send(encodePayload({ type: "text", id, text, ...(attachment ? { attachment } : {}) }));
        if (!attachment) await this.#around.history.mark(order, { sync: sealed.id });
        return sealed;
      });
      if (!attachment) {
        void kept.done.then(() => this.#settled(order, "sent"), (error: unknown) => this.#failed(entry, error));
        return;
      }
      await kept.done;
      const pieces = await this.#around.history.pieces(keptAs(attachment));
      for (let index = entry.pieces ?? 0; index < pieces.length; index++) {
        await (await this.#sync.send(encodePiece({ id: attachment.id, index, sealed: pieces[index]! }))).done;
        await this.#around.history.mark(order, { pieces: index + 1 });
      }
      await this.#settled(order, "sent");
    } catch (error) {
      await this.#failed(entry, error);
    }
  }

  get #sync(): GroupSync {
    if (!this.#live || this.status !== "active") throw new Refusal("You are no longer a member of this group.");
    return this.#live;
  }

  async #failed(entry: Entry, error: unknown): Promise<void> {
    const code = error instanceof SyncError ? error.code : "";
    if (code === "STOPPED" || passing(error)) return; // it stays "sending", and goes out after the next start
    if (code === "EXPIRED") return this.#post(entry);
    await this.#settled(entry.order, "refused");
    if (!(error instanceof SyncError)) this.#around.report(error);
  }

  /** What became of a message that was sent. */
  async #settled(which: number | { sync: string }, state: "sent" | "expired" | "refused"): Promise<void> {
    // The text of what is expired is here: #resume sends it anew, where no tab waits for it.
    if (state !== "expired") await this.#around.history.mark(which, { state: state === "sent" ? "sent" : "failed" });
  }

  /** Sends what tabs have left behind that are no longer there. Receivers drop what they have already. */
  async #resume(): Promise<void> {
    const { history, tab } = this.#around;
    if (this.#resuming || this.#live?.status !== "live") return;
    this.#resuming = true;
    try {
      if ((await history.unsent(this.id)).length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, grace)); // what sync has kept is told as sent
      const alive = new Set([tab, ...((await navigator.locks.query()).held ?? []).map(({ name }) => name)]);
      if (this.#live?.status !== "live") return;
      for (const entry of await history.unsent(this.id)) {
        if (entry.tab !== undefined && alive.has(entry.tab)) continue;
        await history.mark(entry.order, { tab });
        this.#post(entry);
      }
    } catch (error) {
      this.#around.report(error);
    } finally {
      this.#resuming = false;
    }
  }

  // Changing the group

  /** Adds all devices of somebody that are not in the group. Resolves when they are. */
  async invite(name: string): Promise<void> {
    const { delivery, me, device, trust } = this.#around;
    const present = new Set(this.members.filter((member) => personOf(member) === name).map(deviceOf));
    if (delivery.status !== "connected") throw new Refusal("Inviting needs a connection to the delivery service, and there is none just now.");
    this.#inviting = name;
    this.changed();
    try {
      const devices = (await delivery.devices(name)).filter((other) => !present.has(other) && (name !== me || other !== device));
      if (devices.length === 0 && name === me) throw new Refusal("That is you, and all of your devices are in this group already.");
      if (devices.length === 0 && present.size > 0) throw new Refusal(`${name} is in this group already.`);
      if (devices.length === 0) throw new Refusal("Nobody of this name can be invited now. They have to open the chat once, so that it can leave an invitation key.");
      const kept = [];
      for (const other of devices) {
        const keyPackage = await delivery.claimKeyPackage(name, other);
        if (nameIn(keyPackage) !== credentialOf(name, other)) throw new Refusal(`The delivery service gave an invitation key that is not ${name}'s. Nobody was invited.`);
        kept.push(await this.#sync.add(keyPackage, { to: addressOf(name, other) }));
      }
      await trust.addContact(name);
      await this.#look();
      await Promise.all(kept.map(({ done }) => done));
    } finally {
      this.#inviting = undefined;
      this.changed();
    }
    if (this.#title) await this.#tellTitle();
  }

  /** Removes all devices of somebody. Resolves when they are out. */
  async remove(name: string): Promise<void> {
    const kept = [];
    for (const member of this.members) if (personOf(member) === name && !member.own) kept.push(await this.#sync.remove(member));
    await this.#done(kept);
  }

  /** Removes one device. Resolves when it is out. */
  async removeDevice(member: Member): Promise<void> {
    await this.#done([await this.#sync.remove(member)]);
  }

  /** Gives this client fresh keys. Resolves when it holds. */
  async renewKeys(): Promise<void> {
    await this.#done([await this.#sync.update()]);
  }

  /** Asks to be let out: another member does it. Who is alone is out at once. */
  async leave(): Promise<void> {
    if (this.members.length === 1) {
      await this.#group.delete();
      return;
    }
    await this.#around.history.change(this.id, (record) => record && { ...record, leaving: true });
    await this.#sync.leave();
    await this.#look();
  }

  /** Gives the group another name. */
  async rename(title: string): Promise<void> {
    await this.#keepTitle(title, Math.max(Date.now(), this.#record.titleAt + 1));
    await this.note(`You named the group “${title}”.`);
    await this.#tellTitle();
  }

  async #done(kept: readonly { done: Promise<void> }[]): Promise<void> {
    await this.#look();
    await Promise.all(kept.map(({ done }) => done));
  }

  async #keepTitle(title: string, at: number): Promise<boolean> {
    const sealed = await this.#around.history.seal(title);
    let changed = false;
    await this.#around.history.change(this.id, (record) => {
      if (!record || at <= record.titleAt) return record;
      changed = true;
      return { ...record, title: sealed, titleAt: at };
    });
    await this.reread();
    return changed;
  }

  /** Tells the group's name to all, under the present epoch's keys. */
  async #tellTitle(): Promise<void> {
    await this.#sync.send(encodePayload({ type: "title", id: newId(), title: this.#title, at: this.#record.titleAt }));
  }

  // What comes

  /** Keeps what was received. webmls forgets it when this is done. */
  async #deliver(event: ApplicationEvent): Promise<void> {
    const { history, me } = this.#around;
    const piece = decodePiece(event.content);
    const key = event.sender?.signatureKey ?? new Uint8Array(0);
    if (piece) return history.addPiece(keptAs({ from: toHex(key), id: piece.id }), piece.index, piece.sealed);
    const sender = event.sender ? personOf(event.sender) : "Somebody";
    const payload = decodePayload(event.text);
    if (payload?.type === "title") {
      if (await this.#keepTitle(payload.title, Math.min(payload.at, Date.now() + 60_000))) await this.#named(sender, payload, event);
      return;
    }
    const about = { conversation: this.id, at: Date.now(), source: sourceOf(this.id, key, payload?.id ?? `inbox ${event.inboxId} ${this.#record.joined}`) };
    if (!payload) {
      await history.add(this.id, [{ ...about, kind: "note", sender: "", text: `${sender} sent something that this version cannot show.` }]);
      return;
    }
    const { id, text, attachment } = payload;
    const mine = sender === me;
    const entry: NewEntry = {
      ...about, kind: mine ? "own" : "text", sender, text, id,
      ...(mine && event.sender ? { device: deviceInWords(deviceOf(event.sender)) } : {}),
      ...(attachment ? { attachment: { ...attachment, from: toHex(key) } } : {}),
    };
    await history.add(this.id, [entry], mine ? 0 : 1);
  }

  /** Says who named the group, unless the name is only told to those who have come. */
  async #named(sender: string, payload: Payload & { type: "title" }, event: ApplicationEvent): Promise<void> {
    const who = sender === this.#around.me ? "You" : sender;
    const source = sourceOf(this.id, event.sender?.signatureKey ?? new Uint8Array(0), payload.id);
    await this.#around.history.add(this.id, [{ ...this.#note(`${who} named the group “${payload.title}”.`), source }]);
  }

  async #updated(event: GroupUpdateEvent): Promise<void> {
    await this.#refresh();
    const left = event.removed.filter(({ leaf }) => this.#leavers.has(leaf));
    this.#leavers.clear();
    await this.#keepChange(event, describe(event, this.#around.me, left));
    await this.#look();
  }

  async #removed(event: RemovedEvent): Promise<void> {
    const left = this.#record.leaving === true;
    await this.#refresh();
    const by = event.committer && personOf(event.committer);
    await this.#keepChange(event, [left ? "You left the group." : by ? `${by} removed you from the group.` : "You were removed from the group."]);
    this.#waiting = [];
    this.changed();
  }

  #proposed(proposal: Proposal): void {
    if (proposal.type === "remove" && proposal.sender.type === "member" && proposal.sender.leaf === proposal.leaf) this.#leavers.add(proposal.leaf);
  }

  async #keepChange(event: GroupUpdateEvent | RemovedEvent, lines: readonly string[]): Promise<void> {
    const change: ChangeRecord = {
      epoch: event.epoch,
      at: Date.now(),
      by: event.own ? this.#around.me : event.committer ? personOf(event.committer) : "",
      added: event.added.map(memberInWords),
      removed: event.removed.map(memberInWords),
      external: event.external,
    };
    await this.#around.history.addChange(this.id, change, lines.map((text) => this.#note(text)));
  }

  async #refresh(): Promise<void> {
    this.#snapshot = await look(this.#group);
    this.changed();
  }

  /** Looks at what is under way. */
  async #look(): Promise<void> {
    if (this.#live && this.status === "active") this.#waiting = await this.#live.intents().catch(() => []);
    this.changed();
  }

  #note(text: string): NewEntry {
    return { conversation: this.id, kind: "note", sender: "", text, at: Date.now() };
  }

  // Attachments

  /** How many pieces of an attachment are here. */
  async piecesOf(attachment: Attachment): Promise<number> {
    return this.#around.history.countPieces(keptAs(attachment));
  }

  /** Calls back when a piece has come. Returns a function that ends it. */
  onPiece(attachment: Attachment, listener: () => void): () => void {
    return this.#around.history.onChange((change) => {
      if (change.kind === "piece" && change.attachment === keptAs(attachment)) listener();
    });
  }

  /** Opens an attachment, all of whose pieces are here. */
  async fileOf(attachment: Attachment, type: string): Promise<Blob> {
    return openFile(attachment, await this.#around.history.pieces(keptAs(attachment)), type);
  }
}

async function look(group: Group): Promise<Snapshot> {
  const info = await group.info().catch((error: unknown) => {
    if (error instanceof MLSError && error.code === "GROUP_NOT_FOUND") return undefined; // it was left, alone
    throw error;
  });
  if (info?.status !== "active") return { status: info?.status ?? "removed", epoch: info?.epoch ?? 0n, members: [], safetyNumber: "" };
  return {
    status: info.status,
    epoch: info.epoch,
    members: await group.members(),
    safetyNumber: safetyNumber(info.epochAuthenticator),
  };
}

function memberInWords(member: Member): string {
  const device = deviceInWords(deviceOf(member));
  return device ? `${personOf(member)} (${device})` : personOf(member);
}

/** What a commit did, in sentences. */
function describe(event: GroupUpdateEvent, me: string, left: readonly Member[]): string[] {
  const who = event.own ? "You" : event.committer ? personOf(event.committer) : "Somebody";
  const names = (members: readonly Member[]) => [...new Set(members.map(personOf))].map((name) => (name === me ? "you" : name)).join(", ");
  const lines: string[] = [];
  const others = event.removed.filter((member) => !left.includes(member));
  if (event.external) lines.push(`${who} joined.`);
  else if (event.added.length > 0) lines.push(`${who} added ${names(event.added)}.`);
  if (left.length > 0) lines.push(`${names(left)} left.`);
  if (others.length > 0) lines.push(`${who} removed ${names(others)}.`);
  if (lines.length === 0) lines.push(`${who} renewed ${event.own ? "your" : "their"} keys.`);
  return lines;
}

function refused({ code, message }: { code: string; message: string }): string {
  if (code === "WITHDRAWN") return "The change was withdrawn.";
  return code === "LIFETIME_INVALID" ? "Their invitation key has run out. They have to open the chat again." : `The change of the group was refused: ${message}.`;
}

/** The record of a group that this client has become a member of. */
export function newRecord(group: Uint8Array, since: number): ConversationRecord {
  return { id: toHex(group), group, since, joined: 1, active: Date.now(), unread: 0, titleAt: 0 };
}
