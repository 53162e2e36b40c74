// What the extension looks like: axe finds nothing serious in its screens, light and dark, and
// pictures of them are kept for a person to look at.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Board } from "./kit/board.mjs";
import { answers, browserWithExtensions, Extension, picture, until } from "./kit/extension.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const title = "Lighthouse keepers";

describe("the extension's screens", { timeout: 120_000 }, () => {
  let board, browser, alice, bob, page;

  before(async () => {
    board = await Board.start();
    browser = await browserWithExtensions();
    alice = await Extension.install(browser, "Alice");
    bob = await Extension.install(browser, "Bob");
    await alice.page.setViewport({ width: 380, height: 600 });
  });

  after(async () => {
    await browser?.close();
    alice?.remove();
    bob?.remove();
    await board?.stop();
  });

  /** Lets axe look at a page or a frame. */
  const inspect = async (frame, name) => {
    await frame.evaluate(axe);
    const { violations } = await frame.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    assert.deepEqual(grave.map(({ id, nodes }) => `${name}: ${id} ${nodes.map(({ target }) => target)}`), []);
  };

  /** Looks at what a page shows, light and dark. */
  const look = async (name, frame = alice.page, shot = frame) => {
    for (const scheme of ["light", "dark"]) {
      await shot.bringToFront();
      await shot.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await sleep(200); // colours change gently
      await inspect(frame, `${name}, ${scheme}`);
      await picture(shot, `${name}-${scheme}`);
    }
  };

  const click = async (label, scope = "body") => {
    await until(`"${label}" is there`, () =>
      alice.page.evaluate(
        (text, where) => {
          const found = [...document.querySelectorAll(`${where} button:not(:disabled), ${where} summary`)].find((e) => (e.ariaLabel ?? e.textContent).trim().startsWith(text) && e.checkVisibility());
          found?.click();
          return found !== undefined;
        },
        label,
        scope,
      ),
    );
    await sleep(100);
  };

  test("enrolling", async () => {
    await look("enroll");
    for (const one of [alice, bob]) await one.operate({ kind: "enroll", name: one.name });
    await alice.page.waitForSelector("[role=tab]");
  });

  test("groups, people, opening", async () => {
    const { group } = await alice.operate({ kind: "create", name: title });
    await alice.operate({ kind: "create", name: "Book club" });
    await alice.paste((await bob.state()).me.card);
    const theirs = (await bob.operate({ kind: "create", name: "Otter watch" })).group;
    await bob.paste((await alice.state()).me.card);
    await bob.operate({ kind: "invite", group: theirs, people: [(await bob.state()).people[0].key] });
    await alice.paste((await bob.group("Otter watch")).changes[0].armor);
    await alice.operate({ kind: "invite", group, people: [(await alice.state()).people[0].key] });
    const [welcome] = (await alice.group(title)).changes;
    await bob.paste(welcome.armor);
    await bob.operate({ kind: "join", invitation: (await bob.state()).invitations[0].id });
    await alice.page.waitForSelector(".invitation");
    await look("groups");
    await click("People");
    await look("people");
    await click("Open");
    const sealed = (await bob.operate({ kind: "seal", group, text: "The otter answers at dawn.\nBring the long rope." })).armor;
    await alice.page.type("#paste", sealed);
    await click("Open", "form");
    await alice.page.waitForSelector(".message");
    await look("open");
  });

  test("a group", async () => {
    await click("Groups");
    await click("L", "ul[aria-label=Groups]").catch(() => {});
    await alice.page.evaluate((name) => [...document.querySelectorAll("button.item")].find((e) => e.textContent.includes(name))?.click(), title);
    await alice.page.waitForSelector("main.group");
    await look("group-invitation");
    const group = await alice.group(title);
    await alice.operate({ kind: "settle", group: group.id, change: group.changes[0].id });
    await alice.operate({ kind: "renew", group: group.id });
    await click("Safety number");
    await click("B", "section[aria-label=Members] .list");
    await alice.page.waitForSelector(".change.to-post");
    await look("group-change");
    await click("Remove", ".more");
    await look("group-remove");
    await click("What was opened");
    await alice.page.waitForSelector(".history .message");
    await alice.page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await look("group-history");
  });

  test("in a page", async () => {
    const { id } = await alice.group(title);
    board.post("Bob", (await bob.operate({ kind: "seal", group: id, text: "The heron lands at dusk. Who has the second watch tonight?" })).armor);
    board.post("Alice", (await alice.operate({ kind: "seal", group: id, text: "I do." })).armor);
    board.post("A stranger", "What are these strange letters?");
    board.post("Bob", `My card, for whoever wants it: ${(await bob.state()).me.card}`);
    await alice.ask({ type: "allow-site", origin: new URL(board.url).origin, allowed: true });
    page = await browser.newPage();
    await page.goto(board.url);
    await page.bringToFront();
    await alice.shows(page, "The heron");
    await alice.shows(page, "I do.");
    const readers = page.frames().filter((one) => one.url().includes("reader.html"));
    const answering = await Promise.all(readers.map(answers));
    assert.ok(answering.filter(Boolean).length >= 2, "the frames with two texts answer");
    for (const reader of readers.filter((_, i) => answering[i])) await inspect(reader, "a text in a page");
    const frame = await alice.composing(page, "Draft");
    await frame.waitForSelector("button.primary:not(:disabled)");
    await look("page-composing", frame, page);
  });

  test("nothing went wrong on the way", () => {
    for (const one of [alice, bob]) assert.deepEqual(one.faults, [], one.name);
  });
});
