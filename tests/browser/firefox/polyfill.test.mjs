// webmls/polyfill against Firefox's own MLS Web API: the same page does
// everything with both and writes down what came of it, and the transcripts are
// compared entry by entry. And both in one group.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { launch, Watched } from "../kit/browser.mjs";
import { serve } from "../kit/bare.mjs";
import { built } from "../kit/paths.mjs";
import { Firefox } from "./harness.mjs";

const failure = "rejects: NS_ERROR_FAILURE";
const cannotPropose = "rejects: DOMException UnknownError: Failed to propose add to group";
const keyPackage = 'resolves: {content: message 00010005, type: "key-package"}';
const proposal = 'resolves: {content: message 00010001, type: "proposal"}';
const view = "resolves: [object MLSGroupView]";
const exported = (context, label, secret) =>
  `resolves: {context: bytes ${context}, groupEpoch: bytes 0100000000000000, groupId: 32 bytes, label: bytes ${label}, secret: ${secret}, type: "exporter-output"}`;

/** Where Firefox is wrong, and is not followed: what it does, and what ours does. NATIVE-API.md says more. */
const faults = {
  // It ends, the whole browser.
  "oneGroup: getGroupEpochFromMessage of a Welcome": ["skipped", failure],
  "oneGroup: getGroupEpochFromMessage of a key package": ["skipped", failure],
  "exporter: length 8161": ["skipped", failure],
  "exporter: length 4294967312": ["skipped", failure],
  "exporter: length -1": ["skipped", failure],
  // It says the label again, for the context.
  "exporter: exportSecret": [exported("6c6162656c", "6c6162656c", "bytes "), exported("0102", "6c6162656c", "bytes ")],
  "exporter: with typed arguments": [exported("41", "41", "20 bytes"), exported("000000", "41", "20 bytes")],
  // It does not look at all of a credential, and makes key packages that nobody can add.
  "credentials: a key package with a credential: more behind it": [keyPackage, failure],
  "credentials: a group with a credential: more behind it": ["resolves: [{clientId: 32 bytes, credential: bytes 00010141}]", failure],
  "credentials: a key package with a credential: x509": [keyPackage, failure],
  "credentials: a key package with a credential: of an unknown type": [keyPackage, failure],
  "credentials: a key package with a credential: of type 0": [keyPackage, failure],
  // It proposes a key package without looking at its signature.
  "oneGroup: propose a forged key package": [proposal, cannotPropose],
  // It takes what is for another client, and a message of another group for one of this group.
  "oneGroup: join with another's Welcome": [view, failure],
  "oneGroup: another group's message": ['resolves: {content: bytes 78, groupId: 32 bytes, type: "application-message-plaintext"}', failure],
  // It takes a proposal again that was cleared, and cannot follow those who commit it.
  "proposals: the cleared proposal again": [
    'resolves: {commitOutput: {commit: message 00010001, groupId: 32 bytes, type: "commit-output", welcome: message 00010003}, groupId: 32 bytes, type: "commit-output"}',
    failure,
  ],
  "proposals: a commit of the cleared proposal": [failure, 'resolves: {groupEpoch: bytes 0200000000000000, groupId: 32 bytes, type: "commit-processed"}'],
  // It can take back what it has cleared, if that has no path; with a path, and ours always has one, nobody can.
  "races: an Add that was cleared comes back": ['resolves: {groupEpoch: bytes 0200000000000000, groupId: 32 bytes, type: "commit-processed"}', failure],
  // It goes on in a group that it was removed from.
  "removal: removed: details": [
    'resolves: {groupEpoch: bytes 0200000000000000, groupId: 32 bytes, members: [{clientId: 32 bytes, credential: bytes 000105616c696365}, {clientId: 32 bytes, credential: bytes 000103626f62}, {clientId: 32 bytes, credential: bytes 0001056361726f6c}], type: "group-info"}',
    failure,
  ],
  "removal: removed: hasPendingCommit": ["resolves: false", failure],
  "removal: removed: hasPendingProposals": ["resolves: false", failure],
  "removal: removed: close": ['resolves: {commit: message 00010001, groupId: 32 bytes, type: "commit-output"}', failure],
  "removal: removed: send": ['resolves: {content: message 00010002, type: "application-message-ciphertext"}', failure],
  "removal: removed: receive the commit": ['resolves: {groupEpoch: bytes ffffffffffffffff, groupId: 32 bytes, type: "commit-processed"}', failure],
  "removal: removed: exportSecret": ["resolves: 32", failure],
  "removal: removed: groupGet": [view, failure],
  "removal: removed: proposeAdd": [proposal, cannotPropose],
  "removal: removed: proposeRemove": [proposal, failure],
  // What it cannot find out is true.
  "removal: deleted: hasPendingCommit": ["resolves: true", failure],
  "removal: deleted: hasPendingProposals": ["resolves: true", failure],
  "state: hasPendingCommit": ["resolves: true", failure],
};

/** Compares two transcripts, but for the faults. */
function compare(theirs, ours) {
  const seen = new Map(theirs);
  assert.equal(seen.size, theirs.length, "no name twice");
  assert.deepEqual(ours.map(([name]) => name), [...seen.keys()]);
  const wrong = ours.filter(([name, came]) => {
    const [theirFault, right] = faults[name] ?? [seen.get(name), seen.get(name)];
    return seen.get(name) !== theirFault || came !== right;
  });
  assert.deepEqual(wrong.map(([name, came]) => ({ name, theirs: seen.get(name), ours: came })), []);
  assert.deepEqual(Object.keys(faults).filter((name) => !seen.has(name)), [], "faults that were not tried");
}

describe("webmls/polyfill", { timeout: 600_000 }, () => {
  const native = {}; // the transcripts of Firefox's own, in a page and in a worker
  let firefox;

  before(async () => {
    firefox = await Firefox.start();
    for (const where of ["page", "worker"]) native[where] = await call(firefox.page, "/firefox/", "run", "native", where);
  });
  after(() => firefox?.stop());
  afterEach(() => assert.deepEqual(firefox.faults.splice(0), [], "the page has no complaints"));

  /** Runs a function of polyfill-page.mjs in a page. */
  const call = (page, folder, name, ...args) =>
    page.evaluate(
      async (path, name, args) => {
        const all = await import(path);
        return all[name](...args);
      },
      `${folder}polyfill-page.mjs`,
      name,
      args,
    );

  test("it does as Firefox does, beside Firefox's own", async (t) => {
    t.diagnostic(`${firefox.version}: ${native.page.length} entries, ${native.worker.length} in a worker, ${Object.keys(faults).length} faults`);
    assert.ok(native.page.length > 1000);
    for (const where of ["page", "worker"]) compare(native[where], await call(firefox.page, "/firefox/", "run", "own", where));
  });

  test("it leaves Firefox's own alone, unless it must not", async () => {
    const result = await firefox.page.evaluate(async () => {
      const own = globalThis.MLS;
      const polyfill = await import("/webmls/polyfill.js");
      const left = globalThis.MLS === own && globalThis.MLSGroupView !== polyfill.MLSGroupView;
      polyfill.install({ force: true });
      const taken = globalThis.MLS === polyfill.MLS && globalThis.MLSGroupView === polyfill.MLSGroupView;
      Object.assign(globalThis, { MLS: own });
      return [left, taken];
    });
    assert.deepEqual(result, [true, true]);
    await firefox.reload();
  });

  test("a group of both: commits, adds, removes, proposals, races, close", async () => {
    const result = await call(firefox.page, "/firefox/", "bothOrders");
    assert.deepEqual(result.map((done) => done.length), [16, 16]);
  });

  test("in a Firefox without the MLS Web API it is there, and does the same", async () => {
    const without = await Firefox.start({ native: false });
    try {
      assert.equal(await without.page.evaluate(() => typeof MLS), "undefined");
      const ours = await call(without.page, "/firefox/", "run", "own", "page");
      assert.equal(await without.page.evaluate(async () => MLS === (await import("/webmls/polyfill.js")).MLS), true);
      compare(native.page, ours);
      assert.deepEqual(without.faults, []);
    } finally {
      await without.stop();
    }
  });

  test("in Chromium it does the same, in a page and in a worker", async () => {
    const scripts = ["polyfill-page.mjs", "polyfill-worker.mjs"].map((name) => [name, readFileSync(new URL(name, import.meta.url))]);
    const server = await serve(built("js/dist"), Object.fromEntries(scripts));
    const browser = await launch();
    try {
      const watched = await Watched.open(browser.defaultBrowserContext(), "polyfill");
      await watched.page.goto(server.url);
      for (const where of ["page", "worker"]) compare(native[where], await call(watched.page, "/scripts/", "run", "own", where));
      assert.deepEqual(watched.faults, []);
    } finally {
      await browser.close();
      await server.stop();
    }
  });
});
