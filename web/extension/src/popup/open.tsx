/** Opening by hand: what comes by mail, or from a page where the extension may not work. */
import { useState } from "preact/hooks";
import { ask } from "../ask.js";
import { limits, type View } from "../protocol.js";
import { Message } from "../view/message.js";
import { Failure } from "./parts.js";

export function Open() {
  const [text, setText] = useState("");
  const [views, setViews] = useState<View[]>();
  const [failure, setFailure] = useState<string>();
  const open = async (pasted: string) => {
    setFailure(undefined);
    try {
      setViews(await ask<View[]>({ type: "paste", text: pasted }));
      setText("");
    } catch (error) {
      setFailure((error as Error).message);
    }
  };
  return (
    <section aria-label="Open">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (text) void open(text);
        }}
      >
        <label for="paste">Sealed texts, changes, invitations and cards, with whatever is around them</label>
        <textarea id="paste" name="paste" placeholder="mls1.text.…" maxLength={limits.paste} value={text} onInput={(event) => setText(event.currentTarget.value)} />
        <button type="submit" class="primary" disabled={!text}>
          Open
        </button>
      </form>
      <Failure text={failure} />
      <div role="status">
        {views?.length === 0 && <p class="note">There is nothing sealed in this text.</p>}
        {views?.map((view, i) => (
          <Message key={i} view={view} />
        ))}
      </div>
    </section>
  );
}
