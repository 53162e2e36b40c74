package modern

import (
	"sync"

	"webmls/mls/suite"
	"webmls/mls/suite/softkeys/internal/keyring"
)

// Sizes in bytes.
const (
	x448Size      = 56
	ed448SeedSize = 57
)

// x448Group is X448 (RFC 7748, Section 5). An exchange whose result is
// zero fails (S19).
func x448Group() keyring.Group {
	open := func(private []byte) (keyring.DHKey, error) {
		if len(private) != x448Size {
			return keyring.DHKey{}, errLength
		}
		secret := [x448Size]byte(private)
		return keyring.DHKey{
			Private: secret[:],
			Public: sync.OnceValue(func() []byte {
				public := x448PublicKey(&secret)
				return public[:]
			}),
			Exchange: func(peer []byte) ([]byte, error) {
				if len(peer) != x448Size {
					return nil, errLength
				}
				shared := x448Shared(&secret, (*[x448Size]byte)(peer))
				return refuseZero(shared[:])
			},
		}, nil
	}
	return keyring.Group{
		Generate: func() (keyring.DHKey, error) {
			private := suite.Random(x448Size)
			defer clear(private)
			return open(private)
		},
		Open: open,
		Valid: func(public []byte) bool {
			return len(public) == x448Size && !lowOrderX448(public)
		},
	}
}

// lowOrderX448 is lowOrderX25519 for X448.
func lowOrderX448(public []byte) bool {
	for _, p := range lowOrderPointsX448 {
		if string(public) == p {
			return true
		}
	}
	return false
}

// lowOrderPointsX448 are the points of order 1, 2 and 4 on the curve and its
// twist, and what is one of them when reduced modulo p = 2^448-2^224-1.
var lowOrderPointsX448 = [...]string{
	"\x00" + zeros27 + "\x00" + zeros27, // 0
	"\x01" + zeros27 + "\x00" + zeros27, // 1
	"\xfe" + ones27 + "\xfe" + ones27,   // p-1
	"\xff" + ones27 + "\xfe" + ones27,   // p
	"\x00" + zeros27 + "\xff" + ones27,  // p+1
}

const (
	zeros27 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	ones27 = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
)

// ed448Scheme is Ed448 (RFC 8032, Section 5.2) with an empty context, verified
// without cofactor.
func ed448Scheme() keyring.Scheme {
	open := func(private []byte) (keyring.SigningKey, error) {
		if len(private) != ed448SeedSize {
			return keyring.SigningKey{}, errLength
		}
		return openEd448([ed448SeedSize]byte(private)), nil
	}
	return keyring.Scheme{
		Generate: func() (keyring.SigningKey, error) {
			seed := suite.Random(ed448SeedSize)
			defer clear(seed)
			return open(seed)
		},
		Open:   open,
		Verify: verifyEd448,
	}
}
