package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"webmls/web/delivery/internal/natsnode"
)

// steady is a client that does not give up: it connects again, to the next
// address, and sends a request that had no answer again, as PROTOCOL.md says.
type steady struct {
	name      string
	addresses []string
	next      int
	socket    *websocket.Conn
	id        int
}

type steadyFrame struct {
	ID int `json:"id"`
	OK *struct {
		Accepted bool   `json:"accepted"`
		Seq      uint64 `json:"seq"`
		Epoch    uint64 `json:"epoch,string"`
	} `json:"ok"`
	Error *struct {
		Code  string `json:"code"`
		Epoch uint64 `json:"epoch,string"`
	} `json:"error"`
	Event   string `json:"event"`
	Seq     uint64 `json:"seq"`
	Message []byte `json:"message"`
}

func (c *steady) once(ctx context.Context, fields map[string]any) (*steadyFrame, error) {
	c.id++
	fields["id"] = c.id
	b, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if err := c.socket.Write(ctx, websocket.MessageText, b); err != nil {
		return nil, err
	}
	return c.read(ctx)
}

func (c *steady) read(ctx context.Context) (*steadyFrame, error) {
	_, b, err := c.socket.Read(ctx)
	if err != nil {
		return nil, err
	}
	frame := new(steadyFrame)
	return frame, json.Unmarshal(b, frame)
}

func (c *steady) connect(ctx context.Context) error {
	if c.socket != nil {
		c.socket.CloseNow()
		c.socket = nil
	}
	c.next++
	socket, _, err := websocket.Dial(ctx, "ws://"+c.addresses[c.next%len(c.addresses)]+"/ws", nil)
	if err != nil {
		return err
	}
	c.socket = socket
	frame, err := c.once(ctx, map[string]any{"op": "hello", "version": 1, "name": c.name, "token": "token of " + c.name + " 0123456789"})
	if err == nil && frame.Error != nil {
		err = errors.New(frame.Error.Code)
	}
	if err != nil {
		c.socket.CloseNow()
		c.socket = nil
	}
	return err
}

// request asks until there is an answer that is not UNAVAILABLE, or ctx ends.
func (c *steady) request(ctx context.Context, fields map[string]any) (*steadyFrame, error) {
	for {
		limited, cancel := context.WithTimeout(ctx, 15*time.Second)
		var frame *steadyFrame
		var err error
		if c.socket == nil {
			err = c.connect(limited)
		}
		if err == nil {
			frame, err = c.once(limited, fields)
		}
		cancel()
		if err == nil && (frame.Error == nil || frame.Error.Code != "UNAVAILABLE") {
			return frame, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil && c.socket != nil {
			c.socket.CloseNow()
			c.socket = nil
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func applicationMessage(group string, epoch uint64, label string) []byte {
	b := append([]byte{0, 1, 0, 2, byte(len(group))}, group...)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = append(b, 1, 0, 0, byte(len(label)))
	return append(b, label...)
}

func labelledCommit(group string, epoch uint64, label string) []byte {
	b := append([]byte{0, 1, 0, 2, byte(len(group))}, group...)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = append(b, 3, 0, 0, byte(len(label)))
	return append(b, label...)
}

// record is what a writer was told, or a reader was sent: a message and its place.
type record struct {
	seq     uint64
	message string // in base64
}

// Three NATS servers and two delivery processes, all of them processes of their
// own. Under load the server that leads the log is killed and comes back, and a
// delivery process is killed and comes back. Nothing that was accepted is lost or
// doubled; every reader sees the same log, in order; every epoch has one commit.
func TestClusterUnderLoad(t *testing.T) {
	quietTime := 3 * time.Second // before, between and after the kills
	if os.Getenv("SOAK") == "full" {
		quietTime = 30 * time.Second
	}
	cluster, err := natsnode.Start(t.Context(), t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Stop)
	var addresses []string
	for range 2 {
		port, err := natsnode.FreePort()
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", port))
	}
	args := func(i int) []string {
		return []string{"-listen", addresses[i], "-nats", cluster.URL()}
	}
	processes := []*process{launch(t, args(0)...), launch(t, args(1)...)}

	groups := []string{"a", "b", "c"}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	writing, finish := context.WithCancel(ctx) // to be ended before the readers

	var mu sync.Mutex
	acceptedMessages := make(map[string][]record)           // by group
	acceptedCommits := make(map[string]map[uint64][]record) // by group and epoch
	var total atomic.Int64
	for _, g := range groups {
		acceptedCommits[g] = make(map[uint64][]record)
	}
	order := func(i int) []string { // where the i-th client tries first
		return []string{addresses[i%2], addresses[(i+1)%2]}
	}

	// Who is to write is in the group from its first commit on.
	for _, g := range groups {
		founder := &steady{name: "founder " + g, addresses: order(0)}
		var members []string
		for k := range 2 {
			members = append(members, fmt.Sprintf("committer %s %d", g, k), fmt.Sprintf("talker %s %d", g, k))
		}
		message := labelledCommit(g, 0, founder.name)
		frame, err := founder.request(ctx, map[string]any{"op": "publishCommit", "group": []byte(g), "message": message, "members": members})
		if err != nil || frame.OK == nil || !frame.OK.Accepted {
			t.Fatalf("%s: %v, %+v", founder.name, err, frame)
		}
		founder.socket.CloseNow()
		acceptedCommits[g][0] = []record{{frame.OK.Seq, base64.StdEncoding.EncodeToString(message)}}
	}

	var writers, readers sync.WaitGroup
	for i, g := range groups {
		// Two who race for every epoch of the group.
		for k := range 2 {
			c := &steady{name: fmt.Sprintf("committer %s %d", g, k), addresses: order(i + k)}
			writers.Go(func() {
				epoch := uint64(0)
				for writing.Err() == nil {
					message := labelledCommit(g, epoch, c.name)
					frame, err := c.request(ctx, map[string]any{"op": "publishCommit", "group": []byte(g), "message": message})
					if err != nil || frame.OK == nil {
						t.Errorf("%s: %v, %+v", c.name, err, frame)
						return
					}
					if frame.OK.Accepted {
						mu.Lock()
						acceptedCommits[g][epoch] = append(acceptedCommits[g][epoch], record{frame.OK.Seq, base64.StdEncoding.EncodeToString(message)})
						mu.Unlock()
						total.Add(1)
					}
					epoch = frame.OK.Epoch
					time.Sleep(20 * time.Millisecond)
				}
			})
		}
		// Two who talk.
		for k := range 2 {
			c := &steady{name: fmt.Sprintf("talker %s %d", g, k), addresses: order(i + k)}
			writers.Go(func() {
				epoch := uint64(0)
				for n := 0; writing.Err() == nil; n++ {
					message := applicationMessage(g, epoch, fmt.Sprintf("%s says %d", c.name, n))
					frame, err := c.request(ctx, map[string]any{"op": "publish", "group": []byte(g), "message": message})
					switch {
					case err != nil:
						t.Errorf("%s: %v", c.name, err)
						return
					case frame.Error != nil: // EPOCH_BEHIND or EPOCH_AHEAD: the next one is of the epoch told
						epoch = frame.Error.Epoch
						continue
					}
					mu.Lock()
					acceptedMessages[g] = append(acceptedMessages[g], record{frame.OK.Seq, base64.StdEncoding.EncodeToString(message)})
					mu.Unlock()
					total.Add(1)
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
	}

	// Two readers a group, each at the other process first. What they saw is
	// compared with each other and with what the writers were told.
	seen := make(map[string][][]record)
	last := make([]atomic.Uint64, 2*len(groups))
	for i, g := range groups {
		seen[g] = make([][]record, 2)
		for k := range 2 {
			c := &steady{name: fmt.Sprintf("reader %s %d", g, k), addresses: order(i + k)}
			readers.Go(func() {
				for ctx.Err() == nil {
					frame, err := c.request(ctx, map[string]any{"op": "subscribe", "group": []byte(g), "from": last[2*i+k].Load() + 1})
					if err != nil || frame.OK == nil {
						if ctx.Err() == nil {
							t.Errorf("%s: %v, %+v", c.name, err, frame)
						}
						return
					}
					for {
						frame, err := c.read(ctx)
						if err != nil {
							c.socket.CloseNow()
							c.socket = nil
							break
						}
						if frame.Event != "message" {
							continue
						}
						mu.Lock()
						seen[g][k] = append(seen[g][k], record{frame.Seq, base64.StdEncoding.EncodeToString(frame.Message)})
						mu.Unlock()
						last[2*i+k].Store(frame.Seq)
					}
				}
			})
		}
	}

	// progress waits until the service accepts again.
	progress := func(what string) {
		t.Helper()
		before := total.Load()
		begin := time.Now()
		for total.Load() < before+50 {
			if time.Since(begin) > 60*time.Second {
				t.Fatalf("%s: %d more accepted in a minute", what, total.Load()-before)
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Logf("%s: 50 more accepted after %v", what, time.Since(begin).Round(10*time.Millisecond))
	}

	progress("at the start")
	time.Sleep(quietTime)
	leader, err := cluster.Leader(t.Context(), "MLS_LOG")
	if err != nil {
		t.Fatal(err)
	}
	cluster.Kill(leader)
	progress("with the log's leader killed")
	time.Sleep(quietTime)
	if err := cluster.StartNode(leader); err != nil {
		t.Fatal(err)
	}
	progress("with the server back")
	time.Sleep(quietTime)
	processes[0].end(syscall.SIGKILL)
	progress("with a delivery process killed")
	time.Sleep(quietTime)
	processes[0] = launch(t, args(0)...)
	progress("with the process back")
	time.Sleep(quietTime)
	finish()
	writers.Wait()

	// Each reader gets to the end of its group's log.
	ends := make(map[string]uint64)
	for _, g := range groups {
		for _, r := range acceptedMessages[g] {
			ends[g] = max(ends[g], r.seq)
		}
		for _, of := range acceptedCommits[g] {
			for _, r := range of {
				ends[g] = max(ends[g], r.seq)
			}
		}
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		behind := 0
		for i, g := range groups {
			for k := range 2 {
				if last[2*i+k].Load() < ends[g] {
					behind++
				}
			}
		}
		if behind == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d readers did not get to the end", behind)
		}
	}
	time.Sleep(200 * time.Millisecond) // what came behind the end would be wrong too
	stop()
	readers.Wait()

	messages, commits := 0, 0
	for _, g := range groups {
		if !slices.Equal(seen[g][0], seen[g][1]) {
			t.Errorf("group %s: its readers saw different logs, of %d and %d messages", g, len(seen[g][0]), len(seen[g][1]))
		}
		log := make(map[uint64]string)
		times := make(map[string]int)
		epochs := make(map[uint64]int)
		previous, current := uint64(0), uint64(0)
		for _, r := range seen[g][0] {
			if r.seq <= previous {
				t.Errorf("group %s: %d after %d", g, r.seq, previous)
			}
			previous = r.seq
			log[r.seq] = r.message
			times[r.message]++
			b, err := base64.StdEncoding.DecodeString(r.message)
			if err != nil {
				t.Fatal(err)
			}
			at := 5 + len(g)
			epoch := binary.BigEndian.Uint64(b[at:])
			if b[at+8] == 3 {
				epochs[epoch]++
				if epoch != current {
					t.Errorf("group %s: a commit of epoch %d at epoch %d", g, epoch, current)
				}
				current++
			}
		}
		for message, n := range times {
			if n > 1 {
				t.Errorf("group %s: %d times %s", g, n, message)
			}
		}
		for epoch, n := range epochs {
			if n > 1 {
				t.Errorf("group %s: %d commits of epoch %d", g, n, epoch)
			}
		}
		told := slices.Clone(acceptedMessages[g])
		for epoch, of := range acceptedCommits[g] {
			if len(of) > 1 {
				t.Errorf("group %s: of epoch %d, %d commits were accepted", g, epoch, len(of))
			}
			told = append(told, of...)
		}
		for _, r := range told {
			if log[r.seq] != r.message {
				t.Errorf("group %s: accepted as %d, but not there", g, r.seq)
			}
		}
		messages += len(acceptedMessages[g])
		commits += len(acceptedCommits[g])
		if len(slices.Collect(maps.Keys(epochs))) < 10 {
			t.Errorf("group %s: only %d epochs: that was no load", g, len(epochs))
		}
	}
	t.Logf("%d messages and %d commits were accepted", messages, commits)

	for _, address := range addresses {
		response, err := http.Get("http://" + address + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("not ready in the end: %d", response.StatusCode)
		}
	}
}
