// The types of webmls/sync, as an application sees them. The compiler checks this file; nothing runs it.
import type { ApplicationEvent, Group, MLS } from "webmls";
import {
  deleteSyncDatabase,
  sync,
  SyncError,
  type Answer,
  type Cursor,
  type GroupSync,
  type Kept,
  type Publication,
  type SyncErrorCode,
  type SyncEventMap,
  type SyncStatus,
  type Transport,
} from "webmls/sync";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<T extends true>(): T | undefined {
  return undefined;
}

declare const group: Group;
declare const mls: MLS;
declare const keyPackage: Uint8Array;

const transport: Transport = {
  async publish(publication: Publication, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    if (publication.kind === "commit") {
      is<Same<typeof publication.epoch, bigint>>();
      is<Same<typeof publication.welcome, Uint8Array | undefined>>();
      is<Same<typeof publication.to, readonly string[]>>();
      return { result: "stale" };
    }
    // @ts-expect-error: only a commit has a Welcome
    void publication.welcome;
    return publication.message.length > 0 ? { result: "accepted" } : { result: "refused", reason: "empty" };
  },
  async fetch(groupId, since) {
    is<Same<typeof since, Cursor | undefined>>();
    return { entries: [{ cursor: 1, message: groupId }], more: false };
  },
  subscribe: (_, notify) => {
    notify();
    return () => {};
  },
};

export async function living(): Promise<void> {
  const live = await sync(group, transport, {
    database: "alice",
    since: 3,
    deliver: (message) => void is<Same<typeof message, ApplicationEvent>>(),
    intents: { rename: { holds: (g, data) => g.epoch > 0n && data === "", contents: async () => ({ extensions: [] }) } },
    updateAfter: { days: 7 },
    removeExpiredAfter: 1,
    heal: async ({ epoch, common, evidence }) => {
      is<Same<typeof epoch, bigint>>();
      is<Same<typeof common, bigint | undefined>>();
      evidence satisfies "message" | "statement" | "own-commit";
      return undefined;
    },
    retry: { first: 100 },
  });
  is<Same<typeof live, GroupSync>>();
  is<Same<typeof live.status, SyncStatus>>();
  // @ts-expect-error: where it is kept must be said
  await sync(group, transport, {});
  // @ts-expect-error: a transport has three functions
  await sync(group, { publish: transport.publish }, { database: null });

  const kept = await live.add(keyPackage, { to: "bob" });
  is<Same<typeof kept, Kept>>();
  const nothing = await kept.done;
  is<Same<typeof nothing, void>>();
  const [first] = await group.members();
  await live.remove(first!);
  // @ts-expect-error: a leaf may be somebody else's by the time
  await live.remove(1);
  await live.want({ kind: "custom", name: "rename", data: { title: "friends" } });
  // @ts-expect-error: there is no such intent
  await live.want({ kind: "rename" });
  await live.send("hello", { authenticatedData: new Uint8Array(1) });
  const compared = await live.compare(await live.statement());
  is<Same<typeof compared, "same" | "forked" | "unknown">>();
  await live.rejoin({ mls, identity: (await mls.identities())[0]!, groupInfo: () => group.groupInfo() });
  for (const { id, intent } of await live.intents()) if (intent.kind === "update") await live.withdraw(id);

  const off = live.on("intent", ({ state, failure }) => {
    state satisfies "held" | "failed" | "revived";
    if (failure) failure.code satisfies string;
  });
  off();
  is<Same<Parameters<Parameters<typeof live.on<"sent">>[1]>[0], SyncEventMap["sent"]>>();
  // @ts-expect-error: there is no such event
  live.on("message", () => {});
  await live.stop();
  await deleteSyncDatabase("alice");
}

export function failing(error: unknown): SyncErrorCode | undefined {
  return error instanceof SyncError ? error.code : undefined;
}
