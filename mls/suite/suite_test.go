package suite

import (
	"bytes"
	"crypto/hkdf"
	"encoding/hex"
	"errors"
	"hash"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/wire"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	*h = make([]byte, hex.DecodedLen(len(text)))
	_, err := hex.Decode(*h, text)
	return err
}

func mustLookup(t testing.TB, id ID) *Suite {
	t.Helper()
	s, err := Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTable(t *testing.T) {
	want := []struct {
		id         ID
		name       string
		nh, nk, nn int
		kem        uint16
	}{
		{1, "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519", 32, 16, 12, 0x20},
		{2, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256", 32, 16, 12, 0x10},
		{3, "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519", 32, 32, 12, 0x20},
		{4, "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448", 64, 32, 12, 0x21},
		{5, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521", 64, 32, 12, 0x12},
		{6, "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448", 64, 32, 12, 0x21},
		{7, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384", 48, 32, 12, 0x11},
	}
	all := All()
	if len(all) != len(want) {
		t.Fatal(all)
	}
	for i, w := range want {
		s := mustLookup(t, w.id)
		if all[i] != w.id || s.ID() != w.id || w.id.String() != w.name || s.HashSize() != w.nh ||
			s.KeySize() != w.nk || s.NonceSize() != w.nn || s.KEM().ID != w.kem {
			t.Errorf("%d: %+v", i, s)
		}
		if again := mustLookup(t, w.id); again != s {
			t.Errorf("%v: not one value", w.id)
		}
	}
	for _, id := range []ID{0, 8, 0x0a0a, 0xffff} {
		if _, err := Lookup(id); !errors.Is(err, mlserr.UnknownSuite) {
			t.Errorf("%v: %v", id, err)
		}
	}
}

func TestMAC(t *testing.T) {
	for _, id := range All() {
		s := mustLookup(t, id)
		key, message := Random(s.HashSize()), []byte("a message in two parts")
		tag := s.MAC(key, message)
		if len(tag) != s.HashSize() {
			t.Fatalf("%v: tag of %d bytes", id, len(tag))
		}
		if split := s.MAC(key, message[:5], nil, message[5:]); !bytes.Equal(split, tag) {
			t.Errorf("%v: parts change the MAC", id)
		}
		if !s.VerifyMAC(key, tag, message) || !s.VerifyMAC(key, tag, message[:9], message[9:]) {
			t.Errorf("%v: right tag refused", id)
		}
		for name, bad := range map[string][]byte{
			"nil": nil, "empty": {}, "one byte": tag[:1], "n-1": tag[:len(tag)-1],
			"n+1": append(bytes.Clone(tag), 0), "twice": append(bytes.Clone(tag), tag...),
			"tail": tag[1:], "zeros": make([]byte, len(tag)),
		} {
			if s.VerifyMAC(key, bad, message) {
				t.Errorf("%v: %s: accepted (S1)", id, name)
			}
		}
		for i := range tag {
			bad := bytes.Clone(tag)
			bad[i] ^= 0x80
			if s.VerifyMAC(key, bad, message) {
				t.Errorf("%v: flipped byte %d accepted", id, i)
			}
		}
		if s.VerifyMAC(key, tag, message[:len(message)-1]) || s.VerifyMAC(key[1:], tag, message) {
			t.Errorf("%v: tag of another message or key accepted", id)
		}
	}
}

func TestHash(t *testing.T) {
	for _, id := range All() {
		s := mustLookup(t, id)
		h := newHash(s.nh)
		h.Write([]byte("abcdef"))
		want := h.Sum(nil)
		for _, parts := range [][][]byte{{[]byte("abcdef")}, {[]byte("abc"), []byte("def")}, {nil, []byte("abcdef"), {}}} {
			if got := s.Hash(parts...); !bytes.Equal(got, want) {
				t.Errorf("%v: %d parts: %x", id, len(parts), got)
			}
		}
		if got := s.Hash(); !bytes.Equal(got, newHash(s.nh).Sum(nil)) {
			t.Errorf("%v: no parts: %x", id, got)
		}
	}
}

// TestExpand compares with crypto/hkdf at every length around the block size.
func TestExpand(t *testing.T) {
	for _, id := range All() {
		s := mustLookup(t, id)
		secret, context := Random(s.HashSize()), Random(300)
		n := s.HashSize()
		for _, length := range []int{0, 1, 12, n - 1, n, n + 1, 2*n - 1, 2 * n, 2*n + 1, s.MaxExpand() - 1, s.MaxExpand()} {
			var w wire.Writer
			w.Uint16(uint16(length))
			w.Opaque([]byte("MLS 1.0 label"))
			w.Opaque(context)
			want, err := hkdf.Expand(func() hash.Hash { return newHash(s.nh) }, secret, string(w.Bytes()), length)
			if err != nil {
				t.Fatal(err)
			}
			got := s.ExpandWithLabel(secret, "label", context, length)
			if !bytes.Equal(got, want) || cap(got) != length {
				t.Errorf("%v: length %d", id, length)
			}
		}
		for _, length := range []int{-1, s.MaxExpand() + 1} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%v: length %d did not panic", id, length)
					}
				}()
				s.ExpandWithLabel(secret, "label", context, length)
			}()
		}
		for _, salt := range [][]byte{nil, {}, make([]byte, n), Random(n), Random(200)} {
			want, err := hkdf.Extract(func() hash.Hash { return newHash(s.nh) }, secret, salt)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Extract(salt, secret); !bytes.Equal(got, want) {
				t.Errorf("%v: salt of %d bytes", id, len(salt))
			}
		}
	}
}

func TestSealOpen(t *testing.T) {
	for _, id := range All() {
		s := mustLookup(t, id)
		key, nonce, aad, plaintext := Random(s.KeySize()), Random(s.NonceSize()), []byte("aad"), []byte("plaintext")
		ciphertext := s.Seal(key, nonce, aad, plaintext)
		if len(ciphertext) != len(plaintext)+16 {
			t.Fatalf("%v: %d bytes", id, len(ciphertext))
		}
		if got, err := s.Open(key, nonce, aad, ciphertext); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("%v: %q %v", id, got, err)
		}
		refused := func(name string, key, nonce, aad, ciphertext []byte) {
			t.Helper()
			got, err := s.Open(key, nonce, aad, ciphertext)
			if got != nil || err == nil || err.Error() != errOpen.Error() || !errors.Is(err, mlserr.DecryptionFailed) {
				t.Errorf("%v: %s: %q %v", id, name, got, err)
			}
		}
		for n := range ciphertext {
			refused("prefix", key, nonce, aad, ciphertext[:n])
			bad := bytes.Clone(ciphertext)
			bad[n] ^= 1
			refused("flipped bit", key, nonce, aad, bad)
		}
		refused("longer", key, nonce, aad, append(bytes.Clone(ciphertext), 0))
		refused("aad", key, nonce, nil, ciphertext)
		for _, n := range []int{0, 16, 24, 32, s.KeySize() - 1, s.KeySize() + 1} {
			refused("key", make([]byte, n), nonce, aad, ciphertext)
		}
		for _, n := range []int{0, 11, 13} {
			refused("nonce", key, make([]byte, n), aad, ciphertext)
		}
	}
}

func TestSignContentEncoding(t *testing.T) {
	s := mustLookup(t, X25519AES128SHA256Ed25519)
	for _, n := range []int{0, 1, 63, 64, 16383, 16384} {
		content := Random(n)
		var w wire.Writer
		w.Opaque([]byte("MLS 1.0 LeafNodeTBS"))
		w.Opaque(content)
		if got := s.SignContent("LeafNodeTBS", content); !bytes.Equal(got, w.Bytes()) {
			t.Errorf("content of %d bytes", n)
		}
		if got := encryptContext("LeafNodeTBS", content); !bytes.Equal(got, w.Bytes()) {
			t.Errorf("context of %d bytes", n)
		}
	}
}

// TestInPlace: what is written in the place of the input is what its twin makes.
func TestInPlace(t *testing.T) {
	s := mustLookup(t, 1)
	for _, n := range []int{0, 1, 63, 64, 16383, 16384, 100000} {
		content := Random(n)
		in := append(make([]byte, SignContentRoom), content...)
		if got, want := s.SignContentIn("LeafNodeTBS", in), s.SignContent("LeafNodeTBS", content); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: SignContentIn is not SignContent", n)
		}
	}
	for _, id := range All() {
		s := mustLookup(t, id)
		key, nonce, aad, text := Random(s.KeySize()), Random(s.NonceSize()), Random(5), Random(100)
		want := s.Seal(key, nonce, aad, text)
		if len(want) != len(text)+TagSize {
			t.Errorf("%s: the tag has %d bytes", s.name, len(want)-len(text))
		}
		for room := range TagSize + 2 {
			plaintext := append(make([]byte, 0, len(text)+room), text...)
			got := s.SealInPlace(key, nonce, aad, plaintext)
			if !bytes.Equal(got, want) {
				t.Errorf("%s, room %d: SealInPlace is not Seal", s.name, room)
			}
			if bytes.Contains(plaintext, text[:8]) {
				t.Errorf("%s, room %d: the plaintext is left", s.name, room)
			}
		}
	}
}

func TestWipe(t *testing.T) {
	a, b := []byte{1, 2, 3}, []byte{4}
	Wipe(a, nil, b)
	if !bytes.Equal(a, make([]byte, 3)) || b[0] != 0 {
		t.Error(a, b)
	}
}

func BenchmarkSymmetric(b *testing.B) {
	s := mustLookup(b, X25519AES128SHA256Ed25519)
	secret, context, kilobyte := Random(32), Random(100), Random(1024)
	nonce := Random(12)
	for _, c := range []struct {
		name string
		f    func()
	}{
		{"Hash/64", func() { s.Hash(kilobyte[:64]) }},
		{"MAC/64", func() { s.MAC(secret, kilobyte[:64]) }},
		{"DeriveSecret", func() { s.DeriveSecret(secret, "init") }},
		{"DeriveTreeSecret", func() { s.DeriveTreeSecret(secret, "key", 7, 16) }},
		{"ExpandWithLabel/100", func() { s.ExpandWithLabel(secret, "epoch", context, 32) }},
		{"RefHash/1024", func() { s.KeyPackageRef(kilobyte) }},
		{"Seal/1024", func() { s.Seal(secret[:16], nonce, context, kilobyte) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.f()
			}
		})
	}
}
