// What goes wrong: in words for the person in front of the screen, and whether
// it is worth another try.
import { EpochError, InternalError, MLSError, StorageError } from "webmls";
import { SyncError } from "webmls/sync";
import { DeliveryError } from "./delivery.js";

/** A failure that this app names itself; its message is for people. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** Whether the same may work later, without anybody having done anything wrong. */
export function passing(error: unknown): boolean {
  if (error instanceof DeliveryError) return error.code === "CLOSED" || error.code === "UNAVAILABLE";
  if (error instanceof MLSError && error.code === "AUTHENTICATOR_FAILED") return true;
  return error instanceof StorageError || error instanceof InternalError || error instanceof DOMException;
}

const ofDelivery: Record<string, string> = {
  NAME_TAKEN: "This name belongs to another device. Please choose another name.",
  NAME_INVALID: "This name cannot be used: it is too long, or holds characters that cannot be printed.",
  NO_KEY_PACKAGE: "Nobody of this name can be invited now. They have to open the chat once, so that it can leave an invitation key.",
  TOO_LARGE: "This is too large to send.",
  TOO_MANY_CONNECTIONS: "This name is open in too many windows.",
  WELCOMES_FULL: "This person has too many open invitations.",
  UNAVAILABLE: "The delivery service does not answer just now. Please try again in a moment.",
  UNSUPPORTED_VERSION: "The delivery service speaks another version. Please reload the page.",
  CLOSED: "The connection to the delivery service is closed.",
};

const ofMLS: Record<string, string> = {
  NOT_A_MEMBER: "You are no longer a member of this group.",
  GROUP_READ_ONLY: "This group is closed: it can only be read.",
  CREDENTIAL_REJECTED: "The name in an invitation key is not one that this chat accepts.",
  LIFETIME_INVALID: "Their invitation key has run out. They have to open the chat again.",
  NO_MATCHING_KEY_PACKAGE: "An invitation came that this device cannot open: its key is no longer here.",
  STORE_QUOTA: "The browser has no space left for this page.",
  STORE_BLOCKED: "Another tab holds an older version of the data. Please close it and reload.",
  STORE_UNAVAILABLE: "This browser window allows no storage. Private windows often do not; please use another.",
  INSTANCE_FAILED: "The encryption could not be started. Please reload the page.",
};

const ofSync: Record<string, string> = {
  REMOVED: "You are no longer a member of this group.",
  REFUSED: "The delivery service refused this change of the group.",
  STOPPED: "The conversation was closed before this was done.",
};

/** Says in a sentence what happened. */
export function inWords(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  if (error instanceof DeliveryError) {
    return ofDelivery[error.code] ?? `The delivery service refused this: ${error.message} (${error.code}).`;
  }
  if (error instanceof MLSError) {
    const known = ofMLS[error.code];
    if (known) return known;
    if (error instanceof StorageError) return `The browser could not store this. Please try again, or reload the page. (${error.code})`;
    if (error instanceof InternalError) return `Something is wrong in the encryption. Please reload the page. (${error.code})`;
    if (error instanceof EpochError) return `The group has moved on. Please try again. (${error.code})`;
    return `This was refused: ${error.rule}. (${error.code})`;
  }
  if (error instanceof SyncError) {
    if (error.cause) return inWords(error.cause);
    return ofSync[error.code] ?? `This was refused: ${error.message}.`;
  }
  if (error instanceof DOMException) return `The browser could not do this: ${error.message}`;
  return "Something went wrong. Please reload the page.";
}
