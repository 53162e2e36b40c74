// What the chat does beyond one conversation of two: over the real delivery
// service, in Chromium. Pictures of the main screens are left in artifacts/.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import { launch } from "./kit/browser.mjs";
import { artifacts, built, root } from "./kit/paths.mjs";
import { Person } from "./kit/person.mjs";
import { Service } from "./kit/service.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** How much of the processor each task of the page took, in ms, as a trace has it: beside other work the clock would say more. */
function tasksOf(trace) {
  const { traceEvents } = JSON.parse(Buffer.from(trace).toString());
  const pages = new Set(traceEvents.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(({ pid, tid }) => `${pid}/${tid}`));
  const tasks = new Map();
  for (const { name, pid, tid, tdur } of traceEvents) {
    const thread = `${pid}/${tid}`;
    if (!/RunTask$/.test(name) || tdur === undefined || !pages.has(thread)) continue;
    if (!tasks.has(thread)) tasks.set(thread, []);
    tasks.get(thread).push(tdur / 1000);
  }
  // The page that was scrolled has done the most.
  const sum = (list) => list.reduce((n, ms) => n + ms, 0);
  return [...tasks.values()].sort((a, b) => sum(b) - sum(a))[0];
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

describe("features of the chat", { timeout: 240_000 }, () => {
  let service, browser, folder;

  before(async () => {
    mkdirSync(artifacts, { recursive: true });
    folder = mkdtempSync(join(tmpdir(), "webmls-chat-"));
    service = await Service.start(built("web/chat/dist"));
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    await service?.stop();
    service?.clear();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A test with people of its own, who have signed in; it leaves pictures when it fails. */
  const withPeople = (name, names, body) =>
    test(name, async (t) => {
      const people = [];
      try {
        for (const who of names) people.push(await Person.arrive(await browser.createBrowserContext(), who, service.url));
        await Promise.all(people.map((person) => person.enter()));
        await body(people, t);
        for (const { watched } of people) assert.deepEqual(watched.faults, [], watched.label);
      } catch (error) {
        for (const { watched } of people) await watched.save(name);
        throw error;
      } finally {
        for (const { context } of people) await context.close();
      }
    });

  /** One who starts a group and invites all others. */
  const together = async (title, [first, ...others]) => {
    await first.createGroup(title);
    for (const { name } of others) await first.invite(name);
    for (const other of others) {
      await other.openConversation(title);
      await other.members([first, ...others].map(({ name }) => name));
    }
  };

  const picture = (person, name) => person.page.screenshot({ path: join(artifacts, `chat-${name}.png`) });

  withPeople("several groups: unread counts, renaming, two people alone, leaving", ["Ann", "Ben", "Cat"], async ([ann, ben, cat]) => {
    await together("Harbour", [ann, ben, cat]);
    // A group is started with people at once.
    await ben.page.locator(".new-group").click();
    await ben.page.locator("input[name=title]").fill("Boats");
    await ben.page.locator("button[aria-label='Invite Ann']").click();
    await ben.page.locator("input[name=person]").fill("Cat");
    await ben.page.locator("button[aria-label='Start the group']").click();
    await ben.showing("Boats");
    await ben.members(["Ann", "Ben", "Cat"]);

    // Ann looks at another conversation, and sees how much there is in this one.
    await ann.watched.until("the second group is listed", () => document.querySelectorAll(".conversation-item").length === 2);
    for (let i = 0; i < 3; i++) await ben.say(`boat ${i}`);
    await ann.watched.until("three are unread", () => [...document.querySelectorAll(".conversation-item")].find((e) => e.querySelector(".title").textContent === "Boats")?.querySelector(".unread")?.firstChild.textContent === "3");
    assert.match(await ann.page.title(), /^\(3\) Ann/);
    await ann.openConversation("Boats");
    await ann.hasTexts("Ben", 3);
    await ann.watched.until("none is unread", () => document.querySelector(".unread") === null && !document.title.startsWith("("));

    await ann.show("people");
    await ann.page.locator("button[aria-label='Rename the group']").click();
    await ann.page.locator("input[name=rename]").fill("Ships & boats");
    await ann.page.locator(".rename button").click();
    for (const person of [ann, ben]) await person.showing("Ships & boats");
    await cat.openConversation("Ships & boats");
    await cat.note("Ann named the group “Ships & boats”.");

    // Whoever comes later is told the name.
    const dan = await Person.arrive(await browser.createBrowserContext(), "Dan", service.url);
    await dan.enter();
    await ann.invite("Dan");
    await dan.openConversation("Ships & boats");

    await cat.show("people");
    await cat.page.locator("button.leave").click();
    await cat.page.locator("button.confirm-leave").click();
    await cat.note("You left the group.");
    await ann.members(["Ann", "Ben", "Dan"]);
    await ann.note("Cat left.");
    await ben.note("Cat left.");
    await cat.page.locator("button.forget").click();
    await cat.watched.until("it is gone", () => [...document.querySelectorAll(".conversation-item .title")].map((e) => e.textContent).join() === "Harbour");
    await cat.reload();
    await cat.watched.until("it stays so", () => [...document.querySelectorAll(".conversation-item .title")].map((e) => e.textContent).join() === "Harbour");

    // Two people alone: from the list of people, once.
    await ann.page.locator("button[aria-label='Message Ben']").click();
    await ann.showing("Ben");
    await ann.say("just us");
    await ben.openConversation("Ann");
    await ben.hasTexts("Ann", 1);
    await ann.openConversation("Harbour");
    await ann.page.locator("button[aria-label='Message Ben']").click();
    await ann.showing("Ben");
    await ann.hasTexts("Ann", 1);
    await dan.context.close();

    // Nothing of what was said, nor the names of groups, is in the app's database in the clear.
    const stored = await ben.page.evaluate(async () => {
      const done = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));
      const database = await done(indexedDB.open("webmls-chat/2/Ben"));
      const text = new TextDecoder("latin1");
      const flat = (value) => (value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? text.decode(value) : value && typeof value === "object" ? Object.values(value).map(flat).join(" ") : String(value));
      const rows = [];
      for (const store of database.objectStoreNames) rows.push(...(await done(database.transaction(store).objectStore(store).getAll())).map(flat));
      database.close();
      return rows.join("\n");
    });
    for (const secret of ["boat 0", "Ships", "Harbour", "just us"]) assert.ok(!stored.includes(secret), secret);
    assert.ok(stored.includes("Ann"), "the search finds what is in the clear");
  });

  withPeople("files arrive as they were sent, and pictures are shown", ["Eve", "Finn"], async ([eve, finn]) => {
    await together("Files", [eve, finn]);
    const large = join(folder, "tide tables.bin");
    const bytes = randomBytes(1_500_000);
    writeFileSync(large, bytes);
    const png = join(folder, "pier.png");
    writeFileSync(png, await eve.page.screenshot({ clip: { x: 0, y: 0, width: 300, height: 200 } }));
    const empty = join(folder, "empty.txt");
    writeFileSync(empty, "");
    await (await eve.page.$("input[name=files]")).uploadFile(large, png, empty);
    await eve.watched.until("three are chosen", () => document.querySelectorAll(".chosen li").length === 3);
    await eve.page.locator(".composer button[type=submit]").click();
    for (const person of [finn, eve]) {
      await person.watched.until("all are there", () => {
        const list = [...document.querySelectorAll(".attachment")];
        return list.length === 3 && list.every((e) => e.dataset.done === "true");
      });
      await person.watched.until("the picture is shown", () => document.querySelector(".picture img")?.naturalWidth === 300);
    }
    await eve.allSent();

    // Finn keeps the large one.
    const downloads = join(folder, "downloads");
    const session = await finn.page.createCDPSession();
    await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads, browserContextId: finn.context.id });
    await finn.page.locator("button[aria-label='Save tide tables.bin']").click();
    const kept = join(downloads, "tide tables.bin");
    for (let tries = 0; tries < 200 && !existsSync(kept); tries++) await sleep(50);
    assert.equal(sha256(readFileSync(kept)), sha256(bytes));

    // What is too large is said at once, and nothing is sent.
    const huge = join(folder, "huge.bin");
    writeFileSync(huge, Buffer.alloc((8 << 20) + 1));
    await (await eve.page.$("input[name=files]")).uploadFile(huge);
    await eve.watched.until("it is refused", () => /at most 8.4 MB can be sent/.test(document.querySelector(".alert p")?.textContent ?? ""));
    assert.equal(await eve.page.evaluate(() => document.querySelectorAll(".chosen li").length), 0);

    // After a reload they are there still.
    await finn.reload();
    await finn.showing("Files");
    await finn.watched.until("the picture is shown again", () => document.querySelector(".picture img")?.naturalWidth === 300);
  });

  withPeople("without a connection: what is written waits, and what came is caught up with", ["Gus", "Hal"], async ([gus, hal]) => {
    await together("Offline", [gus, hal]);
    await gus.offline();
    for (let i = 0; i < 3; i++) await gus.say(`from the tunnel ${i}`);
    await gus.watched.until("it says that it waits", () => document.querySelectorAll(".state[data-state=sending]").length === 3);
    for (let i = 0; i < 5; i++) await hal.say(`where are you ${i}`);
    await hal.renew();
    await hal.epoch(2);
    await hal.say("in a new epoch");
    await hal.allSent();
    assert.deepEqual(await gus.textsOf("Hal"), []);
    await gus.page.locator("input[name=invite]").fill("Hal");
    await gus.page.locator(".invite button").click();
    await gus.watched.until("inviting needs a connection", () => /needs a connection/.test(document.querySelector(".alert p")?.textContent ?? ""));
    await gus.online();
    await gus.hasTexts("Hal", 6);
    assert.deepEqual((await gus.textsOf("Hal")).at(-1), "in a new epoch");
    await gus.allSent();
    await hal.hasTexts("Gus", 3);
    assert.deepEqual(await hal.textsOf("Gus"), [0, 1, 2].map((i) => `from the tunnel ${i}`));

    // The page is closed before there is a connection again.
    await gus.offline();
    await gus.say("before I forget");
    await gus.watched.until("it is kept", () => document.querySelector(".state[data-state=sending]") !== null);
    await gus.reload();
    await gus.showing("Offline");
    await hal.hasTexts("Gus", 4);
    await gus.allSent();
    assert.equal((await hal.textsOf("Gus")).at(-1), "before I forget");

    // Refused, and sent when one says so.
    await gus.refuseNext();
    await gus.say("once more");
    await gus.watched.until("it is not sent", () => document.querySelector(".state[data-state=failed]") !== null);
    await gus.page.evaluate(() => [...document.querySelectorAll(".foot .link")].find((e) => e.textContent === "Try again").click());
    await hal.hasTexts("Gus", 5);
    await gus.allSent();
    assert.equal((await hal.textsOf("Gus")).filter((text) => text === "once more").length, 1);
  });

  withPeople("two tabs of one person show the same, and nothing is sent twice", ["Ida", "Jon"], async ([ida, jon]) => {
    await together("Tabs", [ida, jon]);
    const second = await ida.anotherTab();
    await second.showing("Tabs");
    const said = [];
    for (let i = 0; i < 15; i++) {
      await Promise.all([ida.say(`first ${i}`), second.say(`second ${i}`)]);
      said.push(`first ${i}`, `second ${i}`);
    }
    await jon.say("I hear you twice, once each");
    await jon.hasTexts("Ida", 30);
    assert.deepEqual((await jon.textsOf("Ida")).sort(), said.sort());
    for (const tab of [ida, second]) {
      await tab.hasTexts("Jon", 1);
      await tab.allSent();
    }
    const rows = async (tab) => (await tab.rows()).map(({ text }) => text);
    assert.deepEqual(await rows(second), await rows(ida));
    // What one tab changes, both show. The one that does the work goes, and the other goes on.
    await second.renew();
    for (const tab of [ida, second, jon]) await tab.epoch(2);
    await ida.page.close();
    await second.say("on my own");
    await jon.say("still there?");
    await jon.hasTexts("Ida", 31);
    await second.hasTexts("Jon", 2);
    await second.renew();
    await jon.epoch(3);
    await second.epoch(3);
    await second.allSent();
    assert.deepEqual(second.watched.faults, []);
    ida.watched = second.watched;
  });

  withPeople("a tab shows what another one hears while it is being opened", ["Isa", "Jim"], async ([isa, jim]) => {
    await together("Opening", [isa, jim]);
    const second = await Person.arrive(isa.context, "Isa in another tab", service.url);
    // The new tab is held where it has read which entries there are, and not yet what they say.
    await second.page.evaluateOnNewDocument(() => {
      const goneOn = new Promise((resolve) => (globalThis.goOn = resolve));
      const { getAllKeys } = IDBIndex.prototype;
      IDBIndex.prototype.getAllKeys = function (...args) {
        globalThis.listed = true;
        return getAllKeys.apply(this, args);
      };
      const { decrypt } = SubtleCrypto.prototype;
      SubtleCrypto.prototype.decrypt = async function (...args) {
        if (globalThis.listed) {
          globalThis.held = true;
          await goneOn;
        }
        return decrypt.apply(this, args);
      };
    });
    await second.page.goto(isa.page.url());
    await second.watched.until("it has read which entries there are", () => globalThis.held);
    await jim.say("while you open");
    await isa.hasTexts("Jim", 1);
    await second.page.evaluate(() => globalThis.goOn());
    await second.ready();
    await second.openConversation("Opening");
    await second.hasTexts("Jim", 1);
    const rows = async (tab) => (await tab.rows()).map(({ text }) => text);
    assert.deepEqual(await rows(second), await rows(isa));
    assert.deepEqual(second.watched.faults, []);
  });

  withPeople("a second device is a member by itself, and people verify devices", ["Kim", "Lou"], async ([kim, lou]) => {
    await together("Devices", [kim, lou]);
    await kim.page.locator("button[aria-label='Your devices']").click();
    await kim.page.locator(".show-code").click();
    const code = await kim.watched.until("the code", () => document.querySelector("textarea.code")?.value);
    await kim.page.keyboard.press("Escape");

    const phone = await Person.arrive(await browser.createBrowserContext(), "Kim", service.url);
    await phone.page.goto(service.url);
    await phone.page.locator(".swap").click();
    await phone.page.locator("input[name=code]").fill("not a code");
    await phone.page.locator("form button[type=submit]").click();
    assert.equal(await phone.page.evaluate(() => document.querySelector("#name").validity.customError), true);
    await phone.page.locator("input[name=code]").fill(code);
    await phone.page.locator("form button[type=submit]").click();
    await phone.ready();

    await kim.page.locator("button[aria-label='Your devices']").click();
    await kim.watched.until("it is listed", () => document.querySelectorAll(".device-list li").length === 2);
    await kim.page.locator(".device-list button").click();
    await phone.openConversation("Devices");
    await kim.watched.until("it is in all groups", () => [...document.querySelectorAll(".device-list .file-size")].some((e) => e.textContent === "In all of your groups"));
    await kim.page.keyboard.press("Escape");
    await lou.note("Kim has a new device");
    await phone.say("from my phone");
    await lou.hasTexts("Kim", 1);
    await kim.hasTexts("Kim", 1);
    await lou.say("seen");
    for (const device of [kim, phone]) await device.hasTexts("Lou", 1);
    await lou.members(["Kim", "Lou"]);

    // The numbers that two devices show for each other are the same.
    const numbers = async (person, name) => {
      await person.show("people");
      await person.page.evaluate((n) => document.querySelector(`.members > li[data-name="${n}"] .name[aria-expanded=false]`)?.click(), name);
      return person.watched.until(`numbers of ${name}`, (n) => {
        const found = [...document.querySelectorAll(`.members > li[data-name="${n}"] .device-number`)].map((e) => e.textContent);
        return found.length > 0 && found.every((text) => /^\d{5}( \d{5}){5}$/.test(text)) && found;
      }, name);
    };
    const atLou = await numbers(lou, "Kim");
    assert.equal(atLou.length, 2);
    assert.notEqual(atLou[0], atLou[1]);
    assert.deepEqual([...(await numbers(kim, "Lou")), ...(await numbers(phone, "Lou"))].sort(), atLou.sort());
    for (let i = 0; i < 2; i++) await lou.page.evaluate(() => document.querySelector(".verify[aria-pressed=false]").click()).then(() => sleep(200));
    await lou.watched.until("Kim is verified", () => document.querySelector('.members > li[data-name="Kim"] .trust').textContent === "2 devices · verified");
    await lou.reload();
    await lou.showing("Devices");
    await lou.show("people");
    await lou.watched.until("and stays so", () => document.querySelector('.members > li[data-name="Kim"] .trust')?.textContent === "2 devices · verified");

    // To remove the person is to remove both.
    await lou.remove("Kim");
    for (const device of [kim, phone]) await device.note("Lou removed you from the group");
    assert.deepEqual(phone.watched.faults, []);
    await phone.context.close();
  });

  withPeople("nothing that is said or named is markup", ["<img src=x onerror=alert(1)>", "Mia"], async ([mallory, mia]) => {
    const evil = ["<script>globalThis.ran = true</script>", '"><img src=x onerror="globalThis.ran=true">', "javascript:globalThis.ran=true", "https://example.org/\"onmouseover=\"globalThis.ran=true", "<a href='javascript:globalThis.ran=true'>x</a>"];
    const title = "<svg onload=globalThis.ran=true>";
    await together(title, [mallory, mia]);
    for (const text of evil) await mallory.say(text);
    const file = join(folder, "<b>page<b>.svg");
    writeFileSync(file, '<svg xmlns="http://www.w3.org/2000/svg"><script>globalThis.ran = true</script></svg>');
    await (await mallory.page.$("input[name=files]")).uploadFile(file);
    await mallory.page.locator(".composer button[type=submit]").click();
    await mia.hasTexts(mallory.name, evil.length);
    assert.deepEqual((await mia.textsOf(mallory.name)).slice(0, evil.length), evil);
    await mia.show("security");
    await mia.watched.until("the file is there, and is no picture", () => document.querySelector(".attachment[data-done=true]") && document.querySelector(".picture") === null);
    for (const { page } of [mallory, mia]) {
      assert.equal(await page.evaluate(() => globalThis.ran), undefined);
      const hrefs = await page.evaluate(() => [...document.querySelectorAll(".log a")].map((e) => [e.protocol, e.rel]));
      assert.deepEqual(hrefs, [["https:", "noopener noreferrer"]]);
      assert.equal(await page.evaluate(() => document.querySelectorAll(".log script, .log img, .log [onerror], .log [onmouseover]").length), 0);
    }
  });

  withPeople("a very long message is typed, sent and folded", ["Ned", "Oda"], async ([ned, oda], t) => {
    await together("Long", [ned, oda]);
    const long = "the tide goes out and comes in again. ".repeat(2_500).trim(); // 95,000 characters
    await ned.page.evaluate((text) => {
      globalThis.longest = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((e) => (globalThis.longest = Math.max(globalThis.longest, e.duration)))).observe({ type: "longtask" });
      document.querySelector("textarea[name=message]").value = text;
    }, long);
    await ned.page.focus("textarea[name=message]");
    await ned.page.keyboard.down("Control");
    await ned.page.keyboard.press("End");
    await ned.page.keyboard.up("Control");
    await ned.page.keyboard.type(" and again");
    t.diagnostic(`longest task while typing at the end of ${long.length} characters: ${Math.round(await ned.page.evaluate(() => globalThis.longest))} ms`);
    assert.equal(await ned.page.evaluate(() => document.querySelector("textarea[name=message]").value.length), long.length + 10);
    await ned.page.keyboard.press("Enter");
    await oda.hasTexts("Ned", 1);
    const [shown] = await oda.textsOf("Ned");
    assert.ok(shown.length < 2_000, "it is folded");
    await oda.page.evaluate(() => document.querySelector(".fold").click());
    await oda.watched.until("all of it", (text) => document.querySelector("p.text").textContent === text, `${long} and again`);
  });

  withPeople("10,000 messages scroll, with few of them in the page", ["Pia", "Quin"], async ([pia, quin], t) => {
    await together("Much", [pia, quin]);
    await quin.say("the last one");
    await pia.hasTexts("Quin", 1);
    // They are put where the chat keeps them: to send them would take a minute.
    const { outputFiles } = await build({ entryPoints: [join(root, "web/chat/src/history.ts")], bundle: true, format: "iife", globalName: "kept", write: false });
    const id = new URL(pia.page.url()).hash.slice(1);
    const page = await pia.context.newPage();
    await page.goto(`${service.url}icon.svg`);
    await page.evaluate(async (source, conversation) => {
      const { History } = (0, eval)(`${source}; kept`);
      const history = await History.open("webmls-chat/2/Pia");
      for (let batch = 0; batch < 20; batch++) {
        await history.add(conversation, Array.from({ length: 500 }, (_, i) => {
          const n = batch * 500 + i;
          return { conversation, at: Date.now() - (10_000 - n) * 60_000, kind: n % 3 ? "text" : "own", sender: n % 3 ? "Quin" : "Pia", text: `message ${n} ${"and more ".repeat((n * 7) % 40)}` };
        }));
      }
      history.close();
    }, outputFiles[0].text, id).finally(() => page.close());
    const opened = Date.now();
    await pia.reload();
    await pia.showing("Much");
    await pia.watched.until("the end is shown", () => [...document.querySelectorAll("p.text")].some((e) => e.textContent.startsWith("message 9999 ")));
    const ready = Date.now() - opened;
    await pia.page.tracing.start({ categories: ["toplevel", "disabled-by-default-devtools.timeline"] });
    const measured = await pia.page.evaluate(async () => {
      const view = document.querySelector(".messages");
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      let most = 0;
      let frames = 0;
      const start = performance.now();
      const look = () => (most = Math.max(most, document.querySelectorAll(".entry").length));
      // Two screens a frame, up; then jumps to far places; then down.
      for (let i = 0; i < 200; i++) {
        view.scrollTop -= 2 * view.clientHeight;
        await frame();
        frames++;
        look();
      }
      const rate = (1000 * frames) / (performance.now() - start);
      for (const place of [0.5, 0, 0.9, 0.25]) {
        view.scrollTop = place * view.scrollHeight;
        for (let i = 0; i < 20; i++) await frame();
        look();
      }
      view.scrollTop = 0;
      for (let i = 0; i < 60; i++) await frame();
      const first = document.querySelector("p.text").textContent;
      const set = document.querySelector("[aria-setsize]").getAttribute("aria-setsize");
      // What is in front of one's eyes stays there while rows above it are measured.
      view.scrollTop = 0.4 * view.scrollHeight;
      for (let i = 0; i < 60; i++) await frame();
      const edge = view.getBoundingClientRect().top;
      const row = [...document.querySelectorAll(".entry")].find((e) => e.getBoundingClientRect().bottom > edge + 100);
      const before = row.getBoundingClientRect().top;
      for (let i = 0; i < 30; i++) await frame();
      const moved = row.getBoundingClientRect().top - before;
      document.querySelector(".to-end").click();
      for (let i = 0; i < 60; i++) await frame();
      const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight;
      return { most, rate, first, set: Number(set), moved, atEnd, nodes: document.querySelectorAll("*").length, last: [...document.querySelectorAll("p.text")].at(-1).textContent };
    });
    const tasks = tasksOf(await pia.page.tracing.stop());
    t.diagnostic(`open in ${ready} ms; two screens a frame at ${Math.round(measured.rate)} frames a second; ${tasks.length} tasks, of more than 50 ms of the processor: ${tasks.filter((ms) => ms > 50).length}, the longest ${Math.round(Math.max(...tasks))} ms; at most ${measured.most} rows, ${measured.nodes} elements`);
    assert.ok(measured.most <= 150, `${measured.most} rows in the page`);
    assert.ok(measured.nodes < 3_000, `${measured.nodes} elements in the page`);
    assert.ok(measured.set > 10_000, String(measured.set));
    assert.match(measured.last, /^message 9999 /);
    assert.ok(Math.abs(measured.moved) < 1, `moved by ${measured.moved}`);
    assert.ok(measured.atEnd < 2, `${measured.atEnd} from the end`);
    // It goes on: what comes is shown, and what is written.
    await quin.say("and one more");
    await pia.watched.until("it is shown", () => [...document.querySelectorAll("p.text")].at(-1)?.textContent === "and one more");
  });

  withPeople("axe finds nothing serious, light and dark, wide and on a phone", ["Rita", "Sam", "Tom with a long name that wraps"], async (people) => {
    const [rita, sam, tom] = people;
    const found = [];
    const check = async (person, screen) => {
      for (const scheme of ["light", "dark"]) {
        await person.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }, { name: "prefers-reduced-motion", value: "reduce" }]);
        await sleep(150);
        if (!(await person.page.evaluate(() => "axe" in globalThis))) await person.page.evaluate(axe);
        const { violations } = await person.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
        for (const { id, impact, nodes } of violations) {
          if (impact === "serious" || impact === "critical") found.push(`${screen} ${scheme}: ${id} ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
        }
        await picture(person, `${screen}-${scheme}`);
      }
    };
    const stranger = await Person.arrive(await browser.createBrowserContext(), "stranger", service.url);
    await stranger.page.goto(service.url);
    await check(stranger, "sign-in");
    await stranger.enter();
    await check(stranger, "empty");

    await together("Lighthouse keepers", people);
    await sam.say("Morning all. The lamp was out again at four.");
    await rita.hasTexts("Sam", 1);
    await rita.say("I saw. The spare bulb is in the green box, second shelf. https://example.org/lamps");
    await tom.hasTexts("Rita", 1);
    await tom.say("On my way. Should I bring the ladder as well, or is it still in the shed behind the house?");
    const png = join(folder, "harbour.png");
    writeFileSync(png, await stranger.page.screenshot({ clip: { x: 0, y: 0, width: 640, height: 400 } }));
    await (await sam.page.$("input[name=files]")).uploadFile(png);
    await sam.page.locator(".composer button[type=submit]").click();
    await tom.createGroup("Weekend");
    await tom.invite("Rita");
    await tom.say("Saturday?");
    await rita.watched.until("it is unread", () => document.querySelector(".unread") !== null);
    await rita.watched.until("the picture is shown", () => document.querySelector(".picture img") !== null);
    await rita.show("people");
    await check(rita, "conversation");
    await rita.page.evaluate(() => document.querySelectorAll(".member .name")[1].click());
    await sleep(100);
    await check(rita, "member");
    await rita.show("security");
    await rita.watched.until("the tree is drawn", () => document.querySelectorAll(".tree circle").length === 7);
    await check(rita, "security");
    await rita.page.locator(".new-group").click();
    await check(rita, "new-group");
    await rita.page.keyboard.press("Escape");
    await rita.page.locator("button[aria-label='Your devices']").click();
    await rita.watched.until("the devices are listed", () => document.querySelectorAll(".device-list li").length === 1);
    await check(rita, "devices");
    await rita.page.keyboard.press("Escape");
    await rita.page.evaluate(() => document.querySelector("#details .close")?.click());
    await rita.page.setViewport({ width: 390, height: 800, isMobile: true, hasTouch: true });
    await check(rita, "phone");
    await rita.show("security");
    await check(rita, "phone-security");
    await rita.page.evaluate(() => document.querySelector("#details .close")?.click());
    await rita.page.evaluate(() => document.querySelector(".back").click());
    await rita.watched.until("the list is the page", () => getComputedStyle(document.querySelector(".sidebar")).display !== "none");
    await check(rita, "phone-list");
    await stranger.context.close();
    assert.deepEqual(found, []);
  });

  withPeople("by keyboard alone: a group is started, a message is sent, the list is scrolled", ["Uma"], async ([uma]) => {
    const { keyboard } = uma.page;
    const focused = () => uma.page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
    const tabTo = async (label) => {
      for (let i = 0; i < 40; i++) {
        if ((await focused()) === label) return;
        await keyboard.press("Tab");
      }
      assert.fail(`${label} was not reached`);
    };
    await tabTo("New group");
    await keyboard.press("Enter");
    await uma.watched.until("the dialogue has the focus", () => document.activeElement?.name === "title");
    await keyboard.type("By hand");
    await keyboard.press("Enter");
    await uma.showing("By hand");
    await tabTo("Message");
    await keyboard.type("one line");
    await keyboard.down("Shift");
    await keyboard.press("Enter");
    await keyboard.up("Shift");
    await keyboard.type("and another");
    await keyboard.press("Enter");
    await uma.hasTexts("Uma", 1);
    assert.deepEqual(await uma.textsOf("Uma"), ["one line\nand another"]);
    await uma.page.evaluate(() => document.activeElement.blur());
    await tabTo("Messages");
    await tabTo("Close");
    await keyboard.press("Escape");
    await uma.watched.until("the details are closed, and their button has the focus", () => document.querySelector("#details") === null && document.activeElement?.getAttribute("aria-label") === "Members and security");
  });
});
