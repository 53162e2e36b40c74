// The browser may stop the extension's service worker at any moment. Here it is stopped
// between and in the middle of operations of every kind, at many delays; nothing is lost, nothing is
// doubled, no key is used twice. Two installations of the extension in one browser talk.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { browserWithExtensions, Extension } from "./kit/extension.mjs";

/** When the worker is stopped after an operation was asked for, in ms: while it starts, in the midst of it, behind it. */
const all = [0, 4, 9, 15, 22, 30, 45, 70, 120, 250];
/** So many of them; all in the soak. */
const some = (count) => (process.env.SOAK === "full" ? all : all.filter((_, i) => Math.floor((i * count) / all.length) !== Math.floor(((i - 1) * count) / all.length)));
const title = "Stopped";

describe("an extension whose worker is stopped", { timeout: process.env.SOAK === "full" ? 900_000 : 240_000 }, () => {
  let browser, alice, bob;
  /** How often a worker was stopped, and of these while its operation was not yet answered. */
  const stops = { all: 0, within: 0 };
  /** What Alice has sealed, by its armor. */
  const sealed = new Map();

  before(async () => {
    browser = await browserWithExtensions();
    alice = await Extension.install(browser, "Alice", []);
    bob = await Extension.install(browser, "Bob", []);
    for (const one of [alice, bob]) await one.operate({ kind: "enroll", name: one.name });
  });

  after(async () => {
    await browser?.close();
    alice?.remove();
    bob?.remove();
  });

  /** Does something, and stops the worker a while after it has begun. */
  const stopped = async (extension, delay, action) => {
    let answered = false;
    const stopping = sleep(delay).then(async () => {
      const within = !answered;
      if (await extension.stop()) {
        stops.all++;
        if (within) stops.within++;
      }
    });
    try {
      return await action();
    } finally {
      answered = true;
      await stopping;
    }
  };

  /** Opens one message, and says what it was. */
  const open = async (extension, armor) => {
    const views = await extension.paste(armor);
    assert.equal(views.length, 1);
    return views[0];
  };

  const texts = async (extension, group) => (await extension.ask({ type: "history", group })).filter(({ kind }) => kind === "text").map(({ text }) => text);

  const inStep = async () => {
    const [one, other] = [await alice.group(title), await bob.group(title)];
    assert.equal(one.epoch, other.epoch);
    assert.equal(one.safety, other.safety);
    return one;
  };

  test("while it makes a group and a card, invites and joins", async () => {
    for (const [i, delay] of some(4).entries()) {
      const name = `Group ${i}`;
      await stopped(alice, delay, () => alice.operate({ kind: "create", name }));
      const groups = (await alice.state()).groups.filter((group) => group.name === name);
      assert.equal(groups.length, 1, name);
      const [{ id }] = groups;
      const { me } = await stopped(bob, delay, () => bob.state());
      const card = await stopped(alice, delay, () => open(alice, me.card));
      assert.equal(card.name, "Bob");
      const { key } = (await alice.state()).people.find((person) => person.name === "Bob");
      await stopped(alice, delay, () => alice.operate({ kind: "invite", group: id, people: [key] }));
      const { changes, members } = await alice.group(name);
      assert.equal(members.length, 2);
      assert.deepEqual(changes.map(({ state }) => state), ["welcome"]);
      const welcome = await stopped(bob, delay, () => open(bob, changes[0].armor));
      assert.equal(welcome.name, name);
      const [invitation] = (await bob.state()).invitations;
      assert.deepEqual(await stopped(bob, delay, () => bob.operate({ kind: "join", invitation: invitation.id })), { group: id });
      assert.deepEqual((await bob.state()).invitations, []);
      assert.equal((await bob.group(name)).safety, (await alice.group(name)).safety);
      for (const one of [alice, bob]) await stopped(one, delay, () => one.operate({ kind: "forget", group: id }));
      for (const one of [alice, bob]) assert.equal((await one.state()).groups.length, 0);
    }
    assert.equal((await alice.state()).people.length, 1);
  });

  test("while it seals and opens texts", async () => {
    await alice.operate({ kind: "create", name: title });
    const { id } = await alice.group(title);
    const { key } = (await alice.state()).people.find((person) => person.name === "Bob");
    await alice.operate({ kind: "invite", group: id, people: [key] });
    const [welcome] = (await alice.group(title)).changes;
    await alice.operate({ kind: "settle", group: id, change: welcome.id });
    await open(bob, welcome.armor);
    await bob.operate({ kind: "join", invitation: (await bob.state()).invitations[0].id });
    for (const [i, delay] of some(8).entries()) {
      for (const part of ["one", "two"]) {
        const text = `text ${i} ${part}`;
        const { armor } = await stopped(alice, delay, () => alice.operate({ kind: "seal", group: id, text }));
        assert.ok(!sealed.has(armor));
        sealed.set(armor, text);
        const view = await stopped(bob, delay, () => open(bob, armor));
        assert.deepEqual([view.state, view.text, view.sender?.name], ["open", text, "Alice"]);
        assert.equal((await open(alice, armor)).text, text);
      }
    }
  });

  test("while it opens many at once", async () => {
    const { id } = await alice.group(title);
    for (const delay of process.env.SOAK === "full" ? [30, 60, 90, 120, 180, 240, 320] : [60, 180, 300]) {
      const armors = [];
      for (let i = 0; i < 12; i++) {
        const text = `of ${delay}, number ${i}`;
        const { armor } = await alice.operate({ kind: "seal", group: id, text });
        armors.push(armor);
        sealed.set(armor, text);
      }
      const views = await stopped(bob, delay, () => bob.paste(armors.join("\n")));
      assert.deepEqual(views.map(({ text }) => text), armors.map((armor) => sealed.get(armor)));
    }
  });

  test("while a change is made, posted and opened", async () => {
    const { id } = await alice.group(title);
    for (const delay of some(6)) {
      const { epoch } = await inStep();
      await stopped(alice, delay, () => alice.operate({ kind: "renew", group: id }));
      const { changes } = await alice.group(title);
      assert.deepEqual(changes.map(({ state }) => state), ["to-post"]);
      assert.equal((await alice.group(title)).epoch, epoch);
      if (delay % 2 === 0) await stopped(alice, delay, () => alice.operate({ kind: "posted", group: id, change: changes[0].id }));
      else assert.equal((await stopped(alice, delay, () => open(alice, changes[0].armor))).state, "open");
      assert.deepEqual((await alice.group(title)).changes, []);
      const view = await stopped(bob, delay, () => open(bob, changes[0].armor));
      assert.equal(view.state, "open");
      assert.equal(BigInt((await inStep()).epoch), BigInt(epoch) + 1n);
    }
  });

  test("while a change is withdrawn, and while one is overtaken", async () => {
    const { id } = await alice.group(title);
    for (const delay of some(4)) {
      await alice.operate({ kind: "renew", group: id });
      const [dropped] = (await alice.group(title)).changes;
      await stopped(alice, delay, () => alice.operate({ kind: "withdraw", group: id, change: dropped.id }));
      assert.deepEqual((await alice.group(title)).changes, []);
      await alice.operate({ kind: "renew", group: id });
      await bob.operate({ kind: "renew", group: id });
      const [first] = (await bob.group(title)).changes;
      await bob.operate({ kind: "posted", group: id, change: first.id });
      assert.equal((await stopped(alice, delay, () => open(alice, first.armor))).state, "open");
      const [again] = (await alice.group(title)).changes;
      assert.deepEqual([again.again, again.state], [true, "to-post"]);
      await alice.operate({ kind: "posted", group: id, change: again.id });
      await open(bob, again.armor);
      await inStep();
    }
  });

  test("while a member leaves and is removed, and comes back", async () => {
    const { id } = await alice.group(title);
    const { key } = (await alice.state()).people.find((person) => person.name === "Bob");
    for (const delay of some(4)) {
      const { armor } = await stopped(bob, delay, () => bob.operate({ kind: "leave", group: id }));
      assert.equal((await bob.group(title)).leaveArmor, armor);
      assert.equal((await stopped(alice, delay, () => open(alice, armor))).state, "open");
      const { leaf } = (await alice.group(title)).members.find((member) => member.leaving);
      await stopped(alice, delay, () => alice.operate({ kind: "remove", group: id, leaf }));
      const [change] = (await alice.group(title)).changes;
      await stopped(alice, delay, () => alice.operate({ kind: "posted", group: id, change: change.id }));
      await stopped(bob, delay, () => open(bob, change.armor));
      assert.equal((await bob.group(title)).status, "removed");
      await alice.operate({ kind: "invite", group: id, people: [key] });
      const [welcome] = (await alice.group(title)).changes;
      await alice.operate({ kind: "settle", group: id, change: welcome.id });
      await open(bob, welcome.armor);
      await stopped(bob, delay, async () => bob.operate({ kind: "join", invitation: (await bob.state()).invitations[0].id }));
      await inStep();
    }
  });

  test("nothing was lost, nothing doubled, and no key used twice", async () => {
    const { id } = await alice.group(title);
    const released = [...sealed.values()];
    assert.equal(new Set(released).size, released.length);
    // Each piece of armor that was released opened, once: a key used twice would have left the second unopened.
    const sorted = (list) => list.slice().sort();
    assert.deepEqual(sorted(await texts(bob, id)), sorted(released));
    assert.deepEqual(sorted(await texts(alice, id)), sorted(released));
    for (const one of [alice, bob]) assert.deepEqual(one.faults, [], one.name);
    const count = `the worker was stopped ${stops.all} times, ${stops.within} of these before it had answered`;
    assert.ok(stops.all > 50 && stops.within > 25, count);
    console.log(count);
  });
});
