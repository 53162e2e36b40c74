package modern

import (
	"webmls/mls/suite/softkeys/internal/curve25519"
	"webmls/mls/suite/softkeys/internal/curve448"
)

// The functions of RFC 7748 in WebAssembly: faster there than those of
// exchange.go, and without the tenth of a megabyte that these link.

func x25519PublicKey(private *[x25519Size]byte) [x25519Size]byte {
	return curve25519.PublicKey(private)
}

// x25519Shared is zero for a peer of low order.
func x25519Shared(private, peer *[x25519Size]byte) [x25519Size]byte {
	return curve25519.X25519(private, peer)
}

func x448PublicKey(private *[x448Size]byte) [x448Size]byte { return curve448.X448PublicKey(private) }

// x448Shared is zero for a peer of low order.
func x448Shared(private, peer *[x448Size]byte) [x448Size]byte { return curve448.X448(private, peer) }
