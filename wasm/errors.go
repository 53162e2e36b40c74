//go:build js && wasm

package main

import (
	"errors"
	"syscall/js"

	"webmls/mls/mlserr"
)

// errorValue is the form in which an error crosses: the interface ErrorValue of
// js/src/errors.ts, of which that makes a typed class.
func errorValue(err error) map[string]any {
	e := described(err)
	info := e.Code.Info()
	return map[string]any{
		"code": string(e.Code), "class": info.Class.String(), "section": info.Section, "rule": info.Text,
		"detail": detailOf(e), "op": e.Op,
	}
}

// described returns the *mlserr.Error of a chain whose code says most: the
// outermost, except that it gives way to what the host said itself.
func described(err error) *mlserr.Error {
	e, ok := errors.AsType[*mlserr.Error](err)
	if !ok {
		return mlserr.New(mlserr.CodeOf(err), err.Error())
	}
	if inner, ok := errors.AsType[*mlserr.Error](e.Err); ok && givesWay(e.Code, inner.Code) {
		return &mlserr.Error{Code: inner.Code, Op: e.Op, Detail: inner.Detail, Err: inner.Err}
	}
	return e
}

// givesWay reports whether the code inner of a cause says more than outer: the
// way in which the store failed; that the application did not refuse, but
// failed or was not waited for.
func givesWay(outer, inner mlserr.Code) bool {
	switch outer {
	case mlserr.StoreFailed:
		return inner.Info().Class == mlserr.ClassStorage
	case mlserr.CredentialRejected, mlserr.SuccessorRejected:
		return inner == mlserr.Authenticator || inner == mlserr.Cancelled
	}
	return false
}

// detailOf joins the details along the chain of causes.
func detailOf(e *mlserr.Error) string {
	detail := e.Detail
	for cause := e.Err; cause != nil; {
		text := cause.Error()
		var next error
		if c, ok := cause.(*mlserr.Error); ok {
			text, next = string(c.Code), c.Err
			if c.Detail != "" {
				text += ": " + c.Detail
			}
		}
		if detail != "" {
			detail += ": "
		}
		detail, cause = detail+text, next
	}
	return detail
}

// thrown is what JavaScript threw, or rejected a promise with. The host throws
// {code, detail}, with a code of the table; anything else is INTERNAL.
func thrown(v js.Value) error {
	if typeOf(v) != js.TypeObject {
		return mlserr.New(mlserr.Internal, "JavaScript threw a "+typeOf(v).String())
	}
	if code := v.Get("code"); code.Type() == js.TypeString {
		for _, row := range mlserr.Table() {
			if string(row.Code) == code.String() {
				return mlserr.New(row.Code, v.Get("detail").String())
			}
		}
	}
	return mlserr.New(mlserr.Internal, v.Get("name").String()+": "+v.Get("message").String())
}
