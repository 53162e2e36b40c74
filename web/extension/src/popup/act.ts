/** Acting: an operation at a time, with what came of it. */
import { useState } from "preact/hooks";
import { operate } from "../ask.js";
import type { Operation } from "../protocol.js";

export interface Acting {
  busy: boolean;
  failure: string | undefined;
  /** Does something, once at a time; undefined when it was refused. */
  act(what: Operation): Promise<{ armor?: string; group?: string } | undefined>;
  /** Shows a failure of something else. */
  fail(message: string | undefined): void;
}

export function useActing(): Acting {
  const [busy, setBusy] = useState(false);
  const [failure, fail] = useState<string>();
  const act = async (what: Operation) => {
    if (busy) return undefined;
    setBusy(true);
    fail(undefined);
    try {
      return await operate(what);
    } catch (error) {
      fail((error as Error).message);
      return undefined;
    } finally {
      setBusy(false);
    }
  };
  return { busy, failure, act, fail };
}
