/**
 * Locks: one writer a scope, across tabs, workers and extension pages, by Web
 * Locks. They order the writers; what keeps the database whole is the revision
 * that every commit compares. Where a browser has no Web Locks, there is only that.
 */

/** The locks of one database. */
export class ScopeLocks {
  readonly #prefix: string;
  readonly #held = new Set<() => void>();

  constructor(database: string) {
    this.#prefix = `webmls/${database}/`;
  }

  /** Waits for the lock of a scope. Resolves with what releases it; a second call of that does nothing. */
  lock(scope: string): Promise<() => void> {
    const locks = globalThis.navigator?.locks as LockManager | undefined;
    if (!locks) return Promise.resolve(() => {});
    return new Promise((granted, refused) => {
      const hold = () =>
        new Promise<void>((resolve) => {
          const release = () => {
            this.#held.delete(release);
            resolve();
          };
          this.#held.add(release);
          granted(release);
        });
      locks.request(this.#prefix + scope, hold).catch(refused);
    });
  }

  /** Releases what is held. */
  close(): void {
    for (const release of [...this.#held]) release();
  }
}
