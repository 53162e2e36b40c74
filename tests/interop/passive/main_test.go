//go:build !js

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"webmls/tests/vectors"
)

const own = "../../vectors/own/passive-client-"

func TestReplay(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{own + "welcome.json", own + "handling-commit.json", own + "random.json"}); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines[:len(lines)-1] {
		if !strings.HasPrefix(line, "ok   passive-client-") {
			t.Errorf("line %q", line)
		}
	}
	if last := lines[len(lines)-1]; !strings.HasSuffix(last, " passed, 0 failed") || strings.HasPrefix(last, "0 ") {
		t.Errorf("last line %q", last)
	}
}

// broken writes our own cases, with one of the last case's authenticators off
// by a bit, into a folder.
func broken(t *testing.T) (folder string, cases int) {
	t.Helper()
	data, err := os.ReadFile(own + "handling-commit.json")
	if err != nil {
		t.Fatal(err)
	}
	list, err := vectors.Decode[vectors.PassiveClient](data)
	if err != nil {
		t.Fatal(err)
	}
	epochs := list[len(list)-1].Epochs
	epochs[len(epochs)-1].EpochAuthenticator[0] ^= 1
	data, err = json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "broken.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return folder, len(list)
}

func TestMismatch(t *testing.T) {
	folder, cases := broken(t)
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{folder}); err == nil {
		t.Error("no error")
	}
	if n := strings.Count(out.String(), "\nFAIL broken.json case "); n != 1 {
		t.Errorf("%d failures:\n%s", n, &out)
	}
	if n := strings.Count(out.String(), "ok   "); n != cases-1 {
		t.Errorf("%d of %d cases passed", n, cases)
	}
}

func TestNothingToReplay(t *testing.T) {
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty.json")
	if err := os.WriteFile(empty, []byte("[]"), 0o644); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(folder, "other.json")
	if err := os.WriteFile(other, []byte(`[{"something_else": 1}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, other, t.TempDir(), filepath.Join(folder, "none.json")} {
		if err := run(t.Context(), new(bytes.Buffer), []string{path}); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

// TestWasm runs the command as it is built for js/wasm, under Node.
func TestWasm(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: builds a wasm binary")
	}
	binary := filepath.Join(t.TempDir(), "passive.wasm")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	command := func(args ...string) *exec.Cmd {
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(strings.TrimSpace(string(root)), "lib/wasm/go_js_wasm_exec"), append([]string{binary}, args...)...)
		// Node hands a wasm program no more than 12 KB of arguments and environment.
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
		return cmd
	}
	out, err := command(own+"welcome.json", own+"handling-commit.json", own+"random.json").CombinedOutput()
	if err != nil || !strings.Contains(string(out), " passed, 0 failed") {
		t.Errorf("%v on %s\n%s", err, runtime.GOOS, out)
	}
	folder, _ := broken(t)
	if out, err := command(folder).CombinedOutput(); err == nil || !strings.Contains(string(out), "\nFAIL broken.json case ") {
		t.Errorf("a mismatch: %v\n%s", err, out)
	}
}
