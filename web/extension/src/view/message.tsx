/** A message as people read it, in pages and in the popup. */
import type { ComponentChildren } from "preact";
import type { View } from "../protocol.js";

const failures: Partial<Record<View["state"], string>> = {
  stale: "Its keys are gone, or it is from before you joined.",
  overtaken: "This change came too late: another was first.",
  foreign: "This is not for you.",
  damaged: "This was damaged on the way. Ask for it again.",
  refused: "This was refused: it was forged or altered.",
  removed: "You are no longer a member of this group.",
  failed: "This could not be opened now.",
};

export function Message({ view }: { view: View }) {
  const { kind, state } = view;
  if (state === "ahead") {
    return (
      <Frame view={view} title="Waiting">
        <p class="note">{view.missing ? `${count(view.missing, "change")} of the group must be opened first.` : "A message that belongs to it must be opened first."}</p>
      </Frame>
    );
  }
  if (state !== "open") {
    return (
      <Frame view={view} title="Not opened">
        <p class="note">{view.reason ?? failures[state]}</p>
      </Frame>
    );
  }
  switch (kind) {
    case "text":
      return (
        <Frame view={view} title={view.own ? "You" : (view.sender?.name ?? "")}>
          <p class="text">{view.text}</p>
        </Frame>
      );
    case "card":
      return (
        <Frame view={view} title={view.own ? "Your card" : `Card of ${view.name}`}>
          <p class="note">{view.own ? "Who has it can invite you to a group." : "Kept among your people: invite them in the WebMLS popup."}</p>
          <p class="number">{view.number}</p>
        </Frame>
      );
    case "welcome":
      return (
        <Frame view={view} title={view.name === undefined ? "Invitation" : `Invitation to “${view.name}”`}>
          <p class="note">{view.name === undefined ? "It was answered." : `From ${view.sender?.name || "somebody"}. Open WebMLS in the toolbar to accept it.`}</p>
        </Frame>
      );
    case "commit":
      return (
        <Frame view={view} title="Change of the group">
          <p class="note">{changeText(view)}</p>
        </Frame>
      );
    case "proposal":
      return (
        <Frame view={view} title="Request">
          <p class="note">{view.own ? "You have asked to leave." : `${view.sender?.name ?? "A member"} asks to leave. Remove them in the popup.`}</p>
        </Frame>
      );
  }
}

function Frame({ view, title, children }: { view: View; title: string; children: ComponentChildren }) {
  return (
    <article class={`message ${view.state} ${view.kind}${view.own ? " own" : ""}`} data-state={view.state} data-kind={view.kind}>
      <header>
        <Lock />
        <strong>{title}</strong>
        <Trust view={view} />
        {view.group && <span class="group">{view.group.name}</span>}
      </header>
      {children}
    </article>
  );
}

function Trust({ view: { sender, own } }: { view: View }) {
  if (!sender || own) return null;
  if (sender.verified) return <span class="badge good">verified</span>;
  return sender.changed ? <span class="badge warn">new key</span> : null;
}

export function Lock() {
  return (
    <svg class="lock" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M5 7V5a3 3 0 0 1 6 0v2" fill="none" stroke="currentColor" stroke-width="1.6" />
      <rect x="3" y="7" width="10" height="7" rx="2" fill="currentColor" />
    </svg>
  );
}

function changeText({ sender, own, added = [], removed = [] }: View): string {
  const who = own ? "You" : (sender?.name ?? "A member");
  const parts = [];
  if (added.length > 0) parts.push(`added ${added.join(", ")}`);
  if (removed.length > 0) parts.push(`removed ${removed.join(", ")}`);
  return parts.length > 0 ? `${who} ${parts.join(" and ")}.` : own ? "Your change was carried out." : "The group has fresh keys.";
}

export function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
