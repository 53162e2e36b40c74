//go:build !js

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build builds the program of testdata and returns its file.
func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program.wasm")
	command := exec.Command("go", "build", "-trimpath", "-o", file, "./testdata/program")
	command.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// execute runs a program and returns what it wrote.
func execute(t *testing.T, file string, args ...string) (out, stack string, err error) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	glue := filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec_node.js")
	command := exec.Command("node", append([]string{glue, file}, args...)...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	return stdout.String(), stderr.String(), err
}

// TestSameProgram: the program does what it did, is less, and its stack traces have names.
func TestSameProgram(t *testing.T) {
	file := build(t)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, wantStack, _ := execute(t, file, "die")
	if !strings.Contains(wantStack, "main.go:") {
		t.Fatalf("the stack trace has no lines before:\n%s", wantStack)
	}
	if err := run([]string{file}); err != nil {
		t.Fatal(err)
	}
	out, stack, err := execute(t, file)
	if err != nil || out != want || !strings.Contains(out, "main.caller") {
		t.Errorf("%v\n%s\n%s, want\n%s", err, out, stack, want)
	}
	if _, stack, err = execute(t, file, "die"); err == nil || !strings.Contains(stack, "main.main.func") ||
		!strings.Contains(stack, "nil pointer") || strings.Contains(stack, ".go:") {
		t.Errorf("%v\n%s", err, stack)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := slim(after)
	if err != nil || !bytes.Equal(again, after) {
		t.Errorf("a second time: %v", err)
	}
	if a, b := segments(t, before), segments(t, after); b*10 > a {
		t.Errorf("%d segments, of %d", b, a)
	}
}

// TestBuckets: the start function writes what the linker had written, and the binary
// is less by most of it.
func TestBuckets(t *testing.T) {
	file := build(t)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sections, err := parse(before)
	if err != nil {
		t.Fatal(err)
	}
	memory, err := load(find(sections, dataSection).content)
	if err != nil {
		t.Fatal(err)
	}
	functions, err := dropLines(memory)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(memory)
	at, count, err := dropBuckets(memory, functions)
	if err != nil || bytes.Equal(memory, want) {
		t.Fatalf("nothing was dropped: %v", err)
	}
	if err := run([]string{file}); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	size := count * buckets * bucketSize
	if len(before)-len(after) < size/2 {
		t.Errorf("%d bytes of %d, with %d bytes of buckets", len(after), len(before), size)
	}
	expected := filepath.Join(t.TempDir(), "memory")
	if err := os.WriteFile(expected, want, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("node", "-e", `
		const { readFileSync } = require("fs");
		const module = new WebAssembly.Module(readFileSync(process.argv[1])), want = readFileSync(process.argv[2]);
		const imports = {};
		for (const { module: of, name } of WebAssembly.Module.imports(module)) (imports[of] ??= {})[name] = () => {};
		const { mem } = new WebAssembly.Instance(module, imports).exports;
		console.log(want.equals(Buffer.from(mem.buffer, 0, want.length)));`, file, expected).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "true" {
		t.Errorf("the memory is another when the program begins: %v\n%s", err, out)
	}
	if _, _, err := dropBuckets(memory, functions); err == nil {
		t.Errorf("there are no buckets at %d any more, and they are found", at)
	}
}

// segments returns how many segments the data of a module has.
func segments(t *testing.T, module []byte) int {
	r := reader{b: module, at: len(header)}
	for r.at < len(module) {
		if id, section := r.byte(), r.bytes(r.unsigned()); id == dataSection {
			in := reader{b: section}
			return in.unsigned()
		}
	}
	t.Fatal("no data")
	return 0
}

// TestMemory: what a data section describes is the same memory before and after.
func TestMemory(t *testing.T) {
	for name, memory := range map[string][]byte{
		"nothing":       {},
		"one":           {1},
		"zeros between": append(append([]byte{1}, make([]byte, longRun)...), 2),
		"a short run":   append(append([]byte{1}, make([]byte, longRun-1)...), 2),
		"zeros before":  append(make([]byte, 1000), 5, 6),
		"far":           append(make([]byte, 1<<20), bytes.Repeat([]byte{7}, 300)...),
	} {
		got, err := load(store(memory))
		if err != nil || !bytes.Equal(got, memory) {
			t.Errorf("%s: %v, %d bytes of %d", name, err, len(got), len(memory))
		}
	}
	if got, err := load(store([]byte{1, 0, 0, 2, 0, 0})); err != nil || !bytes.Equal(got, []byte{1, 0, 0, 2, 0, 0}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestOthers: what is not as Go's linker writes it is refused, and left as it was.
func TestOthers(t *testing.T) {
	file := build(t)
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(module, []byte(tableMagic))
	other := bytes.Clone(module)
	other[at]++
	cases := map[string][]byte{
		"nothing":            nil,
		"text":               []byte("#!/bin/sh"),
		"half":               module[:len(module)/2],
		"another version":    other,
		"a passive segment":  append([]byte(header), dataSection, 4, 1, 1, 1, 0),
		"too far":            append([]byte(header), dataSection, 9, 1, 0, 0x41, 0xff, 0xff, 0xff, 0xff, 3, 0x0b),
		"longer than it is":  append([]byte(header), dataSection, 6, 1, 0, 0x41, 1, 0x0b, 9),
		"no table":           append([]byte(header), dataSection, 7, 1, 0, 0x41, 1, 0x0b, 1, 1),
		"more after its end": append([]byte(header), dataSection, 8, 1, 0, 0x41, 1, 0x0b, 1, 1, 1),
	}
	for name, module := range cases {
		if err := os.WriteFile(file, module, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := run([]string{file}); err == nil {
			t.Errorf("%s is taken", name)
		}
		if left, err := os.ReadFile(file); err != nil || !bytes.Equal(left, module) {
			t.Errorf("%s: the file is not as it was", name)
		}
	}
	if err := run([]string{filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("no file is taken")
	}
}
