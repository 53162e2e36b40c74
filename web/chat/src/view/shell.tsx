// The page of a signed-in user: the list of conversations, and the open one.
// Which one is open stands in the address, so that a reload finds it.
import { useEffect, useReducer, useState } from "preact/hooks";
import type { Conversation } from "../conversation.js";
import type { Session } from "../session.js";
import { ConversationView } from "./conversation.js";
import { DevicesDialog } from "./devices.js";
import { Icon } from "./icons.js";
import { NewGroupDialog } from "./newgroup.js";
import { Sidebar } from "./sidebar.js";
import { useChanges } from "./use.js";

/** From this width on the list and a conversation stand side by side. */
const wide = "(min-width: 46rem)";

export function Shell({ session }: { session: Session }) {
  useChanges(session);
  const [, look] = useReducer((n: number) => n + 1, 0);
  const [dialog, setDialog] = useState<"group" | "devices">();
  useEffect(() => {
    const show = () => look(undefined as never);
    window.addEventListener("popstate", show);
    window.addEventListener("hashchange", show);
    return () => {
      window.removeEventListener("popstate", show);
      window.removeEventListener("hashchange", show);
    };
  }, []);

  const { conversations } = session;
  let open = session.find(location.hash.slice(1));
  if (!open && conversations[0] && matchMedia(wide).matches) {
    open = conversations[0];
    history.replaceState(null, "", `${location.pathname}${location.search}#${open.id}`);
  }
  const select = (conversation: Conversation | undefined) => {
    const hash = conversation ? `#${conversation.id}` : "";
    if (location.hash !== hash) history.pushState(null, "", location.pathname + location.search + hash);
    look(undefined as never);
  };

  const unread = conversations.reduce((n, conversation) => n + conversation.unread, 0);
  useEffect(() => {
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${session.name} · WebMLS chat`;
  }, [unread]);

  return (
    <div class={`shell${open ? " reading" : ""}`}>
      <Sidebar session={session} open={open} select={select} newGroup={() => setDialog("group")} devices={() => setDialog("devices")} />
      <div class="stage">
        {open ? (
          <ConversationView key={open.id} session={session} conversation={open} back={() => select(undefined)} />
        ) : (
          <Nothing some={conversations.length > 0} name={session.name} newGroup={() => setDialog("group")} />
        )}
      </div>
      {dialog === "group" && <NewGroupDialog session={session} select={select} close={() => setDialog(undefined)} />}
      {dialog === "devices" && <DevicesDialog session={session} close={() => setDialog(undefined)} />}
    </div>
  );
}

function Nothing({ some, name, newGroup }: { some: boolean; name: string; newGroup: () => void }) {
  return (
    <main class="nothing">
      <div class="emblem">
        <Icon name="lock" />
      </div>
      <h1>{some ? "Choose a conversation" : `Welcome, ${name}`}</h1>
      {!some && (
        <>
          <p>Start a group and invite somebody by name, or wait until somebody invites you. To try it alone, open this page in a second window and choose another name there.</p>
          <button type="button" class="primary" onClick={newGroup}>
            Start a group
          </button>
        </>
      )}
    </main>
  );
}
