/** Events: a small typed emitter. */
import type { Group } from "./group.js";
import type { ApplicationEvent, ClosedEvent, GroupUpdateEvent, ProposalEvent, RemovedEvent } from "./types.js";

/** The events of a client, or of one group, and what a listener is given. */
export interface EventMap {
  /** Application data was received. */
  message: ApplicationEvent;
  /** A proposal was received. */
  proposal: ProposalEvent;
  /** A commit was applied: the group is in a new epoch. */
  "group-update": GroupUpdateEvent;
  /** A commit removed this client from the group. */
  removed: RemovedEvent;
  /** The group, or with it the database, was deleted. */
  closed: ClosedEvent;
}

/** Is called with an event and its group; for "closed" with none when a database is deleted, or a group of which this page has no object. What it throws is reported and stops nothing. */
export type Listener<K extends keyof EventMap> = (event: EventMap[K], group: K extends "closed" ? Group | undefined : Group) => void;

/** Keeps listeners, and calls them in the order in which they came. */
export class Emitter {
  readonly #listeners = new Map<keyof EventMap, Set<Listener<never>>>();

  /**
   * Has a function called at every event of a type, before the operation that
   * it comes from resolves. What happens in other tabs is told as well, with
   * `remote` set. Returns a function that ends this.
   */
  on<K extends keyof EventMap>(type: K, listener: Listener<K>): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** @internal */
  emit<K extends keyof EventMap>(type: K, event: EventMap[K], group: Group | undefined): void {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        (listener as (event: EventMap[K], group: Group | undefined) => void)(event, group);
      } catch (error) {
        reportError(error);
      }
    }
  }
}
