/**
 * Changes that the user makes to a group: commits (RFC 9420, Section 12.4), one at a
 * time. The user posts a commit where the members read; the first that is seen of an
 * epoch counts. When another's was first, the change is made again, if it still means something.
 *
 *     wanted -> making -> made -> applying -> applied (a Welcome is to be posted) -> gone
 *                ^          |  \-> cancelling -> gone
 *                \----------/ another's commit came first
 *
 * Each step is stored before it is begun, and what MLS holds (is the commit still
 * pending?) says after a crash whether it was done. This takes that only this module commits,
 * clears and applies, one call at a time: see Session.
 */
import type { Group } from "webmls";
import { fromBase64, toBase64, write } from "../armor.js";
import type { ChangeView } from "../protocol.js";
import { hintOf, type Groups } from "./groups.js";
import { messageId, type OpenedRow } from "./messages.js";
import { passing, refusal, Refused } from "./refusal.js";
import type { Store } from "./store.js";

interface ChangeRow {
  id: string;
  group: string;
  at: number;
  add: { name: string; key: string; card: string }[];
  remove: { leaf: number; key: string; name: string }[];
  state: "wanted" | "making" | "made" | "applying" | "applied" | "cancelling" | "failed";
  again: boolean;
  /** The commit, in armor, and what it is known by. */
  commit?: string;
  commitId?: string;
  /** For those who are added, in armor. */
  welcome?: string;
  reason?: string;
}

export type Wanted = Pick<ChangeRow, "add" | "remove">;

export class Changes {
  readonly #store: Store;
  readonly #groups: Groups;

  constructor(store: Store, groups: Groups) {
    this.#store = store;
    this.#groups = groups;
  }

  /** Wants a change. With an id that is there already it does nothing. */
  async want(id: string, group: string, { add, remove }: Wanted): Promise<void> {
    const rows = await this.#rows(group);
    if (!rows.some((row) => row.id === id)) {
      await this.#save({ id, group, at: Math.max(Date.now(), (rows.at(-1)?.at ?? 0) + 1), add, remove, state: "wanted", again: false });
    }
    await this.advance(group);
  }

  /** The user says that the commit was posted, or it was seen. */
  async posted(group: string, id: string): Promise<void> {
    const row = (await this.#rows(group)).find((row) => row.id === id);
    if (row?.state === "made") {
      // When the program ends in here, advance finds whether it was applied.
      await this.#save({ ...row, state: "applying" });
    }
    await this.advance(group);
  }

  /** Gives a change up whose commit nobody has seen. */
  async withdraw(group: string, id: string): Promise<void> {
    const row = (await this.#rows(group)).find((row) => row.id === id);
    if (!row) return;
    if (row.state === "made" || row.state === "making") await this.#save({ ...row, state: "cancelling" });
    else if (row.state === "wanted" || row.state === "failed") await this.#delete(row);
    else if (row.state !== "cancelling") throw new Refused("TOO_LATE", "This change has been carried out.");
    await this.advance(group);
  }

  /** The Welcome was posted, or the failure read. */
  async settle(group: string, id: string): Promise<void> {
    const row = (await this.#rows(group)).find((row) => row.id === id);
    if (row && (row.state === "applied" || row.state === "failed")) await this.#delete(row);
  }

  /** The change whose commit is known by this id, while it waits for being posted. */
  async withCommit(group: string, commitId: string): Promise<string | undefined> {
    return (await this.#rows(group)).find((row) => row.state === "made" && row.commitId === commitId)?.id;
  }

  /** Carries on with what is wanted, as far as it goes: after a change of the group, and after a start. */
  async advance(id: string): Promise<void> {
    if (!(await this.#groups.has(id))) return;
    const group = await this.#groups.group(id);
    for (;;) {
      const { status, hasPendingCommit } = await group.info();
      if (status !== "active") return;
      const rows = await this.#rows(id);
      const row = rows.find(({ state }) => state !== "wanted" && state !== "applied" && state !== "failed") ?? rows.find(({ state }) => state === "wanted");
      if (!row) {
        if (hasPendingCommit) await group.clearPendingCommit(); // of a change that was forgotten
        return;
      }
      switch (row.state) {
        case "wanted":
          await this.#begin(row, group);
          continue;
        case "making":
          await this.#make(row, group, hasPendingCommit);
          continue;
        case "made":
          if (hasPendingCommit) return; // until it is posted
          await this.#save({ ...strip(row), state: "wanted", again: true });
          continue;
        case "applying":
          if (hasPendingCommit) await group.applyPendingCommit();
          await this.#applied(row, group);
          continue;
        case "cancelling":
          if (hasPendingCommit) await group.clearPendingCommit();
          await this.#delete(row);
      }
    }
  }

  /** Begins to make a commit, of what of the change is still to do. */
  async #begin(row: ChangeRow, group: Group): Promise<void> {
    const members = await group.members();
    const is = (leaf: number, key: string) => members.some((member) => member.leaf === leaf && toBase64(member.signatureKey) === key);
    const add = row.add.filter(({ key }) => !members.some((member) => toBase64(member.signatureKey) === key));
    const remove = row.remove.filter(({ leaf, key }) => is(leaf, key));
    const renews = row.add.length === 0 && row.remove.length === 0;
    if (!renews && add.length === 0 && remove.length === 0) await this.#delete(row); // others have done it
    else await this.#save({ ...row, add, remove, state: "making" });
  }

  async #make(row: ChangeRow, group: Group, hasPendingCommit: boolean): Promise<void> {
    try {
      const options = { add: row.add.map(({ card }) => fromBase64(card)!), remove: row.remove.map(({ leaf }) => leaf), ignoreProposals: true };
      const { commit, welcome } = hasPendingCommit ? (await group.pendingCommit())! : await group.commit(options);
      const hint = await hintOf(group.id);
      const made: ChangeRow = { ...row, state: "made", commit: write("commit", hint, commit), commitId: await messageId(commit) };
      if (welcome) made.welcome = write("welcome", hint, welcome);
      // Alone, there is nobody who could be faster, nor anybody to tell.
      if ((await group.info()).memberCount === 1) made.state = "applying";
      await this.#save(made);
    } catch (error) {
      if (passing(error)) throw error;
      await this.#save({ ...row, state: "failed", reason: refusal(error).message });
    }
  }

  /** Notes that a change is in the group, also under its commit, for the page where that is posted. */
  async #applied(row: ChangeRow, group: Group): Promise<void> {
    const opened: OpenedRow = {
      kind: "commit",
      group: row.group,
      epoch: String((await group.info()).epoch - 1n),
      own: true,
      at: Date.now(),
      added: row.add.map(({ name }) => name),
      removed: row.remove.map(({ name }) => name),
    };
    const put: [string, unknown][] = [[`opened/${row.commitId!}`, opened]];
    if (row.welcome) put.push([keyOf(row), { ...row, state: "applied" }]);
    await this.#store.write({ put, delete: row.welcome ? [] : [keyOf(row)] });
  }

  /** How the changes of a group stand, for the popup. */
  async views(group: string): Promise<ChangeView[]> {
    return (await this.#rows(group)).map((row) => {
      const state = row.state === "made" ? "to-post" : row.state === "applied" ? "welcome" : row.state === "failed" ? "failed" : "waiting";
      const armor = state === "to-post" ? row.commit : state === "welcome" ? row.welcome : undefined;
      return {
        id: row.id,
        add: row.add.map(({ name }) => name),
        remove: row.remove.map(({ name }) => name),
        state,
        again: row.again,
        ...(armor && { armor }),
        ...(row.reason && { reason: row.reason }),
      };
    });
  }

  /** Forgets the changes of a group. */
  async forget(group: string): Promise<void> {
    await this.#store.write({ delete: await this.#store.keys(`change/${group}/`) });
  }

  /** The changes of a group, oldest first. */
  async #rows(group: string): Promise<ChangeRow[]> {
    return (await this.#store.list<ChangeRow>(`change/${group}/`)).map(([, row]) => row);
  }

  #save(row: ChangeRow): Promise<void> {
    return this.#store.write({ put: [[keyOf(row), row]] });
  }

  #delete(row: ChangeRow): Promise<void> {
    return this.#store.write({ delete: [keyOf(row)] });
  }
}

const keyOf = (row: ChangeRow): string => `change/${row.group}/${String(row.at).padStart(16, "0")}-${row.id}`;

/** A change without the commit that was made of it. */
function strip({ commit: _commit, commitId: _commitId, welcome: _welcome, ...row }: ChangeRow): ChangeRow {
  return row;
}
