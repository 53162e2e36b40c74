/** The few structs of RFC 9420 that the MLS Web API shows as bytes. */
import type { Bytes, Credential } from "../index.js";

const basic = 1;
const x509 = 2;

/** Encodes a Credential (RFC 9420, Section 5.3). */
export function credentialBytes(credential: Credential): Bytes {
  switch (credential.type) {
    case "basic":
      return concat(uint16(basic), opaque(credential.identity));
    case "x509":
      return concat(uint16(x509), opaque(concat(...credential.certificates.map(opaque))));
    case "other":
      return concat(uint16(credential.credentialType), opaque(credential.data));
  }
}

/** The identity in an encoded basic credential; undefined for any other bytes. */
export function basicIdentity(credential: Uint8Array): Uint8Array | undefined {
  const reader = new Reader(credential);
  const type = reader.uint(2);
  const identity = reader.opaque();
  return type === BigInt(basic) && reader.atEnd ? identity : undefined;
}

/** What stands on the outside of a PublicMessage or a PrivateMessage. */
export interface Header {
  readonly groupId: Bytes;
  readonly epoch: bigint;
}

/** Reads the outside of an MLSMessage (RFC 9420, Section 6); undefined when it is no message of a group. */
export function header(message: Uint8Array): Header | undefined {
  const reader = new Reader(message);
  const version = reader.uint(2);
  const wireFormat = reader.uint(2);
  const groupId = reader.opaque();
  const epoch = reader.uint(8);
  const ofGroup = version === 1n && (wireFormat === 1n || wireFormat === 2n);
  return ofGroup && !reader.failed ? { groupId, epoch } : undefined;
}

/** An epoch as Firefox has it: eight bytes, little-endian. All ones: no member any more. */
export function epochBytes(epoch: bigint): Bytes {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, epoch, true);
  return out;
}

/** The epoch of a group that one is no member of any more. */
export const noEpoch = 0xffff_ffff_ffff_ffffn;

/** Reads the presentation language of RFC 9420, Section 2.1. What is not there is read as nothing, and remembered. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return !this.failed && this.#at === this.#bytes.length;
  }

  uint(length: number): bigint {
    return this.#take(length).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  /** An opaque vector; its length is in as few bytes as can be, or it is wrong. */
  opaque(): Bytes {
    const form = (this.#bytes[this.#at] ?? 0) >> 6;
    const length = form === 3 ? 0n : this.uint(1 << form) & ((1n << BigInt((8 << form) - 2)) - 1n);
    if (form === 3 || (form > 0 && length < 1n << BigInt((8 << (form - 1)) - 2))) this.failed = true;
    return this.#take(Number(length));
  }

  #take(length: number): Bytes {
    if (length > this.#bytes.length - this.#at) this.failed = true;
    if (this.failed) return new Uint8Array();
    return this.#bytes.slice(this.#at, (this.#at += length)) as Bytes;
  }
}

function uint16(value: number): Bytes {
  return new Uint8Array([value >> 8, value]);
}

/** Bytes behind their length, in as few bytes as can be: shorter than 2^30. */
function opaque(bytes: Uint8Array): Bytes {
  const n = bytes.length;
  if (n < 0x40) return concat(new Uint8Array([n]), bytes);
  if (n < 0x4000) return concat(uint16(0x4000 | n), bytes);
  return concat(uint16(0x8000 | (n >> 16)), uint16(n & 0xffff), bytes);
}

function concat(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
