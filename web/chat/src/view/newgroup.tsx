// A new group: its name, and who is to be in it.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Conversation } from "../conversation.js";
import { longestName, normalizeName } from "../names.js";
import { longestTitle } from "../payload.js";
import type { Session } from "../session.js";
import { alertOf } from "./alerts.js";
import { Dialog } from "./dialog.js";
import { Avatar, Icon } from "./icons.js";

export function NewGroupDialog({ session, select, close }: { session: Session; select: (conversation: Conversation) => void; close: () => void }) {
  const title = useRef<HTMLInputElement>(null);
  const person = useRef<HTMLInputElement>(null);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [busy, setBusy] = useState(false);
  const known = session.trust.people.map(({ name }) => name).filter((name) => name !== session.name && !chosen.includes(name));
  useEffect(() => title.current?.focus(), []);

  const choose = (name: string) => {
    if (name && name !== session.name && !chosen.includes(name)) setChosen([...chosen, name]);
  };
  const addTyped = () => {
    choose(normalizeName(person.current!.value));
    person.current!.value = "";
    person.current!.focus();
  };
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const typed = normalizeName(person.current!.value);
    const names = typed && typed !== session.name && !chosen.includes(typed) ? [...chosen, typed] : chosen;
    setBusy(true);
    try {
      const conversation = await session.createGroup(title.current!.value.trim());
      select(conversation);
      close();
      // One who cannot be invited does not keep the others out.
      for (const name of names) await conversation.invite(name).catch(alertOf);
    } catch (error) {
      alertOf(error);
      setBusy(false);
    }
  };
  return (
    <Dialog title="New group" close={close}>
      <form class="stack" onSubmit={(event: SubmitEvent) => void submit(event)}>
        <label>
          <span>Name of the group</span>
          <input ref={title} name="title" type="text" maxLength={longestTitle} autocomplete="off" placeholder="Without a name: the people in it" />
        </label>
        <div>
          <label for="new-person">People</label>
          <div class="row">
            <input
              id="new-person"
              ref={person}
              name="person"
              type="text"
              maxLength={longestName}
              autocomplete="off"
              autocapitalize="words"
              spellcheck={false}
              placeholder="A name that somebody has here"
              onKeyDown={(event: KeyboardEvent) => {
                if (event.key !== "Enter" || !person.current!.value) return;
                event.preventDefault();
                addTyped();
              }}
            />
            <button type="button" class="secondary" onClick={addTyped}>
              Add
            </button>
          </div>
        </div>
        {chosen.length > 0 && (
          <ul class="chips" aria-label="Chosen">
            {chosen.map((name) => (
              <li key={name}>
                <Avatar name={name} />
                {name}
                <button type="button" class="plain small" aria-label={`Do not invite ${name}`} onClick={() => setChosen(chosen.filter((other) => other !== name))}>
                  <Icon name="close" />
                </button>
              </li>
            ))}
          </ul>
        )}
        {known.length > 0 && (
          <ul class="chips offered" aria-label="People you know">
            {known.map((name) => (
              <li key={name}>
                <button type="button" aria-label={`Invite ${name}`} onClick={() => choose(name)}>
                  <Avatar name={name} />
                  {name}
                </button>
              </li>
            ))}
          </ul>
        )}
        <div class="actions">
          <button type="button" class="secondary" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy} aria-label="Start the group">
            Start the group
          </button>
        </div>
      </form>
    </Dialog>
  );
}
