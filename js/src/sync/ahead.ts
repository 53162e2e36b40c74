/** Messages that cannot be received yet: of later epochs, or that refer to what has not come. */
import type { Cursor, Failure } from "./types.js";
import { digest, hex } from "./wire.js";

/** Messages further ahead than this are not held: nobody is so far behind, and anybody can write a number. */
const horizon = 1_024n;
/** How many bytes are held. */
const mostBytes = 16 << 20;

/** A message that waits. */
export interface Waiting {
  message: Uint8Array;
  epoch: bigint;
  cursor: Cursor;
  failure: Failure;
}

/** Holds messages, in the order of the log, within bounds. */
export class Ahead {
  readonly #most: number;
  readonly #held = new Map<string, Waiting>();
  #bytes = 0;
  /** Whether messages were not held that may yet be received. */
  #forgot = false;

  constructor(most: number) {
    this.#most = most;
  }

  /** How many wait. */
  get size(): number {
    return this.#held.size;
  }

  /** The first that waits. */
  get first(): Waiting | undefined {
    return this.#held.values().next().value;
  }

  /** Holds a message. One that is held already keeps its place. */
  async add(waiting: Waiting, now: bigint): Promise<void> {
    if (waiting.epoch > now + horizon) return;
    const key = hex(await digest(waiting.message));
    if (this.#held.has(key)) return;
    if (this.#held.size >= this.#most || this.#bytes + waiting.message.length > mostBytes) {
      this.#forgot = true;
      return;
    }
    this.#held.set(key, waiting);
    this.#bytes += waiting.message.length;
  }

  /** Takes out what may be received in an epoch, the earliest epochs first. */
  take(now: bigint): Waiting[] {
    const ready: Waiting[] = [];
    for (const [key, waiting] of this.#held) {
      if (waiting.epoch > now) continue;
      this.#held.delete(key);
      this.#bytes -= waiting.message.length;
      ready.push(waiting);
    }
    return ready.sort((a, b) => Number(a.epoch - b.epoch));
  }

  /** Whether all that has come was handled. */
  get complete(): boolean {
    return this.size === 0 && !this.#forgot;
  }

  /** Whether the log must be read again, now that there is another epoch; said once. */
  forgotten(): boolean {
    const forgot = this.#forgot;
    this.#forgot = false;
    return forgot;
  }

  /** Waits no longer: what was held can be read in the log again. */
  forget(): void {
    this.#held.clear();
    this.#bytes = 0;
    this.#forgot = true;
  }
}
