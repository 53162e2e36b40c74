//go:build js && wasm

package hostkeys_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"slices"
	"testing"

	"webmls/mls/suite"
	"webmls/wasm/hostkeys"
	"webmls/wasm/hostkeys/hostkeystest"
)

// TestBulk: WebCrypto hashes and seals as Go does.
func TestBulk(t *testing.T) {
	b, ok := hostkeys.NewBulk(hostkeystest.Await)
	if !ok {
		t.Fatal("no WebCrypto")
	}
	text, aad, nonce := suite.Random(100_003), suite.Random(33), suite.Random(12)
	before, want := bytes.Clone(text), sha256.Sum256(text)
	if got, ok := b.Hash(32, [][]byte{text[:1], nil, text[1:60_000], text[60_000:]}); !ok || !bytes.Equal(got, want[:]) {
		t.Errorf("hash of %d bytes: %x, want %x", len(text), got, want)
	}
	if !bytes.Equal(text, before) {
		t.Fatal("the input was changed")
	}
	if _, ok := b.Hash(64, [][]byte{text}); ok {
		t.Error("SHA-512 is none of its")
	}
	for _, size := range []int{16, 32} {
		key := suite.Random(size)
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		for _, aad := range [][]byte{nil, aad} {
			want := aead.Seal(nil, nonce, text, aad)
			sealed, ok := b.SealAESGCM(key, nonce, aad, text)
			if !ok || !bytes.Equal(sealed, want) {
				t.Fatalf("key of %d bytes: another ciphertext", size)
			}
			if opened, ok := b.OpenAESGCM(key, nonce, aad, want); !ok || !bytes.Equal(opened, text) {
				t.Errorf("key of %d bytes: it does not open", size)
			}
			forged := slices.Clone(want)
			forged[len(forged)-1] ^= 1
			if _, ok := b.OpenAESGCM(key, nonce, aad, forged); ok {
				t.Errorf("key of %d bytes: a forgery opens", size)
			}
		}
	}
	if _, ok := b.SealAESGCM(suite.Random(7), nonce, nil, text); ok {
		t.Error("a key of 7 bytes is one")
	}
}
