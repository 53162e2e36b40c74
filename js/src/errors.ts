/**
 * Errors. Every promise of this package rejects with an {@link MLSError}. Its
 * class says what to do, its `code` what happened.
 */

/** Every code, as in mls/mlserr. Codes are stable. */
export type ErrorCode =
  | "MALFORMED"
  | "UNKNOWN_WIRE_FORMAT"
  | "UNKNOWN_VERSION"
  | "PADDING_NOT_ZERO"
  | "DUPLICATE_EXTENSION"
  | "MALFORMED_TREE"
  | "UNMERGED_LEAVES_INVALID"
  | "TOO_LARGE"
  | "DECRYPTION_FAILED"
  | "INVALID_SIGNATURE"
  | "INVALID_PUBLIC_KEY"
  | "UNSUPPORTED_CIPHER_SUITE"
  | "KEYS_EXTRACTABLE"
  | "WRONG_GROUP"
  | "EPOCH_AHEAD"
  | "EPOCH_BEHIND"
  | "ALREADY_PROCESSED"
  | "INVALID_SENDER"
  | "WRONG_WIRE_FORMAT"
  | "MEMBERSHIP_TAG_INVALID"
  | "CONFIRMATION_TAG_INVALID"
  | "SENDER_NOT_ALLOWED"
  | "CONTENT_TYPE_INVALID"
  | "GENERATION_TOO_FAR"
  | "GENERATIONS_SPENT"
  | "CREDENTIAL_REJECTED"
  | "SUCCESSOR_REJECTED"
  | "LEAF_NODE_SOURCE_INVALID"
  | "CAPABILITY_MISSING"
  | "LIFETIME_INVALID"
  | "EXTENSION_NOT_LISTED"
  | "SIGNATURE_KEY_NOT_UNIQUE"
  | "ENCRYPTION_KEY_NOT_UNIQUE"
  | "ENCRYPTION_KEY_REUSED"
  | "DEFAULT_TYPE_LISTED"
  | "INIT_KEY_REUSED"
  | "KEY_PACKAGE_MISMATCH"
  | "PROPOSAL_UNKNOWN"
  | "PROPOSAL_LIST_INVALID"
  | "PROPOSAL_UNSUPPORTED"
  | "REMOVE_TARGET_BLANK"
  | "PSK_INVALID"
  | "PSK_UNKNOWN"
  | "REINIT_INVALID"
  | "GROUP_EXTENSION_INVALID"
  | "PATH_MISSING"
  | "PATH_INVALID"
  | "PATH_KEY_MISMATCH"
  | "PARENT_HASH_INVALID"
  | "EXTERNAL_COMMIT_INVALID"
  | "OWN_MESSAGE_UNKNOWN"
  | "NO_MATCHING_KEY_PACKAGE"
  | "GROUP_EXISTS"
  | "TREE_MISSING"
  | "TREE_HASH_MISMATCH"
  | "LEAF_MISMATCH"
  | "GROUP_INFO_INVALID"
  | "WELCOME_INVALID"
  | "GROUP_NOT_FOUND"
  | "GROUP_READ_ONLY"
  | "NOT_A_MEMBER"
  | "PENDING_COMMIT"
  | "NO_PENDING_COMMIT"
  | "PENDING_PROPOSALS"
  | "INVALID_ARGUMENT"
  | "CLOSED"
  | "IDENTITY_NOT_FOUND"
  | "AUTHENTICATOR_FAILED"
  | "DATABASE_LOCKED"
  | "UNLOCK_FAILED"
  | "LOCK_UNSUPPORTED"
  | "STATE_ROLLED_BACK"
  | "STORE_FAILED"
  | "STORE_QUOTA"
  | "STORE_BLOCKED"
  | "STORE_UNAVAILABLE"
  | "STORE_DELETED"
  | "STALE"
  | "STATE_CORRUPT"
  | "STATE_TAMPERED"
  | "STATE_VERSION"
  | "KEY_NOT_FOUND"
  | "CANCELLED"
  | "INSTANCE_FAILED"
  | "INSTANCE_DIED"
  | "INTERNAL";

/** The names of the classes. */
export type ErrorClass =
  | "MalformedError"
  | "RejectedError"
  | "EpochError"
  | "StateError"
  | "UnsupportedError"
  | "StorageError"
  | "InternalError";

/** The form in which an error crosses from Go, and from a worker. */
export interface ErrorValue {
  code: ErrorCode;
  class: ErrorClass;
  /** The section of RFC 9420, such as "12.4.2", or "". */
  section: string;
  /** The rule that was broken, in a sentence. */
  rule: string;
  /** What exactly broke it. */
  detail: string;
  /** The operation, such as "group.receive". */
  op: string;
}

/**
 * An error of this package. Branch by `instanceof` for what to do, or by `code`
 * for what happened; `message` is for people and may change.
 */
export class MLSError extends Error {
  /** @internal So the class is named in a bundle that has been made small, too. */
  static override readonly name: string = "MLSError";
  /** What happened: a stable code. */
  readonly code: ErrorCode;
  /** The section of RFC 9420 whose rule was broken, such as "12.4.2", or "". */
  readonly section: string;
  /** The rule, in a sentence. */
  readonly rule: string;
  /** What exactly broke it, for a log; a name such as "F6" is that of a rule in tests/rules/table.go. It holds no secret. */
  readonly detail: string;
  /** The operation, such as "group.receive", or "". */
  readonly op: string;

  /** @internal */
  constructor(value: ErrorValue) {
    let message = `${value.code}: ${value.rule}`;
    if (value.section) message += ` (RFC 9420, Section ${value.section})`;
    if (value.detail) message += `: ${value.detail}`;
    if (value.op) message = `${value.op}: ${message}`;
    super(message);
    this.name = value.class;
    this.code = value.code;
    this.section = value.section;
    this.rule = value.rule;
    this.detail = value.detail;
    this.op = value.op;
  }
}

/** The bytes are no MLS message. Drop them. */
export class MalformedError extends MLSError {
  /** @internal */
  static override readonly name: string = "MalformedError";
}
/** A well-formed message breaks a rule. Drop it, and report it. */
export class RejectedError extends MLSError {
  /** @internal */
  static override readonly name: string = "RejectedError";
}
/** The message is for another epoch. Catch up, or ignore it. */
export class EpochError extends MLSError {
  /** @internal */
  static override readonly name: string = "EpochError";
}
/** The call does not fit the state. Fix the call, or do first what the code asks for; AUTHENTICATOR_FAILED may be tried again as it is. */
export class StateError extends MLSError {
  /** @internal */
  static override readonly name: string = "StateError";
}
/** What was asked for is valid and not supported here. Choose another. */
export class UnsupportedError extends MLSError {
  /** @internal */
  static override readonly name: string = "UnsupportedError";
}
/** The storage failed. Try again, or open again. */
export class StorageError extends MLSError {
  /** @internal */
  static override readonly name: string = "StorageError";
}
/** A fault of this package. Open again, and report it. */
export class InternalError extends MLSError {
  /** @internal */
  static override readonly name: string = "InternalError";
}

const classes: Record<ErrorClass, typeof MLSError> = {
  MalformedError,
  RejectedError,
  EpochError,
  StateError,
  UnsupportedError,
  StorageError,
  InternalError,
};

/** The rows of Go's table for the codes that errors made here have. tests/contract compares them. */
const made = {
  CREDENTIAL_REJECTED: ["RejectedError", "5.3.1", "the authenticator does not accept the credential"],
  SUCCESSOR_REJECTED: ["RejectedError", "5.3.1", "the authenticator does not accept the new credential as a successor of the old"],
  INVALID_ARGUMENT: ["StateError", "", "an argument is not valid"],
  CLOSED: ["StateError", "", "the client is closed"],
  AUTHENTICATOR_FAILED: ["StateError", "5.3.1", "the application's authenticator failed; nothing was accepted or changed"],
  DATABASE_LOCKED: ["StateError", "", "the database has a lock, and what opens it was not given"],
  UNLOCK_FAILED: ["StateError", "", "what was given does not open the lock of the database"],
  LOCK_UNSUPPORTED: ["UnsupportedError", "", "this browser or authenticator cannot lock a database in this way"],
  STATE_ROLLED_BACK: ["StateError", "9.2", "the state was restored from a backup or cloned, and has sent more than it knows of; commit with a path before sending again"],
  STORE_FAILED: ["StorageError", "", "the store failed; the group was dropped from memory and loads again"],
  STORE_QUOTA: ["StorageError", "", "the storage is full"],
  STORE_BLOCKED: ["StorageError", "", "another tab holds an older version of the database open"],
  STORE_UNAVAILABLE: ["StorageError", "", "there is no storage here, or it may not be used"],
  STORE_DELETED: ["StorageError", "", "the database was deleted while it was open"],
  STALE: ["StorageError", "", "another writer was faster; the group loads again"],
  STATE_TAMPERED: ["StorageError", "", "a stored record was altered, exchanged, removed or rolled back"],
  STATE_VERSION: ["StorageError", "", "the stored state has a format of another version"],
  KEY_NOT_FOUND: ["StorageError", "", "a private key is not in the key store"],
  CANCELLED: ["StorageError", "", "the operation was cancelled"],
  INSTANCE_FAILED: ["InternalError", "", "the WebAssembly instance could not be started"],
  INSTANCE_DIED: ["InternalError", "", "the WebAssembly instance ended"],
  INTERNAL: ["InternalError", "", "a fault in this module"],
} as const;

/** Makes the error of a code, outside of Go. */
export function failure(code: keyof typeof made, detail: string, op = ""): MLSError {
  const [name, section, rule] = made[code];
  return errorOf({ code, class: name, section, rule, detail, op });
}

/** Makes an error of the right class of what crossed. */
export function errorOf(value: ErrorValue): MLSError {
  return new (classes[value.class] ?? InternalError)(value);
}

/** Makes of anything that was thrown what can cross. */
export function errorValue(error: unknown): ErrorValue {
  const e = asMLSError(error);
  return { code: e.code, class: e.name as ErrorClass, section: e.section, rule: e.rule, detail: e.detail, op: e.op };
}

/** Makes an {@link MLSError} of anything that was thrown. */
export function asMLSError(error: unknown): MLSError {
  return error instanceof MLSError ? error : failure("INTERNAL", describe(error));
}

/** Says in a line what was thrown. */
export function describe(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? `${error.name}: ${error.message}` : String(error);
}
