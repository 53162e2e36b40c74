// Package natsnode runs NATS servers as processes of their own on the loopback
// interface, for tests and for measuring: a program that calls Main first can be
// started again as a server of a cluster.
//
// It owns their configuration. It must not know what is stored in them.
package natsnode

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// configuration is the variable that tells a process to be a server.
const configuration = "WEBMLS_NATS_NODE"

// Main is to be called before anything else in main. In a process that Start
// made it is a server until the process ends, and does not return.
func Main() {
	file := os.Getenv(configuration)
	if file == "" {
		return
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		log.Fatal(err)
	}
	options.NoSigs = true
	node, err := server.NewServer(options)
	if err != nil {
		log.Fatal(err)
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGTERM, os.Interrupt)
	node.Start()
	<-interrupted
	node.Shutdown()
	node.WaitForShutdown()
	os.Exit(0)
}

// Cluster is a number of servers that know each other.
type Cluster struct {
	files []string
	urls  []string
	nodes []*exec.Cmd
}

// Start starts n servers with their files below dir, and waits until streams can
// be made on all of them.
func Start(ctx context.Context, dir string, n int) (*Cluster, error) {
	c := &Cluster{nodes: make([]*exec.Cmd, n)}
	var routes []string
	clients, peers := make([]int, n), make([]int, n)
	for i := range n {
		var err error
		if clients[i], err = FreePort(); err != nil {
			return nil, err
		}
		if peers[i], err = FreePort(); err != nil {
			return nil, err
		}
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", peers[i]))
		c.urls = append(c.urls, fmt.Sprintf("nats://127.0.0.1:%d", clients[i]))
	}
	for i := range n {
		name := fmt.Sprintf("n%d", i)
		file := filepath.Join(dir, name+".conf")
		text := fmt.Sprintf(`server_name: %s
listen: "127.0.0.1:%d"
jetstream { store_dir: %q }
cluster { name: test, listen: "127.0.0.1:%d", routes: [%s] }
max_payload: 16MB
`, name, clients[i], filepath.Join(dir, name), peers[i], strings.Join(routes, ", "))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			c.Stop()
			return nil, err
		}
		c.files = append(c.files, file)
		if err := c.StartNode(i); err != nil {
			c.Stop()
			return nil, err
		}
	}
	if err := c.waitForLeader(ctx); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// FreePort is a port of the loopback interface that nobody listens on now.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// StartNode starts a server, again if it was killed.
func (c *Cluster) StartNode(i int) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), configuration+"="+c.files[i])
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	c.nodes[i] = cmd
	return nil
}

// Kill ends a server without a word, as a machine that loses its power does.
func (c *Cluster) Kill(i int) {
	if c.nodes[i] != nil {
		_ = c.nodes[i].Process.Kill()
		_ = c.nodes[i].Wait()
		c.nodes[i] = nil
	}
}

// Stop kills all servers.
func (c *Cluster) Stop() {
	for i := range c.nodes {
		c.Kill(i)
	}
}

// URL names all servers.
func (c *Cluster) URL() string { return strings.Join(c.urls, ",") }

// Processes are the ids of the servers' processes.
func (c *Cluster) Processes() []int {
	var ids []int
	for _, node := range c.nodes {
		if node != nil {
			ids = append(ids, node.Process.Pid)
		}
	}
	return ids
}

func (c *Cluster) connect() (*nats.Conn, jetstream.JetStream, error) {
	conn, err := nats.Connect(c.URL(), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(100*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn)
	return conn, js, err
}

// again tries every tenth of a second, for a minute at most.
func again(ctx context.Context, try func(context.Context) error) error {
	for end := time.Now().Add(time.Minute); ; {
		limited, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := try(limited)
		cancel()
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (c *Cluster) waitForLeader(ctx context.Context) error {
	conn, js, err := c.connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	return again(ctx, func(ctx context.Context) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: "probe", Replicas: len(c.nodes), Storage: jetstream.MemoryStorage})
		if err != nil {
			return err
		}
		return js.DeleteStream(ctx, "probe")
	})
}

// Leader is the number of the server that leads a stream.
func (c *Cluster) Leader(ctx context.Context, stream string) (leader int, err error) {
	conn, js, err := c.connect()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	err = again(ctx, func(ctx context.Context) error {
		found, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		cluster := found.CachedInfo().Cluster
		if cluster == nil {
			return errors.New("the stream is in no cluster")
		}
		_, err = fmt.Sscanf(cluster.Leader, "n%d", &leader)
		return err
	})
	return leader, err
}
