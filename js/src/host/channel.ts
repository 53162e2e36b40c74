/**
 * What the tabs of a database tell each other: that a scope was written, so
 * that a copy in memory is old; what happened, for the listeners of every tab;
 * and that somebody waits for a lock. A notice may come late or be lost with the
 * tab that sent it: what is stored decides, and every commit compares with it.
 */
import type { Bytes } from "../bridge.js";
import { isRevision, type Sealed } from "./seal.js";

/** What is told. Scopes are as in {@link HostStore}. */
export type Notice =
  | { kind: "commit"; revisions: { scope: string; revision: number }[] }
  | { kind: "want"; scope: string; revision?: undefined }
  /** {@link Told}, packed and sealed: a page of the origin that has not opened the database reads nothing of it, forges none, and has none told again. */
  | { kind: "event"; sealed: Sealed };

/** What happened in another tab: the result of a call that has events, packed (pack.ts), or the end of a group. Without a group it is the database that was deleted. */
export type TabEvent = { kind: "events"; result: Bytes } | { kind: "closed"; group?: Uint8Array };

/** What is sealed: what happened, and which instance tells it, as its how manieth. */
export interface Told {
  events: TabEvent[];
  from: string;
  number: number;
}

/** One instance's place among those that have a database open. */
export class TabChannel {
  readonly #channel: BroadcastChannel | undefined;
  #closed = false;
  readonly #listeners: ((notice: Notice) => void)[] = [];

  constructor(database: string) {
    if (typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(`webmls/${database}`);
    this.#channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (formed(data)) for (const listener of this.#listeners) listener(data);
    };
  }

  /** Has a function called with every notice of the others. */
  listen(listener: (notice: Notice) => void): void {
    this.#listeners.push(listener);
  }

  /** Tells all the others: in other tabs and workers, and in this one. */
  post(notice: Notice): void {
    if (!this.#closed) this.#channel?.postMessage(notice);
  }

  close(): void {
    this.#closed = true;
    this.#channel?.close();
    this.#listeners.length = 0;
  }
}

/** Whether a notice has its form: any page of the origin can post. */
function formed(data: unknown): data is Notice {
  const notice = data as Notice | null | undefined;
  switch (notice?.kind) {
    case "commit":
      return Array.isArray(notice.revisions) && notice.revisions.every((r) => isScope(r?.scope) && isRevision(r.revision));
    case "want":
      return isScope(notice.scope);
    case "event":
      return true; // opening it shows
    default:
      return false;
  }
}

function isScope(scope: unknown): boolean {
  return typeof scope === "string" && /^([0-9a-f]{2})*$/.test(scope);
}
