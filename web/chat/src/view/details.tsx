// Who is in the group, who else should be, how one can be sure of it, and what
// has happened to the group.
import { useEffect, useRef, useState } from "preact/hooks";
import type { GroupSnapshot, Member } from "webmls";
import type { Conversation } from "../conversation.js";
import { toHex } from "../hex.js";
import type { ChangeRecord } from "../history.js";
import { deviceInWords, deviceOf, longestName, normalizeName, personOf } from "../names.js";
import { longestTitle } from "../payload.js";
import { deviceNumber } from "../safety.js";
import type { Session } from "../session.js";
import { alertOf } from "./alerts.js";
import { Avatar, Icon } from "./icons.js";
import { Tree } from "./tree.js";

interface Props {
  session: Session;
  conversation: Conversation;
}

export function Details({ session, conversation, close }: Props & { close: () => void }) {
  const [tab, setTab] = useState<"people" | "security">("people");
  return (
    <aside
      id="details"
      class="details"
      aria-label="Members and security"
      onKeyDown={(event: KeyboardEvent) => {
        if (event.key === "Escape") close();
      }}
    >
      <header class="bar">
        <div class="tabs" role="group" aria-label="What to show">
          {(["people", "security"] as const).map((name) => (
            <button type="button" key={name} class={`tab ${name}-tab`} aria-pressed={tab === name} onClick={() => setTab(name)}>
              {name === "people" ? "Group" : "Security"}
            </button>
          ))}
        </div>
        <button type="button" class="plain close" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      {tab === "people" ? <People session={session} conversation={conversation} /> : <Security session={session} conversation={conversation} />}
    </aside>
  );
}

async function attempt(change: Promise<unknown>): Promise<boolean> {
  try {
    await change;
    return true;
  } catch (error) {
    alertOf(error);
    return false;
  }
}

function People({ session, conversation }: Props) {
  const { members, people, changing, status, title } = conversation;
  const invitation = useRef<HTMLInputElement>(null);
  const [renaming, setRenaming] = useState(false);
  const [asking, setAsking] = useState(false);
  const active = status === "active";
  const busy = changing !== undefined;

  const invite = async (event: SubmitEvent) => {
    event.preventDefault();
    const input = invitation.current!;
    const name = normalizeName(input.value);
    if (name && (await attempt(conversation.invite(name)))) input.value = "";
    input.focus();
  };
  const rename = (event: SubmitEvent) => {
    event.preventDefault();
    const value = String(new FormData(event.target as HTMLFormElement).get("rename")).trim();
    setRenaming(false);
    if (value && value !== title) void attempt(conversation.rename(value));
  };
  return (
    <>
      <section class="group-head">
        <Avatar name={title} group />
        {renaming ? (
          <form class="row rename" onSubmit={rename}>
            <input name="rename" type="text" required maxLength={longestTitle} defaultValue={conversation.named ? title : ""} autocomplete="off" aria-label="New name of the group" autoFocus />
            <button type="submit" class="primary">
              Save
            </button>
          </form>
        ) : (
          <h2>
            {title}
            {active && (
              <button type="button" class="plain small" aria-label="Rename the group" title="Rename the group" onClick={() => setRenaming(true)}>
                <Icon name="pencil" />
              </button>
            )}
          </h2>
        )}
      </section>
      {active && (
        <section aria-labelledby="members-title">
          <h3 id="members-title">
            People <span class="count">{people.length}</span>
          </h3>
          <ul class="members">
            {people.map((name) => (
              <Person key={name} session={session} conversation={conversation} name={name} members={members.filter((member) => personOf(member) === name)} busy={busy} removed={() => invitation.current?.focus()} />
            ))}
          </ul>
          <form class="row invite" onSubmit={(event: SubmitEvent) => void invite(event)}>
            <input
              ref={invitation}
              name="invite"
              type="text"
              required
              maxLength={longestName}
              placeholder="Invite by name"
              autocomplete="off"
              autocapitalize="words"
              spellcheck={false}
              list="known-people"
              aria-label="Name of the person to invite"
            />
            <datalist id="known-people">
              {session.trust.people.filter(({ name }) => !people.includes(name)).map(({ name }) => <option key={name} value={name} />)}
            </datalist>
            <button type="submit" class="primary" disabled={busy}>
              Invite
            </button>
          </form>
          <p class="progress" role="status">
            {changing ?? ""}
          </p>
        </section>
      )}
      <section>
        {asking ? (
          <div class="stack" role="group" aria-label="Leave the group?">
            <p>{members.length === 1 ? "You are alone in it: it will be deleted." : "Another member confirms it when one is online. You keep what was said."}</p>
            <div class="actions">
              <button type="button" class="secondary" onClick={() => setAsking(false)}>
                Stay
              </button>
              <button
                type="button"
                class="danger-button confirm-leave"
                onClick={() => {
                  setAsking(false);
                  void attempt(members.length === 1 ? session.forget(conversation) : conversation.leave());
                }}
              >
                Leave
              </button>
            </div>
          </div>
        ) : (
          active &&
          !conversation.leaving && (
            <button type="button" class="secondary danger wide leave" onClick={() => setAsking(true)}>
              <Icon name="leave" />
              Leave the group
            </button>
          )
        )}
      </section>
    </>
  );
}

interface PersonProps extends Props {
  name: string;
  members: readonly Member[];
  busy: boolean;
  removed(): void;
}

/** A person, with the devices by which they are in the group. */
function Person({ session, conversation, name, members, busy, removed }: PersonProps) {
  const [open, setOpen] = useState(false);
  const own = name === session.name;
  const verified = members.every((member) => session.trust.verified(member));
  const remove = async () => {
    await attempt(conversation.remove(name));
    removed(); // the button that had the focus is gone
  };
  return (
    <li data-name={name}>
      <div class="member">
        <Avatar name={name} />
        <button type="button" class="name" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span>
            {name}
            {own && <span class="you"> (you)</span>}
          </span>
          <span class={`trust${verified && !own ? " good" : ""}`}>
            {[members.length > 1 && `${members.length} devices`, !own && (verified ? "verified" : "not verified"), own && members.length === 1 && deviceInWords(deviceOf(members[0]!))].filter(Boolean).join(" · ")}
          </span>
        </button>
        {!own && (
          <button type="button" class="link danger" disabled={busy} aria-label={`Remove ${name}`} onClick={() => void remove()}>
            Remove
          </button>
        )}
      </div>
      {open && (
        <ul class="member-devices">
          {members.map((member) => (
            <MemberDevice key={toHex(member.signatureKey)} session={session} conversation={conversation} member={member} busy={busy} several={members.length > 1} />
          ))}
        </ul>
      )}
    </li>
  );
}

function MemberDevice({ session, conversation, member, busy, several }: Props & { member: Member; busy: boolean; several: boolean }) {
  const [number, setNumber] = useState("");
  const key = toHex(member.signatureKey);
  useEffect(() => {
    const mine = { name: session.name, signatureKey: session.identity.signatureKey };
    deviceNumber(mine, { name: personOf(member), signatureKey: member.signatureKey }).then(setNumber, alertOf);
  }, [key]);
  const verified = session.trust.verified(member);
  return (
    <li>
      <p class="device-name">
        <Icon name="devices" />
        {deviceInWords(deviceOf(member))}
        {member.own && " (this device)"}
      </p>
      {!member.own && (
        <>
          <Digits class="device-number" number={number} />
          <p class="hint">The same number is shown on that device, under your name there. Compare it in another way, face to face or by telephone.</p>
          <div class="actions">
            {several && (
              <button type="button" class="link danger" disabled={busy} onClick={() => void attempt(conversation.removeDevice(member))}>
                Remove this device
              </button>
            )}
            <button type="button" class="secondary verify" aria-pressed={verified} onClick={() => void attempt(session.trust.setVerified(member, !verified))}>
              <Icon name={verified ? "shield" : "check"} />
              {verified ? "Verified" : "Mark as verified"}
            </button>
          </div>
        </>
      )}
    </li>
  );
}

function Digits({ number, ...attributes }: { number: string; class: string }) {
  return (
    <div {...attributes}>
      {number.split(" ").flatMap((part, i) => (i > 0 ? [" ", <span key={i}>{part}</span>] : [<span key={i}>{part}</span>]))}
    </div>
  );
}

const moment = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

function Security({ session, conversation }: Props) {
  const { epoch, safetyNumber, changing, status, members } = conversation;
  const [inside, setInside] = useState<GroupSnapshot>();
  const [changes, setChanges] = useState<readonly ChangeRecord[]>([]);
  const active = status === "active";
  useEffect(() => {
    if (active) conversation.inside().then(setInside, alertOf);
    conversation.history().then(setChanges, alertOf);
  }, [conversation, epoch, status, conversation.timeline.length]);
  const verified = members.filter((member) => session.trust.verified(member)).length;
  return (
    <>
      {active && (
        <section aria-labelledby="security-title">
          <h3 id="security-title">This epoch</h3>
          <dl>
            <div>
              <dt>Epoch</dt>
              <dd class="epoch">{String(epoch)}</dd>
            </div>
            <div>
              <dt>Verified</dt>
              <dd>
                {verified} of {members.length} devices
              </dd>
            </div>
            <div class="full">
              <dt>Safety number of the group</dt>
              <dd class="safety">
                <Digits class="digits" number={safetyNumber} />
              </dd>
            </div>
          </dl>
          <p class="hint">All members see the same number in the same epoch. Read it to each other in another way: if it is the same, nobody is listening in between.</p>
          <button type="button" class="secondary wide renew" disabled={changing !== undefined} onClick={() => void attempt(conversation.renewKeys())}>
            <Icon name="key" />
            Update keys
          </button>
          <p class="progress" role="status">
            {changing ?? ""}
          </p>
          <p class="hint">Makes new keys for you now. Whoever may have copied your old ones is shut out. It happens by itself every week.</p>
        </section>
      )}
      {active && inside && (
        <section aria-labelledby="tree-title">
          <h3 id="tree-title">Ratchet tree</h3>
          <Tree group={inside} />
          <p class="hint">
            <span class="legend own">you</span> <span class="legend known">keys that you know</span> <span class="legend other">keys of others</span>
          </p>
        </section>
      )}
      <section aria-labelledby="changes-title">
        <h3 id="changes-title">What has changed</h3>
        {changes.length === 0 && <p class="hint">Nothing since you came.</p>}
        <ol class="changes">
          {changes.map((change) => (
            <li key={String(change.epoch)}>
              <span class="change-text">{inSentence(change, session.name)}</span>
              <span class="change-when">
                Epoch {String(change.epoch)} · {moment.format(change.at)}
              </span>
            </li>
          ))}
        </ol>
      </section>
    </>
  );
}

function inSentence({ by, added, removed, external }: ChangeRecord, me: string): string {
  const who = by === me ? "You" : by || "Somebody";
  if (external) return `${who} joined`;
  const parts = [];
  if (added.length > 0) parts.push(`added ${added.join(", ")}`);
  if (removed.length > 0) parts.push(`took out ${removed.join(", ")}`);
  return `${who} ${parts.join(" and ") || "renewed keys"}`;
}
