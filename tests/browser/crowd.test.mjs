// Six people, each in two tabs, in three browser contexts, one of them of Firefox:
// they chat while people join, leave and are removed, and while a tab is killed. In the end
// everybody has read the same: what each said, all of it, once; what was said in one tab in that
// order, and what was said in two at once in an order that is the same for all who hear it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launch, launchFirefox } from "./kit/browser.mjs";
import { built } from "./kit/paths.mjs";
import { Person } from "./kit/person.mjs";
import { Service } from "./kit/service.mjs";

const title = "Harbour";
const total = 500;
const names = ["ann", "ben", "cleo", "dan", "eve", "finn"];

/** Somebody with two tabs, who speaks now in one and now in the other. */
class Pair {
  constructor(name, context, url) {
    Object.assign(this, { name, context, url, tabs: [], opened: 0, said: [] });
  }

  async enter() {
    await (await this.#arrive()).enter();
    await this.#second();
  }

  async #arrive() {
    const tab = await Person.arrive(this.context, this.name, this.url);
    tab.number = this.opened++;
    this.tabs.push(tab);
    return tab;
  }

  /** The second tab finds the name in the address of the first. */
  async #second() {
    const tab = await this.#arrive();
    await tab.page.goto(this.tabs[0].page.url());
    await tab.ready();
  }

  /** A tab, in front: what is behind is not drawn, and cannot be clicked on or scrolled. */
  async front(i) {
    await this.tabs[i].page.bringToFront();
    return this.tabs[i];
  }

  async open() {
    for (const i of [0, 1]) await (await this.front(i)).openConversation(title);
  }

  async leave() {
    const tab = await this.front(0);
    const { page } = tab;
    await tab.show("people");
    await page.locator("button.leave").click();
    await page.locator("button.confirm-leave").click();
  }

  get tab() {
    return this.tabs[this.said.length % this.tabs.length];
  }

  async say(count) {
    for (let i = 0; i < count; i++) {
      const { tab } = this;
      const text = `${this.name} says ${this.said.length} in ${tab.number}`;
      await tab.say(text);
      this.said.push(text);
    }
  }

  /** A tab is gone, in whatever it was doing, once it shows what was said in it; another one is opened. */
  async lose(gone) {
    const lost = await this.front(0);
    const spoken = this.said.findLast((text) => text.endsWith(` in ${lost.number}`));
    await lost.watched.until("it shows the last text", (text) => [...document.querySelectorAll(".entry .text")].some((e) => e.textContent === text), spoken);
    this.tabs.shift();
    if (this.context.browser().wsEndpoint().includes("devtools")) {
      const session = await lost.page.createCDPSession();
      await Promise.race([session.send("Page.crash").catch(() => {}), new Promise((resolve) => lost.page.once("error", resolve))]);
    }
    await lost.page.close().catch(() => {});
    gone();
    await this.#second();
    await (await this.front(1)).openConversation(title);
  }
}

/** What was said, as a tab shows it, which is in front. Rows that come or grow while it is read through are missed: then once more. */
async function textsIn(tab) {
  for (let tries = 0; ; tries++) {
    const rows = await tab.rows();
    const all = Number(rows.at(-1)?.place.split("/")[1] ?? 0);
    if (rows.length === all || tries === 10) return rows.filter(({ note }) => !note);
  }
}

describe("a crowd", { timeout: 300_000 }, () => {
  let service, chromium, firefox, people;
  const by = {};

  before(async () => {
    service = await Service.start(built("web/chat/dist"));
    [chromium, firefox] = await Promise.all([launch(), launchFirefox()]);
    const contexts = [await chromium.createBrowserContext(), await chromium.createBrowserContext(), await firefox.createBrowserContext()];
    people = names.map((name, i) => (by[name] = new Pair(name, contexts[i % 3], service.url)));
  });

  after(async () => {
    await Promise.allSettled([chromium?.close(), firefox?.close()]);
    await service?.stop();
    service?.clear();
  });

  test(`reads the same ${total} messages, whoever joins, leaves, and is killed`, async () => {
    try {
      await chat();
    } catch (error) {
      for (const person of people) for (const i of person.tabs.keys()) await (await person.front(i)).watched.save(`crowd-${i}`);
      throw error;
    }
  });

  async function chat() {
    for (const person of people) await person.enter();
    const { ann, ben, cleo, dan, eve, finn } = by;
    await (await ann.front(0)).createGroup(title);
    for (const name of ["ben", "cleo", "dan"]) await (await ann.front(0)).invite(name);
    const inside = [ann, ben, cleo, dan];
    for (const person of inside) await person.open();

    /** What everybody has said so far, by whom: where somebody begins to read, or stops. */
    const sofar = () => Object.fromEntries(people.map(({ name, said }) => [name, said.length]));
    const [from, until] = [{}, {}];
    for (const { name } of inside) from[name] = sofar();

    let left = total;
    const round = async (count) => {
      left -= count * inside.length;
      assert.ok(left >= 0);
      await Promise.all(inside.map((person) => person.say(count)));
    };
    /** All that was said has reached all who are inside. */
    const settle = async () => {
      for (const person of inside) {
        const tab = await person.front(0);
        const wanted = people.reduce((sum, { name, said }) => sum + said.length - (from[person.name][name] ?? 0), 0);
        const deadline = Date.now() + 60_000;
        for (let count = -1; count !== wanted; await sleep(200)) {
          const texts = (await textsIn(tab)).map(({ text }) => text);
          count = texts.length;
          if (Date.now() < deadline) continue;
          const missing = people.flatMap(({ name, said }) => said.slice(from[person.name][name])).filter((text) => !texts.includes(text));
          throw new Error(`${person.name} has ${count} texts, not ${wanted}: ${missing}`);
        }
      }
    };

    await round(25); // 100
    // One tab dies with messages on their way: it shows them, and the service has not answered.
    service.freeze();
    await round(10); // 40 more
    await ben.lose(() => service.thaw());
    await settle();
    from.eve = sofar();
    await (await ann.front(0)).invite("eve");
    inside.push(eve);
    await eve.open();
    await round(20); // 100 more
    await settle();
    // Somebody else invites, while the others go on.
    from.finn = sofar();
    await (await ben.front(1)).invite("finn");
    inside.push(finn);
    await finn.open();
    await round(15); // 90 more
    await settle();
    // Ben leaves: another member lets him out. Dan is removed.
    until.ben = sofar();
    await ben.leave();
    for (const tab of [await ann.front(0), await cleo.front(1)]) await tab.members(["ann", "cleo", "dan", "eve", "finn"]);
    inside.splice(inside.indexOf(ben), 1);
    until.dan = sofar();
    await (await cleo.front(1)).remove("dan");
    inside.splice(inside.indexOf(dan), 1);
    await round(Math.floor(left / inside.length));
    await ann.say(left);
    left = 0;
    await settle();
    assert.equal(people.reduce((sum, { said }) => sum + said.length, 0), total);

    const order = {};
    for (const person of [ann, cleo, ...people]) {
      for (const i of [0, 1]) {
        const tab = await person.front(i);
        const rows = await textsIn(tab);
        for (const { name, said, opened } of people) {
          const wanted = said.slice(from[person.name][name], until[person.name]?.[name]);
          const heard = rows.filter(({ sender }) => sender === name).map(({ text }) => text);
          const what = `${name}'s texts at ${person.name}`;
          assert.deepEqual([...heard].sort(), [...wanted].sort(), what);
          for (let number = 0; number < opened; number++) {
            const ofTab = (texts) => texts.filter((text) => text.endsWith(` in ${number}`));
            assert.deepEqual(ofTab(heard), ofTab(wanted), what);
          }
          if (name === person.name) continue;
          // Ann and Cleo were there all the time.
          order[name] ??= heard;
          assert.deepEqual(heard, order[name].filter((text) => wanted.includes(text)), what);
        }
        await tab.allSent();
        assert.deepEqual(await tab.alerts(), [], person.name);
      }
    }
    // Whoever is inside sees the same epoch and the same safety number in both tabs.
    const { epoch, safety } = await (await ann.front(0)).security();
    for (const person of inside) {
      for (const i of [0, 1]) {
        const tab = await person.front(i);
        await tab.epoch(epoch);
        assert.equal((await tab.security()).safety, safety);
      }
    }
    for (const { tabs } of people) for (const { watched } of tabs) assert.deepEqual(watched.faults, [], watched.label);
  }
});
