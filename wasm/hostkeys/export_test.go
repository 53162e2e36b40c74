//go:build js && wasm

package hostkeys

import (
	"context"

	"webmls/mls/suite"
)

// VerifyOnHost is Verify without a choice.
func (k *Keys) VerifyOnHost(ctx context.Context, id suite.ID, list []suite.Verification) (int, error) {
	return k.of(signing, id).verify(ctx, list)
}

// EncapsulateOnHost is Encapsulate without a choice.
func (k *Keys) EncapsulateOnHost(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	return k.of(agreeing, id).encapsulate(ctx, publicKeys)
}

// ForgetPace has everything be the host's again.
func ForgetPace() {
	pace25519.mu.Lock()
	defer pace25519.mu.Unlock()
	pace25519.host, pace25519.faster = 0, false
}

// ForgetStrict has it be unknown whether the host is strict.
func ForgetStrict() { strict.refused = 0 }
