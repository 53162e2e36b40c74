// Exercises web/chat/src/delivery.ts; run by client_test.go. Prints "ok <name>"
// for each check that passed, "restart" where the service is to be killed and
// started again, and anything else for a failure.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
// @ts-ignore: built beside this file
import { Delivery, DeliveryError, developmentToken } from "./delivery.mjs";

const url = process.argv[2]!;
const text = new TextEncoder();
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const [application, commit] = [1, 3];

function privateMessage(group: string, epoch: number, contentType: number, label: string): Uint8Array {
  const id = text.encode(group);
  const content = text.encode(label);
  const length = [0x80 | (content.length >>> 24), content.length >>> 16, content.length >>> 8, content.length];
  return Uint8Array.from([0, 1, 0, 2, id.length, ...id, 0, 0, 0, 0, 0, 0, 0, epoch, contentType, 0, 0, ...length, ...content]);
}

const token = (name: string): string => `token of ${name} 0123456789`;
const group = text.encode("group");

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => (resolve = done));
  return { promise, resolve };
}

async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    assert(error instanceof DeliveryError);
    return (error as { code: string }).code;
  }
}

async function check(name: string, body: () => Promise<void>): Promise<void> {
  await body();
  console.log(`ok ${name}`);
}

const alice = new Delivery(url, { name: "alice", token: token("alice") });
const bob = new Delivery(url, { name: "bob", token: token("bob") });
const statuses: string[] = [];
const received: { seq: number; message: Uint8Array }[] = [];
let stop: () => void;

await check("connect", async () => {
  alice.onStatus((status: string) => statuses.push(status));
  assert.equal(await code(alice.publish(group, new Uint8Array())), "CLOSED");
  const early = bob.connect();
  const asked = bob.countKeyPackages(); // waits for the connection
  await Promise.all([alice.connect(), early]);
  assert.equal(await asked, 0);
  assert.deepEqual(statuses, ["connecting", "connected"]);
  const mallory = new Delivery(url, { name: "alice", token: token("mallory") });
  const told = deferred<string>();
  mallory.onStatus((status: string, error?: { code: string }) => {
    if (status === "closed") told.resolve(error!.code);
  });
  assert.equal(await code(mallory.connect()), "NAME_TAKEN");
  assert.equal(await told.promise, "NAME_TAKEN");
});

await check("key packages", async () => {
  const keyPackages = [1, 2].map((n) => Uint8Array.from([0, 1, 0, 5, n, 255, 128]));
  await bob.publishKeyPackages(keyPackages);
  assert.equal(await bob.countKeyPackages(), 2);
  const claimed = await Promise.all([alice.claimKeyPackage("bob"), alice.claimKeyPackage("bob")]);
  assert.deepEqual(claimed.map((k: Uint8Array) => [...k]).sort(), keyPackages.map((k) => [...k]));
  assert.equal(await code(alice.claimKeyPackage("bob")), "NO_KEY_PACKAGE");
});

await check("commit and welcome", async () => {
  const welcomed = deferred<{ id: string; group: Uint8Array; seq: number; welcome: Uint8Array }>();
  bob.onWelcome(welcomed.resolve);
  const welcome = Uint8Array.from([0, 1, 0, 3, 7]);
  const won = await alice.publishCommit({
    group,
    commit: privateMessage("group", 0, commit, "add"),
    welcomes: [{ to: "bob", welcome }, { to: ["carol", "dave"], welcome }],
    groupInfo: Uint8Array.from([0, 1, 0, 4, 0, 1, 0, 1, 5, ...group, 0, 0, 0, 0, 0, 0, 0, 1]),
  });
  assert(won.accepted && won.epoch === 1n && won.seq > 0);
  assert.deepEqual(
    await bob.publishCommit({ group, commit: privateMessage("group", 0, commit, "late") }),
    { accepted: false, epoch: 1n },
  );
  const got = await welcomed.promise;
  assert.deepEqual([[...got.group], got.seq, [...got.welcome]], [[...group], won.seq, [...welcome]]);
  assert.equal((await bob.groupInfo(group)).length, 22);
  await alice.publishGroupInfo(group, await bob.groupInfo(group));
  await bob.acknowledgeWelcome(got.id);
  await bob.acknowledgeWelcome(got.id);

  const current = deferred<void>();
  stop = bob.subscribe(group, got.seq + 1, async (message: { seq: number; message: Uint8Array }) => {
    await new Promise((done) => setTimeout(done, Math.random() * 2)); // order holds all the same
    received.push(message);
  }, () => current.resolve());
  await current.promise;
});

await check("errors", async () => {
  try {
    await alice.publish(group, privateMessage("group", 9, application, ""));
    assert.fail("accepted");
  } catch (error) {
    assert(error instanceof DeliveryError);
    assert.deepEqual([error.code, error.epoch], ["EPOCH_AHEAD", 1n]);
  }
  assert.equal(await code(alice.publish(group, new Uint8Array(5))), "MALFORMED");
  assert.equal(await code(alice.publish(group, new Uint8Array(7 << 20))), "TOO_LARGE"); // refused here
  assert.equal(await code(alice.publish(group, privateMessage("group", 1, application, "x".repeat(5 << 20)))), "TOO_LARGE"); // there
  assert.equal(await code(alice.groupInfo(text.encode("unknown"))), "NO_GROUP_INFO");
});

await check("messages over a restart", async () => {
  const results: Promise<{ seq: number }>[] = [];
  for (let n = 0; n < 150; n++) {
    results.push(alice.publish(group, privateMessage("group", 1, application, `message ${n}`)));
    if (n === 75) {
      await results[40];
      console.log("restart");
    }
  }
  await input.next();
  const seqs = (await Promise.all(results)).map(({ seq }) => seq);
  assert.deepEqual(seqs, [...seqs].sort((a, b) => a - b));
  while (received.length < 150) await new Promise((done) => setTimeout(done, 20));
  assert.deepEqual(received.map(({ seq }) => seq), seqs);
  received.forEach(({ message }, n) => {
    assert.equal(new TextDecoder().decode(message).endsWith(`message ${n}`), true);
  });
  assert.deepEqual(statuses.slice(0, 4), ["connecting", "connected", "connecting", "connected"]);
});

await check("replay", async () => {
  const carol = new Delivery(url, { name: "carol", token: token("carol") });
  await carol.connect();
  const current = deferred<void>();
  const seen: number[] = [];
  carol.subscribe(group, received[100]!.seq, ({ seq }: { seq: number }) => void seen.push(seq), () => current.resolve());
  await current.promise;
  assert.deepEqual(seen, received.slice(100).map(({ seq }) => seq));
  const welcomed = deferred<{ welcome: Uint8Array }>();
  carol.onWelcome(welcomed.resolve); // stored since before the restart
  assert.deepEqual([...(await welcomed.promise).welcome], [0, 1, 0, 3, 7]);
  carol.close();
});

await check("a callback that fails", async () => {
  const shown = console.error;
  const reported: unknown[] = [];
  console.error = (...what: unknown[]) => reported.push(what);
  const second = deferred<void>();
  let calls = 0;
  const end = alice.subscribe(group, received[148]!.seq, () => {
    if (++calls === 1) throw new Error("of the application");
    second.resolve();
  });
  await second.promise;
  end();
  console.error = shown;
  assert.equal(reported.length, 1);
});

await check("unsubscribe", async () => {
  stop();
  stop();
  await alice.publish(group, privateMessage("group", 1, application, "unheard"));
  await bob.countKeyPackages();
  assert.equal(received.length, 150);
  const again = deferred<number>();
  stop = bob.subscribe(group, received[149]!.seq + 1, ({ seq }: { seq: number }) => again.resolve(seq));
  assert(await again.promise > received[149]!.seq);
});

await check("tokens and devices", async () => {
  const issuer = new URL("/development/token", url.replace(/^ws/, "http"));
  const account = (name: string, secret: string, device: string) => ({ name, device, token: () => developmentToken(issuer, name, secret) });
  let asked = 0;
  const phone = new Delivery(url, { name: "erin", device: "phone", token: () => (asked++, account("erin", token("erin"), "").token()) });
  const laptop = new Delivery(url, account("erin", token("erin"), "laptop"));
  await Promise.all([phone.connect(), laptop.connect()]);
  assert.equal(asked, 1);
  assert.equal(await code(new Delivery(url, account("erin", token("mallory"), "phone")).connect()), "NAME_TAKEN");
  assert.equal(await code(new Delivery(url, account(" erin", token("erin"), "phone")).connect()), "NAME_INVALID");
  assert.equal(await code(new Delivery(url, account("frank", token("frank"), "a phone")).connect()), "DEVICE_INVALID");

  const counts: number[] = [];
  const low = deferred<void>();
  phone.onLowStock(2, (count: number) => {
    counts.push(count);
    if (counts.length > 1 && count === 0) low.resolve(); // the first is of the start
  });
  const keyPackage = (n: number) => Uint8Array.from([0, 1, 0, 5, n]);
  await phone.publishKeyPackages([keyPackage(1), keyPackage(2)], keyPackage(9));
  await laptop.publishKeyPackages([], keyPackage(8));
  assert.deepEqual(await bob.devices("erin"), ["laptop", "phone"]);
  const claimed = await bob.claimKeyPackages("erin");
  assert.deepEqual(
    claimed.map(({ device, keyPackage }: { device: string; keyPackage: Uint8Array }) => [device, keyPackage[4]]),
    [["laptop", 8], ["phone", 1]],
  );
  assert.equal((await bob.claimKeyPackage("erin", "phone"))[4], 2);
  assert.equal((await bob.claimKeyPackage("erin", "phone"))[4], 9);
  await low.promise;
  assert.equal(counts.pop(), 0);

  const welcomed = deferred<{ welcome: Uint8Array }>();
  laptop.onWelcome(welcomed.resolve);
  const welcome = Uint8Array.from([0, 1, 0, 3, 6]);
  const won = await bob.publishCommit({
    group: text.encode("erin's"),
    commit: privateMessage("erin's", 0, commit, "add"),
    welcomes: [{ to: { name: "erin", device: "laptop" }, welcome }],
  });
  assert(won.accepted);
  assert.deepEqual([...(await welcomed.promise).welcome], [...welcome]);
  await laptop.publish(text.encode("erin's"), privateMessage("erin's", 1, application, "here I am"));
  const removed = await bob.publishCommit({ group: text.encode("erin's"), commit: privateMessage("erin's", 1, commit, "remove"), members: ["bob"] });
  assert(removed.accepted);
  assert.equal(await code(laptop.publish(text.encode("erin's"), privateMessage("erin's", 2, application, "still here"))), "NOT_A_MEMBER");
  await laptop.removeDevice("phone");
  assert.deepEqual(await laptop.devices(), ["laptop"]);
  phone.close();
  laptop.close();
});

await check("close", async () => {
  const open = alice.countKeyPackages();
  alice.close();
  assert.equal(await code(open), "CLOSED");
  assert.equal(await code(alice.countKeyPackages()), "CLOSED");
  assert.equal(alice.status, "closed");
  await alice.connect(); // and again
  assert.equal(await alice.countKeyPackages(), 0);
  alice.close();
  bob.close();
});

process.exit(0);
