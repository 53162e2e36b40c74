//go:build js && wasm

// Command wasm is package mls for JavaScript: it hands the table of methods
// (methods.go) to the program that loaded it and runs until that stops it.
//
// It owns the crossing: promises, panics, bytes, results and errors, one file each, and
// the parts of the browser that the protocol asks for: storage (host_store.go),
// keys (package hostkeys) and the application's trust (host_auth.go). It must not
// know the rules of the protocol, nor IndexedDB, workers or the API: those are
// in js/src.
package main

import (
	"runtime/debug"
	"syscall/js"

	"webmls/mls/suite"
	"webmls/wasm/hostkeys"
)

// version is that of the npm package; js/src/bridge.ts holds the same, and
// refuses another.
const version = "0.1.0"

// hostSymbol is the key, in the registry of symbols, of the global property
// under which runtime.ts leaves the host object while this program starts.
const hostSymbol = "webmls.host"

// host is the interface Host of js/src/runtime.ts.
var host js.Value

func main() {
	// One core collects and works: half as often, for 14 MB instead of 10 with a
	// group of 1,000, and as much as before with one of 4,000.
	debug.SetGCPercent(200)
	symbol := js.Global().Get("Symbol").Call("for", hostSymbol)
	host = js.Global().Get("Reflect").Call("get", js.Global(), symbol)
	if bulk, ok := hostkeys.NewBulk(await); ok {
		suite.UseBulk(bulk)
	}
	stop := make(chan struct{})
	host.Call("ready", map[string]any{
		"call":    js.FuncOf(enter),
		"cancel":  js.FuncOf(cancel),
		"changed": js.FuncOf(changed),
		"settle":  js.FuncOf(settle),
		"version": js.FuncOf(func(js.Value, []js.Value) any { return version }),
		"stop": js.FuncOf(func(js.Value, []js.Value) any {
			close(stop)
			return nil
		}),
	})
	<-stop
}
