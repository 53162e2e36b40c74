/**
 * Keys: WebCrypto for the private keys that the browser keeps, for lists of
 * Ed25519 and X25519, and for all that the NIST curves do.
 *
 * Lists are packed: each byte string has its length in front, four bytes,
 * little-endian, so that a thousand of them cross in one call.
 */
import type { Bytes, HostKeys, HostStore, KeyKind } from "../bridge.js";
import { failure } from "../errors.js";
import { join, share, unpack, type Work } from "./crew.js";

/** The NIST curves: the size of a coordinate in bytes, and the hash of their ECDSA. */
const curves: Record<string, { size: number; hash: string }> = {
  "P-256": { size: 32, hash: "SHA-256" },
  "P-384": { size: 48, hash: "SHA-384" },
  "P-521": { size: 66, hash: "SHA-512" },
};

/** What most clients use, and what takes a new thread 10 ms to try. */
const modern = ["Ed25519", "X25519"];
const nist = Object.keys(curves);

/** What a browser can do. */
interface Abilities {
  algorithms: string[];
  /** Private keys, one of each kind, by algorithm. */
  samples: Map<string, CryptoKey[]>;
  /** Those that a database can keep, once that was tried. */
  kept?: Promise<string[]> | undefined;
}

const abilities = new Map<string[], Promise<Abilities>>();

/** Finds out, by trying, what of some algorithms this browser can do; once a thread. */
export function detect(names = modern): Promise<Abilities> {
  const found = abilities.get(names) ?? tried(names);
  abilities.set(names, found);
  return found;
}

async function tried(names: string[]): Promise<Abilities> {
  const samples = new Map<string, CryptoKey[]>();
  const attempts = names.map(async (name) => {
    const keys = await attempt(name);
    if (keys) samples.set(name, keys);
    return keys ? [name] : [];
  });
  return { algorithms: (await Promise.all(attempts)).flat(), samples };
}

/** The algorithms whose private keys a database can keep as they are: the same for all databases of a thread. */
async function kept(found: Abilities, store: HostStore): Promise<string[]> {
  const { algorithms, samples } = found;
  if (store.wrapsKeys || !store.keeps) return algorithms;
  const keys = algorithms.flatMap((name) => samples.get(name)!.map((key) => ({ name, key })));
  found.kept ??= store.keeps(keys.map(({ key }) => key)).then((keeps) => {
    const lost = keys.filter((_, i) => !keeps[i]).map(({ name }) => name);
    return algorithms.filter((name) => !lost.includes(name));
  });
  try {
    return await found.kept;
  } catch (error) {
    found.kept = undefined;
    throw error;
  }
}

/** Returns the keys of a database. `requireNonExtractable` refuses those that it cannot keep. */
export async function openKeys(store: HostStore, requireNonExtractable: boolean): Promise<HostKeys> {
  const found = await detect();
  return {
    algorithms: found.algorithms,
    kept: await kept(found, store),
    nist: async () => (await detect(nist)).algorithms,
    nistKept: async () => kept(await detect(nist), store),
    requireNonExtractable,
    async generate(kind, algorithm, name) {
      // A key that is to be wrapped must be extractable until it is; what the
      // store gives back never is.
      const wrapped = store.wrapsKeys;
      const pair = await generatePair(kind, algorithm, wrapped);
      store.adopt(name, pair.privateKey);
      return { publicKey: await exportPublic(pair.publicKey), storage: wrapped ? "wrapped" : "non-extractable" };
    },
    forget: (names) => store.forget(names),
    async key(name, kind, algorithm, publicKey) {
      const made = store.made(name);
      if (made) return made;
      const key = await store.key(name);
      if (!key) throw failure("KEY_NOT_FOUND", "");
      // A CryptoKey cannot be sealed, so that somebody may have put another in its place.
      if (!(await belong(kind, algorithm, key, publicKey))) throw failure("STATE_TAMPERED", "a private key was exchanged");
      return key;
    },
    generateBytes,
    importKey,
    sign: async (algorithm, key, packed) => join(await Promise.all(unpack(packed).map((message) => sign(algorithm, key, message)))),
    verify: async (algorithm, packed) => (await share(work, "verify", algorithm, packed, 3)).indexOf(0),
    diffieHellman,
    encapsulate: (algorithm, packed) => share(work, "encapsulate", algorithm, packed, 1),
  };
}

/** What is done to lists. */
export const work: Work = { verify, encapsulate };

/** Does everything once that {@link HostKeys} promises of an algorithm, and returns the private keys that it did it with. */
async function attempt(name: string): Promise<CryptoKey[] | undefined> {
  try {
    const keys: CryptoKey[] = [];
    if (name !== "X25519") keys.push(await attemptSignature(name));
    if (name !== "Ed25519") keys.push(await attemptExchange(name));
    if (name in curves) await attemptBytes(name);
    return keys;
  } catch {
    return undefined;
  }
}

async function attemptSignature(name: string): Promise<CryptoKey> {
  const message = new Uint8Array(1);
  const pair = await generatePair("sign", name, false);
  const publicKey = await exportPublic(pair.publicKey);
  const signature = await sign(name, pair.privateKey, message);
  must((await verify(name, pack(publicKey, message, signature)))[0] === 1);
  return pair.privateKey;
}

async function attemptExchange(name: string): Promise<CryptoKey> {
  const pair = await generatePair("derive", name, false);
  const publicKey = await exportPublic(pair.publicKey);
  const ephemeral = await encapsulate(name, pack(publicKey));
  const shared = await diffieHellman(name, pair.privateKey, ephemeral.slice(0, publicKey.length));
  must(shared.every((byte, i) => byte === ephemeral[publicKey.length + i]) && ephemeral.length === publicKey.length + shared.length);
  return pair.privateKey;
}

/** Path secrets give keys that come as bytes. */
async function attemptBytes(curve: string): Promise<void> {
  const { size } = curves[curve]!;
  const pair = await generateBytes("derive", curve);
  await importKey("derive", curve, pair.slice(0, size), pair.slice(size));
}

function must(holds: boolean): void {
  if (!holds) throw new Error("it does not work");
}

async function generatePair(kind: KeyKind, algorithm: string, extractable: boolean): Promise<CryptoKeyPair> {
  return (await crypto.subtle.generateKey(keyAlgorithm(kind, algorithm), extractable, usages(kind))) as CryptoKeyPair;
}

async function exportPublic(publicKey: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
}

/** Whether a private key is that of a public key: tried once, with something to sign or to agree on. */
async function belong(kind: KeyKind, algorithm: string, key: CryptoKey, publicKey: Bytes): Promise<boolean> {
  const { name, namedCurve } = key.algorithm as EcKeyAlgorithm;
  const wanted = keyAlgorithm(kind, algorithm) as EcKeyImportParams;
  if (key.type !== "private" || name !== wanted.name || namedCurve !== wanted.namedCurve) return false;
  if (kind === "sign") {
    const message = crypto.getRandomValues(new Uint8Array(32));
    return verifyOne(algorithm, publicKey, message, await sign(algorithm, key, message));
  }
  const [ephemeral, theirs] = await generateEphemeral(algorithm);
  const [one, other] = await Promise.all([diffieHellman(algorithm, key, theirs), diffieHellman(algorithm, ephemeral, publicKey)]);
  return one.every((byte, i) => byte === other[i]);
}

async function generateBytes(kind: KeyKind, curve: string): Promise<Bytes> {
  const { size } = curves[curve]!;
  const jwk = await crypto.subtle.exportKey("jwk", (await generatePair(kind, curve, true)).privateKey);
  const out = new Uint8Array(1 + 3 * size);
  out.set(fromBase64URL(jwk.d), 0);
  out[size] = 4; // uncompressed
  out.set(fromBase64URL(jwk.x), size + 1);
  out.set(fromBase64URL(jwk.y), 2 * size + 1);
  return out;
}

async function importKey(kind: KeyKind, curve: string, scalar: Bytes, point: Bytes): Promise<CryptoKey> {
  const { size } = curves[curve]!;
  const jwk: JsonWebKey = {
    kty: "EC",
    crv: curve,
    d: toBase64URL(scalar),
    x: toBase64URL(point.subarray(1, 1 + size)),
    y: toBase64URL(point.subarray(1 + size)),
  };
  scalar.fill(0);
  return crypto.subtle.importKey("jwk", jwk, keyAlgorithm(kind, curve), false, usages(kind));
}

async function sign(algorithm: string, key: CryptoKey, message: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign(signatureAlgorithm(algorithm), key, message));
}

/** Returns for each signature 1 if it is good, else 0. */
async function verify(algorithm: string, packed: Bytes): Promise<Bytes> {
  const parts = unpack(packed);
  const checks: Promise<boolean>[] = [];
  for (let i = 0; i + 2 < parts.length; i += 3) {
    checks.push(verifyOne(algorithm, parts[i]!, parts[i + 1]!, parts[i + 2]!));
  }
  return Uint8Array.from(await Promise.all(checks), Number);
}

async function verifyOne(algorithm: string, publicKey: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  try {
    return await crypto.subtle.verify(signatureAlgorithm(algorithm), await imported(algorithm, publicKey), signature, message);
  } catch (error) {
    // Some browsers have no key of Ed25519 that is no point; NIST points were checked.
    if (algorithm === "Ed25519") return false;
    throw error;
  }
}

/** Public keys that signatures were verified with: those of senders come again and again. */
const known = new Map<string, Promise<CryptoKey>>();

function imported(algorithm: string, publicKey: Bytes): Promise<CryptoKey> {
  const id = algorithm + String.fromCharCode(...publicKey);
  const key = known.get(id) ?? crypto.subtle.importKey("raw", publicKey, keyAlgorithm("sign", algorithm), false, ["verify"]);
  if (known.size > 99) known.clear();
  known.set(id, key);
  return key;
}

async function diffieHellman(algorithm: string, key: CryptoKey, publicKey: Bytes): Promise<Bytes> {
  const imported = await crypto.subtle.importKey("raw", publicKey, keyAlgorithm("derive", algorithm), false, []);
  const length = 8 * (curves[algorithm]?.size ?? 32); // 528 for P-521
  return new Uint8Array(await crypto.subtle.deriveBits({ name: key.algorithm.name, public: imported }, key, length));
}

async function encapsulate(algorithm: string, packed: Bytes): Promise<Bytes> {
  const pairs = await Promise.all(
    unpack(packed).map(async (publicKey) => {
      const [ephemeral, exported] = await generateEphemeral(algorithm);
      return [exported, await diffieHellman(algorithm, ephemeral, publicKey)];
    }),
  );
  return join(pairs.flat());
}

/** What stands before the 32 bytes of a private key of X25519 in PKCS #8 (RFC 8410, Section 7). */
const pkcs8 = fromHex("302e020100300506032b656e04220420");

async function generateEphemeral(algorithm: string): Promise<[CryptoKey, Bytes]> {
  // To generate a pair of X25519 takes Chromium twice as long as to import random bytes and to ask for their public
  // key; Firefox, which cannot be asked, six times as long as to multiply the base point.
  const subtle: SubtleCrypto & { getPublicKey?(key: CryptoKey, usages: KeyUsage[]): Promise<CryptoKey> } = crypto.subtle;
  if (algorithm !== "X25519") {
    const pair = await generatePair("derive", algorithm, false);
    return [pair.privateKey, await exportPublic(pair.publicKey)];
  }
  const encoded = join([pkcs8.slice(), crypto.getRandomValues(new Uint8Array(32))]);
  const privateKey = await subtle.importKey("pkcs8", encoded, algorithm, false, usages("derive"));
  encoded.fill(0);
  const publicKey = await subtle.getPublicKey?.(privateKey, []);
  return [privateKey, await (publicKey ? exportPublic(publicKey) : diffieHellman(algorithm, privateKey, Uint8Array.of(9, ...new Uint8Array(31))))];
}

function keyAlgorithm(kind: KeyKind, algorithm: string): EcKeyImportParams | Algorithm {
  if (!(algorithm in curves)) return { name: algorithm };
  return { name: kind === "sign" ? "ECDSA" : "ECDH", namedCurve: algorithm };
}

function signatureAlgorithm(algorithm: string): EcdsaParams | Algorithm {
  const curve = curves[algorithm];
  return curve ? { name: "ECDSA", hash: curve.hash } : { name: algorithm };
}

function usages(kind: KeyKind): KeyUsage[] {
  return kind === "sign" ? ["sign"] : ["deriveBits"];
}

/** Packs byte strings, and wipes them. */
function pack(...parts: Bytes[]): Bytes {
  return join(parts.flatMap((part) => [new Uint8Array(Uint32Array.of(part.length).buffer), part]));
}

function fromHex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g)!, (byte) => parseInt(byte, 16));
}

function toBase64URL(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

function fromBase64URL(text: string | undefined): Bytes {
  const binary = atob((text ?? "").replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}
