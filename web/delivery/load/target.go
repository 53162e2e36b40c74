package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"webmls/web/delivery/internal/natsnode"
)

// target is the service that is measured, with what was started for it.
type target struct {
	urls  []string
	nodes *natsnode.Cluster
	procs []*exec.Cmd
	dir   string
}

func (s settings) target(ctx context.Context) (*target, error) {
	t := new(target)
	if s.urls != "" {
		t.urls = strings.Split(s.urls, ",")
		return t, nil
	}
	if err := t.start(ctx, s); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

func (t *target) start(ctx context.Context, s settings) (err error) {
	if t.dir, err = os.MkdirTemp("", "webmls-load-"); err != nil {
		return err
	}
	program := filepath.Join(t.dir, "delivery")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "webmls/web/delivery")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the service (to be done in web/delivery): %w", err)
	}
	// Publishers are counted too, and come at once.
	args := []string{"-listen", "127.0.0.1:0", "-connections", strconv.Itoa(s.connections + s.publishers + 100)}
	if !s.cluster {
		return t.launch(program, append(args, "-data", filepath.Join(t.dir, "data"))...)
	}
	if t.nodes, err = natsnode.Start(ctx, t.dir, 3); err != nil {
		return err
	}
	for range 2 {
		if err := t.launch(program, append(args, "-nats", t.nodes.URL())...); err != nil {
			return err
		}
	}
	return nil
}

// launch starts a delivery process and waits until it listens.
func (t *target) launch(program string, args ...string) error {
	cmd := exec.Command(program, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	t.procs = append(t.procs, cmd)
	listening := regexp.MustCompile(`msg=listening address=http://(\S+)`)
	lines := bufio.NewReader(stderr)
	var said strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return fmt.Errorf("the service does not listen: %s", said.String())
		}
		if found := listening.FindStringSubmatch(line); found != nil {
			t.urls = append(t.urls, "ws://"+found[1]+"/ws")
			go func() { _, _ = io.Copy(io.Discard, lines) }()
			return nil
		}
		said.WriteString(line)
	}
}

// memory is what the delivery processes have in memory, in bytes; 0 where that
// is not known.
func (t *target) memory() int {
	total := 0
	for _, p := range t.procs {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		if err != nil {
			return 0
		}
		for line := range bytes.Lines(b) {
			if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
				kib, err := strconv.Atoi(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))))
				if err != nil {
					return 0
				}
				total += kib << 10
			}
		}
	}
	return total
}

func (t *target) stop() {
	for _, p := range t.procs {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range t.procs {
		_ = p.Wait()
	}
	if t.nodes != nil {
		t.nodes.Stop()
	}
	if t.dir != "" {
		_ = os.RemoveAll(t.dir)
	}
}
