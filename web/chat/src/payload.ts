// What the application messages of this chat hold, which MLS carries as opaque
// bytes: JSON, or a piece of an attachment. The delivery service sees none of it.

/** A file that was sent: what it is, and how to open its pieces. */
export interface Attachment {
  /** Names its pieces: 16 random bytes in base64url. */
  id: string;
  name: string;
  type: string;
  size: number;
  pieces: number;
  /** The AES-GCM key of this file alone, in base64url. */
  key: string;
  /** Who sends the pieces, by the signature key in hexadecimal; absent for one's own. It is not sent, but known. */
  from?: string;
}

/** What the pieces of an attachment are kept under: nobody's pieces take the place of another's. */
export function keptAs({ from = "", id }: Pick<Attachment, "from" | "id">): string {
  return `${from}/${id}`;
}

export type Payload =
  /** A line of the conversation. `id` is the sender's, and tells a repetition. */
  | { type: "text"; id: string; text: string; attachment?: Attachment }
  /** The name of the group. Of several the latest counts. */
  | { type: "title"; id: string; title: string; at: number };

/** A piece of an attachment, sealed with the attachment's key. */
export interface Piece {
  id: string;
  index: number;
  sealed: Uint8Array<ArrayBuffer>;
}

/** The longest text, in UTF-16 code units. */
export const longestText = 100_000;
/** The longest name of a group. */
export const longestTitle = 80;
/** The largest attachment, in bytes: it goes through the group's log, to all members. */
export const largestAttachment = 8 << 20;
/** How much of an attachment one message carries. */
export const pieceSize = 192 << 10;

/** What the first byte of a piece is; JSON begins with another. */
const pieceMark = 0;

/** A new name for a message or an attachment. */
export function newId(): string {
  return toBase64url(crypto.getRandomValues(new Uint8Array(16)));
}

export function encodePayload(payload: Payload): string {
  return JSON.stringify(payload);
}

export function encodePiece({ id, index, sealed }: Piece): Uint8Array {
  const out = new Uint8Array(1 + 16 + 4 + sealed.length);
  out[0] = pieceMark;
  out.set(fromBase64url(id), 1);
  new DataView(out.buffer).setUint32(17, index);
  out.set(sealed, 21);
  return out;
}

/** Reads a piece; undefined when it is none. */
export function decodePiece(content: Uint8Array): Piece | undefined {
  if (content.length <= 21 || content[0] !== pieceMark) return undefined;
  const index = new DataView(content.buffer, content.byteOffset).getUint32(17);
  if (index >= Math.ceil(largestAttachment / pieceSize)) return undefined;
  return { id: toBase64url(content.subarray(1, 17)), index, sealed: content.slice(21) as Uint8Array<ArrayBuffer> };
}

/** Reads a payload; undefined when it is none that this version knows. A member may send anything. */
export function decodePayload(text: string): Payload | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { type, id, text: line, title, at, attachment } = (value ?? {}) as Record<string, unknown>;
  if (!isId(id)) return undefined;
  if (type === "text" && typeof line === "string") {
    const file = attachment === undefined ? undefined : decodeAttachment(attachment);
    if (attachment !== undefined && !file) return undefined;
    return { type, id, text: line.slice(0, longestText), ...(file ? { attachment: file } : {}) };
  }
  if (type === "title" && typeof title === "string" && Number.isSafeInteger(at)) {
    return { type, id, title: title.trim().slice(0, longestTitle), at: at as number };
  }
  return undefined;
}

function decodeAttachment(value: unknown): Attachment | undefined {
  const { id, name, type, size, pieces, key } = (value ?? {}) as Record<string, unknown>;
  if (!isId(id) || typeof name !== "string" || typeof type !== "string" || typeof key !== "string" || !/^[\w-]{43}$/.test(key)) return undefined;
  if (!Number.isSafeInteger(size) || (size as number) < 0 || (size as number) > largestAttachment) return undefined;
  if (pieces !== piecesOf(size as number)) return undefined;
  return { id, name: name.slice(0, 200), type: type.slice(0, 100), size: size as number, pieces, key };
}

/** How many pieces a file has. */
export function piecesOf(size: number): number {
  return Math.max(1, Math.ceil(size / pieceSize));
}

function isId(value: unknown): value is string {
  return typeof value === "string" && /^[\w-]{22}$/.test(value);
}

export function toBase64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Throws where it is none. */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}
