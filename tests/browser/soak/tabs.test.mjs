// Four tabs on one database send and commit in one group at the same time, and
// one of them is killed every few seconds. SOAK=full runs 2,000 operations.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launch } from "../kit/browser.mjs";
import { agree, found, Killed, Party, serveParty, Service, Tab } from "./room.mjs";

const full = process.env.SOAK === "full";
const operations = full ? 2000 : 200;
const pause = full ? 3000 : 1200; // milliseconds between kills

describe("four tabs", { timeout: full ? 3_600_000 : 110_000 }, () => {
  let server, browser;

  before(async () => {
    server = await serveParty();
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test(`${operations} operations, and a tab killed every ${pause} ms`, async (t) => {
    const service = new Service();
    const here = await browser.createBrowserContext();
    const there = await browser.createBrowserContext();
    const bob = await Tab.open(there, server.url, "bob");
    const tabs = [await Tab.open(here, server.url, "alice")];
    await found(service, tabs[0], bob);
    for (let i = 1; i < 4; i++) {
      tabs.push(await Tab.open(here, server.url, "alice"));
      assert.ok(tabs[i].hasGroup);
    }

    const alice = new Party(service, "alice");
    const other = new Party(service, "bob");
    let left = operations;
    let texts = 0;
    let kills = 0;
    const failures = [];
    // Until all is done, and everything has happened once.
    const working = () =>
      failures.length === 0 && (left > 0 || kills < 2 || alice.counts.commits === 0 || other.counts.commits === 0);

    // Each place has a tab, and a new one when that is killed.
    const place = async (i) => {
      while (working()) {
        const tab = tabs[i];
        if (alice.behind > 12) {
          await sleep(10); // let what comes in catch up
          continue;
        }
        try {
          left--;
          const dice = Math.random();
          if (dice < 0.7) await alice.send(tab, `alice ${++texts}`);
          // Past epochs are kept for a while only: five, and each tab may be about to begin one.
          else if (dice < 0.85 && alice.epochsBehind < 2) await alice.commit(tab);
          else await alice.acknowledge(tab);
          // What comes in waits for the same lock: leave it its share.
          await sleep(Math.random() * 60);
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
          if (tabs[i] === tab) await sleep(20);
        }
      }
    };
    // The log is given to the tabs in order, sometimes to two at once.
    const listen = async () => {
      while (working() || alice.at < service.log.length) {
        if (failures.length > 0) return;
        const living = tabs.filter((tab) => tab.alive).sort(() => Math.random() - 0.5);
        const got = living.length > 0 && (await alice.receive(living.slice(0, Math.random() < 0.2 ? 2 : 1)));
        if (!got) await sleep(5);
      }
    };
    const answer = async () => {
      while (working() || other.at < service.log.length) {
        if (failures.length > 0) return;
        await other.catchUp(bob);
        if (!working()) continue;
        if (alice.behind > 12) {
          await sleep(10);
          continue;
        }
        if (Math.random() < 0.7) await other.send(bob, `bob ${++texts}`);
        else if (alice.epochsBehind < 2) await other.commit(bob);
        await sleep(10);
      }
    };
    const kill = async () => {
      while (working()) {
        await sleep(pause);
        if (!working()) return;
        const i = Math.floor(Math.random() * tabs.length);
        const tab = tabs[i];
        const session = await tab.page.createCDPSession();
        session.send("Page.crash").catch(() => {});
        await new Promise((resolve) => tab.page.once("error", resolve));
        tab.killed();
        await tab.page.close().catch(() => {});
        kills++;
        tabs[i] = await Tab.open(here, server.url, "alice");
      }
    };
    const watch = (promise) => promise.catch((error) => failures.push(error));
    await Promise.all([0, 1, 2, 3].map((i) => watch(place(i))).concat([watch(listen()), watch(answer()), watch(kill())]));
    if (failures.length > 0) throw failures[0];

    await other.catchUp(bob);
    await alice.catchUp(tabs[0]);
    const state = await agree([...tabs, bob]);
    for (const tab of tabs) await alice.complete(tab);
    await other.complete(bob);
    t.diagnostic(JSON.stringify({ kills, epoch: state.epoch, messages: service.log.length, alice: alice.counts, bob: other.counts }));
  });
});
