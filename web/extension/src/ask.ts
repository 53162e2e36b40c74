/** Asking the service worker. The browser may stop it in the middle of an answer: then it is asked again, which does nothing twice. */
import type { Answer, Operation, Refusal, Request } from "./protocol.js";

const tries = 6;

/** Why something was refused. */
export class AskError extends Error {
  readonly code: string;

  constructor({ code, message }: Refusal) {
    super(message);
    this.code = code;
  }
}

/** Asks, again when the worker was stopped meanwhile or its store failed. */
export async function ask<T>(request: Request): Promise<T> {
  let last: Refusal = { code: "NO_ANSWER", message: "The extension does not answer. Try again." };
  for (let n = 0; n < tries; n++) {
    if (n > 0) await new Promise((resolve) => setTimeout(resolve, 50 << n));
    const answer = await chrome.runtime.sendMessage<Request, Answer<T> | undefined>(request).catch(() => undefined);
    if (!answer) continue;
    if ("value" in answer) return answer.value;
    last = answer.error;
    if (!passing.has(last.code)) break;
  }
  throw new AskError(last);
}

const passing = new Set(["STORE_FAILED", "STALE", "INSTANCE_DIED", "INTERNAL", "STORE_BLOCKED"]);

/** Has something done, once. */
export async function operate(what: Operation): Promise<{ armor?: string; group?: string }> {
  const result = await ask<{ armor?: string; group?: string; error?: Refusal }>({ type: "do", id: crypto.randomUUID(), what });
  if (result.error) throw new AskError(result.error);
  return result;
}
