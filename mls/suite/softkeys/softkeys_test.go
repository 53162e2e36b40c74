package softkeys

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys/modern"
	"webmls/mls/suite/suitetest"
)

var ctx = context.Background()

// eachSuite runs f for every cipher suite.
func eachSuite(t *testing.T, f func(t *testing.T, s *suite.Suite)) {
	for _, id := range suite.All() {
		t.Run(id.String(), func(t *testing.T) { f(t, mustLookup(t, id)) })
	}
}

func mustLookup(t testing.TB, id suite.ID) *suite.Suite {
	t.Helper()
	s, err := suite.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSignatureKey(t testing.TB, id suite.ID) suite.SignatureKey {
	t.Helper()
	key, err := New().GenerateSignatureKey(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mustHPKEKey(t testing.TB, id suite.ID) suite.HPKEKey {
	t.Helper()
	key, err := New().GenerateHPKEKey(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestKeys: the contract of suite.Keys.
func TestKeys(t *testing.T) { suitetest.Keys(t, New(), New()) }

func TestSupports(t *testing.T) {
	modernSuites := map[suite.ID]bool{1: true, 3: true, 4: true, 6: true}
	for id := suite.ID(0); id < 300; id++ {
		if got, want := New().Supports(id), id >= 1 && id <= 7; got != want {
			t.Errorf("New: %v: %v", id, got)
		}
		if got := modern.New().Supports(id); got != modernSuites[id] {
			t.Errorf("modern: %v: %v", id, got)
		}
	}
	unsupported := func(k suite.Keys, id suite.ID) {
		t.Helper()
		_, err1 := k.GenerateSignatureKey(ctx, id)
		_, err2 := k.SignatureKey(ctx, id, make([]byte, 32))
		_, err3 := k.GenerateHPKEKey(ctx, id)
		_, err4 := k.HPKEKey(ctx, id, make([]byte, 32))
		_, err5 := k.DeriveHPKEKeys(ctx, id, nil)
		_, err6 := k.Verify(ctx, id, nil)
		_, err7 := k.Encapsulate(ctx, id, nil)
		_, err8 := k.ValidateHPKEKeys(ctx, id, nil)
		for i, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8} {
			if !errors.Is(err, mlserr.UnknownSuite) {
				t.Errorf("%v: operation %d: %v", id, i+1, err)
			}
		}
	}
	for _, id := range []suite.ID{0, 8, 0xffff} {
		unsupported(New(), id)
	}
	unsupported(modern.New(), suite.P256AES128SHA256P256)
}

// TestImport: a private key is what a reference is, of its one length and in range.
func TestImport(t *testing.T) {
	privateSize := map[suite.ID]int{1: 32, 2: 32, 3: 32, 4: 57, 5: 66, 6: 57, 7: 48}
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		key, hpke := mustSignatureKey(t, s.ID()), mustHPKEKey(t, s.ID())
		if len(key.Reference()) != privateSize[s.ID()] || key.Name() != "" || len(hpke.Reference()) != s.KEM().Nsk || hpke.Name() != "" {
			t.Fatalf("private keys of %d and %d bytes, names %q and %q", len(key.Reference()), len(hpke.Reference()), key.Name(), hpke.Name())
		}
		if imported, err := NewSignatureKey(s.ID(), key.Reference()); err != nil || !bytes.Equal(imported.Public(), key.Public()) {
			t.Fatal(err)
		}
		if imported, err := NewHPKEKey(s.ID(), hpke.Reference()); err != nil || !bytes.Equal(imported.Public(), hpke.Public()) {
			t.Fatal(err)
		}
		if suite.StorageOf(key) != suite.KeySealed {
			t.Error(suite.StorageOf(key))
		}
		for n := range privateSize[s.ID()] {
			if _, err := NewSignatureKey(s.ID(), key.Reference()[:n]); !errors.Is(err, mlserr.InvalidArgument) {
				t.Errorf("NewSignatureKey of %d bytes: %v", n, err)
			}
		}
		for n := range s.KEM().Nsk {
			if _, err := NewHPKEKey(s.ID(), hpke.Reference()[:n]); !errors.Is(err, mlserr.InvalidArgument) {
				t.Errorf("NewHPKEKey of %d bytes: %v", n, err)
			}
		}
	})
}

// TestStandardHPKE runs our HPKE against crypto/hpke in both directions, for
// all suites whose KEM it has.
func TestStandardHPKE(t *testing.T) {
	compared := 0
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		curve := map[uint16]ecdh.Curve{0x10: ecdh.P256(), 0x11: ecdh.P384(), 0x12: ecdh.P521(), 0x20: ecdh.X25519()}[s.KEM().ID]
		if curve == nil {
			return // crypto/hpke has no X448: the vectors of package modern stand for it
		}
		compared++
		kem := hpke.DHKEM(curve)
		kdf := map[suite.ID]hpke.KDF{1: hpke.HKDFSHA256(), 2: hpke.HKDFSHA256(), 3: hpke.HKDFSHA256(), 5: hpke.HKDFSHA512(), 7: hpke.HKDFSHA384()}[s.ID()]
		aead := map[suite.ID]hpke.AEAD{1: hpke.AES128GCM(), 2: hpke.AES128GCM(), 3: hpke.ChaCha20Poly1305(), 5: hpke.AES256GCM(), 7: hpke.AES256GCM()}[s.ID()]

		ours := mustHPKEKey(t, s.ID())
		theirs, err := kem.NewPrivateKey(ours.Reference())
		if err != nil || !bytes.Equal(theirs.PublicKey().Bytes(), ours.Public()) {
			t.Fatal(err)
		}
		groupContext, plaintext := suite.Random(200), suite.Random(64)
		info := s.SignContent("Welcome", groupContext) // the same encoding as EncryptContext

		out, err := s.EncryptWithLabel(ctx, New(), "Welcome", groupContext, []suite.Recipient{{PublicKey: ours.Public(), Plaintext: plaintext}})
		if err != nil {
			t.Fatal(err)
		}
		recipient, err := hpke.NewRecipient(out[0].KEMOutput, theirs, kdf, aead, info)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := recipient.Open(nil, out[0].Ciphertext); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatal("ours to theirs: ", err)
		}

		enc, sender, err := hpke.NewSender(theirs.PublicKey(), kdf, aead, info)
		if err != nil {
			t.Fatal(err)
		}
		ciphertext, err := sender.Seal(nil, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.DecryptWithLabel(ctx, ours, "Welcome", groupContext, suite.HPKECiphertext{KEMOutput: enc, Ciphertext: ciphertext})
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Fatal("theirs to ours: ", err)
		}

		for _, length := range []int{1, s.HashSize(), 500} {
			enc, secret, err := s.EncapsulateExport(ctx, New(), ours.Public(), "exporter context", length)
			if err != nil {
				t.Fatal(err)
			}
			recipient, err := hpke.NewRecipient(enc, theirs, kdf, aead, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := recipient.Export("exporter context", length); err != nil || !bytes.Equal(got, secret) {
				t.Fatal("our export to theirs: ", err)
			}
			enc, sender, err := hpke.NewSender(theirs.PublicKey(), kdf, aead, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := sender.Export("exporter context", length)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.DecapsulateExport(ctx, ours, enc, "exporter context", length); err != nil || !bytes.Equal(got, want) {
				t.Fatal("their export to ours: ", err)
			}
		}

		ikm := suite.Random(s.HashSize())
		derived, err := New().DeriveHPKEKeys(ctx, s.ID(), [][]byte{ikm})
		if err != nil {
			t.Fatal(err)
		}
		if want, err := kem.DeriveKeyPair(ikm); err != nil || !bytes.Equal(want.PublicKey().Bytes(), derived[0].Public()) {
			t.Fatal("DeriveKeyPair: ", err)
		}
	})
	if compared != 5 {
		t.Error("suites compared: ", compared)
	}
}
