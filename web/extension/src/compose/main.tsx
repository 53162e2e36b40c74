/** The frame in which one writes over a page: what is written here, the page does not see. */
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, AskError } from "../ask.js";
import type { DraftView, Refusal } from "../protocol.js";
import { limits } from "../protocol.js";
import { copy } from "../view/copy.js";
import { Lock } from "../view/message.js";

const token = location.hash.slice(1);
const lastGroup = "last-group";

function Compose() {
  const [draft, setDraft] = useState<DraftView>();
  const [group, setGroup] = useState("");
  const [text, setText] = useState("");
  const [failure, setFailure] = useState<string>();
  const [busy, setBusy] = useState(false);
  const [copied, setCopied] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  // One id for one text: asked again, it is not sealed again.
  const id = useRef(crypto.randomUUID());

  useEffect(() => {
    ask<DraftView>({ type: "compose", token }).then(
      async (found) => {
        const { [lastGroup]: last } = await chrome.storage.local.get(lastGroup);
        setDraft(found);
        setText(found.text);
        setGroup(found.groups.find((one) => one.id === last)?.id ?? found.groups[0]?.id ?? "");
        area.current?.focus();
      },
      (error: Error) => setFailure(error.message),
    );
  }, []);

  const close = () => void ask({ type: "close-draft", token }).catch(() => {});
  const seal = async () => {
    if (busy || text === "" || group === "") return;
    setBusy(true);
    setFailure(undefined);
    try {
      void chrome.storage.local.set({ [lastGroup]: group });
      const result = await ask<{ armor?: string; inserted?: boolean; error?: Refusal }>({ type: "seal-draft", token, id: id.current, group, text });
      if (result.error) {
        id.current = crypto.randomUUID(); // what was refused is refused for good
        throw new AskError(result.error);
      }
      if (!result.inserted) {
        await copy(result.armor!);
        setCopied(true);
      }
    } catch (error) {
      setFailure((error as Error).message);
    } finally {
      setBusy(false);
    }
  };

  return (
    <main
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.isTrusted) void seal();
      }}
    >
      <header>
        <Lock />
        <h1>Write a sealed text</h1>
        <button type="button" class="plain" aria-label="Close" onClick={close}>
          ✕
        </button>
      </header>
      {draft && draft.groups.length === 0 ? (
        <p class="note">{draft.enrolled ? "You are in no group yet." : "You have not given your name yet."} Open WebMLS in the toolbar first.</p>
      ) : (
        <>
          <label>
            <span>For</span>
            <select value={group} onChange={(event) => setGroup(event.currentTarget.value)}>
              {draft?.groups.map(({ id, name, members }) => (
                <option key={id} value={id}>
                  {name} ({members})
                </option>
              ))}
            </select>
          </label>
          <textarea
            ref={area}
            aria-label="Text"
            placeholder="The page does not see what you write here."
            maxLength={limits.text}
            value={text}
            onInput={(event) => {
              setText(event.currentTarget.value);
              setCopied(false);
              id.current = crypto.randomUUID();
            }}
          />
          <footer>
            <p class={failure ? "failure" : "note"} role="status">
              {failure ?? (copied ? "Sealed and copied: paste it where you like." : "")}
            </p>
            <button
              type="button"
              class="primary"
              disabled={busy || text === "" || group === ""}
              onClick={(event) => {
                if (event.isTrusted) void seal();
              }}
            >
              Seal and insert
            </button>
          </footer>
        </>
      )}
    </main>
  );
}

render(<Compose />, document.getElementById("app")!);
