/** What the tabs of a group's sync tell each other. */
import type { SyncEventMap } from "./types.js";

/** An event that is told, by its type. */
export type Told = { [K in keyof SyncEventMap]: { type: K; event: SyncEventMap[K] } }[keyof SyncEventMap];

/** What is told: that there is something to do, an event, or that one stays or a statement, which a tab was given that does not do the work. */
export type Notice = { kind: "wake" } | { kind: "stay" } | ({ kind: "event" } & Told) | { kind: "statement"; statement: Uint8Array };

/** One tab's place among those that keep a group; alone where there is no database that they could share. */
export class SyncChannel {
  readonly #name: string | undefined;
  readonly #channel: BroadcastChannel | undefined;
  #stopped = new AbortController();

  constructor(database: string | null, group: string, hear: (notice: Notice) => void) {
    if (database === null) return;
    this.#name = `webmls-sync/${database}/${group}`;
    if (typeof BroadcastChannel !== "function") return;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }: MessageEvent<Notice>) => hear(data);
  }

  post(notice: Notice): void {
    if (!this.#stopped.signal.aborted) this.#channel?.postMessage(notice);
  }

  /** Has a function called when this tab is the one that does the work, and for as long as its promise is pending. */
  async lead(work: () => Promise<void>): Promise<void> {
    const locks = globalThis.navigator?.locks as LockManager | undefined;
    if (!this.#name || !locks) return work();
    await locks.request(this.#name, { signal: this.#stopped.signal }, work).catch((error: unknown) => {
      if (!this.#stopped.signal.aborted) throw error;
    });
  }

  close(): void {
    this.#stopped.abort();
    this.#channel?.close();
  }
}
