package mls

import (
	"bytes"

	"webmls/mls/message"
	"webmls/mls/mlserr"
)

// checkCertificateKey is L13 (S8): the public key of the end-entity certificate of
// an X.509 credential is the leaf's signature key (RFC 9420, Section 5.3).
// Whether the chain leads to a root that the application trusts is for the
// Authenticator to say.
func checkCertificateKey(leaf *message.LeafNode) error {
	if leaf.Credential.Type != message.CredentialX509 {
		return nil
	}
	if len(leaf.Credential.Certificates) == 0 {
		return mlserr.New(mlserr.CredentialRejected, "L13: empty chain")
	}
	key, ok := certificateKey(leaf.Credential.Certificates[0])
	if !ok {
		return mlserr.New(mlserr.CredentialRejected, "L13: the certificate does not parse")
	}
	if !bytes.Equal(key, leaf.SignatureKey) {
		return mlserr.New(mlserr.CredentialRejected, "L13: the certificate has another key")
	}
	return nil
}

// certificateKey returns the subjectPublicKey of a certificate (RFC 5280,
// Section 4.1), a part of der. For Ed25519, Ed448 and uncompressed ECDSA points
// its bits are the SignaturePublicKey (RFC 9420, Section 5.1.1).
func certificateKey(der []byte) (key []byte, ok bool) {
	in := derReader{rest: der, ok: true}
	certificate := in.enter(derSequence)
	tbs := certificate.enter(derSequence)
	if len(tbs.rest) != 0 && tbs.rest[0] == derVersion {
		tbs.enter(derVersion)
	}
	tbs.enter(derInteger)  // serialNumber
	tbs.enter(derSequence) // signature
	tbs.enter(derSequence) // issuer
	tbs.enter(derSequence) // validity
	tbs.enter(derSequence) // subject
	spki := tbs.enter(derSequence)
	spki.enter(derSequence) // algorithm
	bits := spki.enter(derBitString)
	// Whole bytes: none of the last one's bits are unused.
	if !bits.ok || len(bits.rest) == 0 || bits.rest[0] != 0 || len(spki.rest) != 0 || len(in.rest) != 0 {
		return nil, false
	}
	return bits.rest[1:], true
}

// The tags of what certificateKey walks over.
const (
	derInteger   = 0x02
	derBitString = 0x03
	derSequence  = 0x30
	derVersion   = 0xa0 // [0] EXPLICIT
)

// derReader reads DER elements one after the other. Once something does not
// parse it yields nothing more. (golang.org/x/crypto/cryptobyte does it too, and
// links encoding/asn1, math/big and reflect.)
type derReader struct {
	rest []byte
	ok   bool
}

// enter splits off the next element, which must have the tag, a definite
// length in its shortest form and all its content, and reads what is in it.
func (r *derReader) enter(tag byte) derReader {
	ok := r.ok && len(r.rest) >= 2 && r.rest[0] == tag
	r.ok = false
	if !ok {
		return derReader{}
	}
	n, rest := uint64(r.rest[1]), r.rest[2:]
	if size := int(n) - 0x80; size >= 0 {
		if size < 1 || size > 4 || len(rest) < size {
			return derReader{}
		}
		n = 0
		for _, b := range rest[:size] {
			n = n<<8 | uint64(b)
		}
		if n < 0x80 || n>>(8*(size-1)) == 0 {
			return derReader{}
		}
		rest = rest[size:]
	}
	if uint64(len(rest)) < n {
		return derReader{}
	}
	r.rest, r.ok = rest[n:], true
	return derReader{rest: rest[:n], ok: true}
}
