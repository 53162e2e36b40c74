// Where one writes. Enter sends, Shift and Enter begins a new line. What is typed is the
// text field's own affair until it is sent: nothing is rendered for a keystroke.
import { useEffect, useRef, useState } from "preact/hooks";
import { inUnits } from "../attachments.js";
import type { Conversation } from "../conversation.js";
import { largestAttachment, longestText } from "../payload.js";
import { Refusal } from "../failures.js";
import type { Session } from "../session.js";
import { alertOf } from "./alerts.js";
import { Icon } from "./icons.js";

/** What was begun in other conversations, while the page is open. */
const drafts = new Map<string, string>();

export function Composer({ session, conversation }: { session: Session; conversation: Conversation }) {
  const input = useRef<HTMLTextAreaElement>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const [files, setFiles] = useState<readonly File[]>([]);

  useEffect(() => {
    const area = input.current;
    if (!area) return;
    area.value = drafts.get(conversation.id) ?? "";
    if (matchMedia("(min-width: 46rem)").matches) area.focus();
    return () => void drafts.set(conversation.id, area.value);
  }, []);

  const add = (list: Iterable<File>) => {
    const fresh = [...list];
    const large = fresh.find(({ size }) => size > largestAttachment);
    if (large) alertOf(new Refusal(`${large.name} is ${inUnits(large.size)}: at most ${inUnits(largestAttachment)} can be sent.`));
    setFiles((old) => [...old, ...fresh.filter(({ size }) => size <= largestAttachment)]);
  };

  const say = async () => {
    const area = input.current!;
    const text = area.value.trim();
    if (!text && files.length === 0) return;
    area.value = "";
    setFiles([]);
    try {
      if (text) await conversation.say(text);
      for (const file of files) await conversation.sayFile(file);
    } catch (error) {
      area.value ||= text;
      alertOf(error);
    }
  };

  if (conversation.status !== "active") {
    return (
      <div class="composer-place">
        <p class="removed" role="status">
          You are no longer a member of this group. You can read what was said until then; what is said now is not for you. A member can invite you again.
        </p>
        <div class="removed-actions">
          <button type="button" class="secondary forget" onClick={() => session.forget(conversation).catch(alertOf)}>
            <Icon name="trash" />
            Delete this conversation
          </button>
        </div>
      </div>
    );
  }
  return (
    <div
      class="composer-place"
      onDragOver={(event: DragEvent) => event.preventDefault()}
      onDrop={(event: DragEvent) => {
        event.preventDefault();
        add(event.dataTransfer?.files ?? []);
      }}
    >
      {files.length > 0 && (
        <ul class="chosen" aria-label="Files to send">
          {files.map((file, i) => (
            <li key={i}>
              <Icon name="file" />
              <span class="name">{file.name}</span>
              <span class="size">{inUnits(file.size)}</span>
              <button type="button" class="plain small" aria-label={`Do not send ${file.name}`} onClick={() => setFiles(files.filter((other) => other !== file))}>
                <Icon name="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <form
        class="composer"
        onSubmit={(event: SubmitEvent) => {
          event.preventDefault();
          void say();
        }}
      >
        <button type="button" class="plain attach" aria-label="Attach files" title="Attach files" onClick={() => chooser.current?.click()}>
          <Icon name="clip" />
        </button>
        <input
          ref={chooser}
          name="files"
          type="file"
          multiple
          hidden
          onChange={() => {
            add(chooser.current?.files ?? []);
            chooser.current!.value = "";
          }}
        />
        <textarea
          ref={input}
          name="message"
          rows={1}
          maxLength={longestText}
          placeholder="Message"
          aria-label="Message"
          enterkeyhint="send"
          onPaste={(event: ClipboardEvent) => {
            const pasted = event.clipboardData?.files;
            if (!pasted?.length) return;
            event.preventDefault();
            add(pasted);
          }}
          onKeyDown={(event: KeyboardEvent) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            void say();
          }}
        />
        <button type="submit" class="primary round" aria-label="Send" title="Send">
          <Icon name="send" />
        </button>
      </form>
    </div>
  );
}
