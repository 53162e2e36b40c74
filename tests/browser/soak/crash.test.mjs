// The browser is killed (SIGKILL) at random moments while it sends, receives and
// commits, and started again on the same profile. SOAK=full does it 200 times.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launch } from "../kit/browser.mjs";
import { agree, found, Killed, Party, serveParty, Service, Tab } from "./room.mjs";

const full = process.env.SOAK === "full";
const runs = full ? 200 : 8;

describe("a browser that is killed", { timeout: full ? 3_600_000 : 110_000 }, () => {
  const profile = mkdtempSync(join(tmpdir(), "webmls-crash-"));
  let server, steady;

  before(async () => {
    server = await serveParty();
    steady = await launch();
  });

  after(async () => {
    await steady?.close();
    await server?.stop();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });

  test(`${runs} times`, async (t) => {
    const bob = await Tab.open(steady, server.url, "bob");
    let service, alice, other;
    let texts = 0;
    let dropped = 0;
    const groups = [];

    for (let run = 0; run <= runs; run++) {
      const browser = await launch({ userDataDir: profile });
      const tab = await Tab.open(browser, server.url, "alice");
      const witnessed = await tab.must("witness");
      if (run > 0 && !tab.hasGroup) {
        // A browser that is killed may begin anew with the storage of all pages:
        // Chromium did so in about one of 100 starts on a busy machine.
        assert.ok(!witnessed, "the group is gone");
        assert.ok(++dropped <= 1 + runs / 20, "the browser keeps nothing");
      }
      if (!tab.hasGroup) {
        service = new Service();
        alice = new Party(service, "alice");
        other = new Party(service, "bob");
        groups.push({ service, alice, other });
        await found(service, tab, bob);
      }

      // Everything that was received is there, the group goes on, and the other
      // side reads what is sent: no generation has come twice.
      if (service.log[alice.at]) service.log[alice.at].uncertain = true;
      await alice.complete(tab);
      const pending = await tab.must("pendingCommit");
      if (pending && !service.publishCommit("alice", pending)) alice.counts.lost++;
      await alice.catchUp(tab);
      await alice.send(tab, `alice ${++texts}, back again`);
      await other.catchUp(bob);
      await agree([tab, bob]);
      if (run === runs) {
        await alice.complete(tab);
        await other.complete(bob);
        await browser.close();
        break;
      }

      let working = true;
      const loop = async (step) => {
        while (working) await step();
      };
      const work = [
        loop(() => alice.send(tab, `alice ${++texts}`)),
        loop(async () => {
          await alice.commit(tab);
          await sleep(Math.random() * 20);
        }),
        loop(async () => {
          if (!(await alice.receive([tab]))) await sleep(2);
        }),
        loop(async () => {
          if (Math.random() < 0.1) await alice.acknowledge(tab);
          else await sleep(5);
        }),
      ].map((promise) =>
        promise.catch((error) => {
          if (!(error instanceof Killed)) throw error;
        }),
      );
      const answering = loop(async () => {
        await other.catchUp(bob);
        if (Math.random() < 0.7) await other.send(bob, `bob ${++texts}`);
        else if (alice.behind < 10 && alice.epochsBehind < 3) await other.commit(bob); // past epochs are kept for a while only
        await sleep(5);
      });
      const killing = sleep(30 + Math.random() * 600).then(async () => {
        const gone = new Promise((resolve) => browser.process().once("exit", resolve));
        tab.killed();
        process.kill(-browser.process().pid, "SIGKILL"); // it leads a process group
        await gone;
        working = false;
      });
      await Promise.all([...work, answering, killing]);
      alice.killed();
    }
    t.diagnostic(`the browser has dropped its storage ${dropped} times`);
    for (const { service, alice, other } of groups) {
      t.diagnostic(JSON.stringify({ epoch: service.epoch, messages: service.log.length, alice: alice.counts, bob: other.counts }));
    }
  });
});
