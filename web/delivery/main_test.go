package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"webmls/web/delivery/internal/natsnode"
)

// The tests start the real command: the test binary, told to be it.
const beCommand = "DELIVERY_TEST_BE_COMMAND"

func TestMain(m *testing.M) {
	natsnode.Main()
	if os.Getenv(beCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string // host:port
	admin   string // host:port, with -admin
	dir     string // its working directory
	drained chan struct{}
}

// launch starts the command and waits until it listens.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir(), drained: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Dir = p.dir
	p.cmd.Env = append(os.Environ(), beCommand+"=1")
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	lines := bufio.NewScanner(stderr)
	listening := regexp.MustCompile(`msg=listening address=https?://(\S+)`)
	metrics := regexp.MustCompile(`msg=metrics address=http://(\S+)`)
	var before []string
	for lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			p.address = found[1]
			go func() {
				defer close(p.drained)
				_, _ = io.Copy(io.Discard, stderr)
			}()
			return p
		}
		if found := metrics.FindStringSubmatch(lines.Text()); found != nil {
			p.admin = found[1]
		}
		before = append(before, lines.Text())
	}
	close(p.drained)
	t.Fatalf("it does not listen: %s", strings.Join(before, "\n"))
	return nil
}

// end sends a signal and waits. It returns the exit code, -1 for killed.
func (p *process) end(signal syscall.Signal) int {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(signal)
		<-p.drained
		_ = p.cmd.Wait()
	}
	return p.cmd.ProcessState.ExitCode()
}

type frames struct {
	t      *testing.T
	socket *websocket.Conn
	id     int
}

func (p *process) connect(name string) *frames {
	p.t.Helper()
	socket, _, err := websocket.Dial(p.t.Context(), "ws://"+p.address+"/ws", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { socket.CloseNow() })
	f := &frames{t: p.t, socket: socket}
	f.request("hello", map[string]any{"version": 1, "name": name, "token": "token of " + name + " 0123456789"})
	return f
}

func (f *frames) read() map[string]any {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	_, b, err := f.socket.Read(ctx)
	var frame map[string]any
	if err == nil {
		err = json.Unmarshal(b, &frame)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return frame
}

func (f *frames) request(op string, fields map[string]any) map[string]any {
	f.t.Helper()
	f.id++
	frame := map[string]any{"id": f.id, "op": op}
	for name, value := range fields {
		frame[name] = value
	}
	b, err := json.Marshal(frame)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.socket.Write(f.t.Context(), websocket.MessageText, b); err != nil {
		f.t.Fatal(err)
	}
	answer := f.read()
	ok, _ := answer["ok"].(map[string]any)
	if ok == nil || answer["id"] != float64(f.id) {
		f.t.Fatalf("%s: %v", op, answer)
	}
	return ok
}

// commitMessage is a PrivateMessage (RFC 9420, Section 6.3) that says it holds
// a commit.
func commitMessage(group string, epoch uint64) []byte {
	b := append([]byte{0, 1, 0, 2, byte(len(group))}, group...)
	b = binary.BigEndian.AppendUint64(b, epoch)
	return append(b, 3, 0, 0, 0)
}

// A process that is killed right after it accepted a commit has lost nothing,
// the welcome included.
func TestKilled(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	const rounds = 4
	for epoch := range uint64(rounds) {
		p := launch(t, "-listen", "127.0.0.1:0", "-data", data)
		ok := p.connect("alice").request("publishCommit", map[string]any{
			"group":    []byte("g"),
			"message":  commitMessage("g", epoch),
			"welcomes": []any{map[string]any{"to": []string{"bob"}, "welcome": []byte{0, 1, 0, 3}}},
		})
		if ok["accepted"] != true {
			t.Fatalf("epoch %d after a kill: %v", epoch, ok)
		}
		p.end(syscall.SIGKILL)
	}
	p := launch(t, "-listen", "127.0.0.1:0", "-data", data)
	bob := p.connect("bob")
	bob.request("welcomes", nil)
	ids := make(map[string]bool)
	for len(ids) < rounds {
		welcome := bob.read()
		if welcome["event"] != "welcome" {
			t.Fatalf("event %v", welcome)
		}
		ids[welcome["id"].(string)] = true
	}
	if files, err := os.ReadDir(p.dir); err != nil || len(files) != 0 {
		t.Errorf("it left files outside of its data folder: %v, %v", files, err)
	}
}

func TestSignals(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := launch(t, "-listen", "127.0.0.1:0", "-data", t.TempDir())
		f := p.connect("alice")
		closed := make(chan websocket.StatusCode, 1)
		go func() {
			_, _, err := f.socket.Read(context.Background())
			closed <- websocket.CloseStatus(err)
		}()
		if code := p.end(signal); code != 0 {
			t.Errorf("%v: exit code %d", signal, code)
		}
		if code := <-closed; code != websocket.StatusGoingAway {
			t.Errorf("%v: closed with %d", signal, code)
		}
	}
}

// The embedded NATS opens no port.
func TestOnePort(t *testing.T) {
	p := launch(t, "-listen", "127.0.0.1:0", "-data", t.TempDir())
	own := make(map[string]bool) // inodes of the process's sockets
	descriptors := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	entries, err := os.ReadDir(descriptors)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no /proc here")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if link, err := os.Readlink(filepath.Join(descriptors, entry.Name())); err == nil && strings.HasPrefix(link, "socket:[") {
			own[strings.Trim(link, "socket:[]")] = true
		}
	}
	listening := 0
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			column := strings.Fields(line)
			if len(column) > 9 && column[3] == "0A" && own[column[9]] {
				listening++
			}
		}
	}
	if listening != 1 {
		t.Errorf("the process listens on %d ports, want 1", listening)
	}
}

func TestBadFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"unexpected arguments": {"more"},
		"flag provided but":    {"-nothing"},
		"not a directory":      {"-data", file},
		"missing port":         {"-data", t.TempDir(), "-listen", "nowhere"},
		"no such file":         {"-data", t.TempDir(), "-static", file + "s"},
		"not a pattern":        {"-data", t.TempDir(), "-origin", "[a"},
		"connect to NATS":      {"-nats", "nats://127.0.0.1:1"},
		"loopback address":     {"-data", t.TempDir(), "-listen", ":0"},
		"no such format":       {"-log", "xml"},
		"-tls-key go together": {"-data", t.TempDir(), "-tls-cert", file},
		"find any PEM data":    {"-data", t.TempDir(), "-tls-cert", file, "-tls-key", file},
		"kept for at least":    {"-data", t.TempDir(), "-retain", "1m"},
		"provider of accounts": {"-data", t.TempDir(), "-oidc-issuer", "http://127.0.0.1:1", "-oidc-audience", "chat"},
		"-oidc-audience go":    {"-data", t.TempDir(), "-oidc-issuer", "http://127.0.0.1:1"},
		"connection refused":   {"-probe", "http://127.0.0.1:1/readyz"},
	} {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), beCommand+"=1")
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
}

func TestServesFiles(t *testing.T) {
	static := t.TempDir()
	if err := os.WriteFile(filepath.Join(static, "index.html"), []byte("page"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := launch(t, "-listen", "127.0.0.1:0", "-data", t.TempDir(), "-static", static, "-origin", "a.example", "-origin", "b.example")
	for path, want := range map[string]string{"/": "page", "/healthz": "ok\n"} {
		response, err := http.Get("http://" + p.address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != want {
			t.Errorf("%s: %q, %v", path, body, err)
		}
	}
	var statuses []int
	for _, origin := range []string{"https://a.example", "https://b.example", "https://c.example"} {
		socket, response, err := websocket.Dial(t.Context(), "ws://"+p.address+"/ws",
			&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		if err == nil {
			socket.CloseNow()
		}
		statuses = append(statuses, response.StatusCode)
	}
	if !slices.Equal(statuses, []int{101, 101, 403}) {
		t.Errorf("origins: %v", statuses)
	}
}
