// The entries of a conversation, of which there may be very many: their order is
// known at once, and what they say is read from the history where somebody looks.
import { Changes } from "./changes.js";
import type { Entry, History } from "./history.js";

/** How many entries are read at once, and how many are held. */
const [page, most] = [100, 1_000];

export class Timeline extends Changes {
  readonly #history: History;
  readonly #conversation: string;
  readonly #orders: number[] = [];
  readonly #entries = new Map<number, Entry>();
  readonly #reading = new Set<number>();
  /** Orders that were changed while they were being read. */
  readonly #stale = new Set<number>();
  #last: Entry | undefined;
  readonly #unhear: () => void;

  private constructor(history: History, conversation: string, report: (error: unknown) => void) {
    super();
    this.#history = history;
    this.#conversation = conversation;
    this.#unhear = history.onChange((change) => {
      if ((change.kind !== "added" && change.kind !== "changed") || change.id !== conversation) return;
      void (change.kind === "added" ? this.#added(change.orders) : this.#replaced(change.orders)).catch(report);
    });
  }

  /**
   * Opens it with its last page read. It hears of changes before it reads what
   * is there: what another tab adds meanwhile would be missing here for good.
   */
  static async open(history: History, conversation: string, report: (error: unknown) => void): Promise<Timeline> {
    const timeline = new Timeline(history, conversation, report);
    try {
      for (const order of await history.orders(conversation)) timeline.#insert(order);
      const count = timeline.length;
      if (count > 0) await timeline.#read(Math.floor((count - 1) / page));
    } catch (error) {
      timeline.close();
      throw error;
    }
    return timeline;
  }

  /** Hears of no more changes. */
  close(): void {
    this.#unhear();
  }

  get length(): number {
    return this.#orders.length;
  }

  orderAt(index: number): number {
    return this.#orders[index]!;
  }

  /** An entry; undefined when it is being read, and a change is told when it is there. */
  at(index: number): Entry | undefined {
    const entry = this.#entries.get(this.#orders[index]!);
    if (!entry) void this.#read(Math.floor(index / page));
    return entry;
  }

  /** The last entry. */
  get last(): Entry | undefined {
    return this.#last;
  }

  /** Learns that entries were added. */
  async #added(orders: readonly number[]): Promise<void> {
    const entries = await this.#history.entries(this.#conversation, Math.min(...orders), Math.max(...orders));
    for (const entry of entries) {
      this.#insert(entry.order);
      this.#hold(entry);
    }
    this.changed();
  }

  /** Puts an order into its place: the end, but for what another tab has told late. */
  #insert(order: number): void {
    let at = this.#orders.length;
    while (at > 0 && this.#orders[at - 1]! > order) at--;
    if (this.#orders[at - 1] !== order) this.#orders.splice(at, 0, order);
  }

  /** Learns that entries were changed. */
  async #replaced(orders: readonly number[]): Promise<void> {
    for (const order of orders) {
      if (this.#reading.size > 0) this.#stale.add(order);
      if (!this.#entries.has(order)) continue;
      for (const entry of await this.#history.entries(this.#conversation, order, order)) this.#hold(entry);
    }
    this.changed();
  }

  async #read(number: number): Promise<void> {
    if (this.#reading.has(number)) return;
    this.#reading.add(number);
    const orders = this.#orders.slice(number * page, (number + 1) * page);
    try {
      let entries: Entry[];
      do {
        this.#stale.clear();
        entries = await this.#history.entries(this.#conversation, orders[0]!, orders.at(-1)!);
      } while (orders.some((order) => this.#stale.has(order)));
      for (const entry of entries) this.#hold(entry);
    } finally {
      this.#reading.delete(number);
    }
    this.changed();
  }

  #hold(entry: Entry): void {
    this.#entries.delete(entry.order);
    this.#entries.set(entry.order, entry);
    if (!this.#last || entry.order >= this.#last.order) this.#last = entry;
    // Those that were looked at longest ago are let go.
    for (const order of this.#entries.keys()) {
      if (this.#entries.size <= most) break;
      this.#entries.delete(order);
    }
  }
}
