/**
 * What the tabs of a database tell each other: that a scope was written, so
 * that a copy in memory is old; what happened, for the listeners of every tab;
 * and that somebody waits for a lock. A notice may come late or be lost with the
 * tab that sent it: what is stored decides, and every commit compares with it.
 */
import type { EventValue } from "../bridge.js";

/** What is told. Scopes are as in {@link HostStore}. */
export type Notice =
  | { kind: "commit"; revisions: { scope: string; revision: number }[] }
  | { kind: "want"; scope: string }
  | TabEvent;

/** What happened in another tab: an event of a group, or the end of one. Without a group it is the database that was deleted. */
export type TabEvent = { kind: "event"; event: EventValue } | { kind: "closed"; group?: Uint8Array };

/** One instance's place among those that have a database open. */
export class TabChannel {
  readonly #channel: BroadcastChannel | undefined;
  readonly #listeners: ((notice: Notice) => void)[] = [];

  constructor(database: string) {
    if (typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(`webmls/${database}`);
    this.#channel.onmessage = ({ data }: MessageEvent<Notice>) => {
      for (const listener of this.#listeners) listener(data);
    };
  }

  /** Has a function called with every notice of the others. */
  listen(listener: (notice: Notice) => void): void {
    this.#listeners.push(listener);
  }

  /** Tells all the others: in other tabs and workers, and in this one. */
  post(notice: Notice): void {
    this.#channel?.postMessage(notice);
  }

  close(): void {
    this.#channel?.close();
    this.#listeners.length = 0;
  }
}
