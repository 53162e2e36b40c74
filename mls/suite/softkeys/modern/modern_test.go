package modern

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"encoding/hex"
	"testing"

	"webmls/mls/suite"
)

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestX25519 compares with crypto/ecdh, also for public keys that are not
// reduced or have the top bit set.
func TestX25519(t *testing.T) {
	high := suite.Random(32)
	high[31] |= 0x80
	notReduced := append([]byte{0xf7}, bytes.Repeat([]byte{0xff}, 31)...)
	notReduced[31] = 0x7f
	peers := [][]byte{high, notReduced, bytes.Repeat([]byte{0xff}, 32), append([]byte{9}, make([]byte, 31)...)}
	for range 100 {
		peers = append(peers, suite.Random(32))
	}
	for i, peer := range peers {
		ours, err := x25519Group().Generate()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := ecdh.X25519().NewPrivateKey(ours.Private)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(ours.Public(), theirs.PublicKey().Bytes()) {
			t.Fatalf("%d: public key %x of private key %x", i, ours.Public(), ours.Private)
		}
		public, err := ecdh.X25519().NewPublicKey(peer)
		if err != nil {
			t.Fatal(err)
		}
		want, err := theirs.ECDH(public)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ours.Exchange(peer); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d: private key %x, peer %x: %x %v", i, ours.Private, peer, got, err)
		}
	}
}

// TestX448 is the example of RFC 7748, Section 6.2.
func TestX448(t *testing.T) {
	alice, err := x448Group().Open(mustHex(t, "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d"+
		"d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b"))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(alice.Public()) != "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c"+
		"22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0" {
		t.Errorf("public key %x", alice.Public())
	}
	shared, err := alice.Exchange(mustHex(t, "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430"+
		"27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609"))
	if err != nil || hex.EncodeToString(shared) != "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b"+
		"b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d" {
		t.Errorf("shared secret %x %v", shared, err)
	}
}

// TestEd448 is the first example of RFC 8032, Section 7.4.
func TestEd448(t *testing.T) {
	key, err := ed448Scheme().Open(mustHex(t, "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3"+
		"528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b"))
	if err != nil {
		t.Fatal(err)
	}
	if hex.EncodeToString(key.Public) != "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778"+
		"edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180" {
		t.Errorf("public key %x", key.Public)
	}
	signature, err := key.Sign(nil)
	if err != nil || hex.EncodeToString(signature) != "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f"+
		"2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a"+
		"9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4db"+
		"b61149f05a7363268c71d95808ff2e652600" {
		t.Errorf("signature %x %v", signature, err)
	}
	if !ed448Scheme().Verify(key.Public, nil, signature) {
		t.Error("does not verify")
	}
}

// TestLowOrderNeighbours: Valid tells what an exchange tells, for each
// low-order point and for each key that differs from one in a bit.
func TestLowOrderNeighbours(t *testing.T) {
	check := func(id suite.ID, point string) {
		t.Helper()
		publicKeys, low := make([][]byte, 0, 8*len(point)+1), 0
		publicKeys = append(publicKeys, []byte(point))
		for i := range 8 * len(point) {
			b := []byte(point)
			b[i/8] ^= 1 << (i % 8)
			publicKeys = append(publicKeys, b)
		}
		for _, public := range publicKeys {
			bad, err1 := New().ValidateHPKEKeys(context.Background(), id, [][]byte{public})
			_, err2 := New().Encapsulate(context.Background(), id, [][]byte{public})
			if err1 != nil || (bad == -1) != (err2 == nil) {
				t.Fatalf("%v: %x: validated %d, encapsulated %v", id, public, bad, err2)
			}
			if bad != -1 {
				low++
			}
		}
		if low == 0 || low > 4 {
			t.Errorf("%x: %d of its neighbours and itself are of low order", point, low)
		}
	}
	for _, p := range lowOrderPointsX25519 {
		check(suite.X25519AES128SHA256Ed25519, p)
	}
	for _, p := range lowOrderPointsX448 {
		check(suite.X448AES256SHA512Ed448, p)
	}
}
