// A file in a message: how far it is, a picture of it, and a way to keep it.
import { useEffect, useState } from "preact/hooks";
import { inUnits, isPicture } from "../attachments.js";
import type { Conversation } from "../conversation.js";
import type { Entry } from "../history.js";
import type { Attachment } from "../payload.js";
import { alertOf } from "./alerts.js";
import { Icon } from "./icons.js";

export function AttachmentView({ conversation, entry, attachment }: { conversation: Conversation; entry: Entry; attachment: Attachment }) {
  const { name, size, pieces } = attachment;
  const [here, setHere] = useState(0);
  const [picture, setPicture] = useState<string>();
  const [broken, setBroken] = useState(false);
  const shown = isPicture(attachment);

  useEffect(() => {
    const count = () => void conversation.piecesOf(attachment).then(setHere, alertOf);
    count();
    return conversation.onPiece(attachment, count);
  }, [attachment.id]);

  useEffect(() => {
    if (!shown || here < pieces) return;
    let url: string | undefined;
    let gone = false;
    conversation.fileOf(attachment, attachment.type).then(
      (blob) => {
        if (gone) return;
        url = URL.createObjectURL(blob);
        setPicture(url);
      },
      () => setBroken(true),
    );
    return () => {
      gone = true;
      if (url) URL.revokeObjectURL(url);
    };
  }, [attachment.id, here >= pieces]);

  /** Gives the file to the browser, as bytes that it will not run. */
  const keep = async () => {
    const url = URL.createObjectURL(await conversation.fileOf(attachment, "application/octet-stream"));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };

  const sending = entry.state === "sending";
  const done = sending ? (entry.pieces ?? 0) : here;
  const progress = done < pieces;
  return (
    <div class="attachment" data-name={name} data-done={!progress}>
      {shown && !broken && (
        <div class="picture">{picture && <img src={picture} alt={name} onError={() => setBroken(true)} />}</div>
      )}
      <div class="file">
        <span class="file-icon">
          <Icon name="file" />
        </span>
        <span class="file-lines">
          <span class="file-name">{name}</span>
          <span class="file-size">{progress ? `${sending ? "sending" : "receiving"} ${Math.floor((100 * done) / pieces)}% of ${inUnits(size)}` : inUnits(size)}</span>
          {progress && <progress max={pieces} value={done} aria-label={`${sending ? "Sending" : "Receiving"} ${name}`} />}
        </span>
        {here >= pieces && (
          <button type="button" class="plain" aria-label={`Save ${name}`} title="Save" onClick={() => keep().catch(alertOf)}>
            <Icon name="download" />
          </button>
        )}
      </div>
    </div>
  );
}
