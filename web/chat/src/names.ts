// Names of people, and of their devices. A member of a group is a device: its MLS
// credential is the person's name, "#", and the device.
import type { Member } from "webmls";
import { fromBase64url, toBase64url } from "./payload.js";

export const longestName = 64;

/** Names are compared letter for letter, so one way of writing them is taken. */
export function normalizeName(name: string): string {
  return name.normalize("NFC").replace(/\s+/g, " ").trim();
}

/** What a device is called in a credential. A device has no "#". */
export function credentialOf(name: string, device: string): string {
  return `${name}#${device}`;
}

/** Whose device a credential names; undefined when it names none. */
export function ownerOf(credential: string | undefined): { name: string; device: string } | undefined {
  const at = credential?.lastIndexOf("#") ?? -1;
  if (at < 1) return undefined;
  const [name, device] = [credential!.slice(0, at), credential!.slice(at + 1)];
  return name === normalizeName(name) && /^[\w.-]{1,64}$/.test(device) ? { name, device } : undefined;
}

/** A member's person. */
export function personOf(member: Member): string {
  return ownerOf(member.name)?.name ?? `Member ${member.leaf}`;
}

/** A member's device. */
export function deviceOf(member: Member): string {
  return ownerOf(member.name)?.device ?? "";
}

/** A device's name as people read it: without what tells two of the same kind apart. */
export function deviceInWords(device: string): string {
  return device.replace(/\.[^.]*$/, "").replaceAll("-", " ");
}

/** A new name for this device: the browser, the system, and something that no other has. */
export function newDevice(): string {
  const agent = navigator.userAgent;
  const find = (list: readonly [RegExp, string][], other: string) => list.find(([pattern]) => pattern.test(agent))?.[1] ?? other;
  const browser = find([[/Edg/, "Edge"], [/Firefox/, "Firefox"], [/Chrom/, "Chrome"], [/Safari/, "Safari"]], "Browser");
  const system = find([[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS/, "macOS"], [/Linux/, "Linux"]], "device");
  const suffix = Array.from(crypto.getRandomValues(new Uint8Array(4)), (b) => (b % 36).toString(36)).join("");
  return `${browser}-on-${system}.${suffix}`;
}

/** What one types at a second device to be the same person: the name and the account's secret. */
export function linkCodeOf(name: string, secret: string): string {
  return toBase64url(new TextEncoder().encode(JSON.stringify([name, secret])));
}

/** Reads a link code; undefined when it is none. */
export function readLinkCode(code: string): { name: string; secret: string } | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(fromBase64url(code.trim())));
    if (!Array.isArray(value) || typeof value[0] !== "string" || typeof value[1] !== "string") return undefined;
    return { name: normalizeName(value[0]), secret: value[1] };
  } catch {
    return undefined;
  }
}
