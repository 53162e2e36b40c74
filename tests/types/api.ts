// The types of the package as an application sees them: dist/index.d.ts. The
// compiler checks this file; nothing runs it. Where an error is expected and
// does not come, that is an error.
import {
  EpochError,
  MLS,
  MLSError,
  type CipherSuite,
  type Claim,
  type CommitResult,
  type ErrorCode,
  type Group,
  type Identity,
  type Member,
  type ReceivedEvent,
} from "webmls";
import { x509Authenticator } from "webmls/x509";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<T extends true>(): T | undefined {
  return undefined;
}

export async function opening(): Promise<void> {
  await using mls = await MLS.open({ database: "alice", authenticate: (claim) => claim.name === "bob" });
  await MLS.open({ database: "alice", authenticate: async (claim: Claim) => claim.signatureKey.length === 32, thread: "current" });
  await MLS.open({ database: "a", authenticate: () => true, wasm: new URL("https://cdn.example/webmls.wasm") });
  // @ts-expect-error: the application's policy on credentials is required
  await MLS.open({ database: "alice" });
  // @ts-expect-error: so is the database
  await MLS.open({ authenticate: () => true });
  // @ts-expect-error: a policy answers yes or no
  await MLS.open({ database: "alice", authenticate: () => "yes" });
  // @ts-expect-error: there is no such thread
  await MLS.open({ database: "alice", authenticate: () => true, thread: "shared" });
  // @ts-expect-error: a client is opened, not constructed
  new MLS({ database: "alice", authenticate: () => true });
  await mls.close();
}

export async function identities(mls: MLS): Promise<void> {
  const alice: Identity = await mls.createIdentity("alice@example.com");
  await mls.createIdentity(new Uint8Array(4), { suite: 7 });
  await mls.createIdentity({ type: "x509", certificates: [new Uint8Array(1)] });
  // @ts-expect-error: RFC 9420 has no suite 8
  await mls.createIdentity("alice", { suite: 8 });
  // @ts-expect-error: a certificate chain is a list
  await mls.createIdentity({ type: "x509", certificates: new Uint8Array(1) });

  is<Same<Identity["suite"], 1 | 2 | 3 | 4 | 5 | 6 | 7>>();
  if (alice.credential.type === "basic") is<Same<typeof alice.credential.identity, Uint8Array<ArrayBuffer>>>();
  else if (alice.credential.type === "other") is<Same<typeof alice.credential.credentialType, number>>();

  const renewed = await mls.renewIdentity(alice, "alice@example.org");
  // @ts-expect-error: the credential of a key that is there is not issued
  await mls.renewIdentity(alice.id, () => "alice");
  const keyPackage = await mls.createKeyPackage(alice);
  const keyPackages = await mls.createKeyPackages(alice.id, 100, { lastResort: true, lifetime: 3600 });
  is<Same<typeof keyPackage, (typeof keyPackages)[number]>>();
  is<Same<typeof renewed, Identity>>();
  // @ts-expect-error: how many?
  await mls.createKeyPackages(alice);
}

export async function certificates(root: Uint8Array, request: (csr: Uint8Array) => Promise<Uint8Array[]>): Promise<void> {
  const trust = await x509Authenticator({ roots: [root, "PEM"], keyUsages: ["clientAuth"], other: { authenticate: () => false } });
  const mls = await MLS.open({ database: "alice", ...trust });
  await MLS.open({ database: "alice", ...(await x509Authenticator({ roots: [root], thread: "current" })) });
  // @ts-expect-error: whom to trust is required
  await x509Authenticator({});
  // @ts-expect-error: there is no such usage
  await x509Authenticator({ roots: [root], keyUsages: ["clientauth"] });
  const identity = await mls.createIdentity(
    async ({ suite, publicKey, sign }) => {
      is<Same<typeof suite, CipherSuite>>();
      const signature: Uint8Array<ArrayBuffer> = await sign(publicKey);
      return { type: "x509", certificates: await request(signature) };
    },
    { suite: 2 },
  );
  if (identity.credential.type === "x509") is<Same<Awaited<ReturnType<typeof trust.identify>>, Uint8Array<ArrayBuffer>>>();
  await mls.createIdentity(() => "alice");
  // @ts-expect-error: a function gives a credential, not the certificates alone
  await mls.createIdentity(async ({ publicKey }) => [publicKey]);
}

export async function groups(mls: MLS, alice: Identity, keyPackage: Uint8Array): Promise<void> {
  const group: Group = await mls.createGroup(alice, { id: new Uint8Array(32) });
  is<Same<typeof group.epoch, bigint>>();
  // @ts-expect-error: the epoch is the group's to change
  group.epoch = 1n;
  // @ts-expect-error: an epoch is no number
  if (group.epoch === 1) return;

  const result: CommitResult = await group.add([keyPackage, keyPackage], { noRatchetTree: true });
  is<Same<typeof result.welcome, Uint8Array<ArrayBuffer> | undefined>>();
  await group.add(keyPackage);
  const [first] = (await group.members()) as [Member];
  await group.remove(first);
  await group.remove([first, 7]);
  // @ts-expect-error: a member, not its name
  await group.remove("bob");
  await group.update();
  await group.commit({ add: [keyPackage], remove: [first], publicMessage: true });
  const applied = await group.applyPendingCommit();
  is<Same<typeof applied.type, "group-update">>();
  await group.clearPendingCommit();
  await group.propose({ update: true });
  for (const proposal of await group.proposals()) {
    if (proposal.type === "remove") is<Same<typeof proposal.leaf, number>>();
    // @ts-expect-error: only a remove has a leaf
    else proposal.leaf;
    await group.dropProposal(proposal);
  }

  const sealed = await group.send("hello", { authenticatedData: new Uint8Array(1) });
  await group.send(sealed);
  // What this package makes can be given to what takes no shared memory.
  new WebSocket("wss://example.com").send(sealed);
  const secret = await group.exportSecret("label", "context", 32);
  await group.exportSecret(new Uint8Array([0xff]), new Uint8Array(1), 32);
  await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);

  const joined = await mls.joinExternal(alice, await group.groupInfo(), { resync: true });
  is<Same<typeof joined.group, Group>>();
  is<Same<typeof joined.commit, Uint8Array<ArrayBuffer>>>();
  await mls.deleteGroup(group);
  await mls.deleteGroup(group.id);
}

export function received(event: ReceivedEvent): string | undefined {
  // @ts-expect-error: not every message has content
  event.content;
  switch (event.type) {
    case "application":
      return `${event.sender?.name} ${event.text} ${event.inboxId.toFixed()}`;
    case "proposal":
      return event.proposal.type;
    case "group-update":
    case "removed":
      return event.added.map((member) => member.name).join();
    case "own":
      return undefined;
  }
  event satisfies never;
}

export function events(mls: MLS, group: Group): void {
  const stop = mls.on("message", (event, from) => {
    is<Same<typeof event.text, string>>();
    is<Same<typeof from, Group>>();
  });
  group.on("group-update", (event) => event.epoch + 1n);
  // @ts-expect-error: there is no such event
  mls.on("application", () => {});
  stop();
}

export async function errors(group: Group, message: Uint8Array): Promise<ErrorCode | undefined> {
  try {
    await group.receive(message);
  } catch (error) {
    if (error instanceof EpochError && error.code === "EPOCH_AHEAD") return error.code;
    // @ts-expect-error: there is no such code
    if (error instanceof MLSError && error.code === "EPOCH_AHED") return undefined;
    if (error instanceof MLSError) is<Same<typeof error.code, ErrorCode>>();
  }
  return undefined;
}
