//go:build js && wasm

package hostkeys

import (
	"context"
	"time"

	"webmls/mls/suite"
)

// VerifyOnHost is Verify without a choice.
func (k *Keys) VerifyOnHost(ctx context.Context, id suite.ID, list []suite.Verification) (int, error) {
	return k.signature[id].verify(ctx, list)
}

// EncapsulateOnHost is Encapsulate without a choice.
func (k *Keys) EncapsulateOnHost(ctx context.Context, id suite.ID, publicKeys [][]byte) ([]suite.Encapsulation, error) {
	return k.group[id].encapsulate(ctx, publicKeys)
}

// ForgetPaces has everything be undecided, so that short lists are the host's.
func ForgetPaces() {
	for _, p := range []*pace{&paces.verify, &paces.encapsulate} {
		p.mu.Lock()
		p.best, p.count = [2]time.Duration{}, [2]int{}
		p.mu.Unlock()
	}
}
