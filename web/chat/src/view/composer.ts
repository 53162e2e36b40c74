// Where one writes. Enter sends, Shift and Enter begins a new line.
import type { Conversation } from "../conversation.js";
import { longestText } from "../payload.js";
import { alertOf } from "./alerts.js";
import { fill, h, icon } from "./element.js";

export class Composer {
  readonly element: HTMLElement;
  readonly #conversation: Conversation;
  readonly #sent: () => void;
  readonly #input: HTMLTextAreaElement;
  readonly #form: HTMLFormElement;
  #active: boolean | undefined;

  constructor(conversation: Conversation, sent: () => void) {
    this.#conversation = conversation;
    this.#sent = sent;
    this.#input = h("textarea", {
      name: "message",
      rows: 1,
      maxlength: longestText,
      placeholder: "Message",
      "aria-label": "Message",
      enterkeyhint: "send",
      onkeydown: (event: KeyboardEvent) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        this.#form.requestSubmit();
      },
    });
    this.#form = h(
      "form",
      {
        class: "composer",
        onsubmit: (event: SubmitEvent) => {
          event.preventDefault();
          void this.#say();
        },
      },
      this.#input,
      h("button", { type: "submit", class: "primary round", "aria-label": "Send", title: "Send" }, icon("send")),
    );
    this.element = h("div", { class: "composer-place" });
  }

  focus(): void {
    this.#input.focus();
  }

  update(): void {
    const active = this.#conversation.status === "active";
    if (active === this.#active) return;
    this.#active = active;
    fill(
      this.element,
      active
        ? this.#form
        : h("p", { class: "removed", role: "status" }, "You are no longer a member of this group. You can read what was said until then; what is said now is not for you. A member can invite you again."),
    );
  }

  async #say(): Promise<void> {
    const text = this.#input.value.trim();
    if (!text) return;
    this.#input.value = "";
    try {
      await this.#conversation.say(text);
      this.#sent();
    } catch (error) {
      this.#input.value ||= text;
      alertOf(error);
    }
  }
}
