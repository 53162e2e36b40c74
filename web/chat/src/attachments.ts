// Files: each is cut into pieces and sealed with AES-GCM under a random key of its
// own, which the message that announces it carries. The pieces travel as application
// messages behind it. They are kept as they come, sealed, and opened when somebody looks.
import { Refusal } from "./failures.js";
import { type Attachment, fromBase64url, largestAttachment, newId, pieceSize, piecesOf, toBase64url } from "./payload.js";

/** Seals a file. Its pieces are in their order. */
export async function sealFile(file: File): Promise<{ attachment: Attachment; pieces: Uint8Array<ArrayBuffer>[] }> {
  if (file.size > largestAttachment) throw new Refusal(`${file.name} is larger than ${inUnits(largestAttachment)}, which is the most that can be sent.`);
  const raw = crypto.getRandomValues(new Uint8Array(32));
  const attachment: Attachment = {
    id: newId(),
    name: file.name.slice(0, 200) || "file",
    type: file.type.slice(0, 100),
    size: file.size,
    pieces: piecesOf(file.size),
    key: toBase64url(raw),
  };
  const key = await keyOf(attachment, "encrypt");
  raw.fill(0);
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let index = 0; index < attachment.pieces; index++) {
    const part = await file.slice(index * pieceSize, (index + 1) * pieceSize).arrayBuffer();
    pieces.push(new Uint8Array(await crypto.subtle.encrypt(placeOf(attachment, index), key, part)));
  }
  return { attachment, pieces };
}

/** Opens a file whose pieces are all there. Rejects with a Refusal where one is not what was announced. */
export async function openFile(attachment: Attachment, pieces: readonly Uint8Array<ArrayBuffer>[], type: string): Promise<Blob> {
  const key = await keyOf(attachment, "decrypt");
  try {
    const parts = await Promise.all(pieces.map((sealed, index) => crypto.subtle.decrypt(placeOf(attachment, index), key, sealed)));
    const blob = new Blob(parts, { type });
    if (blob.size !== attachment.size) throw new RangeError("size");
    return blob;
  } catch {
    throw new Refusal(`${attachment.name} cannot be opened: what came is not what its sender announced.`);
  }
}

/** The nonce is the piece's place: the key is this file's alone, so none is used twice. What the piece belongs to is authenticated with it. */
function placeOf(attachment: Attachment, index: number): AesGcmParams {
  const iv = new Uint8Array(12);
  new DataView(iv.buffer).setUint32(8, index);
  return { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(`${attachment.id}/${attachment.pieces}/${attachment.size}`) };
}

function keyOf({ key }: Attachment, use: KeyUsage): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", fromBase64url(key), "AES-GCM", false, [use]);
}

/** The images that the page shows itself. SVG is not among them: it can hold scripts. */
const shown = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);

/** Whether an attachment is shown as a picture. */
export function isPicture({ type }: Attachment): boolean {
  return shown.has(type);
}

/** A size for people. */
export function inUnits(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1_000_000) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
