// Telling the view that something changed: it looks for itself at what.

/** Something that can be watched. */
export class Changes {
  readonly #listeners = new Set<() => void>();

  /** Calls back after each change. Returns a function that ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells everyone who watches. */
  protected changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
