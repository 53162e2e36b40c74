package softkeys

import (
	"errors"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"

	"webmls/mls/suite"
)

var errLowOrder = errors.New("softkeys: X448 point of low order")

func x448Group() group {
	open := func(private []byte) (dhKey, error) {
		if len(private) != x448.Size {
			return dhKey{}, errKeyLength
		}
		secret := x448.Key(private)
		var public x448.Key
		x448.KeyGen(&public, &secret)
		return dhKey{secret[:], public[:], func(peer []byte) ([]byte, error) {
			if len(peer) != x448.Size {
				return nil, errKeyLength
			}
			point := x448.Key(peer)
			var shared x448.Key
			if !x448.Shared(&shared, &secret, &point) {
				return nil, errLowOrder
			}
			return shared[:], nil
		}}, nil
	}
	return group{
		generate: func() (dhKey, error) { return open(suite.Random(x448.Size)) },
		open:     open,
		valid: func(public []byte) bool {
			return len(public) == x448.Size && !lowOrderX448(public)
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

func ed448Scheme() scheme {
	open := func(private []byte) (signingKey, error) {
		if len(private) != ed448.SeedSize {
			return signingKey{}, errKeyLength
		}
		key := ed448.NewKeyFromSeed(private)
		return signingKey{key.Seed(), key.Public().(ed448.PublicKey), func(message []byte) ([]byte, error) {
			return ed448.Sign(key, message, ""), nil
		}}, nil
	}
	return scheme{
		generate: func() (signingKey, error) { return open(suite.Random(ed448.SeedSize)) },
		open:     open,
		verify: func(public, message, signature []byte) bool {
			return ed448.Verify(public, message, signature, "")
		},
	}
}
