// The extension as two people use it, each in a browser of their own, over a site
// that knows nothing of it: cards, an invitation, texts, changes that race, leaving.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Board } from "./kit/board.mjs";
import { browserWithExtensions, Extension, picture, until } from "./kit/extension.mjs";

const secrets = ["the heron lands at dusk", "the otter answers at dawn", "a third owl keeps the light"];
const title = "Lighthouse keepers";

describe("extension", { timeout: 180_000 }, () => {
  let board, failed;
  /** Each with a browser, the extension, and the board in a tab. */
  const alice = { name: "Alice" };
  const bob = { name: "Bob" };
  const people = [alice, bob];

  before(async () => {
    board = await Board.start();
    for (const person of people) {
      person.browser = await browserWithExtensions();
      person.extension = await Extension.install(person.browser, person.name);
      person.page = await person.browser.newPage();
      await person.page.goto(board.url);
    }
  });

  after(async () => {
    for (const { browser, extension } of people) {
      await browser?.close();
      extension?.remove();
    }
    await board?.stop();
  });

  const step = (name, body) =>
    test(name, async () => {
      assert.ok(!failed, `not tried after "${failed}" failed`);
      try {
        await body();
        for (const { extension } of people) assert.deepEqual(extension.faults, [], extension.name);
      } catch (error) {
        failed = name;
        for (const { extension, page } of people) {
          await picture(extension.page, `failed-${extension.name}`);
          await picture(page, `failed-${extension.name}-page`);
        }
        throw error;
      }
    });

  /** Clicks a button of the extension's page by what is on it. */
  const press = async (page, label, within = "body") => {
    const handle = await until(`"${label}" can be pressed`, async () => {
      const found = await page.evaluateHandle(
        (text, scope) => [...document.querySelectorAll(`${scope} button:not(:disabled), ${scope} summary`)].find((e) => (e.ariaLabel ?? e.textContent).trim() === text && e.checkVisibility()) ?? null,
        label,
        within,
      );
      return found.asElement() ?? undefined;
    });
    await handle.evaluate((e) => e.click());
  };

  /** Posts what is in the field of the board. */
  const post = async ({ page }) => {
    const before = board.posts.length;
    await page.evaluate(() => document.querySelector("form").requestSubmit());
    await until("it is posted", () => board.posts.length > before);
    return board.posts.at(-1).text;
  };

  /** Takes armor out of the popup's page, and types it into the board. */
  const armorIn = (page, scope) => until("there is armor", () => page.evaluate((where) => document.querySelector(`${where} code`)?.textContent, scope));

  /** Goes to the screen of the group. */
  const openGroup = async ({ extension: { page } }) => {
    await page.bringToFront();
    await page.reload();
    await press(page, "Groups").catch(() => {});
    await until("the group is listed", () => page.evaluate(() => document.querySelector("button.item") !== null));
    await page.evaluate((name) => [...document.querySelectorAll("button.item")].find((e) => e.textContent.includes(name)).click(), title);
    await page.waitForSelector("main.group");
  };

  const epoch = async ({ extension }) => (await extension.group(title))?.epoch;

  step("each gives a name", async () => {
    for (const { extension, name } of people) {
      await extension.page.bringToFront();
      await extension.page.type("#name", name);
      await press(extension.page, "Begin");
      await extension.page.waitForSelector("[role=tab]");
    }
  });

  step("is let into this page by the popup, and into the site for good by its switch", async () => {
    const popup = await alice.extension.popupOver(alice.page);
    await press(popup, "Open sealed texts");
    await until("it runs in the page", () => popup.evaluate(() => document.querySelector(".site .badge.good") !== null));
    assert.deepEqual((await alice.extension.state()).sites, []);
    await popup.close().catch(() => {});
    for (const person of people) {
      const second = await person.extension.popupOver(person.page);
      await second.evaluate(() => document.querySelector("input[role=switch]").click());
      await until("the site is allowed", async () => (await person.extension.state()).sites.length === 1);
      assert.deepEqual((await person.extension.state()).sites, [new URL(board.url).origin]);
      await until("it runs in the page", () => second.evaluate(() => document.querySelector(".site .badge.good") !== null));
      await second.close().catch(() => {});
    }
  });

  step("a card is found in a page, and its owner invited", async () => {
    board.post("Bob", `Hello all, this is my card: ${(await bob.extension.state()).me.card}. See you!`);
    await alice.page.bringToFront();
    await alice.extension.shows(alice.page, "Card of Bob");
    const { page } = alice.extension;
    await page.bringToFront();
    await page.type("input[name=title]", title);
    await press(page, "Make");
    await page.waitForSelector("main.group");
    await press(page, "Invite");
    await press(page, "Invite Bob");
    const armor = await armorIn(page, ".change.welcome");
    assert.match(armor, /^mls1\.welcome\./);
    await picture(page, "popup-group");
    board.post("Alice", armor);
    await press(page, "Done", ".change");
    assert.equal((await alice.extension.group(title)).members.length, 2);
  });

  step("an invitation is found in a page, and accepted in the popup", async () => {
    await bob.page.bringToFront();
    await bob.extension.shows(bob.page, `Invitation to “${title}” From Alice.`);
    await alice.extension.shows(alice.page, "Card of Bob");
    const { page } = bob.extension;
    await page.bringToFront();
    await page.waitForSelector(".invitation");
    await picture(page, "popup-invitation");
    await press(page, "Join");
    await page.waitForSelector("main.group");
    const [one, other] = [await alice.extension.group(title), await bob.extension.group(title)];
    assert.equal(one.safety, other.safety);
    assert.deepEqual(one.members.map(({ name }) => name), ["Alice", "Bob"]);
  });

  step("a text is written over the page, sealed into the field, and opened where it is posted", async () => {
    await alice.page.bringToFront();
    const frame = await alice.extension.composing(alice.page, "notes: draft");
    const area = await frame.waitForSelector("textarea");
    await until("the draft is in the frame", () => frame.evaluate(() => document.querySelector("textarea").value === "notes: draft"));
    await area.evaluate((e) => e.select());
    await area.type(secrets[0]);
    await picture(alice.page, "compose");
    await (await frame.waitForSelector("button.primary:not(:disabled)")).click();
    await until("the field has the sealed text", () => alice.page.evaluate(() => document.getElementById("field").value.startsWith("mls1.text.")));
    assert.ok(!(await alice.page.evaluate(() => document.documentElement.innerHTML)).includes("webmls-frame popover"));
    const armor = await post(alice);
    assert.ok(!armor.includes("notes"));
    await bob.page.bringToFront();
    await bob.extension.shows(bob.page, `Alice ${title} ${secrets[0]}`);
    await alice.page.bringToFront();
    await alice.extension.shows(alice.page, `You ${title} ${secrets[0]}`);
    await picture(bob.page, "page");
  });

  step("what was opened is there after a reload, and after the worker was stopped", async () => {
    assert.ok(await bob.extension.stop());
    await bob.page.bringToFront();
    await bob.page.reload();
    await bob.extension.shows(bob.page, secrets[0]);
    await alice.page.bringToFront();
    await alice.page.reload();
    await alice.extension.shows(alice.page, secrets[0]);
  });

  step("a text that mail has quoted and wrapped opens in the popup", async () => {
    const { armor } = await bob.extension.operate({ kind: "seal", group: (await bob.extension.group(title)).id, text: secrets[1] });
    const mail = `On Monday Bob wrote:\n> ${armor.replace(/.{60}/g, "$&\n> ")}\n> -- \n> Bob`;
    const { page } = alice.extension;
    await page.bringToFront();
    await page.reload();
    await press(page, "Open");
    await page.waitForSelector("#paste");
    await page.$eval("#paste", (e, text) => {
      e.value = text;
      e.dispatchEvent(new InputEvent("input", { bubbles: true }));
    }, mail);
    await press(page, "Open", "form");
    await until("it is opened", () => page.evaluate((text) => document.querySelector(".message .text")?.textContent === text, secrets[1]));
    const [damaged] = await alice.extension.paste(armor.slice(0, 200) + (armor[200] === "A" ? "B" : "A") + armor.slice(201));
    assert.equal(damaged.state, "damaged");
    board.post("Bob", armor); // opened elsewhere before, and shown again
    await alice.page.bringToFront();
    await alice.extension.shows(alice.page, secrets[1]);
  });

  step("of two changes of an epoch the one that is posted first counts, and the other is made again", async () => {
    const before = await epoch(alice);
    for (const person of people) {
      await openGroup(person);
      await press(person.extension.page, "Renew keys");
    }
    const first = await armorIn(bob.extension.page, ".change.to-post");
    const second = await armorIn(alice.extension.page, ".change.to-post");
    await picture(alice.extension.page, "popup-change");
    board.post("Bob", first);
    board.post("Alice", second);
    for (const person of people) {
      await person.page.bringToFront();
      await until("both are in the next epoch", async () => BigInt((await epoch(person)) ?? 0) === BigInt(before) + 1n);
    }
    const again = await until("it is made again", async () => (await alice.extension.group(title)).changes.find((change) => change.again && change.state === "to-post"));
    assert.notEqual(again.armor, second);
    board.post("Alice", again.armor);
    for (const person of people) {
      await person.page.bringToFront();
      await until("both are in the epoch after that", async () => BigInt(await epoch(person)) === BigInt(before) + 2n);
    }
    assert.equal((await alice.extension.group(title)).safety, (await bob.extension.group(title)).safety);
    assert.deepEqual((await alice.extension.group(title)).changes, []);
    assert.deepEqual((await bob.extension.group(title)).changes, []);
  });

  step("what is ahead waits, and is opened when the change before it has come", async () => {
    const { id } = await alice.extension.group(title);
    await alice.extension.operate({ kind: "renew", group: id });
    const [change] = (await alice.extension.group(title)).changes;
    await alice.extension.operate({ kind: "posted", group: id, change: change.id });
    const { armor } = await alice.extension.operate({ kind: "seal", group: id, text: secrets[2] });
    board.post("Alice", armor);
    await bob.page.bringToFront();
    await bob.extension.shows(bob.page, "1 change of the group must be opened first");
    assert.equal((await bob.extension.group(title)).ahead, 1);
    await bob.extension.stop();
    board.post("Alice", change.armor);
    await bob.extension.shows(bob.page, secrets[2]);
    assert.equal((await bob.extension.group(title)).ahead, 0);
  });

  step("who asks to leave is removed by a member, and reads no more", async () => {
    await openGroup(bob);
    await press(bob.extension.page, "Leave");
    board.post("Bob", await armorIn(bob.extension.page, "section[aria-label=Leaving]"));
    await alice.page.bringToFront();
    await alice.extension.shows(alice.page, "Bob asks to leave");
    const { id, members } = await alice.extension.group(title);
    const leaving = members.find((member) => member.leaving);
    assert.equal(leaving.name, "Bob");
    // It holds up no text.
    board.post("Alice", (await alice.extension.operate({ kind: "seal", group: id, text: "goodbye" })).armor);
    await bob.page.bringToFront();
    await bob.extension.shows(bob.page, "goodbye");
    await alice.extension.operate({ kind: "remove", group: id, leaf: leaving.leaf });
    const [change] = (await alice.extension.group(title)).changes;
    board.post("Alice", change.armor);
    await until("Bob is removed", async () => (await bob.extension.group(title)).status === "removed");
    await alice.page.bringToFront();
    await until("Alice is alone", async () => (await alice.extension.group(title)).members.length === 1);
    board.post("Alice", (await alice.extension.operate({ kind: "seal", group: id, text: "alone again" })).armor);
    await alice.extension.shows(alice.page, "alone again");
    assert.ok(!(await bob.extension.shownIn(bob.page)).some((text) => text.includes("alone again")));
    await bob.extension.operate({ kind: "forget", group: id });
    assert.equal(await bob.extension.group(title), undefined);
  });
});
