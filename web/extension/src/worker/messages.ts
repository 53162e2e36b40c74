/** Messages as rows: what was opened, what waits, what was begun. */
import { toBase64, type Kind } from "../armor.js";

/** A message that was opened, or that this user has sealed: kept, since MLS opens each once. */
export interface OpenedRow {
  kind: "text" | "commit" | "proposal";
  group: string;
  epoch: string;
  own: boolean;
  at: number;
  sender?: { name: string; key: string };
  text?: string;
  added?: string[];
  removed?: string[];
  /** Set where it was not carried out. */
  state?: "stale" | "overtaken";
}

/** A message that is about to be given to MLS, or that waits for what is before it. */
export interface WaitingRow {
  id: string;
  kind: Kind;
  group: string;
  epoch: string;
  /** The MLSMessage, in base64url. */
  message: string;
  at: number;
  /** The group's epoch when it was begun. */
  from?: string;
}

/** What a message is known by. */
export async function messageId(message: Uint8Array): Promise<string> {
  return toBase64(new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(message))));
}
