package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// writeCertificate writes a new certificate for 127.0.0.1 and its key, and
// returns it.
func writeCertificate(t *testing.T, certFile, keyFile string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "delivery"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		// A test is faster than the clock of some file systems.
		when := time.Now().Add(time.Duration(serial) * time.Second)
		if err := os.Chtimes(file, when, when); err != nil {
			t.Fatal(err)
		}
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// The service speaks TLS itself, and tells its metrics and health elsewhere.
func TestTLSAndAdmin(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots := x509.NewCertPool()
	roots.AddCert(writeCertificate(t, certFile, keyFile, 1))
	p := launch(t, "-listen", "127.0.0.1:0", "-data", t.TempDir(), "-tls-cert", certFile, "-tls-key", keyFile, "-admin", "127.0.0.1:0")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	socket, _, err := websocket.Dial(t.Context(), "wss://"+p.address+"/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	f := &frames{t: t, socket: socket}
	f.request("hello", map[string]any{"version": 1, "name": "alice", "token": "token of alice 0123456789"})
	f.request("ping", nil)
	if _, _, err := websocket.Dial(t.Context(), "ws://"+p.address+"/ws", nil); err == nil {
		t.Error("it speaks without TLS too")
	}
	for path, want := range map[string]string{"livez": "ok\n", "readyz": "ok\n", "metrics": "webmls_delivery_connections 1\n"} {
		response, err := http.Get("http://" + p.admin + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s, %v", path, body, err)
		}
		if err := probe(t.Context(), "http://"+p.admin+"/"+path); err != nil {
			t.Error(err)
		}
	}
	if err := probe(t.Context(), "http://"+p.admin+"/nothing"); err == nil {
		t.Error("a probe of nothing is healthy")
	}
	socket.CloseNow()
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A certificate that is renewed is served, one that is no good is not.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	c, err := newCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(pair.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	later := func() { c.looked = c.looked.Add(-time.Minute) }
	writeCertificate(t, certFile, keyFile, 2)
	if got := serial(); got != 1 {
		t.Errorf("certificate %d before it is time to look", got)
	}
	later()
	if got := serial(); got != 2 {
		t.Errorf("certificate %d after the renewal", got)
	}
	if err := os.WriteFile(certFile, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	if got := serial(); got != 2 {
		t.Errorf("certificate %d while the file is no good", got)
	}
	writeCertificate(t, certFile, keyFile, 3)
	later()
	if got := serial(); got != 3 {
		t.Errorf("certificate %d after the repair", got)
	}
}

// Accounts for development stay on this machine, unless somebody says otherwise.
func TestDevelopmentAccountsStayHere(t *testing.T) {
	for listen, here := range map[string]bool{
		"127.0.0.1:8470": true, "127.8.9.1:0": true, "[::1]:8470": true, "localhost:8470": true,
		":8470": false, "0.0.0.0:8470": false, "[::]:8470": false, "192.0.2.1:8470": false, "chat.example:8470": false,
		"localhost.example:8470": false,
	} {
		for _, c := range []struct {
			args []string
			want bool
		}{
			{nil, here},
			{[]string{"-development-accounts"}, true},
			{[]string{"-oidc-issuer", "https://accounts.example", "-oidc-audience", "chat"}, true},
		} {
			if _, err := parse(append([]string{"-listen", listen}, c.args...)); (err == nil) != c.want {
				t.Errorf("%s %v: %v", listen, c.args, err)
			}
		}
	}
}
