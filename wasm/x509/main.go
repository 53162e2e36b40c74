//go:build js && wasm

// Command x509 is package x509auth for JavaScript: it judges the certificate
// chains of X.509 credentials (RFC 9420, Section 5.3).
//
// It is a program of its own, which an application loads when it imports
// webmls/x509: crypto/x509 would add 0.44 MB of brotli to webmls.wasm. It owns
// the crossing, and reads the roots. It must not know how chains are judged,
// which is package x509auth, nor groups: all that crosses are certificates.
package main

import "syscall/js"

// version is that of the npm package; js/src/bridge.ts holds the same, and
// js/src/x509-program.ts refuses another.
const version = "0.1.0"

// hostSymbol is the key, in the registry of symbols, of the global property
// under which js/src/x509-program.ts leaves a function that takes this program.
const hostSymbol = "webmls.x509.ready"

func main() {
	symbol := js.Global().Get("Symbol").Call("for", hostSymbol)
	ready := js.Global().Get("Reflect").Call("get", js.Global(), symbol)
	stop := make(chan struct{})
	ready.Invoke(map[string]any{
		"version":      version,
		"open":         entry(open),
		"authenticate": entry(authenticate),
		"succeeds":     entry(succeeds),
		"identify":     entry(identify),
		"stop": js.FuncOf(func(js.Value, []js.Value) any {
			close(stop)
			return nil
		}),
	})
	<-stop
}
