/**
 * Operations: what the user does. Each is noted before it is begun and carried out so
 * that it can be carried out again from any point: after the program has ended in the middle of it
 * it is done at the next start, and who asks again by the same id gets the same result.
 */
import type { Group } from "webmls";
import { fromBase64, toBase64, write } from "../armor.js";
import { limits, type Operation } from "../protocol.js";
import type { Changes } from "./changes.js";
import { hintOf, type Groups } from "./groups.js";
import { messageId, type OpenedRow } from "./messages.js";
import type { InvitationRow, Opening } from "./opening.js";
import { passing, refusal, Refused } from "./refusal.js";
import { digest } from "./safety.js";
import type { Store } from "./store.js";
import type { Person, Trust } from "./trust.js";

interface OperationRow {
  id: string;
  at: number;
  what: Operation;
  /** The id of a group that is to be made, or joined. */
  group?: string;
  state: "begun" | "done" | "failed";
  result?: Result;
}

/** What an operation gives, or why it was refused. */
export type Result = { armor?: string; group?: string } & { error?: { code: string; message: string } };

/** How long operations and their results are kept for who asks again. */
const keptFor = 24 * 60 * 60 * 1000;
/** Of the validity of a key package, what a card must have left. */
const freshFor = 14 * 24 * 60 * 60 * 1000;

export class Operations {
  readonly #store: Store;
  readonly #groups: Groups;
  readonly #changes: Changes;
  readonly #opening: Opening;
  readonly #trust: Trust;

  constructor(store: Store, groups: Groups, changes: Changes, opening: Opening, trust: Trust) {
    this.#store = store;
    this.#groups = groups;
    this.#changes = changes;
    this.#opening = opening;
    this.#trust = trust;
  }

  /** Carries out an operation, unless it was. Throws what may go well another time; it is tried again at the next start. */
  async do(id: string, what: Operation): Promise<Result> {
    const known = await this.#store.get<OperationRow>(`op/${id}`);
    const row: OperationRow = known ?? { id, at: Date.now(), what, state: "begun" };
    if (!known) {
      if (what.kind === "create") row.group = toBase64(crypto.getRandomValues(new Uint8Array(16)));
      if (what.kind === "join") row.group = await this.#invited(what.invitation);
      await this.#store.write({ put: [[`op/${id}`, row]] });
    }
    return this.#carryOut(row);
  }

  /** Carries out what was begun when the program ended. */
  async recover(): Promise<void> {
    const rows = (await this.#store.list<OperationRow>("op/")).map(([, row]) => row);
    for (const row of rows.sort((a, b) => a.at - b.at)) {
      if (Date.now() - row.at > keptFor) await this.#store.write({ delete: [`op/${row.id}`] });
      else if (row.state === "begun") await this.#carryOut(row);
    }
  }

  async #carryOut(row: OperationRow): Promise<Result> {
    if (row.state !== "begun") return row.result!;
    let result: Result;
    let also: readonly (readonly [string, unknown])[] = [];
    try {
      ({ also = [], ...result } = await this.#perform(row));
    } catch (error) {
      if (passing(error)) throw error;
      result = { error: refusal(error) };
    }
    // What was done is done: the text of it need not be kept here as well.
    const what = row.what.kind === "seal" ? { ...row.what, text: "" } : row.what;
    await this.#store.write({ put: [...also, [`op/${row.id}`, { ...row, what, state: result.error ? "failed" : "done", result }]] });
    return result;
  }

  /** One function a kind of operation; each can be begun again wherever it was broken off. */
  async #perform({ id, what, group: planned }: OperationRow): Promise<Result & { also?: readonly (readonly [string, unknown])[] }> {
    switch (what.kind) {
      case "enroll":
        if (!(await this.#groups.me())) await this.#groups.mls.createIdentity(what.name);
        return {};
      case "create":
        if (!(await this.#groups.me())) throw new Refused("NO_NAME", "Give your name first.");
        await this.#groups.create(planned!, what.name);
        return { group: planned! };
      case "seal":
        return this.#seal(what.group, what.text);
      case "invite":
        await this.#changes.want(id, what.group, { add: await this.#cards(what.people), remove: [] });
        return {};
      case "remove": {
        const member = (await (await this.#member(what.group)).members()).find(({ leaf }) => leaf === what.leaf);
        if (!member) return {}; // others were faster
        if (member.own) throw new Refused("NOT_ONESELF", "One cannot remove oneself. Leave the group.");
        await this.#changes.want(id, what.group, { add: [], remove: [{ leaf: member.leaf, key: toBase64(member.signatureKey), name: member.name ?? "?" }] });
        return {};
      }
      case "renew":
        await this.#member(what.group);
        await this.#changes.want(id, what.group, { add: [], remove: [] });
        return {};
      case "posted":
        await this.#changes.posted(what.group, what.change);
        await this.#opening.retry(what.group);
        return {};
      case "withdraw":
        await this.#changes.withdraw(what.group, what.change);
        return {};
      case "settle":
        await this.#changes.settle(what.group, what.change);
        return {};
      case "leave":
        return this.#leave(what.group);
      case "forget":
        if (await this.#groups.has(what.group)) await this.#groups.mls.deleteGroup(fromBase64(what.group)!);
        await this.#changes.forget(what.group);
        await this.#opening.forget(what.group);
        await this.#store.write({ delete: [`group/${what.group}`] });
        return {};
      case "join": {
        const row = await this.#store.get<InvitationRow>(`invitation/${what.invitation}`);
        if (row) {
          await this.#groups.join(row.group, row.name, fromBase64(row.welcome)!);
          await this.#store.write({ delete: [`invitation/${what.invitation}`] });
        } else if (!planned || !(await this.#groups.row(planned))) {
          throw new Refused("NO_INVITATION", "This invitation is not here any more.");
        }
        this.#opening.reconsider();
        return { group: planned! };
      }
      case "decline":
        await this.#store.write({ delete: [`invitation/${what.invitation}`] });
        return {};
      case "verify":
        await this.#trust.verify(what.key, what.verified);
        return {};
      case "forget-person":
        await this.#trust.forget(what.key);
        return {};
      case "new-card":
        await this.#newCard();
        return {};
    }
  }

  /**
   * Seals a text. When the program ends before the result is stored, the ciphertext has not left:
   * it is sealed again, under the next key.
   */
  async #seal(id: string, text: string): Promise<Result & { also: [string, OpenedRow][] }> {
    if (new TextEncoder().encode(text).length > limits.text) throw new Refused("TOO_LARGE", "The text is too long.");
    const group = await this.#member(id);
    await this.#groups.setAsideProposals(id);
    const message = await group.send(text);
    const me = (await this.#groups.me())!;
    const row: OpenedRow = {
      kind: "text",
      group: id,
      epoch: String(group.epoch),
      own: true,
      at: Date.now(),
      sender: { name: me.name ?? "", key: toBase64(me.signatureKey) },
      text,
    };
    return { armor: write("text", await hintOf(group.id), message), also: [[`opened/${await messageId(message)}`, row]] };
  }

  async #leave(id: string): Promise<Result> {
    const group = await this.#member(id);
    const row = (await this.#groups.row(id))!;
    if (row.left && row.leftIn === String(group.epoch)) return { armor: row.left };
    const { ownLeaf, memberCount } = await group.info();
    if (memberCount === 1) throw new Refused("ALONE", "You are alone in this group. Forget it instead.");
    const asked = (await group.proposals()).find((proposal) => proposal.type === "remove" && proposal.leaf === ownLeaf && proposal.message);
    const message = asked?.message ?? (await group.leave()).message;
    const left = write("proposal", await hintOf(group.id), message);
    await this.#groups.save({ ...row, left, leftIn: String(group.epoch) });
    return { armor: left };
  }

  /** A group that the user is a member of. */
  async #member(id: string): Promise<Group> {
    const row = await this.#groups.row(id);
    if (!row || !(await this.#groups.has(id))) throw new Refused("GROUP_NOT_FOUND", "This group is not here any more.");
    const group = await this.#groups.group(id);
    if ((await group.info()).status !== "active") throw new Refused("NOT_A_MEMBER", "You are not a member of this group any more.");
    return group;
  }

  async #cards(keys: readonly string[]): Promise<{ name: string; key: string; card: string }[]> {
    const cards = [];
    for (const key of keys) {
      const person = await this.#store.get<Person>(`person/${key}`);
      if (!person?.card) throw new Refused("NO_CARD", "There is no card of this person.");
      cards.push({ name: person.name, key, card: person.card });
    }
    return cards;
  }

  async #invited(invitation: string): Promise<string> {
    const row = await this.#store.get<InvitationRow>(`invitation/${invitation}`);
    if (!row) throw new Refused("NO_INVITATION", "This invitation is not here any more.");
    return row.group;
  }

  /** The user's card, in armor. It may be used more than once (RFC 9420, Section 16.8): people put it where many see it. */
  async card(): Promise<string> {
    const me = (await this.#groups.me())!;
    const good = (await this.#groups.mls.keyPackages(me)).filter(({ lastResort, expires }) => lastResort && expires.getTime() - Date.now() > freshFor);
    const newest = good.sort((a, b) => b.expires.getTime() - a.expires.getTime())[0];
    const keyPackage = newest?.keyPackage ?? (await this.#newCard());
    return write("card", await digest("webmls card 1", keyPackage), keyPackage);
  }

  async #newCard(): Promise<Uint8Array> {
    return this.#groups.mls.createKeyPackage((await this.#groups.me())!, { lastResort: true });
  }
}
