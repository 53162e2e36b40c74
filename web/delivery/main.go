// Command delivery is the delivery service of WebMLS: it stores and forwards
// what clients send each other, and puts the commits of each group in order. It
// sees ciphertext.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"webmls/web/delivery/internal/service"
	"webmls/web/delivery/internal/store"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8470", "`address` to serve HTTP and WebSocket on")
	data := flag.String("data", "delivery-data", "`folder` of the embedded NATS JetStream")
	url := flag.String("nats", "", "`URL` of an existing NATS cluster, instead of the embedded server")
	replicas := flag.Int("replicas", 0, "copies of new streams in the cluster; 0 is 3 on a cluster, 1 elsewhere")
	static := flag.String("static", "", "`folder` of files to serve")
	var origins []string
	flag.Func("origin", "`pattern` of a host, or scheme://host, whose pages may connect too; may be repeated", func(v string) error {
		origins = append(origins, v)
		return nil
	})
	flag.Parse()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if flag.NArg() > 0 {
		logger.Error("unexpected arguments", "arguments", flag.Args())
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, *listen, *static, origins,
		store.Config{DataDir: *data, URL: *url, Replicas: *replicas, Logger: logger})
	if err != nil {
		logger.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, listen, static string, origins []string, config store.Config) error {
	logger := config.Logger
	opening, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	state, err := store.Open(opening, config)
	if err != nil {
		return err
	}
	defer state.Close()
	handler, err := service.New(service.Config{Store: state, Logger: logger, Origins: origins, Static: static})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	logger.Info("listening", "address", "http://"+listener.Addr().String())

	select {
	case err = <-failed:
	case <-ctx.Done():
		logger.Info("shutting down")
	}
	closing, cancelClosing := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancelClosing()
	handler.Shutdown(closing)
	if shutdownErr := server.Shutdown(closing); errors.Is(err, http.ErrServerClosed) || err == nil {
		err = shutdownErr
	}
	return err
}
