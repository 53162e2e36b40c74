/** What is refused, and how that is said to a person. */
import { MLSError } from "webmls";
import type { Refusal } from "../protocol.js";

/** An error of the extension, with a code for programs. */
export class Refused extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const sentences: Record<string, string> = {
  NOT_A_MEMBER: "You are not a member of this group any more.",
  GROUP_NOT_FOUND: "This group is not here any more.",
  STORE_QUOTA: "The browser has no space left to store this.",
  CAPABILITY_MISSING: "This card was made by another app, which does not understand what this group needs.",
  LIFETIME_INVALID: "This card has run out. Ask for a fresh one.",
  SIGNATURE_KEY_NOT_UNIQUE: "This person is in the group already.",
  INVALID_SIGNATURE: "The signature is wrong: it was forged or altered.",
  DECRYPTION_FAILED: "It does not open: it was forged or altered.",
  STATE_ROLLED_BACK: "This profile comes from a backup. Renew your keys before you send.",
  PROPOSAL_UNKNOWN: "A message of the group that belongs to it is missing.",
  NO_MATCHING_KEY_PACKAGE: "This invitation is for someone else, or was used.",
};

export function refusal(error: unknown): Refusal {
  if (error instanceof Refused) return { code: error.code, message: error.message };
  if (error instanceof MLSError) return { code: error.code, message: sentences[error.code] ?? error.rule };
  return { code: "INTERNAL", message: String(error) };
}

/** Whether trying again later may go well: the store or the program failed, not the request. */
export function passing(error: unknown): boolean {
  if (error instanceof Refused) return false;
  return !(error instanceof MLSError) || error.name === "StorageError" || error.name === "InternalError" || error.code === "AUTHENTICATOR_FAILED";
}
