/**
 * A log of what a client was asked, without secrets, and its replay: to find
 * out why a message was refused, or why two devices have come apart.
 */
import type { CallMethod, ReceivedValue } from "./bridge.js";
import { MLSError, type ErrorCode } from "./errors.js";
import type { MLS } from "./mls.js";

/**
 * An argument as a log has it. Of bytes that travel to others anyway, messages
 * and names, it has all, in base64; of any others, content and keys among them,
 * how many there are.
 */
export type LogValue = number | boolean | { readonly base64: string } | { readonly size: number } | readonly LogValue[];

/** One call: what it was asked, and what came of it. It can be kept as JSON. */
export interface LogEntry {
  /** Counts the calls of a client, in the order in which they were made. Entries come in the order in which calls end. */
  readonly number: number;
  /** The operation, as {@link MLSError.op} has it: "group.receive" say. */
  readonly method: string;
  /** The arguments. */
  readonly input: { readonly [name: string]: LogValue };
  /** "ok", or the code with which it was rejected. */
  readonly outcome: "ok" | ErrorCode;
  /** What a message turned out to be, such as "application". */
  readonly type?: string;
  /** The epoch that the result names, in decimal. */
  readonly epoch?: string;
  /** Where many messages were received: what each turned out to be, or the code with which it was refused. */
  readonly each?: readonly string[];
}

/** What became of an entry of a log when it was replayed. */
export interface Replayed {
  /** The entry. */
  readonly entry: LogEntry;
  /** The outcome this time. */
  readonly outcome: LogEntry["outcome"];
  /** Whether the outcome, the type and the epoch are those of the log. */
  readonly same: boolean;
}

/** Arguments that hold what others have sent, or will be sent, and what names things. */
const shown = new Set([
  "group", "identity", "message", "messages", "welcome", "groupInfo", "ratchetTree", "keyPackage", "keyPackages", "add", "reference", "references",
]);

/** Methods whose outcome depends on nothing but the state and what a log shows. */
const replayable = ["joinGroup", "inspectWelcome", "group.receive", "group.receiveAll", "group.acknowledge", "group.dropProposal", "group.delete"] as const;

/** Makes the entry of a call that ended. */
export function entryOf(number: number, method: string, args: object, end: { result: unknown } | { error: MLSError }): LogEntry {
  const input: Record<string, LogValue> = {};
  for (const [name, value] of Object.entries(args)) {
    const logged = valueOf(value, shown.has(name));
    if (logged !== undefined && name !== "client") input[name] = logged;
  }
  if ("error" in end) return { number, method, input, outcome: end.error.code };
  const { type, epoch } = (typeof end.result === "object" ? (end.result ?? {}) : {}) as Partial<Record<string, unknown>>;
  const each = method === "group.receiveAll" && (end.result as ReceivedValue[]).map(({ event, error }) => event?.type ?? error!.code);
  return {
    number,
    method,
    input,
    outcome: "ok",
    ...(typeof type === "string" && { type }),
    ...(typeof epoch === "string" && { epoch }),
    ...(each && { each }),
  };
}

function valueOf(value: unknown, show: boolean): LogValue | undefined {
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value === "string") return { size: value.length };
  if (value instanceof Uint8Array) return show ? { base64: base64(value) } : { size: value.length };
  if (Array.isArray(value)) return value.map((part) => valueOf(part, show) ?? { size: 0 });
  return typeof value === "object" && value !== null ? { size: Object.keys(value).length } : undefined;
}

/**
 * Gives a client the messages and Welcomes of a log once more, and compares what
 * comes of it: against a copy of the database from before the log began, all is
 * the same, or shows where it is not; against the database as it is now, it shows
 * what the client knows already. What one made oneself cannot be repeated, since
 * keys are fresh each time: such entries are left out.
 *
 * ```ts
 * const log: LogEntry[] = [];
 * const mls = await MLS.open({ database: "alice", authenticate, record: (entry) => log.push(entry) });
 * // later, elsewhere:
 * for (const { entry, outcome, same } of await replay(copy, log)) if (!same) console.log(entry.method, entry.outcome, outcome);
 * ```
 */
export async function replay(mls: MLS, log: readonly LogEntry[]): Promise<Replayed[]> {
  const again: Replayed[] = [];
  for (const entry of [...log].sort((a, b) => a.number - b.number)) {
    const method = replayable.find((name) => name === entry.method);
    if (!method) continue;
    const args = Object.fromEntries(Object.entries(entry.input).map(([name, value]) => [name, argumentOf(value)]));
    const { outcome, type, epoch, each } = await mls.repeat(method, args);
    const same = outcome === entry.outcome && type === entry.type && epoch === entry.epoch && String(each) === String(entry.each);
    again.push({ entry, outcome, same });
  }
  return again;
}

/** A method that {@link replay} repeats. */
export type Replayable = Extract<CallMethod, (typeof replayable)[number]>;

function argumentOf(value: LogValue): unknown {
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(argumentOf);
  return "base64" in value ? Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)) : undefined;
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
