package vectors_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"webmls/mls/suite"
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

// TestOwnComplete checks that our own vectors have every family, in every
// cipher suite where the official ones do, and stay small.
func TestOwnComplete(t *testing.T) {
	total := 0
	for _, name := range vectors.Names() {
		data, err := vectors.Own(strings.TrimSuffix(name, ".json"))
		if err != nil {
			t.Error(err)
			continue
		}
		total += len(data)
		var cases []struct {
			CipherSuite suite.ID `json:"cipher_suite"`
		}
		if err := json.Unmarshal(data, &cases); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found := map[suite.ID]bool{}
		for _, c := range cases {
			found[c.CipherSuite] = true
		}
		want := suite.All()
		switch name {
		case "tree-math.json", "deserialization.json", "messages.json":
			want = []suite.ID{0} // none is named
		case "passive-client-random.json":
			want = []suite.ID{suite.X25519AES128SHA256Ed25519}
		}
		if len(found) != len(want) {
			t.Errorf("%s has the suites %v, want %v", name, found, want)
		}
	}
	if total > 2<<20 {
		t.Errorf("%d bytes in all, want at most 2 MB", total)
	}
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
