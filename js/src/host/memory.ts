/**
 * The store of a client without a database: its records are in the program
 * (wasm/host_store.go), its private keys here, and both end with it.
 */
import type { KeyStore, StoredChange } from "../bridge.js";

export class MemoryStore implements KeyStore {
  readonly #keys = new Map<string, CryptoKey>();
  readonly #kept = new Set<string>();
  /** They need not survive anything, and are never extractable. */
  readonly wrapsKeys = false;
  /** There is nothing that could be deleted, and nobody who could hear of anything. */
  readonly end = undefined;
  readonly told = undefined;
  receiving = 0;
  others = 0;

  adopt(name: string, key: CryptoKey): void {
    this.#keys.set(name, key);
  }

  forget(names: string[]): void {
    for (const name of names) if (!this.#kept.has(name)) this.#keys.delete(name);
  }

  made(name: string): CryptoKey | undefined {
    return this.#keys.get(name);
  }

  /** There is none that was not made here. */
  async key(): Promise<undefined> {}

  /** Keeps keys, and drops others. */
  async commit(_: StoredChange[], kept: string[], dropped: string[]): Promise<void> {
    for (const name of dropped) if (!kept.includes(name)) (this.#keys.delete(name), this.#kept.delete(name));
    for (const name of kept) this.#kept.add(name);
  }

  tell(): void {}

  async hear(): Promise<[]> {
    return [];
  }

  close(): void {
    this.#keys.clear();
  }
}
