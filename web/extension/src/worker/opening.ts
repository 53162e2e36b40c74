/**
 * Opening: what is found in pages, and pasted, is given to MLS once, in the order of
 * the epochs; what is ahead is kept, within bounds, until what is before it has come. What
 * was opened is kept, since MLS opens it no second time.
 *
 * A message is noted as begun before MLS gets it. When the program ends before the
 * result is noted, recover finds it: a text in MLS's inbox, where it stays until it is
 * acknowledged; a commit by the epoch; a proposal by MLS having it already. This takes that one message is in work at a time: see Session.
 */
import type { ApplicationEvent, Group, GroupUpdateEvent, MessageHeader, RemovedEvent } from "webmls";
import { MLSError } from "webmls";
import { fromBase64, toBase64, type Found, type Kind } from "../armor.js";
import type { InvitationView, MessageState, View } from "../protocol.js";
import { readCard } from "./card.js";
import type { Changes } from "./changes.js";
import { idText, nameOf, type Groups } from "./groups.js";
import { messageId, type OpenedRow, type WaitingRow } from "./messages.js";
import { passing, refusal } from "./refusal.js";
import { personNumber } from "./safety.js";
import type { Store } from "./store.js";
import type { Person, Trust } from "./trust.js";

/** How many messages of a group are kept that are ahead, invitations, and people. */
const bounds = { ahead: 256, invitations: 32, people: 500, remembered: 2000 };

/** What became of a message. */
export interface Taken {
  id: string;
  kind: Kind;
  state: MessageState;
  reason?: string;
}

/** An invitation that was found. */
export interface InvitationRow {
  id: string;
  welcome: string;
  group: string;
  name: string;
  from: string;
  /** The signature key of who invites, in base64url. */
  fromKey: string;
  members: number;
  at: number;
}

/** Says of a kind what comes first in an epoch: what a commit ends comes before it. */
const order: Record<Kind, number> = { card: 0, welcome: 0, text: 1, proposal: 1, commit: 2 };

export class Opening {
  readonly #store: Store;
  readonly #groups: Groups;
  readonly #changes: Changes;
  readonly #trust: Trust;
  /** What did not open, so that a page that is read again costs nothing. */
  readonly #remembered = new Map<string, Taken>();

  constructor(store: Store, groups: Groups, changes: Changes, trust: Trust) {
    this.#store = store;
    this.#groups = groups;
    this.#changes = changes;
    this.#trust = trust;
  }

  /** Finishes what was begun when the program ended. */
  async recover(): Promise<void> {
    for (const [, row] of await this.#store.list<WaitingRow>("begun/")) {
      if (await this.#groups.has(row.group)) await this.#open(row, await this.#groups.group(row.group), true);
      else await this.#store.write({ delete: [`begun/${row.id}`] });
    }
    for (const key of await this.#store.keys("ack/")) {
      const [, group, inboxId] = key.split("/") as [string, string, string];
      if (await this.#groups.has(group)) await this.#acknowledge(await this.#groups.group(group), Number(inboxId));
      else await this.#store.write({ delete: [key] });
    }
  }

  /** Whether any of these could have become openable: forgets what is remembered of failures. */
  reconsider(): void {
    this.#remembered.clear();
  }

  /** Takes messages in, and says of each what became of it. */
  async take(found: readonly Found[]): Promise<Taken[]> {
    const taken: Taken[] = [];
    const queues = new Map<string, WaitingRow[]>();
    for (const [i, { kind, message }] of found.entries()) {
      if (!message) {
        taken[i] = { id: "", kind, state: "damaged" };
        continue;
      }
      const id = await messageId(message);
      const known = await this.#known(id, kind);
      if (known) {
        taken[i] = known;
        continue;
      }
      taken[i] = { id, kind, state: "failed" };
      try {
        if (kind === "card") taken[i] = await this.#takeCard(id, message);
        else if (kind === "welcome") taken[i] = await this.#takeWelcome(id, message);
        else {
          const header = await this.#groups.mls.peek(message);
          const group = header.groupId && idText(header.groupId);
          if (!group || !fits(kind, header)) taken[i] = { id, kind, state: "refused", reason: "It is not what it says it is." };
          else if (!(await this.#groups.row(group))) taken[i] = { id, kind, state: "foreign" };
          else {
            const queue = queues.get(group) ?? [];
            queues.set(group, queue);
            // Of the commits of one epoch the first counts: they keep their order.
            queue.push({ id, kind, group, epoch: String(header.epoch), message: toBase64(message), at: Date.now() + i / 1000 });
          }
        }
      } catch (error) {
        taken[i] = { id, kind, state: passing(error) ? "failed" : "refused", reason: refusal(error).message };
      }
    }
    for (const [group, queue] of queues) {
      const results = await this.#run(group, queue);
      for (const [i, one] of taken.entries()) {
        const result = one.id !== "" && results.get(one.id);
        if (result) taken[i] = result;
      }
    }
    for (const one of taken) this.#remember(one);
    return taken;
  }

  /** Tries again what waits in a group, after it has moved on. */
  async retry(group: string): Promise<void> {
    await this.#run(group, []);
  }

  /** What is known of a message without asking MLS. */
  async #known(id: string, kind: Kind): Promise<Taken | undefined> {
    const opened = await this.#store.get<OpenedRow>(`opened/${id}`);
    if (opened) return { id, kind, state: "open" };
    return this.#remembered.get(id);
  }

  #remember(taken: Taken): void {
    if (!["stale", "overtaken", "foreign", "refused"].includes(taken.state) || taken.id === "") return;
    if (this.#remembered.size >= bounds.remembered) this.#remembered.clear();
    this.#remembered.set(taken.id, taken);
  }

  /** Opens what can be opened of a group, in the order of the epochs, and keeps what is ahead. */
  async #run(id: string, queue: readonly WaitingRow[]): Promise<Map<string, Taken>> {
    const results = new Map<string, Taken>();
    const held = (await this.#store.list<WaitingRow>(`ahead/${id}/`)).map(([, row]) => row);
    if (queue.length === 0 && held.length === 0) return results;
    const group = await this.#groups.group(id);
    const waiting = [...held, ...queue.filter((row) => !held.some((other) => other.id === row.id))];
    waiting.sort((a, b) => compare(BigInt(a.epoch), BigInt(b.epoch)) || order[a.kind] - order[b.kind] || a.at - b.at);
    const ahead: WaitingRow[] = [];
    for (const row of waiting) {
      let taken: Taken = { id: row.id, kind: row.kind, state: "ahead" };
      if (BigInt(row.epoch) <= group.epoch) {
        try {
          taken = await this.#open(row, group, false);
        } catch (error) {
          taken = { ...taken, state: "failed", reason: refusal(error).message };
        }
      }
      if (taken.state === "ahead") ahead.push(row);
      results.set(row.id, taken);
    }
    // The nearest are kept, in the place of those that are farther away.
    const kept = ahead.slice(0, bounds.ahead);
    const put = kept.filter((row) => !held.includes(row)).map((row) => [aheadKey(row), row] as const);
    const gone = held.filter((row) => !kept.includes(row) && results.get(row.id)?.state !== "failed").map(aheadKey);
    if (put.length > 0 || gone.length > 0) await this.#store.write({ put, delete: gone });
    return results;
  }

  /** Gives one message to MLS, or finds what became of it when the program ended in here before. Throws what may go well another time. */
  async #open(row: WaitingRow, group: Group, recovering: boolean): Promise<Taken> {
    const { id, kind } = row;
    const done = [`begun/${id}`, aheadKey(row)];
    if (kind === "commit" && !recovering) {
      // One's own commit was seen where it was posted: it counts.
      const change = await this.#changes.withCommit(row.group, id);
      if (change !== undefined) {
        await this.#changes.posted(row.group, change);
        await this.#store.write({ delete: done });
        await group.info();
        return { id, kind, state: "open" };
      }
    }
    if (!recovering) {
      await this.#store.write({ put: [[`begun/${id}`, { ...row, from: String(group.epoch) }]] });
    }
    try {
      const event = await group.receive(fromBase64(row.message)!);
      switch (event.type) {
        case "application": {
          const ack = ackKey(row.group, event.inboxId);
          await this.#store.write({ put: [[`opened/${id}`, textOf(row, event)], [ack, 1]], delete: done });
          await this.#acknowledge(group, event.inboxId);
          break;
        }
        case "proposal": {
          await this.#groups.setAsideProposals(row.group);
          await this.#store.write({ put: [[`opened/${id}`, opened(row, { sender: personOf(event.sender) })]], delete: done });
          break;
        }
        case "group-update":
        case "removed":
          await this.#store.write({ put: [[`opened/${id}`, changeOf(row, event)]], delete: done });
          await this.#changes.advance(row.group);
          break;
        case "own":
          // Posted by this user, but kept nowhere: it was sealed and the browser's storage was lost, or it is a commit that was applied.
          await this.#store.write({ put: [[`opened/${id}`, opened(row, { own: true })]], delete: done });
      }
      return { id, kind, state: "open" };
    } catch (error) {
      if (passing(error)) throw error;
      const found = recovering ? await this.#found(row, group, error) : undefined;
      if (found) {
        await this.#store.write({ put: [[`opened/${id}`, found.row], ...found.also], delete: done });
        if (found.inboxId !== undefined) await this.#acknowledge(group, found.inboxId);
        if (kind === "commit") await this.#changes.advance(row.group);
        return { id, kind, state: "open" };
      }
      await this.#store.write({ delete: [`begun/${id}`] });
      return { id, kind, ...(await this.#refused(row, error)) };
    }
  }

  /** After a crash: what MLS has made of a message that it now refuses, if it has. */
  async #found(row: WaitingRow, group: Group, error: unknown): Promise<{ row: OpenedRow; also: [string, unknown][]; inboxId?: number } | undefined> {
    if (row.kind === "text") {
      for (const event of await group.inbox()) {
        if ((await this.#store.get(ackKey(row.group, event.inboxId))) !== undefined) continue;
        return { row: textOf(row, event), also: [[ackKey(row.group, event.inboxId), 1]], inboxId: event.inboxId };
      }
      return undefined;
    }
    if (row.kind === "proposal") {
      // Nobody else gave it to MLS: what had been opened before was never begun.
      if (!(error instanceof MLSError && error.code === "ALREADY_PROCESSED")) return undefined;
      await this.#groups.setAsideProposals(row.group);
      return { row: opened(row, {}), also: [] };
    }
    const { epoch, status } = await group.info();
    const done = row.kind === "commit" && (status === "removed" || (row.from === row.epoch && epoch > BigInt(row.epoch)));
    return done ? { row: opened(row, {}), also: [] } : undefined;
  }

  async #acknowledge(group: Group, inboxId: number): Promise<void> {
    await group.acknowledge(inboxId);
    await this.#store.write({ delete: [ackKey(idText(group.id), inboxId)] });
  }

  /** What it means that MLS refuses a message. */
  async #refused(row: WaitingRow, error: unknown): Promise<{ state: MessageState; reason?: string }> {
    const reason = refusal(error).message;
    switch (error instanceof MLSError ? error.code : "") {
      case "EPOCH_AHEAD":
      case "PROPOSAL_UNKNOWN":
        return { state: "ahead" };
      case "EPOCH_BEHIND":
        return { state: row.kind === "text" ? "stale" : "overtaken" };
      case "ALREADY_PROCESSED":
        return { state: "stale" };
      case "NOT_A_MEMBER":
        return { state: "removed" };
      case "OWN_MESSAGE_UNKNOWN": {
        const group = await this.#groups.row(row.group);
        if (group) await this.#groups.save({ ...group, lost: true });
        return { state: "refused", reason: "The group has gone on with a change that you had taken back. Ask to be invited again." };
      }
    }
    return { state: "refused", reason };
  }

  async #takeCard(id: string, message: Uint8Array<ArrayBuffer>): Promise<Taken> {
    const card = readCard(message);
    if (!card) return { id, kind: "card", state: "refused", reason: "It is no card." };
    const me = await this.#groups.me();
    const own = me && toBase64(me.signatureKey) === toBase64(card.signatureKey);
    if (!own) {
      const people = await this.#store.keys("person/");
      if (people.length >= bounds.people && !people.includes(`person/${toBase64(card.signatureKey)}`)) return { id, kind: "card", state: "failed", reason: "You know too many people already." };
      await this.#trust.meet(card.name, card.signatureKey, message);
    }
    const known = `card/${toBase64(card.signatureKey)}`;
    if (!(await this.#store.get(known))) await this.#store.write({ put: [[known, { name: card.name }]] });
    return { id: `card-${toBase64(card.signatureKey)}`, kind: "card", state: "open" };
  }

  async #takeWelcome(id: string, message: Uint8Array<ArrayBuffer>): Promise<Taken> {
    if (await this.#store.get(`invitation/${id}`)) return { id, kind: "welcome", state: "open" };
    const info = await this.#groups.mls.inspectWelcome(message).catch((error: unknown) => {
      if (error instanceof MLSError && error.code === "NO_MATCHING_KEY_PACKAGE") return undefined;
      throw error;
    });
    if (!info) return { id, kind: "welcome", state: "foreign" };
    const group = idText(info.groupId);
    if ((await this.#groups.has(group)) && (await (await this.#groups.group(group)).info()).status === "active") return { id, kind: "welcome", state: "foreign" };
    const invitations = await this.#store.list<InvitationRow>("invitation/");
    const oldest = invitations.sort(([, a], [, b]) => a.at - b.at)[0];
    const row: InvitationRow = {
      id,
      welcome: toBase64(message),
      group,
      name: nameOf(info.extensions),
      from: info.signer?.name ?? "",
      fromKey: info.signer ? toBase64(info.signer.signatureKey) : "",
      members: info.memberCount,
      at: Date.now(),
    };
    await this.#store.write({ put: [[`invitation/${id}`, row]], delete: invitations.length >= bounds.invitations && oldest ? [oldest[0]] : [] });
    return { id, kind: "welcome", state: "open" };
  }

  /** A message as the extension's own pages show it. */
  async view({ id, kind, state, reason }: Taken): Promise<View> {
    const view: View = { kind, state, own: false, at: 0, ...(reason && { reason }) };
    if (kind === "card" && state === "open") {
      const key = id.slice("card-".length);
      const card = await this.#store.get<{ name: string }>(`card/${key}`);
      const me = await this.#groups.me();
      if (!card) return { ...view, state: "foreign" };
      const person = await this.#store.get<Person>(`person/${key}`);
      return {
        ...view,
        own: me !== undefined && toBase64(me.signatureKey) === key,
        name: card.name,
        number: await personNumber(card.name, fromBase64(key)!),
        sender: { name: card.name, verified: person?.verified ?? false, changed: person?.changed ?? false },
      };
    }
    const invitation = kind === "welcome" ? await this.#store.get<InvitationRow>(`invitation/${id}`) : undefined;
    if (invitation) {
      const person = await this.#store.get<Person>(`person/${invitation.fromKey}`);
      return { ...view, name: invitation.name, sender: { name: invitation.from, verified: person?.verified ?? false, changed: person?.changed ?? false } };
    }
    const row = await this.#store.get<OpenedRow>(`opened/${id}`);
    if (row) return { ...view, state: row.state ?? "open", ...(await this.#openedView(row)) };
    for (const group of await this.#groups.rows()) {
      const ahead = await this.#store.get<WaitingRow>(`ahead/${group.id}/${id}`);
      if (!ahead) continue;
      const missing = Number(BigInt(ahead.epoch) - (await this.#groups.group(group.id)).epoch);
      return { ...view, state: "ahead", group: { id: group.id, name: group.name }, missing };
    }
    return view;
  }

  async #openedView(row: OpenedRow): Promise<Partial<View>> {
    const group = await this.#groups.row(row.group);
    const person = row.sender && (await this.#store.get<Person>(`person/${row.sender.key}`));
    return {
      own: row.own,
      at: row.at,
      group: { id: row.group, name: group?.name ?? "a group that you have left" },
      ...(row.sender && { sender: { name: row.sender.name, verified: person?.verified ?? false, changed: person?.changed ?? false } }),
      ...(row.text !== undefined && { text: row.text }),
      ...(row.added && { added: row.added }),
      ...(row.removed && { removed: row.removed }),
    };
  }

  async invitations(): Promise<InvitationView[]> {
    const rows = (await this.#store.list<InvitationRow>("invitation/")).map(([, row]) => row).sort((a, b) => b.at - a.at);
    return Promise.all(
      rows.map(async ({ id, name, from, fromKey, members }) => ({ id, group: name, from, members, known: (await this.#store.get(`person/${fromKey}`)) !== undefined })),
    );
  }

  /** The texts of a group, newest first. */
  async history(group: string, most: number): Promise<View[]> {
    const rows = (await this.#store.list<OpenedRow>("opened/")).map(([, row]) => row).filter((row) => row.group === group);
    rows.sort((a, b) => b.at - a.at);
    return Promise.all(rows.slice(0, most).map(async (row) => ({ kind: row.kind, state: row.state ?? "open", own: row.own, at: row.at, ...(await this.#openedView(row)) })));
  }

  /** Forgets what is kept of a group. */
  async forget(group: string): Promise<void> {
    const opened = (await this.#store.list<OpenedRow>("opened/")).filter(([, row]) => row.group === group).map(([key]) => key);
    await this.#store.write({ delete: [...opened, ...(await this.#store.keys(`ahead/${group}/`)), ...(await this.#store.keys(`ack/${group}/`))] });
    this.reconsider();
  }
}

const aheadKey = (row: WaitingRow): string => `ahead/${row.group}/${row.id}`;
const ackKey = (group: string, inboxId: number): string => `ack/${group}/${inboxId}`;
const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

/** Whether a message is of the kind that its armor says. */
function fits(kind: Kind, { type, content }: MessageHeader): boolean {
  if (type !== "private-message" && type !== "public-message") return false;
  return content === (kind === "text" ? "application" : kind);
}

function opened(row: WaitingRow, more: Partial<OpenedRow>): OpenedRow {
  return { kind: row.kind as OpenedRow["kind"], group: row.group, epoch: row.epoch, own: false, at: row.at, ...more };
}

function textOf(row: WaitingRow, event: ApplicationEvent): OpenedRow {
  return opened(row, { sender: personOf(event.sender), text: event.text });
}

function changeOf(row: WaitingRow, event: GroupUpdateEvent | RemovedEvent): OpenedRow {
  const names = (members: GroupUpdateEvent["added"]) => members.map(({ name }) => name ?? "?");
  return opened(row, { own: event.own, sender: personOf(event.committer), added: names(event.added), removed: names(event.removed) });
}

function personOf(member: ApplicationEvent["sender"]): { name: string; key: string } {
  return { name: member?.name ?? "?", key: member ? toBase64(member.signatureKey) : "" };
}
