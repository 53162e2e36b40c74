/** The arguments and results of the MLS Web API: the dictionaries of Firefox's `dom/webidl/MLS.webidl`. */
import type { Bytes } from "../index.js";

/** What bytes of the MLS Web API are. */
export type MLSObjectType =
  | "group-epoch"
  | "group-identifier"
  | "group-info"
  | "client-identifier"
  | "credential-basic"
  | "key-package"
  | "proposal"
  | "commit-output"
  | "commit-processed"
  | "welcome"
  | "exporter-output"
  | "exporter-label"
  | "exporter-context"
  | "application-message-ciphertext"
  | "application-message-plaintext";

/** Bytes that say what they are. */
export interface MLSBytes {
  content: Bytes;
  type: MLSObjectType;
}

/** Bytes as an argument: with their type, which is then compared, or without. */
export type MLSBytesOrUint8Array = { content: Uint8Array; type: MLSObjectType } | Uint8Array;
/** The same, or a string as UTF-8. */
export type MLSBytesOrUint8ArrayOrUTF8String = MLSBytesOrUint8Array | string;

/** A member of a group. */
export interface MLSGroupMember {
  /** SHA-256 of its public signature key. */
  clientId: Bytes;
  /** A Credential of RFC 9420, Section 5.3. Nobody has checked it. */
  credential: Bytes;
}

/** A group as it is. */
export interface MLSGroupDetails {
  /** Eight bytes, little-endian. */
  groupEpoch: Bytes;
  groupId: Bytes;
  members: MLSGroupMember[];
  type: MLSObjectType;
}

/** A commit, which is pending until it is applied. */
export interface MLSCommitOutput {
  /** For the members. */
  commit: Bytes;
  groupId: Bytes;
  type: MLSObjectType;
  /** For those whom it adds. */
  welcome?: Bytes;
}

/** A secret that all members of an epoch can derive. */
export interface MLSExporterOutput {
  context: Bytes;
  groupEpoch: Bytes;
  groupId: Bytes;
  label: Bytes;
  secret: Bytes;
  type: MLSObjectType;
}

/** What a message was. Branch by `type`. */
export interface MLSReceived {
  groupId: Bytes;
  type: MLSObjectType;
  /** With "commit-output": a proposal was received, and this commit of it was made; it is pending. */
  commitOutput?: MLSCommitOutput;
  /** With "application-message-plaintext". */
  content?: Bytes;
  /** With "commit-processed": eight bytes, little-endian; all ones when the client is no member any more. */
  groupEpoch?: Bytes;
}
