// Numbers that people can read to each other.
//
// The group's: of the epoch authenticator (RFC 9420, Section 8.7). Members who see
// the same are in the same epoch of the same group, with the same members, and nobody
// is in between. It changes with every commit.
//
// A device's: of two names and two signature keys, mine and theirs. It stays the same as long as
// both keys do, so that comparing it once verifies the device.

const groups = 6;
const bytesEach = 5;

/** Makes six groups of five digits of the first 30 bytes: as hard to hit as 99 bits. */
export function safetyNumber(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < groups * bytesEach; at += bytesEach) {
    let value = 0;
    for (const byte of bytes.subarray(at, at + bytesEach)) value = value * 256 + byte;
    parts.push(String(value % 100_000).padStart(5, "0"));
  }
  return parts.join(" ");
}

/** Who has a key. */
export interface KeyHolder {
  name: string;
  signatureKey: Uint8Array;
}

/** The number that two devices have in common: the same, whichever of them makes it. */
export async function deviceNumber(one: KeyHolder, other: KeyHolder): Promise<string> {
  const text = new TextEncoder();
  const sides = [one, other].map(({ name, signatureKey }) => [...signatureKey.values(), ...text.encode(name)].map((b) => b.toString(16).padStart(2, "0")).join("")).sort();
  const digest = await crypto.subtle.digest("SHA-256", text.encode(`webmls-chat safety number\n${sides.join("\n")}`));
  return safetyNumber(new Uint8Array(digest));
}
