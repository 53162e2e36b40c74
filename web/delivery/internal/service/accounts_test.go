package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"webmls/web/delivery/internal/accounts"
)

// stand is an Authenticator whose tokens say what they are for.
type stand struct{ lifetime time.Duration }

func (s stand) Authenticate(_ context.Context, name, token string) (accounts.Account, error) {
	own, ok := strings.CutPrefix(token, "a valid token of ")
	if !ok || name != "" && name != own {
		return accounts.Account{}, accounts.ErrToken
	}
	account := accounts.Account{Name: own}
	if s.lifetime > 0 {
		account.Expires = time.Now().Add(s.lifetime)
	}
	return account, nil
}

func TestTokenSaysTheName(t *testing.T) {
	b := start(t, func(c *Config) { c.Authenticator = stand{} })
	c := b.dial()
	if ok := c.ok("hello", fields{"version": 1, "token": "a valid token of alice"}); ok["name"] != "alice" || ok["device"] != "" {
		t.Errorf("hello: %v", ok)
	}
	c.ok("publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage("alice's")}})
	b.dial().refused("TOKEN_INVALID", "hello", fields{"version": 1, "name": "bob", "token": "a valid token of alice"})
	b.dial().refused("TOKEN_INVALID", "hello", fields{"version": 1, "token": strings.Repeat("t", 8<<10+1)})
	b.dial().refused("DEVICE_INVALID", "hello", fields{"version": 1, "device": "a phone", "token": "a valid token of alice"})
	b.dial().refused("DEVICE_INVALID", "hello", fields{"version": 1, "device": strings.Repeat("d", 65), "token": "a valid token of alice"})
}

// A connection ends with its token, in a way that lets the client come again.
func TestTokenExpires(t *testing.T) {
	b := start(t, func(c *Config) { c.Authenticator = stand{300 * time.Millisecond} })
	c := b.dial()
	c.ok("hello", fields{"version": 1, "token": "a valid token of alice"})
	c.ok("subscribe", fields{"group": []byte("g")})
	c.ok("ping", nil)
	if code := c.closed(); code != statusExpired {
		t.Errorf("closed with %d", code)
	}
	b.logged("token expired", 1)
}

func TestDevelopmentTokens(t *testing.T) {
	b := start(t, func(c *Config) {
		seed, err := c.Store.IssuerSeed(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.Authenticator, err = accounts.NewDevelopment(seed, c.Store); err != nil {
			t.Fatal(err)
		}
	})
	response, err := http.Post(b.server.URL+"/development/token", "application/json",
		strings.NewReader(`{"name":"alice","secret":"`+tokenOf("alice")+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var issued struct{ Token string }
	if err := json.NewDecoder(response.Body).Decode(&issued); err != nil || issued.Token == "" {
		t.Fatalf("%s, %v", response.Status, err)
	}
	if ok := b.dial().ok("hello", fields{"version": 1, "token": issued.Token}); ok["name"] != "alice" {
		t.Errorf("hello: %v", ok)
	}
	b.connect("alice") // by the secret itself
	b.dial().refused("TOKEN_INVALID", "hello", fields{"version": 1, "name": "bob", "token": issued.Token})
	b.dial().refused("NAME_TAKEN", "hello", fields{"version": 1, "name": "alice", "token": tokenOf("mallory")})

	// Only that kind of accounts has an issuer.
	other := start(t)
	if response, err := http.Post(other.server.URL+"/development/token", "application/json", strings.NewReader("{}")); err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("%v, %v", response.Status, err)
	}
}

func (b *bench) connectDevice(name, device string) *client {
	b.t.Helper()
	c := b.dial()
	c.ok("hello", fields{"version": 1, "name": name, "device": device, "token": tokenOf(name)})
	return c
}

// Each device has key packages and welcomes of its own.
func TestDevices(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.Devices = 2 }))
	alice := b.connect("alice")
	phone, laptop := b.connectDevice("bob", "phone"), b.connectDevice("bob", "laptop")
	phone.ok("publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage("phone 1"), keyPackage("phone 2")}})
	laptop.ok("publishKeyPackages", fields{"lastResort": keyPackage("laptop, last resort")})
	third := b.connect("bob")
	third.refused("TOO_MANY_DEVICES", "publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage("third")}})

	if got := fmt.Sprint(alice.ok("devices", fields{"name": "bob"})["devices"], third.ok("devices", nil)["devices"], alice.ok("devices", nil)["devices"]); got != "[laptop phone] [laptop phone] []" {
		t.Errorf("devices: %s", got)
	}
	claimed := func(f fields) string {
		b, err := json.Marshal(alice.ok("claimKeyPackages", f)["keyPackages"])
		if err != nil {
			t.Fatal(err)
		}
		var list []deviceKeyPackage
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, one := range list {
			text = append(text, fmt.Sprintf("%s: %s %v", one.Device, one.KeyPackage[4:], one.LastResort))
		}
		return strings.Join(text, "; ")
	}
	if got := claimed(fields{"name": "bob"}); got != "laptop: laptop, last resort true; phone: phone 1 false" {
		t.Errorf("claimed: %s", got)
	}
	if got := alice.ok("claimKeyPackage", fields{"name": "bob", "device": "phone"}); got["lastResort"] != nil {
		t.Errorf("claimed: %v", got)
	}
	alice.refused("NO_KEY_PACKAGE", "claimKeyPackage", fields{"name": "bob", "device": "phone"})
	alice.refused("NO_KEY_PACKAGE", "claimKeyPackage", fields{"name": "bob"})
	alice.refused("NO_KEY_PACKAGE", "claimKeyPackages", fields{"name": "carol"})
	alice.refused("DEVICE_INVALID", "claimKeyPackage", fields{"name": "bob", "device": "*"})
	if got := claimed(fields{"name": "bob"}); got != "laptop: laptop, last resort true" {
		t.Errorf("claimed again: %s", got)
	}

	to := func(what ...any) []fields { return []fields{{"to": what, "welcome": welcomeMessage("to bob")}} }
	commitOf := func(epoch uint64, welcomes []fields) fields {
		return fields{"group": []byte("g"), "message": privateMessage("g", epoch, commit, ""), "welcomes": welcomes}
	}
	alice.ok("publishCommit", commitOf(0, to(fields{"name": "bob", "device": "phone"})))
	alice.ok("publishCommit", commitOf(1, to(fields{"name": "bob", "device": "phone"}, fields{"name": "bob", "device": "laptop"}, "bob")))
	alice.refused("DEVICE_INVALID", "publishCommit", commitOf(2, to(fields{"name": "bob", "device": "." + strings.Repeat(".", 64)})))
	alice.refused("MALFORMED", "publishCommit", commitOf(2, to(fields{"name": 5})))
	var seqs []string
	for _, c := range []*client{phone, laptop, third} {
		c.ok("welcomes", nil)
		e := c.event()
		seqs = append(seqs, fmt.Sprint(e.ID))
		c.ok("acknowledgeWelcome", fields{"welcome": e.ID})
		if c == phone {
			seqs = append(seqs, fmt.Sprint(c.event().ID))
		}
		c.ok("ping", nil)
		if len(c.events) > 0 {
			t.Errorf("another event: %v", c.events)
		}
	}
	if seqs[0] == seqs[1] || !slices.Equal(seqs[1:], []string{seqs[1], seqs[1], seqs[1]}) {
		t.Errorf("welcomes %v", seqs)
	}

	third.ok("removeDevice", fields{"device": "laptop"})
	third.ok("removeDevice", fields{"device": "laptop"})
	third.refused("DEVICE_INVALID", "removeDevice", fields{"device": "a.*.>"})
	if got := fmt.Sprint(third.ok("devices", nil)["devices"]); got != "[phone]" {
		t.Errorf("devices: %s", got)
	}
	alice.refused("NO_KEY_PACKAGE", "claimKeyPackage", fields{"name": "bob", "device": "laptop"})
}

func TestLowStock(t *testing.T) {
	b := start(t)
	alice, bob, quiet := b.connect("alice"), b.connect("bob"), b.connect("bob")
	bob.ok("publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage("1"), keyPackage("2"), keyPackage("3")}, "lastResort": keyPackage("last")})
	if got := bob.ok("countKeyPackages", fields{"below": 2}); got["count"] != 3.0 || got["lastResort"] != true {
		t.Errorf("count: %v", got)
	}
	if got := alice.ok("countKeyPackages", nil); got["count"] != 0.0 || got["lastResort"] != false {
		t.Errorf("count: %v", got)
	}
	alice.ok("claimKeyPackage", fields{"name": "bob"}) // leaves two
	bob.ok("ping", nil)
	alice.ok("claimKeyPackage", fields{"name": "bob"})
	if e := bob.event(); e.Event != "keyPackages" || e.Count != 1 {
		t.Errorf("event %+v", e)
	}
	alice.ok("claimKeyPackage", fields{"name": "bob"})
	if e := bob.event(); e.Count != 0 {
		t.Errorf("event %+v", e)
	}
	if got := alice.ok("claimKeyPackage", fields{"name": "bob"}); got["lastResort"] != true {
		t.Errorf("claim: %v", got)
	}
	if e := bob.event(); e.Count != 0 {
		t.Errorf("event of last resort: %+v", e)
	}
	quiet.ok("ping", nil)
	if len(quiet.events) > 0 {
		t.Errorf("who did not ask was told: %+v", quiet.events)
	}
}

// Rates beyond the burst slow a user down, over all of its connections, and
// nobody else.
func TestUserRates(t *testing.T) {
	b := start(t, limits(func(l *Limits) {
		l.ClaimsPerSecond, l.ClaimBurst = 4, 2
		l.Frame, l.ByteBurst, l.BytesPerSecond = 20_000, 20_000, 40_000
	}))
	bob := b.connect("bob")
	bob.ok("publishKeyPackages", fields{"lastResort": keyPackage("last")})
	first, second := b.connect("alice"), b.connect("alice")
	begin := time.Now()
	for range 2 {
		first.ok("claimKeyPackage", fields{"name": "bob"})
		second.ok("claimKeyPackage", fields{"name": "bob"})
	}
	if took := time.Since(begin); took < 450*time.Millisecond {
		t.Errorf("four claims took %v", took)
	}
	begin = time.Now()
	for range 3 {
		first.ok("ping", fields{"more": strings.Repeat("x", 9_900)})
		second.ok("ping", fields{"more": strings.Repeat("x", 9_900)})
	}
	if took := time.Since(begin); took < 900*time.Millisecond {
		t.Errorf("sixty thousand bytes took %v", took)
	}
	begin = time.Now()
	bob.ok("claimKeyPackage", fields{"name": "bob"})
	if took := time.Since(begin); took > 400*time.Millisecond {
		t.Errorf("another user's claim took %v", took)
	}
}

func TestConnectionRate(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.ConnectionsPerSecond, l.ConnectionBurst = 1, 3 }))
	statuses := make(map[int]int)
	for range 6 {
		request := httptest.NewRequest(http.MethodGet, "/ws", nil) // no upgrade: 426 where it is let in
		w := httptest.NewRecorder()
		b.service.ServeHTTP(w, request)
		statuses[w.Code]++
		if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
			t.Error("refused without a word on when to come again")
		}
	}
	if statuses[http.StatusServiceUnavailable] != 3 {
		t.Errorf("statuses: %v", statuses)
	}
}

func (b *bench) metric(name string) string {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.service.Admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	found := regexp.MustCompile(`(?m)^webmls_delivery_` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(w.Body.String())
	if found == nil {
		return ""
	}
	return found[1]
}

func TestMetrics(t *testing.T) {
	b := start(t)
	alice, bob := b.connect("alice-7f3a"), b.connect("bob")
	g := []byte("g-7f3a")
	bob.ok("subscribe", fields{"group": g})
	alice.ok("publishCommit", fields{"group": g, "message": privateMessage(string(g), 0, commit, "payload-7f3a")})
	alice.ok("publishCommit", fields{"group": g, "message": privateMessage(string(g), 0, commit, "late")})
	alice.ok("publish", fields{"group": g, "message": privateMessage(string(g), 1, application, "payload-7f3a")})
	alice.ok("publish", fields{"group": g, "message": publicMessage(string(g), 1, proposal, "")})
	alice.refused("EPOCH_AHEAD", "publish", fields{"group": g, "message": privateMessage(string(g), 7, application, "")})
	alice.refused("NO_KEY_PACKAGE", "claimKeyPackage", fields{"name": "bob"})
	alice.refused("UNKNOWN_OP", "op-7f3a", nil)
	for range 3 {
		bob.event()
	}
	bob.ok("ping", nil)
	for name, want := range map[string]string{
		`connections`:                                     "2",
		`subscriptions`:                                   "1",
		`messages_total{type="commit"}`:                   "1",
		`messages_total{type="proposal"}`:                 "1",
		`messages_total{type="application"}`:              "1",
		`commits_stale_total`:                             "1",
		`events_total{event="message"}`:                   "3",
		`key_packages_claimed_total{kind="none"}`:         "1",
		`requests_total{code="OK",op="publish"}`:          "2",
		`requests_total{code="EPOCH_AHEAD",op="publish"}`: "1",
		`requests_total{code="UNKNOWN_OP",op="unknown"}`:  "1",
		`request_seconds_count{op="publish"}`:             "3",
	} {
		if got := b.metric(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	w := httptest.NewRecorder()
	b.service.Admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if bytes.Contains(w.Body.Bytes(), []byte("7f3a")) {
		t.Error("the metrics have what a client chose")
	}
	if status, _, _ := b.get("/metrics"); status != http.StatusNotFound {
		t.Errorf("metrics where clients are: %d", status)
	}
	alice.socket.CloseNow()
	bob.socket.CloseNow()
	b.logged("disconnected", 2)
	for end := time.Now().Add(5 * time.Second); b.metric("connections") != "0" || b.metric("subscriptions") != "0"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s connections, %s subscriptions", b.metric("connections"), b.metric("subscriptions"))
		}
	}
}

func TestHealth(t *testing.T) {
	b := start(t)
	health := func() string {
		var s []string
		for _, path := range []string{"/livez", "/readyz"} {
			status, _, _ := b.get(path)
			w := httptest.NewRecorder()
			b.service.Admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			if w.Code != status {
				t.Errorf("%s: %d here, %d there", path, status, w.Code)
			}
			s = append(s, fmt.Sprint(status))
		}
		return strings.Join(s, " ")
	}
	if got := health(); got != "200 200" {
		t.Errorf("health: %s", got)
	}
	b.service.Drain(t.Context(), 0)
	if got := health(); got != "200 503" {
		t.Errorf("while draining: %s", got)
	}

	b = start(t)
	b.store.Close()
	if got := health(); got != "200 503" {
		t.Errorf("without a store: %s", got)
	}
}

// A drain closes the connections one by one, and takes no new ones.
func TestDrain(t *testing.T) {
	b := start(t)
	const n = 5
	closed := make(chan time.Time, n)
	for i := range n {
		c := b.connect(fmt.Sprint("user", i))
		go func() {
			if code := c.closed(); code != 1001 {
				t.Errorf("closed with %d", code)
			}
			closed <- time.Now()
		}()
	}
	begin := time.Now()
	b.service.Drain(t.Context(), time.Second)
	if took := time.Since(begin); took < 900*time.Millisecond || took > 3*time.Second {
		t.Errorf("the drain took %v", took)
	}
	var times []time.Time
	for range n {
		times = append(times, <-closed)
	}
	if spread := times[n-1].Sub(times[0]); spread < 500*time.Millisecond {
		t.Errorf("all were closed within %v", spread)
	}
	response, err := http.Get(b.server.URL + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a connection while draining: %d", response.StatusCode)
	}
}
