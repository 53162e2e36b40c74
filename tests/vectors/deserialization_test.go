package vectors_test

import (
	"testing"

	"webmls/mls/wire"
	"webmls/tests/vectors"
)

func TestDeserialization(t *testing.T) {
	run(t, "deserialization", 14, checkDeserialization)
}

func checkDeserialization(t *testing.T, c vectors.Deserialization) {
	r := wire.NewReader(c.VLBytesHeader)
	got := r.Varint()
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	if got != c.Length {
		t.Errorf("length %d, want %d", got, c.Length)
	}
	equal(t, "encoded again", wire.AppendVarint(nil, got), c.VLBytesHeader)
}
