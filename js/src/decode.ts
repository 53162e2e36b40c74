/** Between the values of bridge.ts and the types of the API. */
import type {
  Bytes,
  CommitValue,
  CredentialValue,
  EventValue,
  ExtensionValue,
  HeaderValue,
  IdentityValue,
  InfoValue,
  KeyPackageValue,
  MemberDetailsValue,
  MemberValue,
  ProposalValue,
  PskValue,
  ReceivedValue,
  ReInitValue,
  SenderValue,
  UpdateValue,
  WelcomeValue,
} from "./bridge.js";
import { errorOf, failure } from "./errors.js";
import type {
  CipherSuite,
  Claim,
  CommitResult,
  Credential,
  CredentialInput,
  CustomProposal,
  EventBase,
  Extension,
  GroupState,
  GroupStatus,
  Identity,
  KeyPackageInfo,
  KeyStorage,
  Member,
  MemberDetails,
  MessageHeader,
  Place,
  Proposal,
  PSK,
  PSKInput,
  Received,
  ReceivedEvent,
  ReInit,
  ReInitContents,
  Sender,
  Update,
  WelcomeInfo,
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

/** An extension, or a proposal of a type of one's own. */
export function extensionValue(extension: Extension | CustomProposal): ExtensionValue {
  return { type: extension.type, data: extension.data as Bytes };
}

export function psk(value: PskValue): PSK {
  return value.id ? { type: "external", id: value.id } : { type: "resumption", groupId: value.group!, epoch: BigInt(value.epoch!) };
}

/** The other way round. */
export function pskValue(input: PSKInput): PskValue {
  if (typeof input === "string" || input instanceof Uint8Array) return { id: utf8(input) as Bytes };
  return { group: input.groupId as Bytes, epoch: input.epoch.toString() };
}

export function reInit(value: ReInitValue): ReInit {
  return { groupId: value.group, suite: value.suite, extensions: value.extensions };
}

/** The other way round; `suite` is that of the group so far. */
export function reInitValue(contents: ReInitContents, suite: number | undefined): ReInitValue {
  return {
    group: (contents.groupId ?? crypto.getRandomValues(new Uint8Array(32))) as Bytes,
    suite: contents.suite ?? suite!,
    extensions: (contents.extensions ?? []).map(extensionValue),
  };
}

export function keyPackage(value: KeyPackageValue): KeyPackageInfo {
  const { notAfter, ...rest } = value;
  return { ...rest, expires: date(notAfter) };
}

export function welcome(value: WelcomeValue): WelcomeInfo {
  const { group, signer, ...rest } = value;
  return {
    ...rest,
    groupId: group,
    epoch: BigInt(value.epoch),
    suite: value.suite as CipherSuite,
    psks: value.psks.map(psk),
    ...(signer && { signer: member(signer) }),
  };
}

/** A time in seconds since 1970; the farthest date for what is beyond all dates. */
export function date(seconds: string): Date {
  return new Date(Math.min(Number(seconds) * 1000, 8.64e15));
}

export function identity(value: IdentityValue): Identity {
  return {
    ...value,
    suite: value.suite as CipherSuite,
    credential: credential(value.credential),
    keyStorage: value.keyStorage as KeyStorage,
    ...nameOf(value.credential.identity),
  };
}

export function member(value: MemberValue): Member {
  return { ...value, credential: credential(value.credential), ...nameOf(value.credential.identity) };
}

export function memberDetails(value: MemberDetailsValue): MemberDetails {
  return {
    ...member(value.member),
    encryptionKey: value.encryptionKey,
    capabilities: {
      versions: value.versions,
      suites: value.suites,
      extensions: value.extensionTypes,
      proposals: value.proposalTypes,
      credentials: value.credentialTypes,
    },
    extensions: value.extensions,
    ...(value.notAfter && { lifetime: { notBefore: date(value.notBefore!), notAfter: date(value.notAfter) } }),
  };
}

/** The claims that packClaims of wasm/host_auth.go packed, each made when it is asked for, of bytes of its own. */
export function* claims(packed: Bytes): Generator<Claim, undefined> {
  const view = new DataView(packed.buffer, packed.byteOffset);
  let at = 0;
  const number = () => view.getUint32((at += 4) - 4, true);
  const bytes = () => {
    const length = number();
    return packed.slice(at, (at += length));
  };
  while (at < packed.length) {
    const leaf = number();
    const type = number();
    const count = number();
    const [groupId, signatureKey, place] = [bytes(), bytes(), bytes()];
    const contents = Array.from({ length: count }, bytes);
    const identity = contents[0]!;
    yield {
      groupId,
      credential: credential({ type, identity, certificates: contents, data: identity }),
      signatureKey,
      leaf,
      place: strict.decode(place) as Place,
      ...(type === basic && nameOf(identity)),
    };
  }
  return undefined;
}

export function state(value: InfoValue): GroupState {
  const { group, reInit: successor, ...rest } = value;
  return {
    ...rest,
    groupId: group,
    status: value.status as GroupStatus,
    epoch: BigInt(value.epoch),
    suite: value.suite as CipherSuite,
    ...(successor && { reInit: reInit(successor) }),
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
  const base = { reference: value.reference, sender: sender(value.sender), ...(value.message && { message: value.message }) };
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
      return { ...base, type: "psk", psk: psk(value.psk!) };
    case 5:
      return { ...base, type: "reinit", reInit: reInit(value.reInit!) };
    case 6:
      return { ...base, type: "external-init" };
    case 7:
      return { ...base, type: "group-context-extensions", extensions: value.extensions! };
  }
  return { ...base, type: "other", proposalType: value.type, data: value.data! };
}

function update(value: UpdateValue): Update {
  const { committer, added, removed, updated, reInit: successor, ...rest } = value;
  return {
    ...rest,
    added: added.map(member),
    removed: removed.map(member),
    updated: updated.map(member),
    ...(committer && { committer: member(committer) }),
    ...(successor && { reInit: reInit(successor) }),
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

export function received(value: ReceivedValue): Received {
  return value.event ? event(value.event) : { type: "refused", error: errorOf(value.error!) };
}

const wireFormats = ["public-message", "private-message", "welcome", "group-info", "key-package"] as const;
const contentTypes = ["application", "proposal", "commit"] as const;

export function header(value: HeaderValue): MessageHeader {
  return {
    type: wireFormats[value.wireFormat - 1]!,
    ...(value.group && { groupId: value.group }),
    ...(value.epoch !== undefined && { epoch: BigInt(value.epoch) }),
    ...(value.contentType !== undefined && { content: contentTypes[value.contentType - 1]! }),
    ...(value.sender !== undefined && { sender: sender({ type: value.sender }).type }),
  };
}
