/**
 * Who is believed to be who: nobody vouches for names here, so the first
 * signature key that is seen for a name is taken for its own. Another one is let in, and
 * shown as one that changed; people compare safety numbers, and say so.
 */
import type { Claim } from "webmls";
import { toBase64 } from "../armor.js";
import type { Store } from "./store.js";

/** What is known about a signature key. */
export interface Person {
  name: string;
  /** The SignaturePublicKey, in base64url. */
  key: string;
  seen: number;
  /** Whether another key was known for the name before. */
  changed: boolean;
  /** Whether the user has compared the safety number. */
  verified: boolean;
  /** The last card of this person, in base64url. */
  card?: string;
}

const longestName = 64;

/** Whether a name can be shown without deceiving: short, and of characters that one sees. */
export function readable(name: string): boolean {
  return name.length > 0 && name.length <= longestName && name === name.trim() && !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name);
}

export class Trust {
  readonly #store: Store;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** webmls asks this about everyone before letting them into a group. */
  readonly authenticate = async (claim: Claim): Promise<boolean> => {
    const { name } = claim;
    if (claim.credential.type !== "basic" || !name || !readable(name)) return false;
    await this.meet(name, claim.signatureKey);
    return true;
  };

  /** Names do not change. */
  readonly succeeds = (previous: Claim, next: Claim): boolean => previous.name !== undefined && previous.name === next.name;

  /** Remembers a person; one at a time, so that two keys for a name are not both the first. */
  meet(name: string, signatureKey: Uint8Array, card?: Uint8Array): Promise<Person> {
    const met = this.#turn.then(() => this.#meet(name, toBase64(signatureKey), card));
    this.#turn = met.catch(() => {});
    return met;
  }

  async #meet(name: string, key: string, card: Uint8Array | undefined): Promise<Person> {
    const known = await this.#store.get<Person>(`person/${key}`);
    const newCard = card && toBase64(card);
    if (known && known.name === name && (newCard === undefined || known.card === newCard)) return known;
    const others = known ? [] : (await this.people()).filter((person) => person.name === name);
    const person: Person = known
      ? { ...known, name, changed: known.changed || known.name !== name, verified: known.verified && known.name === name }
      : { name, key, seen: Date.now(), changed: others.length > 0, verified: false };
    if (newCard !== undefined) person.card = newCard;
    await this.#store.write({ put: [[`person/${key}`, person]] });
    return person;
  }

  async people(): Promise<Person[]> {
    return (await this.#store.list<Person>("person/")).map(([, person]) => person);
  }

  async verify(key: string, verified: boolean): Promise<void> {
    const person = await this.#store.get<Person>(`person/${key}`);
    if (person) await this.#store.write({ put: [[`person/${key}`, { ...person, verified, changed: person.changed && !verified }]] });
  }

  async forget(key: string): Promise<void> {
    await this.#store.write({ delete: [`person/${key}`] });
  }
}
