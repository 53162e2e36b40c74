// One open conversation: its header, messages, composer and details.
import type { Conversation } from "../conversation.js";
import { Composer } from "./composer.js";
import { Details } from "./details.js";
import { h, icon } from "./element.js";
import { Messages } from "./messages.js";

export class ConversationView {
  readonly element: HTMLElement;
  readonly conversation: Conversation;
  readonly #title = h("h1", { class: "title" });
  readonly #line = h("p", { class: "about" });
  readonly #messages: Messages;
  readonly #composer: Composer;
  readonly #details: Details;
  readonly #toggle: HTMLButtonElement;
  readonly #end: () => void;

  constructor(conversation: Conversation, back: () => void) {
    this.conversation = conversation;
    this.#messages = new Messages(conversation);
    this.#composer = new Composer(conversation, () => this.#messages.toEnd());
    this.#details = new Details(conversation, () => this.#showDetails(false));
    this.#toggle = h(
      "button",
      {
        type: "button",
        class: "plain",
        "aria-label": "Members and security",
        title: "Members and security",
        "aria-controls": "details",
        onclick: () => this.#showDetails(!this.element.classList.contains("with-details")),
      },
      icon("info"),
    );
    this.element = h(
      "div",
      { class: "conversation" },
      h(
        "main",
        { class: "talk" },
        h(
          "header",
          { class: "bar" },
          h("button", { type: "button", class: "plain back", "aria-label": "Back to the list", onclick: back }, icon("back")),
          h("div", { class: "bar-lines" }, this.#title, this.#line),
          this.#toggle,
        ),
        this.#messages.element,
        this.#composer.element,
      ),
      this.#details.element,
    );
    this.#showDetails(matchMedia("(min-width: 64rem)").matches);
    this.#end = conversation.onChange(() => this.#update());
    this.#update();
  }

  /** Is called when the element is part of the page. */
  opened(): void {
    this.#messages.toEnd();
    if (matchMedia("(min-width: 46rem)").matches) this.#composer.focus();
  }

  close(): void {
    this.#end();
  }

  #showDetails(shown: boolean): void {
    const had = this.#details.element.contains(document.activeElement);
    this.element.classList.toggle("with-details", shown);
    this.#toggle.setAttribute("aria-expanded", String(shown));
    if (had && !shown) this.#toggle.focus();
  }

  #update(): void {
    const { title, status, members, epoch } = this.conversation;
    this.#title.textContent = title;
    this.element.classList.toggle("left", status !== "active");
    this.#toggle.hidden = status !== "active";
    this.#line.textContent =
      status === "active" ? `${members.length === 1 ? "Only you" : `${members.length} members`} · epoch ${epoch}` : "You are not a member";
    this.#messages.update();
    this.#composer.update();
    this.#details.update();
  }
}
