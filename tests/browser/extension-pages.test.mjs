// What pages can do to the extension, and what they cannot: sites that were not allowed are not
// answered; opened texts cannot be read, and nothing is opened or sealed by events that a script has made.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Board } from "./kit/board.mjs";
import { browserWithExtensions, Extension, until } from "./kit/extension.mjs";
import { built } from "./kit/paths.mjs";

const secret = "the heron lands at dusk";
const typed = "what the page must not see";

describe("pages and the extension", { timeout: 120_000 }, () => {
  let board, browser, alice, page, elsewhere, armor, group;

  before(async () => {
    board = await Board.start();
    browser = await browserWithExtensions();
    // The browser lets it into both; the user has allowed the first alone.
    alice = await Extension.install(browser, "Alice", ["http://127.0.0.1/*", "http://localhost/*"]);
    await alice.operate({ kind: "enroll", name: "Alice" });
    group = (await alice.operate({ kind: "create", name: "Harbour" })).group;
    ({ armor } = await alice.operate({ kind: "seal", group, text: secret }));
    board.post("Alice", armor);
    await alice.ask({ type: "allow-site", origin: new URL(board.url).origin, allowed: true });
    page = await browser.newPage();
    await page.goto(board.url);
    elsewhere = await browser.newPage();
    await elsewhere.goto(board.elsewhere);
  });

  after(async () => {
    await browser?.close();
    alice?.remove();
    await board?.stop();
  });

  /** Runs a function as the content script of a tab would, and returns its result. */
  const asContentScript = async (tabPage, frames, body, ...args) => {
    const worker = await alice.worker();
    const url = tabPage.url();
    return worker.evaluate(
      async (wanted, all, source, given) => {
        const tabs = await chrome.tabs.query({});
        const tab = tabs.find((one) => one.url === wanted);
        const results = await chrome.scripting.executeScript({
          target: all ? { tabId: tab.id, allFrames: true } : { tabId: tab.id },
          func: async (text, values) => {
            const [request] = values;
            return chrome.runtime.sendMessage(request);
          },
          args: [source, given],
        });
        return results.map(({ frameId, result }) => ({ frameId, result }));
      },
      url,
      frames,
      String(body),
      args,
    );
  };

  const sendFrom = async (tabPage, request) => (await asContentScript(tabPage, false, "", request))[0].result;

  test("asks for no more than it must", () => {
    const manifest = JSON.parse(readFileSync(join(built("web/extension/dist"), "manifest.json"), "utf8"));
    assert.deepEqual(manifest.permissions, ["activeTab", "contextMenus", "scripting", "storage"]);
    assert.equal(manifest.host_permissions, undefined);
    assert.equal(manifest.content_scripts, undefined);
    assert.equal(manifest.externally_connectable, undefined);
    assert.match(manifest.content_security_policy.extension_pages, /script-src 'self' 'wasm-unsafe-eval';/);
    assert.deepEqual(manifest.web_accessible_resources.flatMap(({ resources }) => resources), ["reader.html", "compose.html"]);
  });

  test("a site that was not allowed is not answered, even if the script is in it", async () => {
    for (const request of [{ type: "hello" }, { type: "found", armors: [armor] }, { type: "draft", text: "x" }, { type: "state" }]) {
      assert.equal((await sendFrom(elsewhere, request)).error.code, "NOT_ALLOWED");
    }
    const worker = await alice.worker();
    await worker.evaluate(async (url) => {
      const tab = (await chrome.tabs.query({})).find((one) => one.url === url);
      await chrome.scripting.executeScript({ target: { tabId: tab.id }, files: ["content.js"] });
    }, elsewhere.url());
    await elsewhere.bringToFront();
    await sleep(500);
    assert.deepEqual(await alice.shownIn(elsewhere), []);
    assert.equal(await elsewhere.evaluate(() => document.querySelectorAll("webmls-frame").length), 0);
  });

  test("an allowed page gets what it may, and nothing else", async () => {
    await page.bringToFront();
    await alice.shows(page, secret);
    assert.deepEqual(await sendFrom(page, { type: "hello" }), { value: true });
    const { value } = await sendFrom(page, { type: "found", armors: [armor] });
    assert.deepEqual(Object.keys(value[0]).sort(), ["state", "token"]);
    assert.ok(!JSON.stringify(value).includes("heron"));
    const refused = [
      { type: "state" },
      { type: "history", group },
      { type: "paste", text: armor },
      { type: "view", token: value[0].token },
      { type: "do", id: "1", what: { kind: "seal", group, text: "x" } },
      { type: "allow-site", origin: new URL(board.elsewhere).origin, allowed: true },
      { type: "seal-draft", token: "x", id: "1", group, text: "x" },
      { type: "found", armors: Array.from({ length: 65 }, () => armor) },
      { type: "found", armors: ["x".repeat((1 << 20) + 1)] },
      { type: "found", armors: [1] },
      { type: "found" },
      { type: "draft", text: "x".repeat((64 << 10) + 1) },
      { type: "constructor" },
      { type: "__proto__" },
      "hello",
      null,
    ];
    for (const request of refused) assert.equal((await sendFrom(page, request)).error.code, "BAD_REQUEST", JSON.stringify(request)?.slice(0, 80));
    // The page itself has no way to the extension.
    assert.equal(await page.evaluate(() => typeof globalThis.chrome?.runtime?.sendMessage), "undefined");
  });

  test("frames within an allowed page are not answered", async () => {
    await page.evaluate(() => {
      const frame = document.createElement("iframe");
      frame.id = "within";
      document.body.append(frame);
      return new Promise((resolve) => setTimeout(resolve, 200));
    });
    for (const { frameId, result } of await asContentScript(page, true, "", { type: "hello" })) {
      if (frameId !== 0 && result) assert.equal(result.error.code, "NOT_ALLOWED");
    }
  });

  test("a page cannot read what was opened", async () => {
    await page.bringToFront();
    const seen = await page.evaluate(() => {
      const host = document.querySelector("webmls-frame");
      getSelection().selectAllChildren(document.documentElement);
      const selected = String(getSelection());
      getSelection().removeAllRanges();
      const found = window.find("heron lands");
      return {
        root: host.shadowRoot,
        frames: [...Array(window.length).keys()].map((i) => window[i].frameElement?.id),
        all: document.documentElement.innerHTML + document.body.innerText + selected + new XMLSerializer().serializeToString(document),
        found,
        entries: JSON.stringify(performance.getEntries()),
        at: document.elementFromPoint(host.getBoundingClientRect().x + 20, host.getBoundingClientRect().y + 20)?.tagName,
      };
    });
    assert.equal(seen.root, null);
    assert.deepEqual(seen.frames, ["within"]);
    assert.ok(!seen.all.includes("heron"));
    assert.equal(seen.found, false);
    assert.ok(!seen.entries.includes("reader.html"));
    assert.ok(["WEBMLS-FRAME", undefined].includes(seen.at), seen.at);
  });

  test("a token is good for one tab", async () => {
    const { value } = await sendFrom(page, { type: "found", armors: [armor] });
    const other = await browser.newPage();
    try {
      for (const token of [value[0].token, value[0].token.replace(/.$/, (c) => (c === "A" ? "B" : "A")), "text.x.y", ""]) {
        await other.goto("about:blank");
        await other.goto(`chrome-extension://${alice.id}/reader.html#${token}`);
        await until("it is refused", () => other.evaluate(() => /not for this page|not what this page/.test(document.body.innerText)));
      }
    } finally {
      await other.close();
    }
  });

  test("a page cannot put the extension's pages into frames of its own", async () => {
    for (const name of ["popup.html", "reader.html", "compose.html"]) {
      const content = await elsewhere.evaluate(async (url) => {
        const frame = document.createElement("iframe");
        frame.src = url;
        document.body.append(frame);
        await new Promise((resolve) => setTimeout(resolve, 300));
        frame.remove();
        return true;
      }, `chrome-extension://${alice.id}/${name}`);
      assert.ok(content);
      assert.ok(!elsewhere.frames().some((frame) => frame.url().endsWith(name)));
    }
  });

  test("events that a script has made do nothing", async () => {
    await page.bringToFront();
    await page.evaluate(() => document.getElementById("within").remove());
    await page.type("#field", typed);
    const frames = () => page.frames().filter((frame) => frame.url().includes("compose.html")).length;
    await page.evaluate(() => {
      const field = document.getElementById("field");
      const { right, top } = field.getBoundingClientRect();
      const at = { bubbles: true, composed: true, clientX: right - 20, clientY: top + 18 };
      for (const host of document.querySelectorAll("webmls-frame")) {
        for (const type of ["pointerdown", "mousedown", "mouseup", "click"]) host.dispatchEvent(new MouseEvent(type, at));
        host.click();
      }
      field.dispatchEvent(new FocusEvent("focusin", { bubbles: true }));
      for (const type of ["keydown", "keyup"]) document.dispatchEvent(new KeyboardEvent(type, { key: "S", code: "KeyS", altKey: true, shiftKey: true, bubbles: true }));
      postMessage(100_000, "*");
    });
    await sleep(400);
    assert.equal(frames(), 0);
    // The hand can; and what is typed there, the page does not hear.
    await page.evaluate(() => {
      globalThis.heard = "";
      for (const type of ["keydown", "keypress", "input", "beforeinput", "message"]) addEventListener(type, (event) => (globalThis.heard += event.key ?? event.data ?? ""), true);
    });
    await page.focus("#field");
    const { x, y, width } = await page.$eval("#field", (e) => e.getBoundingClientRect().toJSON());
    await page.mouse.click(x + width - 20, y + 18);
    const frame = await until("the composing frame is there", () => page.frames().find((one) => one.url().includes("compose.html")));
    const area = await frame.waitForSelector("textarea");
    await until("the draft is there", () => frame.evaluate((text) => document.querySelector("textarea").value === text, typed));
    await area.type("XYZZY");
    assert.ok(!(await page.evaluate(() => globalThis.heard)).includes("X"));
    // A click that a script has made, in the frame itself, seals nothing.
    await frame.evaluate(() => document.querySelector("button.primary").click());
    await sleep(300);
    assert.equal(await page.$eval("#field", (e) => e.value), typed);
    await frame.click("button[aria-label=Close]");
    await until("it is closed", () => frames() === 0);
    assert.equal((await alice.ask({ type: "history", group })).length, 1);
  });

  test("a page does not have one join a group, nor its own armor in a field be taken for posted", async () => {
    const bob = await Extension.install(browser, "Bob", []);
    try {
      await bob.operate({ kind: "enroll", name: "Bob" });
      const { group: theirs } = await bob.operate({ kind: "create", name: "Trap" });
      await bob.paste((await alice.state()).me.card);
      const { key } = (await bob.state()).people.find(({ name }) => name === "Alice");
      await bob.operate({ kind: "invite", group: theirs, people: [key] });
      board.post("Bob", (await bob.group("Trap")).changes[0].armor);
      await page.bringToFront();
      await alice.shows(page, "Invitation to “Trap”");
      const state = await alice.state();
      assert.deepEqual(state.groups.map(({ name }) => name), ["Harbour"]);
      assert.equal(state.invitations.length, 1);
      await alice.operate({ kind: "join", invitation: state.invitations[0].id });
      await alice.operate({ kind: "renew", group: theirs });
      const [change] = (await alice.group("Trap")).changes;
      await page.evaluate((text) => (document.getElementById("rich").textContent = text), change.armor);
      await sleep(600);
      assert.equal((await alice.group("Trap")).changes[0].state, "to-post");
      await page.evaluate(() => (document.getElementById("rich").textContent = ""));
      board.post("Alice", change.armor);
      await until("it counts", async () => (await alice.group("Trap")).changes.length === 0);
    } finally {
      bob.remove();
    }
  });

  test("a site that is no longer allowed is not answered any more", async () => {
    await alice.ask({ type: "allow-site", origin: new URL(board.url).origin, allowed: false });
    assert.equal((await sendFrom(page, { type: "found", armors: [armor] })).error.code, "NOT_ALLOWED");
    await page.reload();
    await sleep(500);
    assert.deepEqual(await alice.shownIn(page), []);
    assert.deepEqual(alice.faults, []);
  });
});
