/**
 * Contact cards: key packages (RFC 9420, Section 10) that people give each other.
 * Reads what a card says about its owner. Whether it is well signed, MLS checks when it is used.
 */
import { readable } from "./trust.js";

/** What a card says. */
export interface Card {
  name: string;
  /** The SignaturePublicKey of its leaf (RFC 9420, Section 7.2). */
  signatureKey: Uint8Array<ArrayBuffer>;
}

/** Reads a key package in an MLSMessage; undefined where it is none, or one without a name that can be shown. */
export function readCard(message: Uint8Array<ArrayBuffer>): Card | undefined {
  try {
    const reader = new Reader(message);
    // MLSMessage (Section 6): version mls10, wire format mls_key_package.
    if (reader.uint16() !== 1 || reader.uint16() !== 5) return undefined;
    // KeyPackage (Section 10): version, cipher suite, init key; then the leaf: encryption key, signature key, credential.
    reader.uint16();
    reader.uint16();
    reader.vector();
    reader.vector();
    const signatureKey = reader.vector();
    if (reader.uint16() !== 1) return undefined; // basic
    const name = new TextDecoder("utf-8", { fatal: true }).decode(reader.vector());
    return readable(name) ? { name, signatureKey } : undefined;
  } catch {
    return undefined;
  }
}

/** Reads the presentation language of RFC 9420, Section 2.1. It throws a RangeError beyond the end. */
class Reader {
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  uint16(): number {
    const value = this.#view.getUint16(this.#at);
    this.#at += 2;
    return value;
  }

  /** A vector with a length of one, two or four bytes in front. */
  vector(): Uint8Array<ArrayBuffer> {
    const first = this.#view.getUint8(this.#at);
    const size = 1 << (first >> 6);
    if (size > 4) throw new RangeError("length");
    let length = first & 0x3f;
    for (let i = 1; i < size; i++) length = length * 256 + this.#view.getUint8(this.#at + i);
    this.#at += size;
    if (this.#at + length > this.#view.byteLength) throw new RangeError("vector");
    const bytes = new Uint8Array(this.#view.buffer as ArrayBuffer, this.#view.byteOffset + this.#at, length).slice();
    this.#at += length;
    return bytes;
  }
}
