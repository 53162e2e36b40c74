package vectors_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"webmls/tests/vectors"
)

// TestOfficialComplete says in one place which official files are not as they
// should be. `make test` prints its skips.
func TestOfficialComplete(t *testing.T) {
	names := vectors.Names()
	if len(names) != 16 {
		t.Fatalf("%d sums are pinned, want 16", len(names))
	}
	missing := 0
	for _, name := range names {
		_, err := vectors.Official(strings.TrimSuffix(name, ".json"))
		switch {
		case errors.Is(err, vectors.ErrMissing):
			missing++
		case err != nil:
			t.Error(err)
		}
	}
	if missing == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%d of 16: %v", missing, vectors.ErrMissing)
	}
	t.Skipf("SKIPPED: %d of 16: %v", missing, vectors.ErrMissing)
}

func TestCheckSumRefuses(t *testing.T) {
	if err := vectors.CheckSum("tree-math.json", []byte("[]")); err == nil {
		t.Error("an altered file passes")
	}
	if err := vectors.CheckSum("other.json", nil); err == nil {
		t.Error("a file without a sum passes")
	}
}

func TestDecodeRefusesUnknownField(t *testing.T) {
	if _, err := vectors.Decode[vectors.Deserialization]([]byte(`[{"vlbytes_header": "00", "length": 0, "new": 1}]`)); err == nil {
		t.Error("a field that no test reads passes")
	}
}
