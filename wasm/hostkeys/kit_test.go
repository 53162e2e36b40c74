//go:build js && wasm

package hostkeys_test

import (
	"crypto/ecdh"
	"encoding/base64"
)

// exchange is X25519 of the standard library.
func exchange(private, public []byte) ([]byte, error) {
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	peer, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	return key.ECDH(peer)
}

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
