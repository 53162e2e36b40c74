// Failures, in words, in a corner of the page until they are read.
import { inWords } from "../failures.js";
import { h, icon } from "./element.js";

const shownFor = 12_000;

/** Shows what failed. */
export function alertOf(error: unknown): void {
  console.warn(error);
  const text = inWords(error);
  const region = document.getElementById("alerts")!;
  for (const shown of region.children) if (shown.firstChild?.textContent === text) return;
  const alert = h(
    "div",
    { class: "alert" },
    h("p", {}, text),
    h("button", { type: "button", class: "plain", "aria-label": "Dismiss", onclick: () => alert.remove() }, icon("close")),
  );
  region.append(alert);
  setTimeout(() => alert.remove(), shownFor);
}
