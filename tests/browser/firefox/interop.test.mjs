// Firefox's own MLS, which is mls-rs behind the MLS Web API, against ours, in
// one page of a real Firefox; and ours alone there. The scenarios are in
// scenarios.mjs. FIREFOX names another Firefox, SEED and EPOCHS another random
// history.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { Firefox } from "./harness.mjs";

const seed = Number(process.env.SEED ?? 9420);
const epochs = Number(process.env.EPOCHS ?? 25);

describe("Firefox", { timeout: 300_000 }, () => {
  let firefox;
  before(async () => {
    firefox = await Firefox.start();
  });
  after(() => firefox?.stop());
  afterEach(() => assert.deepEqual(firefox.faults.splice(0), [], "the page has no complaints"));

  /** A test that is one scenario. */
  const scenario = (title, name, ...args) =>
    test(title, { timeout: 120_000 }, async (t) => {
      const told = await firefox.run(name, ...args);
      if (told) t.diagnostic(JSON.stringify(told));
    });

  test("has the MLS Web API that this test is written for", async (t) => {
    t.diagnostic(firefox.version);
    const methods = await firefox.run("nativeMethods");
    for (const name of ["groupCreate", "groupJoin", "add", "remove", "receive", "applyPendingCommit", "clearPendingCommit"]) {
      assert.ok(methods.includes(name), `${firefox.version} has no ${name}; Firefox 153 has`);
    }
  });

  scenario("Firefox creates a group and we join", "nativeCreates");
  scenario("we create a group and Firefox joins", "weCreate");
  scenario("ten epochs, both sides committing: equal exporters in each, messages both ways", "tenEpochs");
  scenario("adds and removes by both sides; the removed read nothing more", "addsAndRemoves");
  scenario("Firefox closes a group of four", "nativeCloses");
  scenario("our proposals in Firefox's commits: add, update, remove, leave, group context extensions", "ourProposals");
  scenario("Firefox's proposals in our commits: add, remove, leave", "nativeProposals");
  scenario("concurrent commits: the loser follows, whoever it is", "races");
  scenario("messages out of order, late, empty, large; replays are refused by both", "messages");
  scenario("Firefox accepts our external commit and our resync", "externalCommits");
  scenario("what Firefox does not support is kept out of its groups by both", "unsupported");
  scenario("any changed byte of Firefox's Welcome, message or commit is refused, and nothing changes", "changedBytes");

  test("a group goes on after a reload of the page, with the commit that was pending", { timeout: 120_000 }, async () => {
    const left = await firefox.run("beforeReload");
    await firefox.reload();
    await firefox.run("afterReload", left);
  });

  scenario(`a random history of ${epochs} epochs, seed ${seed}`, "history", seed, epochs);

  for (const number of [1, 2, 3, 4, 5, 6, 7]) {
    scenario(`our module alone, cipher suite ${number}, in a worker`, "suite", number, "worker");
  }
  scenario("our module alone, cipher suite 1, in the page's own thread", "suite", 1, "current");
  scenario("our module alone, cipher suite 5, in the page's own thread", "suite", 5, "current");
});
