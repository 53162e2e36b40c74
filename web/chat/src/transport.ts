// The adapter between webmls/sync and the delivery service: the three functions
// that sync asks of any service, over a connection of delivery.ts. An app with
// the same service copies this file; an app with another one writes the same
// three functions for it:
//
//   publish    puts something into a group's log, and says what became of it
//   fetch      reads the log behind a place
//   subscribe  says when the log may have grown
//
// The service pushes the log, and sync pulls it. So there is a tail for each
// group: what was pushed and not yet fetched.
import type { Answer, Cursor, Logged, Page, Publication, Transport } from "webmls/sync";
import { type Delivery, DeliveryError, type Recipient } from "./delivery.js";

/** How many messages one page of the log has at most. */
const page = 256;

/** What the service never takes, however often it is asked. */
const refusals = new Set(["MALFORMED", "TOO_LARGE", "TOO_MANY", "WRONG_MESSAGE", "WRONG_GROUP", "WELCOMES_FULL", "NOT_A_MEMBER", "NAME_INVALID", "DEVICE_INVALID"]);

/** Names a device for the `to` of GroupSync.add: a Welcome goes to one device of a user. */
export function addressOf(name: string, device: string): string {
  return JSON.stringify([name, device]);
}

function recipientOf(address: string): Recipient {
  const [name, device] = JSON.parse(address) as [string, string];
  return { name, device };
}

/** The log of one group behind a place, as far as it was pushed. */
interface Tail {
  /** Everything up to this sequence was fetched. */
  start: number;
  entries: Logged[];
  /** Whether all that was in the log at the start has come. */
  current: boolean;
  /** Ends the subscription. */
  end(): void;
  /** Wakes a fetch that waits. */
  wake?: (() => void) | undefined;
}

/**
 * Makes the transport of one connection. `onGap` is told when messages that were
 * asked for are no longer at the service: it keeps them for a while only, and a
 * member who was away for longer has to be invited again.
 */
export function transportOf(delivery: Delivery, onGap: (group: Uint8Array) => void): Transport {
  const tails = new Map<string, Tail>();
  const listeners = new Map<string, () => void>();

  const follow = (group: Uint8Array, key: string, start: number): Tail => {
    tails.get(key)?.end();
    const changed = () => {
      tail.wake?.();
      if (tail.current) listeners.get(key)?.();
    };
    const end = delivery.subscribe(
      group,
      start + 1,
      ({ seq, message }) => {
        tail.entries.push({ cursor: seq, message });
        changed();
      },
      (missing) => {
        tail.current = true;
        if (missing !== undefined) onGap(group);
        changed();
      },
    );
    const tail: Tail = { start, entries: [], current: false, end };
    tails.set(key, tail);
    return tail;
  };

  return {
    async publish(publication, signal): Promise<Answer> {
      mustBeConnected(delivery);
      try {
        return await publish(delivery, publication, signal);
      } catch (error) {
        if (!(error instanceof DeliveryError)) throw error;
        if (error.code === "EPOCH_BEHIND") return { result: "stale" };
        if (refusals.has(error.code)) return { result: "refused", reason: error.message };
        throw new DOMException(error.message, "NetworkError");
      }
    },

    async fetch(group: Uint8Array, since: Cursor | undefined, signal: AbortSignal): Promise<Page> {
      const key = keyOf(group);
      const from = Number(since ?? 0);
      let tail = tails.get(key);
      // What was fetched before and is asked for again has to be read again.
      if (!tail || from < tail.start) tail = follow(group, key, from);
      tail.start = from;
      tail.entries = tail.entries.filter(({ cursor }) => Number(cursor) > from);
      while (tail.entries.length === 0 && !tail.current) {
        mustBeConnected(delivery);
        await woken(tail, signal);
      }
      if (tail.entries.length === 0) mustBeConnected(delivery);
      const entries = tail.entries.slice(0, page);
      return { entries, more: tail.entries.length > entries.length || !tail.current };
    },

    subscribe(group: Uint8Array, notify: () => void): () => void {
      const key = keyOf(group);
      listeners.set(key, notify);
      return () => {
        listeners.delete(key);
        tails.get(key)?.end();
        tails.delete(key);
      };
    },
  };
}

async function publish(delivery: Delivery, publication: Publication, signal: AbortSignal): Promise<Answer> {
  const { groupId, message } = publication;
  if (publication.kind !== "commit") {
    await until(signal, delivery.publish(groupId, message));
    return { result: "accepted" };
  }
  const { welcome, to, groupInfo } = publication;
  const { accepted } = await until(
    signal,
    delivery.publishCommit({
      group: groupId,
      commit: message,
      welcomes: welcome && to.length > 0 ? [{ to: to.map(recipientOf), welcome }] : [],
      ...(groupInfo ? { groupInfo } : {}),
    }),
  );
  return { result: accepted ? "accepted" : "stale" };
}

/**
 * Fails at once where an answer cannot come: sync tries again, and nothing queues up. What fails is not
 * a DeliveryError: sync takes an error with the code CLOSED for the end of the MLS client.
 */
function mustBeConnected(delivery: Delivery): void {
  if (delivery.status !== "connected") throw new DOMException("not connected to the delivery service", "NetworkError");
}

/** Waits for the next thing that is pushed, for as long as one waits. */
function woken(tail: Tail, signal: AbortSignal): Promise<void> {
  return until(
    signal,
    new Promise<void>((resolve) => {
      tail.wake = resolve;
    }),
  ).finally(() => {
    tail.wake = undefined;
  });
}

function until<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => reject(signal.reason as Error);
    if (signal.aborted) return end();
    signal.addEventListener("abort", end, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}

function keyOf(group: Uint8Array): string {
  return String.fromCharCode(...group);
}
