package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestCommitted: the committed code is what the committed .proto leads to.
func TestCommitted(t *testing.T) {
	folder := t.TempDir()
	source, err := os.ReadFile("../mls_client.proto")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "mls_client.proto"), source, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := generate(folder); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mls_client.pb.go", "mls_client_grpc.pb.go"} {
		fresh, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(fresh, committed) {
			t.Errorf("%s is not what go generate makes; run go generate ./proto", name)
		}
	}
}
