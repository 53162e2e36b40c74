package suitetest

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// Keys is the contract of suite.Keys: k must keep it in every cipher suite that
// it supports, and agree with reference, which supports them too, about every
// input. The private keys of reference must be references of k as well.
func Keys(t *testing.T, k, reference suite.Keys) {
	c := &contract{k, reference}
	for _, test := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"Signature", c.signature},
		{"SignAll", c.signAll},
		{"Ed25519", c.ed25519},
		{"ECDSA", c.ecdsa},
		{"PrivateKeys", c.privateKeys},
		{"VerifyList", c.verifyList},
		{"Cancelled", c.cancelled},
		{"Encapsulate", c.encapsulate},
		{"DeriveHPKEKeys", c.deriveHPKEKeys},
		{"BadPublicKeys", c.badPublicKeys},
		{"EncryptWithLabel", c.encryptWithLabel},
		{"Export", c.export},
	} {
		t.Run(test.name, test.run)
	}
}

type contract struct{ k, reference suite.Keys }

var ctx = context.Background()

// eachSuite runs f for every cipher suite that is supported.
func (c *contract) eachSuite(t *testing.T, f func(t *testing.T, s *suite.Suite)) {
	for _, id := range suite.All() {
		if c.k.Supports(id) {
			t.Run(id.String(), func(t *testing.T) { f(t, mustLookup(t, id)) })
		}
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

func mustSignatureKey(t testing.TB, k suite.Keys, id suite.ID) suite.SignatureKey {
	t.Helper()
	key, err := k.GenerateSignatureKey(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mustHPKEKey(t testing.TB, k suite.Keys, id suite.ID) suite.HPKEKey {
	t.Helper()
	key, err := k.GenerateHPKEKey(ctx, id)
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

// signAll: each message of a list has its own signature, in the order of the list.
func (c *contract) signAll(t *testing.T) {
	c.eachSuite(t, func(t *testing.T, s *suite.Suite) {
		key := mustSignatureKey(t, c.k, s.ID())
		messages := make([][]byte, 20)
		for i := range messages {
			messages[i] = make([]byte, i)
		}
		signatures, err := key.SignAll(ctx, messages)
		if err != nil || len(signatures) != len(messages) {
			t.Fatalf("%d signatures: %v", len(signatures), err)
		}
		list := make([]suite.Verification, len(messages))
		for i := range list {
			list[i] = suite.Verification{PublicKey: key.Public(), Message: messages[i], Signature: signatures[i]}
		}
		if err := s.Verify(ctx, c.reference, list); err != nil {
			t.Fatal(err)
		}
		if none, err := key.SignAll(ctx, nil); err != nil || len(none) != 0 {
			t.Fatalf("of nothing: %d, %v", len(none), err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := key.SignAll(ended, messages); !errors.Is(err, mlserr.Cancelled) {
			t.Fatalf("cancelled: %v", err)
		}
	})
}

// signature: what k signs k and reference take, and the other way round; nothing else.
func (c *contract) signature(t *testing.T) {
	publicSize := map[suite.ID]int{1: 32, 2: 65, 3: 32, 4: 57, 5: 133, 6: 57, 7: 97}
	c.eachSuite(t, func(t *testing.T, s *suite.Suite) {
		key := mustSignatureKey(t, c.k, s.ID())
		if len(key.Public()) != publicSize[s.ID()] {
			t.Fatalf("public key of %d bytes", len(key.Public()))
		}
		content := []byte("content")
		signature, err := s.SignWithLabel(ctx, key, "Label", content)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.VerifyWithLabel(ctx, c.k, key.Public(), "Label", content, signature); err != nil {
			t.Fatal(err)
		}

		again, err := c.k.SignatureKey(ctx, s.ID(), key.Reference())
		if err != nil || !bytes.Equal(again.Public(), key.Public()) || again.Name() != key.Name() || suite.StorageOf(again) != suite.StorageOf(key) {
			t.Fatal("reopened: ", err)
		}
		theirs := mustSignatureKey(t, c.reference, s.ID())
		imported, err := c.k.SignatureKey(ctx, s.ID(), theirs.Reference())
		if err != nil || !bytes.Equal(imported.Public(), theirs.Public()) {
			t.Fatal("imported: ", err)
		}
		for _, signer := range []suite.SignatureKey{again, theirs, imported} {
			signature, err := s.SignWithLabel(ctx, signer, "Label", content)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range []suite.Keys{c.k, c.reference} {
				if err := s.VerifyWithLabel(ctx, k, signer.Public(), "Label", content, signature); err != nil {
					t.Fatal(err)
				}
			}
		}
		// What Reference returns is the caller's to wipe.
		reference := key.Reference()
		clear(reference)
		if bytes.Equal(key.Reference(), reference) {
			t.Error("Reference gives away the key's own bytes")
		}

		refused := func(name string, public []byte, label string, content, signature []byte) {
			t.Helper()
			if err := s.VerifyWithLabel(ctx, c.k, public, label, content, signature); !errors.Is(err, mlserr.InvalidSignature) {
				t.Errorf("%s: %v", name, err)
			}
		}
		refused("other label", key.Public(), "label", content, signature)
		refused("other content", key.Public(), "Label", content[1:], signature)
		refused("other key", mustSignatureKey(t, c.k, s.ID()).Public(), "Label", content, signature)
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

// ed25519: k and reference say what crypto/ed25519 says about signatures of one
// zero byte whose points are of small order, not reduced or no points (RFC 8032,
// Section 5.1.7, leaves some of them to implementations), alone and among good ones.
func (c *contract) ed25519(t *testing.T) {
	const id = suite.X25519AES128SHA256Ed25519
	if !c.k.Supports(id) {
		t.Skip("not supported")
	}
	for _, v := range []struct {
		name, public, signature string
		good                    bool // for crypto/ed25519
	}{
		{"key and R are the neutral element", "0100000000000000000000000000000000000000000000000000000000000000", "01000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", true},
		{"key is the neutral element, not reduced", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "01000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", true},
		{"R is the neutral element, not reduced", "0100000000000000000000000000000000000000000000000000000000000000", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f0000000000000000000000000000000000000000000000000000000000000000", false},
		{"key is the neutral element with a sign", "0100000000000000000000000000000000000000000000000000000000000080", "01000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", true},
		{"R is the neutral element with a sign", "0100000000000000000000000000000000000000000000000000000000000000", "01000000000000000000000000000000000000000000000000000000000000800000000000000000000000000000000000000000000000000000000000000000", false},
		{"key is of order 2 with a sign", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "01000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", false},
		{"key of order 8, which the challenge cancels", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "a0eefe9e9089c7ea825df110d0a6ef919f46225a3d5d4327b6f32de51b76908061b73112fda6e2901ca02db0e4e49a74b444ea6e6eeab476e079accf3595fd0a", true},
		{"key with a part of order 8, which the challenge cancels", "325d42dc8b5139ce7a52bbfa59b602228024d7f429db2cb1403d62fe0b7ded40", "1fb2c240cf982e946dac0f5a64130659cf9265aa74e6cc3c530dd3d844d86972101a698455c911080d1b387682362abd198c7b2083590e17198dc2000efbec09", true},
		{"key with a part of order 8, good but for the cofactor", "255626d8873cb0601f25e9b43bab5b0b81d89150fe467568d7b10cc49bc26b7b", "26c75e39d40efd8ee6d198b44f5c2891ca9989490a5e7e111180e64447bda21ea954fdb16732d2dcb5df9d62eb1ac82a4521d5dd5b818538d890f45d5e637401", false},
		{"R with a part of order 8", "be74fbe403b4648b38bbc2f74e799567c39adb27d3e41dc3a046c1d8b1119be3", "17476e1631eae1bffbb068dda0a74dc41cbbeda278e07fd14803e5c747c5484f86bd598c7ba5506c39ec2beec7e5b8520fa3c786369fef6fcdacc7d1920bf50e", false},
		{"S not reduced", "dfb048e61baca5fbdf46be380f51fcdfcf07a2f97c553427331ead05f070147e", "8c16d28e06f1c1ba965a2bfc06b8cb6d09059d260313e0693f37dda4e0491a0d1637275dcaeeba25a8bf078a6a2098c02996ec90424a1f58b8d1f4b423c07f15", false},
		{"good", "6a637aaf97246da075a96f0f07fc7fe51f2f1b2b6926d6abe62c7681c15436d0", "978e63c62c3f98f36f4620b99e756846f19e0a69db92571b8f4121049c01e92e0d43ae7babeff589d8504d81555a88f11a695f5a602bdc1f87e5415047b16d0f", true},
		{"key is no point", "0200000000000000000000000000000000000000000000000000000000000000", "978e63c62c3f98f36f4620b99e756846f19e0a69db92571b8f4121049c01e92e0d43ae7babeff589d8504d81555a88f11a695f5a602bdc1f87e5415047b16d0f", false},
		{"R is no point", "6a637aaf97246da075a96f0f07fc7fe51f2f1b2b6926d6abe62c7681c15436d0", "02000000000000000000000000000000000000000000000000000000000000000d43ae7babeff589d8504d81555a88f11a695f5a602bdc1f87e5415047b16d0f", false},
		{"key is not reduced", "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "01000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", false},
	} {
		one := suite.Verification{PublicKey: mustHex(t, v.public), Message: []byte{0}, Signature: mustHex(t, v.signature)}
		want := 0
		if v.good {
			want = -1
		}
		for _, k := range []suite.Keys{c.k, c.reference} {
			if bad, err := k.Verify(ctx, id, []suite.Verification{one}); bad != want || err != nil {
				t.Errorf("%s: %d %v, want %d", v.name, bad, err, want)
			}
		}
		key := mustSignatureKey(t, c.k, id)
		signature, err := key.Sign(ctx, []byte("good"))
		if err != nil {
			t.Fatal(err)
		}
		list := make([]suite.Verification, 40)
		for i := range list {
			list[i] = suite.Verification{PublicKey: key.Public(), Message: []byte("good"), Signature: signature}
		}
		for _, i := range []int{0, 20, 39} {
			mixed := append([]suite.Verification(nil), list...)
			mixed[i] = one
			wantMixed := want
			if want != -1 {
				wantMixed = i
			}
			if bad, err := c.k.Verify(ctx, id, mixed); bad != wantMixed || err != nil {
				t.Errorf("%s at %d: %d %v, want %d", v.name, i, bad, err, wantMixed)
			}
		}
	}
}

// ecdsa: one encoding of a signature is accepted, that in DER with both numbers
// in range.
func (c *contract) ecdsa(t *testing.T) {
	for id, curve := range map[suite.ID]elliptic.Curve{2: elliptic.P256(), 5: elliptic.P521(), 7: elliptic.P384()} {
		if !c.k.Supports(id) {
			continue
		}
		key, message := mustSignatureKey(t, c.k, id), []byte("message")
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
			if bad, err := c.k.Verify(ctx, id, list); bad != 0 || err != nil {
				t.Errorf("%v: %s: %d %v", id, name, bad, err)
			}
		}
		// n - s is as valid as s: ECDSA is malleable, and MLS does not mind (S22).
		other := encode(sig.R, new(big.Int).Sub(n, sig.S))
		list := []suite.Verification{{PublicKey: key.Public(), Message: message, Signature: other}}
		if bad, err := c.k.Verify(ctx, id, list); bad != -1 || err != nil {
			t.Errorf("%v: n - s: %d %v", id, bad, err)
		}
	}
}

// privateKeys: a private key of any length but its own is refused, and so is a
// scalar that is out of range.
func (c *contract) privateKeys(t *testing.T) {
	c.eachSuite(t, func(t *testing.T, s *suite.Suite) {
		signature, hpke := mustSignatureKey(t, c.reference, s.ID()).Reference(), mustHPKEKey(t, c.reference, s.ID()).Reference()
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
			if _, err := c.k.SignatureKey(ctx, s.ID(), b); !errors.Is(err, mlserr.KeyNotFound) {
				t.Errorf("SignatureKey, case %d: %v", i, err)
			}
		}
		for i, b := range badHPKE {
			if _, err := c.k.HPKEKey(ctx, s.ID(), b); !errors.Is(err, mlserr.KeyNotFound) {
				t.Errorf("HPKEKey, case %d: %v", i, err)
			}
		}
	})
}

// verifyList: the lowest bad index is returned wherever the bad ones are, in
// lists that one goroutine does and in lists that are spread or divided.
func (c *contract) verifyList(t *testing.T) {
	for _, id := range []suite.ID{suite.X25519AES128SHA256Ed25519, suite.P256AES128SHA256P256} {
		if !c.k.Supports(id) {
			continue
		}
		s := mustLookup(t, id)
		key := mustSignatureKey(t, c.k, id)
		for _, n := range []int{0, 1, 2, 7, 8, 9, 100, 300} {
			good := make([]suite.Verification, n)
			for i := range good {
				message := []byte{byte(i), byte(n)}
				signature, err := key.Sign(ctx, message)
				if err != nil {
					t.Fatal(err)
				}
				good[i] = suite.Verification{PublicKey: key.Public(), Message: message, Signature: signature}
			}
			if bad, err := c.k.Verify(ctx, id, good); bad != -1 || err != nil {
				t.Fatalf("%v: %d signatures: %d %v", id, n, bad, err)
			}
			if err := s.Verify(ctx, c.k, good); err != nil {
				t.Fatal(err)
			}
			for first := 0; first < n; first += 1 + n/10 {
				list := append([]suite.Verification(nil), good...)
				for i := first; i < n; i += 1 + n/3 {
					list[i].Message = []byte("forged")
				}
				if bad, err := c.k.Verify(ctx, id, list); bad != first || err != nil {
					t.Fatalf("%v: %d signatures, bad from %d: %d %v", id, n, first, bad, err)
				}
				if err := s.Verify(ctx, c.k, list); !errors.Is(err, mlserr.InvalidSignature) {
					t.Fatal(err)
				}
			}
		}
	}
}

func (c *contract) cancelled(t *testing.T) {
	if !c.k.Supports(suite.X25519AES128SHA256Ed25519) {
		t.Skip("not supported")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	s := mustLookup(t, suite.X25519AES128SHA256Ed25519)
	key := mustHPKEKey(t, c.k, s.ID()).Public()
	for _, n := range []int{1, 20} {
		publicKeys, recipients := make([][]byte, n), make([]suite.Recipient, n)
		for i := range publicKeys {
			publicKeys[i], recipients[i].PublicKey = key, key
		}
		_, err1 := c.k.Encapsulate(cancelled, s.ID(), publicKeys)
		_, err2 := c.k.Verify(cancelled, s.ID(), make([]suite.Verification, n))
		_, err3 := c.k.DeriveHPKEKeys(cancelled, s.ID(), publicKeys)
		_, err4 := c.k.ValidateHPKEKeys(cancelled, s.ID(), publicKeys)
		_, err5 := s.EncryptWithLabel(cancelled, c.k, "Label", nil, recipients)
		for i, err := range []error{err1, err2, err3, err4, err5} {
			if !errors.Is(err, mlserr.Cancelled) || !errors.Is(err, context.Canceled) {
				t.Errorf("%d elements: operation %d: %v", n, i+1, err)
			}
		}
	}
}

func (c *contract) encapsulate(t *testing.T) {
	c.eachSuite(t, func(t *testing.T, s *suite.Suite) {
		lengths := []int{0, 1, 9}
		if s.ID() == suite.X25519AES128SHA256Ed25519 {
			lengths = append(lengths, 300) // as long as it takes to divide it
		}
		for _, n := range lengths {
			keys, publicKeys := make([]suite.HPKEKey, n), make([][]byte, n)
			for i := range keys {
				keys[i] = mustHPKEKey(t, c.k, s.ID())
				publicKeys[i] = keys[i].Public()
				if len(publicKeys[i]) != s.KEM().Npk {
					t.Fatalf("public key of %d bytes", len(publicKeys[i]))
				}
			}
			list, err := c.k.Encapsulate(ctx, s.ID(), publicKeys)
			if err != nil || len(list) != n {
				t.Fatal(len(list), err)
			}
			for i, e := range list {
				if len(e.Enc) != s.KEM().Nenc || len(e.SharedSecret) != s.KEM().Nsecret {
					t.Fatalf("enc of %d bytes, shared secret of %d", len(e.Enc), len(e.SharedSecret))
				}
				again, err := c.k.HPKEKey(ctx, s.ID(), keys[i].Reference())
				if err != nil || !bytes.Equal(again.Public(), keys[i].Public()) || again.Name() != keys[i].Name() {
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
			if bad, err := c.k.ValidateHPKEKeys(ctx, s.ID(), publicKeys); bad != -1 || err != nil {
				t.Error(bad, err)
			}
			theirs, err := c.reference.Encapsulate(ctx, s.ID(), publicKeys)
			if err != nil {
				t.Fatal(err)
			}
			for i, e := range theirs {
				if got, err := keys[i].Decapsulate(ctx, e.Enc); err != nil || !bytes.Equal(got, e.SharedSecret) {
					t.Fatalf("of reference: %d: %x %v", i, got, err)
				}
			}
		}
	})
}

func (c *contract) deriveHPKEKeys(t *testing.T) {
	c.eachSuite(t, func(t *testing.T, s *suite.Suite) {
		ikm := make([][]byte, 20)
		for i := range ikm {
			ikm[i] = append(make([]byte, s.HashSize()-1), byte(i))
		}
		list, err := c.k.DeriveHPKEKeys(ctx, s.ID(), ikm)
		if err != nil || len(list) != len(ikm) {
			t.Fatal(len(list), err)
		}
		for i, key := range list {
			alone, err := c.k.DeriveHPKEKeys(ctx, s.ID(), ikm[i:i+1])
			if err != nil || !bytes.Equal(alone[0].Public(), key.Public()) {
				t.Fatal("not the same alone: ", err)
			}
			theirs, err := c.reference.DeriveHPKEKeys(ctx, s.ID(), ikm[i:i+1])
			if err != nil || !bytes.Equal(theirs[0].Public(), key.Public()) {
				t.Fatal("not that of reference: ", err)
			}
			if private := suite.DHKEMDeriveKey(s.ID(), ikm[i]); !bytes.HasPrefix(key.Reference(), private) || key.Name() != "" {
				t.Fatalf("private key %x", key.Reference())
			}
			again, err := c.k.HPKEKey(ctx, s.ID(), key.Reference())
			if err != nil || !bytes.Equal(again.Public(), key.Public()) {
				t.Fatal("reopened: ", err)
			}
			e, err := c.reference.Encapsulate(ctx, s.ID(), [][]byte{key.Public()})
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []suite.HPKEKey{key, again, theirs[0]} {
				if got, err := key.Decapsulate(ctx, e[0].Enc); err != nil || !bytes.Equal(got, e[0].SharedSecret) {
					t.Fatal(err)
				}
			}
			for j := range i {
				if bytes.Equal(list[j].Public(), key.Public()) {
					t.Fatal("same key twice")
				}
			}
		}
	})
}

// invalid returns HPKE public keys that must be refused everywhere.
func (c *contract) invalid(t *testing.T, s *suite.Suite) map[string][]byte {
	good := mustHPKEKey(t, c.k, s.ID()).Public()
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

func (c *contract) badPublicKeys(t *testing.T) {
	c.eachSuite(t, func(t *testing.T, s *suite.Suite) {
		key := mustHPKEKey(t, c.k, s.ID())
		for name, public := range c.invalid(t, s) {
			list := make([][]byte, 12)
			for i := range list {
				list[i] = key.Public()
			}
			list[5], list[9] = public, public
			if bad, err := c.k.ValidateHPKEKeys(ctx, s.ID(), list); bad != 5 || err != nil {
				t.Errorf("%s: ValidateHPKEKeys: %d %v", name, bad, err)
			}
			_, err := c.k.Encapsulate(ctx, s.ID(), list)
			if !errors.Is(err, mlserr.InvalidPublicKey) || !strings.HasSuffix(err.Error(), "key 5") {
				t.Errorf("%s: Encapsulate: %v", name, err)
			}
			if secret, err := key.Decapsulate(ctx, public); secret != nil || !errors.Is(err, mlserr.DecryptionFailed) {
				t.Errorf("%s: Decapsulate: %v", name, err)
			}
			_, err = s.EncryptWithLabel(ctx, c.k, "Label", nil, []suite.Recipient{{PublicKey: public}})
			if !errors.Is(err, mlserr.InvalidPublicKey) {
				t.Errorf("%s: EncryptWithLabel: %v", name, err)
			}
			if _, _, err := s.EncapsulateExport(ctx, c.k, public, "context", 32); !errors.Is(err, mlserr.InvalidPublicKey) {
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

func (c *contract) encryptWithLabel(t *testing.T) {
	c.eachSuite(t, func(t *testing.T, s *suite.Suite) {
		groupContext := []byte("group context")
		if out, err := s.EncryptWithLabel(ctx, c.k, "UpdatePathNode", groupContext, nil); len(out) != 0 || err != nil {
			t.Fatal(out, err)
		}
		keys, recipients := make([]suite.HPKEKey, 10), make([]suite.Recipient, 10)
		for i := range keys {
			keys[i] = mustHPKEKey(t, c.k, s.ID())
			recipients[i] = suite.Recipient{PublicKey: keys[i].Public(), Plaintext: suite.Random(i * 8)}
		}
		out, err := s.EncryptWithLabel(ctx, c.k, "UpdatePathNode", groupContext, recipients)
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

func (c *contract) export(t *testing.T) {
	c.eachSuite(t, func(t *testing.T, s *suite.Suite) {
		key := mustHPKEKey(t, c.k, s.ID())
		enc, secret, err := s.EncapsulateExport(ctx, c.k, key.Public(), "MLS 1.0 external init secret", s.HashSize())
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
