// Package vectors holds the test vectors of RFC 9420 and the code that runs
// them against this module: the official ones, which `make vectors` puts into
// official/ and git ignores, and our own ones in the same formats, which
// `go run ./tests/vectors/generate` writes into own/ and git keeps.
//
// The files are embedded in the test binary, so that the same code runs
// natively and in a browser, where there is no file system. A family of vectors
// is one JSON file, one type in cases.go and one test file.
package vectors

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed official own
var files embed.FS

//go:embed SHA256SUMS
var sums string

// ErrMissing is what Official returns for a file that is not there.
var ErrMissing = errors.New("official test vectors missing; run make vectors")

// Official returns the bytes of an official file, such as "tree-math", once
// they match the sum that is pinned for them.
func Official(family string) ([]byte, error) {
	data, err := files.ReadFile("official/" + family + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, err
	}
	return data, CheckSum(family+".json", data)
}

// Own returns the bytes of one of our own files.
func Own(family string) ([]byte, error) {
	return files.ReadFile("own/" + family + ".json")
}

// CheckSum compares data with the SHA-256 sum that is pinned for the official file name.
func CheckSum(name string, data []byte) error {
	for line := range strings.Lines(sums) {
		want, file, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || file != name {
			continue
		}
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != want {
			return fmt.Errorf("%s has SHA-256 %x, pinned is %s", name, got, want)
		}
		return nil
	}
	return fmt.Errorf("no sum is pinned for %s", name)
}

// Names lists the official files for which a sum is pinned.
func Names() []string {
	var names []string
	for line := range strings.Lines(sums) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			names = append(names, name)
		}
	}
	return names
}

// Decode reads the cases of one file. A field that C does not have is an
// error, so that no part of a case goes unchecked because nobody saw it.
func Decode[C any](data []byte) ([]C, error) {
	var cases []C
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&cases)
	return cases, err
}
