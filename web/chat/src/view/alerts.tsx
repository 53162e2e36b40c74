// Failures, in words, in a corner of the page until they are read.
import { Changes } from "../changes.js";
import { inWords } from "../failures.js";
import { Icon } from "./icons.js";
import { useChanges } from "./use.js";

const shownFor = 12_000;

class Alerts extends Changes {
  texts: readonly string[] = [];

  add(text: string): void {
    if (this.texts.includes(text)) return;
    this.texts = [...this.texts, text];
    this.changed();
    setTimeout(() => this.remove(text), shownFor);
  }

  remove(text: string): void {
    this.texts = this.texts.filter((other) => other !== text);
    this.changed();
  }
}

const alerts = new Alerts();

/** Shows what failed. */
export function alertOf(error: unknown): void {
  console.warn(error);
  alerts.add(inWords(error));
}

export function AlertList() {
  useChanges(alerts);
  return (
    <div class="alerts" role="alert">
      {alerts.texts.map((text) => (
        <div class="alert" key={text}>
          <p>{text}</p>
          <button type="button" class="plain" aria-label="Dismiss" onClick={() => alerts.remove(text)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
