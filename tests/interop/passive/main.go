// Command passive replays files of passive client cases against this module: a
// client is given a key package's private keys, joins by a Welcome and follows
// the commits, and must get the same epoch authenticators. The format is that of
// the official passive-client vectors, into which transcripts of the interop
// test runner can be turned as well.
//
//	go run ./passive FILE-OR-FOLDER...
//	GOOS=js GOARCH=wasm go run -exec "$(go env GOROOT)/lib/wasm/go_js_wasm_exec" ./passive FILE-OR-FOLDER...
//
// It prints a line a case and ends with status 1 when a case fails or there is none.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"webmls/mls/suite/softkeys"
	"webmls/tests/vectors"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: passive FILE-OR-FOLDER...")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "passive:", err)
		os.Exit(1)
	}
}

// run replays what the arguments name and fails when any case fails.
func run(ctx context.Context, out io.Writer, args []string) error {
	var files []string
	for _, arg := range args {
		found, err := filesOf(arg)
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	keys := softkeys.New()
	passed, failed := 0, 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		cases, err := vectors.Decode[vectors.PassiveClient](data)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if len(cases) == 0 {
			return fmt.Errorf("%s has no case", file)
		}
		for i := range cases {
			what := fmt.Sprintf("%s case %d, suite %d, %d commits", filepath.Base(file), i, cases[i].CipherSuite, len(cases[i].Epochs))
			if err := replay(ctx, keys, &cases[i]); err != nil {
				failed++
				fmt.Fprintf(out, "FAIL %s: %v\n", what, err)
				continue
			}
			passed++
			fmt.Fprintf(out, "ok   %s\n", what)
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, passed+failed)
	}
	return nil
}

// filesOf returns a file itself, or the JSON files of a folder.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	files, err := filepath.Glob(filepath.Join(path, "*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no JSON file", path)
	}
	return files, err
}
