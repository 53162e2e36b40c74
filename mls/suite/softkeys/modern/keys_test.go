package modern

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys/internal/curve25519"
	"webmls/mls/suite/softkeys/internal/curve448"
)

var ctx = context.Background()

var all = []suite.ID{
	suite.X25519AES128SHA256Ed25519, suite.X25519ChaCha20SHA256Ed25519, suite.X448AES256SHA512Ed448, suite.X448ChaCha20SHA512Ed448,
}

// TestSignatureKeys: a key signs what its public key verifies, again after it was
// found by its reference, which is the caller's own; no reference of another length is one.
func TestSignatureKeys(t *testing.T) {
	k := New()
	for _, id := range all {
		key, err := k.GenerateSignatureKey(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		reference := key.Reference()
		again, err := k.SignatureKey(ctx, id, reference)
		if err != nil || !bytes.Equal(again.Public(), key.Public()) {
			t.Fatalf("%v: found again: %v", id, err)
		}
		clear(reference)
		message := []byte("message")
		for _, key := range []suite.SignatureKey{key, again} {
			signature, err := key.Sign(ctx, message)
			if err != nil {
				t.Fatal(err)
			}
			if bad, err := k.Verify(ctx, id, []suite.Verification{{PublicKey: key.Public(), Message: message, Signature: signature}}); bad != -1 || err != nil {
				t.Errorf("%v: %d %v", id, bad, err)
			}
			signature[0] ^= 1
			if bad, err := k.Verify(ctx, id, []suite.Verification{{PublicKey: key.Public(), Message: message, Signature: signature}}); bad != 0 || err != nil {
				t.Errorf("%v: a changed signature: %d %v", id, bad, err)
			}
		}
		for _, n := range []int{0, 31, 33, 56, 58} {
			if _, err := k.SignatureKey(ctx, id, make([]byte, n)); !errors.Is(err, mlserr.KeyNotFound) {
				t.Errorf("%v: a reference of %d bytes: %v", id, n, err)
			}
		}
	}
}

// TestHPKEKeys: what is encapsulated to a key it decapsulates, again after it was found; what
// is of another length or of low order is refused on both sides.
func TestHPKEKeys(t *testing.T) {
	k := New()
	for _, id := range all {
		key, err := k.GenerateHPKEKey(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		again, err := k.HPKEKey(ctx, id, key.Reference())
		if err != nil || !bytes.Equal(again.Public(), key.Public()) {
			t.Fatalf("%v: found again: %v", id, err)
		}
		list, err := k.Encapsulate(ctx, id, [][]byte{key.Public()})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []suite.HPKEKey{key, again} {
			if secret, err := key.Decapsulate(ctx, list[0].Enc); err != nil || !bytes.Equal(secret, list[0].SharedSecret) {
				t.Errorf("%v: %x, want %x: %v", id, secret, list[0].SharedSecret, err)
			}
		}
		size := len(key.Public())
		for _, bad := range [][]byte{nil, key.Public()[1:], append(bytes.Clone(key.Public()), 0), make([]byte, size)} {
			if _, err := key.Decapsulate(ctx, bad); !errors.Is(err, mlserr.DecryptionFailed) {
				t.Errorf("%v: enc %x: %v", id, bad, err)
			}
			if _, err := k.Encapsulate(ctx, id, [][]byte{bad}); !errors.Is(err, mlserr.InvalidPublicKey) {
				t.Errorf("%v: to %x: %v", id, bad, err)
			}
		}
		for _, n := range []int{0, size - 1, size + 1} {
			if _, err := k.HPKEKey(ctx, id, make([]byte, n)); !errors.Is(err, mlserr.KeyNotFound) {
				t.Errorf("%v: a reference of %d bytes: %v", id, n, err)
			}
		}
	}
}

// TestCurvesAgree compares the curves of this machine with those of WebAssembly: which
// of the two a member has must not show.
func TestCurvesAgree(t *testing.T) {
	for range 20 {
		private, peer := [32]byte(suite.Random(32)), [32]byte(suite.Random(32))
		if x25519PublicKey(&private) != curve25519.PublicKey(&private) {
			t.Fatalf("X25519 public key of %x", private)
		}
		if x25519Shared(&private, &peer) != curve25519.X25519(&private, &peer) {
			t.Fatalf("X25519 of %x with %x", private, peer)
		}
		private448, peer448 := [56]byte(suite.Random(56)), [56]byte(suite.Random(56))
		if x448PublicKey(&private448) != curve448.X448PublicKey(&private448) {
			t.Fatalf("X448 public key of %x", private448)
		}
		if x448Shared(&private448, &peer448) != curve448.X448(&private448, &peer448) {
			t.Fatalf("X448 of %x with %x", private448, peer448)
		}
		key, message := openEd25519(private), peer[:]
		signature, err := key.Sign(message)
		if err != nil || !bytes.Equal(signature, ed25519.Sign(ed25519.NewKeyFromSeed(private[:]), message)) {
			t.Fatalf("Ed25519 of %x: %x %v", private, signature, err)
		}
		if !verifyEd25519(key.Public, message, signature) || !curve25519.Verify(key.Public, message, signature) {
			t.Fatalf("Ed25519 of %x does not verify", private)
		}
	}
	for _, low := range lowOrderPointsX25519 {
		if shared := x25519Shared(&[32]byte{1}, (*[32]byte)([]byte(low))); shared != [32]byte{} {
			t.Errorf("X25519 with %x: %x", low, shared)
		}
	}
	for _, low := range lowOrderPointsX448 {
		if shared := x448Shared(&[56]byte{1}, (*[56]byte)([]byte(low))); shared != [56]byte{} {
			t.Errorf("X448 with %x: %x", low, shared)
		}
	}
}
