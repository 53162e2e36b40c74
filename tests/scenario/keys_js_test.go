//go:build js && wasm

package scenario

import (
	"context"

	"webmls/mls/suite"
	"webmls/wasm/hostkeys/hostkeystest"
)

func newKeys() suite.Keys {
	k, _, err := hostkeystest.Open(context.Background(), nil)
	if err != nil {
		panic(err)
	}
	return k
}
