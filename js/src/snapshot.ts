/** Snapshots: what a client and its groups are like inside, without secrets and content. To look at, not to build on: what is in them may change. */
import type {
  Bytes,
  ClientSnapshotValue,
  GroupSnapshotValue,
  IdentitySnapshotValue,
  NodeSnapshotValue,
  PastSnapshotValue,
  ProposalSnapshotValue,
  RejectionValue,
} from "./bridge.js";
import * as decode from "./decode.js";
import type { ErrorCode } from "./errors.js";
import type { Credential, Extension, GroupStatus, Member, MessageHeader, Sender } from "./types.js";

/** What a client is like inside. */
export interface ClientSnapshot {
  /** The identities. */
  readonly identities: readonly IdentitySnapshot[];
  /** How many external pre-shared keys it holds. */
  readonly psks: number;
  /** The groups. */
  readonly groups: readonly GroupSnapshot[];
  /** How often its own records, those of no group, have changed. */
  readonly revision: number;
  /** What is stored beside the groups. */
  readonly records: readonly RecordSnapshot[];
}

/** An identity, and the key packages that are held for it. */
export interface IdentitySnapshot {
  /** The id of the identity. */
  readonly id: Bytes;
  /** Its cipher suite. */
  readonly suite: number;
  /** What it says it is. */
  readonly credential: Credential;
  /** The first 8 bytes of the hash of its public key. */
  readonly signatureKey: Bytes;
  /** Where the private key is: see {@link Identity.keyStorage}. */
  readonly keyStorage: string;
  /** How many of its key packages may be used, those of last resort among them. */
  readonly keyPackages: number;
  /** How many of these are of last resort. */
  readonly lastResort: number;
  /** How many have ended and are still there. */
  readonly expired: number;
}

/** How much is stored of one kind. */
export interface RecordSnapshot {
  /** What kind of record, such as "page", the ratchet tree's. */
  readonly kind: string;
  /** How many records. */
  readonly count: number;
  /** How many bytes they have, unsealed. */
  readonly bytes: number;
}

/** What a group is like inside. */
export interface GroupSnapshot {
  /** The group's id. */
  readonly groupId: Bytes;
  /** What this client is in it. */
  readonly status: GroupStatus;
  /** Its cipher suite. */
  readonly suite: number;
  /** The epoch. */
  readonly epoch: bigint;
  /** How often its records have changed. */
  readonly revision: number;
  /** The index of the own leaf. */
  readonly ownLeaf: number;
  /** Whether it was found to be restored from a backup. */
  readonly rolledBack: boolean;
  /** The hash of the ratchet tree. */
  readonly treeHash: Bytes;
  /** The nodes of the ratchet tree, by their indices: {@link drawTree} draws them. */
  readonly tree: readonly TreeNode[];
  /** The members. */
  readonly members: readonly Member[];
  /** The group context extensions. */
  readonly extensions: readonly Extension[];
  /** The proposals of this epoch. */
  readonly proposals: readonly ProposalSnapshot[];
  /** The pending commit, where there is one. */
  readonly pending?: PendingSnapshot;
  /** Who has sent in this epoch. */
  readonly senders: readonly SenderSnapshot[];
  /** The past epochs whose late messages still open, the newest first. */
  readonly past: readonly PastSnapshot[];
  /** The past epochs whose resumption keys are held, the newest first. */
  readonly resumptionPSKs: readonly bigint[];
  /** How many messages were not acknowledged. */
  readonly inbox: number;
  /** What is stored of the group. */
  readonly records: readonly RecordSnapshot[];
  /** Why the last message was refused that was, since the database was opened here. */
  readonly lastRejected?: Rejection;
}

/** A node of the ratchet tree (RFC 9420, Section 4.1 and Appendix C). */
export interface TreeNode {
  /** Its index; leaf `i` has `2 * i`. */
  readonly index: number;
  /** How many levels it is above the leaves. */
  readonly level: number;
  /** Whether there is a public key at it. */
  readonly kind: "blank" | "leaf" | "parent";
  /** The first 8 bytes of the hash of its public key. */
  readonly key?: Bytes;
  /** The leaves below it that do not know its private key. */
  readonly unmerged: readonly number[];
  /** Whether this client knows its private key. */
  readonly known: boolean;
  /** The indices of its children; none for a leaf. */
  readonly children?: readonly [number, number];
}

/** A proposal that waits, or was set aside. */
export interface ProposalSnapshot {
  /** The ProposalRef. */
  readonly reference: Bytes;
  /** Its code point. */
  readonly proposalType: number;
  /** Who proposes it. */
  readonly sender: Sender;
  /** Whether it was set aside. */
  readonly dropped: boolean;
}

/** A commit that waits to be applied. */
export interface PendingSnapshot {
  /** The epoch that it begins. */
  readonly epoch: bigint;
  /** Whether this client joins by it. */
  readonly external: boolean;
  /** The leaves that it adds. */
  readonly added: readonly number[];
  /** The leaves that it removes. */
  readonly removed: readonly number[];
  /** The leaves that it changes by proposals. */
  readonly updated: readonly number[];
  /** How long the commit is, in bytes. */
  readonly commitSize: number;
  /** How long the Welcome is, in bytes. */
  readonly welcomeSize: number;
}

/** Where the ratchets of a sender stand. */
export interface SenderSnapshot {
  /** The index of its leaf. */
  readonly leaf: number;
  /** For proposals and commits. */
  readonly handshake: RatchetSnapshot;
  /** For application data. */
  readonly application: RatchetSnapshot;
}

/** Where a ratchet stands. */
export interface RatchetSnapshot {
  /** The next generation. */
  readonly next: number;
  /** How many keys are kept for messages that did not come yet. */
  readonly skipped: number;
}

/** A past epoch. */
export interface PastSnapshot {
  /** The epoch. */
  readonly epoch: bigint;
  /** When it ended. */
  readonly ended: Date;
  /** Who has sent in it. */
  readonly senders: readonly SenderSnapshot[];
}

/** A message that was refused. */
export interface Rejection {
  /** Why. */
  readonly code: ErrorCode;
  /** What exactly. */
  readonly detail: string;
  /** When. */
  readonly time: Date;
  /** How long the message was, in bytes. */
  readonly size: number;
  /** What its outside showed, where that could be read. */
  readonly header?: MessageHeader;
}

/** A snapshot of a client of its value, and of those of its groups. */
export function clientSnapshot(value: ClientSnapshotValue, groups: GroupSnapshot[]): ClientSnapshot {
  const identity = (i: IdentitySnapshotValue): IdentitySnapshot => ({ ...i, credential: decode.credential(i.credential) });
  return { ...value, identities: value.identities.map(identity), groups };
}

/** A snapshot of a group of its value. */
export function groupSnapshot(value: GroupSnapshotValue): GroupSnapshot {
  const { group, pending, lastRejected, ...rest } = value;
  return {
    ...rest,
    groupId: group,
    status: value.status as GroupStatus,
    epoch: BigInt(value.epoch),
    tree: treeOf(value.tree),
    members: value.members.map(decode.member),
    proposals: value.proposals.map(proposal),
    past: value.past.map(past),
    resumptionPSKs: value.resumptionPSKs.map(BigInt),
    ...(pending && { pending: { ...pending, epoch: BigInt(pending.epoch) } }),
    ...(lastRejected && { lastRejected: rejection(lastRejected) }),
  };
}

function proposal({ reference, type, sender, dropped }: ProposalSnapshotValue): ProposalSnapshot {
  return { reference, proposalType: type, sender: decode.sender(sender), dropped };
}

function past({ epoch, ended, senders }: PastSnapshotValue): PastSnapshot {
  return { epoch: BigInt(epoch), ended: decode.date(ended), senders };
}

function rejection({ code, detail, time, size, header }: RejectionValue): Rejection {
  return { code: code as ErrorCode, detail, time: decode.date(time), size, ...(header && { header: decode.header(header) }) };
}

/** All nodes of the tree: what crosses ends with the last one that is not blank. */
function treeOf(values: readonly NodeSnapshotValue[]): TreeNode[] {
  let width = 1;
  while (width < values.length) width = 2 * width + 1;
  return Array.from({ length: values.length && width }, (_, index) => {
    const level = levelOf(index);
    const node = values[index] ?? { kind: "blank", unmerged: [], known: false };
    const half = 2 ** level / 2;
    return {
      ...node,
      kind: node.kind as TreeNode["kind"],
      index,
      level,
      ...(level > 0 && { children: [index - half, index + half] as const }),
    };
  });
}

/** How often a 1 stands at the end of an index (RFC 9420, Appendix C). */
function levelOf(index: number): number {
  return index % 2 === 0 ? 0 : 1 + levelOf((index - 1) / 2);
}

/**
 * Draws a ratchet tree as text, a line a node, the root first: its index, its
 * key or "-" where it is blank, "*" where this client knows the private key, and
 * the unmerged leaves.
 *
 * ```ts
 * for (const { tree } of (await mls.inspect()).groups) console.log(drawTree(tree));
 * ```
 */
export function drawTree(tree: readonly TreeNode[]): string {
  const draw = (index: number, indent: string): string[] => {
    const { key, known, unmerged, children } = tree[index]!;
    const name = key ? Array.from(key, (byte) => byte.toString(16).padStart(2, "0")).join("") : "-";
    const line = `${indent}${index} ${name}${known ? " *" : ""}${unmerged.length ? ` unmerged ${unmerged.join(" ")}` : ""}`;
    return [line, ...(children ?? []).flatMap((child) => draw(child, `${indent}  `))];
  };
  return tree.length ? draw((tree.length - 1) / 2, "").join("\n") : "";
}
