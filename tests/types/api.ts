// The types of the package as an application sees them: dist/index.d.ts. The
// compiler checks this file; nothing runs it. Where an error is expected and
// does not come, that is an error.
import {
  drawTree,
  EpochError,
  externalSenders,
  MLS,
  MLSError,
  readExternalSenders,
  replay,
  requiredCapabilities,
  type CipherSuite,
  type Claim,
  type CommitResult,
  type ErrorCode,
  type Extension,
  type ExternalSender,
  type Group,
  type GroupStatus,
  type Identity,
  type LogEntry,
  type Member,
  type Proposal,
  type PSK,
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
  is<Same<Identity["keyStorage"], "non-extractable" | "wrapped" | "sealed">>();
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

export async function options(log: LogEntry[]): Promise<void> {
  const mls = await MLS.open({
    database: "alice",
    authenticate: () => true,
    identify: (credential, claim) => (credential.type === "basic" ? credential.name : claim.signatureKey),
    limits: { padding: 0, maxMessage: 1 << 20, pastEpochs: 2, pastEpochAge: 3600 },
    supported: { extensions: [0xff01], proposals: [0xff02] },
    record: (entry) => log.push(entry),
  });
  // @ts-expect-error: there is no such limit
  await MLS.open({ database: "alice", authenticate: () => true, limits: { maxGroups: 7 } });
  // @ts-expect-error: a number of bytes
  await MLS.open({ database: "alice", authenticate: () => true, limits: { padding: "256" } });
  // @ts-expect-error: a client has a name, or none
  await MLS.open({ database: "alice", authenticate: () => true, identify: () => 7 });
  for (const { entry, outcome, same } of await replay(mls, JSON.parse(JSON.stringify(log)))) {
    is<Same<typeof outcome, "ok" | ErrorCode>>();
    is<Same<typeof same, boolean>>();
    // @ts-expect-error: entries are as they were
    entry.outcome = "ok";
  }
}

export async function keyPackages(mls: MLS, alice: Identity): Promise<void> {
  const list = await mls.keyPackages(alice);
  for (const { expires, lastResort, keyPackage } of list) {
    is<Same<typeof expires, Date>>();
    is<Same<typeof lastResort, boolean>>();
    is<Same<typeof keyPackage, Uint8Array<ArrayBuffer>>>();
  }
  await mls.deleteKeyPackages(list);
  await mls.deleteKeyPackages([list[0]!.reference]);
  // @ts-expect-error: a list
  await mls.deleteKeyPackages(list[0]!.reference);
  await mls.createKeyPackages(alice, 1, { extensions: [{ type: 0xff01, data: new Uint8Array(1) }] });
  // @ts-expect-error: an extension has a type
  await mls.createKeyPackages(alice, 1, { extensions: [{ data: new Uint8Array(1) }] });
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

export async function proposing(group: Group, member: Member, bytes: Uint8Array): Promise<void> {
  await group.propose({ add: bytes });
  await group.propose({ remove: member, publicMessage: true });
  await group.propose({ update: true, identity: bytes });
  await group.propose({ psk: "id" });
  await group.propose({ psk: { groupId: bytes, epoch: 3n } });
  await group.propose({ extensions: [] });
  await group.propose({ reInit: { suite: 2 } });
  await group.propose({ custom: { type: 0xff02, data: bytes }, authenticatedData: bytes });
  // @ts-expect-error: one thing at a time
  await group.propose({ add: bytes, remove: 1 });
  // @ts-expect-error: but one
  await group.propose({});
  // @ts-expect-error: there is no such thing as not updating
  await group.propose({ update: false });
  // @ts-expect-error: an epoch is a bigint
  await group.propose({ psk: { groupId: bytes, epoch: 3 } });
  // @ts-expect-error: RFC 9420 has no suite 9
  await group.commit({ reInit: { suite: 9 } });
  await group.commit({ psks: ["id", bytes, { groupId: bytes, epoch: 1n }], custom: [{ type: 0xff02, data: bytes }] });
  await group.leave({ authenticatedData: bytes });
  // @ts-expect-error: one leaves, and nobody else
  await group.leave({ remove: 1 });
}

export function proposed(proposal: Proposal): PSK | undefined {
  if (proposal.sender.type === "external") is<Same<typeof proposal.sender.index, number>>();
  is<Same<typeof proposal.message, Uint8Array<ArrayBuffer> | undefined>>();
  switch (proposal.type) {
    case "psk":
      if (proposal.psk.type === "resumption") is<Same<typeof proposal.psk.epoch, bigint>>();
      // @ts-expect-error: an external key has no epoch
      else proposal.psk.epoch;
      return proposal.psk;
    case "reinit":
      is<Same<typeof proposal.reInit.suite, number>>();
      return undefined;
    case "other":
      is<Same<typeof proposal.data, Uint8Array<ArrayBuffer>>>();
      return undefined;
    case "group-context-extensions":
      proposal.extensions satisfies readonly Extension[];
      return undefined;
    case "add":
    case "update":
      proposal.credential.type satisfies "basic" | "x509" | "other";
      return undefined;
    case "remove":
    case "external-init":
      return undefined;
  }
  proposal satisfies never;
}

export async function successors(mls: MLS, group: Group, keyPackage: Uint8Array, alice: Identity): Promise<void> {
  const { group: next, welcome } = await group.reInit([keyPackage], { identity: alice });
  is<Same<typeof next, Group>>();
  const branched = await group.branch([keyPackage], { id: new Uint8Array(1), extensions: [] });
  is<Same<typeof branched.epoch, bigint>>();
  // @ts-expect-error: a reinitialized group has the id that was agreed on
  await group.reInit([keyPackage], { id: new Uint8Array(1) });
  const info = await mls.inspectWelcome(welcome!);
  is<Same<typeof info.epoch, bigint>>();
  is<Same<typeof info.signer, Member | undefined>>();
  const { status, reInit } = await group.info();
  is<Same<typeof status, GroupStatus>>();
  // @ts-expect-error: not every group was reinitialized
  reInit.groupId;
  const { capabilities, lifetime } = await group.member(0);
  capabilities.proposals satisfies readonly number[];
  is<Same<typeof lifetime, { readonly notBefore: Date; readonly notAfter: Date } | undefined>>();
}

export async function outside(mls: MLS, service: Identity, groupInfo: Uint8Array, keyPackage: Uint8Array): Promise<void> {
  const extension: Extension = externalSenders([service]);
  await mls.createGroup(service, { extensions: [extension, requiredCapabilities({ proposals: [0xff02] })] });
  readExternalSenders([extension]) satisfies ExternalSender[];
  const message = await mls.proposeExternally(groupInfo, { index: 0, identity: service }, { remove: 1 });
  is<Same<typeof message, Uint8Array<ArrayBuffer>>>();
  // @ts-expect-error: one who is no member has no leaf to update
  await mls.proposeExternally(groupInfo, { index: 0, identity: service }, { update: true });
  // @ts-expect-error: which of the senders?
  await mls.proposeExternally(groupInfo, { identity: service }, { remove: 1 });
  await mls.proposeToJoin(groupInfo, keyPackage);
}

export async function long(mls: MLS, group: Group, keyPackages: Uint8Array[], welcome: Uint8Array): Promise<void> {
  const { signal } = new AbortController();
  await group.add(keyPackages, { signal, progress: (done, total) => done / total });
  await mls.joinGroup(welcome, { signal: AbortSignal.timeout(1000) });
  // @ts-expect-error: a signal, not its controller
  await group.receive(welcome, { signal: new AbortController() });
  // @ts-expect-error: two numbers
  await group.update({ progress: (done: string) => done });
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

export async function batches(group: Group, messages: Uint8Array[]): Promise<void> {
  const sealed = await group.sendAll(["hello", new Uint8Array(1)], { padding: 1024, signal: AbortSignal.timeout(1000) });
  is<Same<(typeof sealed)[number], Uint8Array<ArrayBuffer>>>();
  for (const result of await group.receiveAll(messages)) {
    if (result.type === "refused") is<Same<typeof result.error, MLSError>>();
    else received(result);
    // @ts-expect-error: one that was received has no error
    if (result.type === "application") result.error;
  }
  // @ts-expect-error: a list
  await group.sendAll("hello");
}

export async function inside(mls: MLS): Promise<string[]> {
  const { groups, identities } = await mls.inspect();
  is<Same<(typeof identities)[number]["keyPackages"], number>>();
  for (const group of groups) {
    is<Same<typeof group.epoch, bigint>>();
    // @ts-expect-error: a snapshot is to look at
    group.epoch = 1n;
    // @ts-expect-error: not every group has refused a message
    group.lastRejected.code;
    if (group.lastRejected) is<Same<typeof group.lastRejected.code, ErrorCode>>();
  }
  return groups.map(({ tree }) => drawTree(tree));
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
