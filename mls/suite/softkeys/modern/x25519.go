package modern

import (
	"sync"

	"webmls/mls/suite"
	"webmls/mls/suite/softkeys/internal/keyring"
)

const x25519Size = 32

// x25519Group is X25519 (RFC 7748, Section 5). An exchange whose result is
// zero fails (S19; RFC 9180, Section 7.1.4).
func x25519Group() keyring.Group {
	open := func(private []byte) (keyring.DHKey, error) {
		if len(private) != x25519Size {
			return keyring.DHKey{}, errLength
		}
		secret := [x25519Size]byte(private)
		return keyring.DHKey{
			Private: secret[:],
			Public: sync.OnceValue(func() []byte {
				public := x25519PublicKey(&secret)
				return public[:]
			}),
			Exchange: func(peer []byte) ([]byte, error) {
				if len(peer) != x25519Size {
					return nil, errLength
				}
				shared := x25519Shared(&secret, (*[x25519Size]byte)(peer))
				return refuseZero(shared[:])
			},
		}, nil
	}
	return keyring.Group{
		Generate: func() (keyring.DHKey, error) {
			private := suite.Random(x25519Size)
			defer clear(private)
			return open(private)
		},
		Open:       open,
		PublicKeys: x25519PublicKeys,
		Valid: func(public []byte) bool {
			return len(public) == x25519Size && !lowOrderX25519(public)
		},
	}
}

// refuseZero returns a shared secret, or an error where all of it is zero; the time
// does not tell where it is not.
func refuseZero(shared []byte) ([]byte, error) {
	var any byte
	for _, b := range shared {
		any |= b
	}
	if any == 0 {
		return nil, errLowOrder
	}
	return shared, nil
}

// lowOrderX25519 reports whether every exchange with the public key gives
// zero. A member with such a key would make each commit to it fail, so that it
// is refused when it comes in, at no cost of a curve operation.
func lowOrderX25519(public []byte) bool {
	u := [32]byte(public)
	u[31] &= 0x7f // RFC 7748, Section 5: the top bit is ignored
	for _, p := range lowOrderPointsX25519 {
		if string(u[:]) == p {
			return true
		}
	}
	return false
}

// lowOrderPointsX25519 are the points of order 1, 2, 4 and 8 on the curve and
// its twist, and what is one of them when reduced modulo p = 2^255-19.
var lowOrderPointsX25519 = [...]string{
	"\x00" + zeros31, // 0
	"\x01" + zeros31, // 1
	"\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a" +
		"\xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00",
	"\x5f\x9c\x95\xbc\xa3\x50\x8c\x24\xb1\xd0\xb1\x55\x9c\x83\xef\x5b" +
		"\x04\x44\x5c\xc4\x58\x1c\x8e\x86\xd8\x22\x4e\xdd\xd0\x9f\x11\x57",
	"\xec" + ones30 + "\x7f", // p-1
	"\xed" + ones30 + "\x7f", // p
	"\xee" + ones30 + "\x7f", // p+1
}

const (
	zeros31 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	ones30 = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" +
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
)

const ed25519SeedSize = 32

// ed25519Scheme is Ed25519 (RFC 8032, Section 5.1), verified without cofactor.
func ed25519Scheme() keyring.Scheme {
	open := func(private []byte) (keyring.SigningKey, error) {
		if len(private) != ed25519SeedSize {
			return keyring.SigningKey{}, errLength
		}
		return openEd25519([ed25519SeedSize]byte(private)), nil
	}
	return keyring.Scheme{
		Generate: func() (keyring.SigningKey, error) {
			seed := suite.Random(ed25519SeedSize)
			defer clear(seed)
			return open(seed)
		},
		Open:   open,
		Verify: verifyEd25519,
	}
}
