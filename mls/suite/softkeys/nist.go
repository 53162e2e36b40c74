package softkeys

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"

	"webmls/mls/suite/softkeys/internal/keyring"
)

// nistGroup is a group of crypto/ecdh, which refuses points that are not on the
// curve, compressed, or at infinity.
func nistGroup(curve ecdh.Curve) keyring.Group {
	wrap := func(key *ecdh.PrivateKey, err error) (keyring.DHKey, error) {
		if err != nil {
			return keyring.DHKey{}, err
		}
		public := key.PublicKey().Bytes()
		return keyring.DHKey{
			Private: key.Bytes(),
			Public:  func() []byte { return public },
			Exchange: func(peer []byte) ([]byte, error) {
				public, err := curve.NewPublicKey(peer)
				if err != nil {
					return nil, err
				}
				return key.ECDH(public)
			},
		}, nil
	}
	return keyring.Group{
		Generate: func() (keyring.DHKey, error) { return wrap(curve.GenerateKey(rand.Reader)) },
		Open:     func(private []byte) (keyring.DHKey, error) { return wrap(curve.NewPrivateKey(private)) },
		Valid: func(public []byte) bool {
			_, err := curve.NewPublicKey(public)
			return err == nil
		},
	}
}

// ecdsaScheme is ECDSA with signatures in DER, as in TLS 1.3 (RFC 9420,
// Section 5.1.2, by way of RFC 8446, Section 4.2.3). One encoding is accepted of a
// signature; (r, n-s) beside (r, s) too, which the RFC does not forbid (S22).
func ecdsaScheme(curve elliptic.Curve, digest func(message []byte) []byte) keyring.Scheme {
	wrap := func(key *ecdsa.PrivateKey, err error) (keyring.SigningKey, error) {
		if err != nil {
			return keyring.SigningKey{}, err
		}
		private, err := key.Bytes()
		if err != nil {
			return keyring.SigningKey{}, err
		}
		public, err := key.PublicKey.Bytes()
		if err != nil {
			return keyring.SigningKey{}, err
		}
		return keyring.SigningKey{
			Private: private,
			Public:  public,
			Sign: func(message []byte) ([]byte, error) {
				return ecdsa.SignASN1(rand.Reader, key, digest(message))
			},
		}, nil
	}
	return keyring.Scheme{
		Generate: func() (keyring.SigningKey, error) { return wrap(ecdsa.GenerateKey(curve, rand.Reader)) },
		Open: func(private []byte) (keyring.SigningKey, error) {
			return wrap(ecdsa.ParseRawPrivateKey(curve, private))
		},
		Verify: func(public, message, signature []byte) bool {
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
