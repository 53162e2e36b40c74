/**
 * Groups: what MLS knows of them, with the names that people give them. A group's name is an
 * extension of its context (RFC 9420, Section 13.4), so that those who join learn it with the Welcome.
 */
import { MLS, type Extension, type Group, type Identity } from "webmls";
import { hintText, fromBase64, toBase64 } from "../armor.js";
import { digest } from "./safety.js";
import type { Store } from "./store.js";
import { readable, type Trust } from "./trust.js";

/** Of private use: the group's name in UTF-8. */
const nameExtension = 0xf0c5;

/** What is kept about a group. */
export interface GroupRow {
  id: string;
  name: string;
  at: number;
  /** Leaves that have asked to leave, with their signature keys. */
  leaving: { leaf: number; key: string }[];
  /** Set once the user has asked to leave: what to post, in armor. */
  left?: string;
  /** The epoch in which it was asked. */
  leftIn?: string;
  /** Set where the group has gone on with a commit that was withdrawn here. */
  lost?: true;
}

/** Names a group in the database's keys. */
export const idText = (id: Uint8Array): string => toBase64(id);

export class Groups {
  readonly mls: MLS;
  readonly #store: Store;

  constructor(mls: MLS, store: Store) {
    this.mls = mls;
    this.#store = store;
  }

  /** Opens the client of MLS. */
  static async open(store: Store, trust: Trust): Promise<Groups> {
    const mls = await MLS.open({
      database: "webmls",
      thread: "current",
      authenticate: trust.authenticate,
      succeeds: trust.succeeds,
      supported: { extensions: [nameExtension] },
      limits: { maxMessage: 1 << 20 },
    });
    return new Groups(mls, store);
  }

  /** The user; undefined before a name was given. */
  async me(): Promise<Identity | undefined> {
    return (await this.mls.identities())[0];
  }

  async rows(): Promise<GroupRow[]> {
    const rows = (await this.#store.list<GroupRow>("group/")).map(([, row]) => row);
    return rows.sort((a, b) => a.at - b.at);
  }

  row(id: string): Promise<GroupRow | undefined> {
    return this.#store.get<GroupRow>(`group/${id}`);
  }

  async save(row: GroupRow): Promise<void> {
    await this.#store.write({ put: [[`group/${row.id}`, row]] });
  }

  /** Whether MLS has the group. */
  async has(id: string): Promise<boolean> {
    return (await this.mls.groups()).some((other) => idText(other) === id);
  }

  group(id: string): Promise<Group> {
    return this.mls.group(fromBase64(id)!);
  }

  /** Makes a group, unless it is there. */
  async create(id: string, name: string): Promise<void> {
    const me = (await this.me())!;
    if (!(await this.has(id))) {
      const extensions = [{ type: nameExtension, data: new TextEncoder().encode(name) }];
      await this.mls.createGroup(me, { id: fromBase64(id)!, extensions });
    }
    await this.save({ id, name, at: Date.now(), leaving: [] });
  }

  /** Joins a group, unless that was done. */
  async join(id: string, name: string, welcome: Uint8Array): Promise<void> {
    const joined = (await this.has(id)) && (await (await this.group(id)).info()).status === "active";
    if (!joined) await this.mls.joinGroup(welcome);
    await this.save({ id, name, at: Date.now(), leaving: [] });
  }

  /**
   * Sets aside the proposals that have come, so that they hold up no text. Who
   * asks to leave is remembered, and removed when a member says so in the popup.
   */
  async setAsideProposals(id: string): Promise<void> {
    const group = await this.group(id);
    const { ownLeaf, pendingProposals } = await group.info();
    if (pendingProposals === 0) return;
    const row = (await this.row(id))!;
    const members = await group.members();
    for (const proposal of await group.proposals()) {
      if (proposal.type === "remove" && proposal.sender.type === "member" && proposal.sender.leaf === proposal.leaf && proposal.leaf !== ownLeaf) {
        const member = members.find(({ leaf }) => leaf === proposal.leaf);
        if (member && !row.leaving.some(({ leaf }) => leaf === proposal.leaf)) {
          row.leaving.push({ leaf: member.leaf, key: toBase64(member.signatureKey) });
          await this.save(row);
        }
      }
      await group.dropProposal(proposal);
    }
  }
}

/** The name that a group's context gives it. */
export function nameOf(extensions: readonly Extension[]): string {
  const data = extensions.find(({ type }) => type === nameExtension)?.data;
  const name = data ? new TextDecoder().decode(data) : "";
  return readable(name) ? name : "Group without a name";
}

/** The hint in the armor of a group's messages. */
export async function hintOf(id: Uint8Array): Promise<Uint8Array> {
  return digest("webmls hint 1", id);
}

/** The same as text. */
export async function hintTextOf(id: Uint8Array): Promise<string> {
  return hintText(await hintOf(id));
}
