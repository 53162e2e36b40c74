// The policy on credentials: who is believed to be who. This is the whole of it.
//
// In this demo the delivery service's directory of names is trusted on first use: the keys seen for
// a name are the name's; another one later is let in, since people have several
// devices, and reported. What people then compare (safety.ts) is kept as verified.
//
// A real app does better: it asks an authority that the delivery service cannot
// stand in for. An X.509 chain (webmls/x509), a token signed by the company's single sign-on
// over name and key, a key transparency log. It refuses what that does not
// vouch for, and lets people compare keys. The function to write is the same.
import type { Claim, Member } from "webmls";
import { Changes } from "./changes.js";
import { toHex } from "./hex.js";
import type { History, Person } from "./history.js";
import { ownerOf, personOf } from "./names.js";

/** A key other than those seen before was shown for a name. */
export interface KeyChange {
  name: string;
  device: string;
  group: Uint8Array;
}

export class Trust extends Changes {
  readonly #history: History;
  readonly #onKeyChange: (change: KeyChange) => void;
  #people = new Map<string, Person>();
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(history: History, onKeyChange: (change: KeyChange) => void) {
    super();
    this.#history = history;
    this.#onKeyChange = onKeyChange;
    history.onChange((change) => {
      if (change.kind === "people") void this.#load();
    });
  }

  static async open(history: History, onKeyChange: (change: KeyChange) => void): Promise<Trust> {
    const trust = new Trust(history, onKeyChange);
    await trust.#load();
    return trust;
  }

  /** Everybody who was ever met, or added, by name. */
  get people(): Person[] {
    return [...this.#people.values()].sort((a, b) => a.name.localeCompare(b.name));
  }

  /** Whether the user has compared numbers with a member's device. */
  verified(member: Member): boolean {
    return member.own || this.#people.get(personOf(member))?.keys[toHex(member.signatureKey)]?.verified !== undefined;
  }

  async setVerified(member: Member, verified: boolean): Promise<void> {
    const key = toHex(member.signatureKey);
    await this.#history.changePerson(personOf(member), (person) => {
      const known = person.keys[key];
      if (!known) return undefined;
      const { verified: _, ...rest } = known;
      person.keys[key] = verified ? { ...rest, verified: Date.now() } : rest;
      return person;
    });
  }

  async addContact(name: string): Promise<void> {
    await this.#history.changePerson(name, (person) => person);
  }

  /** webmls asks this about everyone before letting them into a group. */
  readonly authenticate = (claim: Claim): Promise<boolean> => {
    // One at a time: two claims for a new name must not both be the first.
    const answer = this.#turn.then(() => this.#judge(claim));
    this.#turn = answer.catch(() => {});
    return answer;
  };

  /** webmls asks this when a member wants to go on under another credential: here names do not change. */
  readonly succeeds = (previous: Claim, next: Claim): boolean => previous.name !== undefined && previous.name === next.name;

  async #judge(claim: Claim): Promise<boolean> {
    const owner = ownerOf(claim.name);
    if (claim.credential.type !== "basic" || !owner) return false;
    // Nobody comes in by themselves: members are added by members.
    if (claim.place === "external" || claim.place === "external_sender") return false;
    const key = toHex(claim.signatureKey);
    let changed = false;
    if (this.#people.get(owner.name)?.keys[key]) return true;
    await this.#history.changePerson(owner.name, (person) => {
      if (person.keys[key]) return undefined;
      changed = Object.keys(person.keys).length > 0;
      person.keys[key] = { device: owner.device, since: Date.now() };
      return person;
    });
    if (changed) this.#onKeyChange({ ...owner, group: claim.groupId });
    return true;
  }

  async #load(): Promise<void> {
    this.#people = new Map((await this.#history.people()).map((person) => [person.name, person]));
    this.changed();
  }
}
