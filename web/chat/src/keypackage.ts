// Whose a key package is (RFC 9420, Sections 7.2 and 10): read before somebody is
// invited by it, since the delivery service could give away another person's.

/** The name in the basic credential of a key package; undefined when there is none. */
export function nameIn(keyPackage: Uint8Array): string | undefined {
  const view = new DataView(keyPackage.buffer, keyPackage.byteOffset, keyPackage.byteLength);
  let at = 0;
  const vector = (): Uint8Array => {
    const size = 1 << (view.getUint8(at) >> 6);
    if (size > 4) throw new RangeError("length");
    let length = view.getUint8(at) & 0x3f;
    for (let i = 1; i < size; i++) length = length * 256 + view.getUint8(at + i);
    const start = at + size;
    if (length > keyPackage.length - start) throw new RangeError("length");
    at = start + length;
    return keyPackage.subarray(start, at);
  };
  try {
    if (view.getUint16(0) !== 1 || view.getUint16(2) !== 5) return undefined; // an MLSMessage with a KeyPackage
    at = 8; // behind the key package's version and cipher suite
    vector(); // init_key
    vector(); // encryption_key
    vector(); // signature_key
    if (view.getUint16(at) !== 1) return undefined; // a basic credential
    at += 2;
    return new TextDecoder("utf-8", { fatal: true }).decode(vector());
  } catch {
    return undefined;
  }
}
