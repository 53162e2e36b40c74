/**
 * WebMLS: end-to-end encrypted groups for web apps. Messaging Layer Security,
 * RFC 9420, with the names of the MLS Web API's explainer where it has any;
 * `webmls/polyfill` has those that Firefox ships.
 *
 * @packageDocumentation
 */
export { MLS } from "./mls.js";
export { Group } from "./group.js";
export type { EventMap, Listener } from "./events.js";
export { externalSenders, readExternalSenders, requiredCapabilities, type ExternalSender } from "./extensions.js";
export {
  EpochError,
  InternalError,
  MalformedError,
  MLSError,
  RejectedError,
  StateError,
  StorageError,
  UnsupportedError,
} from "./errors.js";
export type { ErrorCode } from "./errors.js";
export { replay, type LogEntry, type LogValue, type Replayed } from "./log.js";
export {
  drawTree,
  type ClientSnapshot,
  type GroupSnapshot,
  type IdentitySnapshot,
  type PastSnapshot,
  type PendingSnapshot,
  type ProposalSnapshot,
  type RatchetSnapshot,
  type RecordSnapshot,
  type Rejection,
  type SenderSnapshot,
  type TreeNode,
} from "./snapshot.js";
export type { Thread } from "./program.js";
export type { Bytes } from "./bridge.js";
export { version } from "./bridge.js";
export type * from "./types.js";
