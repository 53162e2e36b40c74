/** The first screen: one's name. */
import { useState } from "preact/hooks";
import { limits } from "../protocol.js";
import { Lock } from "../view/message.js";
import { useActing } from "./act.js";
import { Failure } from "./parts.js";

export function Enroll() {
  const [name, setName] = useState("");
  const { busy, failure, act } = useActing();
  return (
    <main class="enroll">
      <Lock />
      <h1>WebMLS</h1>
      <p>Write on any page what only your group can read. Your keys are made here, and stay here.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim()) void act({ kind: "enroll", name: name.trim() });
        }}
      >
        <label for="name">Your name, as others will see it</label>
        <input id="name" name="name" autofocus autocomplete="name" maxLength={limits.name} value={name} onInput={(event) => setName(event.currentTarget.value)} />
        <button type="submit" class="primary" disabled={busy || !name.trim()}>
          {busy ? "Making keys…" : "Begin"}
        </button>
        <Failure text={failure} />
      </form>
    </main>
  );
}
