// Package suite is the cryptography of RFC 9420, Section 5: the table of
// cipher suites, the labeled functions over them (Sections 5.1.2, 5.1.3, 5.2
// and 8), and the seam behind which private keys live (Keys).
//
// It owns hash, MAC, KDF and AEAD, and the HPKE key schedule over a KEM shared
// secret. It must not know any struct of the protocol beyond HPKECiphertext,
// and no private key: what needs one goes through Keys, SignatureKey or
// HPKEKey. Package softkeys is the implementation of Keys in Go.
package suite

import (
	"crypto/cipher"
	"strconv"

	"webmls/mls/mlserr"
)

// ID is a CipherSuite value (RFC 9420, Section 17.1).
type ID uint16

// The cipher suites of RFC 9420, Section 17.1: KEM, AEAD, hash, signature.
const (
	X25519AES128SHA256Ed25519   ID = 1 // mandatory to implement
	P256AES128SHA256P256        ID = 2
	X25519ChaCha20SHA256Ed25519 ID = 3
	X448AES256SHA512Ed448       ID = 4
	P521AES256SHA512P521        ID = 5
	X448ChaCha20SHA512Ed448     ID = 6
	P384AES256SHA384P384        ID = 7
)

// String returns the name of the suite in the RFC's table, or the number in
// decimal when the suite is not in it.
func (id ID) String() string {
	if s := find(id); s != nil {
		return s.name
	}
	return strconv.Itoa(int(id))
}

// All returns the suites of the table in ascending order, in a slice of the
// caller's own.
func All() []ID {
	ids := make([]ID, len(suites))
	for i := range suites {
		ids[i] = suites[i].id
	}
	return ids
}

// Suite is one cipher suite. It is immutable, and there is one value per ID,
// so that pointers to it may be compared and shared.
type Suite struct {
	id      ID
	name    string
	newAEAD func(key []byte) (cipher.AEAD, error)
	nh      int // KDF.Nh
	nk      int // AEAD.Nk
	kdfID   uint16
	aeadID  uint16
	kem     KEM
}

var suites = [...]Suite{
	{X25519AES128SHA256Ed25519, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
		newAESGCM, 32, 16, kdfSHA256, aeadAES128GCM, kemX25519},
	{P256AES128SHA256P256, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
		newAESGCM, 32, 16, kdfSHA256, aeadAES128GCM, kemP256},
	{X25519ChaCha20SHA256Ed25519, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
		newChaCha20Poly1305, 32, 32, kdfSHA256, aeadChaCha20Poly1305, kemX25519},
	{X448AES256SHA512Ed448, "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
		newAESGCM, 64, 32, kdfSHA512, aeadAES256GCM, kemX448},
	{P521AES256SHA512P521, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
		newAESGCM, 64, 32, kdfSHA512, aeadAES256GCM, kemP521},
	{X448ChaCha20SHA512Ed448, "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
		newChaCha20Poly1305, 64, 32, kdfSHA512, aeadChaCha20Poly1305, kemX448},
	{P384AES256SHA384P384, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
		newAESGCM, 48, 32, kdfSHA384, aeadAES256GCM, kemP384},
}

// find returns the row of the table for id, or nil. The table is in the order
// of the numbers, which have no gap.
func find(id ID) *Suite {
	if id == 0 || int(id) > len(suites) {
		return nil
	}
	return &suites[id-1]
}

// Lookup returns the suite with this id. Code: UNSUPPORTED_CIPHER_SUITE.
func Lookup(id ID) (*Suite, error) {
	if s := find(id); s != nil {
		return s, nil
	}
	return nil, mlserr.New(mlserr.UnknownSuite, id.String())
}

// ID returns the number of the suite.
func (s *Suite) ID() ID { return s.id }

// HashSize is KDF.Nh: the size in bytes of hashes, MACs and secrets.
func (s *Suite) HashSize() int { return s.nh }

// KeySize is AEAD.Nk in bytes.
func (s *Suite) KeySize() int { return s.nk }

// NonceSize is AEAD.Nn in bytes: 12 for every suite.
func (s *Suite) NonceSize() int { return nonceSize }

// KEM returns the parameters of the suite's KEM.
func (s *Suite) KEM() KEM { return s.kem }
