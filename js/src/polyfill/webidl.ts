/**
 * Web IDL: how the arguments of the MLS Web API are taken, and what is said of
 * those that cannot be. The words are Firefox's.
 */

import type { Bytes } from "../index.js";
import type { MLSObjectType } from "./api.js";

/** An argument after its conversion: bytes, and the type that an MLSBytes has. */
export interface Argument {
  readonly type?: MLSObjectType;
  readonly content: Uint8Array;
}

const objectTypes: readonly string[] = [
  "group-epoch",
  "group-identifier",
  "group-info",
  "client-identifier",
  "credential-basic",
  "key-package",
  "proposal",
  "commit-output",
  "commit-processed",
  "welcome",
  "exporter-output",
  "exporter-label",
  "exporter-context",
  "application-message-ciphertext",
  "application-message-plaintext",
] satisfies MLSObjectType[];

// What an array is, whatever realm it is of and whatever it says of itself.
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const getter = (object: object, name: PropertyKey) => Object.getOwnPropertyDescriptor(object, name)!.get!;
const nameOf = getter(typedArray, Symbol.toStringTag);
const bufferOf = getter(typedArray, "buffer");
const byteLengthOf = getter(ArrayBuffer.prototype, "byteLength");

/** Converts an argument of type (MLSBytes or Uint8Array). `at` is where it stands: "MLS.groupJoin". */
export function bytes(value: unknown, at: string, position: number): Argument {
  const argument = bytesOrDictionary(value, at, "Uint8Array branch of (MLSBytes or Uint8Array)");
  if (!argument) throw new TypeError(`${at}: Argument ${position} could not be converted to any of: Uint8Array, MLSBytes.`);
  return argument;
}

/** Converts an argument of type (MLSBytes or Uint8Array or UTF8String). */
export function bytesOrText(value: unknown, at: string): Argument {
  return (
    bytesOrDictionary(value, at, "Uint8Array branch of (MLSBytes or Uint8Array or USVString)") ?? {
      content: new TextEncoder().encode(`${value as string}`), // throws for a symbol
    }
  );
}

/** Converts an argument of type unsigned long long. */
export function unsignedLongLong(value: unknown): bigint {
  const number = +(value as number); // throws for a symbol and for a bigint
  return BigInt.asUintN(64, BigInt(Number.isFinite(number) ? Math.trunc(number) : 0));
}

/**
 * Takes the bytes of an argument, a copy. An MLSBytes must be of the type that
 * is expected, if any is; and where `empty` is given, it is the complaint about
 * no bytes at all.
 */
export function take(argument: Argument, at: string, expected?: MLSObjectType, empty?: string): Bytes {
  if (expected && argument.type && argument.type !== expected) throw new TypeError(`${at}: Input data has an invalid type`);
  const content = copy(argument.content);
  if (empty && content.length === 0) throw new TypeError(`${at}: ${empty}`);
  return content;
}

/** A detached array has no bytes. */
function copy(array: Uint8Array): Bytes {
  try {
    return new Uint8Array(array);
  } catch {
    return new Uint8Array();
  }
}

function bytesOrDictionary(value: unknown, at: string, branch: string): Argument | undefined {
  if (nameOf.call(value) === "Uint8Array") return { content: unshared(value as Uint8Array, at, branch) };
  const absent = value === undefined || value === null;
  if (!absent && typeof value !== "object" && typeof value !== "function") return undefined;
  // The members of a dictionary are read in the order of their names.
  const { content } = absent ? {} : (value as { content?: unknown });
  if (content === undefined) throw new TypeError(`${at}: Missing required 'content' member of MLSBytes.`);
  const member = "'content' member of MLSBytes";
  if (content === null || (typeof content !== "object" && typeof content !== "function")) {
    throw new TypeError(`${at}: ${member} is not an object.`);
  }
  if (nameOf.call(content) !== "Uint8Array") throw new TypeError(`${at}: ${member} does not implement interface Uint8Array.`);
  unshared(content as Uint8Array, at, member);
  const { type } = value as { type?: unknown };
  if (type === undefined) throw new TypeError(`${at}: Missing required 'type' member of MLSBytes.`);
  const name = `${type as string}`;
  if (!objectTypes.includes(name)) {
    throw new TypeError(`${at}: '${name}' (value of 'type' member of MLSBytes) is not a valid value for enumeration MLSObjectType.`);
  }
  return { type: name as MLSObjectType, content: content as Uint8Array };
}

/** Refuses memory that others may change, or that may change its size. */
function unshared(array: Uint8Array, at: string, what: string): Uint8Array {
  const buffer = bufferOf.call(array) as ArrayBuffer & { resizable?: boolean };
  try {
    byteLengthOf.call(buffer);
  } catch {
    throw new TypeError(`${at}: ${what} can't be a SharedArrayBuffer or an ArrayBufferView backed by a SharedArrayBuffer`);
  }
  if (buffer.resizable) throw new TypeError(`${at}: ${what} can't be a resizable ArrayBuffer or ArrayBufferView`);
  return array;
}
