/** Hearing from the service worker that something has changed. */
import type { ToOwnPages } from "../protocol.js";

/** Calls back at each change, until what it returns is called. Pages that the extension is in can send messages here too: those are not heeded. */
export function onChange(changed: () => void): () => void {
  const listen = (message: ToOwnPages | null, sender: chrome.runtime.MessageSender): undefined => {
    if (sender.id === chrome.runtime.id && sender.tab === undefined && message?.type === "state-changed") changed();
  };
  chrome.runtime.onMessage.addListener(listen);
  return () => chrome.runtime.onMessage.removeListener(listen);
}
