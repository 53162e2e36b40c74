/** Between the values of bridge.ts and the types of the API. */
import type {
  Bytes,
  ClaimValue,
  CommitValue,
  CredentialValue,
  EventValue,
  ExtensionValue,
  HeaderValue,
  IdentityValue,
  InfoValue,
  MemberValue,
  ProposalValue,
  SenderValue,
  UpdateValue,
} from "./bridge.js";
import { failure } from "./errors.js";
import type {
  CipherSuite,
  Claim,
  CommitResult,
  Credential,
  CredentialInput,
  EventBase,
  Extension,
  GroupState,
  GroupStatus,
  Identity,
  Member,
  MessageHeader,
  Place,
  Proposal,
  ReceivedEvent,
  Sender,
  Update,
} from "./types.js";

/** Bytes of a string in UTF-8, or the bytes themselves. */
export function utf8(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** `{ name }` when bytes are UTF-8, else nothing. */
function nameOf(bytes: Uint8Array | undefined): { name?: string } {
  if (!bytes) return {};
  try {
    return { name: strict.decode(bytes) };
  } catch {
    return {};
  }
}

const basic = 1;
const x509 = 2;

export function credential(value: CredentialValue): Credential {
  switch (value.type) {
    case basic:
      return { type: "basic", identity: value.identity!, ...nameOf(value.identity) };
    case x509:
      return { type: "x509", certificates: value.certificates! };
  }
  return { type: "other", credentialType: value.type, data: value.data! };
}

/** The other way round. */
export function credentialValue(input: CredentialInput): CredentialValue {
  if (typeof input === "string" || input instanceof Uint8Array) return { type: basic, identity: utf8(input) as Bytes };
  switch (input.type) {
    case "basic":
      return { type: basic, identity: input.identity as Bytes };
    case "x509":
      return { type: x509, certificates: [...input.certificates] as Bytes[] };
    case "other":
      return { type: input.credentialType, data: input.data as Bytes };
  }
  throw new TypeError("credential: want a string, a Uint8Array or a credential");
}

export function extensionValue(extension: Extension): ExtensionValue {
  return { type: extension.type, data: extension.data as Bytes };
}

export function identity(value: IdentityValue): Identity {
  return { ...value, suite: value.suite as CipherSuite, credential: credential(value.credential), ...nameOf(value.credential.identity) };
}

export function member(value: MemberValue): Member {
  return { ...value, credential: credential(value.credential), ...nameOf(value.credential.identity) };
}

export function claim(value: ClaimValue): Claim {
  return {
    groupId: value.group,
    credential: credential(value.credential),
    signatureKey: value.signatureKey,
    leaf: value.leaf,
    place: value.place as Place,
    ...nameOf(value.credential.identity),
  };
}

export function state(value: InfoValue): GroupState {
  const { group, ...rest } = value;
  return {
    ...rest,
    groupId: group,
    status: value.status as GroupStatus,
    epoch: BigInt(value.epoch),
    suite: value.suite as CipherSuite,
  };
}

export function commit(value: CommitValue): CommitResult {
  return { ...value, epoch: BigInt(value.epoch) };
}

export function sender(value: SenderValue): Sender {
  switch (value.type) {
    case 1:
      return { type: "member", leaf: value.leaf! };
    case 2:
      return { type: "external", index: value.index! };
  }
  return { type: "new-member" };
}

export function proposal(value: ProposalValue): Proposal {
  const base = { reference: value.reference, sender: sender(value.sender) };
  switch (value.type) {
    case 1:
    case 2:
      return {
        ...base,
        type: value.type === 1 ? "add" : "update",
        credential: credential(value.credential!),
        signatureKey: value.signatureKey!,
      };
    case 3:
      return { ...base, type: "remove", leaf: value.leaf! };
    case 4:
      return { ...base, type: "psk" };
    case 5:
      return { ...base, type: "reinit" };
    case 6:
      return { ...base, type: "external-init" };
    case 7:
      return { ...base, type: "group-context-extensions", extensions: value.extensions! };
  }
  return { ...base, type: "other", proposalType: value.type };
}

function update(value: UpdateValue): Update {
  const { committer, added, removed, updated, reInit, ...rest } = value;
  return {
    ...rest,
    added: added.map(member),
    removed: removed.map(member),
    updated: updated.map(member),
    ...(committer && { committer: member(committer) }),
    ...(reInit && { reInit: { groupId: reInit.group, suite: reInit.suite, extensions: reInit.extensions } }),
  };
}

export function event(value: EventValue): ReceivedEvent {
  const base: EventBase = {
    groupId: value.group,
    epoch: BigInt(value.epoch),
    authenticatedData: value.authenticatedData,
    ...(value.sender && { sender: member(value.sender) }),
  };
  switch (value.type) {
    case "application": {
      const content = value.content!;
      return {
        ...base,
        type: "application",
        inboxId: value.inboxId!,
        content,
        get text() {
          return new TextDecoder().decode(content);
        },
      };
    }
    case "proposal":
      return { ...base, type: "proposal", proposal: proposal(value.proposal!) };
    case "group-update":
    case "removed":
      return { ...base, ...update(value.update!), type: value.type };
    case "own":
      return { ...base, type: "own" };
  }
  throw failure("INTERNAL", `an event of type ${value.type}`);
}

const wireFormats = ["public-message", "private-message", "welcome", "group-info", "key-package"] as const;
const contentTypes = ["application", "proposal", "commit"] as const;

export function header(value: HeaderValue): MessageHeader {
  return {
    type: wireFormats[value.wireFormat - 1]!,
    ...(value.group && { groupId: value.group }),
    ...(value.epoch !== undefined && { epoch: BigInt(value.epoch) }),
    ...(value.contentType !== undefined && { content: contentTypes[value.contentType - 1]! }),
  };
}
