/**
 * What the parts of the extension say to each other. All requests go to the service
 * worker, which alone holds keys and state. worker/senders.ts says who may ask what, and
 * checks each request against the bounds below.
 */
import type { Kind } from "./armor.js";

/** Bounds on what is asked. */
export const limits = {
  /** Of a text that is sealed, in bytes of UTF-8. */
  text: 64 << 10,
  /** Of the armor in one request, in characters. */
  armor: 4 << 20,
  /** How many pieces of armor a page may ask about at once. */
  items: 64,
  /** Of a text that is pasted into the popup, in characters. */
  paste: 4 << 20,
  /** Of the name of a person or a group, in characters. */
  name: 64,
} as const;

/** What a content script asks, for a page. */
export type PageRequest =
  | { type: "hello" }
  | { type: "found"; armors: string[] }
  | { type: "draft"; text: string };

/** What the composing frame in a page asks. `token` says for which page. */
export type ComposeRequest = { type: "compose"; token: string } | { type: "seal-draft"; token: string; id: string; group: string; text: string } | { type: "close-draft"; token: string };

/** What a frame that shows one opened message asks. */
export type ReaderRequest = { type: "view"; token: string };

/** What the popup asks. */
export type PopupRequest =
  | { type: "state" }
  | { type: "site"; tab: number; url: string }
  | { type: "open-page"; tab: number; url: string }
  | { type: "allow-site"; origin: string; allowed: boolean }
  | { type: "insert"; tab: number; armor: string }
  | { type: "paste"; text: string }
  | { type: "history"; group: string }
  | { type: "do"; id: string; what: Operation };

export type Request = PageRequest | ComposeRequest | ReaderRequest | PopupRequest;

/** Work that changes something. Each has an id of the asker's making, and is done once, however often it is asked. */
export type Operation =
  | { kind: "enroll"; name: string }
  | { kind: "create"; name: string }
  | { kind: "seal"; group: string; text: string }
  | { kind: "invite"; group: string; people: string[] }
  | { kind: "remove"; group: string; leaf: number }
  | { kind: "renew"; group: string }
  | { kind: "posted"; group: string; change: string }
  | { kind: "withdraw"; group: string; change: string }
  | { kind: "settle"; group: string; change: string }
  | { kind: "leave"; group: string }
  | { kind: "forget"; group: string }
  | { kind: "join"; invitation: string }
  | { kind: "decline"; invitation: string }
  | { kind: "verify"; key: string; verified: boolean }
  | { kind: "forget-person"; key: string }
  | { kind: "new-card" };

/** What the worker answers. */
export type Answer<T> = { value: T } | { error: Refusal };

/** Why something was refused, for a program and for a person. */
export interface Refusal {
  code: string;
  message: string;
}

/** What became of a message that was found. */
export type MessageState =
  /** A text that is shown, or a change that was carried out. */
  | "open"
  /** For a later epoch than the group has reached here: it is kept, and opened when what is before it has come. */
  | "ahead"
  /** Its keys are gone: too old, from before one joined, or opened elsewhere. */
  | "stale"
  /** A change that lost against another of the same epoch. */
  | "overtaken"
  /** Nothing for this user: another group, another's invitation. */
  | "foreign"
  /** The checksum is wrong. */
  | "damaged"
  /** MLS refuses it. */
  | "refused"
  /** The user is no longer a member. */
  | "removed"
  /** Could not be tried now. */
  | "failed";

/** What the page learns of a message: nothing of what it says. */
export interface FoundAnswer {
  state: MessageState;
  /** With which a frame of the extension can show it. */
  token?: string;
}

/** A message as the extension's own pages show it. */
export interface View {
  kind: Kind;
  state: MessageState;
  own: boolean;
  at: number;
  group?: { id: string; name: string };
  sender?: { name: string; verified: boolean; changed: boolean };
  text?: string;
  /** Of a change: who came and went. */
  added?: string[];
  removed?: string[];
  /** Of a card. */
  name?: string;
  number?: string;
  /** How many epochs are missing before it. */
  missing?: number;
  /** Why it was refused. */
  reason?: string;
}

export interface MemberView {
  leaf: number;
  name: string;
  key: string;
  number: string;
  own: boolean;
  verified: boolean;
  changed: boolean;
  /** Asks to leave. */
  leaving: boolean;
}

/** A change of this user's that waits for something. */
export interface ChangeView {
  id: string;
  /** What it does, for a list. */
  add: string[];
  remove: string[];
  state: "waiting" | "to-post" | "welcome" | "failed";
  /** To be posted: the commit, or once that is in, the Welcome. */
  armor?: string;
  /** Another's change came first, and this is made anew. */
  again: boolean;
  reason?: string;
}

export interface GroupView {
  id: string;
  name: string;
  epoch: string;
  status: "active" | "removed" | "leaving" | "lost";
  safety: string;
  members: MemberView[];
  changes: ChangeView[];
  /** How many messages wait for what is before them. */
  ahead: number;
  /** To be posted, after one has asked to leave. */
  leaveArmor?: string;
  /** The group has changed since: the others do not see that one has asked. */
  askAgain: boolean;
}

export interface InvitationView {
  id: string;
  group: string;
  from: string;
  members: number;
  known: boolean;
}

export interface PersonView {
  name: string;
  key: string;
  number: string;
  verified: boolean;
  changed: boolean;
  hasCard: boolean;
}

export interface StateView {
  me?: { name: string; number: string; card: string };
  groups: GroupView[];
  people: PersonView[];
  invitations: InvitationView[];
  /** The origins that are always allowed. */
  sites: string[];
}

/** What the popup shows about the page that it was opened over. */
export interface SiteView {
  /** Absent where extensions are not let in. */
  origin?: string;
  allowed: boolean;
  /** Whether the content script runs in it. */
  running: boolean;
}

/** A message that was pasted into the popup. */
export type PasteResult = View;

/** What the composing frame is given. */
export interface DraftView {
  text: string;
  groups: { id: string; name: string; members: number }[];
  enrolled: boolean;
}

/** What the worker tells a content script. */
export type ToPage =
  | { type: "compose"; token?: string }
  | { type: "insert"; token?: string; armor: string }
  | { type: "close"; token: string }
  | { type: "changed" }
  | { type: "are-you-there" };

/** What the worker tells the extension's own pages. */
export type ToOwnPages = { type: "state-changed" };
