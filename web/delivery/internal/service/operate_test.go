package service

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Who asks for messages that are no longer there is told; who does not, is not.
func TestMissing(t *testing.T) {
	b := start(t)
	c := b.connect("alice")
	g := []byte("g")
	var seqs []float64
	for epoch := range uint64(3) {
		seqs = append(seqs, c.ok("publishCommit", fields{"group": g, "message": privateMessage("g", epoch, commit, "")})["seq"].(float64))
	}
	if err := b.store.Sweep(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, reader := range []struct {
		from    float64
		missing any
	}{{0, seqs[1]}, {seqs[1], seqs[1]}, {seqs[1] + 1, nil}, {seqs[2] + 1, nil}} {
		r := b.connect("reader")
		if got := r.ok("subscribe", fields{"group": g, "from": reader.from}); got["missing"] != reader.missing || got["last"] != seqs[2] {
			t.Errorf("from %v: %v, want %v missing", reader.from, got, reader.missing)
		}
		r.socket.CloseNow()
	}
	if got := c.ok("publishCommit", fields{"group": g, "message": privateMessage("g", 0, commit, "again")}); got["accepted"] != false || got["epoch"] != "3" {
		t.Errorf("a commit of an epoch whose commit is gone: %v", got)
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

// One user does not use up a device's key packages for all, and is still given
// the one of last resort; by any of its connections, and also for each device.
func TestClaimsOfOneDevice(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.ClaimsPerDevice, l.ClaimDeviceTime = 3, 400*time.Millisecond }))
	bob, mallory, again, carol := b.connect("bob"), b.connect("mallory"), b.connect("mallory"), b.connect("carol")
	var many [][]byte
	for i := range 20 {
		many = append(many, keyPackage(fmt.Sprint("bob's ", i)))
	}
	bob.ok("publishKeyPackages", fields{"keyPackages": many})
	for range 3 {
		mallory.ok("claimKeyPackage", fields{"name": "bob"})
	}
	again.refused("NO_KEY_PACKAGE", "claimKeyPackages", fields{"name": "bob"})
	bob.ok("publishKeyPackages", fields{"lastResort": keyPackage("bob's last")})
	if got := again.ok("claimKeyPackage", fields{"name": "bob"}); got["lastResort"] != true {
		t.Errorf("beyond the limit: %v", got)
	}
	if got := bob.ok("countKeyPackages", nil)["count"]; got != 17.0 {
		t.Errorf("%v key packages are left, want 17", got)
	}
	for range 5 {
		if got := bob.ok("claimKeyPackage", fields{"name": "bob"}); got["lastResort"] != nil {
			t.Error("one's own are limited")
		}
	}
	if got := carol.ok("claimKeyPackage", fields{"name": "bob"}); got["lastResort"] != nil {
		t.Error("another user pays for it")
	}
	time.Sleep(450 * time.Millisecond)
	if got := mallory.ok("claimKeyPackage", fields{"name": "bob"}); got["lastResort"] != nil {
		t.Error("nothing comes back")
	}
}

// A commit whose welcome is for a thousand devices makes a thousand records.
func TestRecipientRate(t *testing.T) {
	b := start(t, limits(func(l *Limits) {
		l.WelcomeRecipients, l.RecipientBurst, l.RecipientsPerSecond = 4, 4, 8
	}))
	first, second := b.connect("mallory"), b.connect("mallory")
	to := []string{"a", "b", "c", "d"}
	begin := time.Now()
	for epoch, c := range []*client{first, second, first} {
		c.ok("publishCommit", fields{"group": []byte("g"), "message": privateMessage("g", uint64(epoch), commit, "c"),
			"welcomes": []fields{{"to": to, "welcome": welcomeMessage("w")}}})
	}
	if took := time.Since(begin); took < 900*time.Millisecond {
		t.Errorf("twelve recipients took %v", took)
	}
	begin = time.Now()
	first.ok("publishCommit", fields{"group": []byte("g"), "message": privateMessage("g", 3, commit, "c")})
	if took := time.Since(begin); took > 400*time.Millisecond {
		t.Errorf("a commit for nobody new took %v", took)
	}
}

// One user does not fill the queue of a device's welcomes for all.
func TestWelcomesToOneDevice(t *testing.T) {
	b := start(t, limits(func(l *Limits) {
		l.WelcomesPerDevice, l.WelcomesToDevice, l.WelcomeDeviceTime = 8, 3, 400*time.Millisecond
	}))
	mallory, carol := b.connect("mallory"), b.connect("carol")
	invite := func(group string, to any) fields {
		return fields{"group": []byte(group), "message": privateMessage(group, 0, commit, "c"),
			"welcomes": []fields{{"to": []any{to}, "welcome": welcomeMessage("w")}}}
	}
	for i := range 3 {
		mallory.ok("publishCommit", invite(fmt.Sprint("m", i), "bob"))
	}
	mallory.refused("WELCOMES_FULL", "publishCommit", invite("m3", "bob"))
	mallory.ok("publishCommit", invite("m4", fields{"name": "bob", "device": "phone"}))
	carol.ok("publishCommit", invite("c0", "bob"))
	for i := range 5 {
		carol.ok("publishCommit", invite(fmt.Sprint("own", i), "carol"))
	}
	time.Sleep(450 * time.Millisecond)
	if got := mallory.ok("publishCommit", invite("m3", "bob")); got["accepted"] != true {
		t.Errorf("later: %v", got)
	}
}
