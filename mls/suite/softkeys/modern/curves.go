//go:build !wasm

package modern

import (
	"crypto/ed25519"

	"github.com/cloudflare/circl/dh/x25519"
	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"

	"webmls/mls/suite/softkeys/internal/keyring"
)

// The curves in assembly, which takes half the time of what curves_wasm.go has.
// Both give the same results.

func x25519PublicKey(private *[x25519Size]byte) (public [x25519Size]byte) {
	x25519.KeyGen((*x25519.Key)(&public), (*x25519.Key)(private))
	return public
}

// x25519PublicKeys would be slower than one core for each.
var x25519PublicKeys func(private [][]byte) [][]byte

// x25519Shared is zero for a peer of low order.
func x25519Shared(private, peer *[x25519Size]byte) (shared [x25519Size]byte) {
	point := x25519.Key(*peer)
	if !x25519.Shared((*x25519.Key)(&shared), (*x25519.Key)(private), &point) {
		clear(shared[:])
	}
	return shared
}

func x448PublicKey(private *[x448Size]byte) (public [x448Size]byte) {
	x448.KeyGen((*x448.Key)(&public), (*x448.Key)(private))
	return public
}

// x448Shared is zero for a peer of low order.
func x448Shared(private, peer *[x448Size]byte) (shared [x448Size]byte) {
	point := x448.Key(*peer)
	if !x448.Shared((*x448.Key)(&shared), (*x448.Key)(private), &point) {
		clear(shared[:])
	}
	return shared
}

func openEd25519(seed [ed25519SeedSize]byte) keyring.SigningKey {
	key := ed25519.NewKeyFromSeed(seed[:])
	return keyring.SigningKey{
		Private: key.Seed(),
		Public:  key.Public().(ed25519.PublicKey),
		Sign:    func(message []byte) ([]byte, error) { return ed25519.Sign(key, message), nil },
	}
}

// verifyEd25519 takes input of any length.
func verifyEd25519(public, message, signature []byte) bool {
	return len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, signature)
}

func openEd448(seed [ed448SeedSize]byte) keyring.SigningKey {
	key := ed448.NewKeyFromSeed(seed[:])
	return keyring.SigningKey{
		Private: key.Seed(),
		Public:  key.Public().(ed448.PublicKey),
		Sign:    func(message []byte) ([]byte, error) { return ed448.Sign(key, message, ""), nil },
	}
}

// verifyEd448 takes input of any length.
func verifyEd448(public, message, signature []byte) bool {
	return ed448.Verify(public, message, signature, "")
}
