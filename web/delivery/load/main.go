// Command load measures the delivery service: how many connections it holds, and
// how many messages a second go in and are fanned out. Where no service is named
// it starts one, or a cluster, on the loopback interface.
//
//	go run ./load                        one process with the embedded store
//	go run ./load -cluster               three NATS servers, two delivery processes
//	go run ./load -url ws://host/ws,...  what runs elsewhere
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"webmls/web/delivery/internal/natsnode"
)

type settings struct {
	urls        string
	cluster     bool
	connections int
	groups      int
	publishers  int
	ahead       int
	size        int
	duration    time.Duration
}

func main() {
	natsnode.Main()
	var s settings
	flag.StringVar(&s.urls, "url", "", "`URLs` of the WebSocket of running processes, with commas; where empty, a service is started")
	flag.BoolVar(&s.cluster, "cluster", false, "start three NATS servers and two delivery processes")
	flag.IntVar(&s.connections, "connections", 1000, "connections that are held, each subscribed to a group")
	flag.IntVar(&s.groups, "groups", 100, "groups")
	flag.IntVar(&s.publishers, "publishers", 32, "connections that send")
	flag.IntVar(&s.ahead, "ahead", 8, "messages that a publisher sends before it waits for an answer")
	flag.IntVar(&s.size, "size", 512, "`bytes` of a message")
	flag.DurationVar(&s.duration, "duration", 10*time.Second, "how long to send")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	if s.connections < 1 || s.groups < 1 || s.publishers < 1 || s.ahead < 1 || s.size < leastSize {
		return fmt.Errorf("at least one of everything, and %d bytes", leastSize)
	}
	t, err := s.target(ctx)
	if err != nil {
		return err
	}
	defer t.stop()

	before := t.memory()
	begin := time.Now()
	receivers, err := subscribeAll(ctx, s, t.urls)
	if err != nil {
		return err
	}
	defer receivers.close()
	took := time.Since(begin)
	fmt.Printf("held        %d connections, each with a subscription; all there after %v", s.connections, took.Round(100*time.Millisecond))
	if after := t.memory(); before > 0 && after > before {
		fmt.Printf("; %.0f KiB of memory each", float64(after-before)/1024/float64(s.connections))
	}
	fmt.Println()

	sent, err := publish(ctx, s, t.urls, receivers)
	if err != nil {
		return err
	}
	seconds := sent.took.Seconds()
	fmt.Printf("in          %.0f messages/s of %d bytes by %d publishers; answered within %v (median), %v (99%%)\n",
		float64(sent.accepted)/seconds, s.size, s.publishers, sent.answers.at(0.5), sent.answers.at(0.99))
	missing := receivers.wait(ctx, sent.expected)
	fmt.Printf("fanned out  %.0f messages/s to %.1f subscribers a group; received within %v (median), %v (99%%)\n",
		float64(receivers.within.Load())/seconds, float64(s.connections)/float64(s.groups),
		receivers.delays.at(0.5), receivers.delays.at(0.99))
	fmt.Printf("held        %d connections in the end\n", receivers.open.Load())
	if missing != 0 {
		return fmt.Errorf("%d of %d deliveries are missing", missing, sent.expected)
	}
	fmt.Printf("complete    all %d deliveries of %d accepted messages arrived, in order\n", sent.expected, sent.accepted)
	if receivers.disorder.Load() != 0 {
		return errors.New("but not in order")
	}
	return nil
}
