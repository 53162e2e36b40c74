// One signed-in user: the connection, the MLS client, the conversations, the
// queue of welcomes, and the key packages that let others invite this device.
//
// Several tabs may be open. Each has all of this. What must be done by one of them is done
// under a Web Lock, and the history tells the others.
import { MLS, MLSError } from "webmls";
import type { Group, Identity } from "webmls";
import { connect, databasesOf, openAccount, rememberName } from "./account.js";
import { Changes } from "./changes.js";
import { Conversation, newRecord, type Surroundings } from "./conversation.js";
import type { Delivery, Status, Welcome } from "./delivery.js";
import { passing, Refusal } from "./failures.js";
import { toHex } from "./hex.js";
import { History, type Account } from "./history.js";
import { credentialOf, linkCodeOf } from "./names.js";
import { keptAs, newId } from "./payload.js";
import { transportOf } from "./transport.js";
import { Trust, type KeyChange } from "./trust.js";

/** So many key packages wait at the service: each lets one person invite this device once. */
const fullStock = 10;
/** With fewer than this, more are made. */
const lowStock = 5;

/** A device of this user, as the service lists them. */
export interface Device {
  device: string;
  own: boolean;
  /** The groups that this device is in and that one is not. */
  missing: Conversation[];
}

export class Session extends Changes {
  readonly name: string;
  readonly trust: Trust;
  readonly #account: Account;
  readonly #identity: Identity;
  readonly #around: Surroundings;
  readonly #locks: string;
  readonly #conversations = new Map<string, Conversation>();
  /** Of groups that are being joined. */
  readonly #warnings = new Map<string, string[]>();
  #records: Promise<void> = Promise.resolve();

  private constructor(account: Account, identity: Identity, around: Surroundings) {
    super();
    this.name = account.name;
    this.trust = around.trust;
    this.#account = account;
    this.#identity = identity;
    this.#around = around;
    this.#locks = `webmls-chat/${account.name}`;
  }

  /**
   * Signs a name in; with a secret, as another device of whoever has the name.
   * Rejects with a DeliveryError where the name is somebody else's.
   */
  static async open(name: string, report: (error: unknown) => void, secret?: string): Promise<Session> {
    const databases = databasesOf(name);
    const history = await History.open(databases.history);
    let delivery: Delivery | undefined;
    let mls: MLS | undefined;
    try {
      const account = await openAccount(history, name, secret);
      delivery = await connect(history, account);
      let session: Session | undefined;
      const trust = await Trust.open(history, (change) => {
        if (session) session.#warn(change);
      });
      mls = await MLS.open({ database: databases.mls, authenticate: trust.authenticate, succeeds: trust.succeeds });
      const client = mls;
      // Two tabs that are opened at once make one identity.
      const identity = await navigator.locks.request(
        `webmls-chat/${name}/identity`,
        async () => (await client.identities())[0] ?? (await client.createIdentity(credentialOf(name, account.device))),
      );
      const transport = transportOf(delivery, (group) => {
        if (session) void session.#gap(group);
      });
      session = new Session(account, identity, {
        me: name, device: account.device, database: databases.mls, tab: `webmls-chat/tab/${newId()}`, mls, delivery, transport, history, trust, report,
      });
      const begin = session.#listen();
      await session.#load();
      session.#start();
      begin();
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
    return this.#around.delivery.status;
  }

  get device(): string {
    return this.#account.device;
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** The conversations, the one in which something last happened first. */
  get conversations(): Conversation[] {
    return [...this.#conversations.values()].sort((a, b) => b.active - a.active);
  }

  /** What is typed at another device to be the same person there. */
  get linkCode(): string {
    return linkCodeOf(this.name, this.#account.token);
  }

  find(id: string): Conversation | undefined {
    return this.#conversations.get(id);
  }

  /** Starts a group with this user as its only member. */
  async createGroup(title: string): Promise<Conversation> {
    const { mls, history } = this.#around;
    const group = await mls.createGroup(this.#identity);
    const sealed = title ? await history.seal(title) : undefined;
    await history.change(toHex(group.id), () => ({ ...newRecord(group.id, 0), ...(sealed ? { title: sealed, titleAt: Date.now() } : {}) }));
    await this.#records; // which finds it, too
    const conversation = await this.#open(group);
    await conversation.note("You started the group.");
    return conversation;
  }

  /** The conversation with one other person, which is started where there is none. */
  async direct(name: string): Promise<Conversation> {
    const both = [this.name, name].sort().join("\n");
    const known = this.conversations.find(({ status, named, people }) => status === "active" && !named && [...people].sort().join("\n") === both);
    if (known) return known;
    const conversation = await this.createGroup("");
    try {
      await conversation.invite(name);
    } catch (error) {
      await this.forget(conversation);
      throw error;
    }
    return conversation;
  }

  /** Deletes a conversation, with all that was said, from this device. Who is still a member leaves with {@link Conversation.leave}. */
  async forget(conversation: Conversation): Promise<void> {
    const { mls, history } = this.#around;
    await conversation.stop();
    const attachments: string[] = [];
    const orders = await history.orders(conversation.id);
    if (orders.length > 0) {
      for (const { attachment } of await history.entries(conversation.id, orders[0]!, orders.at(-1)!)) if (attachment) attachments.push(keptAs(attachment));
    }
    await mls.deleteGroup(conversation.record.group).catch((error: unknown) => {
      if (!(error instanceof MLSError && error.code === "GROUP_NOT_FOUND")) throw error;
    });
    await history.forget(conversation.id, attachments);
  }

  /** This user's devices, and what they are not yet in. */
  async devices(): Promise<Device[]> {
    const list = await this.#around.delivery.devices();
    return list.map((device) => ({
      device,
      own: device === this.device,
      missing: this.conversations.filter(({ status, members }) => status === "active" && !members.some(({ name }) => name === credentialOf(this.name, device))),
    }));
  }

  async #load(): Promise<void> {
    const { mls, history, report, tab } = this.#around;
    // The tab is held to be there for as long as it has this lock: until it is closed.
    void navigator.locks.request(tab, () => new Promise<never>(() => {}));
    const groups = new Map((await mls.groups()).map((id) => [toHex(id), id]));
    for (const record of await history.conversations()) {
      const id = groups.get(record.id);
      groups.delete(record.id);
      if (id) this.#add(await Conversation.open(await mls.group(id), record, this.#around));
      else report(new Refusal("The keys of a group are no longer on this device."));
    }
    // A group made just before a crash has no record. Nor has one that was
    // joined; its welcome is still at the service, and says where to begin.
    for (const id of groups.values()) {
      const group = await mls.group(id);
      if (group.epoch !== 0n) continue;
      await history.change(toHex(id), (record) => record ?? newRecord(id, 0));
      await this.#open(group, false);
    }
  }

  /** Hears which conversations change from now on, and takes that up once it is told to begin. */
  #listen(): () => void {
    const { history, report } = this.#around;
    let begin = () => {};
    this.#records = new Promise<void>((resolve) => (begin = resolve));
    history.onChange((change) => {
      if (change.kind === "record") this.#records = this.#records.then(() => this.#reconcile(change.id)).catch(report);
    });
    return begin;
  }

  #start(): void {
    const { delivery, report, trust } = this.#around;
    trust.onChange(() => this.changed());
    delivery.onStatus((status, error) => {
      if (error) report(error);
      if (status === "connected") for (const conversation of this.#conversations.values()) conversation.refresh();
      this.changed();
    });
    delivery.onWelcome((welcome) => navigator.locks.request(`${this.#locks}/welcomes`, () => this.#take(welcome)));
    delivery.onLowStock(lowStock, () => void this.#restock().catch(report));
    for (const conversation of this.#conversations.values()) void conversation.start();
  }

  /** Takes up what this or another tab has changed about a conversation. */
  async #reconcile(id: string): Promise<void> {
    const { history, mls } = this.#around;
    const known = this.find(id);
    const record = await history.conversation(id);
    if (!record) {
      if (this.#conversations.delete(id)) await known?.stop();
      this.changed();
    } else if (known) await known.reread();
    else {
      const group = await mls.group(record.group).catch(() => undefined);
      if (group) await this.#open(group);
    }
  }

  async #open(group: Group, start = true): Promise<Conversation> {
    const record = await this.#around.history.conversation(toHex(group.id));
    const known = this.find(record!.id);
    if (known) return known;
    const conversation = await Conversation.open(group, record!, this.#around);
    const other = this.find(conversation.id);
    if (other) {
      await conversation.stop();
      return other;
    }
    this.#add(conversation);
    if (start) await conversation.start();
    return conversation;
  }

  #add(conversation: Conversation): void {
    this.#conversations.set(conversation.id, conversation);
    conversation.onChange(() => this.changed());
    this.changed();
  }

  // Being invited

  /** Joins by a welcome, and takes it out of the queue when that is stored. */
  async #take(welcome: Welcome): Promise<void> {
    try {
      await this.#join(welcome);
    } catch (error) {
      // What cannot be done now comes again; what is no good does not get better.
      if (passing(error)) throw error;
      this.#around.report(error);
    }
    await this.#around.delivery.acknowledgeWelcome(welcome.id);
  }

  async #join(welcome: Welcome): Promise<void> {
    const { history } = this.#around;
    const id = toHex(welcome.group);
    const record = await history.conversation(id);
    if (record && record.since >= welcome.seq) return; // joined before a crash, or by another tab
    // A commit that is still on its way removes this client first, unless it is this welcome that made it a member.
    if (record && record.joining !== welcome.seq) await this.#removedFrom(id);
    if (record) await history.change(id, (old) => old && { ...old, joining: welcome.seq });
    const group = await this.#joinOrFind(welcome);
    await history.change(id, (old) =>
      old
        ? { ...old, since: welcome.seq, joined: old.joined + 1, joining: undefined, leaving: undefined, active: Date.now() }
        : newRecord(group.id, welcome.seq),
    );
    await this.#records;
    const conversation = await this.#open(group);
    await conversation.note(record ? "You were invited again." : "You were invited.");
    for (const text of this.#warnings.get(id) ?? []) await conversation.note(text);
    this.#warnings.delete(id);
  }

  /** Resolves when this client is no longer a member by what it has joined before. */
  async #removedFrom(id: string): Promise<void> {
    const conversation = this.find(id);
    if (!conversation || conversation.status === "removed") return;
    await new Promise<void>((resolve) => {
      const end = conversation.onChange(() => {
        if (conversation.status !== "removed") return;
        end();
        resolve();
      });
    });
  }

  /** Joins, or finds the group that was joined just before a crash. */
  async #joinOrFind(welcome: Welcome): Promise<Group> {
    const { mls } = this.#around;
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
  #warn({ name, group }: KeyChange): void {
    const text =
      name === this.name
        ? "You have a new device. If you have not linked one, somebody else has."
        : `${name} has a new device, or a new key. If you do not know why, ask ${name} in another way, and compare the safety number.`;
    const id = toHex(group);
    const conversation = this.find(id);
    if (conversation && conversation.status !== "removed") {
      conversation.note(text).catch((error: unknown) => this.#around.report(error));
    } else this.#warnings.set(id, [...(this.#warnings.get(id) ?? []), text]);
  }

  /** Messages that this device did not see are no longer at the service. */
  async #gap(group: Uint8Array): Promise<void> {
    await this.find(toHex(group))
      ?.note("You were away for longer than the delivery service keeps messages. If nothing new comes, ask another member to remove you and to invite you again.")
      .catch((error: unknown) => this.#around.report(error));
  }

  /** Sees to it that others can invite this device. */
  async #restock(): Promise<void> {
    const { delivery, mls } = this.#around;
    await navigator.locks.request(`${this.#locks}/stock`, { ifAvailable: true }, async (lock) => {
      if (!lock) return; // another tab does
      const left = await delivery.countKeyPackages();
      if (left >= lowStock) return;
      const keyPackages = await mls.createKeyPackages(this.#identity, fullStock - left);
      await delivery.publishKeyPackages(keyPackages, await mls.createKeyPackage(this.#identity, { lastResort: true }));
    });
  }
}

