// A certification authority in a page: X.509 certificates (RFC 5280) and
// certificate requests (RFC 2986), as far as the tests need them, signed by
// WebCrypto. It runs in the page and in Node.

const element = (tag, ...parts) => {
  const content = join(...parts);
  const size = [];
  for (let n = content.length; n > 0; n >>>= 8) size.unshift(n & 255);
  return join([tag], content.length < 128 ? [content.length] : [0x80 | size.length, ...size], content);
};
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
const utf8 = (text) => new TextEncoder().encode(text);

const sequence = (...parts) => element(0x30, ...parts);
const set = (...parts) => element(0x31, ...parts);
const integer = (bytes) => element(2, bytes[0] & 0x80 ? [0, ...bytes] : bytes);
const bitString = (bytes) => element(3, [0], bytes);
const octetString = (bytes) => element(4, bytes);
const yes = element(1, [0xff]);

/** An OBJECT IDENTIFIER of its numbers: "1.3.101.112". */
const oid = (dotted) => {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const digits = (n) => (n < 128 ? [n] : [...digits(n >>> 7).map((d) => d | 0x80), n & 127]);
  return element(6, [40 * first + second], ...rest.map(digits));
};

const utcTime = (milliseconds) => element(0x17, utf8(new Date(milliseconds).toISOString().slice(2, 19).replace(/[-T:]/g, "") + "Z"));
const commonName = (name) => sequence(set(sequence(oid("2.5.4.3"), element(0x0c, utf8(name)))));
const extension = (id, critical, value) => sequence(oid(id), ...(critical ? [yes] : []), octetString(value));

/** What belongs to the signature keys of a cipher suite of MLS. */
const schemes = {
  1: {
    key: sequence(oid("1.3.101.112")),
    signature: sequence(oid("1.3.101.112")),
    generate: { name: "Ed25519" },
    sign: { name: "Ed25519" },
    toDER: (raw) => raw,
    fromDER: (der) => der,
  },
  2: {
    key: sequence(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")),
    signature: sequence(oid("1.2.840.10045.4.3.2")),
    generate: { name: "ECDSA", namedCurve: "P-256" },
    sign: { name: "ECDSA", hash: "SHA-256" },
    toDER: (raw) => sequence(scalar(raw.slice(0, 32)), scalar(raw.slice(32))),
    fromDER: (der) => {
      const r = der.slice(4, 4 + der[3]);
      const s = der.slice(6 + r.length);
      return join(...[r, s].map((part) => join(new Uint8Array(32), part).slice(-32)));
    },
  },
};
const scalar = (bytes) => integer(bytes.slice(Math.min(bytes.findIndex((byte) => byte !== 0), bytes.length - 1)));

const spki = (suite, publicKey) => sequence(schemes[suite].key, bitString(publicKey));

const hour = 3_600_000;

/** An authority: a root, or an intermediate one. */
export class Authority {
  /** Makes a root, with a key of the kind that a cipher suite uses. */
  static root(name, suite) {
    return Authority.#make(name, suite, undefined);
  }

  static async #make(name, suite, issuer) {
    const authority = new Authority();
    const pair = await crypto.subtle.generateKey(schemes[suite].generate, true, ["sign", "verify"]);
    Object.assign(authority, { name, suite, key: pair.privateKey });
    const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
    const extensions = [
      extension("2.5.29.19", true, sequence(yes)), // basicConstraints: an authority
      extension("2.5.29.15", true, element(3, [2, 0b100])), // keyUsage: keyCertSign
    ];
    authority.certificate = await (issuer ?? authority).#certify({ name, suite, publicKey, extensions });
    authority.chain = issuer ? [authority.certificate, ...issuer.chain] : []; // up to below the root
    return authority;
  }

  /** Makes an authority below this one. */
  intermediate(name) {
    return Authority.#make(name, this.suite, this);
  }

  /** The authority's certificate as text. */
  get pem() {
    return `-----BEGIN CERTIFICATE-----\n${btoa(String.fromCharCode(...this.certificate)).replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
  }

  /**
   * Issues a chain for a public key: for a mail address, for an hour from now if
   * `until`, in hours, does not say otherwise, and for extended key usages, if any.
   */
  async issue({ suite, publicKey, mail, until = 1, usages = [] }) {
    const extensions = [extension("2.5.29.17", false, sequence(element(0x81, utf8(mail))))];
    if (usages.length) extensions.push(extension("2.5.29.37", false, sequence(...usages.map(oid))));
    return [await this.#certify({ name: "member", suite, publicKey, extensions, until }), ...this.chain];
  }

  async #certify({ name, suite, publicKey, extensions, until = 1 }) {
    const { signature } = schemes[this.suite];
    const now = Date.now();
    const serial = crypto.getRandomValues(new Uint8Array(16)).map((byte, i) => (i ? byte : (byte & 0x7f) | 0x40));
    const toBeSigned = sequence(
      element(0xa0, integer([2])), // version 3
      integer(serial),
      signature,
      commonName(this.name),
      sequence(utcTime(now - 2 * hour), utcTime(now + until * hour)),
      commonName(name),
      spki(suite, publicKey),
      element(0xa3, sequence(...extensions)),
    );
    const raw = new Uint8Array(await crypto.subtle.sign(schemes[this.suite].sign, this.key, toBeSigned));
    return sequence(toBeSigned, signature, bitString(schemes[this.suite].toDER(raw)));
  }
}

/** A certificate request: `sign` signs it with the key that it is for. */
export async function request({ suite, publicKey, sign }) {
  const toBeSigned = sequence(integer([0]), commonName("member"), spki(suite, publicKey), element(0xa0));
  return { toBeSigned, signature: await sign(toBeSigned) };
}

/** Whether a certificate request was signed with the key that it is for. */
export async function isProof({ suite, publicKey }, { toBeSigned, signature }) {
  const { generate, sign, fromDER } = schemes[suite];
  const key = await crypto.subtle.importKey("raw", publicKey, generate, false, ["verify"]);
  return crypto.subtle.verify(sign, key, fromDER(signature), toBeSigned);
}
