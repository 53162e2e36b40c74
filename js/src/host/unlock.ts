/**
 * The second lock of a database: how the keys that seal it are kept.
 *
 * Without a lock they are non-extractable CryptoKeys in the database itself: no
 * script can read them, but who has the files of the profile has them. With a
 * lock they are wrapped (AES-GCM) under a key that is nowhere: it is derived
 * from a passphrase (Argon2id, RFC 9106) or from what a passkey computes
 * (WebAuthn's PRF extension), by HKDF-SHA-256, each time the database is opened.
 */
import type { Bytes } from "../bridge.js";
import { failure } from "../errors.js";
import { completion, stores, type Database } from "./database.js";
import { format, macUsages, random, sealUsages, tampered, type DataKeys } from "./seal.js";

/** What opens a lock. A passkey is asked for its output in the page: workers have no WebAuthn. */
export type Secret = { kind: "passphrase"; passphrase: string } | ({ kind: "passkey"; output: Bytes } & PasskeyLock);

/** What is known of a passkey without asking it. */
export interface PasskeyLock {
  /** The id of the credential. */
  credential: Bytes;
  /** The relying party's id: a domain. */
  relyingParty: string;
  /** What the passkey computes its output of: 32 bytes. */
  salt: Bytes;
}

/** Argon2id with one lane and 32 bytes of output; memory in KiB. The program has it. */
export type Argon2id = (password: Bytes, salt: Bytes, passes: number, memory: number) => Promise<Bytes>;

/** What the database holds under "lock". */
export type LockRow = { kind: "none" } & DataKeys | ((PassphraseRow | PasskeyRow) & WrappedDataKeys);

type PassphraseRow = { kind: "passphrase"; salt: Bytes; passes: number; memory: number };
type PasskeyRow = { kind: "passkey" } & PasskeyLock;

interface WrappedDataKeys {
  id: Bytes;
  nonces: [seal: Bytes, mac: Bytes];
  seal: ArrayBuffer;
  mac: ArrayBuffer;
}

const encoder = new TextEncoder();

/** The cost of a passphrase: 0.3 to 0.5 s in a current laptop's browser, five times what OWASP asks for (2 passes over 19 MiB). */
const cost = { passes: 10, memory: 19 << 10 };

/** Which costs are believed of a row that says how it is to be opened: it may be forged. */
const believed = { passes: [1, 64], memory: [8 << 10, 256 << 10] } as const;

/** Reads how a database is locked; undefined when it has not been made. Code: those of opening. */
export async function readLock(database: Database): Promise<LockRow | undefined> {
  const transaction = await database.begin("readonly", [stores.meta]);
  const request = transaction.objectStore(stores.meta).get("lock");
  await completion(transaction);
  return request.result;
}

/** Makes the row of keys: as they are, or, extractable ones, under a lock. */
export async function lockKeys(keys: DataKeys, secret: Secret | undefined, argon2id: Argon2id): Promise<LockRow> {
  if (!secret) return { kind: "none", ...keys };
  const way: PassphraseRow | PasskeyRow =
    secret.kind === "passphrase"
      ? { kind: "passphrase", salt: random(32), ...cost }
      : { kind: "passkey", salt: secret.salt, credential: secret.credential, relyingParty: secret.relyingParty };
  const nonces: [Bytes, Bytes] = [random(12), random(12)];
  const wrapping = await wrappingKey(way, secret, argon2id);
  const [seal, mac] = await Promise.all([
    crypto.subtle.wrapKey("raw", keys.seal, wrapping, gcm(way, keys.id, nonces[0])),
    crypto.subtle.wrapKey("raw", keys.mac, wrapping, gcm(way, keys.id, nonces[1])),
  ]);
  return { ...way, id: keys.id, nonces, seal, mac };
}

/**
 * Opens a row. Codes: DATABASE_LOCKED when no secret is given, UNLOCK_FAILED
 * when it is the wrong one or there is no lock, STATE_TAMPERED.
 */
export async function unlockKeys(row: LockRow, secret: Secret | undefined, argon2id: Argon2id, extractable = false): Promise<DataKeys> {
  if (!formed(row)) throw tampered(["lock"]);
  if (row.kind === "none") {
    if (secret) throw failure("UNLOCK_FAILED", "the database has no lock");
    return { id: row.id, seal: row.seal, mac: row.mac };
  }
  if (!secret) throw failure("DATABASE_LOCKED", `by a ${row.kind}`);
  if (secret.kind !== row.kind) throw failure("UNLOCK_FAILED", `the database is locked by a ${row.kind}`);
  const { id, nonces } = row;
  const wrapping = await wrappingKey(row, secret, argon2id);
  try {
    const [seal, mac] = await Promise.all([
      crypto.subtle.unwrapKey("raw", row.seal, wrapping, gcm(row, id, nonces[0]), "AES-GCM", extractable, sealUsages),
      crypto.subtle.unwrapKey("raw", row.mac, wrapping, gcm(row, id, nonces[1]), { name: "HMAC", hash: "SHA-256" }, extractable, macUsages),
    ]);
    return { id, seal, mac };
  } catch {
    // The wrong secret, or an altered row: nobody can tell.
    throw failure("UNLOCK_FAILED", `the ${row.kind} is another`);
  }
}

/** Derives the key that wraps the keys of a database. The secret is of the row's kind. */
async function wrappingKey(way: PassphraseRow | PasskeyRow, secret: Secret, argon2id: Argon2id): Promise<CryptoKey> {
  const input = secret.kind === "passkey" ? secret.output : await stretch(secret.passphrase, way as PassphraseRow, argon2id);
  const material = await crypto.subtle.importKey("raw", input, "HKDF", false, ["deriveKey"]);
  const info = encoder.encode(`webmls lock ${format} ${way.kind}`);
  const derivation = { name: "HKDF", hash: "SHA-256", salt: way.salt, info };
  return crypto.subtle.deriveKey(derivation, material, { name: "AES-GCM", length: 256 }, false, ["wrapKey", "unwrapKey"]);
}

function stretch(passphrase: string, { salt, passes, memory }: PassphraseRow, argon2id: Argon2id): Promise<Bytes> {
  return argon2id(encoder.encode(passphrase.normalize("NFKC")), salt, passes, memory);
}

/** The associated data are all that the row says in the open. */
function gcm(way: PassphraseRow | PasskeyRow, id: Bytes, nonce: Bytes): AesGcmParams {
  const open =
    way.kind === "passphrase"
      ? [way.kind, [...way.salt], way.passes, way.memory]
      : [way.kind, [...way.salt], [...way.credential], way.relyingParty];
  return { name: "AES-GCM", iv: nonce, additionalData: encoder.encode(JSON.stringify(["webmls", format, "lock", [...id], ...open])) };
}

/** Whether a row has the form that it should have. */
function formed(row: LockRow): boolean {
  if (typeof row !== "object" || row === null || !bytesOf(row.id, 16)) return false;
  switch (row.kind) {
    case "none":
      return usable(row.seal, "AES-GCM") && usable(row.mac, "HMAC");
    case "passphrase":
      return wrapped(row) && within(row.passes, believed.passes) && within(row.memory, believed.memory);
    case "passkey":
      return wrapped(row) && row.credential instanceof Uint8Array && typeof row.relyingParty === "string";
    default:
      return false;
  }
}

function wrapped(row: WrappedDataKeys & { salt: Bytes }): boolean {
  const whole = row.seal instanceof ArrayBuffer && row.mac instanceof ArrayBuffer && Array.isArray(row.nonces);
  return whole && row.nonces.length === 2 && row.nonces.every((nonce) => bytesOf(nonce, 12)) && bytesOf(row.salt, 32);
}

function usable(key: CryptoKey, algorithm: string): boolean {
  return key instanceof CryptoKey && !key.extractable && key.algorithm.name === algorithm;
}

function bytesOf(value: unknown, length: number): boolean {
  return value instanceof Uint8Array && value.length === length;
}

function within(value: unknown, [least, most]: readonly [number, number]): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}
