package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// The TypeScript client of the chat, in Node, against the real command, which is
// killed and started again while the client is at work.
func TestTypeScriptClient(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no node here: the TypeScript client is not tested")
	}
	dir := t.TempDir()
	built := api.Build(api.BuildOptions{
		EntryPoints: []string{"../chat/src/delivery.ts", "testdata/client.ts"},
		Outdir:      dir,
		Format:      api.FormatESModule,
		OutExtension: map[string]string{
			".js": ".mjs",
		},
		Outbase:    "..",
		EntryNames: "[name]",
		Write:      true,
	})
	for _, e := range built.Errors {
		t.Fatalf("%s: %s", e.Location.File, e.Text)
	}
	data := t.TempDir()
	p := launch(t, "-listen", "127.0.0.1:0", "-data", data)
	address := p.address

	cmd := exec.Command(node, "--experimental-websocket", "--no-warnings", filepath.Join(dir, "client.mjs"), "ws://"+address+"/ws")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	restarts, passed := 0, 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "restart":
			p.end(syscall.SIGKILL)
			p = launch(t, "-listen", address, "-data", data)
			restarts++
			if _, err := io.WriteString(stdin, "restarted\n"); err != nil {
				t.Error(err)
			}
		case strings.HasPrefix(line, "ok "):
			passed++
		default:
			t.Errorf("client: %s", line)
		}
	}
	if err := cmd.Wait(); err != nil || restarts != 1 || passed != 10 {
		t.Errorf("client: %v, %d restarts, %d checks passed, want 1 and 10", err, restarts, passed)
	}
}
