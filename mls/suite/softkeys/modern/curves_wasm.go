package modern

import (
	"webmls/mls/suite/softkeys/internal/curve25519"
	"webmls/mls/suite/softkeys/internal/curve448"
	"webmls/mls/suite/softkeys/internal/keyring"
)

// The curves in WebAssembly: faster there than those of curves.go, and without
// the 0.15 megabytes that these link.

func x25519PublicKey(private *[x25519Size]byte) [x25519Size]byte {
	return curve25519.PublicKey(private)
}

func x25519PublicKeys(private [][]byte) [][]byte {
	keys := make([]*[x25519Size]byte, len(private))
	for i := range private {
		keys[i] = (*[x25519Size]byte)(private[i])
	}
	public := make([][]byte, len(private))
	for i, key := range curve25519.PublicKeys(keys) {
		public[i] = key[:]
	}
	return public
}

// x25519Shared is zero for a peer of low order.
func x25519Shared(private, peer *[x25519Size]byte) [x25519Size]byte {
	return curve25519.X25519(private, peer)
}

func x448PublicKey(private *[x448Size]byte) [x448Size]byte { return curve448.X448PublicKey(private) }

// x448Shared is zero for a peer of low order.
func x448Shared(private, peer *[x448Size]byte) [x448Size]byte { return curve448.X448(private, peer) }

func openEd25519(seed [ed25519SeedSize]byte) keyring.SigningKey {
	key := curve25519.NewSigningKey(&seed)
	public := key.Public()
	return keyring.SigningKey{
		Private: seed[:],
		Public:  public[:],
		Sign: func(message []byte) ([]byte, error) {
			signature := key.Sign(message)
			return signature[:], nil
		},
	}
}

// verifyEd25519 takes input of any length.
func verifyEd25519(public, message, signature []byte) bool {
	return curve25519.Verify(public, message, signature)
}

func openEd448(seed [ed448SeedSize]byte) keyring.SigningKey {
	key := curve448.NewSigningKey(&seed)
	public := key.Public()
	return keyring.SigningKey{
		Private: seed[:],
		Public:  public[:],
		Sign: func(message []byte) ([]byte, error) {
			signature := key.Sign(message)
			return signature[:], nil
		},
	}
}

// verifyEd448 takes input of any length.
func verifyEd448(public, message, signature []byte) bool {
	return curve448.Verify(public, message, signature)
}
