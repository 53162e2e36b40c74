package softkeys

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"errors"

	"webmls/mls/suite"
)

var errKeyLength = errors.New("softkeys: key of wrong length")

func x25519() group {
	return ecdhGroup(ecdh.X25519(), func(public []byte) bool {
		return len(public) == 32 && !lowOrderX25519(public)
	})
}

// ecdhGroup is a group of crypto/ecdh, which checks that NIST points are on
// the curve and uncompressed, and that no X25519 result is zero (S19).
func ecdhGroup(curve ecdh.Curve, valid func(public []byte) bool) group {
	wrap := func(key *ecdh.PrivateKey) dhKey {
		return dhKey{key.Bytes(), key.PublicKey().Bytes(), func(peer []byte) ([]byte, error) {
			public, err := curve.NewPublicKey(peer)
			if err != nil {
				return nil, err
			}
			return key.ECDH(public)
		}}
	}
	return group{
		generate: func() (dhKey, error) {
			key, err := curve.GenerateKey(rand.Reader)
			if err != nil {
				return dhKey{}, err
			}
			return wrap(key), nil
		},
		open: func(private []byte) (dhKey, error) {
			key, err := curve.NewPrivateKey(private)
			if err != nil {
				return dhKey{}, err
			}
			return wrap(key), nil
		},
		valid: valid,
	}
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

func ed25519Scheme() scheme {
	open := func(private []byte) (signingKey, error) {
		if len(private) != ed25519.SeedSize {
			return signingKey{}, errKeyLength
		}
		key := ed25519.NewKeyFromSeed(private)
		return signingKey{key.Seed(), key.Public().(ed25519.PublicKey), func(message []byte) ([]byte, error) {
			return ed25519.Sign(key, message), nil
		}}, nil
	}
	return scheme{
		generate: func() (signingKey, error) { return open(suite.Random(ed25519.SeedSize)) },
		open:     open,
		verify: func(public, message, signature []byte) bool {
			return len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, signature)
		},
	}
}
