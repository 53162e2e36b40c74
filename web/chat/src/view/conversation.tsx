// One open conversation: its header, messages, composer and details.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Conversation } from "../conversation.js";
import type { Session } from "../session.js";
import { alertOf } from "./alerts.js";
import { Composer } from "./composer.js";
import { Details } from "./details.js";
import { Avatar, Icon } from "./icons.js";
import { Messages } from "./messages.js";
import { useChanges } from "./use.js";

/** From this width on the details stand beside the messages. */
const wide = "(min-width: 64rem)";

export function ConversationView({ session, conversation, back }: { session: Session; conversation: Conversation; back: () => void }) {
  useChanges(conversation);
  const { title, status, members, people, epoch, unread } = conversation;
  const [details, setDetails] = useState(matchMedia(wide).matches);
  const toggle = useRef<HTMLButtonElement>(null);
  const active = status === "active";

  // What is in front of somebody's eyes was seen.
  useEffect(() => {
    const see = () => {
      if (!document.hidden && conversation.unread > 0) conversation.seen().catch(alertOf);
    };
    see();
    document.addEventListener("visibilitychange", see);
    return () => document.removeEventListener("visibilitychange", see);
  }, [conversation, unread]);

  const close = () => {
    setDetails(false);
    toggle.current?.focus();
  };
  const verified = active && members.every((member) => session.trust.verified(member)) && members.length > 1;
  return (
    <div class={`conversation${details ? " with-details" : ""}${active ? "" : " left"}`}>
      <main class="talk">
        <header class="bar">
          <button type="button" class="plain back" aria-label="Back to the list" onClick={back}>
            <Icon name="back" />
          </button>
          <Avatar name={title} group={people.length > 2 || conversation.named} />
          <div class="bar-lines">
            <h1 class="title">{title}</h1>
            <p class="about">
              {!active ? (
                "You are not a member"
              ) : (
                <>
                  {people.length === 1 ? "Only you" : `${people.length} people`}
                  <span class="lg"> · {verified ? "all verified" : "end-to-end encrypted"}</span>
                  <span class="visually-hidden"> · epoch {String(epoch)}</span>
                </>
              )}
            </p>
          </div>
          <button
            type="button"
            class={`plain${details ? " on" : ""}`}
            ref={toggle}
            aria-label="Members and security"
            title="Members and security"
            aria-controls="details"
            aria-expanded={details}
            onClick={() => setDetails(!details)}
          >
            <Icon name={verified ? "shield" : "people"} />
          </button>
        </header>
        <Banner conversation={conversation} />
        <Messages conversation={conversation} />
        <Composer key={status} session={session} conversation={conversation} />
      </main>
      {details && <Details session={session} conversation={conversation} close={close} />}
    </div>
  );
}

/** What is out of the ordinary about a group. */
function Banner({ conversation }: { conversation: Conversation }) {
  if (conversation.forked) {
    return (
      <p class="banner bad" role="status">
        <Icon name="warning" />
        Members of this group seem to see different things. Compare the safety number in another way; if it differs, ask a member whom you trust to remove you and to invite you again.
      </p>
    );
  }
  if (conversation.leaving) {
    return (
      <p class="banner" role="status">
        <Icon name="clock" />
        You are leaving. The next member who is online confirms it.
      </p>
    );
  }
  if (conversation.status === "active" && conversation.activity === "behind") {
    return (
      <p class="banner" role="status">
        <Icon name="clock" />
        Messages have come that cannot be read yet: a change of the group in front of them is missing, and is asked for again.
      </p>
    );
  }
  return null;
}
