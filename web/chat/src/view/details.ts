// Who is in the group, who else should be, and how one can be sure of it.
import type { Member } from "webmls";
import { normalizeName } from "../account.js";
import { nameOf, type Conversation } from "../conversation.js";
import type { Intent } from "../intents.js";
import { alertOf } from "./alerts.js";
import { avatar, fill, h, icon } from "./element.js";

export class Details {
  readonly element: HTMLElement;
  readonly #conversation: Conversation;
  #shown: { members: readonly Member[]; changing: Intent | undefined } | undefined;
  readonly #members = h("ul", { class: "members" });
  readonly #count = h("span", { class: "count" });
  readonly #epoch = h("dd", { class: "epoch" });
  readonly #safety = h("dd", { class: "safety" });
  readonly #progress = h("p", { class: "progress", role: "status" });
  readonly #invitation = h("input", {
    name: "invite",
    type: "text",
    required: true,
    maxlength: 64,
    placeholder: "Name",
    autocomplete: "off",
    autocapitalize: "words",
    spellcheck: "false",
    "aria-label": "Name of the person to invite",
  });
  readonly #invite = h("button", { type: "submit", class: "primary" }, "Invite");
  readonly #renew = h("button", { type: "button", class: "secondary renew", onclick: () => void this.#attempt(this.#conversation.renewKeys()) }, icon("key"), "Update keys");

  constructor(conversation: Conversation, close: () => void) {
    this.#conversation = conversation;
    const people = h(
      "section",
      { "aria-labelledby": "members-title" },
      h("h3", { id: "members-title" }, "Members ", this.#count),
      this.#members,
      h("form", { class: "row invite", onsubmit: (event: SubmitEvent) => this.#submit(event) }, this.#invitation, this.#invite),
      this.#progress,
    );
    const security = h(
      "section",
      { "aria-labelledby": "security-title" },
      h("h3", { id: "security-title" }, "Security"),
      h("dl", {}, h("dt", {}, "Epoch"), this.#epoch, h("dt", {}, "Safety number"), this.#safety),
      h("p", { class: "hint" }, "All members see the same number in the same epoch. Read it to each other in another way: if it is the same, nobody is listening in between."),
      this.#renew,
      h("p", { class: "hint" }, "Makes new keys for you. Whoever may have copied your old ones is shut out."),
    );
    this.element = h(
      "aside",
      {
        id: "details",
        class: "details",
        "aria-label": "Members and security",
        onkeydown: (event: KeyboardEvent) => {
          if (event.key === "Escape") close();
        },
      },
      h("header", { class: "bar" }, h("h2", {}, "Members and security"), h("button", { type: "button", class: "plain close", "aria-label": "Close", onclick: close }, icon("close"))),
      people,
      security,
    );
  }

  update(): void {
    const { members, epoch, safetyNumber, changing } = this.#conversation;
    this.#count.textContent = String(members.length);
    this.#epoch.textContent = String(epoch);
    if (this.#safety.textContent !== safetyNumber) {
      fill(this.#safety, ...safetyNumber.split(" ").flatMap((part) => [h("span", {}, part), " "]).slice(0, -1));
    }
    this.#invite.disabled = this.#renew.disabled = changing !== undefined;
    const progress = changing ? doing(changing) : "";
    if (this.#progress.textContent !== progress) this.#progress.textContent = progress;
    if (members === this.#shown?.members && changing === this.#shown.changing) return;
    this.#shown = { members, changing };
    fill(this.#members, ...members.map((member) => this.#member(member, changing !== undefined)));
  }

  #member(member: Member, busy: boolean): HTMLElement {
    const name = nameOf(member);
    return h(
      "li",
      { "data-name": name },
      avatar(name),
      h("span", { class: "name" }, name, member.own && h("span", { class: "you" }, " (you)")),
      !member.own &&
        h(
          "button",
          { type: "button", class: "link danger", disabled: busy, "aria-label": `Remove ${name}`, onclick: () => void this.#remove(member) },
          "Remove",
        ),
    );
  }

  async #submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const name = normalizeName(this.#invitation.value);
    if (!name) return;
    if (await this.#attempt(this.#conversation.invite(name))) this.#invitation.value = "";
    this.#invitation.focus();
  }

  async #remove(member: Member): Promise<void> {
    await this.#attempt(this.#conversation.remove(member));
    this.#invitation.focus(); // the button that had the focus is gone
  }

  /** Waits for a change of the group, and shows where it fails. */
  async #attempt(change: Promise<void>): Promise<boolean> {
    try {
      await change;
      return true;
    } catch (error) {
      alertOf(error);
      return false;
    }
  }
}

function doing(intent: Intent): string {
  switch (intent.kind) {
    case "add":
      return `Inviting ${intent.name}…`;
    case "remove":
      return `Removing ${intent.name}…`;
    case "renew":
      return "Updating your keys…";
  }
}
