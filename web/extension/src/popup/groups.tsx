/** The list of groups, and invitations. */
import { useState } from "preact/hooks";
import type { GroupView, InvitationView } from "../protocol.js";
import { limits } from "../protocol.js";
import { count } from "../view/message.js";
import { useActing } from "./act.js";
import { Avatar, Failure } from "./parts.js";

export function Groups({ groups, open }: { groups: GroupView[]; open: (id: string) => void }) {
  const [name, setName] = useState("");
  const { busy, failure, act } = useActing();
  return (
    <>
      {groups.length === 0 && <p class="note pad">No groups yet. Make one and invite people by their cards, or give your own card to someone who has one.</p>}
      <ul class="list" aria-label="Groups">
        {groups.map((group) => (
          <li key={group.id}>
            <button type="button" class="item" onClick={() => open(group.id)}>
              <Avatar name={group.name} />
              <span class="grow">
                <strong>{group.name}</strong>
                <span class="note">{group.status === "removed" ? "No longer a member" : group.status === "lost" ? "Out of touch" : count(group.members.length, "member")}</span>
              </span>
              <Todo group={group} />
            </button>
          </li>
        ))}
      </ul>
      <form
        class="row pad"
        onSubmit={(event) => {
          event.preventDefault();
          if (!name.trim()) return;
          void act({ kind: "create", name: name.trim() }).then((result) => {
            if (!result) return;
            setName("");
            if (result.group) open(result.group);
          });
        }}
      >
        <input aria-label="Name of a new group" name="title" placeholder="New group…" maxLength={limits.name} value={name} onInput={(event) => setName(event.currentTarget.value)} />
        <button type="submit" class="primary" disabled={busy || !name.trim()}>
          Make
        </button>
      </form>
      <Failure text={failure} />
    </>
  );
}

function Todo({ group: { changes, ahead } }: { group: GroupView }) {
  const todo = changes.filter(({ state }) => state === "to-post" || state === "welcome").length;
  if (todo > 0) return <span class="badge accent">{todo} to post</span>;
  return ahead > 0 ? <span class="badge warn">{ahead} waiting</span> : null;
}

export function Invitations({ invitations, joined }: { invitations: InvitationView[]; joined: (id: string) => void }) {
  const { busy, failure, act } = useActing();
  return (
    <>
      {invitations.map(({ id, group, from, members, known }) => (
        <section key={id} class="card invitation" aria-label={`Invitation to ${group}`}>
          <p>
            <strong>{from || "Somebody"}</strong> invites you to <strong>{group}</strong>, {count(members, "member")} with you.
          </p>
          {!known && <p class="note">You do not know {from || "them"}: compare safety numbers once you are in.</p>}
          <div class="row">
            <button type="button" class="primary" disabled={busy} onClick={() => void act({ kind: "join", invitation: id }).then((result) => result?.group && joined(result.group))}>
              Join
            </button>
            <button type="button" disabled={busy} onClick={() => void act({ kind: "decline", invitation: id })}>
              Decline
            </button>
          </div>
        </section>
      ))}
      <Failure text={failure} />
    </>
  );
}
