/** One group: what to post, writing, members, and what can be done. */
import { useEffect, useState } from "preact/hooks";
import { ask } from "../ask.js";
import type { ChangeView, GroupView, MemberView, PersonView, View } from "../protocol.js";
import { limits } from "../protocol.js";
import { copy } from "../view/copy.js";
import { count, Message } from "../view/message.js";
import { useActing, type Acting } from "./act.js";
import { Avatar, Block, Failure, TrustBadge, type Page } from "./parts.js";

interface Props {
  group: GroupView;
  people: PersonView[];
  page: Page | undefined;
  back: () => void;
}

export function Group({ group, people, page, back }: Props) {
  const acting = useActing();
  const active = group.status === "active" || group.status === "leaving";
  return (
    <>
      <header class="top">
        <button type="button" class="plain" aria-label="Back" onClick={back}>
          ‹
        </button>
        <h1>{group.name}</h1>
        <span class="me">{active ? count(group.members.length, "member") : "not a member"}</span>
      </header>
      <main class="group">
        <Failure text={acting.failure} />
        {group.status === "removed" && <p class="card warn">You are no longer a member of this group. What you have opened stays readable until you forget the group.</p>}
        {group.status === "lost" && <p class="card warn">The group has gone on with a change that you had taken back. Forget it and ask to be invited again.</p>}
        {group.ahead > 0 && (
          <p class="card warn">
            {count(group.ahead, "message")} of this group {group.ahead === 1 ? "waits" : "wait"} for a change that you have not opened yet. Find it where the group writes, or paste it under “Open”.
          </p>
        )}
        {group.changes.map((change) => (
          <Change key={change.id} change={change} group={group} acting={acting} page={page} />
        ))}
        {group.status === "leaving" && (
          <section class="card" aria-label="Leaving">
            <p>
              <strong>You have asked to leave.</strong> {group.askAgain ? "The group has changed since: ask again." : "Post this where the group reads; another member has to remove you. Then forget the group."}
            </p>
            {group.askAgain ? (
              <button type="button" onClick={() => void acting.act({ kind: "leave", group: group.id })}>
                Ask again
              </button>
            ) : (
              group.leaveArmor && <Block armor={group.leaveArmor} page={page} />
            )}
          </section>
        )}
        {active && <Write group={group.id} page={page} acting={acting} />}
        {active && <Members group={group} people={people} acting={acting} />}
        <History group={group.id} />
        <footer class="row actions">
          {active && (
            <button type="button" disabled={acting.busy} title="Whoever has learned your keys is shut out" onClick={() => void acting.act({ kind: "renew", group: group.id })}>
              Renew keys
            </button>
          )}
          {group.status === "active" && group.members.length > 1 && (
            <button type="button" class="danger" disabled={acting.busy} onClick={() => void acting.act({ kind: "leave", group: group.id })}>
              Leave
            </button>
          )}
          <Confirm label="Forget" question="Delete its keys and texts here?" confirm={() => void acting.act({ kind: "forget", group: group.id }).then((done) => done && back())} />
        </footer>
      </main>
    </>
  );
}

function Write({ group, page, acting }: { group: string; page: Page | undefined; acting: Acting }) {
  const [text, setText] = useState("");
  const [armor, setArmor] = useState<string>();
  const [copied, setCopied] = useState(false);
  return (
    <section class="write" aria-label="Write">
      <textarea
        aria-label="Text to seal"
        name="text"
        placeholder="Write to the group…"
        maxLength={limits.text}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setArmor(undefined);
        }}
      />
      <div class="row">
        <button
          type="button"
          class="primary"
          disabled={acting.busy || text === ""}
          onClick={() =>
            void acting.act({ kind: "seal", group, text }).then(async (result) => {
              if (!result?.armor) return;
              setArmor(result.armor);
              setText("");
              setCopied(await copy(result.armor).then(() => true, () => false));
            })
          }
        >
          Seal and copy
        </button>
        <span class="note" role="status">
          {armor !== undefined && (copied ? "Sealed and copied: paste it where the group reads." : "Sealed.")}
        </span>
      </div>
      {armor !== undefined && <Block armor={armor} page={page} />}
    </section>
  );
}

function Change({ change, group, acting, page }: { change: ChangeView; group: GroupView; acting: Acting; page: Page | undefined }) {
  const { id, add, remove, state, armor, again, reason } = change;
  const what = [add.length > 0 && `Add ${add.join(", ")}`, remove.length > 0 && `Remove ${remove.join(", ")}`].filter(Boolean).join(" · ") || "Renew your keys";
  const about = { group: group.id, change: id };
  return (
    <section class={`card change ${state}`} aria-label={what} data-state={state}>
      <h2>{state === "welcome" ? `Invitation for ${add.join(", ")}` : what}</h2>
      {state === "waiting" && <p class="note">Waits for the change before it.</p>}
      {state === "failed" && <p class="failure">{reason}</p>}
      {state === "to-post" && (
        <p class="note">{again ? "Another change came first, so this was made again. Post this one instead." : "Post this where the group reads. It counts once it is there; the first change that is posted wins."}</p>
      )}
      {state === "welcome" && <p class="note">Give this to {add.join(", ")}: on a page, by mail, as you like. Only they can open it.</p>}
      {armor && <Block armor={armor} page={page} />}
      <div class="row">
        {state === "to-post" && (
          <>
            <button type="button" class="primary" disabled={acting.busy} onClick={() => void acting.act({ kind: "posted", ...about })}>
              It is posted
            </button>
            <Confirm label="Withdraw" question="Only if nobody has seen it." confirm={() => void acting.act({ kind: "withdraw", ...about })} />
          </>
        )}
        {(state === "welcome" || state === "failed") && (
          <button type="button" disabled={acting.busy} onClick={() => void acting.act({ kind: "settle", ...about })}>
            Done
          </button>
        )}
        {state === "waiting" && (
          <button type="button" disabled={acting.busy} onClick={() => void acting.act({ kind: "withdraw", ...about })}>
            Withdraw
          </button>
        )}
      </div>
    </section>
  );
}

function Members({ group, people, acting }: { group: GroupView; people: PersonView[]; acting: Acting }) {
  const others = people.filter(({ key, name, hasCard }) => hasCard && !group.members.some((member) => member.key === key) && !group.changes.some(({ add, state }) => state !== "welcome" && add.includes(name)));
  return (
    <section aria-label="Members">
      <h2>Members</h2>
      <ul class="list">
        {group.members.map((member) => (
          <Member key={member.leaf} member={member} group={group} acting={acting} />
        ))}
      </ul>
      <details class="safety">
        <summary>Safety number of the group</summary>
        <p class="number" data-number>
          {group.safety}
        </p>
        <p class="note">Who reads you the same number is in the same group with the same members, and nobody is in between. It is another after each change of the group (there were {group.epoch}).</p>
      </details>
      <details class="invite">
        <summary>Invite</summary>
        {others.length === 0 && <p class="note">Nobody to invite: ask for a card, and paste it under “Open”, or open a page where it is posted.</p>}
        <ul class="list">
          {others.map(({ key, name, number, verified, changed }) => (
            <li key={key} class="item">
              <Avatar name={name} />
              <span class="grow">
                <strong>
                  {name} <TrustBadge verified={verified} changed={changed} />
                </strong>
                <span class="note number">{number}</span>
              </span>
              <button type="button" aria-label={`Invite ${name}`} disabled={acting.busy} onClick={() => void acting.act({ kind: "invite", group: group.id, people: [key] })}>
                Invite
              </button>
            </li>
          ))}
        </ul>
      </details>
    </section>
  );
}

function Member({ member, group, acting }: { member: MemberView; group: GroupView; acting: Acting }) {
  const { name, own, verified, changed, leaving, number, key, leaf } = member;
  const [open, setOpen] = useState(false);
  return (
    <li data-name={name}>
      <button type="button" class="item" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Avatar name={name} />
        <span class="grow">
          <strong>
            {name} {own && <span class="badge">you</span>} {!own && <TrustBadge verified={verified} changed={changed} />} {leaving && <span class="badge warn">asks to leave</span>}
          </strong>
        </span>
      </button>
      {open && (
        <div class="more">
          <p class="number">{number}</p>
          {!own && (
            <>
              <p class="note">
                {changed ? `Another key was known for ${name} before. ` : ""}Have {name} read you this number, which their popup shows under “People”.
              </p>
              <div class="row">
                <button type="button" disabled={acting.busy} onClick={() => void acting.act({ kind: "verify", key, verified: !verified })}>
                  {verified ? "Not verified after all" : "It is the same: verified"}
                </button>
                <Confirm label="Remove" question={`Remove ${name}?`} confirm={() => void acting.act({ kind: "remove", group: group.id, leaf })} />
              </div>
            </>
          )}
        </div>
      )}
    </li>
  );
}

function History({ group }: { group: string }) {
  const [open, setOpen] = useState(false);
  const [views, setViews] = useState<View[]>();
  useEffect(() => {
    if (open) void ask<View[]>({ type: "history", group }).then(setViews, () => setViews([]));
  }, [open, group]);
  return (
    <details class="history" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>What was opened and sealed here</summary>
      {views?.length === 0 && <p class="note">Nothing yet.</p>}
      {views?.map((view, i) => (
        <Message key={i} view={view} />
      ))}
    </details>
  );
}

/** A button that asks once more. */
export function Confirm({ label, question, confirm }: { label: string; question: string; confirm: () => void }) {
  const [asked, ask] = useState(false);
  if (!asked) {
    return (
      <button type="button" class="danger" onClick={() => ask(true)}>
        {label}
      </button>
    );
  }
  return (
    <span class="row confirm" role="group" aria-label={question}>
      <span class="note">{question}</span>
      <button
        type="button"
        class="danger"
        onClick={() => {
          ask(false);
          confirm();
        }}
      >
        {label}
      </button>
      <button type="button" onClick={() => ask(false)}>
        Keep
      </button>
    </span>
  );
}
