package suite

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"slices"
	"testing"
)

// testBulk does in Go what a host does, and counts what it was asked.
type testBulk struct {
	refuses       bool
	hashed, seals int
}

func (b *testBulk) Hash(nh int, parts [][]byte) ([]byte, bool) {
	b.hashed++
	sum := digest(nh, slices.Concat(parts...))
	return slices.Clone(sum[:nh]), !b.refuses
}

func (b *testBulk) SealAESGCM(key, nonce, aad, plaintext []byte) ([]byte, bool) {
	b.seals++
	return b.gcm(key).Seal(nil, nonce, plaintext, aad), !b.refuses
}

func (b *testBulk) OpenAESGCM(key, nonce, aad, ciphertext []byte) ([]byte, bool) {
	b.seals++
	plaintext, err := b.gcm(key).Open(nil, nonce, ciphertext, aad)
	return plaintext, err == nil && !b.refuses
}

func (b *testBulk) gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// TestBulk: whoever does long input, and whether it can or not, the results are
// the same; and short input is nobody's but Go's.
func TestBulk(t *testing.T) {
	defer UseBulk(nil)
	for i := range suites {
		s := &suites[i]
		key, nonce, aad := Random(s.nk), Random(nonceSize), Random(40)
		for _, size := range []int{0, 1, longAEAD - 1, longAEAD, longHash - 512, longHash, longHash + 77} {
			UseBulk(nil)
			text := Random(size)
			half := size / 2
			hash, hashOfParts := s.Hash(text), s.Hash(text[:half], text[half:])
			mac := s.MAC(key, aad, text)
			sealed := s.Seal(key, nonce, aad, text)
			forged := slices.Clone(sealed)
			forged[half] ^= 1
			if !bytes.Equal(hash, hashOfParts) {
				t.Fatal("a hash depends on the parts")
			}
			for _, b := range []*testBulk{{}, {refuses: true}} {
				UseBulk(b)
				if !bytes.Equal(s.Hash(text), hash) || !bytes.Equal(s.Hash(text[:half], text[half:]), hash) {
					t.Errorf("%v: another hash of %d bytes", s.id, size)
				}
				if !bytes.Equal(s.MAC(key, aad, text), mac) {
					t.Errorf("%v: another MAC of %d bytes", s.id, size)
				}
				if want := (map[bool]int{true: 3})[size >= longHash]; b.hashed != want {
					t.Errorf("%v: %d bytes were hashed there %d times, want %d", s.id, size, b.hashed, want)
				}
				if !bytes.Equal(s.Seal(key, nonce, aad, text), sealed) ||
					!bytes.Equal(s.SealInPlace(key, nonce, aad, append(make([]byte, 0, size+TagSize), text...)), sealed) {
					t.Errorf("%v: another ciphertext of %d bytes", s.id, size)
				}
				if opened, err := s.Open(key, nonce, aad, sealed); err != nil || !bytes.Equal(opened, text) {
					t.Errorf("%v: a ciphertext of %d bytes does not open: %v", s.id, size, err)
				}
				if _, err := s.Open(key, nonce, aad, forged); err != errOpen {
					t.Errorf("%v: a forged ciphertext of %d bytes: %v", s.id, size, err)
				}
				if asked := b.seals > 0; asked != (size+TagSize >= longAEAD && s.aeadID != aeadChaCha20Poly1305) {
					t.Errorf("%v: %d bytes were sealed there: %v", s.id, size, asked)
				}
			}
		}
	}
}
