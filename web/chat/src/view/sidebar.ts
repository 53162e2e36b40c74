// The list of conversations, and who one is.
import type { Conversation } from "../conversation.js";
import type { Session } from "../session.js";
import { longestTitle } from "../payload.js";
import { alertOf } from "./alerts.js";
import { avatar, fill, h, icon } from "./element.js";

const connection = { connected: "Connected", connecting: "Connecting…", closed: "Not connected" } as const;

export class Sidebar {
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #select: (conversation: Conversation) => void;
  readonly #list = h("ul", { class: "conversations" });
  readonly #status = h("span", { class: "connection", role: "status" });
  #marked: Conversation | undefined;

  constructor(session: Session, select: (conversation: Conversation) => void) {
    this.#session = session;
    this.#select = select;
    this.element = h(
      "aside",
      { class: "sidebar", "aria-label": "Conversations" },
      h(
        "header",
        { class: "me" },
        avatar(session.name),
        h("div", { class: "me-lines" }, h("h1", {}, session.name), this.#status),
        h("a", { class: "switch", href: location.pathname }, "Switch"),
      ),
      this.#form(),
      h("nav", { "aria-label": "Your groups" }, this.#list),
    );
    this.update();
  }

  /** Shows which conversation is open. */
  mark(conversation: Conversation | undefined): void {
    this.#marked = conversation;
    this.update();
  }

  update(): void {
    const { status } = this.#session;
    const text = connection[status];
    if (this.#status.textContent !== text) this.#status.textContent = text;
    this.#status.dataset["status"] = status;
    // What has the focus is made anew with the list; it keeps the focus.
    const focused = this.#list.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset["id"] : undefined;
    fill(this.#list, ...this.#session.conversations.map((conversation) => this.#item(conversation)));
    if (focused) this.#list.querySelector<HTMLElement>(`[data-id="${focused}"]`)?.focus();
  }

  #item(conversation: Conversation): HTMLElement {
    const last = conversation.entries.at(-1);
    const line = last && (last.kind === "note" ? last.text : `${last.kind === "own" ? "You" : last.sender}: ${last.text}`);
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "conversation-item",
          "data-id": conversation.id,
          "aria-current": conversation === this.#marked && "true",
          onclick: () => this.#select(conversation),
        },
        avatar(conversation.title),
        h("span", { class: "lines" }, h("span", { class: "title" }, conversation.title), h("span", { class: "last" }, line?.slice(0, 120) ?? "")),
      ),
    );
  }

  #form(): HTMLElement {
    const input = h("input", {
      name: "title",
      type: "text",
      required: true,
      maxlength: longestTitle,
      placeholder: "New group",
      autocomplete: "off",
      "aria-label": "Name of the new group",
    });
    const button = h("button", { type: "submit", class: "primary square", "aria-label": "Start the group", title: "Start the group" }, icon("plus"));
    return h(
      "form",
      {
        class: "new-group row",
        onsubmit: async (event: SubmitEvent) => {
          event.preventDefault();
          const title = input.value.trim();
          if (!title) return;
          button.disabled = true;
          try {
            this.#select(await this.#session.createGroup(title));
            input.value = "";
          } catch (error) {
            alertOf(error);
          } finally {
            button.disabled = false;
          }
        },
      },
      input,
      button,
    );
  }
}
