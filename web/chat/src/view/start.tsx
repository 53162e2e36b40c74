// The first screen: who are you?
import { useEffect, useRef, useState } from "preact/hooks";
import { knownNames } from "../account.js";
import { DeliveryError } from "../delivery.js";
import { longestName, normalizeName, readLinkCode } from "../names.js";
import { alertOf } from "./alerts.js";
import { Avatar, Icon } from "./icons.js";

/** Is called with each name that is tried, and rejects where it cannot be had. */
export type Enter = (name: string, secret?: string) => Promise<void>;

export function Start({ enter }: { enter: Enter }) {
  const [busy, setBusy] = useState(false);
  const [linking, setLinking] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const names = knownNames();
  useEffect(() => input.current?.focus(), [linking]);

  const attempt = async (name: string, secret?: string) => {
    if (!name) return;
    setBusy(true);
    try {
      await enter(name, secret);
    } catch (error) {
      if (error instanceof DeliveryError && error.code === "NAME_TAKEN" && secret === undefined) setLinking(true);
      alertOf(error);
      setBusy(false);
    }
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const value = input.current?.value ?? "";
    if (!linking) return void attempt(normalizeName(value));
    const link = readLinkCode(value);
    if (link) void attempt(link.name, link.secret);
    else input.current?.setCustomValidity("This is not a link code.");
    input.current?.reportValidity();
  };

  return (
    <main class="start">
      <div class="card">
        <div class="emblem">
          <Icon name="lock" />
        </div>
        <h1>WebMLS chat</h1>
        <p class="lead">Groups that only their members can read. The server in between sees ciphertext.</p>
        <form onSubmit={submit} key={linking ? "link" : "name"}>
          <label for="name">{linking ? "Link code" : "Your name"}</label>
          <div class="row">
            <input
              id="name"
              name={linking ? "code" : "name"}
              ref={input}
              type="text"
              required
              maxLength={linking ? 500 : longestName}
              autocomplete="off"
              autocapitalize={linking ? "none" : "words"}
              spellcheck={false}
              aria-describedby="name-hint"
              onInput={() => input.current?.setCustomValidity("")}
            />
            <button type="submit" class="primary" disabled={busy}>
              {busy ? "Starting…" : linking ? "Link" : "Start chatting"}
            </button>
          </div>
          <p id="name-hint" class="hint">
            {linking
              ? "On the device where you use this name already, open “Your devices”, show the link code, and type or paste it here."
              : "Others invite you by this name. Your keys are made on this device and stay on it."}
          </p>
          <button type="button" class="link swap" onClick={() => setLinking(!linking)}>
            {linking ? "Choose another name" : "I use this chat on another device"}
          </button>
        </form>
        {names.length > 0 && !linking && (
          <section class="known" aria-labelledby="known-title">
            <h2 id="known-title">On this device</h2>
            {names.map((name) => (
              <button type="button" class="person" key={name} disabled={busy} onClick={() => void attempt(name)}>
                <Avatar name={name} />
                <span>Continue as {name}</span>
              </button>
            ))}
          </section>
        )}
      </div>
    </main>
  );
}

/** Says that something takes its time. */
export function Waiting({ text }: { text: string }) {
  return (
    <main class="start">
      <div class="card waiting" role="status">
        <div class="emblem">
          <Icon name="lock" />
        </div>
        <p>{text}</p>
      </div>
    </main>
  );
}
