/** Safety numbers: what people read to each other to be sure that nobody is in between. */

const groups = 6;
const bytesEach = 5;

/** Six groups of five digits, of at least 30 bytes: as hard to hit as 99 bits. */
export function safetyNumber(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < groups * bytesEach; at += bytesEach) {
    let value = 0;
    for (const byte of bytes.subarray(at, at + bytesEach)) value = value * 256 + byte;
    parts.push(String(value % 100_000).padStart(5, "0"));
  }
  return parts.join(" ");
}

/** The safety number of a person: of the name and the signature key. */
export async function personNumber(name: string, signatureKey: Uint8Array): Promise<string> {
  return safetyNumber(await digest("webmls person 1", new TextEncoder().encode(name), signatureKey));
}

/** SHA-256 over a label and byte strings, each with its length in front. */
export async function digest(label: string, ...parts: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const all = [new TextEncoder().encode(label), ...parts];
  const bytes = new Uint8Array(all.reduce((size, part) => size + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of all) {
    view.setUint32(at, part.length);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
