/** Values as bytes: results of the program, by wasm/pack.go; and what is sealed, events for other tabs and the records that a head holds. */
import type { Bytes } from "../bridge.js";

/** Makes bytes of a value: after so many that are left free, its JSON, with the place of all bytes in it for these, after four bytes of length, and then they. */
export function pack(value: unknown, free = 0): Bytes {
  const parts: Uint8Array[] = [];
  let size = 0;
  const text = JSON.stringify(value, (_, value: unknown) => {
    if (!(value instanceof Uint8Array)) return value;
    parts.push(value);
    size += value.length;
    return { bytes: [size - value.length, value.length] };
  });
  const json = new TextEncoder().encode(text);
  let at = free + 4 + json.length;
  const out = new Uint8Array(at + size);
  new DataView(out.buffer).setUint32(free, json.length);
  out.set(json, free + 4);
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** What a method of the program came to, as it crosses: nothing, numbers and bytes as they are, all else packed. */
export type Crossing = undefined | number | Bytes | ArrayBuffer;

/** What that is. */
export function opened(result: Crossing): unknown {
  return result instanceof ArrayBuffer ? unpack(new Uint8Array(result)) : result;
}

/** The reverse of {@link pack}. All bytes are copies. */
export function unpack(packed: Bytes, free = 0): unknown {
  const start = free + 4 + new DataView(packed.buffer).getUint32(free);
  return JSON.parse(new TextDecoder().decode(packed.subarray(free + 4, start)), (_, value) => {
    if (!Array.isArray(value?.bytes)) return value;
    const [at, length] = value.bytes as [number, number];
    return packed.slice(start + at, start + at + length);
  });
}
