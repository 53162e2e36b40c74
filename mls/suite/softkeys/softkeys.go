// Package softkeys is suite.Keys in Go for all seven cipher suites of RFC 9420,
// Section 5.1: private keys are bytes in memory.
//
// It owns the NIST curves, from the standard library; the others are those of
// package modern, which a program that must stay small imports instead: the
// mere import of crypto/ecdsa and crypto/ecdh links a tenth of a megabyte. It
// must not know labels, HPKE beyond the KEM, or any struct of the protocol.
package softkeys

import (
	"crypto/ecdh"
	"crypto/elliptic"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys/internal/keyring"
	"webmls/mls/suite/softkeys/modern"
)

// New returns Keys for all seven cipher suites. They hold no state: any value
// of New opens the references of any other.
func New() suite.Keys { return all() }

func all() *keyring.Keys {
	k := modern.Keyring()
	k[suite.P256AES128SHA256P256] = keyring.Algorithms{
		Group: nistGroup(ecdh.P256()), Scheme: ecdsaScheme(elliptic.P256(), digestSHA256)}
	k[suite.P384AES256SHA384P384] = keyring.Algorithms{
		Group: nistGroup(ecdh.P384()), Scheme: ecdsaScheme(elliptic.P384(), digestSHA384)}
	k[suite.P521AES256SHA512P521] = keyring.Algorithms{
		Group: nistGroup(ecdh.P521()), Scheme: ecdsaScheme(elliptic.P521(), digestSHA512)}
	return k
}

// NewSignatureKey returns the handle of a signature private key: the seed for
// Ed25519 (32 bytes) and Ed448 (57 bytes), the big-endian scalar with leading
// zeros for ECDSA (32, 48 or 66 bytes). private remains the caller's. Codes:
// UNSUPPORTED_CIPHER_SUITE, INVALID_ARGUMENT.
func NewSignatureKey(id suite.ID, private []byte) (suite.SignatureKey, error) {
	return all().OpenSignatureKey(id, private, mlserr.InvalidArgument)
}

// NewHPKEKey returns the handle of an HPKE private key in the format of
// SerializePrivateKey (RFC 9180, Section 7.1.2), KEM.Nsk bytes. private remains
// the caller's. Codes: UNSUPPORTED_CIPHER_SUITE, INVALID_ARGUMENT.
func NewHPKEKey(id suite.ID, private []byte) (suite.HPKEKey, error) {
	return all().OpenHPKEKey(id, private, mlserr.InvalidArgument)
}
