// Package modern is suite.Keys in Go for the cipher suites of RFC 9420, Section
// 5.1, without NIST curves: 1, 3, 4 and 6. It is the part of softkeys that a
// small binary imports.
//
// It owns X25519, Ed25519, X448 and Ed448. They are the standard library's and those
// of github.com/cloudflare/circl; in WebAssembly those of packages curve25519, which
// stands on filippo.io/edwards25519, and curve448, which is ours. It must not know
// labels, HPKE beyond the KEM, or any struct of the protocol.
package modern

import (
	"errors"

	"webmls/mls/suite"
	"webmls/mls/suite/softkeys/internal/keyring"
)

// New returns Keys for the suites 1, 3, 4 and 6. They hold no state: any value
// of New opens the references of any other.
func New() suite.Keys { return Keyring() }

// Keyring returns the table behind New, for package softkeys to complete.
func Keyring() *keyring.Keys {
	with25519 := keyring.Algorithms{Group: x25519Group(), Scheme: ed25519Scheme()}
	with448 := keyring.Algorithms{Group: x448Group(), Scheme: ed448Scheme()}
	return &keyring.Keys{
		suite.X25519AES128SHA256Ed25519:   with25519,
		suite.X25519ChaCha20SHA256Ed25519: with25519,
		suite.X448AES256SHA512Ed448:       with448,
		suite.X448ChaCha20SHA512Ed448:     with448,
	}
}

var (
	errLength   = errors.New("key of wrong length")
	errLowOrder = errors.New("public key of low order")
)
