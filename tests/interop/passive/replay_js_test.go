//go:build js && wasm

package main

import (
	"errors"
	"os"
	"testing"

	"webmls/tests/vectors"
	"webmls/wasm/hostkeys/hostkeystest"
)

// TestReplayWithHostKeys replays the passive client files, official and our
// own, over the WebCrypto of the browser that this runs in. Files cannot be named
// there: these are in the binary.
func TestReplayWithHostKeys(t *testing.T) {
	keys, _, err := hostkeystest.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range []string{"passive-client-welcome", "passive-client-handling-commit", "passive-client-random"} {
		for origin, read := range map[string]func(string) ([]byte, error){"official": vectors.Official, "own": vectors.Own} {
			t.Run(family+"/"+origin, func(t *testing.T) {
				data, err := read(family)
				if errors.Is(err, vectors.ErrMissing) && os.Getenv("CI") != "true" {
					t.Skip("SKIPPED: ", err)
				}
				if err != nil {
					t.Fatal(err)
				}
				cases, err := vectors.Decode[vectors.PassiveClient](data)
				if err != nil || len(cases) == 0 {
					t.Fatal(len(cases), " cases: ", err)
				}
				for i := range cases {
					if err := replay(t.Context(), keys, &cases[i]); err != nil {
						t.Errorf("case %d, suite %d: %v", i, cases[i].CipherSuite, err)
					}
				}
			})
		}
	}
}
