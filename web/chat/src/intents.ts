// Changing a group: what the user wants becomes a commit, and of each epoch the
// delivery service accepts one. A commit that lost the race is dropped and made
// again on what the winner left, until the intent holds.
//
// The group's log is the one order of things. Whether a commit counts is learned
// from the service's answer, but it becomes the group's state only as it comes by
// in the log, where webmls recognises the pending commit. So the answer may be lost:
// after a crash the same bytes are published again, which the service
// recognises, and the log says the rest.
import type { CommitResult, Group, Member } from "webmls";
import type { Delivery } from "./delivery.js";
import { toHex } from "./hex.js";
import { Refusal } from "./failures.js";

/** What the user wants of the group. */
export type Intent =
  | { kind: "add"; name: string }
  /** The member is told by the key: a leaf may be somebody else's by the time. */
  | { kind: "remove"; name: string; key: string }
  | { kind: "renew" };

/** What carrying out an intent needs of a conversation. */
export interface Place {
  group: Group;
  delivery: Delivery;
  members(): readonly Member[];
  /** Resolves when the log has been followed up to an epoch; rejects when this client was removed. */
  reach(epoch: bigint): Promise<void>;
  /** The epoch that this client's last commit in the log began. */
  ownEpoch(): bigint | undefined;
}

/** Races lost in a row after which something else must be wrong. */
const mostTries = 20;

/** Carries an intent out. Resolves when it holds. */
export async function carryOut(intent: Intent, place: Place): Promise<void> {
  const { group, delivery } = place;
  let keyPackage: Uint8Array | undefined; // whoever lost a race uses it in the next
  for (let tries = 0; tries < mostTries; tries++) {
    let pending = await group.pendingCommit();
    if (!pending) {
      if (holds(intent, place.members())) return;
      if (intent.kind === "add") keyPackage ??= await delivery.claimKeyPackage(intent.name);
      pending = await create(intent, place, keyPackage);
      if (!pending) return;
    }
    const answer = await delivery.publishCommit({
      group: group.id,
      commit: pending.commit,
      welcomes: pending.welcome && intent.kind === "add" ? [{ to: intent.name, welcome: pending.welcome }] : [],
    });
    if (!answer.accepted && answer.epoch < pending.epoch - 1n) {
      throw new Refusal("The delivery service has lost part of this group's messages.");
    }
    // Stale or not, the log comes first. If an earlier try was accepted and its answer lost, the service
    // answers stale as soon as others have gone on: dropping the commit
    // before the log has brought it back would shut this client out.
    await place.reach(answer.accepted ? pending.epoch : answer.epoch);
    if (place.ownEpoch() === pending.epoch) return;
    await drop(group, pending);
  }
  throw new Refusal("Others keep changing this group. Please try again in a moment.");
}

/** Whether there is nothing left to do. */
function holds(intent: Intent, members: readonly Member[]): boolean {
  switch (intent.kind) {
    case "add":
      return members.some((member) => member.name === intent.name);
    case "remove":
      return !find(intent, members);
    case "renew":
      return false;
  }
}

function find(intent: Intent & { kind: "remove" }, members: readonly Member[]): Member | undefined {
  return members.find((member) => toHex(member.signatureKey) === intent.key);
}

async function create(intent: Intent, place: Place, keyPackage: Uint8Array | undefined): Promise<CommitResult | undefined> {
  switch (intent.kind) {
    case "add":
      return place.group.add(keyPackage!);
    case "remove": {
      const member = find(intent, place.members());
      return member && place.group.remove(member);
    }
    case "renew":
      return place.group.update();
  }
}

/** Drops a commit that lost, where the winner's arrival has not done so already. */
async function drop(group: Group, lost: CommitResult): Promise<void> {
  const pending = await group.pendingCommit();
  if (pending && pending.epoch === lost.epoch) await group.clearPendingCommit();
}
