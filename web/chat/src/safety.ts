// Safety numbers: the epoch authenticator (RFC 9420, Section 8.7) in a form that
// people can read to each other. Members who see the same number are in the same
// epoch of the same group, with the same members, and nobody is in between.

const groups = 6;
const bytesEach = 5;

/** Makes six groups of five digits of the first 30 bytes: as hard to hit as 99 bits. */
export function safetyNumber(epochAuthenticator: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < groups * bytesEach; at += bytesEach) {
    let value = 0;
    for (const byte of epochAuthenticator.subarray(at, at + bytesEach)) value = value * 256 + byte;
    parts.push(String(value % 100_000).padStart(5, "0"));
  }
  return parts.join(" ");
}
