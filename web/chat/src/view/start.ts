// The first screen: who are you?
import { knownNames, normalizeName } from "../account.js";
import { avatar, fill, h, icon } from "./element.js";

const longestName = 64;

/** Shows the screen. `enter` is called with each name that is tried, and rejects where it cannot be had. */
export function showStart(root: Element, enter: (name: string) => Promise<unknown>): void {
  const input = h("input", {
    id: "name",
    name: "name",
    type: "text",
    required: true,
    maxlength: longestName,
    autocomplete: "off",
    autocapitalize: "words",
    spellcheck: "false",
    "aria-describedby": "name-hint",
  });
  const submit = h("button", { type: "submit", class: "primary" }, "Start chatting");
  const attempt = async (name: string): Promise<void> => {
    if (!name) return;
    submit.disabled = true;
    submit.textContent = "Starting…";
    try {
      await enter(name);
    } finally {
      submit.disabled = false;
      submit.textContent = "Start chatting";
    }
  };
  const form = h(
    "form",
    {
      onsubmit: (event: SubmitEvent) => {
        event.preventDefault();
        void attempt(normalizeName(input.value));
      },
    },
    h("label", { for: "name" }, "Your name"),
    h("div", { class: "row" }, input, submit),
    h("p", { id: "name-hint", class: "hint" }, "Others invite you by this name. Your keys are made on this device and stay on it."),
  );
  const names = knownNames();
  const known =
    names.length > 0 &&
    h(
      "section",
      { class: "known", "aria-labelledby": "known-title" },
      h("h2", { id: "known-title" }, "On this device"),
      ...names.map((name) =>
        h("button", { type: "button", class: "person", onclick: () => void attempt(name) }, avatar(name), h("span", {}, `Continue as ${name}`)),
      ),
    );
  fill(
    root,
    h(
      "main",
      { class: "start" },
      h(
        "div",
        { class: "card" },
        h("div", { class: "emblem" }, icon("lock")),
        h("h1", {}, "WebMLS chat"),
        h("p", { class: "lead" }, "Groups that only their members can read. The server in between sees ciphertext."),
        form,
        known,
      ),
    ),
  );
  input.focus();
}

/** Says that something takes its time, or has to happen first. */
export function showWaiting(root: Element, text: string): void {
  fill(root, h("main", { class: "start" }, h("div", { class: "card waiting", role: "status" }, h("div", { class: "emblem" }, icon("lock")), h("p", {}, text))));
}
