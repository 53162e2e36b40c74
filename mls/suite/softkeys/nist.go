package softkeys

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// New returns Keys for all seven cipher suites.
func New() suite.Keys { return all() }

func all() *keys {
	k := modern()
	k[suite.P256AES128SHA256P256] = algorithms{nistGroup(ecdh.P256()), ecdsaScheme(elliptic.P256(), digestSHA256)}
	k[suite.P384AES256SHA384P384] = algorithms{nistGroup(ecdh.P384()), ecdsaScheme(elliptic.P384(), digestSHA384)}
	k[suite.P521AES256SHA512P521] = algorithms{nistGroup(ecdh.P521()), ecdsaScheme(elliptic.P521(), digestSHA512)}
	return k
}

// NewSignatureKey returns the handle of a signature private key: the seed for
// Ed25519 (32 bytes) and Ed448 (57 bytes), the big-endian scalar with leading
// zeros for ECDSA (32, 48 or 66 bytes). private remains the caller's. Codes:
// UNSUPPORTED_CIPHER_SUITE, INVALID_ARGUMENT.
func NewSignatureKey(id suite.ID, private []byte) (suite.SignatureKey, error) {
	return all().openSignatureKey(id, private, mlserr.InvalidArgument)
}

// NewHPKEKey returns the handle of an HPKE private key in the format of
// SerializePrivateKey (RFC 9180, Section 7.1.2), KEM.Nsk bytes. private remains
// the caller's. Codes: UNSUPPORTED_CIPHER_SUITE, INVALID_ARGUMENT.
func NewHPKEKey(id suite.ID, private []byte) (suite.HPKEKey, error) {
	return all().openHPKEKey(id, private, mlserr.InvalidArgument)
}

func nistGroup(curve ecdh.Curve) group {
	return ecdhGroup(curve, func(public []byte) bool {
		_, err := curve.NewPublicKey(public)
		return err == nil
	})
}

// ecdsaScheme is ECDSA with signatures in DER, as in TLS 1.3 (RFC 9420,
// Section 5.1.2, by way of RFC 8446, Section 4.2.3).
func ecdsaScheme(curve elliptic.Curve, digest func(message []byte) []byte) scheme {
	wrap := func(key *ecdsa.PrivateKey, err error) (signingKey, error) {
		if err != nil {
			return signingKey{}, err
		}
		private, err := key.Bytes()
		if err != nil {
			return signingKey{}, err
		}
		public, err := key.PublicKey.Bytes()
		if err != nil {
			return signingKey{}, err
		}
		return signingKey{private, public, func(message []byte) ([]byte, error) {
			return ecdsa.SignASN1(rand.Reader, key, digest(message))
		}}, nil
	}
	return scheme{
		generate: func() (signingKey, error) { return wrap(ecdsa.GenerateKey(curve, rand.Reader)) },
		open:     func(private []byte) (signingKey, error) { return wrap(ecdsa.ParseRawPrivateKey(curve, private)) },
		verify: func(public, message, signature []byte) bool {
			key, err := ecdsa.ParseUncompressedPublicKey(curve, public)
			return err == nil && ecdsa.VerifyASN1(key, digest(message), signature)
		},
	}
}

func digestSHA256(message []byte) []byte {
	sum := sha256.Sum256(message)
	return sum[:]
}

func digestSHA384(message []byte) []byte {
	sum := sha512.Sum384(message)
	return sum[:]
}

func digestSHA512(message []byte) []byte {
	sum := sha512.Sum512(message)
	return sum[:]
}
