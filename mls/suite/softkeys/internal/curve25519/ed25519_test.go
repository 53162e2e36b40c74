package curve25519

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"math/big"
	"testing"

	"filippo.io/edwards25519"
)

var bigOrder = func() *big.Int {
	c, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	return c.Add(c, new(big.Int).Lsh(big.NewInt(1), 252))
}()

func toLittleEndian(n *big.Int, size int) []byte { return reversed(n.FillBytes(make([]byte, size))) }

// TestEd25519Vectors: RFC 8032, Section 7.1.
func TestEd25519Vectors(t *testing.T) {
	read := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, v := range [][4]string{
		{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
		{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
		{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
	} {
		key, message := NewSigningKey((*[32]byte)(read(v[0]))), read(v[2])
		if public := key.Public(); hex.EncodeToString(public[:]) != v[1] {
			t.Errorf("public key %x, want %s", public, v[1])
		}
		if signature := key.Sign(message); hex.EncodeToString(signature[:]) != v[3] {
			t.Errorf("signature %x, want %s", signature, v[3])
		}
		if !Verify(read(v[1]), message, read(v[3])) {
			t.Error("does not verify")
		}
	}
}

// TestEd25519 compares with crypto/ed25519: keys, signatures, and what becomes of
// them with a changed bit.
func TestEd25519(t *testing.T) {
	verify := func(public, message, signature []byte) bool {
		t.Helper()
		got := Verify(public, message, signature)
		if want := ed25519.Verify(public, message, signature); got != want {
			t.Fatalf("public key %x, message %x, signature %x: %v, want %v", public, message, signature, got, want)
		}
		return got
	}
	for range 60 {
		seed, message := randomBytes(), make([]byte, random.IntN(300))
		for i := range message {
			message[i] = byte(random.Uint32())
		}
		theirs, ours := ed25519.NewKeyFromSeed(seed[:]), NewSigningKey(&seed)
		public, want := ours.Public(), ed25519.Sign(theirs, message)
		if !bytes.Equal(public[:], theirs[32:]) {
			t.Fatalf("public key %x of seed %x", public, seed)
		}
		signature := ours.Sign(message)
		if !bytes.Equal(signature[:], want) {
			t.Fatalf("signature %x, want %x", signature, want)
		}
		if !verify(public[:], message, signature[:]) {
			t.Fatal("does not verify")
		}
		verify(public[:], append(message, 0), signature[:])
		for range 8 {
			bad, badKey := signature, public
			bad[random.IntN(len(bad))] ^= 1 << random.IntN(8)
			badKey[random.IntN(len(badKey))] ^= 1 << random.IntN(8)
			if verify(public[:], message, bad[:]) || verify(badKey[:], message, signature[:]) {
				t.Error("a changed bit verifies")
			}
		}
		for k := int64(1); k <= 8; k++ {
			s := littleEndian(signature[32:])
			if s.Add(s, new(big.Int).Mul(bigOrder, big.NewInt(k))); s.BitLen() <= 256 &&
				verify(public[:], message, append(bytes.Clone(signature[:32]), toLittleEndian(s, 32)...)) {
				t.Errorf("S + %d times the order verifies", k)
			}
		}
	}

	key := NewSigningKey(&[32]byte{1})
	public, signature := key.Public(), key.Sign(nil)
	for n := range 33 {
		if n < 32 && Verify(public[:n], nil, signature[:]) {
			t.Errorf("verifies for the first %d bytes of the key", n)
		}
		if Verify(public[:], nil, signature[:2*n]) != (n == 32) {
			t.Errorf("the first %d bytes of a signature", 2*n)
		}
	}
	if Verify(append(public[:], 0), nil, signature[:]) || Verify(public[:], nil, append(signature[:], 0)) {
		t.Error("a byte behind the end is no fault")
	}
}

// TestEd25519LowOrder: for public keys and R of low order, reduced or not, with either
// sign, what verifies is what crypto/ed25519 verifies. There S = 0 makes a
// signature of whoever wants.
func TestEd25519LowOrder(t *testing.T) {
	var encodings [][]byte
	for k := int64(0); k < 38; k++ {
		// 0, 1, and so on, and p, p+1, and so on up to 2^255-1.
		n := big.NewInt(k)
		if k >= 19 {
			n.Add(prime, big.NewInt(k-19))
		}
		encodings = append(encodings, toLittleEndian(n, 32))
	}
	encodings = append(encodings, toLittleEndian(new(big.Int).Sub(prime, big.NewInt(1)), 32))
	for _, order8 := range []string{
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		b, err := hex.DecodeString(order8)
		if err != nil {
			t.Fatal(err)
		}
		encodings = append(encodings, b)
	}
	for _, b := range encodings {
		negative := bytes.Clone(b)
		negative[31] |= 0x80
		encodings = append(encodings, negative)
	}
	verified := 0
	for i, a := range encodings {
		for j, r := range encodings {
			message, signature := []byte{byte(i), byte(j)}, append(bytes.Clone(r), make([]byte, 32)...)
			got, want := Verify(a, message, signature), ed25519.Verify(a, message, signature)
			if got != want {
				t.Fatalf("public key %x, R %x: %v, want %v", a, r, got, want)
			}
			if got {
				verified++
			}
		}
	}
	if verified < 10 {
		t.Errorf("%d verify", verified)
	}
	// A point of order 8 added to an honest key.
	key := NewSigningKey(&[32]byte{2})
	public := key.Public()
	a, err1 := new(edwards25519.Point).SetBytes(public[:])
	eight, err2 := new(edwards25519.Point).SetBytes(encodings[39])
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	mixed, agreed := [32]byte(a.Add(a, eight).Bytes()), 0
	for n := range 64 {
		message := []byte{byte(n)}
		// The signature that the owner makes for the mixed key.
		mixedKey := *key
		mixedKey.public = mixed
		signature := mixedKey.Sign(message)
		got, want := Verify(mixed[:], message, signature[:]), ed25519.Verify(mixed[:], message, signature[:])
		if got != want {
			t.Fatalf("key with a part of order 8, message %d: %v, want %v", n, got, want)
		}
		if got {
			agreed++
		}
	}
	if agreed == 0 || agreed == 64 {
		t.Errorf("%d of 64 signatures verify with a key with a part of order 8", agreed)
	}
}

func BenchmarkEd25519(b *testing.B) {
	seed, message := randomBytes(), make([]byte, 300)
	ours, theirs := NewSigningKey(&seed), ed25519.NewKeyFromSeed(seed[:])
	public, signature := ours.Public(), ours.Sign(message)
	Verify(public[:], message, signature[:])
	for name, f := range map[string]func(){
		"NewSigningKey/ours": func() { NewSigningKey(&seed) },
		"NewSigningKey/std":  func() { ed25519.NewKeyFromSeed(seed[:]) },
		"Sign/ours":          func() { ours.Sign(message) },
		"Sign/std":           func() { ed25519.Sign(theirs, message) },
		"Verify/ours":        func() { Verify(public[:], message, signature[:]) },
		"Verify/std":         func() { ed25519.Verify(public[:], message, signature[:]) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
}
