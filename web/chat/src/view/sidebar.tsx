// The list of conversations, and who one is.
import { memo } from "preact/compat";
import type { Conversation } from "../conversation.js";
import type { Session } from "../session.js";
import { alertOf } from "./alerts.js";
import { Avatar, Icon } from "./icons.js";

const connection = { connected: "Connected", connecting: "Offline, connecting…", closed: "Not connected" } as const;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

interface SidebarProps {
  session: Session;
  open: Conversation | undefined;
  select(conversation: Conversation): void;
  newGroup(): void;
  devices(): void;
}

export function Sidebar({ session, open, select, newGroup, devices }: SidebarProps) {
  const { status, conversations, name } = session;
  const strangers = session.trust.people.filter((person) => person.name !== name);
  return (
    <aside class="sidebar" aria-label="Conversations">
      <header class="me">
        <Avatar name={name} />
        <div class="me-lines">
          <h1>{name}</h1>
          <span class="connection" role="status" data-status={status}>
            {connection[status]}
          </span>
        </div>
        <button type="button" class="plain" aria-label="Your devices" title="Your devices" onClick={devices}>
          <Icon name="devices" />
        </button>
        <button type="button" class="plain accent new-group" aria-label="New group" title="New group" onClick={newGroup}>
          <Icon name="plus" />
        </button>
      </header>
      <nav aria-label="Your groups">
        {conversations.length === 0 && <p class="hint empty">No conversations yet.</p>}
        <ul class="conversations">
          {conversations.map((conversation) => (
            <li key={conversation.id}>
              <Item
                id={conversation.id}
                title={conversation.title}
                group={conversation.people.length > 2 || conversation.named}
                line={lineOf(conversation)}
                active={conversation.active}
                unread={conversation === open ? 0 : conversation.unread}
                left={conversation.status !== "active"}
                current={conversation === open}
                select={() => select(conversation)}
              />
            </li>
          ))}
        </ul>
        {strangers.length > 0 && (
          <>
            <h2 class="list-title">People</h2>
            <ul class="contacts">
              {strangers.map((person) => (
                <li key={person.name}>
                  <button type="button" class="contact" aria-label={`Message ${person.name}`} onClick={() => session.direct(person.name).then(select, alertOf)}>
                    <Avatar name={person.name} />
                    <span>{person.name}</span>
                  </button>
                </li>
              ))}
            </ul>
          </>
        )}
      </nav>
      <footer class="sidebar-foot">
        <a href={location.pathname}>Switch person</a>
      </footer>
    </aside>
  );
}

function lineOf({ timeline: { last } }: Conversation): string {
  if (!last) return "";
  const text = last.text || (last.attachment ? last.attachment.name : "");
  return (last.kind === "note" ? text : `${last.kind === "own" ? "You" : last.sender}: ${text}`).slice(0, 120);
}

interface ItemProps {
  id: string;
  title: string;
  group: boolean;
  line: string;
  active: number;
  unread: number;
  left: boolean;
  current: boolean;
  select(): void;
}

const Item = memo(
  ({ id, title, group, line, active, unread, left, current, select }: ItemProps) => (
    <button type="button" class={`conversation-item${left ? " past" : ""}`} data-id={id} aria-current={current ? "true" : undefined} onClick={select}>
      <Avatar name={title} group={group} />
      <span class="lines">
        <span class="first-line">
          <span class="title">{title}</span>
          <span class="when">{when(active)}</span>
        </span>
        <span class="second-line">
          <span class="last">{line}</span>
          {unread > 0 && (
            <span class="unread">
              {unread > 999 ? "999+" : unread}
              <span class="visually-hidden"> unread</span>
            </span>
          )}
        </span>
      </span>
    </button>
  ),
  (a, b) => a.title === b.title && a.line === b.line && a.active === b.active && a.unread === b.unread && a.current === b.current && a.left === b.left && a.group === b.group,
);

function when(at: number): string {
  const time = new Date(at);
  return time.toDateString() === new Date().toDateString() ? clock.format(time) : date.format(time);
}
