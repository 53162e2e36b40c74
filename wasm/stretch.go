//go:build js && wasm

package main

import (
	"golang.org/x/crypto/argon2"

	"webmls/mls/mlserr"
)

// The costs that stretch takes: more would be a mistake, or an attack on whoever
// opens a database, since the memory of a wasm program never shrinks.
const (
	maxPasses = 64
	maxMemory = 256 << 10 // KiB
)

// stretch derives 32 bytes from a passphrase by Argon2id (RFC 9106) with one
// lane, and wipes it. memory is in KiB. Code: INVALID_ARGUMENT.
func stretch(password, salt []byte, passes, memory uint32) ([]byte, error) {
	defer clear(password)
	if len(salt) < 16 || passes < 1 || passes > maxPasses || memory < 8 || memory > maxMemory {
		return nil, mlserr.New(mlserr.InvalidArgument, "argon2id: salt or cost out of bounds")
	}
	return argon2.IDKey(password, salt, passes, memory, 1, 32), nil
}
