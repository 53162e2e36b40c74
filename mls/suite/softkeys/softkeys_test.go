package softkeys

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hpke"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys/modern"
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

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

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

func TestSignature(t *testing.T) {
	publicSize := map[suite.ID]int{1: 32, 2: 65, 3: 32, 4: 57, 5: 133, 6: 57, 7: 97}
	privateSize := map[suite.ID]int{1: 32, 2: 32, 3: 32, 4: 57, 5: 66, 6: 57, 7: 48}
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		k := New()
		key := mustSignatureKey(t, s.ID())
		if len(key.Public()) != publicSize[s.ID()] || len(key.Reference()) != privateSize[s.ID()] || key.Name() != "" {
			t.Fatalf("public %d, private %d, name %q", len(key.Public()), len(key.Reference()), key.Name())
		}
		content := []byte("content")
		signature, err := s.SignWithLabel(ctx, key, "Label", content)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.VerifyWithLabel(ctx, k, key.Public(), "Label", content, signature); err != nil {
			t.Fatal(err)
		}

		again, err := k.SignatureKey(ctx, s.ID(), key.Reference())
		if err != nil || !bytes.Equal(again.Public(), key.Public()) {
			t.Fatal("reopened: ", err)
		}
		imported, err := NewSignatureKey(s.ID(), key.Reference())
		if err != nil || !bytes.Equal(imported.Public(), key.Public()) {
			t.Fatal("imported: ", err)
		}
		signature2, err := s.SignWithLabel(ctx, again, "Label", content)
		if err != nil || s.VerifyWithLabel(ctx, k, key.Public(), "Label", content, signature2) != nil {
			t.Fatal("reopened key signs: ", err)
		}
		// What Reference returns is the caller's to wipe.
		clear(key.Reference())
		if bytes.Equal(key.Reference(), make([]byte, privateSize[s.ID()])) {
			t.Error("Reference gives away the key's own bytes")
		}

		refused := func(name string, public []byte, label string, content, signature []byte) {
			t.Helper()
			if err := s.VerifyWithLabel(ctx, k, public, label, content, signature); !errors.Is(err, mlserr.InvalidSignature) {
				t.Errorf("%s: %v", name, err)
			}
		}
		refused("other label", key.Public(), "label", content, signature)
		refused("other content", key.Public(), "Label", content[1:], signature)
		refused("other key", mustSignatureKey(t, s.ID()).Public(), "Label", content, signature)
		for n := range signature {
			refused("prefix", key.Public(), "Label", content, signature[:n])
			bad := bytes.Clone(signature)
			bad[n] ^= 1
			refused("flipped bit", key.Public(), "Label", content, bad)
		}
		refused("longer signature", key.Public(), "Label", content, append(bytes.Clone(signature), 0))
		refused("zero signature", key.Public(), "Label", content, make([]byte, len(signature)))
		for n := range key.Public() {
			refused("short key", key.Public()[:n], "Label", content, signature)
		}
		refused("longer key", append(bytes.Clone(key.Public()), 0), "Label", content, signature)
		refused("all ones key", bytes.Repeat([]byte{0xff}, len(key.Public())), "Label", content, signature)
	})
}

// TestEd25519Malleability: a signature whose S is not reduced is refused.
func TestEd25519Malleability(t *testing.T) {
	order := mustHex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	key := mustSignatureKey(t, suite.X25519AES128SHA256Ed25519)
	signature, err := key.Sign(ctx, []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	carry := 0
	for i, c := range order {
		carry += int(signature[32+i]) + int(c)
		signature[32+i] = byte(carry)
		carry >>= 8
	}
	list := []suite.Verification{{PublicKey: key.Public(), Message: []byte("message"), Signature: signature}}
	if bad, err := New().Verify(ctx, suite.X25519AES128SHA256Ed25519, list); bad != 0 || err != nil {
		t.Error(bad, err)
	}
}

// TestECDSAEncoding: one encoding of a signature is accepted, that in DER with
// both numbers in range.
func TestECDSAEncoding(t *testing.T) {
	for id, curve := range map[suite.ID]elliptic.Curve{2: elliptic.P256(), 5: elliptic.P521(), 7: elliptic.P384()} {
		key, message := mustSignatureKey(t, id), []byte("message")
		good, err := key.Sign(ctx, message)
		if err != nil {
			t.Fatal(err)
		}
		var sig struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(good, &sig); err != nil {
			t.Fatal(err)
		}
		encode := func(r, s *big.Int) []byte {
			b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		n, zero, size := curve.Params().N, new(big.Int), (curve.Params().BitSize+7)/8
		r, s := sig.R.FillBytes(make([]byte, size)), sig.S.FillBytes(make([]byte, size))
		for name, bad := range map[string][]byte{
			"r = 0":                encode(zero, sig.S),
			"s = 0":                encode(sig.R, zero),
			"both 0":               encode(zero, zero),
			"r = n":                encode(n, sig.S),
			"s = n":                encode(sig.R, n),
			"r + n":                encode(new(big.Int).Add(sig.R, n), sig.S),
			"s + n":                encode(sig.R, new(big.Int).Add(sig.S, n)),
			"-r":                   encode(new(big.Int).Neg(sig.R), sig.S),
			"-s":                   encode(sig.R, new(big.Int).Neg(sig.S)),
			"s - n":                encode(sig.R, new(big.Int).Sub(sig.S, n)),
			"exchanged":            encode(sig.S, sig.R),
			"raw, as of WebCrypto": append(r, s...),
			"SET for SEQUENCE":     append([]byte{0x31}, good[1:]...),
			"indefinite length":    append(append([]byte{0x30, 0x80}, good[2:]...), 0, 0),
			"trailing byte":        append(bytes.Clone(good), 0),
			"empty sequence":       {0x30, 0},
			"length past the end":  {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
			"one number":           good[:4+int(good[3])],
		} {
			list := []suite.Verification{{PublicKey: key.Public(), Message: message, Signature: bad}}
			if bad, err := New().Verify(ctx, id, list); bad != 0 || err != nil {
				t.Errorf("%v: %s: %d %v", id, name, bad, err)
			}
		}
		// n - s is as valid as s: ECDSA is malleable, and MLS does not mind (S22).
		other := encode(sig.R, new(big.Int).Sub(n, sig.S))
		list := []suite.Verification{{PublicKey: key.Public(), Message: message, Signature: other}}
		if bad, err := New().Verify(ctx, id, list); bad != -1 || err != nil {
			t.Errorf("%v: n - s: %d %v", id, bad, err)
		}
	}
}

// TestPrivateKeyLengths: a private key of any length but its own is refused,
// and so is a scalar that is out of range.
func TestPrivateKeyLengths(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		signature, hpke := mustSignatureKey(t, s.ID()).Reference(), mustHPKEKey(t, s.ID()).Reference()
		if len(hpke) != s.KEM().Nsk {
			t.Fatalf("HPKE private key of %d bytes", len(hpke))
		}
		badSignature := [][]byte{nil, signature[1:], signature[:len(signature)-1], append(bytes.Clone(signature), 0), append([]byte{0}, signature...)}
		badHPKE := [][]byte{nil, hpke[1:], hpke[:len(hpke)-1], append(bytes.Clone(hpke), 0), append([]byte{0}, hpke...)}
		if s.KEM().ID < 0x20 { // a NIST curve
			for _, fill := range []byte{0, 0xff} {
				b := bytes.Repeat([]byte{fill}, len(hpke))
				badHPKE, badSignature = append(badHPKE, b), append(badSignature, b)
			}
		}
		for i, b := range badSignature {
			if _, err := NewSignatureKey(s.ID(), b); !errors.Is(err, mlserr.InvalidArgument) {
				t.Errorf("NewSignatureKey, case %d: %v", i, err)
			}
			if _, err := New().SignatureKey(ctx, s.ID(), b); !errors.Is(err, mlserr.KeyNotFound) {
				t.Errorf("SignatureKey, case %d: %v", i, err)
			}
		}
		for i, b := range badHPKE {
			if _, err := NewHPKEKey(s.ID(), b); !errors.Is(err, mlserr.InvalidArgument) {
				t.Errorf("NewHPKEKey, case %d: %v", i, err)
			}
			if _, err := New().HPKEKey(ctx, s.ID(), b); !errors.Is(err, mlserr.KeyNotFound) {
				t.Errorf("HPKEKey, case %d: %v", i, err)
			}
		}
	})
}

// TestVerifyList: the lowest bad index is returned wherever the bad ones are,
// in lists that one goroutine does and in lists that are spread.
func TestVerifyList(t *testing.T) {
	for _, id := range []suite.ID{suite.X25519AES128SHA256Ed25519, suite.P256AES128SHA256P256} {
		s, k := mustLookup(t, id), New()
		key := mustSignatureKey(t, id)
		for _, n := range []int{0, 1, 2, 7, 8, 9, 100} {
			good := make([]suite.Verification, n)
			for i := range good {
				message := []byte{byte(i), byte(n)}
				signature, err := key.Sign(ctx, message)
				if err != nil {
					t.Fatal(err)
				}
				good[i] = suite.Verification{PublicKey: key.Public(), Message: message, Signature: signature}
			}
			if bad, err := k.Verify(ctx, id, good); bad != -1 || err != nil {
				t.Fatalf("%v: %d signatures: %d %v", id, n, bad, err)
			}
			if err := s.Verify(ctx, k, good); err != nil {
				t.Fatal(err)
			}
			for first := 0; first < n; first += 1 + n/10 {
				list := append([]suite.Verification(nil), good...)
				for i := first; i < n; i += 1 + n/3 {
					list[i].Message = []byte("forged")
				}
				if bad, err := k.Verify(ctx, id, list); bad != first || err != nil {
					t.Fatalf("%v: %d signatures, bad from %d: %d %v", id, n, first, bad, err)
				}
				if err := s.Verify(ctx, k, list); !errors.Is(err, mlserr.InvalidSignature) {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	s := mustLookup(t, suite.X25519AES128SHA256Ed25519)
	key := mustHPKEKey(t, s.ID()).Public()
	for _, n := range []int{1, 20} {
		publicKeys, recipients := make([][]byte, n), make([]suite.Recipient, n)
		for i := range publicKeys {
			publicKeys[i], recipients[i].PublicKey = key, key
		}
		_, err1 := New().Encapsulate(cancelled, s.ID(), publicKeys)
		_, err2 := New().Verify(cancelled, s.ID(), make([]suite.Verification, n))
		_, err3 := New().DeriveHPKEKeys(cancelled, s.ID(), publicKeys)
		_, err4 := New().ValidateHPKEKeys(cancelled, s.ID(), publicKeys)
		_, err5 := s.EncryptWithLabel(cancelled, New(), "Label", nil, recipients)
		for i, err := range []error{err1, err2, err3, err4, err5} {
			if !errors.Is(err, mlserr.Cancelled) || !errors.Is(err, context.Canceled) {
				t.Errorf("%d elements: operation %d: %v", n, i+1, err)
			}
		}
	}
}

func TestEncapsulate(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		k := New()
		for _, n := range []int{0, 1, 9} {
			keys, publicKeys := make([]suite.HPKEKey, n), make([][]byte, n)
			for i := range keys {
				keys[i] = mustHPKEKey(t, s.ID())
				publicKeys[i] = keys[i].Public()
				if len(publicKeys[i]) != s.KEM().Npk {
					t.Fatalf("public key of %d bytes", len(publicKeys[i]))
				}
			}
			list, err := k.Encapsulate(ctx, s.ID(), publicKeys)
			if err != nil || len(list) != n {
				t.Fatal(len(list), err)
			}
			for i, e := range list {
				if len(e.Enc) != s.KEM().Nenc || len(e.SharedSecret) != s.KEM().Nsecret {
					t.Fatalf("enc of %d bytes, shared secret of %d", len(e.Enc), len(e.SharedSecret))
				}
				again, err := k.HPKEKey(ctx, s.ID(), keys[i].Reference())
				if err != nil || !bytes.Equal(again.Public(), keys[i].Public()) || again.Name() != "" {
					t.Fatal("reopened: ", err)
				}
				for _, key := range []suite.HPKEKey{keys[i], again} {
					if got, err := key.Decapsulate(ctx, e.Enc); err != nil || !bytes.Equal(got, e.SharedSecret) {
						t.Fatalf("%d: %x %v", i, got, err)
					}
				}
				if i > 0 && bytes.Equal(e.Enc, list[i-1].Enc) {
					t.Error("ephemeral key used twice")
				}
			}
			if bad, err := k.ValidateHPKEKeys(ctx, s.ID(), publicKeys); bad != -1 || err != nil {
				t.Error(bad, err)
			}
		}
	})
}

func TestDeriveHPKEKeys(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		ikm := make([][]byte, 20)
		for i := range ikm {
			ikm[i] = append(make([]byte, s.HashSize()-1), byte(i))
		}
		list, err := New().DeriveHPKEKeys(ctx, s.ID(), ikm)
		if err != nil || len(list) != len(ikm) {
			t.Fatal(len(list), err)
		}
		for i, key := range list {
			alone, err := New().DeriveHPKEKeys(ctx, s.ID(), ikm[i:i+1])
			if err != nil || !bytes.Equal(alone[0].Public(), key.Public()) {
				t.Fatal("not the same alone: ", err)
			}
			if want := suite.DHKEMDeriveKey(s.ID(), ikm[i]); !bytes.Equal(key.Reference(), want) {
				t.Fatalf("private key %x", key.Reference())
			}
			for j := range i {
				if bytes.Equal(list[j].Public(), key.Public()) {
					t.Fatal("same key twice")
				}
			}
		}
	})
}

// badPublicKeys returns HPKE public keys that must be refused everywhere.
func badPublicKeys(t *testing.T, s *suite.Suite) map[string][]byte {
	good := mustHPKEKey(t, s.ID()).Public()
	bad := map[string][]byte{
		"empty":   {},
		"n-1":     good[:len(good)-1],
		"n+1":     append(bytes.Clone(good), 0),
		"shifted": good[1:],
	}
	switch s.KEM().ID {
	case 0x20:
		// u of order 1, 2, 4 and 8 on the curve and the twist, little-endian.
		for _, u := range []string{
			"0000000000000000000000000000000000000000000000000000000000000000",
			"0100000000000000000000000000000000000000000000000000000000000000",
			"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
			"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
			"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		} {
			bad["low order "+u] = mustHex(t, u)
			high := mustHex(t, u)
			high[31] |= 0x80
			bad["low order, top bit set "+u] = high
		}
	case 0x21:
		for _, u := range []string{
			"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
			"0100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
			"fefffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffffff",
			"fffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffffffffffffffffffffffffffffffffffffffffffffffffff",
			"00000000000000000000000000000000000000000000000000000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		} {
			bad["low order "+u] = mustHex(t, u)
		}
	default:
		half := (len(good) - 1) / 2
		compressed := append([]byte{2 | good[len(good)-1]&1}, good[1:1+half]...)
		hybrid := bytes.Clone(good)
		hybrid[0] = 6 | good[len(good)-1]&1
		offCurve := bytes.Clone(good)
		offCurve[len(good)-1] ^= 1
		bad["compressed"] = compressed
		bad["hybrid"] = hybrid
		bad["off the curve"] = offCurve
		bad["infinity"] = []byte{0}
		bad["infinity, padded"] = make([]byte, len(good))
		bad["zero coordinates"] = append([]byte{4}, make([]byte, len(good)-1)...)
		bad["coordinates not reduced"] = append([]byte{4}, bytes.Repeat([]byte{0xff}, len(good)-1)...)
	}
	return bad
}

func TestBadPublicKeys(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		k, key := New(), mustHPKEKey(t, s.ID())
		for name, public := range badPublicKeys(t, s) {
			list := make([][]byte, 12)
			for i := range list {
				list[i] = key.Public()
			}
			list[5], list[9] = public, public
			if bad, err := k.ValidateHPKEKeys(ctx, s.ID(), list); bad != 5 || err != nil {
				t.Errorf("%s: ValidateHPKEKeys: %d %v", name, bad, err)
			}
			_, err := k.Encapsulate(ctx, s.ID(), list)
			if !errors.Is(err, mlserr.InvalidPublicKey) || !strings.HasSuffix(err.Error(), "key 5") {
				t.Errorf("%s: Encapsulate: %v", name, err)
			}
			if secret, err := key.Decapsulate(ctx, public); secret != nil || !errors.Is(err, mlserr.DecryptionFailed) {
				t.Errorf("%s: Decapsulate: %v", name, err)
			}
			_, err = s.EncryptWithLabel(ctx, k, "Label", nil, []suite.Recipient{{PublicKey: public}})
			if !errors.Is(err, mlserr.InvalidPublicKey) {
				t.Errorf("%s: EncryptWithLabel: %v", name, err)
			}
			if _, _, err := s.EncapsulateExport(ctx, k, public, "context", 32); !errors.Is(err, mlserr.InvalidPublicKey) {
				t.Errorf("%s: EncapsulateExport: %v", name, err)
			}
			if _, err := s.DecryptWithLabel(ctx, key, "Label", nil, suite.HPKECiphertext{KEMOutput: public, Ciphertext: make([]byte, 48)}); !errors.Is(err, mlserr.DecryptionFailed) {
				t.Errorf("%s: DecryptWithLabel: %v", name, err)
			}
			if _, err := s.DecapsulateExport(ctx, key, public, "context", 32); !errors.Is(err, mlserr.DecryptionFailed) {
				t.Errorf("%s: DecapsulateExport: %v", name, err)
			}
		}
	})
}

func TestEncryptWithLabel(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		k, groupContext := New(), []byte("group context")
		if out, err := s.EncryptWithLabel(ctx, k, "UpdatePathNode", groupContext, nil); len(out) != 0 || err != nil {
			t.Fatal(out, err)
		}
		keys, recipients := make([]suite.HPKEKey, 10), make([]suite.Recipient, 10)
		for i := range keys {
			keys[i] = mustHPKEKey(t, s.ID())
			recipients[i] = suite.Recipient{PublicKey: keys[i].Public(), Plaintext: suite.Random(i * 8)}
		}
		out, err := s.EncryptWithLabel(ctx, k, "UpdatePathNode", groupContext, recipients)
		if err != nil || len(out) != len(recipients) {
			t.Fatal(len(out), err)
		}
		for i, ct := range out {
			got, err := s.DecryptWithLabel(ctx, keys[i], "UpdatePathNode", groupContext, ct)
			if err != nil || !bytes.Equal(got, recipients[i].Plaintext) {
				t.Fatal(i, err)
			}
		}
		refused := func(name string, key suite.HPKEKey, label string, context []byte, ct suite.HPKECiphertext) {
			t.Helper()
			got, err := s.DecryptWithLabel(ctx, key, label, context, ct)
			if got != nil || !errors.Is(err, mlserr.DecryptionFailed) || err.Error() != mlserr.New(mlserr.DecryptionFailed, "").Error() {
				t.Errorf("%s: %x %v", name, got, err)
			}
		}
		ct := out[3]
		refused("other key", keys[4], "UpdatePathNode", groupContext, ct)
		refused("other label", keys[3], "Welcome", groupContext, ct)
		refused("other context", keys[3], "UpdatePathNode", groupContext[1:], ct)
		refused("other enc", keys[3], "UpdatePathNode", groupContext, suite.HPKECiphertext{KEMOutput: out[4].KEMOutput, Ciphertext: ct.Ciphertext})
		for n := range ct.KEMOutput {
			refused("enc prefix", keys[3], "UpdatePathNode", groupContext, suite.HPKECiphertext{KEMOutput: ct.KEMOutput[:n], Ciphertext: ct.Ciphertext})
		}
		for n := range ct.Ciphertext {
			refused("ciphertext prefix", keys[3], "UpdatePathNode", groupContext, suite.HPKECiphertext{KEMOutput: ct.KEMOutput, Ciphertext: ct.Ciphertext[:n]})
			bad := bytes.Clone(ct.Ciphertext)
			bad[n] ^= 1
			refused("ciphertext bit", keys[3], "UpdatePathNode", groupContext, suite.HPKECiphertext{KEMOutput: ct.KEMOutput, Ciphertext: bad})
		}
	})
}

func TestExport(t *testing.T) {
	eachSuite(t, func(t *testing.T, s *suite.Suite) {
		key := mustHPKEKey(t, s.ID())
		enc, secret, err := s.EncapsulateExport(ctx, New(), key.Public(), "MLS 1.0 external init secret", s.HashSize())
		if err != nil || len(secret) != s.HashSize() {
			t.Fatal(len(secret), err)
		}
		got, err := s.DecapsulateExport(ctx, key, enc, "MLS 1.0 external init secret", s.HashSize())
		if err != nil || !bytes.Equal(got, secret) {
			t.Fatal(err)
		}
		other, err := s.DecapsulateExport(ctx, key, enc, "other", s.HashSize())
		if err != nil || bytes.Equal(other, secret) {
			t.Fatal("exporter context does not matter: ", err)
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
