/**
 * Keeps groups live over a delivery service, whichever it is: publishes commits and
 * makes them again when another was faster, catches up, sends, survives
 * reloads, and finds forks.
 *
 * ```ts
 * const live = await sync(group, transport, { database: "alice", deliver: (message) => show(message.text) });
 * await live.add(keyPackage, { to: "bob" }); // kept until Bob is in, or cannot be
 * await live.send("hello");
 * ```
 *
 * Nothing that the service says is trusted more than it must be: a commit counts when the
 * log hands it back, what is forged or replayed is refused by MLS, and what is withheld
 * is asked for again and reported. A service that shows different members different
 * logs parts the group; the members find that when they compare, by the marks that their
 * messages carry, or by {@link GroupSync.statement} on another way.
 *
 * @packageDocumentation
 */
import type { Group } from "./group.js";
import { GroupSync } from "./sync/group-sync.js";
import { SyncError, type SyncOptions, type Transport } from "./sync/types.js";

export { GroupSync } from "./sync/group-sync.js";
export { deleteSyncDatabase } from "./sync/rows.js";
export { SyncError } from "./sync/types.js";
export type * from "./sync/types.js";

/**
 * Keeps a group live over a transport, until {@link GroupSync.stop}, or until this
 * client is removed or the group is deleted. In several tabs with the same
 * database one does the work; the others hand over what they are asked for, and hear of all.
 */
export async function sync(group: Group, transport: Transport, options: SyncOptions): Promise<GroupSync> {
  if (typeof options?.database !== "string" && options?.database !== null) throw new SyncError("IMPOSSIBLE", "database");
  return GroupSync.start(group, transport, options);
}
