/**
 * The armor: MLS messages as text that survives mails, chats and forums.
 *
 *     mls1.text.q3BkZc0d.AAEAAiDm…Zw.9f3kQw
 *
 * A version, the kind, a hint at the group, the MLSMessage in base64url, and a
 * checksum against damage. Whatever wraps and quotes lines is passed over, so is all
 * text around. README.md has the format; this file must not know what the messages mean.
 */

/** What is in an armor. */
export type Kind = "text" | "commit" | "proposal" | "welcome" | "card";

/** A piece of armor in a text. */
export interface Found {
  kind: Kind;
  /** Eight letters. */
  hint: string;
  /** The MLSMessage; undefined when the checksum says that it was damaged. */
  message: Uint8Array<ArrayBuffer> | undefined;
  /** Where it stands in the text. */
  start: number;
  end: number;
}

/** The longest armor that is read or written, in characters: a Welcome into a group of some thousand members. */
export const longestArmor = 1 << 20;

const hintSize = 6;
const pattern = /mls1\.(text|commit|proposal|welcome|card)\.([\w-]{8})\.([\w+/-]+)\.([\w-]{6})/g;
/** What may stand between any two characters: white space, the quote signs of mails, and characters that nobody sees. */
const passedOver = /[\s>\u00ad\u200b-\u200f\u2060\ufeff]/;
/** A cheap look whether there can be any. */
const sign = /m[\s>]*l[\s>]*s[\s>]*1[\s>]*\./;

/** Whether a text can hold armor. */
export function mayHold(text: string): boolean {
  return sign.test(text);
}

/** Writes armor; the hint is of six bytes. */
export function write(kind: Kind, hint: Uint8Array, message: Uint8Array): string {
  const url = toBase64(message);
  // Markdown makes emphasis of an underscore that stands beside another sign, and drops it.
  const body = /^_|_$|[-_]_|_-/.test(url) ? url.replaceAll("-", "+").replaceAll("_", "/") : url;
  const front = `mls1.${kind}.${hintText(hint)}.`;
  return `${front}${body}.${checksum(front, message)}`;
}

/** The hint of bytes that name something. */
export function hintText(digest: Uint8Array): string {
  // Its letters are those that no editor takes for a sign.
  return toBase64(digest.subarray(0, hintSize)).replaceAll("-", "a").replaceAll("_", "b");
}

/** Finds all armor in a text, in its order. */
export function scan(text: string): Found[] {
  if (!mayHold(text)) return [];
  // The text without what is passed over, and where its characters were.
  const places: number[] = [];
  let plain = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (passedOver.test(c)) continue;
    places.push(i);
    plain += c;
  }
  const found: Found[] = [];
  for (const match of plain.matchAll(pattern)) {
    const [whole, kind, hint, body, check] = match as unknown as [string, Kind, string, string, string];
    const message = whole.length <= longestArmor ? fromBase64(body) : undefined;
    const intact = message !== undefined && checksum(`mls1.${kind}.${hint}.`, message) === check;
    found.push({
      kind,
      hint,
      message: intact ? message : undefined,
      start: places[match.index]!,
      end: places[match.index + whole.length - 1]! + 1,
    });
  }
  return found;
}

/** The CRC-32 of the front and the message, in six letters. */
function checksum(front: string, message: Uint8Array): string {
  let crc = ~0;
  for (let i = 0; i < front.length; i++) crc = (crc >>> 8) ^ table[(crc ^ front.charCodeAt(i)) & 0xff]!;
  for (const byte of message) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, ~crc >>> 0);
  return toBase64(bytes).replaceAll("-", "a").replaceAll("_", "b");
}

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let k = 0; k < 8; k++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** Bytes in base64url, without padding. */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Reads base64 or base64url; undefined where it is neither. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch {
    return undefined;
  }
}
