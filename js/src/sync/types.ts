/** The types of webmls/sync. */
import type { ApplicationEvent, CommitContents, Identity, SendOptions } from "../types.js";
import type { Group } from "../group.js";
import type { MLS } from "../mls.js";

/** A place in the log of a group, as the service counts: what it means is the transport's to know. */
export type Cursor = string | number;

/** A message in the log of a group. */
export interface Logged {
  /** Its place: to go on from here is to begin behind it. */
  readonly cursor: Cursor;
  /** The MLSMessage. */
  readonly message: Uint8Array;
}

/** A part of the log, in its order. */
export interface Page {
  /** What is there. */
  readonly entries: readonly Logged[];
  /** Whether there is more already. */
  readonly more?: boolean;
}

/** What is to be put into the log of a group. */
export type Publication = CommitPublication | MessagePublication;

/** A commit. The service takes one of each epoch. */
export interface CommitPublication {
  /** Tells it from the others. */
  readonly kind: "commit";
  /** The group's id. */
  readonly groupId: Uint8Array;
  /** The MLSMessage for the group. */
  readonly message: Uint8Array;
  /** The epoch that it ends. */
  readonly epoch: bigint;
  /** The MLSMessage for those whom it adds: theirs once the commit was taken, and not before. */
  readonly welcome?: Uint8Array;
  /** To whom the Welcome goes, as {@link AddOptions.to} said. */
  readonly to: readonly string[];
  /** The MLSMessage for external joiners, where {@link SyncOptions.withGroupInfo} asks for it. */
  readonly groupInfo?: Uint8Array;
}

/** A proposal, or application data. */
export interface MessagePublication {
  /** Tells it from the others. */
  readonly kind: "proposal" | "application";
  /** The group's id. */
  readonly groupId: Uint8Array;
  /** The MLSMessage for the group. */
  readonly message: Uint8Array;
}

/**
 * What the service says to a publication. None of it is believed where it can be
 * seen: a message is published when the log hands it back.
 *
 * - `"accepted"`: it is in the log.
 * - `"stale"`: another commit has ended its epoch; or data is of an epoch too old to be taken.
 * - `"removed"`: the service does not take this client for a member any more.
 * - `"missing-proposal"`: the service lacks a proposal that the commit refers to.
 * - `"refused"`: it is never taken, for `reason`.
 */
export type Answer =
  | { readonly result: "accepted" | "stale" | "removed" | "missing-proposal" }
  | { readonly result: "refused"; readonly reason?: string };

/**
 * The way to a delivery service: three functions, which may fail at any time. What
 * rejects, or takes longer than {@link SyncOptions.timeout}, is tried again.
 */
export interface Transport {
  /** Puts a message into the log. What was published before is "accepted" again, once in the log. */
  publish(publication: Publication, signal: AbortSignal): Promise<Answer>;
  /** The log behind a place, in its order; from its beginning when there is none. */
  fetch(groupId: Uint8Array, since: Cursor | undefined, signal: AbortSignal): Promise<Page>;
  /** Has a function called whenever the log may have grown, until the function that it returns is called. */
  subscribe(groupId: Uint8Array, notify: () => void): () => void;
  /** Whether the log hands a client's own messages back to it, as it should; by default it does. Where it does not, "accepted" is believed. */
  readonly echoes?: boolean;
}

/** What somebody wants of a group. It is kept until it holds, or can no longer hold. */
export type Intent =
  | { readonly kind: "add"; readonly keyPackage: Uint8Array; readonly to?: string }
  /** The member is told by the leaf and its key. */
  | { readonly kind: "remove"; readonly leaf: number; readonly signatureKey: Uint8Array }
  | { readonly kind: "update" }
  | { readonly kind: "leave" }
  /** As {@link SyncOptions.intents} says. */
  | { readonly kind: "custom"; readonly name: string; readonly data?: unknown };

/** A kind of intents that the application defines. */
export interface CustomIntent {
  /** Whether there is nothing left to do. */
  holds(group: Group, data: unknown): boolean | Promise<boolean>;
  /** What to commit for it now; undefined when it can no longer hold. */
  contents(group: Group, data: unknown): CommitContents | undefined | Promise<CommitContents | undefined>;
}

/** An intent, or a message, that is kept. */
export interface Kept {
  /** What names it in events, and for {@link GroupSync.withdraw}. */
  readonly id: string;
  /** Resolves when the intent holds, or the message is in the log; rejects with a {@link SyncError}. After a reload there are the events. */
  readonly done: Promise<void>;
}

/** An intent that waits, as {@link GroupSync.intents} lists it. */
export interface WaitingIntent {
  /** What names it. */
  readonly id: string;
  /** What is wanted. */
  readonly intent: Intent;
  /** When it was asked for. */
  readonly since: Date;
}

/** How somebody is added. */
export interface AddOptions {
  /** Whom the Welcome is for, as the transport is told: a name or an address. */
  to?: string;
}

/** How data is sent. */
export type SyncSendOptions = Pick<SendOptions, "authenticatedData" | "padding">;

/** By what a client comes back into the group. */
export interface Rejoining {
  /** The client. */
  readonly mls: MLS;
  /** The identity that it has in the group. */
  readonly identity: Identity | Uint8Array;
  /** The GroupInfo of the branch to go on with, with its tree; asked for again when another was faster, or when it takes longer than {@link SyncOptions.timeout}. */
  groupInfo(): Promise<Uint8Array>;
}

/** How a group is kept live. */
export interface SyncOptions {
  /**
   * What names the IndexedDB database in which the place in the log and the
   * intents are kept; with `null` they are in memory. Give the name of the MLS
   * database: this one is beside it. It holds no secrets, but what one intends.
   */
  database: string | null;
  /** Where the log begins for this client, when no place is kept: behind the commit of its Welcome. */
  since?: Cursor;
  /**
   * Is given application data, in the order in which it came; when it is done
   * the message is taken out of the inbox. After a crash in between it is
   * given again, by the same `inboxId`. When it fails it is tried again. Only one tab is asked. Without it
   * the messages stay in the inbox.
   */
  deliver?: (message: ApplicationEvent) => void | Promise<void>;
  /** Intents of the application's own, by name. */
  intents?: Readonly<Record<string, CustomIntent>>;
  /** Commit fresh keys of one's own when the last ones are so old; whichever comes first. */
  updateAfter?: { days?: number; epochs?: number };
  /** Remove members whose leaf's lifetime has ended so many days ago. The first of the members does; the others, an hour each, if that does not. */
  removeExpiredAfter?: number;
  /**
   * Make a GroupInfo with each commit, for the service to keep. Whoever has it can join by an
   * external commit, the service too, whom `authenticate` lets in at the place `"external"`.
   */
  withGroupInfo?: boolean;
  /**
   * Is told of a fork, and may say how to heal it; undefined leaves the group as it
   * is. Whoever's GroupInfo is used is trusted with all that this client will say
   * in the group: have a person or a trusted member decide, not the service.
   */
  heal?: (fork: ForkEvent) => Promise<Rejoining | undefined>;
  /** How long a call of the transport, or for a GroupInfo, may take, in ms; 30,000 by default. */
  timeout?: number;
  /** How often the log is looked at when nothing is heard, in ms; 60,000 by default, never for Infinity. */
  poll?: number;
  /** How long to wait before trying again, in ms: the first time (500), at most (60,000). It doubles, and is shortened by chance to no less than a half. */
  retry?: { first?: number; longest?: number };
  /** How many messages of later epochs are held until theirs has come; 1,024 by default. */
  maxAhead?: number;
}

/**
 * What a group is doing: "starting"; "live"; "behind", when messages of later
 * epochs have come and the commits that lead there have not; "unreachable", when the transport fails;
 * "following", when another tab does the work; "forked"; "removed"; "stopped".
 */
export type SyncStatus = "starting" | "live" | "behind" | "unreachable" | "following" | "forked" | "removed" | "stopped";

/** An error as an event carries it. */
export interface Failure {
  /** The code of an MLSError or a {@link SyncError}; "ERROR" for others. */
  readonly code: string;
  /** For people. */
  readonly message: string;
}

/** A change of {@link GroupSync.status}. */
export interface StatusEvent {
  /** What it is now. */
  readonly status: SyncStatus;
}

/** An intent has come to its end. */
export interface IntentEvent {
  /** What names it. */
  readonly id: string;
  /** What was wanted. */
  readonly intent: Intent;
  /** Whether it holds, or can no longer hold; "revived" when a fork has undone it, and it is made again. */
  readonly state: "held" | "failed" | "revived";
  /** Why not. */
  readonly failure?: Failure;
}

/** A message that was sent is in the log, or will not be. */
export interface SentEvent {
  /** What names it. */
  readonly id: string;
  /** "expired": its epoch is too old, and the content is no longer here: send it anew. */
  readonly state: "sent" | "expired" | "refused";
}

/** A message of the log was refused, and dropped. */
export interface RefusedEvent {
  /** Its place. */
  readonly cursor: Cursor;
  /** Why. */
  readonly failure: Failure;
}

/** The commits that lead to what has come are missing, or a proposal or key that a commit needs. They are asked for again. */
export interface MissingEvent {
  /** The epoch that this client is in. */
  readonly epoch: bigint;
  /** How many messages wait. */
  readonly waiting: number;
  /** What the first of them lacks. */
  readonly failure: Failure;
}

/** The transport, the storage or the application failed. It is tried again. */
export interface TroubleEvent {
  /** What failed. */
  readonly failure: Failure;
  /** In how many ms it is tried again. */
  readonly retryIn: number;
}

/**
 * The group has parted: somebody is in another epoch of the same number. Whoever can write into
 * the log can have this believed falsely; what heals a fork is checked. It is told again after a
 * reload, until it is healed or {@link GroupSync.stay} is called.
 */
export interface ForkEvent {
  /** The first epoch that is known to differ. */
  readonly epoch: bigint;
  /** The last epoch that is known to be the same; absent when none is. */
  readonly common?: bigint;
  /** What shows it: a message that cannot be read, a statement given to {@link GroupSync.compare}, or a commit of one's own that was cleared, and taken. */
  readonly evidence: "message" | "statement" | "own-commit";
}

/** A fork was healed: this client has come back by a commit of its own. */
export interface HealedEvent {
  /** The epoch that it came back in. */
  readonly epoch: bigint;
}

/** The events, and what a listener is given. Those of the tab that does the work are heard in all. */
export interface SyncEventMap {
  /** {@link GroupSync.status} has changed, in this tab. */
  status: StatusEvent;
  /** An intent has come to its end. */
  intent: IntentEvent;
  /** A message that was sent is in the log, or will not be. */
  sent: SentEvent;
  /** A message of the log was refused. */
  refused: RefusedEvent;
  /** Something is missing from the log. */
  missing: MissingEvent;
  /** Something failed, and is tried again. */
  trouble: TroubleEvent;
  /** The group has parted. */
  fork: ForkEvent;
  /** A fork was healed. */
  healed: HealedEvent;
}

/** Why an intent can no longer hold, or a call was refused. */
export type SyncErrorCode = "REMOVED" | "REFUSED" | "IMPOSSIBLE" | "EXPIRED" | "WITHDRAWN" | "PUBLISHED" | "FOLLOWING" | "STOPPED";

/** An error of this module. Branch by `code`; `cause` is what it comes from, where that is another error. */
export class SyncError extends Error {
  /** @internal So the class is named in a bundle that has been made small, too. */
  static override readonly name: string = "SyncError";
  /**
   * What happened: REMOVED from the group; REFUSED by the service; IMPOSSIBLE, as
   * a rule or the application says; EXPIRED before it was published; WITHDRAWN; PUBLISHED, and not
   * to be withdrawn any more; FOLLOWING: to be called in the tab that does the work; STOPPED.
   */
  readonly code: SyncErrorCode;

  /** @internal */
  constructor(code: SyncErrorCode, detail = "", cause?: unknown) {
    super(detail ? `${code}: ${detail}` : code, cause === undefined ? undefined : { cause });
    this.name = "SyncError";
    this.code = code;
  }
}
