/** A frame that shows one message where a page has it sealed. The page cannot look into it. */
import { render } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { ask } from "../ask.js";
import type { View } from "../protocol.js";
import { onChange } from "../view/changes.js";
import { Message } from "../view/message.js";

const token = location.hash.slice(1);

function Reader() {
  const [view, setView] = useState<View>();
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    const load = () =>
      ask<View>({ type: "view", token }).then(
        (found) => {
          setView(found);
          setFailure(undefined);
        },
        (error: Error) => setFailure(error.message),
      );
    void load();
    return onChange(() => void load());
  }, []);
  // The content script makes the frame as high as what it shows.
  useLayoutEffect(() => {
    const tell = () => parent.postMessage(document.getElementById("app")!.scrollHeight, "*");
    tell();
    const observer = new ResizeObserver(tell);
    observer.observe(document.getElementById("app")!);
    return () => observer.disconnect();
  }, [view, failure]);
  if (failure !== undefined) return <p class="message failure">{failure}</p>;
  return view ? <Message view={view} /> : <p class="message waiting">Opening…</p>;
}

render(<Reader />, document.getElementById("app")!);
