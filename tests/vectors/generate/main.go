// Command generate writes our own test vectors, one file for each family, into
// tests/vectors/own, in the formats of the official ones. Which cases there
// are is fixed; keys and other random values are new in every run. Run it in the
// root of the repository.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

const (
	target = "tests/vectors/own"
	// sizeLimit keeps the committed files, all together, small.
	sizeLimit = 2 << 20
)

// families makes the cases of each file.
var families = []struct {
	name  string
	cases func() any
}{
	{"tree-math", treeMath},
	{"deserialization", deserialization},
	{"crypto-basics", cryptoBasics},
	{"messages", messages},
}

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate() error {
	all := make([][]byte, len(families))
	total := 0
	for i, family := range families {
		data, err := json.Marshal(family.cases())
		if err != nil {
			return err
		}
		all[i] = append(data, '\n')
		total += len(all[i])
		fmt.Printf("%8d bytes  %s\n", len(all[i]), family.name)
	}
	if total > sizeLimit {
		return fmt.Errorf("%d bytes in all, the limit is %d", total, sizeLimit)
	}
	for i, family := range families {
		if err := os.WriteFile(filepath.Join(target, family.name+".json"), all[i], 0o644); err != nil {
			return err
		}
	}
	return nil
}
