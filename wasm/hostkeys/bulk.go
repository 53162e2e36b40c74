//go:build js && wasm

package hostkeys

import (
	"context"
	"crypto/sha256"
	"syscall/js"
)

// Bulk is suite.Bulk over WebCrypto.
type Bulk struct {
	// Calls a method of WebCrypto, whose caller has no context.
	await func(method string, params ...any) (js.Value, error)
}

// NewBulk returns the Bulk of this browser, and false where it has no WebCrypto.
func NewBulk(await Await) (b *Bulk, ok bool) {
	subtle := js.Global().Get("crypto").Get("subtle")
	return &Bulk{func(method string, params ...any) (js.Value, error) {
		return await(context.Background(), subtle, method, params...)
	}}, subtle.Truthy()
}

// Hash implements suite.Bulk, for SHA-256.
func (b *Bulk) Hash(nh int, parts [][]byte) (sum []byte, ok bool) {
	if nh != sha256.Size {
		return nil, false
	}
	size, at := 0, 0
	for _, p := range parts {
		size += len(p)
	}
	input := uint8Array.New(size)
	for _, p := range parts {
		js.CopyBytesToJS(input.Call("subarray", at), p)
		at += len(p)
	}
	v, err := b.await("digest", "SHA-256", input)
	input.Call("fill", 0)
	return fromBuffer(v, err)
}

// SealAESGCM implements suite.Bulk.
func (b *Bulk) SealAESGCM(key, nonce, aad, plaintext []byte) (ciphertext []byte, ok bool) {
	return b.aesGCM("encrypt", key, nonce, aad, plaintext)
}

// OpenAESGCM implements suite.Bulk.
func (b *Bulk) OpenAESGCM(key, nonce, aad, ciphertext []byte) (plaintext []byte, ok bool) {
	return b.aesGCM("decrypt", key, nonce, aad, ciphertext)
}

func (b *Bulk) aesGCM(method string, key, nonce, aad, text []byte) ([]byte, bool) {
	raw := toHost(key)
	handle, err := b.await("importKey", "raw", raw, "AES-GCM", false, []any{method})
	raw.Call("fill", 0)
	if err != nil {
		return nil, false
	}
	algorithm := map[string]any{"name": "AES-GCM", "iv": toHost(nonce), "additionalData": toHost(aad)}
	input := toHost(text)
	v, err := b.await(method, algorithm, handle, input)
	input.Call("fill", 0)
	return fromBuffer(v, err)
}

// fromBuffer copies an ArrayBuffer that a promise came to, and wipes it.
func fromBuffer(buffer js.Value, err error) ([]byte, bool) {
	if err != nil {
		return nil, false
	}
	v := uint8Array.New(buffer)
	defer v.Call("fill", 0)
	return fromHost(v), true
}
