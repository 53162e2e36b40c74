package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// maxPayload is the largest message the embedded server takes: a full frame of
// the socket, with room to grow.
const maxPayload = 16 << 20

// backend is the connection to NATS, and the server where it is embedded.
type backend struct {
	conn   *nats.Conn
	server *server.Server
	unlock func()
}

func openBackend(config Config) (*backend, error) {
	if config.URL != "" {
		conn, err := nats.Connect(config.URL,
			nats.Name("webmls delivery"),
			nats.MaxReconnects(-1),
			nats.ReconnectWait(250*time.Millisecond),
			// A node that hangs is left within half a minute.
			nats.PingInterval(10*time.Second),
			nats.MaxPingsOutstanding(2),
			nats.ErrorHandler(logConnectionErrors(config.Logger)))
		if err != nil {
			return nil, fmt.Errorf("connect to NATS: %w", err)
		}
		return &backend{conn: conn}, nil
	}
	return openEmbedded(config)
}

// openEmbedded starts a server inside the process. It opens no port: the one
// connection is a pipe.
func openEmbedded(config Config) (*backend, error) {
	if config.DataDir == "" {
		return nil, errors.New("the embedded store needs a data folder")
	}
	if err := os.MkdirAll(config.DataDir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(config.DataDir)
	if err != nil {
		return nil, err
	}
	embedded, err := server.NewServer(&server.Options{
		ServerName:             "delivery",
		DontListen:             true,
		JetStream:              true,
		StoreDir:               config.DataDir,
		MaxPayload:             maxPayload,
		NoSigs:                 true,
		DisableJetStreamBanner: true,
		// There is no replica to recover from: an acknowledged commit must
		// be on the disk, for its author has moved to the next epoch.
		SyncAlways: true,
	})
	if err != nil {
		unlock()
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	embedded.SetLoggerV2(natsLogger{config.Logger}, false, false, false)
	embedded.Start()
	b := &backend{server: embedded, unlock: unlock}
	if !embedded.ReadyForConnections(30 * time.Second) {
		b.close()
		return nil, errors.New("embedded NATS did not start")
	}
	b.conn, err = nats.Connect("", nats.InProcessServer(embedded),
		nats.Name("webmls delivery"),
		nats.MaxReconnects(-1),
		nats.ErrorHandler(logConnectionErrors(config.Logger)))
	if err != nil {
		b.close()
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	return b, nil
}

func (b *backend) close() {
	if b.conn != nil {
		b.conn.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
	if b.unlock != nil {
		b.unlock()
	}
}

func logConnectionErrors(logger *slog.Logger) nats.ErrHandler {
	return func(_ *nats.Conn, _ *nats.Subscription, err error) {
		logger.Warn("nats", "error", err)
	}
}

// natsLogger passes on what the embedded server warns of. Its notices are
// noise here; its traces, which could hold payloads, are never switched on.
type natsLogger struct{ logger *slog.Logger }

func (l natsLogger) Noticef(format string, v ...any) {}
func (l natsLogger) Debugf(format string, v ...any)  {}
func (l natsLogger) Tracef(format string, v ...any)  {}
func (l natsLogger) Warnf(format string, v ...any) {
	l.logger.Warn("nats", "message", fmt.Sprintf(format, v...))
}
func (l natsLogger) Errorf(format string, v ...any) {
	l.logger.Error("nats", "message", fmt.Sprintf(format, v...))
}
func (l natsLogger) Fatalf(format string, v ...any) {
	l.logger.Error("nats", "message", fmt.Sprintf(format, v...))
}
