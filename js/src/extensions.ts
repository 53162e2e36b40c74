/** Group context extensions that carry a struct of RFC 9420, made and read. */
import type { Bytes, CredentialValue } from "./bridge.js";
import * as decode from "./decode.js";
import { describe, failure } from "./errors.js";
import type { Credential, CredentialInput, Extension, Supported } from "./types.js";

/** The code points of RFC 9420, Section 17.3. */
const requiredCapabilitiesType = 3;
const externalSendersType = 5;

/** A party outside a group that may propose to it (RFC 9420, Section 12.1.8.1). */
export interface ExternalSender {
  /** The public key that its proposals are signed with. */
  readonly signatureKey: Bytes;
  /** What it says it is. */
  readonly credential: Credential;
}

/**
 * Makes the external_senders extension of a group: who outside of it may
 * propose to it (RFC 9420, Section 12.1.8.1), an {@link Identity} of a service
 * say. The index of a sender in this list is what {@link MLS.proposeExternally}
 * wants. Throws INVALID_ARGUMENT (StateError).
 */
export function externalSenders(senders: readonly { signatureKey: Uint8Array; credential: CredentialInput }[]): Extension {
  try {
    const list = senders.map(({ signatureKey, credential }) => [opaque(signatureKey), credentialBytes(decode.credentialValue(credential))]);
    return { type: externalSendersType, data: opaque(...list.flat()) };
  } catch (error) {
    throw failure("INVALID_ARGUMENT", describe(error), "externalSenders");
  }
}

/** Reads the external_senders extension among those of a group; an empty list when there is none. */
export function readExternalSenders(extensions: readonly Extension[]): ExternalSender[] {
  const extension = extensions.find(({ type }) => type === externalSendersType);
  const senders: ExternalSender[] = [];
  if (!extension) return senders;
  const list = new Reader(new Reader(extension.data).opaque());
  while (list.rest > 0) senders.push({ signatureKey: list.opaque(), credential: decode.credential(list.credential()) });
  return senders;
}

/** Makes the required_capabilities extension of a group: what every member must support (RFC 9420, Section 11.1). */
export function requiredCapabilities({ extensions = [], proposals = [], credentials = [] }: Supported): Extension {
  const list = (types: readonly number[]) => opaque(...types.map(uint16));
  return { type: requiredCapabilitiesType, data: concat(list(extensions), list(proposals), list(credentials)) };
}

function concat(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function uint16(n: number): Uint8Array {
  return Uint8Array.of(n >> 8, n);
}

/** opaque<V>: a length of 1, 2 or 4 bytes, then that many (RFC 9420, Section 2.1.2). */
function opaque(...parts: readonly Uint8Array[]): Bytes {
  const content = concat(...parts);
  const n = content.length;
  const length = n < 64 ? [n] : n < 16384 ? [0x40 | (n >> 8), n] : [0x80 | (n >> 24), n >> 16, n >> 8, n];
  return concat(Uint8Array.from(length), content);
}

/** Credential (RFC 9420, Section 5.3). */
function credentialBytes({ type, identity, certificates, data }: CredentialValue): Uint8Array {
  return concat(uint16(type), opaque(...(certificates ? certificates.map((c) => opaque(c)) : [(identity ?? data)!])));
}

/** Reads what the program has found to be well-formed. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get rest(): number {
    return this.#bytes.length - this.#at;
  }

  /** An integer of some bytes, the first one's upper bits masked. */
  #integer(size: number, mask = 0xff): number {
    let n = 0;
    for (let i = 0; i < size; i++) n = n * 256 + (this.#bytes[this.#at++]! & (i === 0 ? mask : 0xff));
    return n;
  }

  opaque(): Bytes {
    const length = this.#integer(1 << (this.#bytes[this.#at]! >> 6), 0x3f);
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at) as Bytes;
  }

  credential(): CredentialValue {
    const type = this.#integer(2);
    const content = this.opaque();
    if (type === 1) return { type, identity: content };
    if (type !== 2) return { type, data: content };
    const certificates: Bytes[] = [];
    for (const list = new Reader(content); list.rest > 0; ) certificates.push(list.opaque());
    return { type, certificates };
  }
}
