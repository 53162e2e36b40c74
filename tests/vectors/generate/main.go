// Command generate writes our own test vectors into tests/vectors/own, in the
// formats of the official ones: the families that it is given by name, or all.
// Which cases there are is fixed; keys and other random values are new in every
// run. Run it in the root of the repository.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const (
	target = "tests/vectors/own"
	// sizeLimit keeps the committed files, all together, small.
	sizeLimit = 2 << 20
)

// A family makes the cases of one file.
type family struct {
	name  string
	cases func() any
}

var families = []family{
	{"tree-math", treeMath},
	{"deserialization", deserialization},
	{"crypto-basics", cryptoBasics},
	{"messages", messages},
	{"key-schedule", keySchedule},
	{"psk_secret", pskSecret},
	{"transcript-hashes", transcriptHashes},
	{"secret-tree", secretTree},
	{"message-protection", messageProtection},
	{"tree-operations", treeOperations},
	{"tree-validation", treeValidation},
	{"treekem", treeKEM},
	{"welcome", welcome},
	{"passive-client-welcome", passiveClientWelcome},
	{"passive-client-handling-commit", passiveClientHandlingCommit},
	{"passive-client-random", passiveClientRandom},
}

func main() {
	if err := generate(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// generate writes a file for each family that is named, or for every one.
func generate(names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(families, func(f family) bool { return f.name == name }) {
			return fmt.Errorf("no family %q", name)
		}
	}
	total := int64(0)
	for _, f := range families {
		file := filepath.Join(target, f.name+".json")
		if len(names) == 0 || slices.Contains(names, f.name) {
			data, err := json.Marshal(f.cases())
			if err != nil {
				return err
			}
			if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
				return err
			}
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		total += info.Size()
		fmt.Printf("%8d bytes  %s\n", info.Size(), f.name)
	}
	fmt.Printf("%8d bytes in all\n", total)
	if total > sizeLimit {
		return fmt.Errorf("the limit is %d bytes", sizeLimit)
	}
	return nil
}
