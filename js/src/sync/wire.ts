/**
 * What sync reads of a message, and writes beside it: the outside of MLS messages (RFC
 * 9420, Section 6), and the marks of epochs.
 *
 * A mark is made of the epoch authenticator (RFC 9420, Section 8.7) by a hash: who
 * sees it learns nothing, and who is in the same epoch has the same. Messages carry
 * the marks of the last epochs in their authenticated data, which is readable where
 * the message is not: two members whose group has parted cannot read each other.
 */

const [publicMessage, privateMessage, keyPackageFormat] = [1, 2, 5];

/** ContentType of RFC 9420, Section 6: what a message holds. */
export const commitContent = 3;

/** Reads what the TLS presentation language wrote. Throws a RangeError at its end. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(size: number): Uint8Array {
    if (size > this.#bytes.length - this.#at) throw new RangeError("too short");
    return this.#bytes.subarray(this.#at, (this.#at += size));
  }

  uint(size: number): number {
    return this.take(size).reduce((n, byte) => n * 256 + byte, 0);
  }

  uint64(): bigint {
    return (BigInt(this.uint(4)) << 32n) | BigInt(this.uint(4));
  }

  /** A vector with a length of variable size (RFC 9420, Section 2.1.2). */
  vector(): Uint8Array {
    const first = this.uint(1);
    if (first >= 0xc0) throw new RangeError("length");
    let length = first & 0x3f;
    for (let more = (1 << (first >> 6)) - 1; more > 0; more--) length = length * 256 + this.uint(1);
    return this.take(length);
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }
}

/** What anyone can read of a message. Nothing of it is authenticated. */
export interface Outside {
  epoch: bigint;
  content: number;
  authenticatedData: Uint8Array;
}

/** Reads the outside of a public or private message; undefined when it is none. */
export function outsideOf(message: Uint8Array): Outside | undefined {
  return tried(() => {
    const r = new Reader(message);
    if (r.uint(2) !== 1) return undefined;
    const format = r.uint(2);
    if (format !== publicMessage && format !== privateMessage) return undefined;
    r.vector(); // the group's id
    const epoch = r.uint64();
    if (format === privateMessage) {
      const content = r.uint(1);
      return { epoch, content, authenticatedData: r.vector() };
    }
    const sender = r.uint(1);
    if (sender <= 2) r.uint(4); // a leaf, or the index of an external sender
    const authenticatedData = r.vector();
    return { epoch, content: r.uint(1), authenticatedData };
  });
}

/** The signature key in a key package (RFC 9420, Section 10); undefined when it is none. */
export function signatureKeyOf(keyPackage: Uint8Array): Uint8Array | undefined {
  return tried(() => {
    const r = new Reader(keyPackage);
    if (r.uint(2) !== 1 || r.uint(2) !== keyPackageFormat) return undefined;
    r.uint(4); // version and cipher suite
    r.vector(); // init_key
    r.vector(); // encryption_key
    return r.vector();
  });
}

function tried<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const markSize = 8;
/** How many epochs' marks a message carries, and how many a statement. */
const [inMessage, inStatement] = [8, 64];
const magic = 0x77_6d_73_01; // "wms", version 1

/** Marks in hex, by epoch. */
export type Marks = Map<bigint, string>;

/** Makes the mark of an epoch. */
export async function markOf(authenticator: Uint8Array): Promise<string> {
  const label = new TextEncoder().encode("webmls/sync mark");
  return hex(await digest(joined([label, authenticator]))).slice(0, 2 * markSize);
}

/** How many marks are kept. */
export const keptMarks = inStatement;

/** The marks up to an epoch, and data of the application's behind them. */
export function withMarks(marks: Marks, epoch: bigint, data: Uint8Array = new Uint8Array(0), most = inMessage): Uint8Array {
  let count = 0;
  for (let i = 0; i < most; i++) if (marks.has(epoch - BigInt(i))) count = i + 1;
  const out = new Uint8Array(13 + count * markSize + data.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, magic);
  view.setBigUint64(4, epoch);
  out[12] = count;
  for (let i = 0; i < count; i++) {
    // What is not known is zero.
    for (let k = 0; k < markSize; k++) out[13 + i * markSize + k] = Number.parseInt(marks.get(epoch - BigInt(i))?.slice(2 * k, 2 * k + 2) ?? "0", 16);
  }
  out.set(data, 13 + count * markSize);
  return out;
}

/** Reads marks, and what is behind them. Without marks all of it is the application's. */
export function readMarks(bytes: Uint8Array): { marks: Marks; data: Uint8Array } {
  const found = tried(() => {
    const r = new Reader(bytes);
    if (r.uint(4) !== magic) return undefined;
    const epoch = r.uint64();
    const marks: Marks = new Map();
    for (let i = 0n, count = r.uint(1); i < count; i++) {
      const mark = hex(r.take(markSize));
      if (/[^0]/.test(mark) && epoch >= i) marks.set(epoch - i, mark);
    }
    return { marks, data: r.rest() };
  });
  return found ?? { marks: new Map(), data: bytes };
}

/** A statement for other members, by whatever way: the group and the marks of its last epochs. */
export function statementOf(groupId: Uint8Array, marks: Marks, epoch: bigint): Uint8Array {
  return withMarks(marks, epoch, groupId, inStatement);
}

/** Where two branches part: the first epoch that differs, and the last before it that does not. */
export function parting(ours: Marks, theirs: Marks): { epoch: bigint; common?: bigint } | undefined {
  let epoch: bigint | undefined;
  let common: bigint | undefined;
  for (const [e, mark] of theirs) {
    if (!ours.has(e)) continue;
    if (ours.get(e) !== mark) epoch = epoch === undefined || e < epoch ? e : epoch;
    else common = common === undefined || e > common ? e : common;
  }
  if (epoch === undefined) return undefined;
  return common === undefined ? { epoch } : { epoch, common };
}

/** Whether two lists of marks have an epoch in common. */
export function overlap(ours: Marks, theirs: Marks): boolean {
  return [...theirs.keys()].some((epoch) => ours.has(epoch));
}

/** SHA-256. */
export async function digest(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes)));
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function joined(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
