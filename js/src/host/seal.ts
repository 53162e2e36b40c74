/**
 * Sealing: what makes of a record bytes that only this database can read, and
 * that are of use only in their place.
 *
 * Every record is sealed with AES-256-GCM under a random nonce. Its associated
 * data name the format, the scope, the record and the revision of the scope at
 * which it was written, so that a record that was altered, or put in another's
 * place, does not open. What remains is to notice that a record is missing, or
 * is an older one of the same name, which opens as well as ever. For that:
 *
 * - Each scope has a sealed head: the sum, modulo 2^256, of
 *   HMAC-SHA-256(mac key, scope | name | revision | nonce) over all its records
 *   that have rows. Its associated data hold the scope and the scope's revision.
 *   The other records, small ones, are in the head itself, after the sum: there
 *   one seal holds them all, and none can be put in the place of another.
 * - The database has one sealed root: the same sum over the heads of all scopes.
 *   Its associated data hold the database's revision, which every commit raises.
 *
 * A sum is brought up to date by what changed, so that a chat message costs as
 * much in a scope of a thousand records as in one of ten. It is a sound
 * fingerprint of a set: two sets of the same sum are as hard to find as a
 * relation between values of a random function that nobody sees (MSet-Add-Hash
 * of Clarke et al., 2003, with a keyed function). The values never leave memory,
 * and of the sums there is only the GCM ciphertext, so that no one who writes
 * to the disk knows a single term of the equation to be solved. Since a nonce
 * is a part of each term, a term stands for one sealing, not for one name.
 *
 * An older root with everything that belonged to it, which is a restored
 * backup, is a state that this database once was in: nothing in the database
 * can tell. A live instance remembers the highest revision of the root that it
 * saw, and takes no lower one; a new one cannot. Package mls deals with that.
 */
import type { Bytes } from "../bridge.js";
import { failure, type MLSError } from "../errors.js";

/** The form of what is sealed. It is in all associated data. (That heads may hold records is the version of the database: database.ts.) */
export const format = 2;

/** The keys of a database: `seal` for AES-GCM, `mac` for HMAC-SHA-256; 256 bits each. */
export interface DataKeys {
  /** What tells these keys from those before and after: 16 random bytes. */
  readonly id: Bytes;
  readonly seal: CryptoKey;
  readonly mac: CryptoKey;
}

/** What is stored of a sealed record, a head or the root. */
export interface Sealed {
  /** The revision, of the scope or the root, at which it was written. */
  revision: number;
  nonce: Bytes;
  sealed: ArrayBuffer;
}

/** What a sealed value is: what its associated data say. */
export type Place =
  | ["record", scope: string, name: string]
  | ["head", scope: string]
  | ["root"]
  | ["event"]
  | ["private-key", name: string, algorithm: object, usages: string[]];

/** A sum of HMAC values modulo 2^256, the lowest byte first. */
export type Sum = Bytes;

const encoder = new TextEncoder();

/** What a place is called in an error: the kind of a scope and the kind of a record, since ids are nobody's business. */
function nameOf(place: Place | ["lock"]): string {
  switch (place[0]) {
    case "record":
      return `record ${place[2].split("/")[0]} of ${kindOf(place[1])}`;
    case "head":
      return `head of ${kindOf(place[1])}`;
    case "event":
      return "event of another tab";
    case "root":
      return "root of the database";
    case "private-key":
      return "private key";
    case "lock":
      return "keys of the database";
  }
}

/** The kind of a scope, which is in hexadecimal: client or group. */
export function kindOf(scope: string): string {
  const text = scope.replace(/../g, (byte) => String.fromCharCode(parseInt(byte, 16)));
  return `scope ${/^[a-z]*/.exec(text)![0]}`;
}

/** Makes new keys. Those for a locked database are extractable until they are wrapped. */
export async function generateKeys(extractable: boolean): Promise<DataKeys> {
  const [seal, mac] = await Promise.all([
    crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, extractable, sealUsages),
    crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256", length: 256 }, extractable, macUsages),
  ]);
  return { id: random(16), seal, mac };
}

export const sealUsages: KeyUsage[] = ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
export const macUsages: KeyUsage[] = ["sign"];

export function random(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** Seals bytes for a place at a revision. They are copied before it returns. */
export async function seal(keys: DataKeys, place: Place, revision: number, plain: Bytes): Promise<Sealed> {
  const nonce = random(12); // for this alone
  return { revision, nonce, sealed: await crypto.subtle.encrypt(gcm(nonce, place, revision), keys.seal, plain) };
}

/** Opens what was sealed. Code: STATE_TAMPERED. */
export async function unseal(keys: DataKeys, place: Place, row: Sealed): Promise<Bytes> {
  check(place, row);
  try {
    return new Uint8Array(await crypto.subtle.decrypt(gcm(row.nonce, place, row.revision), keys.seal, row.sealed));
  } catch {
    throw tampered(place);
  }
}

/** Checks the form of a row. Code: STATE_TAMPERED. */
export function check(place: Place, row: Sealed): void {
  const formed =
    typeof row === "object" &&
    row !== null &&
    isRevision(row.revision) &&
    row.nonce instanceof Uint8Array &&
    row.nonce.length === 12 &&
    row.sealed instanceof ArrayBuffer;
  if (!formed) throw tampered(place);
}

/** Whether something is a revision that is written: they begin with 1. */
export function isRevision(revision: unknown): boolean {
  return Number.isSafeInteger(revision) && (revision as number) > 0;
}

/** A private key as it is kept by a store that wraps them. */
export interface WrappedKey extends Sealed {
  algorithm: KeyAlgorithm;
  usages: KeyUsage[];
}

/** Wraps an extractable private key, whose bytes are not seen in doing so. */
export async function wrap(keys: DataKeys, name: string, key: CryptoKey): Promise<WrappedKey> {
  const nonce = random(12);
  const algorithm = { ...key.algorithm };
  const usages = [...key.usages];
  const sealed = await crypto.subtle.wrapKey("pkcs8", key, keys.seal, gcm(nonce, ["private-key", name, algorithm, usages], 1));
  return { revision: 1, nonce, sealed, algorithm, usages };
}

/** Opens a wrapped private key. Code: STATE_TAMPERED. */
export async function unwrap(keys: DataKeys, name: string, row: WrappedKey, extractable: boolean): Promise<CryptoKey> {
  const place: Place = ["private-key", name, row.algorithm, row.usages];
  check(place, row);
  try {
    return await crypto.subtle.unwrapKey("pkcs8", row.sealed, keys.seal, gcm(row.nonce, place, 1), row.algorithm, extractable, row.usages);
  } catch {
    throw tampered(place);
  }
}

/** Wraps a private key with other keys. */
export async function rewrap(from: DataKeys, to: DataKeys, name: string, row: WrappedKey): Promise<WrappedKey> {
  return wrap(to, name, await unwrap(from, name, row, true));
}

/** The term of a record in the sum of its scope, or of a head in the sum of the root. */
export async function term(keys: DataKeys, place: Place, { revision, nonce }: Pick<Sealed, "revision" | "nonce">): Promise<Bytes> {
  const about = associated(place, revision);
  const input = new Uint8Array(about.length + nonce.length);
  input.set(about);
  input.set(nonce, about.length);
  return new Uint8Array(await crypto.subtle.sign("HMAC", keys.mac, input));
}

export function emptySum(): Sum {
  return new Uint8Array(32);
}

/** Returns sum + added - removed, where either may be missing. */
export function changedSum(sum: Sum, added: Iterable<Bytes>, removed: Iterable<Bytes>): Sum {
  const out = sum.slice();
  for (const value of added) accumulate(out, value, 1);
  for (const value of removed) accumulate(out, value, -1);
  return out;
}

function accumulate(sum: Sum, value: Bytes, sign: 1 | -1): void {
  for (let i = 0, carry = 0; i < sum.length; i++) {
    carry += sum[i]! + sign * value[i]!;
    sum[i] = carry;
    carry >>= 8;
  }
}

/** Whether bytes are the same. Nothing secret depends on how long that takes: who can change one side cannot read the other. */
export function same(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The error of what was altered, swapped, removed or rolled back. */
export function tampered(place: Place | ["lock"], how?: string): MLSError {
  return failure("STATE_TAMPERED", nameOf(place) + (how ? ` ${how}` : ""));
}

function gcm(nonce: Bytes, place: Place, revision: number): AesGcmParams {
  return { name: "AES-GCM", iv: nonce, additionalData: associated(place, revision) };
}

/** JSON, since it tells apart all that is different. */
function associated(place: Place, revision: number): Bytes {
  return encoder.encode(JSON.stringify(["webmls", format, revision, ...place]));
}
