/** Small parts of the popup. */
import { useState } from "preact/hooks";
import { ask } from "../ask.js";
import { copy } from "../view/copy.js";

/** The page under the popup. */
export interface Page {
  tab: number;
  site: { running: boolean };
}

/** A block of armor, to be posted: shown in short, to be copied or put into the page's field. */
export function Block({ armor, page }: { armor: string; page?: Page | undefined }) {
  const [said, say] = useState("");
  const done = (text: string) => {
    say(text);
    setTimeout(() => say(""), 2500);
  };
  return (
    <div class="block">
      <code>{armor}</code>
      <div class="row">
        <button type="button" onClick={() => void copy(armor).then(() => done("Copied"), (error: Error) => done(error.message))}>
          Copy
        </button>
        {page?.site.running && (
          <button
            type="button"
            onClick={() => void ask<boolean>({ type: "insert", tab: page.tab, armor }).then((inserted) => done(inserted ? "Inserted" : "No field to write in"), (error: Error) => done(error.message))}
          >
            Insert in page
          </button>
        )}
        <span class="note" role="status">
          {said}
        </span>
      </div>
    </div>
  );
}

export function Avatar({ name }: { name: string }) {
  const hue = [...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)!) % 12, 7);
  return (
    <span class={`avatar hue-${hue}`} aria-hidden="true">
      {[...name][0]?.toUpperCase()}
    </span>
  );
}

export function Failure({ text }: { text: string | undefined }) {
  return (
    <p class="failure" role="alert" hidden={text === undefined}>
      {text}
    </p>
  );
}

export function TrustBadge({ verified, changed }: { verified: boolean; changed: boolean }) {
  if (verified) return <span class="badge good">verified</span>;
  return changed ? <span class="badge warn">new key</span> : null;
}
