// The policy on credentials: who is believed to be who. This is the whole of it.
//
// In this demo the delivery service's directory of names is trusted on first use: the first signature key seen for
// a name is the name's; another one later is let in, and reported.
//
// A real app does better: it asks an authority that the delivery service cannot
// stand in for. An X.509 chain, a token signed by the company's single sign-on
// over name and key, a key transparency log. It refuses what that does not
// vouch for, and lets people compare keys. The function to write is the same.
import type { Claim } from "webmls";
import { toHex } from "./hex.js";
import type { History } from "./history.js";

/** A key other than those seen before was shown for a name. */
export interface KeyChange {
  name: string;
  group: Uint8Array;
}

export class Trust {
  readonly #history: History;
  readonly #onKeyChange: (change: KeyChange) => void;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(history: History, onKeyChange: (change: KeyChange) => void) {
    this.#history = history;
    this.#onKeyChange = onKeyChange;
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
    const { name } = claim;
    if (claim.credential.type !== "basic" || !name) return false;
    const key = toHex(claim.signatureKey);
    const keys = await this.#history.keysOf(name);
    if (keys.includes(key)) return true;
    await this.#history.saveKeysOf(name, [...keys, key]);
    if (keys.length > 0) this.#onKeyChange({ name, group: claim.groupId });
    return true;
  }
}
