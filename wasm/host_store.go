//go:build js && wasm

package main

import (
	"context"
	"syscall/js"

	"webmls/mls"
)

// hostStore is mls.Store over the interface HostStore of js/src/host/store.ts.
// Scopes cross in hexadecimal, because they may hold any bytes; revisions as
// numbers, which are exact up to 2^53.
type hostStore struct{ object js.Value }

// Load implements mls.Store. Codes: those of the host.
func (s hostStore) Load(ctx context.Context, scope mls.Scope) (mls.Records, mls.Rev, error) {
	v, err := await(ctx, s.object, "load", scopeValue(scope))
	if err != nil {
		return nil, 0, err
	}
	names, values := v.Get("names"), v.Get("values")
	records := make(mls.Records, names.Length())
	for i := range names.Length() {
		records[names.Index(i).String()] = copyBytes(values.Index(i))
	}
	return records, mls.Rev(v.Get("revision").Float()), nil
}

// Commit implements mls.Store. It does not stop when ctx ends: what the host
// has begun, it finishes, and its outcome must be known. Codes: those of the
// host, STALE among them.
func (s hostStore) Commit(ctx context.Context, b mls.Batch) error {
	changes := make([]any, len(b.Changes))
	for i := range b.Changes {
		c := &b.Changes[i]
		names, values := make([]any, 0, len(c.Put)), make([]any, 0, len(c.Put))
		for name, record := range c.Put {
			names, values = append(names, name), append(values, bytesValue(record))
		}
		changes[i] = map[string]any{
			"scope": scopeValue(c.Scope), "base": float64(c.Base), "deleteAll": c.DeleteAll, "delete": textsValue(c.Delete),
			"names": names, "values": values,
		}
	}
	_, err := await(context.WithoutCancel(ctx), s.object, "commit", changes, textsValue(b.KeysKept), textsValue(b.KeysDropped))
	return err
}

// scopeValue is encoding/hex, which links package fmt.
func scopeValue(scope mls.Scope) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(scope))
	for i := range len(scope) {
		out = append(out, digits[scope[i]>>4], digits[scope[i]&15])
	}
	return string(out)
}

func textsValue(texts []string) []any {
	values := make([]any, len(texts))
	for i, text := range texts {
		values[i] = text
	}
	return values
}
