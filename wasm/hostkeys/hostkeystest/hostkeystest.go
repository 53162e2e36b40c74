//go:build js && wasm

// Package hostkeystest is for tests of what runs on package hostkeys: it has the
// browser's side, js/src/host/keys.ts, which `make` puts into the folder bundle,
// and a store of keys in memory. It must not be imported outside of tests.
package hostkeystest

import (
	"context"
	"embed"
	"errors"
	"syscall/js"

	"webmls/mls/mlserr"
	"webmls/wasm/hostkeys"
)

//go:embed bundle
var bundle embed.FS

// ErrMissing is what Open returns where the bundle was not built.
var ErrMissing = errors.New("bundle/host.js is missing; run make wasm/hostkeys/hostkeystest/bundle/host.js")

// Open returns keys over the WebCrypto of this browser, and their HostKeys.
// settings, which may be nil, are properties of the HostKeys that are to be
// others, and those of its store.
func Open(ctx context.Context, settings map[string]any) (*hostkeys.Keys, js.Value, error) {
	source, err := bundle.ReadFile("bundle/host.js")
	if err != nil {
		return nil, js.Value{}, ErrMissing
	}
	module := js.Global().Get("Function").New(string(source) + "\nreturn host;").Invoke()
	object, err := Await(ctx, module, "open", settings)
	if err != nil {
		return nil, js.Value{}, err
	}
	return hostkeys.New(object, Await), object, nil
}

// Await is hostkeys.Await.
func Await(ctx context.Context, object js.Value, method string, params ...any) (js.Value, error) {
	type outcome struct {
		value js.Value
		err   error
	}
	settled := make(chan outcome, 1)
	fulfilled := js.FuncOf(func(_ js.Value, args []js.Value) any {
		settled <- outcome{value: args[0]}
		return nil
	})
	defer fulfilled.Release()
	rejected := js.FuncOf(func(_ js.Value, args []js.Value) any {
		code := mlserr.Internal
		if c := args[0].Get("code"); c.Type() == js.TypeString {
			code = mlserr.Code(c.String())
		}
		settled <- outcome{err: mlserr.New(code, args[0].Call("toString").String())}
		return nil
	})
	defer rejected.Release()
	object.Call(method, params...).Call("then", fulfilled, rejected)
	// A promise that is left would call what is released: none is left.
	o := <-settled
	return o.value, o.err
}
