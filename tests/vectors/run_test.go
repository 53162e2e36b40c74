package vectors_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"

	"webmls/tests/vectors"
)

// run checks every case of a family: those of the official file, which are
// officialCases in number, and our own. Each is a subtest named by file, cipher
// suite and index. Where the official file is missing, that half of the test fails if
// CI=true and is skipped elsewhere; an altered one fails everywhere.
func run[C any](t *testing.T, family string, officialCases int, check func(t *testing.T, c C)) {
	t.Run("official", func(t *testing.T) {
		data, err := vectors.Official(family)
		if errors.Is(err, vectors.ErrMissing) && os.Getenv("CI") != "true" {
			t.Skipf("SKIPPED: %s: %v", family, err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := runCases(t, data, check); n != officialCases {
			t.Errorf("%d cases, want %d", n, officialCases)
		}
	})
	t.Run("own", func(t *testing.T) {
		data, err := vectors.Own(family)
		if err != nil {
			t.Fatal(err)
		}
		if n := runCases(t, data, check); n == 0 {
			t.Error("no cases")
		}
	})
}

// runCases checks each case of a file, natively as many at a time as there
// are cores, and returns their number.
func runCases[C any](t *testing.T, data []byte, check func(t *testing.T, c C)) int {
	cases, err := vectors.Decode[C](data)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		name := fmt.Sprint(i)
		if suite := reflect.ValueOf(c).FieldByName("CipherSuite"); suite.IsValid() {
			name = fmt.Sprintf("suite%d/%d", suite.Uint(), i)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, c)
		})
	}
	return len(cases)
}

// equal reports a value that is not the one in the vector.
func equal(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s = %s, want %s", what, hex.EncodeToString(got), hex.EncodeToString(want))
	}
}
