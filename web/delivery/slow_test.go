package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"webmls/web/delivery/internal/service"
	"webmls/web/delivery/internal/store"
)

// A body that does not come holds no connection for ever, and a WebSocket is not
// cut by what is meant for requests.
func TestSlowRequests(t *testing.T) {
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	o := options{store: store.Config{DataDir: t.TempDir(), Logger: logger}, limits: service.DefaultLimits}
	state, err := store.Open(t.Context(), o.store)
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	authenticator, err := o.authenticator(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := service.New(service.Config{Store: state, Authenticator: authenticator, Logger: logger, Limits: o.limits})
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(handler, logger)
	if server.ReadTimeout == 0 || server.WriteTimeout == 0 {
		t.Fatal("a slow request may take for ever")
	}
	server.ReadTimeout, server.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	defer handler.Shutdown(context.WithoutCancel(t.Context()))

	socket, _, err := websocket.Dial(t.Context(), "ws://"+listener.Addr().String()+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()

	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /development/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(conn); err != nil {
		t.Errorf("%s is still held: %v %q", http.MethodPost, err, b)
	}

	f := &frames{t: t, socket: socket}
	f.request("hello", map[string]any{"version": 1, "name": "alice", "token": "token of alice 0123456789"})
	time.Sleep(500 * time.Millisecond)
	f.request("ping", nil)
}
