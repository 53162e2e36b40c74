// The client of the delivery service: web/delivery/PROTOCOL.md in TypeScript.
//
// One Delivery is one user on one connection. When the connection is lost it
// is made again, requests without an answer are sent again (the service
// recognises a repeated publish), and each subscription goes on behind the last
// message it received. Bytes are MLSMessages; this file does not look inside.

/** Who connects. */
export interface Account {
  name: string;
  /**
   * A token of the service's provider of accounts, or a function that gets a
   * fresh one: it is called for each connection, and again a little later where
   * it rejects, unless with a DeliveryError. With accounts for development, the
   * secret that claimed the name: 16 to 256 bytes, made once from
   * crypto.getRandomValues and kept.
   */
  token: string | (() => Promise<string>);
  /** The name of the device among those of the user: letters, digits, "-", "_" and ".". */
  device?: string;
}

/** A user's device, or the user alone where devices have no names. */
export type Recipient = string | { name: string; device?: string };

export type Status = "connecting" | "connected" | "closed";

export interface LogMessage {
  /** Grows within a group, not always by one. To go on later: seq + 1. */
  seq: number;
  message: Uint8Array;
}

export interface Welcome {
  /** The same each time this welcome is delivered. */
  id: string;
  group: Uint8Array;
  /** Of the commit that added the user: the group's log goes on at seq + 1. */
  seq: number;
  welcome: Uint8Array;
}

export interface CommitRequest {
  group: Uint8Array;
  commit: Uint8Array;
  /** Delivered if the commit is accepted. One Welcome may be for many users. */
  welcomes?: { to: Recipient | Recipient[]; welcome: Uint8Array }[];
  /** Of the epoch that the commit begins. */
  groupInfo?: Uint8Array;
  /** The users who remain, if not all who were members: the others may publish no more. */
  members?: string[];
}

export type CommitResult =
  | { accepted: true; seq: number; epoch: bigint }
  | { accepted: false; epoch: bigint };

/** An error of the service, with a code of PROTOCOL.md, or CLOSED. */
export class DeliveryError extends Error {
  readonly code: string;
  /** With EPOCH_AHEAD and EPOCH_BEHIND: the epoch that the group is at. */
  readonly epoch: bigint | undefined;

  constructor(code: string, message: string, epoch?: bigint) {
    super(message);
    this.name = "DeliveryError";
    this.code = code;
    this.epoch = epoch;
  }
}

const protocolVersion = 1;
const firstDelay = 250;
const longestDelay = 15_000;
const quietTime = 25_000; // after which the client asks whether the service is there
const answerTime = 15_000; // and for how long it waits for the answer
const unavailableRetries = 5;

/** Codes of a refused hello after which trying again makes sense. */
const passing = new Set(["UNAVAILABLE", "TOO_MANY_CONNECTIONS"]);

/** Close codes that say that the service does not want what it was sent. */
const rejecting = new Set([1003, 1007, 1008, 1009]);

interface Reply {
  id: number;
  ok?: unknown;
  error?: { code: string; message: string; epoch?: string };
}

interface MessageEventFrame {
  event: "message";
  sub: number;
  seq: number;
  message: string;
}

interface WelcomeEventFrame {
  event: "welcome";
  id: string;
  group: string;
  seq: number;
  welcome: string;
}

interface StockEventFrame {
  event: "keyPackages";
  count: number;
}

type Frame = Reply | MessageEventFrame | WelcomeEventFrame | StockEventFrame;

interface Request {
  id: number;
  op: string;
  fields: object;
  retries: number;
  sent: boolean;
  resolve(ok: unknown): void;
  reject(error: Error): void;
}

interface Subscription {
  group: Uint8Array;
  /** The first sequence not yet received. */
  from: number;
  /** The id of its request on this connection. */
  id: number | undefined;
  /** Until which sequence it is replay; undefined before the first reply. */
  last: number | undefined;
  /** The handler's calls, one after the other. */
  handling: Promise<void>;
  onMessage: (message: LogMessage) => void | Promise<void>;
  /** Up to which sequence messages that were asked for are gone. */
  missing: number | undefined;
  onCurrent: ((missing?: number) => void) | undefined;
}

export class Delivery {
  readonly #url: string;
  readonly #account: Account;

  #status: Status = "closed";
  #socket: WebSocket | undefined;
  #ready = false; // hello was accepted on this socket
  #connecting: { promise: Promise<void>; resolve(): void; reject(error: Error): void } | undefined;
  #delay = firstDelay;
  #reconnect: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setTimeout> | undefined;
  #frameLimit = Infinity;

  #lastID = 0;
  readonly #requests = new Map<number, Request>();
  readonly #subscriptions = new Set<Subscription>();
  readonly #internal = new Map<number, (reply: Reply) => void>();
  readonly #welcomeListeners = new Set<(welcome: Welcome) => void | Promise<void>>();
  readonly #welcomesSeen = new Set<string>();
  #stock: { below: number; listener: (count: number) => void } | undefined;
  readonly #statusListeners = new Set<(status: Status, error?: DeliveryError) => void>();
  readonly #online = (): void => this.#reconnectNow();

  /** url: "ws://host/ws" or "wss://host/ws". */
  constructor(url: string, account: Account) {
    this.#url = url;
    this.#account = { ...account };
  }

  get status(): Status {
    return this.#status;
  }

  /**
   * Connects, and stays connected until close(). Resolves with the first
   * accepted hello, whenever that is; rejects if the service refuses the
   * account (NAME_TAKEN, NAME_INVALID, TOKEN_INVALID, UNSUPPORTED_VERSION).
   */
  connect(): Promise<void> {
    if (this.#connecting === undefined) {
      let resolve!: () => void;
      let reject!: (error: Error) => void;
      const promise = new Promise<void>((yes, no) => {
        resolve = yes;
        reject = no;
      });
      promise.catch(() => {}); // whoever called connect has it too
      this.#connecting = { promise, resolve, reject };
      globalThis.addEventListener?.("online", this.#online);
      this.#open();
    }
    return this.#connecting.promise;
  }

  /** Ends the connection and rejects what has no answer with CLOSED. */
  close(): void {
    this.#end(new DeliveryError("CLOSED", "the connection was closed"), undefined);
  }

  /** Calls back with each change of status, with the error if that is why. Returns a function that ends it. */
  onStatus(listener: (status: Status, error?: DeliveryError) => void): () => void {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  /** Adds key packages of this device, and replaces its one of last resort where one is given. */
  async publishKeyPackages(keyPackages: Uint8Array[], lastResort?: Uint8Array): Promise<void> {
    await this.#request("publishKeyPackages", {
      keyPackages: keyPackages.map(toBase64),
      lastResort: lastResort && toBase64(lastResort),
    });
  }

  /**
   * Takes a key package of a device; nobody else gets the same, but that of last
   * resort, where there is no other. Rejects with NO_KEY_PACKAGE.
   */
  async claimKeyPackage(name: string, device?: string): Promise<Uint8Array> {
    const ok = (await this.#request("claimKeyPackage", { name, device })) as { keyPackage: string };
    return fromBase64(ok.keyPackage);
  }

  /** Takes a key package of each of a user's devices. Rejects with NO_KEY_PACKAGE where none has one. */
  async claimKeyPackages(name: string): Promise<{ device: string; keyPackage: Uint8Array }[]> {
    const ok = (await this.#request("claimKeyPackages", { name })) as { keyPackages: { device: string; keyPackage: string }[] };
    return ok.keyPackages.map(({ device, keyPackage }) => ({ device, keyPackage: fromBase64(keyPackage) }));
  }

  /** The devices of a user, or one's own, that have published key packages. */
  async devices(name?: string): Promise<string[]> {
    return ((await this.#request("devices", { name })) as { devices: string[] }).devices;
  }

  /** Removes one of the user's own devices, with its key packages and welcomes. */
  async removeDevice(device: string): Promise<void> {
    await this.#request("removeDevice", { device });
  }

  /**
   * Calls back when this device has fewer key packages left than that: after
   * each connection, and after a claim. There is one such listener.
   */
  onLowStock(below: number, listener: (count: number) => void): void {
    this.#stock = { below, listener };
    if (this.#ready) this.#sendStock();
  }

  /** How many of this device's key packages are left, the one of last resort aside. */
  async countKeyPackages(): Promise<number> {
    const ok = (await this.#request("countKeyPackages", {})) as { count: number };
    return ok.count;
  }

  /**
   * Publishes a commit. Of each epoch one is accepted. If another was, the
   * answer has the epoch that the group is at: read the log, and commit again.
   */
  async publishCommit(request: CommitRequest): Promise<CommitResult> {
    const ok = (await this.#request("publishCommit", {
      group: toBase64(request.group),
      message: toBase64(request.commit),
      welcomes: (request.welcomes ?? []).map(({ to, welcome }) => ({
        to: Array.isArray(to) ? to : [to],
        welcome: toBase64(welcome),
      })),
      groupInfo: request.groupInfo && toBase64(request.groupInfo),
      members: request.members,
    })) as { accepted: boolean; seq: number; epoch: string };
    const epoch = BigInt(ok.epoch);
    return ok.accepted ? { accepted: true, seq: ok.seq, epoch } : { accepted: false, epoch };
  }

  /** Publishes an application message or a proposal. Rejects with EPOCH_AHEAD or EPOCH_BEHIND. */
  async publish(group: Uint8Array, message: Uint8Array): Promise<{ seq: number }> {
    const ok = (await this.#request("publish", { group: toBase64(group), message: toBase64(message) })) as { seq: number };
    return { seq: ok.seq };
  }

  /** Publishes a GroupInfo of the current epoch, without a commit. */
  async publishGroupInfo(group: Uint8Array, groupInfo: Uint8Array): Promise<void> {
    await this.#request("publishGroupInfo", { group: toBase64(group), groupInfo: toBase64(groupInfo) });
  }

  /** The GroupInfo of the epoch the group is at. Rejects with NO_GROUP_INFO. */
  async groupInfo(group: Uint8Array): Promise<Uint8Array> {
    const ok = (await this.#request("groupInfo", { group: toBase64(group) })) as { groupInfo: string };
    return fromBase64(ok.groupInfo);
  }

  /**
   * Calls back with each message of a group whose sequence is fromSeq or more:
   * first those in the log, then each as it comes; in order, none missing, none
   * twice. 0 is the whole log; to go on where it stopped, pass the last handled
   * seq + 1. A callback that returns a promise is awaited before the next. onCurrent
   * is called once, when what was in the log at the start has been handled; with a
   * sequence where messages up to it are no longer there, although they were asked for.
   * Returns a function that ends it. One subscription a group.
   */
  subscribe(
    group: Uint8Array,
    fromSeq: number,
    onMessage: (message: LogMessage) => void | Promise<void>,
    onCurrent?: (missing?: number) => void,
  ): () => void {
    const subscription: Subscription = {
      group: group.slice(),
      from: fromSeq,
      id: undefined,
      last: undefined,
      missing: undefined,
      handling: Promise.resolve(),
      onMessage,
      onCurrent,
    };
    this.#subscriptions.add(subscription);
    if (this.#ready) this.#sendSubscribe(subscription);
    return () => {
      if (!this.#subscriptions.delete(subscription) || subscription.id === undefined || !this.#ready) return;
      this.#send({ id: this.#nextID(), op: "unsubscribe", sub: subscription.id });
    };
  }

  /**
   * Calls back with each welcome that is not acknowledged, and each that comes.
   * One whose callback fails is delivered again with the next connection.
   * Returns a function that ends it.
   */
  onWelcome(listener: (welcome: Welcome) => void | Promise<void>): () => void {
    this.#welcomeListeners.add(listener);
    if (this.#ready && this.#welcomeListeners.size === 1) this.#sendWelcomes();
    return () => this.#welcomeListeners.delete(listener);
  }

  /** Takes a welcome out of the queue: the group is joined and stored. */
  async acknowledgeWelcome(id: string): Promise<void> {
    await this.#request("acknowledgeWelcome", { welcome: id });
  }

  // Requests

  #nextID(): number {
    return ++this.#lastID;
  }

  #request(op: string, fields: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#status === "closed") {
        reject(new DeliveryError("CLOSED", "not connected"));
        return;
      }
      const request: Request = { id: this.#nextID(), op, fields, retries: 0, sent: false, resolve, reject };
      this.#requests.set(request.id, request);
      if (this.#ready) this.#sendRequest(request);
    });
  }

  #sendRequest(request: Request): void {
    const frame = JSON.stringify({ id: request.id, op: request.op, ...request.fields });
    if (frame.length > this.#frameLimit) {
      this.#requests.delete(request.id);
      request.reject(new DeliveryError("TOO_LARGE", `a request of more than ${this.#frameLimit} bytes`));
      return;
    }
    request.sent = true;
    this.#socket?.send(frame);
  }

  #send(frame: object): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #sendSubscribe(subscription: Subscription): void {
    const id = this.#nextID();
    subscription.id = id;
    this.#internal.set(id, (reply) => {
      if (reply.error !== undefined) {
        if (reply.error.code === "UNAVAILABLE") {
          this.#later(() => {
            if (subscription.id === id && this.#subscriptions.has(subscription)) this.#sendSubscribe(subscription);
          });
          return;
        }
        this.#subscriptions.delete(subscription);
        this.#tell(toError(reply.error));
        return;
      }
      if (subscription.last === undefined) {
        ({ last: subscription.last, missing: subscription.missing } = reply.ok as { last: number; missing?: number });
        this.#current(subscription);
      }
    });
    this.#send({ id, op: "subscribe", group: toBase64(subscription.group), from: subscription.from });
  }

  /** Says that the replay is done once everything up to its end was handled. */
  #current(subscription: Subscription): void {
    if (subscription.onCurrent === undefined || subscription.last === undefined || subscription.from <= subscription.last) return;
    const onCurrent = subscription.onCurrent;
    subscription.onCurrent = undefined;
    subscription.handling = subscription.handling.then(() => {
      if (this.#subscriptions.has(subscription)) onCurrent(subscription.missing);
    }).catch(report);
  }

  #sendWelcomes(): void {
    const id = this.#nextID();
    this.#internal.set(id, (reply) => {
      if (reply.error !== undefined && reply.error.code !== "ALREADY_SUBSCRIBED") this.#tell(toError(reply.error));
    });
    this.#send({ id, op: "welcomes" });
  }

  #sendStock(): void {
    const stock = this.#stock;
    if (stock === undefined) return;
    const id = this.#nextID();
    this.#internal.set(id, (reply) => {
      const count = (reply.ok as { count: number } | undefined)?.count;
      if (count !== undefined && count < stock.below) stock.listener(count);
    });
    this.#send({ id, op: "countKeyPackages", below: stock.below });
  }

  // The connection

  #open(): void {
    this.#setStatus("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#ready = false;
    socket.onopen = () => void this.#sayHello(socket);
    socket.onmessage = (event: MessageEvent) => {
      if (socket === this.#socket) this.#receive(event.data);
    };
    socket.onclose = (event: CloseEvent) => {
      if (socket === this.#socket) this.#lost(event.code);
    };
    this.#watch(answerTime);
  }

  async #sayHello(socket: WebSocket): Promise<void> {
    let { token } = this.#account;
    if (typeof token === "function") {
      try {
        token = await token();
      } catch (error) {
        if (socket !== this.#socket) return;
        if (error instanceof DeliveryError) this.#end(error, error);
        else this.#lost(undefined); // as with a service that is not there
        return;
      }
    }
    if (socket !== this.#socket) return;
    const id = this.#nextID();
    this.#internal.set(id, (reply) => {
      if (reply.error !== undefined) {
        const error = toError(reply.error);
        if (!passing.has(error.code)) this.#end(error, error);
        return; // else the service closes the socket, and we try again
      }
      this.#ready = true;
      this.#delay = firstDelay;
      this.#frameLimit = (reply.ok as { limits: { frame: number } }).limits.frame;
      for (const request of [...this.#requests.values()]) this.#sendRequest(request);
      for (const subscription of this.#subscriptions) this.#sendSubscribe(subscription);
      if (this.#welcomeListeners.size > 0) this.#sendWelcomes();
      this.#sendStock();
      this.#setStatus("connected");
      this.#connecting?.resolve();
    });
    this.#send({ id, op: "hello", version: protocolVersion, name: this.#account.name, device: this.#account.device, token });
  }

  #receive(data: unknown): void {
    this.#watch(quietTime);
    const frame = JSON.parse(data as string) as Frame;
    if (!("event" in frame)) this.#receiveReply(frame);
    else if (frame.event === "message") this.#receiveMessage(frame);
    else if (frame.event === "welcome") this.#receiveWelcome(frame);
    else if (frame.event === "keyPackages") this.#stock?.listener(frame.count);
  }

  #receiveReply(reply: Reply): void {
    const internal = this.#internal.get(reply.id);
    if (internal !== undefined) {
      this.#internal.delete(reply.id);
      internal(reply);
      return;
    }
    const request = this.#requests.get(reply.id);
    if (request === undefined) return;
    if (reply.error?.code === "UNAVAILABLE" && request.retries < unavailableRetries) {
      request.retries++;
      this.#later(() => {
        if (this.#requests.has(request.id)) this.#sendRequest(request);
      });
      return;
    }
    this.#requests.delete(reply.id);
    if (reply.error !== undefined) request.reject(toError(reply.error));
    else request.resolve(reply.ok);
  }

  #receiveMessage(frame: MessageEventFrame): void {
    for (const subscription of this.#subscriptions) {
      if (subscription.id !== frame.sub) continue;
      subscription.from = frame.seq + 1;
      const message = { seq: frame.seq, message: fromBase64(frame.message) };
      subscription.handling = subscription.handling.then(async () => {
        if (this.#subscriptions.has(subscription)) await subscription.onMessage(message);
      }).catch(report);
      this.#current(subscription);
    }
  }

  #receiveWelcome(frame: WelcomeEventFrame): void {
    if (this.#welcomesSeen.has(frame.id)) return;
    this.#welcomesSeen.add(frame.id);
    for (const listener of this.#welcomeListeners) {
      void (async () => listener({
        id: frame.id,
        group: fromBase64(frame.group),
        seq: frame.seq,
        welcome: fromBase64(frame.welcome),
      }))().catch((error: unknown) => {
        this.#welcomesSeen.delete(frame.id);
        report(error);
      });
    }
  }

  /** Gives the service some time to say something; then asks; then gives up. */
  #watch(time: number): void {
    clearTimeout(this.#heartbeat);
    this.#heartbeat = setTimeout(() => {
      if (!this.#ready || time !== quietTime) {
        this.#lost(undefined);
        return;
      }
      this.#send({ id: this.#nextID(), op: "ping" });
      this.#watch(answerTime);
    }, time);
  }

  /** Does something a second later, if this connection is still the one. */
  #later(action: () => void): void {
    const socket = this.#socket;
    setTimeout(() => {
      if (socket === this.#socket && this.#ready) action();
    }, 1000);
  }

  #detach(code: number): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#ready = false;
    this.#internal.clear();
    clearTimeout(this.#heartbeat);
    clearTimeout(this.#reconnect);
    for (const subscription of this.#subscriptions) subscription.id = undefined;
    if (socket !== undefined) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(code);
    }
  }

  #lost(code: number | undefined): void {
    const wasReady = this.#ready;
    this.#detach(1000);
    if (wasReady && code !== undefined && rejecting.has(code)) {
      // To send the same again would end the same way.
      for (const request of [...this.#requests.values()].filter(({ sent }) => sent)) {
        this.#requests.delete(request.id);
        request.reject(new DeliveryError("MALFORMED", `the service closed the connection with code ${code}`));
      }
    }
    this.#setStatus("connecting");
    // Anywhere in the second half of the delay, so that clients do not all come at once.
    this.#reconnect = setTimeout(() => this.#open(), this.#delay * (0.5 + Math.random() / 2));
    this.#delay = Math.min(2 * this.#delay, longestDelay);
  }

  #reconnectNow(): void {
    if (this.#status !== "connecting" || this.#socket !== undefined) return;
    clearTimeout(this.#reconnect);
    this.#delay = firstDelay;
    this.#open();
  }

  #end(error: DeliveryError, told: DeliveryError | undefined): void {
    this.#detach(1000);
    globalThis.removeEventListener?.("online", this.#online);
    for (const request of this.#requests.values()) request.reject(error);
    this.#requests.clear();
    this.#subscriptions.clear();
    this.#connecting?.reject(error);
    this.#connecting = undefined;
    this.#delay = firstDelay;
    this.#setStatus("closed", told);
  }

  #setStatus(status: Status, error?: DeliveryError): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#tell(error);
  }

  #tell(error?: DeliveryError): void {
    for (const listener of this.#statusListeners) listener(this.#status, error);
  }
}

/**
 * Gets a token of a service whose accounts are for development: the first secret
 * of 16 to 256 bytes that comes with a name is the name's. Rejects with
 * NAME_TAKEN, NAME_INVALID, or a TypeError where the service is not there.
 */
export async function developmentToken(url: string | URL, name: string, secret: string): Promise<string> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name, secret }),
  });
  if (response.status === 403) throw new DeliveryError("NAME_TAKEN", await response.text());
  if (response.status === 400) throw new DeliveryError("NAME_INVALID", await response.text());
  if (!response.ok) throw new TypeError(`no token: ${response.status}`);
  return ((await response.json()) as { token: string }).token;
}

function toError(error: { code: string; message: string; epoch?: string }): DeliveryError {
  return new DeliveryError(error.code, error.message, error.epoch === undefined ? undefined : BigInt(error.epoch));
}

/** A callback's failure is the application's: it is shown, and the log goes on. */
function report(error: unknown): void {
  console.error("delivery: a callback failed", error);
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
