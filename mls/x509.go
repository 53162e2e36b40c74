package mls

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

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
// Section 4.1). For Ed25519, Ed448 and uncompressed ECDSA points its bits are
// the SignaturePublicKey (RFC 9420, Section 5.1.1).
func certificateKey(der []byte) (key []byte, ok bool) {
	in := cryptobyte.String(der)
	var certificate, tbs, spki cryptobyte.String
	ok = in.ReadASN1(&certificate, asn1.SEQUENCE) && in.Empty() &&
		certificate.ReadASN1(&tbs, asn1.SEQUENCE) &&
		tbs.SkipOptionalASN1(asn1.Tag(0).Constructed().ContextSpecific()) && // version
		tbs.SkipASN1(asn1.INTEGER) && // serialNumber
		tbs.SkipASN1(asn1.SEQUENCE) && // signature
		tbs.SkipASN1(asn1.SEQUENCE) && // issuer
		tbs.SkipASN1(asn1.SEQUENCE) && // validity
		tbs.SkipASN1(asn1.SEQUENCE) && // subject
		tbs.ReadASN1(&spki, asn1.SEQUENCE) &&
		spki.SkipASN1(asn1.SEQUENCE) && // algorithm
		spki.ReadASN1BitStringAsBytes(&key) && spki.Empty()
	return key, ok
}
