// One signed-in user: the connection, the MLS client, the conversations, the
// queue of welcomes, and the key packages that let others invite this user.
import { MLS, MLSError } from "webmls";
import type { Group, Identity } from "webmls";
import { connect, databasesOf, openAccount, rememberName } from "./account.js";
import { Changes } from "./changes.js";
import { Conversation, type Surroundings } from "./conversation.js";
import type { Delivery, Status, Welcome } from "./delivery.js";
import { toHex } from "./hex.js";
import { History, type ConversationRecord } from "./history.js";
import { Trust } from "./trust.js";
import { passing, Refusal } from "./failures.js";

/** So many key packages wait at the service: each lets one person invite this user once. */
const fullStock = 10;
/** With fewer than this, more are made. */
const lowStock = 5;

interface Parts {
  name: string;
  history: History;
  delivery: Delivery;
  mls: MLS;
  identity: Identity;
}

export class Session extends Changes {
  readonly name: string;
  readonly #parts: Parts;
  readonly #around: Surroundings;
  readonly #conversations = new Map<string, Conversation>();
  /** What happens with each group's welcomes, one after the other. */
  readonly #joining = new Map<string, Promise<void>>();
  /** Of groups that are being joined. */
  readonly #warnings = new Map<string, string[]>();
  #stocking: Promise<void> = Promise.resolve();

  private constructor(parts: Parts, report: (error: unknown) => void) {
    super();
    this.name = parts.name;
    this.#parts = parts;
    this.#around = { me: parts.name, delivery: parts.delivery, history: parts.history, report };
  }

  /** Signs a name in. Rejects with a DeliveryError where the name is somebody else's. */
  static async open(name: string, report: (error: unknown) => void): Promise<Session> {
    const databases = databasesOf(name);
    const history = await History.open(databases.history);
    let delivery: Delivery | undefined;
    let mls: MLS | undefined;
    try {
      const account = await openAccount(history, name);
      delivery = await connect(history, account);
      let session: Session | undefined;
      const trust = new Trust(history, ({ name: changed, group }) => {
        if (session) session.#warn(changed, group);
      });
      mls = await MLS.open({ database: databases.mls, authenticate: trust.authenticate, succeeds: trust.succeeds });
      const identity = (await mls.identities())[0] ?? (await mls.createIdentity(name));
      session = new Session({ name, history, delivery, mls, identity }, report);
      await session.#load();
      session.#start();
      rememberName(name);
      return session;
    } catch (error) {
      delivery?.close();
      await mls?.close();
      history.close();
      throw error;
    }
  }

  get status(): Status {
    return this.#parts.delivery.status;
  }

  /** The conversations, the one in which something last happened first. */
  get conversations(): Conversation[] {
    return [...this.#conversations.values()].sort((a, b) => b.active - a.active);
  }

  find(id: string): Conversation | undefined {
    return this.#conversations.get(id);
  }

  /** Starts a group with this user as its only member. */
  async createGroup(title: string): Promise<Conversation> {
    const { mls, identity } = this.#parts;
    const group = await mls.createGroup(identity);
    return this.#adopt(group, { title, cursor: 0 }, "You started the group.");
  }

  /** Signs out of this page; everything stays on the device. */
  async close(): Promise<void> {
    for (const conversation of this.#conversations.values()) conversation.stop();
    this.#parts.delivery.close();
    await this.#parts.mls.close();
    this.#parts.history.close();
  }

  async #load(): Promise<void> {
    const { mls, history } = this.#parts;
    const groups = new Map((await mls.groups()).map((id) => [toHex(id), id]));
    for (const record of await history.conversations()) {
      const id = groups.get(record.id);
      groups.delete(record.id);
      if (id) this.#add(await Conversation.open(await mls.group(id), record, this.#around));
      else this.#around.report(new Refusal(`The keys of the group "${record.title}" are no longer on this device.`));
    }
    // A group made just before a crash has no record. Nor has one that was
    // joined; its welcome is still at the service, and says where to begin.
    for (const id of groups.values()) {
      const group = await mls.group(id);
      if (group.epoch === 0n) this.#add(await Conversation.open(group, recordOf(id, { title: "", cursor: 0 }), this.#around));
    }
  }

  #start(): void {
    const { delivery } = this.#parts;
    delivery.onStatus((status, error) => {
      if (error) this.#around.report(error);
      if (status === "connected") this.#restock();
      this.changed();
    });
    delivery.onWelcome((welcome) => this.#receiveWelcome(welcome));
    for (const conversation of this.#conversations.values()) conversation.start();
    if (delivery.status === "connected") this.#restock();
  }

  #add(conversation: Conversation): void {
    this.#conversations.set(conversation.id, conversation);
    conversation.onChange(() => this.changed());
    this.changed();
  }

  /** Makes a conversation of a new group. */
  async #adopt(group: Group, about: { title: string; cursor: number }, first: string): Promise<Conversation> {
    const record = recordOf(group.id, about);
    await this.#parts.history.save(record);
    const conversation = await Conversation.open(group, record, this.#around);
    this.#add(conversation);
    await conversation.note(first);
    conversation.start();
    return conversation;
  }

  // Being invited

  #receiveWelcome(welcome: Welcome): Promise<void> {
    const id = toHex(welcome.group);
    const joined = (this.#joining.get(id) ?? Promise.resolve()).then(() => this.#take(id, welcome));
    this.#joining.set(id, joined.catch(() => {}));
    return joined;
  }

  /** Joins by a welcome, and takes it out of the queue when that is stored. */
  async #take(id: string, welcome: Welcome): Promise<void> {
    try {
      await this.#join(id, welcome);
    } catch (error) {
      // What cannot be done now comes again; what is no good does not get better.
      if (passing(error)) throw error;
      this.#around.report(error);
    }
    await this.#parts.delivery.acknowledgeWelcome(welcome.id);
    this.#restock();
  }

  async #join(id: string, welcome: Welcome): Promise<void> {
    const known = this.find(id);
    // A welcome to a group that this user is in: either a commit that is still
    // on its way removes them first, or it was joined before a crash.
    await known?.past(welcome.seq);
    if (known && (known.status !== "removed" || known.cursor >= welcome.seq)) return;
    const group = await this.#joinOrFind(welcome);
    if (known) await known.rejoin(welcome.seq, "You were invited again.");
    else await this.#adopt(group, { title: "", cursor: welcome.seq }, "You were invited.");
    for (const text of this.#warnings.get(id) ?? []) await this.find(id)?.note(text);
    this.#warnings.delete(id);
  }

  /** Joins, or finds the group that was joined just before a crash. */
  async #joinOrFind(welcome: Welcome): Promise<Group> {
    const { mls } = this.#parts;
    let group: Group | undefined;
    try {
      group = await mls.joinGroup(welcome.welcome);
    } catch (error) {
      if (!(error instanceof MLSError) || (error.code !== "NO_MATCHING_KEY_PACKAGE" && error.code !== "GROUP_EXISTS")) throw error;
      group = await mls.group(welcome.group).catch(() => undefined);
      if (!group || (await group.info()).status !== "active") throw error;
    }
    if (toHex(group.id) === toHex(welcome.group)) return group;
    await group.delete();
    throw new Refusal("An invitation was to another group than the delivery service said.");
  }

  /** Says in the conversation that somebody has a new key: at once, or when the group is joined. */
  #warn(name: string, group: Uint8Array): void {
    const text = `${name} has a new key. If you do not know why, ask ${name} in another way, and compare the safety number.`;
    const id = toHex(group);
    const conversation = this.find(id);
    if (conversation && conversation.status !== "removed") {
      conversation.note(text).catch((error: unknown) => this.#around.report(error));
    } else this.#warnings.set(id, [...(this.#warnings.get(id) ?? []), text]);
  }

  /** Sees to it that others can invite this user. */
  #restock(): void {
    const { delivery, mls, identity } = this.#parts;
    this.#stocking = this.#stocking
      .then(async () => {
        const left = await delivery.countKeyPackages();
        if (left >= lowStock) return;
        await delivery.publishKeyPackages(await mls.createKeyPackages(identity, fullStock - left));
      })
      .catch((error: unknown) => this.#around.report(error));
  }
}

function recordOf(group: Uint8Array, { title, cursor }: { title: string; cursor: number }): ConversationRecord {
  return { id: toHex(group), group, title, cursor, active: Date.now() };
}
