// The types of webmls/polyfill, and the globals that it declares, as an
// application sees them. The compiler checks this file; nothing runs it.
import { install, MLS as OurMLS, MLSGroupView as OurView, type MLSReceived as OurReceived } from "webmls/polyfill";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<T extends true>(): T | undefined {
  return undefined;
}

export function installing(): void {
  install();
  install({ force: true, database: "mls", thread: "current", wasm: new URL("https://cdn.example/webmls.wasm") });
  // @ts-expect-error: nobody is asked about credentials
  install({ authenticate: () => true });
  is<Same<typeof OurMLS, typeof globalThis.MLS>>();
  is<Same<typeof OurView, typeof globalThis.MLSGroupView>>();
  is<Same<OurMLS, MLS>>();
  is<Same<OurReceived, MLSReceived>>();
}

export async function globals(): Promise<void> {
  const mls = new MLS();
  is<Same<typeof mls, MLS>>();
  const id = await mls.generateIdentity();
  is<Same<typeof id, MLSBytes>>();
  const credential = await mls.generateCredential("alice");
  await mls.generateCredential(new Uint8Array(1));
  // @ts-expect-error: a client identifier is no text
  await mls.generateKeyPackage("alice", credential);
  // @ts-expect-error: an ArrayBuffer will not do
  await mls.generateKeyPackage(id, new ArrayBuffer(1));
  // @ts-expect-error: there is no such type
  await mls.generateKeyPackage({ type: "client", content: new Uint8Array(32) }, credential);
  const keyPackage = await mls.generateKeyPackage(id.content, { type: "credential-basic", content: credential.content });

  const group = await mls.groupCreate(id, credential);
  is<Same<typeof group, MLSGroupView>>();
  // @ts-expect-error: views are given, not constructed
  new MLSGroupView();
  // @ts-expect-error: the view is of one group
  group.groupId = new Uint8Array(1);
  const { commit, welcome } = await group.add(keyPackage);
  is<Same<typeof commit, Uint8Array<ArrayBuffer>>>();
  if (welcome) await mls.groupJoin(id, { type: "welcome", content: welcome });
  // @ts-expect-error: not every commit adds someone
  await mls.groupJoin(id, welcome);
  await mls.groupGet(group.groupId, group.clientId);

  const received = await group.receive(await group.send("hello"));
  switch (received.type) {
    case "application-message-plaintext":
      is<Same<typeof received.content, Uint8Array<ArrayBuffer> | undefined>>();
      break;
    case "commit-output":
      is<Same<typeof received.commitOutput, MLSCommitOutput | undefined>>();
  }
  is<Same<Awaited<ReturnType<typeof group.hasPendingCommit>>, boolean>>();
  const { secret } = await group.exportSecret("label", new Uint8Array(), 32);
  await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  // @ts-expect-error: the context is no text
  await group.exportSecret("label", "context", 32);
  for (const { clientId } of (await group.details()).members) await group.remove(clientId);
}
