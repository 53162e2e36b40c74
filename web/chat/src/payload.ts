// What the application messages of this chat hold: JSON, which MLS carries as
// opaque bytes. The delivery service sees none of it.

export type Payload =
  /** A line of the conversation. */
  | { type: "text"; text: string }
  /** The name of the group, told by whoever adds someone. */
  | { type: "title"; title: string };

/** The longest text, in UTF-16 code units. */
export const longestText = 20_000;
/** The longest name of a group. */
export const longestTitle = 80;

export function encodePayload(payload: Payload): string {
  return JSON.stringify(payload);
}

/** Reads a payload; undefined when it is none that this version knows. A member may send anything. */
export function decodePayload(text: string): Payload | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { type, text: line, title } = (value ?? {}) as Record<string, unknown>;
  if (type === "text" && typeof line === "string") return { type, text: line.slice(0, longestText) };
  if (type === "title" && typeof title === "string") return { type, title: title.trim().slice(0, longestTitle) };
  return undefined;
}
