// A person who uses the chat: does with a page what hands and eyes do.
import { Watched } from "./browser.mjs";

export class Person {
  static async arrive(context, name, url) {
    const person = new Person();
    person.name = name;
    person.url = url;
    person.context = context;
    person.watched = await Watched.open(context, name);
    await person.watched.page.evaluateOnNewDocument(wireTap);
    return person;
  }

  /** Nothing of what the service sends arrives any more; what is sent to it does. */
  deafen() {
    return this.page.evaluate(() => (globalThis.wire.deaf = true));
  }

  /** The connection breaks, and is made again; now the service's answers arrive, but nothing of a group's log before `releaseLog`. */
  async reconnectWithoutLog() {
    await this.page.evaluate(() => {
      Object.assign(globalThis.wire, { deaf: false, held: [], stale: false });
      globalThis.wire.socket.close();
      globalThis.wire.socket.onclose?.(new CloseEvent("close", { code: 1006 }));
    });
    await this.ready();
  }

  /** Waits until the service has answered that a commit came too late. */
  async hearsStale() {
    await this.watched.until("a commit is answered as stale", () => globalThis.wire.stale);
  }

  releaseLog() {
    return this.page.evaluate(() => {
      const { held } = globalThis.wire;
      globalThis.wire.held = undefined;
      for (const arrive of held) arrive();
    });
  }

  /** The connection breaks, and none can be made. */
  async offline() {
    await this.page.evaluate(() => {
      globalThis.wire.offline = true;
      globalThis.wire.socket.close();
      globalThis.wire.socket.onclose?.(new CloseEvent("close", { code: 1006 }));
    });
    await this.watched.until("the page says so", () => document.querySelector(".connection")?.dataset.status === "connecting");
  }

  /** Connections can be made again, and the browser says so. */
  async online() {
    await this.page.evaluate(() => {
      globalThis.wire.offline = false;
      globalThis.dispatchEvent(new Event("online"));
    });
    await this.ready();
  }

  /** The service refuses what is published next. */
  refuseNext() {
    return this.page.evaluate(() => (globalThis.wire.refuse = true));
  }

  get page() {
    return this.watched.page;
  }

  /** The same person in another tab: a Person of its own. */
  async anotherTab() {
    const other = await Person.arrive(this.context, `${this.name} in another tab`, this.url);
    await other.page.goto(this.page.url());
    await other.ready();
    return other;
  }

  /** Opens the chat and gives a name. Others can invite it then: that it is connected does not say so yet. */
  async enter() {
    await this.page.bringToFront();
    await this.page.goto(this.url);
    await this.page.locator("#name").fill(this.name);
    await this.page.locator("form button[type=submit]").click();
    await this.ready();
    await this.watched.until("the service has invitation keys", () => globalThis.wire.stocked);
  }

  async ready() {
    await this.watched.until("the chat is connected", () => document.querySelector(".connection")?.dataset.status === "connected");
  }

  async reload() {
    await this.page.reload();
    await this.ready();
  }

  async createGroup(title) {
    await this.page.bringToFront();
    await this.page.locator(".new-group").click();
    await this.page.locator("input[name=title]").fill(title);
    await this.page.locator("button[aria-label='Start the group']").click();
    await this.showing(title);
  }

  /** Opens a conversation from the list, when it is there. */
  async openConversation(title) {
    await this.watched.until(`the conversation "${title}" is listed`, (wanted) => {
      const item = [...document.querySelectorAll(".conversation-item")].find((e) => e.querySelector(".title").textContent === wanted);
      item?.click();
      return item !== undefined;
    }, title);
    await this.showing(title);
  }

  async showing(title) {
    await this.watched.until(`the conversation "${title}" is open`, (wanted) => document.querySelector(".bar .title")?.textContent === wanted, title);
  }

  /** Opens a side of the details: "people" or "security". */
  async show(side) {
    await this.watched.until(`the details show ${side}`, (name) => {
      // Pressed again before the page has drawn what the first time did, the button would undo it.
      const button = document.querySelector("button[aria-controls=details]");
      const pressed = Number(button?.dataset.pressed ?? -Infinity);
      if (!document.querySelector("#details") && button && performance.now() - pressed > 2_000) {
        button.dataset.pressed = performance.now();
        button.click();
      }
      const tab = document.querySelector(`.${name}-tab`);
      if (tab?.getAttribute("aria-pressed") === "true") return true;
      tab?.click();
      return false;
    }, side);
  }

  async invite(name) {
    await this.page.bringToFront();
    const names = await this.memberNames();
    await this.page.locator("input[name=invite]").fill(name);
    await this.page.locator(".invite button").click();
    await this.members([...names, name]);
  }

  /** Asks for fresh keys. */
  async renew() {
    await this.show("security");
    await this.page.evaluate(() => document.querySelector("button.renew").click());
  }

  async remove(name) {
    await this.page.bringToFront();
    const names = await this.memberNames();
    await this.page.locator(`button[aria-label='Remove ${name}']`).click();
    await this.members(names.filter((other) => other !== name));
  }

  async say(text) {
    await this.page.evaluate((value) => {
      const input = document.querySelector("textarea[name=message]");
      input.value = value;
      input.form.requestSubmit();
    }, text);
  }

  async memberNames() {
    await this.show("people");
    return this.page.evaluate(() => [...document.querySelectorAll(".members > li")].map((e) => e.dataset.name));
  }

  /** Waits until exactly these are the members. */
  async members(names) {
    await this.show("people");
    await this.watched.until(`the members are ${names}`, (wanted) => {
      const shown = [...document.querySelectorAll(".members > li")].map((e) => e.dataset.name);
      return shown.sort().join() === wanted;
    }, [...names].sort().join());
  }

  /** All rows of the open conversation, in their order, by scrolling through them: few are in the page at once. */
  async rows() {
    await this.page.bringToFront(); // a tab behind another one is not drawn, nor scrolled
    return this.page.evaluate(async () => {
      const view = document.querySelector(".messages");
      const frames = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      const settled = async () => {
        for (let tries = 0; tries < 100; tries++) {
          await frames();
          if (!document.querySelector(".unread-yet")) return;
        }
        throw new Error("rows were not read");
      };
      const rows = new Map();
      const collect = () => {
        for (const row of document.querySelectorAll(".entry")) {
          rows.set(Number(row.dataset.order), {
            sender: row.dataset.sender,
            note: row.classList.contains("note"),
            text: row.querySelector(".text")?.textContent ?? row.querySelector("p.note")?.textContent ?? "",
            state: row.querySelector(".state")?.dataset.state,
            place: `${row.getAttribute("aria-posinset")}/${row.getAttribute("aria-setsize")}`,
            count: Number(row.getAttribute("aria-setsize")),
          });
        }
      };
      const toEnd = async () => {
        view.scrollTop = view.scrollHeight;
        await settled();
        view.scrollTop = view.scrollHeight;
        await settled();
        collect();
      };
      // Again where something came meanwhile that no step has seen.
      for (let tries = 0; tries < 10; tries++) {
        rows.clear();
        await toEnd();
        // From the end up: the end is where the list began, and goes on.
        while (view.scrollTop > 0) {
          view.scrollTop = Math.max(0, view.scrollTop - view.clientHeight);
          await settled();
          collect();
        }
        await toEnd();
        if (rows.size === Math.max(0, ...[...rows.values()].map(({ count }) => count))) break;
      }
      return [...rows].sort(([a], [b]) => a - b).map(([, row]) => row);
    });
  }

  /** The texts of a sender, in the order in which they are shown. */
  async textsOf(name) {
    return (await this.rows()).filter(({ note, sender }) => !note && sender === name).map(({ text }) => text);
  }

  /** Waits until a sender has so many texts here. */
  async hasTexts(name, count) {
    const deadline = Date.now() + 20_000;
    for (;;) {
      const { length } = await this.textsOf(name);
      if (length >= count) return;
      if (Date.now() > deadline) throw new Error(`${this.name}: waited in vain for ${count} texts of ${name}: ${length}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Waits until all of one's own texts have reached the service. */
  async allSent() {
    const deadline = Date.now() + 20_000;
    for (;;) {
      const open = (await this.rows()).filter(({ state }) => state !== undefined && state !== "sent");
      if (open.length === 0) return;
      if (Date.now() > deadline) throw new Error(`${this.name}: not sent: ${JSON.stringify(open.slice(0, 3))}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async note(text) {
    await this.watched.until(`the note "${text}"`, (wanted) => [...document.querySelectorAll("p.note")].some((e) => e.textContent.includes(wanted)), text);
  }

  /** The epoch and the safety number that the page shows. */
  async security() {
    await this.show("security");
    return this.page.evaluate(() => ({
      epoch: Number(document.querySelector("dd.epoch").textContent),
      safety: document.querySelector("dd.safety").textContent,
    }));
  }

  /** Waits until the page shows an epoch. */
  async epoch(epoch) {
    await this.show("security");
    await this.watched.until(`epoch ${epoch}`, (wanted) => document.querySelector("dd.epoch")?.textContent === wanted, String(epoch));
  }

  alerts() {
    return this.page.evaluate(() => [...document.querySelectorAll(".alert p")].map((e) => e.textContent));
  }
}

/** Is run in the page before the app: WebSockets whose incoming frames can be lost or held up. */
function wireTap() {
  const wire = (globalThis.wire = { deaf: false, held: undefined, stale: false, socket: undefined, offline: false, refuse: false, stocked: false });
  const Real = globalThis.WebSocket;
  globalThis.WebSocket = class extends Real {
    constructor(...args) {
      if (wire.offline) {
        const fake = { send() {}, close() {} };
        setTimeout(() => fake.onclose?.(new CloseEvent("close", { code: 1006 })), 20);
        return fake;
      }
      super(...args);
      wire.socket = this;
    }

    send(data) {
      const frame = JSON.parse(data);
      if (frame.op === "publishKeyPackages") this.stocking = frame.id;
      if (!wire.refuse || frame.op !== "publish") return super.send(data);
      wire.refuse = false;
      const reply = JSON.stringify({ id: frame.id, error: { code: "TOO_LARGE", message: "as the test wants it" } });
      setTimeout(() => this.arrive(new MessageEvent("message", { data: reply })));
    }

    set onmessage(listener) {
      super.onmessage = this.arrive =
        listener &&
        ((event) => {
          if (wire.deaf) return;
          const frame = JSON.parse(event.data);
          if (frame.ok?.accepted === false) wire.stale = true;
          if (frame.ok && frame.id === this.stocking) wire.stocked = true;
          const arrive = () => listener.call(this, event);
          if (wire.held && frame.event === "message") wire.held.push(arrive);
          else arrive();
        });
    }
  };
}
