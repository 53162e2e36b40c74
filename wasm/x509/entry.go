//go:build js && wasm

package main

import (
	"errors"
	"runtime"
	"syscall/js"

	"webmls/mls/mlserr"
)

var uint8Array = js.Global().Get("Uint8Array")

// entry makes of a method what JavaScript may call: it returns {value} or
// {fault}, and never panics. A method computes and waits for nothing, so that
// a callback may carry it out.
func entry(method func(params []js.Value) (any, error)) js.Func {
	return js.FuncOf(func(_ js.Value, params []js.Value) any {
		value, err := carryOut(method, params)
		if err != nil {
			return map[string]any{"fault": faultValue(err)}
		}
		return map[string]any{"value": value}
	})
}

// carryOut turns a panic into an error: a fault of this module fails one call,
// and the program goes on. Code: INTERNAL.
func carryOut(method func(params []js.Value) (any, error), params []js.Value) (value any, err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		detail := "panic"
		switch r := r.(type) {
		case error:
			detail = r.Error()
		case string:
			detail = r
		}
		stack := make([]byte, 16<<10)
		stack = stack[:runtime.Stack(stack, false)]
		js.Global().Get("console").Call("error", "webmls/x509: "+detail+"\n"+string(stack))
		value, err = nil, mlserr.New(mlserr.Internal, detail)
	}()
	return method(params)
}

// faultValue is the form in which an error crosses: {code, detail}, the
// interface Fault of js/src/x509-program.ts.
func faultValue(err error) any {
	e, ok := errors.AsType[*mlserr.Error](err)
	if !ok {
		e = mlserr.New(mlserr.Internal, err.Error())
	}
	detail := e.Detail
	if e.Err != nil {
		detail += ": " + e.Err.Error()
	}
	return map[string]any{"code": string(e.Code), "detail": detail}
}

// bytesOf copies a Uint8Array. It panics on anything else: js/src/x509.ts sends nothing else.
func bytesOf(v js.Value) []byte {
	b := make([]byte, v.Length())
	js.CopyBytesToGo(b, v)
	return b
}
