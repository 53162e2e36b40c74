// Command delivery is the delivery service of WebMLS: it stores and forwards
// what clients send each other, and puts the commits of each group in order. It
// sees ciphertext.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"webmls/web/delivery/internal/accounts"
	"webmls/web/delivery/internal/service"
	"webmls/web/delivery/internal/store"
)

// options is what the flags say.
type options struct {
	listen, admin   string
	static          string
	origins         []string
	tlsCert, tlsKey string
	drain           time.Duration
	store           store.Config
	oidc            accounts.OIDCConfig
	developmentOpen bool
	limits          service.Limits
	probe           string
}

func main() {
	o, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		os.Exit(2)
	}
	logger := o.store.Logger
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	if o.probe != "" {
		err = probe(ctx, o.probe)
	} else {
		err = run(ctx, o)
	}
	if err != nil {
		logger.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// parse reads the flags, and prints what is wrong with them.
func parse(args []string) (options, error) {
	o := options{limits: service.DefaultLimits}
	flag := flag.NewFlagSet("delivery", flag.ContinueOnError)
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8470", "`address` to serve HTTP and WebSocket on")
	flag.StringVar(&o.admin, "admin", "", "`address` to serve metrics and health on; none where empty")
	flag.StringVar(&o.tlsCert, "tls-cert", "", "`file` of the certificate chain; read again when it changes")
	flag.StringVar(&o.tlsKey, "tls-key", "", "`file` of the certificate's key")
	flag.StringVar(&o.store.DataDir, "data", "delivery-data", "`folder` of the embedded NATS JetStream")
	flag.StringVar(&o.store.URL, "nats", "", "`URL`s of an existing NATS cluster, with commas, instead of the embedded server")
	flag.IntVar(&o.store.Replicas, "replicas", 0, "copies of new streams in the cluster; 0 is 3 on a cluster, 1 elsewhere")
	flag.DurationVar(&o.store.Retain, "retain", 90*24*time.Hour, "how long messages are kept; 0 for ever")
	flag.StringVar(&o.static, "static", "", "`folder` of files to serve")
	flag.StringVar(&o.oidc.Issuer, "oidc-issuer", "", "`URL` of the OpenID Connect provider of the accounts; where empty, accounts are for development")
	flag.StringVar(&o.oidc.Audience, "oidc-audience", "", "client `id` that the provider's tokens are for")
	flag.StringVar(&o.oidc.NameClaim, "oidc-name", "sub", "`claim` of the tokens that is the user's name")
	flag.BoolVar(&o.developmentOpen, "development-accounts", false, "let anybody who reaches -listen make accounts, where it is not a loopback address")
	flag.DurationVar(&o.drain, "drain", 0, "how long to take for closing the connections at the end")
	flag.IntVar(&o.limits.Connections, "connections", o.limits.Connections, "how many connections the process holds at most")
	flag.StringVar(&o.probe, "probe", "", "only ask a process for its health at this `URL`, as a container's health check does")
	format := flag.String("log", "text", "`format` of the log: text or json")
	flag.Func("origin", "`pattern` of a host, or scheme://host, whose pages may connect too; may be repeated", func(v string) error {
		o.origins = append(o.origins, v)
		return nil
	})
	if err := flag.Parse(args); err != nil {
		return o, err
	}
	err := o.check()
	switch *format {
	case "text":
		o.store.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	case "json":
		o.store.Logger = slog.New(slog.NewJSONHandler(os.Stderr, nil))
	default:
		err = fmt.Errorf("no such format of the log: %q", *format)
	}
	if flag.NArg() > 0 {
		err = fmt.Errorf("unexpected arguments: %q", flag.Args())
	}
	if err != nil {
		fmt.Fprintln(flag.Output(), err)
	}
	return o, err
}

// probe asks a process whether it is healthy.
func probe(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// check refuses flags that do not go together.
func (o *options) check() error {
	switch {
	case (o.tlsCert == "") != (o.tlsKey == ""):
		return errors.New("-tls-cert and -tls-key go together")
	case (o.oidc.Issuer == "") != (o.oidc.Audience == ""):
		return errors.New("-oidc-issuer and -oidc-audience go together")
	case o.oidc.Issuer == "" && !o.developmentOpen && !isLoopback(o.listen):
		return errors.New("accounts for development are for a loopback address: " +
			"name a provider by -oidc-issuer, or say -development-accounts")
	}
	return nil
}

// isLoopback tells whether only this machine reaches an address to listen on. One
// that does not parse is left to net.Listen to refuse.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "localhost"
}

// run serves until ctx ends.
func run(ctx context.Context, o options) error {
	logger := o.store.Logger
	opening, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	state, err := store.Open(opening, o.store)
	if err != nil {
		return err
	}
	defer state.Close()
	authenticator, err := o.authenticator(opening, state)
	if err != nil {
		return err
	}
	handler, err := service.New(service.Config{
		Store: state, Authenticator: authenticator, Logger: logger, Origins: o.origins, Static: o.static, Limits: o.limits,
	})
	if err != nil {
		return err
	}

	failed := make(chan error, 2)
	server := newServer(handler, logger)
	scheme := "http"
	if o.tlsCert != "" {
		certificate, err := newCertificate(o.tlsCert, o.tlsKey, logger)
		if err != nil {
			return err
		}
		scheme = "https"
		server.TLSConfig = &tls.Config{GetCertificate: certificate.get, MinVersion: tls.VersionTLS12}
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	admin := newServer(handler.Admin(), logger)
	if o.admin != "" {
		adminListener, err := net.Listen("tcp", o.admin)
		if err != nil {
			return err
		}
		go func() { failed <- admin.Serve(adminListener) }()
		logger.Info("metrics", "address", "http://"+adminListener.Addr().String())
	}
	go func() {
		if scheme == "https" {
			failed <- server.ServeTLS(listener, "", "")
		} else {
			failed <- server.Serve(listener)
		}
	}()
	logger.Info("listening", "address", scheme+"://"+listener.Addr().String())

	select {
	case err = <-failed:
	case <-ctx.Done():
		logger.Info("shutting down")
	}
	handler.Drain(context.Background(), o.drain)
	closing, cancelClosing := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancelClosing()
	handler.Shutdown(closing)
	if shutdownErr := server.Shutdown(closing); errors.Is(err, http.ErrServerClosed) || err == nil {
		err = shutdownErr
	}
	_ = admin.Close()
	return err
}

func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		// Of a request, and of its answer; a WebSocket is none any more, and
		// has limits of its own.
		ReadTimeout:    30 * time.Second,
		WriteTimeout:   5 * time.Minute,
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: 32 << 10,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

func (o *options) authenticator(ctx context.Context, state *store.Store) (accounts.Authenticator, error) {
	if o.oidc.Issuer != "" {
		return accounts.NewOIDC(ctx, o.oidc)
	}
	o.store.Logger.Warn("accounts are for development: whoever names a user first is that user")
	seed, err := state.IssuerSeed(ctx)
	if err != nil {
		return nil, err
	}
	return accounts.NewDevelopment(seed, state)
}
