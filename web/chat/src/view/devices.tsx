// The user's devices: each is a member of groups by itself.
import { useEffect, useState } from "preact/hooks";
import { deviceInWords } from "../names.js";
import type { Device, Session } from "../session.js";
import { alertOf } from "./alerts.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { useChanges } from "./use.js";

const storage = {
  "non-extractable": "Its private key is in the browser, where no script can read it out.",
  wrapped: "Its private key is in the browser, where no script can read it out, and locked.",
  sealed: "Its private key is in an encrypted record: this browser cannot keep it better.",
} as const;

export function DevicesDialog({ session, close }: { session: Session; close: () => void }) {
  useChanges(session);
  const [devices, setDevices] = useState<readonly Device[]>();
  const [shown, setShown] = useState(false);
  const [adding, setAdding] = useState<string>();
  const look = () => void session.devices().then(setDevices, alertOf);
  useEffect(look, []);

  const add = async ({ device, missing }: Device) => {
    setAdding(device);
    try {
      for (const conversation of missing) await conversation.invite(session.name);
    } catch (error) {
      alertOf(error);
    }
    setAdding(undefined);
    look();
  };
  return (
    <Dialog title="Your devices" close={close}>
      <p class="hint">Each of your devices has keys of its own, and is a member of groups by itself. Others see all of them under your name.</p>
      {session.status !== "connected" && <p class="hint">The list comes with the next connection.</p>}
      <ul class="device-list">
        {devices?.map((device) => (
          <li key={device.device} data-device={device.device}>
            <span class="file-icon">
              <Icon name="devices" />
            </span>
            <span class="file-lines">
              <span class="file-name">
                {deviceInWords(device.device)}
                {device.own && <span class="you"> (this one)</span>}
              </span>
              <span class="file-size">
                {device.own ? storage[session.identity.keyStorage] : device.missing.length > 0 ? `Not in ${device.missing.length} of your groups` : "In all of your groups"}
              </span>
            </span>
            {!device.own && device.missing.length > 0 && (
              <button type="button" class="secondary" disabled={adding !== undefined} onClick={() => void add(device)}>
                {adding === device.device ? "Adding…" : "Add to my groups"}
              </button>
            )}
          </li>
        ))}
      </ul>
      <section class="stack">
        <h3>Link another device</h3>
        <p class="hint">Open the chat there, choose “I use this chat on another device”, and type this code. Whoever has it can be you: show it to nobody else.</p>
        {shown ? (
          <textarea class="code" readOnly rows={4} aria-label="Link code" value={session.linkCode} onFocus={(event: FocusEvent) => (event.target as HTMLTextAreaElement).select()} />
        ) : (
          <button type="button" class="secondary show-code" onClick={() => setShown(true)}>
            <Icon name="key" />
            Show the link code
          </button>
        )}
      </section>
    </Dialog>
  );
}
