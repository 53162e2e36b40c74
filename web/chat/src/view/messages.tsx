// The messages of a conversation. Only those near what is seen are in the page; see window.ts.
//
// Two things hold while the list changes: who is at its end stays there, and for who is not,
// what is in front of their eyes does not move.
import { memo } from "preact/compat";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Conversation } from "../conversation.js";
import type { Entry } from "../history.js";
import { alertOf } from "./alerts.js";
import { AttachmentView } from "./attachment.js";
import { Avatar, Icon } from "./icons.js";
import { RowHeights, rowAt } from "./window.js";

/** How near to its end, in pixels, the list follows what is new. */
const nearEnd = 60;
/** How far around what is seen rows are in the page, in px. */
const margin = 700;
/** Rows come and go by so many at once. */
const step = 8;
/** Texts by one sender with less than this between them, in milliseconds, stand together. */
const together = 5 * 60_000;
/** Of longer texts the beginning is shown. */
const folded = 1_500;

const stateWords = { sending: "sending…", sent: "sent", failed: "not sent" } as const;
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export function Messages({ conversation }: { conversation: Conversation }) {
  const { timeline } = conversation;
  const scroller = useRef<HTMLDivElement>(null);
  const log = useRef<HTMLDivElement>(null);
  const heights = useRef(new RowHeights());
  const following = useRef(true);
  const anchor = useRef<{ order: number; top: number } | undefined>(undefined);
  const [place, setPlace] = useState({ top: Infinity, height: 800 });
  const [, measure] = useState(0);
  const [atEnd, setAtEnd] = useState(true);
  const count = timeline.length;
  const seen = useRef(count);

  const tops = heights.current.tops(count, (i) => timeline.orderAt(i));
  const end = tops[count]!;
  const top = following.current ? Math.max(0, end - place.height) : Math.min(place.top, end);
  const first = Math.floor(rowAt(tops, top - margin) / step) * step;
  const last = Math.min(count, Math.ceil((rowAt(tops, top + place.height + margin) + 1) / step) * step);

  /** Remembers what is in front of somebody's eyes. */
  const remember = () => {
    const view = scroller.current!;
    const edge = view.getBoundingClientRect().top;
    for (const row of log.current!.children) {
      const { bottom, top: rowTop } = row.getBoundingClientRect();
      if (bottom > edge && (row as HTMLElement).dataset["order"]) {
        anchor.current = { order: Number((row as HTMLElement).dataset["order"]), top: rowTop - edge };
        return;
      }
    }
  };

  /** Puts it back to where it was. */
  const settle = () => {
    const view = scroller.current;
    if (!view) return; // the page has gone on to another conversation
    if (following.current) {
      view.scrollTop = view.scrollHeight;
      return;
    }
    const row = anchor.current && log.current!.querySelector(`[data-order="${anchor.current.order}"]`);
    if (!row) return;
    const moved = row.getBoundingClientRect().top - view.getBoundingClientRect().top - anchor.current!.top;
    if (Math.abs(moved) >= 1) view.scrollTop += moved;
  };

  // After each rendering: how high the rows are, and where they belong.
  useLayoutEffect(() => {
    let others = false;
    for (const row of log.current!.children) {
      const { order } = (row as HTMLElement).dataset;
      if (order && heights.current.set(Number(order), (row as HTMLElement).offsetHeight)) others = true;
    }
    settle();
    if (!following.current) remember();
    if (others) measure((n) => n + 1);
  });

  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => {
      settle();
      if (scroller.current) setPlace((old) => (old.height === scroller.current!.clientHeight ? old : { ...old, height: scroller.current!.clientHeight }));
    });
    observer.observe(scroller.current!);
    observer.observe(log.current!);
    return () => observer.disconnect();
  }, []);

  const scrolled = () => {
    const view = scroller.current!;
    following.current = view.scrollHeight - view.scrollTop - view.clientHeight < nearEnd;
    remember();
    setAtEnd(following.current);
    if (following.current) seen.current = timeline.length;
    const next = { top: view.scrollTop, height: view.clientHeight };
    setPlace((old) => (Math.abs(old.top - next.top) < margin / 4 && old.height === next.height ? old : next));
  };
  const toEnd = () => {
    following.current = true;
    seen.current = timeline.length;
    setAtEnd(true);
    setPlace((old) => ({ ...old, top: Infinity }));
    measure((n) => n + 1);
  };
  // What one writes is shown.
  const newest = timeline.last;
  useEffect(() => {
    if (newest?.kind === "own" && newest.state === "sending") toEnd();
    else if (following.current) seen.current = timeline.length;
  }, [newest?.order]);

  const rows = [];
  for (let i = first; i < last; i++) {
    const order = timeline.orderAt(i);
    const entry = timeline.at(i);
    rows.push(
      entry ? (
        <Line key={order} conversation={conversation} entry={entry} index={i} count={count} {...placeOf(entry, i > 0 ? timeline.at(i - 1) : undefined)} />
      ) : (
        <div key={order} class="entry unread-yet" data-order={order} aria-hidden="true" />
      ),
    );
  }
  const news = count - seen.current;
  return (
    <div class="messages-place">
      <div class="messages" ref={scroller} onScroll={scrolled} tabIndex={0} role="region" aria-label="Messages">
        <div class="space" style={{ height: `${tops[first]!}px` }} />
        <div class="log" ref={log} role="list" aria-label="Messages">
          {rows}
        </div>
        <div class="space" style={{ height: `${end - tops[last]!}px` }} />
      </div>
      {!atEnd && (
        <button type="button" class="to-end" onClick={toEnd} aria-label={news > 0 ? `${news} new messages: go to the end` : "Go to the end"}>
          <Icon name="down" />
          {news > 0 && <span class="unread">{news}</span>}
        </button>
      )}
      <Announcer newest={newest} />
    </div>
  );
}

/** Says to screen readers what comes in. The rows themselves come and go as one scrolls. */
function Announcer({ newest }: { newest: Entry | undefined }) {
  const start = useRef(newest?.order);
  const fresh = newest && newest.order !== start.current && newest.kind !== "own";
  return (
    <div class="visually-hidden" role="log" aria-live="polite" aria-label="New messages">
      {fresh ? `${newest.kind === "text" ? `${newest.sender}: ` : ""}${newest.text.slice(0, 300)}` : ""}
    </div>
  );
}

/** How an entry goes with the one before it. */
function placeOf(entry: Entry, previous: Entry | undefined): { newDay: boolean; begins: boolean } {
  const newDay = !previous || new Date(previous.at).toDateString() !== new Date(entry.at).toDateString();
  const begins = newDay || previous.kind !== entry.kind || previous.sender !== entry.sender || entry.at - previous.at > together;
  return { newDay, begins };
}

interface LineProps {
  conversation: Conversation;
  entry: Entry;
  index: number;
  count: number;
  newDay: boolean;
  begins: boolean;
}

const Line = memo(
  ({ conversation, entry, index, count, newDay, begins }: LineProps) => (
    <div class={`entry ${entry.kind}${begins ? " first" : ""}`} data-order={entry.order} data-sender={entry.sender} role="listitem" aria-posinset={index + 1} aria-setsize={count}>
      {newDay && <p class="day">{day.format(entry.at)}</p>}
      <div class="line">
        {entry.kind === "text" && (begins ? <Avatar name={entry.sender} /> : <span class="avatar-space" />)}
        {entry.kind === "note" ? (
          <p class="note">
            {entry.text} <Stamp at={entry.at} />
          </p>
        ) : (
          <div class={`bubble${entry.attachment ? " with-file" : ""}`}>
            {entry.kind === "text" && begins && <span class="sender">{entry.sender}</span>}
            <span class="visually-hidden">{entry.kind === "own" ? "You: " : begins ? "" : `${entry.sender}: `}</span>
            {entry.attachment && <AttachmentView conversation={conversation} entry={entry} attachment={entry.attachment} />}
            {(entry.text || !entry.attachment) && <Text text={entry.text} />}
            <Foot conversation={conversation} entry={entry} />
          </div>
        )}
      </div>
    </div>
  ),
  (a, b) => a.entry === b.entry && a.newDay === b.newDay && a.begins === b.begins && a.index === b.index && a.count === b.count,
);

/** What somebody wrote: text nodes, and links to the web. */
function Text({ text }: { text: string }) {
  const [open, setOpen] = useState(false);
  const long = text.length > folded;
  const parts = (long && !open ? `${text.slice(0, folded)}…` : text).split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}])/);
  return (
    <>
      <p class="text">
        {parts.map((part, i) =>
          i % 2 === 1 ? (
            <a href={part} target="_blank" rel="noopener noreferrer" key={i}>
              {part}
            </a>
          ) : (
            part
          ),
        )}
      </p>
      {long && (
        <button type="button" class="link fold" onClick={() => setOpen(!open)}>
          {open ? "Show less" : "Show all"}
        </button>
      )}
    </>
  );
}

function Foot({ conversation, entry }: { conversation: Conversation; entry: Entry }) {
  return (
    <span class="foot">
      {entry.device && <span class="device">{entry.device}</span>}
      <Stamp at={entry.at} />
      {entry.state && (
        <span class="state" data-state={entry.state}>
          {entry.state !== "failed" && <Icon name={entry.state === "sent" ? "check" : "clock"} />}
          <span>{stateWords[entry.state]}</span>
        </span>
      )}
      {entry.state === "failed" && (
        <button type="button" class="link" onClick={() => conversation.sayAgain(entry).catch(alertOf)}>
          Try again
        </button>
      )}
    </span>
  );
}

function Stamp({ at }: { at: number }) {
  const date = new Date(at);
  return (
    <time dateTime={date.toISOString()} title={moment.format(date)}>
      {time.format(date)}
    </time>
  );
}
