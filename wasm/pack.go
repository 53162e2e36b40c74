//go:build js && wasm

package main

import (
	"strconv"
	"syscall/js"
)

// crossing is the form in which a result crosses: nothing, numbers and bytes as
// they are, all else packed, in an ArrayBuffer. A value of JavaScript for each of
// its parts would cost more than most methods do.
func crossing(v any) js.Value {
	switch v := v.(type) {
	case nil:
		return js.Undefined()
	case []byte:
		return uint8ArrayOf(v)
	case []any, map[string]any:
		return uint8ArrayOf(pack(v)).Get("buffer")
	}
	return js.ValueOf(v)
}

// pack makes of a value what js/src/host/pack.ts unpacks: the length of its JSON,
// four bytes, and that, in which all bytes are places in what is behind it.
func pack(v any) []byte {
	p := &packer{json: make([]byte, 4, 512)}
	p.value(v)
	n := len(p.json) - 4
	p.json[0], p.json[1], p.json[2], p.json[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return append(p.json, p.bytes...)
}

type packer struct{ json, bytes []byte }

func (p *packer) raw(text string) { p.json = append(p.json, text...) }

func (p *packer) value(v any) {
	switch v := v.(type) {
	case bool:
		p.raw(strconv.FormatBool(v))
	case int:
		p.raw(strconv.Itoa(v))
	case string:
		p.text(v)
	case []byte:
		p.raw(`{"bytes":[`)
		p.raw(strconv.Itoa(len(p.bytes)))
		p.raw(",")
		p.raw(strconv.Itoa(len(v)))
		p.raw("]}")
		p.bytes = append(p.bytes, v...)
	case []any:
		p.raw("[")
		for i, part := range v {
			if i > 0 {
				p.raw(",")
			}
			p.value(part)
		}
		p.raw("]")
	case map[string]any:
		p.raw("{")
		separator := ""
		for name, part := range v {
			if part == nil { // absent
				continue
			}
			p.raw(separator)
			p.text(name)
			p.raw(":")
			p.value(part)
			separator = ","
		}
		p.raw("}")
	default:
		panic("a value that does not cross")
	}
}

// text appends a string of JSON. What is no UTF-8 in it is U+FFFD over there.
func (p *packer) text(text string) {
	p.raw(`"`)
	for _, c := range []byte(text) {
		if c < ' ' || c == '"' || c == '\\' {
			p.raw(`\u00`)
			p.json = append(p.json, '0'+c>>4, "0123456789abcdef"[c&15])
		} else {
			p.json = append(p.json, c)
		}
	}
	p.raw(`"`)
}
