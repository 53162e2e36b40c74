// Command fetch puts the official MLS test vectors into tests/vectors/official,
// from the folder that MLS_VECTORS names, by default
// ../shared/vectors/mls-implementations, or else from the official repository at a
// pinned commit. It accepts no file whose SHA-256 is not the pinned one. Run it
// in the root of the repository.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"webmls/tests/vectors"
)

const (
	repository = "https://github.com/mlswg/mls-implementations"
	commit     = "cfd450286d1bfd9cd2519b95c80f9771f94a5b1a"
	target     = "tests/vectors/official"
)

func main() {
	if err := fetch(); err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(1)
	}
}

func fetch() error {
	if complete() {
		return nil
	}
	folder := os.Getenv("MLS_VECTORS")
	if folder == "" {
		folder = "../shared/vectors/mls-implementations"
		if _, err := os.Stat(folder); err != nil {
			return clone()
		}
	}
	return install(folder, func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(folder, name))
	})
}

// complete reports whether all files are in place and unaltered.
func complete() bool {
	for _, name := range vectors.Names() {
		data, err := os.ReadFile(filepath.Join(target, name))
		if err != nil || vectors.CheckSum(name, data) != nil {
			return false
		}
	}
	return true
}

// clone takes the files out of the official repository, of which it fetches
// the one commit and nothing else.
func clone() error {
	folder, err := os.MkdirTemp("", "mls-vectors-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	git := func(args ...string) ([]byte, error) {
		cmd := exec.Command("git", append([]string{"-C", folder}, args...)...)
		cmd.Stderr = os.Stderr
		return cmd.Output()
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"fetch", "-q", "--depth=1", repository, commit},
	} {
		if _, err := git(args...); err != nil {
			return fmt.Errorf("git %s: %w", args[0], err)
		}
	}
	return install(repository, func(name string) ([]byte, error) {
		return git("show", commit+":test-vectors/"+name)
	})
}

// install checks every file before it writes the first.
func install(from string, read func(name string) ([]byte, error)) error {
	names := vectors.Names()
	all := make([][]byte, len(names))
	for i, name := range names {
		data, err := read(name)
		if err != nil {
			return err
		}
		if err := vectors.CheckSum(name, data); err != nil {
			return err
		}
		all[i] = data
	}
	for i, name := range names {
		if err := os.WriteFile(filepath.Join(target, name), all[i], 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("vectors: %d official files from %s\n", len(names), from)
	return nil
}
