/** Groups. */
import type { Bytes, GroupMethods, Result } from "./bridge.js";
import * as decode from "./decode.js";
import { Emitter, type EventMap } from "./events.js";
import { groupSnapshot, type GroupSnapshot } from "./snapshot.js";
import type {
  ApplicationEvent,
  BranchOptions,
  CallOptions,
  CipherSuite,
  ClosedEvent,
  CommitContents,
  CommitOptions,
  CommitResult,
  GroupState,
  GroupUpdateEvent,
  HandshakeOptions,
  Identity,
  Member,
  MemberDetails,
  Proposal,
  ProposalContents,
  ProposalResult,
  Received,
  ReceivedEvent,
  ReceiveOptions,
  ReInitContents,
  SendOptions,
  SuccessorOptions,
} from "./types.js";

/** What a group asks its client to do. @internal */
export interface GroupClient {
  call<M extends keyof GroupMethods>(method: M, args: () => object): Promise<Result<M>>;
  /** The object of a group that was made. */
  group(state: GroupState): Group;
  /** Tells the listeners of the client. */
  emit<K extends keyof EventMap>(type: K, event: EventMap[K], group: Group): void;
  /** Forgets the object of a group that was deleted. */
  forget(group: Group): void;
}

/**
 * A group (RFC 9420, Sections 11 and 12), as {@link MLS.createGroup},
 * {@link MLS.joinGroup} and {@link MLS.group} give it. Operations on one group
 * are carried out one after the other, in the order in which they were called;
 * each is stored when its promise is fulfilled, and has changed nothing when it
 * is rejected (but for STATE_ROLLED_BACK, which is remembered). There is one object for a group, with nothing to close.
 *
 * Every method may reject with StateError (GROUP_NOT_FOUND, CLOSED,
 * INVALID_ARGUMENT), StorageError and InternalError; what else, it says.
 */
export class Group extends Emitter {
  /** @internal */
  static override readonly name: string = "Group";
  readonly #client: GroupClient;
  #epoch: bigint;

  /** The group's id. */
  readonly id: Bytes;
  /** The group's cipher suite. */
  readonly suite: CipherSuite;

  private constructor(client: GroupClient, state: GroupState) {
    super();
    this.#client = client;
    this.#epoch = state.epoch;
    this.id = state.groupId;
    this.suite = state.suite;
  }

  /** Makes the object of a group. @internal */
  static of(client: GroupClient, state: GroupState): Group {
    return new Group(client, state);
  }

  /** The epoch after the last operation of this object. {@link info} asks for what is stored. */
  get epoch(): bigint {
    return this.#epoch;
  }

  /** What the group is now. */
  async info(): Promise<GroupState> {
    const state = decode.state(await this.#call("group.info"));
    this.refresh(state);
    return state;
  }

  /** Keeps what was learned. @internal */
  refresh(state: GroupState): void {
    this.#epoch = state.epoch;
  }

  /** The members, by leaf. */
  async members(): Promise<Member[]> {
    return (await this.#call("group.members")).map(decode.member);
  }

  /** All that the leaf of a member says. Rejects with NOT_A_MEMBER (StateError). */
  async member(member: Member | number): Promise<MemberDetails> {
    return decode.memberDetails(await this.#call("group.member", () => ({ leaf: leafOf(member) })));
  }

  /**
   * Creates a commit that adds the owners of key packages, all at once (RFC
   * 9420, Section 12.1.1). See {@link commit}.
   */
  add(keyPackages: Uint8Array | readonly Uint8Array[], options: CommitOptions = {}): Promise<CommitResult> {
    return this.commit({ ...options, add: isList(keyPackages) ? keyPackages : [keyPackages] });
  }

  /**
   * Creates a commit that removes members (RFC 9420, Section 12.1.3). One
   * cannot remove oneself: propose it. See {@link commit}.
   */
  remove(members: Member | number | readonly (Member | number)[], options: CommitOptions = {}): Promise<CommitResult> {
    return this.commit({ ...options, remove: isList(members) ? members : [members] });
  }

  /**
   * Creates a commit that changes no one but gives this client fresh keys, so
   * that whoever learned the old ones is shut out. See {@link commit}.
   */
  update(options: CommitOptions = {}): Promise<CommitResult> {
    return this.commit(options);
  }

  /**
   * Creates a commit (RFC 9420, Section 12.4.1) of what is given and of the
   * proposals received in this epoch; should these break a rule together with
   * what is given, it is made without them, and what it did is told when it is
   * applied. The group does not change before the commit is applied: send it to the delivery service, and when that has
   * accepted it call {@link applyPendingCommit}, or let {@link receive} have it
   * back; then send the Welcome. When another commit came first, receive that
   * one; this one is dropped then.
   *
   * Rejects with PENDING_COMMIT, NOT_A_MEMBER, GROUP_READ_ONLY (StateError), and
   * with a RejectedError when a proposal or key package breaks a rule or is
   * refused by `authenticate`.
   */
  async commit(contents: CommitContents = {}): Promise<CommitResult> {
    const result = await this.#call("group.commit", () => encoded(contents, this.suite));
    return decode.commit(result);
  }

  /** The commit that was created and neither applied nor cleared, to send it again; undefined when there is none. */
  async pendingCommit(): Promise<CommitResult | undefined> {
    const result = await this.#call("group.pendingCommit");
    return result && decode.commit(result);
  }

  /** The ratchet tree of the epoch that the pending commit begins, for those whom it adds by a Welcome without the tree. Rejects with NO_PENDING_COMMIT (StateError). */
  pendingRatchetTree(): Promise<Bytes> {
    return this.#call("group.pendingRatchetTree");
  }

  /** Makes the pending commit the group's state: the delivery service has accepted it. Rejects with NO_PENDING_COMMIT (StateError). */
  async applyPendingCommit(): Promise<GroupUpdateEvent> {
    return this.happened(decode.event(await this.#call("group.applyPendingCommit"))) as GroupUpdateEvent;
  }

  /** Drops the pending commit: the delivery service has refused it. Rejects with NO_PENDING_COMMIT (StateError). */
  async clearPendingCommit(): Promise<void> {
    await this.#call("group.clearPendingCommit");
  }

  /**
   * Creates a proposal, which takes effect when somebody commits it (RFC 9420,
   * Section 12.1). Rejects as {@link commit} does.
   */
  propose(contents: ProposalContents): Promise<ProposalResult> {
    return this.#call("group.propose", () => encoded(contents, this.suite));
  }

  /**
   * Proposes one's own removal (RFC 9420, Section 12.1.3): this client is out
   * when somebody else commits it. To be forgotten at once as well, {@link delete}
   * the group once the proposal is sent. Rejects as {@link commit} does.
   */
  async leave(options: HandshakeOptions = {}): Promise<ProposalResult> {
    const { ownLeaf } = await this.info();
    return this.propose({ ...options, remove: ownLeaf });
  }

  /** The proposals of this epoch that wait for a commit. */
  async proposals(): Promise<Proposal[]> {
    return (await this.#call("group.proposals")).map(decode.proposal);
  }

  /**
   * Sets a proposal aside: no commit of this client takes it along, and it holds
   * up no message. Should another member commit it all the same, that commit is
   * processed. Rejects with PROPOSAL_UNKNOWN (EpochError) when it is not one of {@link proposals}.
   */
  async dropProposal(proposal: Pick<Proposal, "reference"> | Uint8Array): Promise<void> {
    await this.#call("group.dropProposal", () => ({ reference: proposal instanceof Uint8Array ? proposal : proposal.reference }));
  }

  /**
   * Creates the group that this one was reinitialized to (RFC 9420, Section
   * 11.2), after a commit of `reInit` has made this one read-only: by one member,
   * with key packages of all others, for the new cipher suite. In the new group
   * the commit that adds them is pending: apply it, then send the Welcome; the
   * commit goes to nobody. They join by {@link MLS.joinGroup}.
   *
   * Rejects with REINIT_INVALID (RejectedError), INVALID_ARGUMENT (StateError) when
   * the identity is for another cipher suite, and as {@link commit} does.
   */
  reInit(keyPackages: readonly Uint8Array[], options: SuccessorOptions = {}): Promise<CommitResult & { readonly group: Group }> {
    return this.#found("group.reInit", keyPackages, options);
  }

  /**
   * Creates a group of some of the members of this one, with its cipher suite,
   * that is bound to this epoch (RFC 9420, Section 11.3). See {@link reInit} for
   * what to do then. Rejects with WELCOME_INVALID (RejectedError) when a key
   * package is not of a member, and as {@link commit} does.
   */
  branch(keyPackages: readonly Uint8Array[], options: BranchOptions = {}): Promise<CommitResult & { readonly group: Group }> {
    return this.#found("group.branch", keyPackages, options);
  }

  async #found(
    method: "group.reInit" | "group.branch",
    keyPackages: readonly Uint8Array[],
    options: BranchOptions,
  ): Promise<CommitResult & { readonly group: Group }> {
    const { info, commit } = await this.#call(method, () => encoded({ ...options, keyPackages: [...keyPackages] }));
    return { group: this.#client.group(decode.state(info)), ...decode.commit(commit) };
  }

  /**
   * Encrypts application data for the group (RFC 9420, Section 15), a string as
   * UTF-8, and returns the MLSMessage for the delivery service. Its key is used
   * up, in the store too, before the promise is fulfilled. `authenticatedData`
   * travels readable to all.
   *
   * Rejects with PENDING_PROPOSALS, NOT_A_MEMBER, GROUP_READ_ONLY,
   * GENERATIONS_SPENT and STATE_ROLLED_BACK (StateError).
   */
  send(content: string | Uint8Array, options: SendOptions = {}): Promise<Bytes> {
    return this.#call("group.send", () => ({ ...options, content: decode.utf8(content) }));
  }

  /** Encrypts many contents at once, in their order: all or none. It costs much less than one {@link send} for each. Rejects as that does. */
  sendAll(contents: readonly (string | Uint8Array)[], options: SendOptions = {}): Promise<Bytes[]> {
    return this.#call("group.sendAll", () => ({ ...options, contents: contents.map(decode.utf8) }));
  }

  /**
   * Processes a message for the group from the delivery service and says what
   * it was. What it did is stored when the promise is fulfilled: application
   * data stays in the inbox until {@link acknowledge}.
   *
   * Rejects with MalformedError (drop the message), RejectedError (drop and
   * report it), EpochError: EPOCH_AHEAD (catch up, then try again), EPOCH_BEHIND
   * and ALREADY_PROCESSED (ignore it; so are the last messages of one's own before a
   * crash, which are else an {@link OwnEvent}), PROPOSAL_UNKNOWN (a proposal is missing);
   * StateError: AUTHENTICATOR_FAILED (keep the message and try again), PSK_UNKNOWN
   * (store the key and try again), NOT_A_MEMBER (ignore it), STATE_ROLLED_BACK
   * (the state comes from a backup, which is remembered: commit an {@link update}).
   */
  async receive(message: Uint8Array, options: ReceiveOptions = {}): Promise<ReceivedEvent> {
    return this.happened(decode.event(await this.#call("group.receive", () => ({ ...options, message }))));
  }

  /**
   * Processes many messages in their order, after a time away say: at much less
   * cost than one {@link receive} for each. The result has an event for each, or
   * the error with which it was refused; that one changes nothing and stops
   * nothing. Only when none was received, and not for a fault of their own, it
   * rejects: with CANCELLED or STORE_FAILED (StorageError), say.
   */
  async receiveAll(messages: readonly Uint8Array[], options: ReceiveOptions = {}): Promise<Received[]> {
    const list = (await this.#call("group.receiveAll", () => ({ ...options, messages: [...messages] }))).map(decode.received);
    for (const result of list) if (result.type !== "refused") this.happened(result);
    return list;
  }

  /** The application data that was received and not yet acknowledged, oldest first. */
  async inbox(): Promise<ApplicationEvent[]> {
    return (await this.#call("group.inbox")).map(decode.event) as ApplicationEvent[];
  }

  /** Takes messages out of the inbox: the application has them where it wants them. */
  async acknowledge(messages: number | ApplicationEvent | readonly (number | ApplicationEvent)[]): Promise<void> {
    await this.#call("group.acknowledge", () => {
      const list = isList(messages) ? messages : [messages];
      return { ids: list.map((m) => (typeof m === "number" ? m : m.inboxId)) };
    });
  }

  /**
   * Derives a secret of `length` bytes that all members of this epoch, and
   * nobody else, can derive (RFC 9420, Section 8.5): at most 255 times the size
   * of the suite's hash, 8,160 bytes in suite 1, else INVALID_ARGUMENT. Rejects
   * with NOT_A_MEMBER (StateError).
   */
  exportSecret(label: string | Uint8Array, context: string | Uint8Array, length: number): Promise<Bytes> {
    return this.#call("group.exportSecret", () => ({ label: decode.utf8(label), context: decode.utf8(context), length }));
  }

  /**
   * A signed GroupInfo of this epoch, an MLSMessage, with which others can join
   * (RFC 9420, Section 12.4.3.2). It holds the ratchet tree and the key for external
   * commits, unless `noRatchetTree` or `noExternalPub` leaves them out. Rejects
   * with NOT_A_MEMBER (StateError).
   */
  groupInfo(options: CallOptions & { noRatchetTree?: boolean; noExternalPub?: boolean } = {}): Promise<Bytes> {
    return this.#call("group.groupInfo", () => options);
  }

  /** The ratchet tree of this epoch, for those who join without it (RFC 9420, Section 12.4.3.3). */
  ratchetTree(): Promise<Bytes> {
    return this.#call("group.ratchetTree");
  }

  /** What the group is like inside, without secrets and content: to look at. See {@link MLS.inspect}. */
  async inspect(): Promise<GroupSnapshot> {
    return groupSnapshot(await this.#call("group.inspect"));
  }

  /** Forgets the group, with its secrets and its inbox. It tells the other members nothing. */
  async delete(): Promise<void> {
    await this.#call("group.delete");
    this.closed({ type: "closed", groupId: this.id });
  }

  /** Tells the listeners that the group is no more. @internal */
  closed(event: ClosedEvent): void {
    this.#client.forget(this);
    this.#tell("closed", event);
  }

  #call<M extends keyof GroupMethods>(method: M, args?: () => Parameters<GroupMethods[M]>[0] & CallOptions): Promise<Result<M>> {
    return this.#client.call(method, () => ({ ...args?.(), group: this.id }));
  }

  /** Keeps the epoch, and tells the listeners, of the group and then of the client. @internal */
  happened(event: ReceivedEvent): ReceivedEvent {
    switch (event.type) {
      case "application":
        this.#tell("message", event);
        break;
      case "proposal":
        this.#tell("proposal", event);
        break;
      case "group-update":
      case "removed":
        if (event.epoch > this.#epoch) this.#epoch = event.epoch;
        if (event.type === "removed") this.#tell("removed", event);
        else this.#tell("group-update", event);
    }
    return event;
  }

  #tell<K extends keyof EventMap>(type: K, event: EventMap[K]): void {
    this.emit(type, event, this);
    this.#client.emit(type, event, this);
  }
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

/** The id of an identity. */
export function idOf(identity: Identity | Uint8Array): Uint8Array {
  return identity instanceof Uint8Array ? identity : identity?.id;
}

/** What options are on the bridge, one or each of a list. What is not here crosses as it is. */
const crossing: Record<string, (value: never) => unknown> = {
  remove: leafOf,
  psk: decode.pskValue,
  psks: decode.pskValue,
  extensions: decode.extensionValue,
  leafExtensions: decode.extensionValue,
  custom: decode.extensionValue,
  identity: idOf,
};

/** Options as they cross, those that are undefined left out; `suite` is that of the group, where it is known. */
export function encoded<T extends object>(options: object, suite?: CipherSuite): T {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    const f = name === "reInit" ? (contents: ReInitContents) => decode.reInitValue(contents, suite) : crossing[name];
    if (value !== undefined) out[name] = !f ? value : isList(value) ? value.map((part) => f(part as never)) : f(value as never);
  }
  return out as T;
}

function leafOf(member: Member | number): number {
  return typeof member === "number" ? member : member.leaf;
}
