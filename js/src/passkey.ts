/**
 * The page's part of locks: what opens a lock, as the store needs it. Passkeys
 * are asked here, since workers have no WebAuthn.
 */
import { describe, failure, MLSError } from "./errors.js";
import { Database } from "./host/database.js";
import { random } from "./host/seal.js";
import { readLock, type LockRow, type PasskeyLock, type Secret } from "./host/unlock.js";
import type { Lock, Passkey } from "./types.js";

/**
 * Finds what opens a database, or locks it when it is new. Codes: UNLOCK_FAILED
 * (the database has another lock or none, or the user declined),
 * LOCK_UNSUPPORTED, INVALID_ARGUMENT and those of storage.
 */
export async function secretFor(database: string, lock: Lock): Promise<Secret> {
  checkLock(lock);
  if ("passphrase" in lock) return passphrase(lock);
  const row = await lockOf(database);
  if (!row) return newSecret(database, lock);
  if (row.kind !== "passkey") throw failure("UNLOCK_FAILED", row.kind === "none" ? "the database has no lock" : `the database is locked by a ${row.kind}`);
  return ask(row);
}

function checkLock(lock: unknown): void {
  if (typeof lock === "object" && lock !== null && ("passphrase" in lock || "passkey" in lock)) return;
  throw failure("INVALID_ARGUMENT", "lock: want { passphrase } or { passkey }");
}

/** Makes what locks a database from now on: makes a passkey, where none is named. Codes: UNLOCK_FAILED, LOCK_UNSUPPORTED, INVALID_ARGUMENT. */
export async function newSecret(database: string, lock: Lock): Promise<Secret> {
  checkLock(lock);
  if ("passphrase" in lock) return passphrase(lock);
  const passkey = lock.passkey;
  if (typeof passkey !== "object" || passkey === null) throw failure("INVALID_ARGUMENT", "passkey: want an object");
  const salt = random(32);
  const relyingParty = passkey.relyingParty ?? location.hostname;
  if (passkey.credential) return ask({ credential: new Uint8Array(passkey.credential), relyingParty, salt });
  return make(passkey.name ?? database, relyingParty, salt, passkey);
}

function passphrase({ passphrase }: { passphrase: string }): Secret {
  if (typeof passphrase !== "string" || passphrase === "") throw failure("INVALID_ARGUMENT", "passphrase: want a string that is not empty");
  return { kind: "passphrase", passphrase };
}

/** How a database is locked; undefined when there is none. */
async function lockOf(name: string): Promise<LockRow | undefined> {
  let database: Database;
  try {
    database = await Database.open(name, undefined, () => {});
  } catch (error) {
    if (error instanceof MLSError && error.code === "STORE_DELETED") return undefined;
    throw error;
  }
  try {
    return await readLock(database);
  } finally {
    database.close();
  }
}

async function make(name: string, relyingParty: string, salt: PasskeyLock["salt"], { credential: _, ...rest }: Passkey): Promise<Secret> {
  const found = await asked(() =>
    navigator.credentials.create({
      publicKey: {
        challenge: random(32), // nobody checks an attestation: the passkey is for this database alone
        rp: { id: relyingParty, name: rest.relyingParty ?? relyingParty },
        user: { id: random(16), name, displayName: name },
        pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: "public-key", alg })),
        authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
        extensions: { prf: { eval: { first: salt } } },
      },
    }),
  );
  const lock = { credential: new Uint8Array(found.rawId), relyingParty, salt };
  const { prf } = found.getClientExtensionResults();
  if (prf?.enabled === false) throw failure("LOCK_UNSUPPORTED", "the authenticator has no PRF extension");
  return prf?.results ? withOutput(lock, prf.results.first) : ask(lock);
}

async function ask({ credential, relyingParty, salt }: PasskeyLock): Promise<Secret> {
  const found = await asked(() =>
    navigator.credentials.get({
      publicKey: {
        challenge: random(32), // nobody checks an assertion: what counts is the output
        rpId: relyingParty,
        allowCredentials: [{ type: "public-key", id: credential }],
        userVerification: "required",
        extensions: { prf: { eval: { first: salt } } },
      },
    }),
  );
  const output = found.getClientExtensionResults().prf?.results?.first;
  if (!output) throw failure("LOCK_UNSUPPORTED", "the authenticator or the browser has no PRF extension");
  return withOutput({ credential, relyingParty, salt }, output);
}

function withOutput({ credential, relyingParty, salt }: PasskeyLock, output: BufferSource): Secret {
  const bytes = output instanceof ArrayBuffer ? new Uint8Array(output) : new Uint8Array(output.buffer as ArrayBuffer, output.byteOffset, output.byteLength);
  return { kind: "passkey", credential, relyingParty, salt, output: bytes.slice() };
}

async function asked(dialogue: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  if (typeof PublicKeyCredential !== "function" || !globalThis.navigator?.credentials) {
    throw failure("LOCK_UNSUPPORTED", "there are no passkeys here");
  }
  try {
    return (await dialogue()) as PublicKeyCredential;
  } catch (error) {
    const unsupported = error instanceof DOMException && (error.name === "NotSupportedError" || error.name === "SecurityError");
    throw failure(unsupported ? "LOCK_UNSUPPORTED" : "UNLOCK_FAILED", describe(error));
  }
}
