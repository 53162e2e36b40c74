package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// beNode tells the test binary to be a NATS server with the configuration in
// this file.
const beNode = "DELIVERY_TEST_BE_NODE"

func node(file string) {
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		log.Fatal(err)
	}
	options.NoSigs = true
	n, err := server.NewServer(options)
	if err != nil {
		log.Fatal(err)
	}
	n.Start()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGTERM, os.Interrupt)
	<-interrupted
	n.Shutdown()
	n.WaitForShutdown()
}

// natsCluster is a cluster of NATS servers, each a process.
type natsCluster struct {
	t     *testing.T
	files []string
	urls  []string
	nodes []*exec.Cmd
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// startCluster starts n servers and waits until they have a leader.
func startCluster(t *testing.T, n int) *natsCluster {
	t.Helper()
	c := &natsCluster{t: t, nodes: make([]*exec.Cmd, n)}
	var routes []string
	clients, peers := make([]int, n), make([]int, n)
	for i := range n {
		clients[i], peers[i] = freePort(t), freePort(t)
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", peers[i]))
		c.urls = append(c.urls, fmt.Sprintf("nats://127.0.0.1:%d", clients[i]))
	}
	for i := range n {
		file := filepath.Join(t.TempDir(), "nats.conf")
		config := fmt.Sprintf(`server_name: n%d
listen: "127.0.0.1:%d"
jetstream { store_dir: %q }
cluster { name: test, listen: "127.0.0.1:%d", routes: [%s] }
max_payload: 16MB
`, i, clients[i], t.TempDir(), peers[i], strings.Join(routes, ", "))
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		c.files = append(c.files, file)
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.kill(i)
		}
	})
	c.waitForLeader()
	return c
}

func (c *natsCluster) start(i int) {
	c.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), beNode+"="+c.files[i])
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.nodes[i] = cmd
}

// kill ends a server as a machine that loses its power does.
func (c *natsCluster) kill(i int) {
	if c.nodes[i] != nil {
		_ = c.nodes[i].Process.Kill()
		_ = c.nodes[i].Wait()
		c.nodes[i] = nil
	}
}

func (c *natsCluster) url() string { return strings.Join(c.urls, ",") }

func (c *natsCluster) connect() (*nats.Conn, jetstream.JetStream) {
	c.t.Helper()
	conn, err := nats.Connect(c.url(), nats.RetryOnFailedConnect(true), nats.ReconnectWait(100*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		c.t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return conn, js
}

// waitForLeader waits until all servers are there and can make a stream.
func (c *natsCluster) waitForLeader() {
	c.t.Helper()
	conn, js := c.connect()
	defer conn.Close()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "probe", Replicas: len(c.nodes), Storage: jetstream.MemoryStorage})
		if err == nil {
			err = js.DeleteStream(ctx, "probe")
		}
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("the cluster did not come up: %v", err)
		}
	}
}

// leader is the number of the server that leads the log's stream.
func (c *natsCluster) leader() int {
	c.t.Helper()
	conn, js := c.connect()
	defer conn.Close()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
		stream, err := js.Stream(ctx, "MLS_LOG")
		cancel()
		if err != nil {
			continue
		}
		cluster := stream.CachedInfo().Cluster
		var i int
		if cluster != nil {
			if _, err := fmt.Sscanf(cluster.Leader, "n%d", &i); err == nil {
				return i
			}
		}
	}
	c.t.Fatal("the log has no leader")
	return 0
}
