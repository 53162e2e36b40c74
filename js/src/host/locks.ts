/**
 * Locks: one writer a scope, across tabs, workers and extension pages, by Web
 * Locks. They order the writers; what keeps the database whole is the revision
 * that every commit compares. Where a browser has no Web Locks, there is only that.
 *
 * A lock that nobody else asked for is kept for a moment after its use, since
 * the next use of it is likely ours, and a Web Lock costs as much as a small
 * write. Who finds it taken says so (channel.ts), and has it as soon as it is not
 * in use. A kept lock was there for the taking, so that nobody waited for it then:
 * whoever came later has said so, or will.
 */
import { failure, type MLSError } from "../errors.js";
import type { TabChannel } from "./channel.js";

/** How long a lock is kept, in milliseconds. A page that holds one cannot be suspended. */
const kept = 50;

interface Waiter {
  granted(release: () => void): void;
  refused(error: unknown): void;
}

/** A lock that this instance uses, keeps or waits for. */
interface Lock {
  waiters: Waiter[];
  /** Gives the Web Lock back; undefined while we wait for it. */
  giveBack: (() => void) | undefined;
  inUse: boolean;
  /** Whether others wait for it, as far as is known. */
  wanted: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** The locks of one instance of one database. */
export class ScopeLocks {
  readonly #prefix: string;
  readonly #channel: TabChannel;
  readonly #locks = new Map<string, Lock>();
  readonly #waiting = new AbortController();
  #end: MLSError | undefined;

  constructor(database: string, channel: TabChannel) {
    this.#prefix = `webmls/${database}/`;
    this.#channel = channel;
    channel.listen((notice) => {
      if (notice.kind === "want") this.#want(notice.scope);
    });
  }

  /** Waits for the lock of a scope, unless it is here. What comes of it releases the lock; a second call of that does nothing. Code: CLOSED. */
  lock(scope: string): Promise<() => void> | (() => void) {
    if (this.#end) return Promise.reject(this.#end);
    const present = this.#locks.get(scope);
    let here: (() => void) | undefined;
    const promise = new Promise<() => void>((granted, refused) => {
      const waiter = { granted: (release: () => void) => granted((here = release)), refused };
      if (present) {
        present.waiters.push(waiter);
        this.#next(scope, present);
        return;
      }
      const lock: Lock = { waiters: [waiter], giveBack: undefined, inUse: false, wanted: false, timer: undefined };
      this.#locks.set(scope, lock);
      this.#request(scope, lock);
    });
    return here ?? promise;
  }

  /** Gives everything back. Whoever waits is refused. */
  close(error: MLSError = failure("CLOSED", "")): void {
    if (this.#end) return;
    this.#end = error;
    this.#waiting.abort();
    for (const lock of this.#locks.values()) {
      clearTimeout(lock.timer);
      lock.giveBack?.();
      for (const waiter of lock.waiters) waiter.refused(error);
    }
    this.#locks.clear();
  }

  /** Asks the browser for a lock. */
  #request(scope: string, lock: Lock): void {
    const name = this.#prefix + scope;
    const hold = () =>
      new Promise<void>((giveBack) => {
        if (this.#end) return giveBack();
        lock.giveBack = giveBack;
        this.#next(scope, lock);
      });
    const locks = globalThis.navigator?.locks as LockManager | undefined;
    if (!locks) return void hold();
    locks
      .request(name, { ifAvailable: true }, (free) => {
        if (free) return hold();
        lock.wanted = true;
        this.#channel.post({ kind: "want", scope });
        // Not awaited in here: this callback holds nothing.
        this.#queue(locks, name, hold, scope, lock);
        return undefined;
      })
      .catch((error: unknown) => this.#refuse(scope, lock, error));
  }

  #queue(locks: LockManager, name: string, hold: () => Promise<void>, scope: string, lock: Lock): void {
    locks.request(name, { signal: this.#waiting.signal }, hold).catch((error: unknown) => this.#refuse(scope, lock, error));
  }

  #refuse(scope: string, lock: Lock, error: unknown): void {
    if (this.#end) return;
    this.#locks.delete(scope);
    for (const waiter of lock.waiters) waiter.refused(error);
  }

  /** Gives a lock that we hold to who waits for it here, or decides what to do with it. */
  #next(scope: string, lock: Lock): void {
    if (!lock.giveBack || lock.inUse) return;
    clearTimeout(lock.timer);
    const waiter = lock.waiters.shift();
    if (!waiter) {
      if (lock.wanted) this.#giveBack(scope, lock);
      else lock.timer = setTimeout(() => this.#giveBack(scope, lock), kept);
      return;
    }
    lock.inUse = true;
    let released = false;
    waiter.granted(() => {
      if (released || this.#end) return;
      released = true;
      lock.inUse = false;
      // Others first, where they wait: they cannot overtake us in our own queue.
      if (lock.wanted) this.#giveBack(scope, lock);
      else this.#next(scope, lock);
    });
  }

  #giveBack(scope: string, lock: Lock): void {
    clearTimeout(lock.timer);
    lock.giveBack!();
    lock.giveBack = undefined;
    lock.wanted = false;
    if (lock.waiters.length > 0) this.#request(scope, lock);
    else this.#locks.delete(scope);
  }

  #want(scope: string): void {
    const lock = this.#locks.get(scope);
    if (!lock) return;
    lock.wanted = true;
    if (lock.giveBack && !lock.inUse) this.#giveBack(scope, lock);
  }
}
