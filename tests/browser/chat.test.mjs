// The chat, over the real delivery service, by two people in two browser
// contexts, which share nothing. At the end what the service has stored is
// searched for what was said.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launch, Watched } from "./kit/browser.mjs";
import { built } from "./kit/paths.mjs";
import { Person } from "./kit/person.mjs";
import { filesIn, formsOf, search } from "./kit/search.mjs";
import { Service } from "./kit/service.mjs";

const rounds = 50;
const title = "Lighthouse keepers";
const secrets = { alice: "the heron lands at dusk", bob: "the otter answers at dawn" };
const texts = (name, from, count) => Array.from({ length: count }, (_, i) => `${secrets[name]}, message ${from + i}`);

describe("chat", { timeout: 110_000 }, () => {
  let service, browser, alice, bob, failed;
  const said = { alice: [], bob: [] };

  before(async () => {
    service = await Service.start(built("web/chat/dist"));
    browser = await launch();
    alice = await Person.arrive(await browser.createBrowserContext(), "alice", service.url);
    bob = await Person.arrive(await browser.createBrowserContext(), "bob", service.url);
  });

  after(async () => {
    await browser?.close();
    service?.thaw();
    await service?.stop();
    service?.clear();
  });

  /** A test that leaves pictures when it fails; what follows it is not tried then. */
  const step = (name, body) =>
    test(name, async () => {
      assert.ok(!failed, `not tried after "${failed}" failed`);
      try {
        await body();
        for (const { watched } of [alice, bob]) assert.deepEqual(watched.faults, [], watched.label);
      } catch (error) {
        failed = name;
        for (const { watched } of [alice, bob]) await watched?.save(name);
        throw error;
      }
    });

  const talk = async (person, count) => {
    const batch = texts(person.name, said[person.name].length, count);
    for (const text of batch) await person.say(text);
    said[person.name].push(...batch);
    return batch;
  };

  /** Both show the same epoch and the same safety number; returns the epoch. */
  const agree = async () => {
    const { epoch, safety } = await alice.security();
    await bob.epoch(epoch);
    const other = await bob.security();
    assert.equal(other.safety, safety);
    assert.match(safety, /^\d{5}( \d{5}){5}$/);
    return { epoch, safety };
  };

  step("two people give their names", async () => {
    await Promise.all([alice.enter(), bob.enter()]);
  });

  step("a name that somebody else has is refused in words", async () => {
    const thief = await Person.arrive(await browser.createBrowserContext(), "alice", service.url);
    await thief.page.goto(service.url);
    await thief.page.locator("#name").fill("alice");
    await thief.page.locator("form button[type=submit]").click();
    await thief.watched.until("it is refused", () => document.querySelector(".alert p")?.textContent);
    assert.match((await thief.alerts())[0], /belongs to another device/);
    await thief.watched.until("a link code is asked for, should it be the same person", () => document.querySelector("label[for=name]").textContent === "Link code");
    await thief.context.close();
  });

  step("alice starts a group and invites bob", async () => {
    await alice.createGroup(title);
    assert.equal((await alice.security()).epoch, 0);
    await alice.invite("bob");
    await bob.openConversation(title);
    await bob.members(["alice", "bob"]);
    assert.equal((await agree()).epoch, 1);
  });

  step("an invitation of nobody is refused in words", async () => {
    await alice.show("people");
    await alice.page.locator("input[name=invite]").fill("nobody at all");
    await alice.page.locator(".invite button").click();
    await alice.watched.until("it is refused", () => document.querySelector(".alert p") !== null);
    assert.match((await alice.alerts())[0], /Nobody of this name can be invited now/);
    await alice.page.locator(".alert button").click();
  });

  step(`each sends ${rounds} messages, which arrive once and in order`, async () => {
    await Promise.all([talk(alice, rounds), talk(bob, rounds)]);
    for (const person of [alice, bob]) {
      for (const name of ["alice", "bob"]) {
        await person.hasTexts(name, rounds);
        assert.deepEqual(await person.textsOf(name), said[name], `${name}'s texts at ${person.name}`);
      }
      await person.allSent();
    }
  });

  step("bob reloads, finds the group and goes on", async () => {
    await bob.reload();
    await bob.showing(title);
    for (const name of ["alice", "bob"]) assert.deepEqual(await bob.textsOf(name), said[name]);
    await agree();
    await talk(bob, 1);
    await talk(alice, 1);
    for (const person of [alice, bob]) {
      for (const name of ["alice", "bob"]) {
        await person.hasTexts(name, said[name].length);
        assert.deepEqual(await person.textsOf(name), said[name]);
      }
    }
  });

  step("both update their keys at once, and both succeed", async () => {
    const { epoch, safety } = await agree();
    await Promise.all([alice.renew(), bob.renew()]);
    await Promise.all([alice.epoch(epoch + 2), bob.epoch(epoch + 2)]);
    await alice.note("You renewed your keys");
    await bob.note("You renewed your keys");
    assert.notEqual((await agree()).safety, safety);
  });

  step("the answer to alice's commit is lost, and bob's commit follows; hers counts once", async () => {
    const { epoch } = await agree();
    await alice.deafen();
    await alice.renew();
    await bob.epoch(epoch + 1);
    await bob.renew();
    await bob.epoch(epoch + 2);
    assert.equal((await alice.security()).epoch, epoch);
    await alice.reconnectWithoutLog();
    await alice.hearsStale(); // the service does not know any more whose the commit was
    await sleep(300);
    await alice.releaseLog();
    await alice.epoch(epoch + 2);
    await alice.watched.until("nothing is under way", () => document.querySelector(".progress").textContent === "");
    await talk(alice, 1);
    await talk(bob, 1);
    for (const person of [alice, bob]) for (const name of ["alice", "bob"]) await person.hasTexts(name, said[name].length);
    assert.equal((await agree()).epoch, epoch + 2);
  });

  step("alice's tab is killed in the middle of a commit and a message; both get through", async () => {
    const { epoch } = await agree();
    service.freeze();
    await alice.renew();
    await alice.watched.until("the commit is on its way", () => document.querySelector(".progress").textContent === "Updating your keys…");
    await talk(alice, 1);
    await alice.watched.until("the message is on its way", () => document.querySelector(".state[data-state=sending]") !== null);
    const address = alice.page.url();
    await alice.page.close();
    service.thaw();
    const { faults } = alice.watched;
    alice.watched = await Watched.open(alice.context, "alice");
    alice.watched.faults.push(...faults);
    await alice.page.goto(address);
    await alice.ready();
    await alice.showing(title);
    await alice.epoch(epoch + 1);
    await bob.hasTexts("alice", said.alice.length);
    assert.deepEqual(await bob.textsOf("alice"), said.alice);
    assert.deepEqual(await alice.textsOf("alice"), said.alice);
    await alice.allSent();
    assert.equal((await agree()).epoch, epoch + 1);
  });

  let unheard;
  step("alice removes bob, who sees it and reads nothing that is said later", async () => {
    await alice.remove("bob");
    await bob.note("alice removed you from the group");
    await bob.watched.until("he cannot write", () => document.querySelector(".removed") !== null && document.querySelector("textarea") === null);
    unheard = await talk(alice, 3);
    await alice.allSent();
    await bob.reload();
    await bob.showing(title);
    const seen = await bob.textsOf("alice");
    for (const text of unheard) assert.ok(!seen.includes(text), text);
  });

  step("alice invites bob again, and they chat on", async () => {
    await alice.invite("bob");
    await bob.members(["alice", "bob"]);
    await bob.note("You were invited again");
    await agree();
    const fresh = { alice: await talk(alice, 3), bob: await talk(bob, 3) };
    await bob.hasTexts("alice", said.alice.length - unheard.length);
    await alice.hasTexts("bob", said.bob.length);
    assert.deepEqual(await bob.textsOf("alice"), said.alice.filter((text) => !unheard.includes(text)));
    assert.deepEqual(await alice.textsOf("alice"), said.alice);
    for (const person of [alice, bob]) {
      assert.deepEqual((await person.textsOf("bob")).slice(-3), fresh.bob);
      assert.deepEqual(await person.textsOf("bob"), said.bob);
      await person.allSent();
    }
    await agree();
  });

  step("bob was away while he was removed and invited again", async () => {
    const address = bob.page.url();
    await bob.page.goto("about:blank");
    await alice.remove("bob");
    await alice.invite("bob");
    await talk(alice, 1);
    await bob.page.goto(address);
    await bob.ready();
    await bob.showing(title);
    await bob.hasTexts("alice", said.alice.length - unheard.length);
    assert.deepEqual(await bob.textsOf("alice"), said.alice.filter((text) => !unheard.includes(text)));
    await agree();
  });

  step("nothing went wrong in the pages, and it would have been seen", async () => {
    for (const { watched } of [alice, bob]) {
      assert.deepEqual(watched.faults, []);
      assert.deepEqual(await watched.page.evaluate(() => [...document.querySelectorAll(".alert p")].map((e) => e.textContent)), []);
    }
    const probe = await Watched.open(await browser.createBrowserContext(), "probe");
    await probe.page.goto(service.url);
    // In the page no string becomes markup or a script.
    for (const sink of ["document.body.innerHTML = '<b>bold</b>'", "document.createElement('script').textContent = 'globalThis.ran = true'", "new Worker('/app.js')"]) {
      await assert.rejects(probe.page.evaluate(sink), /Trusted|not a script of this page/, sink);
    }
    probe.faults.length = 0;
    // What the service serves runs no inline script, without that as well.
    await probe.page.goto(`${service.url}app.css`);
    await probe.page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "globalThis.ran = true";
      document.body.append(script);
    });
    await probe.until("the policy stops an inline script", () => globalThis.ran === undefined);
    const deadline = Date.now() + 5000;
    while (!probe.faults.some((fault) => fault.startsWith("policy")) && Date.now() < deadline) await new Promise((r) => setTimeout(r, 20));
    assert.ok(probe.faults.some((fault) => fault.startsWith("policy script-src")), String(probe.faults));
    assert.ok(probe.faults.some((fault) => fault.startsWith("console error")), String(probe.faults));
  });

  step("what the service stored holds nothing of what was said", async () => {
    await browser.close();
    await service.stop();
    assert.ok(filesIn(service.data).length > 0);
    assert.deepEqual(search(service.data, [...Object.values(secrets), title]), []);
    // The search can find: the service keeps names in the clear.
    const names = search(service.data, ["alice"]);
    assert.ok(names.some((found) => found.includes("raw of alice")), "the name alice was not found");
  });
});

test("the search finds a text in every form", () => {
  const folder = mkdtempSync(join(tmpdir(), "webmls-search-"));
  try {
    const text = "the heron lands — at dusk";
    const around = (bytes, offset) => Buffer.concat([Buffer.from("x".repeat(offset)), bytes, Buffer.from("yz")]);
    const planted = {
      raw: around(Buffer.from(text), 7),
      "utf-16le": Buffer.from(`a${text}b`, "utf16le"),
      "utf-16be": Buffer.from(`a${text}b`, "utf16le").swap16(),
      hex: Buffer.from(around(Buffer.from(text), 3).toString("hex")),
      HEX: Buffer.from(around(Buffer.from(text), 3).toString("hex").toUpperCase()),
    };
    for (const offset of [0, 1, 2]) {
      planted[`base64+${offset}`] = Buffer.from(around(Buffer.from(text), offset + 3).toString("base64"));
      planted[`base64url+${offset}`] = Buffer.from(around(Buffer.from(text), offset + 3).toString("base64url"));
    }
    assert.deepEqual(Object.keys(planted).sort(), Object.keys(formsOf(text)).sort());
    for (const [form, bytes] of Object.entries(planted)) {
      const file = join(folder, form.replace("HEX", "upper"));
      writeFileSync(file, bytes);
      assert.ok(search(folder, [text]).includes(`${file}: ${form} of ${text}`), form);
      rmSync(file);
    }
    writeFileSync(join(folder, "other"), "the heron lands at dawn");
    assert.deepEqual(search(folder, [text]), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
