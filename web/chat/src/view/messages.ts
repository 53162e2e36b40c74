// The messages of a conversation: a log that grows at its end and, when one
// asks for what was before, at its beginning.
import type { Conversation } from "../conversation.js";
import type { Entry } from "../history.js";
import { alertOf } from "./alerts.js";
import { avatar, h, icon } from "./element.js";

/** How near to its end, in pixels, the log follows what is new. */
const nearEnd = 80;
/** Texts by one sender with less than this between them, in milliseconds, stand together. */
const together = 5 * 60_000;

const stateWords = { sending: "sending…", sent: "sent", failed: "not sent" } as const;
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export class Messages {
  readonly element: HTMLElement;
  readonly #conversation: Conversation;
  readonly #log = h("div", { class: "log", role: "log", "aria-label": "Messages", "aria-live": "polite", "aria-relevant": "additions", tabindex: 0 });
  readonly #earlier: HTMLButtonElement;
  #following = true; // what is new at the end
  readonly #shown = new Map<number, { entry: Entry; element: HTMLElement }>();

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
    this.#earlier = h("button", { type: "button", class: "earlier", onclick: () => void this.#loadEarlier() }, "Show earlier messages");
    this.element = h("div", { class: "messages", onscroll: () => (this.#following = this.#isAtEnd()) }, this.#earlier, this.#log);
    new ResizeObserver(() => {
      if (this.#following) this.toEnd();
    }).observe(this.element);
  }

  /** Shows what is new, and in place what has changed. */
  update(): void {
    const { entries, hasEarlier } = this.#conversation;
    this.#earlier.hidden = !hasEarlier;
    let before: Element | null = null; // the element behind which the next one belongs
    let previous: Entry | undefined;
    for (const entry of entries) {
      const shown = this.#shown.get(entry.order);
      if (!shown) {
        const element = this.#line(entry, previous);
        if (before) before.after(element);
        else this.#log.prepend(element);
        this.#shown.set(entry.order, { entry, element });
        before = element;
      } else {
        // Only how far it is changes in an entry; a screen reader need not hear the text again.
        if (shown.entry !== entry) shown.element.querySelector(".foot")?.replaceWith(this.#foot(entry));
        shown.entry = entry;
        before = shown.element;
      }
      previous = entry;
    }
    if (this.#following) this.toEnd();
  }

  toEnd(): void {
    this.element.scrollTop = this.element.scrollHeight;
  }

  #isAtEnd(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < nearEnd;
  }

  async #loadEarlier(): Promise<void> {
    const fromEnd = this.element.scrollHeight - this.element.scrollTop;
    try {
      await this.#conversation.loadEarlier();
    } catch (error) {
      alertOf(error);
    }
    this.element.scrollTop = this.element.scrollHeight - fromEnd;
  }

  #line(entry: Entry, previous: Entry | undefined): HTMLElement {
    const at = new Date(entry.at);
    const newDay = !previous || new Date(previous.at).toDateString() !== at.toDateString();
    const first = newDay || previous.kind !== entry.kind || previous.sender !== entry.sender || entry.at - previous.at > together;
    const body =
      entry.kind === "note"
        ? h("p", { class: "note" }, entry.text, " ", stamp(entry))
        : h(
            "div",
            { class: "bubble" },
            entry.kind === "text" && first && h("span", { class: "sender" }, entry.sender),
            h("span", { class: "visually-hidden" }, entry.kind === "own" ? "You: " : first ? "" : `${entry.sender}: `),
            h("p", { class: "text" }, entry.text),
            this.#foot(entry),
          );
    return h(
      "div",
      { class: `entry ${entry.kind}${first ? " first" : ""}`, "data-sender": entry.sender },
      newDay && h("p", { class: "day" }, day.format(at)),
      h("div", { class: "line" }, entry.kind === "text" && (first ? avatar(entry.sender) : h("span", { class: "avatar-space" })), body),
    );
  }

  #foot(entry: Entry): HTMLElement {
    const again = () => this.#conversation.sayAgain(entry).catch(alertOf);
    return h(
      "span",
      { class: "foot" },
      stamp(entry),
      entry.state && h("span", { class: "state", "data-state": entry.state }, entry.state === "sent" && icon("check"), h("span", {}, stateWords[entry.state])),
      entry.state === "failed" && h("button", { type: "button", class: "link", onclick: () => void again() }, "Try again"),
    );
  }
}

function stamp(entry: Entry): HTMLElement {
  const at = new Date(entry.at);
  return h("time", { datetime: at.toISOString(), title: at.toLocaleString() }, time.format(at));
}
