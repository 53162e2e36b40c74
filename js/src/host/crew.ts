/**
 * The crew: workers below the program's own that take a share of long lists of
 * public-key operations. Chromium does WebCrypto on the thread that asks, so that
 * nothing else does two of them at once.
 *
 * Nobody depends on a hand: each is given a stretch of the list and does it from
 * the front, while the program's thread does all stretches from the back until nothing
 * is left. One that could not be started, is slow or has died leaves more to do there.
 */
import type { Bytes } from "../bridge.js";

/** What is done to the elements of a list: its result has as many bytes for each. */
export type Work = Record<"verify" | "encapsulate", (algorithm: string, packed: Bytes) => Promise<Bytes>>;

/** To a hand: a stretch of a list; none of it when the list is done. */
interface Order {
  id: number;
  kind: keyof Work;
  algorithm: string;
  from: number;
  parts: Bytes[];
}

/** From a hand: the result of a part. */
interface Report {
  id: number;
  part: number;
  result: Bytes;
}

/** A list is shared out in parts of this many elements, from that many parts on. */
const partLength = 16;
const longList = 8;

/** The name of a worker that is one of the crew. */
export const crewName = "webmls-crew";

/** Hands stay for what may come next: ms. */
const patience = 10_000;

/**
 * The crew of a program as the page has it, which starts the hands: the program's
 * thread, busy with what they are called for, would get round to it when half is done.
 */
export class Crew {
  /** What hands run, the script of the program's worker; nobody comes without. */
  script: string | undefined;
  readonly #introduce: (hands: MessagePort[]) => void;
  #workers: Worker[] = [];
  #leave: ReturnType<typeof setTimeout> | undefined;

  /** `introduce` gives the program what it reaches its hands by from now on. */
  constructor(introduce: (hands: MessagePort[]) => void) {
    this.#introduce = introduce;
  }

  /** Calls the crew, whose coming takes as long as hundreds of operations: early, where a long list is to be expected. */
  call(): void {
    clearTimeout(this.#leave);
    this.#leave = setTimeout(() => this.dismiss(), patience);
    if (this.#workers.length > 0) return;
    const hands: MessagePort[] = [];
    try {
      while (this.script && hands.length < Math.min(navigator.hardwareConcurrency || 1, 4) - 1) {
        const worker = new Worker(this.script, { type: "module", name: crewName });
        worker.onerror = (event) => {
          event.preventDefault();
          this.#disband();
        };
        this.#workers.push(worker);
        const { port1, port2 } = new MessageChannel();
        worker.postMessage(port1, [port1]);
        hands.push(port2);
      }
    } catch {
      return this.#disband();
    }
    if (hands.length > 0) this.#introduce(hands);
  }

  /** Where a hand fails, as by a policy of the page, there will be none. */
  #disband(): void {
    this.script = undefined;
    this.dismiss();
  }

  /** What hands were about to do, the program does. */
  dismiss(): void {
    clearTimeout(this.#leave);
    for (const worker of this.#workers.splice(0)) worker.terminate();
    this.#introduce([]);
  }
}

let callCrew = () => {};
let hands: MessagePort[] = [];
let lists = 0;
const results = new Map<number, Bytes[]>(); // of the lists under way

/** Lets this thread have a crew: with `call` it asks for it. */
export function allowCrew(call: () => void): void {
  callCrew = call;
}

/** Takes the hands that there are from now on. */
export function meetCrew(found: MessagePort[]): void {
  for (const hand of hands) hand.close();
  hands = found;
  for (const hand of hands) hand.onmessage = ({ data }: MessageEvent<Report>) => take(data);
}

/** Takes a result, or wipes it when there is one or none is needed. */
function take({ id, part, result }: Report): void {
  const found = results.get(id);
  if (found && !found[part]) found[part] = result;
  else result.fill(0);
}

/** Does a packed list whose elements are so many byte strings, with the crew if it is long and there is one. */
export async function share(work: Work, kind: keyof Work, algorithm: string, packed: Bytes, strings: number): Promise<Bytes> {
  const view = new DataView(packed.buffer, packed.byteOffset);
  const parts: Bytes[] = [];
  for (let at = 0; at < packed.length; ) {
    const start = at;
    for (let i = strings * partLength; i-- && at < packed.length; ) at += 4 + view.getUint32(at, true);
    parts.push(packed.subarray(start, at));
  }
  if (parts.length < longList) return work[kind](algorithm, packed);
  callCrew();
  const id = ++lists;
  const tell = (hand: MessagePort, from: number, to: number) => hand.postMessage({ id, kind, algorithm, from, parts: parts.slice(from, to) } satisfies Order);
  const found: Bytes[] = [];
  results.set(id, found);
  let crew: MessagePort[] | undefined;
  let left: number[] = [];
  try {
    do {
      if (crew !== hands) {
        crew = hands;
        const stretch = Math.ceil(parts.length / (crew.length || 1));
        crew.forEach((hand, i) => tell(hand, i * stretch, (i + 1) * stretch));
        left = [...parts.keys()].sort((a, b) => (a % stretch) - (b % stretch));
      }
      await turn(); // what the hands report is heard, and the program goes on
      const part = left.pop()!;
      if (!found[part]) take({ id, part, result: await work[kind](algorithm, parts[part]!) });
    } while (left.length > 0);
    return join(found);
  } finally {
    results.delete(id);
    crew?.forEach((hand) => tell(hand, 0, 0));
  }
}

/** Joins byte strings, and wipes them. */
export function join(parts: Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
    part.fill(0);
  }
  return out;
}

/** Takes byte strings apart, each with its length in front. */
export function unpack(packed: Bytes): Bytes[] {
  const view = new DataView(packed.buffer, packed.byteOffset);
  const parts: Bytes[] = [];
  for (let at = 0; at < packed.length; ) {
    const start = at + 4;
    parts.push(packed.subarray(start, (at = start + view.getUint32(at, true))));
  }
  return parts;
}

/** The life of a hand, which hears first by what it is reached. */
export function serve(work: Work): void {
  const wanted = new Set<number>();
  onmessage = ({ data: port }: MessageEvent<MessagePort>) => {
    port.onmessage = async ({ data: { id, kind, algorithm, from, parts } }: MessageEvent<Order>) => {
      wanted.add(id);
      for (const part of parts) {
        // What fails fails again where it was asked for.
        const result = await work[kind](algorithm, part).catch(() => {});
        if (!result) break;
        port.postMessage({ id, part: from++, result } satisfies Report, [result.buffer]);
        await turn();
        if (!wanted.has(id)) return;
      }
      wanted.delete(id);
    };
  };
}

let channel: MessageChannel | undefined;
const turns: (() => void)[] = [];

/** Waits until this thread has heard what there is to hear. */
function turn(): Promise<void> {
  if (!channel) {
    channel = new MessageChannel();
    channel.port1.onmessage = () => turns.shift()!();
  }
  channel.port2.postMessage(0);
  return new Promise((resolve) => turns.push(resolve));
}
