/**
 * The session: everything that the extension holds, opened when the browser starts
 * the service worker. What changes something is done one after the other; what was begun when
 * the browser stopped the worker is finished before anything else.
 */
import { fromBase64, scan, toBase64, type Found } from "../armor.js";
import type { GroupView, Operation, PersonView, StateView, View } from "../protocol.js";
import { Changes } from "./changes.js";
import { Groups, type GroupRow } from "./groups.js";
import { Opening, type Taken } from "./opening.js";
import { Operations, type Result } from "./operations.js";
import { passing, refusal } from "./refusal.js";
import { personNumber, safetyNumber } from "./safety.js";
import { Store } from "./store.js";
import { Trust } from "./trust.js";

export class Session {
  readonly store: Store;
  readonly #groups: Groups;
  readonly #changes: Changes;
  readonly #opening: Opening;
  readonly #operations: Operations;
  readonly #trust: Trust;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(store: Store, trust: Trust, groups: Groups) {
    this.store = store;
    this.#trust = trust;
    this.#groups = groups;
    this.#changes = new Changes(store, groups);
    this.#opening = new Opening(store, groups, this.#changes, trust);
    this.#operations = new Operations(store, groups, this.#changes, this.#opening, trust);
  }

  static async open(): Promise<Session> {
    const store = await Store.open();
    const trust = new Trust(store);
    const session = new Session(store, trust, await Groups.open(store, trust));
    await session.#recover();
    return session;
  }

  /** Finishes what was begun. What fails now does not keep the rest from working; it is tried at the next start. */
  async #recover(): Promise<void> {
    const attempt = async (work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        console.warn("not recovered:", refusal(error).message);
      }
    };
    await attempt(() => this.#opening.recover());
    for (const { id } of await this.#groups.rows()) {
      await attempt(async () => {
        if (!(await this.#groups.has(id))) return;
        await this.#changes.advance(id);
        await this.#groups.setAsideProposals(id);
        await this.#opening.retry(id);
      });
    }
    await attempt(() => this.#operations.recover());
  }

  do(id: string, what: Operation): Promise<Result> {
    return this.#serially(async () => {
      try {
        return await this.#operations.do(id, what);
      } catch (error) {
        if (passing(error)) throw error;
        return { error: refusal(error) };
      }
    });
  }

  take(found: readonly Found[]): Promise<Taken[]> {
    return this.#serially(() => this.#opening.take(found));
  }

  async paste(text: string): Promise<View[]> {
    const views: View[] = [];
    for (const taken of await this.take(scan(text))) views.push(await this.#opening.view(taken));
    return views;
  }

  view(taken: Taken): Promise<View> {
    return this.#opening.view(taken);
  }

  history(group: string): Promise<View[]> {
    return this.#opening.history(group, 200);
  }

  /** The groups that one can seal for. */
  async writable(): Promise<{ id: string; name: string; members: number }[]> {
    const list = [];
    for (const { id, name } of await this.#groups.rows()) {
      if (!(await this.#groups.has(id))) continue;
      const { status, memberCount } = await (await this.#groups.group(id)).info();
      if (status === "active") list.push({ id, name, members: memberCount });
    }
    return list;
  }

  async enrolled(): Promise<boolean> {
    return (await this.#groups.me()) !== undefined;
  }

  /** What waits for the user: changes to post, invitations. */
  async waiting(): Promise<number> {
    let count = (await this.#opening.invitations()).length;
    for (const { id } of await this.#groups.rows()) count += (await this.#changes.views(id)).filter(({ state }) => state !== "waiting").length;
    return count;
  }

  /** All that the popup shows. */
  async state(sites: string[]): Promise<StateView> {
    const me = await this.#groups.me();
    const people = await this.#trust.people();
    const groups: GroupView[] = [];
    for (const row of await this.#groups.rows()) if (await this.#groups.has(row.id)) groups.push(await this.#groupView(row));
    const own = me && toBase64(me.signatureKey);
    const views: PersonView[] = [];
    for (const { name, key, verified, changed, card } of people) {
      if (key !== own) views.push({ name, key, verified, changed, hasCard: card !== undefined, number: await personNumber(name, fromBase64(key)!) });
    }
    return {
      ...(me && {
        me: { name: me.name ?? "", number: await personNumber(me.name ?? "", me.signatureKey), card: await this.#serially(() => this.#operations.card()) },
      }),
      groups,
      people: views.sort((a, b) => a.name.localeCompare(b.name)),
      invitations: await this.#opening.invitations(),
      sites,
    };
  }

  async #groupView(row: GroupRow): Promise<GroupView> {
    const group = await this.#groups.group(row.id);
    const { status, epoch, epochAuthenticator } = await group.info();
    const people = await this.#trust.people();
    const members = [];
    for (const member of status === "active" ? await group.members() : []) {
      const key = toBase64(member.signatureKey);
      const person = people.find((one) => one.key === key);
      members.push({
        leaf: member.leaf,
        name: member.name ?? "?",
        key,
        number: await personNumber(member.name ?? "?", member.signatureKey),
        own: member.own,
        verified: person?.verified ?? false,
        changed: person?.changed ?? false,
        leaving: row.leaving.some((one) => one.leaf === member.leaf && one.key === key),
      });
    }
    return {
      id: row.id,
      name: row.name,
      epoch: String(epoch),
      status: status !== "active" ? "removed" : row.lost ? "lost" : row.left ? "leaving" : "active",
      safety: status === "active" ? safetyNumber(epochAuthenticator) : "",
      members,
      changes: await this.#changes.views(row.id),
      ahead: (await this.store.keys(`ahead/${row.id}/`)).length,
      askAgain: row.left !== undefined && row.leftIn !== String(epoch),
      ...(row.left && { leaveArmor: row.left }),
    };
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }
}
