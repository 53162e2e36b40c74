// A group of two for the long tests: the delivery service, which orders what is
// sent and accepts one commit an epoch, and the two parties' pages. All that the
// parties must agree on is asserted here.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { serve } from "../kit/bare.mjs";
import { built } from "../kit/paths.mjs";

const script = readFileSync(fileURLToPath(new URL("page.js", import.meta.url)), "utf8");

/** Serves the package and the page's script. */
export const serveParty = () => serve(built("js/dist"), { "party.js": script });

/** The page was killed while it was asked: what came of it is unknown. */
export class Killed extends Error {}

/** One page of a party. */
export class Tab {
  #page;
  #dead;
  #die;
  alive = true;

  constructor(page) {
    this.#page = page;
    this.#dead = new Promise((_, reject) => (this.#die = reject));
    this.#dead.catch(() => {});
  }

  /** Opens a page on a party's database. */
  static async open(context, url, database) {
    const page = await context.newPage();
    const tab = new Tab(page);
    await page.goto(url);
    await page.evaluate(() => import("/scripts/party.js").then(() => undefined));
    tab.hasGroup = await tab.must("open", database);
    return tab;
  }

  get page() {
    return this.#page;
  }

  /** Calls a function of page.js. Rejects with Killed if the page does not live to answer. */
  async call(name, ...params) {
    const answer = this.#page.evaluate((name, params) => globalThis.party(name, ...params), name, params);
    answer.catch(() => {});
    try {
      return await Promise.race([answer, this.#dead]);
    } catch (error) {
      if (!this.alive) throw new Killed(name);
      throw error;
    }
  }

  /** Calls a function that must succeed. */
  async must(name, ...params) {
    const { ok, code, detail } = await this.call(name, ...params);
    assert.equal(code, undefined, `${name}: ${detail}`);
    return ok;
  }

  /** Marks the page as killed; the caller kills it. */
  killed() {
    this.alive = false;
    this.#die(new Killed());
  }
}

/** The delivery service: everything that was sent, in order. */
export class Service {
  log = []; // {bytes, from, text}
  epoch = 0;

  publish(from, bytes, text) {
    this.log.push({ bytes, from, text });
  }

  /** Whether a commit is the one of its epoch. */
  publishCommit(from, { commit, epoch }) {
    if (this.log.some(({ bytes }) => bytes === commit)) return true; // the answer was lost
    if (epoch !== this.epoch + 1) return false;
    this.epoch = epoch;
    this.publish(from, commit);
    return true;
  }
}

/** A party: what it has received and what it must have. */
export class Party {
  at = 0; // how much of the log it has received
  received = new Map(); // how often the receipt of each text was reported
  acknowledged = new Set(); // texts
  asked = new Set(); // texts to be acknowledged: a killed page may have done so, and not lived to say it
  counts = { sent: 0, commits: 0, lost: 0, received: 0, own: 0, again: 0, unknown: 0, forgotten: 0 };

  constructor(service, name) {
    this.service = service;
    this.name = name;
  }

  /** Sends a text and gives it to the service. */
  async send(tab, text) {
    this.service.publish(this.name, await tab.must("send", text), text);
    this.counts.sent++;
  }

  /** Makes a commit, or takes the one that is pending, and gives it to the service. */
  async commit(tab) {
    let { ok, code, detail } = await tab.call("commit");
    if (code === "PENDING_COMMIT") ok = await tab.must("pendingCommit");
    else assert.equal(code, undefined, `commit: ${detail}`);
    if (!ok) return; // another tab has applied it by now
    if (!this.service.publishCommit(this.name, ok)) {
      this.counts.lost++;
      return;
    }
    this.counts.commits++;
    if (Math.random() < 0.5) {
      const applied = await tab.call("apply");
      if (applied.code !== undefined) assert.equal(applied.code, "NO_PENDING_COMMIT", applied.detail);
    }
  }

  /**
   * Gives the next message of the log to a tab, or the same one to several at
   * once. It stays the next one when they do not live to answer.
   */
  async receive(tabs) {
    const entry = this.service.log[this.at];
    if (!entry) return false;
    const answers = await Promise.allSettled(tabs.map((tab) => tab.call("receive", entry.bytes)));
    let answered = false;
    for (const { value, reason } of answers) {
      if (reason instanceof Killed) {
        entry.uncertain = true;
        this.counts.unknown++;
        continue;
      }
      if (reason) throw reason;
      answered = true;
      this.#note(entry, value, tabs.length > 1);
    }
    if (answered) this.at++;
    return answered;
  }

  #note(entry, { ok, code, detail }, several) {
    const own = entry.from === this.name;
    const where = `${this.name} receives message ${this.at} of ${entry.from} (${entry.text ?? "commit"})`;
    if (code === "ALREADY_PROCESSED" || (code === "EPOCH_BEHIND" && !entry.text)) {
      // Right when somebody else had it, and for an own commit that was applied.
      if (own && entry.text && entry.kill) this.#forgotten(entry.kill, where);
      else assert.ok(several || entry.uncertain || (own && !entry.text), `${where}: ${detail}`);
      this.counts.again++;
      return;
    }
    assert.equal(code, undefined, `${where}: ${detail}`);
    if (entry.text === undefined) {
      assert.equal(ok.type, "group-update", where);
      assert.equal(ok.own, own, where);
    } else if (own) {
      assert.equal(ok.type, "own", where);
      this.counts.own++;
    } else {
      assert.equal(ok.type, "application", where);
      assert.equal(ok.text, entry.text, where);
      this.received.set(ok.text, (this.received.get(ok.text) ?? 0) + 1);
      this.counts.received++;
    }
  }

  /** The last messages before a kill may have been sent from memory: then it does not know that they are its own. */
  #forgotten(kill, where) {
    assert.ok(++kill.forgotten <= 31, where);
    this.counts.forgotten++;
  }

  /** Is told that its page was killed. */
  killed() {
    const kill = { forgotten: 0 };
    for (const entry of this.service.log.slice(this.at)) if (entry.from === this.name) entry.kill ??= kill;
  }

  /** Acknowledges some of the inbox, as an application does that has shown it. */
  async acknowledge(tab) {
    const inbox = await tab.must("inbox");
    const some = inbox.slice(0, Math.ceil(inbox.length / 2));
    if (some.length === 0) return;
    for (const { text } of some) this.asked.add(text);
    await tab.must("acknowledge", some.map(({ inboxId }) => inboxId));
    for (const { text } of some) this.acknowledged.add(text);
  }

  /** How many messages it has not yet received. */
  get behind() {
    return this.service.log.length - this.at;
  }

  /** How many epochs the log is ahead of what it has received. One's own commits can be applied before their turn in the log. */
  get epochsBehind() {
    return this.service.log.slice(this.at).filter(({ text }) => text === undefined).length;
  }

  /** Receives all there is. */
  async catchUp(tab) {
    while (this.at < this.service.log.length) await this.receive([tab]);
  }

  /** Asserts that all that the others sent is there, once. */
  async complete(tab) {
    const inbox = (await tab.must("inbox")).map(({ text }) => text);
    assert.equal(new Set(inbox).size, inbox.length, "a text is in the inbox twice");
    for (const [text, times] of this.received) assert.equal(times, 1, `${text} was received ${times} times`);
    const sent = this.service.log.slice(0, this.at).filter(({ from, text }) => from !== this.name && text !== undefined);
    const gone = sent.map(({ text }) => text).filter((text) => this.asked.has(text));
    const have = new Set([...inbox, ...this.acknowledged, ...gone]);
    assert.deepEqual(sent.map(({ text }) => text).filter((text) => !have.has(text)), [], "texts are lost");
    const uncertain = this.service.log[this.at]; // a killed page may have received it
    if (uncertain?.uncertain && uncertain.from !== this.name) have.delete(uncertain.text);
    assert.equal(have.size, sent.length, "texts that nobody sent, or that came twice");
  }
}

/** Alice makes a group and adds Bob. */
export async function found(service, alice, bob) {
  await alice.must("create", "alice");
  const added = await alice.must("add", await bob.must("keyPackage", "bob"));
  await alice.must("apply");
  await bob.must("join", added.welcome);
  service.epoch = added.epoch;
}

/** Asserts that all tabs are in the same epoch of the same group. */
export async function agree(tabs) {
  const states = await Promise.all(tabs.map((tab) => tab.must("state")));
  for (const state of states) {
    assert.equal(state.status, "active");
    assert.deepEqual([state.epoch, state.authenticator], [states[0].epoch, states[0].authenticator], "the tabs have diverged");
  }
  return states[0];
}
