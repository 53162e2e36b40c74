/**
 * Keys: the NIST curves of cipher suites 2, 5 and 7 in WebCrypto.
 *
 * Lists are packed: each byte string has its length in front, four bytes,
 * little-endian, so that a thousand of them cross in one call.
 */
import type { Bytes, HostKeys, KeyKind } from "../bridge.js";

/** What there is to know of a curve. */
const curves: Record<string, { size: number; hash: string }> = {
  "P-256": { size: 32, hash: "SHA-256" },
  "P-384": { size: 48, hash: "SHA-384" },
  "P-521": { size: 66, hash: "SHA-512" },
};

/** Finds out, by trying, which curves this browser has. */
export async function openKeys(): Promise<HostKeys> {
  const works = await Promise.all(Object.keys(curves).map(async (curve) => ((await tryCurve(curve)) ? [curve] : [])));
  return { curves: works.flat(), generate, importKey, sign, verify, diffieHellman, encapsulate };
}

/** Does everything once that {@link HostKeys} promises. */
async function tryCurve(curve: string): Promise<boolean> {
  try {
    const message = new Uint8Array(1);
    const pair = await generate("ECDSA", curve);
    const point = pair.slice(sizeOf(curve));
    const signature = await sign(curve, await importKey("ECDSA", curve, pair.slice()), message);
    if ((await verify(curve, pack(point, message, signature))) !== -1) return false;
    const ephemeral = await encapsulate(curve, pack(point));
    const enc = ephemeral.slice(0, point.length);
    const product = await diffieHellman(curve, await importKey("ECDH", curve, pair), enc);
    return product.every((byte, i) => byte === ephemeral[enc.length + i]);
  } catch {
    return false;
  }
}

async function generate(kind: KeyKind, curve: string): Promise<Bytes> {
  const size = sizeOf(curve);
  const pair = await crypto.subtle.generateKey({ name: kind, namedCurve: curve }, true, usages(kind));
  const jwk = await crypto.subtle.exportKey("jwk", pair.privateKey);
  const out = new Uint8Array(1 + 3 * size);
  out.set(fromBase64URL(jwk.d), 0);
  out[size] = 4; // uncompressed
  out.set(fromBase64URL(jwk.x), size + 1);
  out.set(fromBase64URL(jwk.y), 2 * size + 1);
  return out;
}

async function importKey(kind: KeyKind, curve: string, pair: Bytes): Promise<CryptoKey> {
  const size = sizeOf(curve);
  const part = (from: number) => toBase64URL(pair.subarray(from, from + size));
  const jwk: JsonWebKey = { kty: "EC", crv: curve, d: part(0), x: part(size + 1), y: part(2 * size + 1) };
  pair.fill(0, 0, size);
  return crypto.subtle.importKey("jwk", jwk, { name: kind, namedCurve: curve }, false, usages(kind));
}

async function sign(curve: string, key: CryptoKey, message: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign(ecdsa(curve), key, message));
}

async function verify(curve: string, packed: Bytes): Promise<number> {
  const parts = unpack(packed);
  const checks: Promise<boolean>[] = [];
  for (let i = 0; i + 2 < parts.length; i += 3) {
    checks.push(verifyOne(curve, parts[i]!, parts[i + 1]!, parts[i + 2]!));
  }
  return (await Promise.all(checks)).indexOf(false);
}

async function verifyOne(curve: string, point: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  const key = await crypto.subtle.importKey("raw", point, { name: "ECDSA", namedCurve: curve }, false, ["verify"]);
  return crypto.subtle.verify(ecdsa(curve), key, signature, message);
}

async function diffieHellman(curve: string, key: CryptoKey, point: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "ECDH", public: await importPoint(curve, point) }, key, bits(curve)));
}

async function encapsulate(curve: string, packed: Bytes): Promise<Bytes> {
  const size = sizeOf(curve);
  const stride = 1 + 3 * size;
  const points = unpack(packed);
  const out = new Uint8Array(points.length * stride);
  await Promise.all(
    points.map(async (point, i) => {
      const ephemeral = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: curve }, false, ["deriveBits"]);
      const enc = await crypto.subtle.exportKey("raw", ephemeral.publicKey);
      const product = await diffieHellman(curve, ephemeral.privateKey, point);
      out.set(new Uint8Array(enc), i * stride);
      out.set(product, i * stride + enc.byteLength);
      product.fill(0);
    }),
  );
  return out;
}

function importPoint(curve: string, point: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", point, { name: "ECDH", namedCurve: curve }, false, []);
}

function usages(kind: KeyKind): KeyUsage[] {
  return kind === "ECDSA" ? ["sign"] : ["deriveBits"];
}

function ecdsa(curve: string): EcdsaParams {
  return { name: "ECDSA", hash: curves[curve]!.hash };
}

function sizeOf(curve: string): number {
  return curves[curve]!.size;
}

/** The length of the x coordinate as WebCrypto counts it: 528 for P-521. */
function bits(curve: string): number {
  return 8 * sizeOf(curve);
}

function pack(...parts: Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    out.set(part, at + 4);
    at += 4 + part.length;
  }
  return out;
}

function unpack(packed: Bytes): Bytes[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const parts: Bytes[] = [];
  for (let at = 0; at < packed.length; ) {
    const length = view.getUint32(at, true);
    parts.push(packed.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return parts;
}

function toBase64URL(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

function fromBase64URL(text: string | undefined): Bytes {
  const binary = atob((text ?? "").replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}
