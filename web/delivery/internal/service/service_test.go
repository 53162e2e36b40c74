package service

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"webmls/web/delivery/internal/store"
)

// The whole way of two users: key package, commit with welcome and GroupInfo,
// messages, GroupInfo, acknowledgement.
func TestTwoUsers(t *testing.T) {
	b := start(t)
	alice, bob := b.connect("alice"), b.connect("bob")

	bob.ok("publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage("bob 1"), keyPackage("bob 2")}})
	if n := bob.ok("countKeyPackages", nil)["count"]; n != 2.0 {
		t.Errorf("bob has %v key packages", n)
	}
	claimed := alice.ok("claimKeyPackage", fields{"name": "bob"})["keyPackage"]
	if claimed != base64.StdEncoding.EncodeToString(keyPackage("bob 1")) {
		t.Errorf("alice claimed %v", claimed)
	}
	if n := bob.ok("countKeyPackages", nil)["count"]; n != 1.0 {
		t.Errorf("bob has %v key packages left", n)
	}

	bob.ok("welcomes", nil)
	add := publicMessage("g", 0, commit, "add bob")
	accepted := alice.ok("publishCommit", fields{
		"group": []byte("g"), "message": add, "groupInfo": groupInfo("g", 1, "info"),
		"welcomes": []fields{{"to": []string{"bob"}, "welcome": welcomeMessage("for bob")}},
	})
	if accepted["accepted"] != true || accepted["epoch"] != "1" {
		t.Errorf("commit: %v", accepted)
	}
	welcome := bob.event()
	if welcome.Event != "welcome" || !bytes.Equal(welcome.Welcome, welcomeMessage("for bob")) ||
		string(welcome.Group) != "g" || float64(welcome.Seq) != accepted["seq"] {
		t.Errorf("welcome: %+v", welcome)
	}

	sub := bob.send("subscribe", fields{"group": []byte("g"), "from": welcome.Seq + 1})
	if a := bob.answer(); a.OK["last"] != accepted["seq"] {
		t.Errorf("subscribe: %+v", a)
	}
	alice.ok("subscribe", fields{"group": []byte("g"), "from": 0})
	hello := privateMessage("g", 1, application, "hello bob")
	sent := alice.ok("publish", fields{"group": []byte("g"), "message": hello})
	got := bob.event()
	if got.Sub != sub || !bytes.Equal(got.Message, hello) || float64(got.Seq) != sent["seq"] {
		t.Errorf("bob got %+v", got)
	}
	for i, want := range [][]byte{add, hello} {
		if e := alice.event(); !bytes.Equal(e.Message, want) {
			t.Errorf("alice's event %d is %+v", i, e)
		}
	}
	info := bob.ok("groupInfo", fields{"group": []byte("g")})
	if info["epoch"] != "1" || info["groupInfo"] != base64.StdEncoding.EncodeToString(groupInfo("g", 1, "info")) {
		t.Errorf("GroupInfo: %v", info)
	}

	// Until it is acknowledged the welcome comes again.
	again := b.connect("bob")
	again.ok("welcomes", nil)
	if e := again.event(); e.ID != welcome.ID {
		t.Errorf("again: %+v", e)
	}
	again.ok("acknowledgeWelcome", fields{"welcome": welcome.ID})
	again.ok("acknowledgeWelcome", fields{"welcome": welcome.ID})
	third := b.connect("bob")
	third.ok("welcomes", nil)
	third.ok("ping", nil)
	time.Sleep(50 * time.Millisecond)
	third.ok("ping", nil)
	if len(third.events) != 0 {
		t.Errorf("an acknowledged welcome came again: %+v", third.events)
	}
}

func TestCommitIsOnePerEpoch(t *testing.T) {
	b := start(t)
	c := b.connect("alice")
	publish := func(message []byte) fields {
		t.Helper()
		return c.ok("publishCommit", fields{"group": []byte("g"), "message": message})
	}
	if got := publish(privateMessage("g", 5, commit, "first")); got["accepted"] != true || got["epoch"] != "6" {
		t.Errorf("first: %v", got)
	}
	for epoch, message := range map[string][]byte{
		"the same epoch": publicMessage("g", 5, commit, "other"),
		"an old one":     privateMessage("g", 0, commit, "old"),
		"one ahead":      publicMessage("g", 7, commit, "ahead"),
	} {
		if got := publish(message); got["accepted"] != false || got["epoch"] != "6" || got["seq"] != nil {
			t.Errorf("%s: %v", epoch, got)
		}
	}
	if got := publish(publicMessage("g", 6, commit, "next")); got["accepted"] != true || got["epoch"] != "7" {
		t.Errorf("next: %v", got)
	}
	// The largest epoch that has a next one.
	const last = 1<<64 - 2
	got := c.ok("publishCommit", fields{"group": []byte("h"), "message": privateMessage("h", last, commit, "")})
	if got["epoch"] != strconv.FormatUint(last+1, 10) {
		t.Errorf("the last epoch: %v", got)
	}
}

// Twenty clients race
// for the epochs, with PublicMessage and PrivateMessage. That it holds with several
// processes is the store's test.
func TestRacingClients(t *testing.T) {
	b := start(t)
	const clients, epochs = 20, 8
	var accepted [epochs]atomic.Int32
	var members []string
	for i := range clients {
		members = append(members, fmt.Sprint("user", i))
	}
	b.connect("founder").ok("publishCommit", fields{"group": []byte("g"), "message": privateMessage("g", 0, commit, "first"), "members": members})
	var all sync.WaitGroup
	for i := range clients {
		c := b.connect(fmt.Sprint("user", i))
		make := privateMessage
		if i%2 == 0 {
			make = publicMessage
		}
		all.Go(func() {
			for epoch := uint64(1); epoch < epochs; {
				got := c.ok("publishCommit", fields{"group": []byte("g"), "message": make("g", epoch, commit, fmt.Sprint(i))})
				if got["accepted"] == true {
					accepted[epoch].Add(1)
				}
				next, err := strconv.ParseUint(fmt.Sprint(got["epoch"]), 10, 64)
				if err != nil || next <= epoch {
					t.Errorf("epoch %d: %v", epoch, got)
					return
				}
				epoch = next
			}
		})
	}
	all.Wait()
	for epoch := 1; epoch < epochs; epoch++ {
		if n := accepted[epoch].Load(); n != 1 {
			t.Errorf("%d commits of epoch %d", n, epoch)
		}
	}
}

// Clients that subscribe at any time while many publish see one and the same
// log, and one that loses its connection goes on without gap or double.
func TestReplayLiveAndResume(t *testing.T) {
	b := start(t)
	const writers, each = 3, 60
	var writing, reading sync.WaitGroup
	type seen struct {
		seq  uint64
		text string
	}
	logs := make([][]seen, 6)
	for i := range logs {
		reading.Go(func() {
			time.Sleep(time.Duration(i) * 30 * time.Millisecond)
			var log []seen
			next := uint64(0)
			for len(log) < writers*each {
				c := b.connect(fmt.Sprint("reader", i))
				c.ok("subscribe", fields{"group": []byte("g"), "from": next})
				// Every other reader loses its connection again and again.
				for n := 0; len(log) < writers*each && (i%2 == 0 || n < 25); n++ {
					e := c.event()
					if e.Seq < next {
						t.Errorf("sequence %d after %d", e.Seq, next-1)
						return
					}
					next = e.Seq + 1
					log = append(log, seen{e.Seq, string(e.Message)})
				}
				c.socket.CloseNow()
			}
			logs[i] = log
		})
	}
	for w := range writers {
		c := b.connect(fmt.Sprint("writer", w))
		writing.Go(func() {
			for i := range each {
				c.ok("publish", fields{"group": []byte("g"), "message": privateMessage("g", 0, application, fmt.Sprint(w, i))})
			}
		})
	}
	writing.Wait()
	reading.Wait()
	for i, log := range logs {
		if len(log) != writers*each || !slices.Equal(log, logs[0]) {
			t.Errorf("reader %d saw another log than reader 0", i)
		}
	}
}

func TestMessagesKeepTheirOrder(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.RequestsPerSecond, l.RequestBurst = 1000, 10 }))
	c := b.connect("alice")
	const n = 100
	begin := time.Now()
	for i := range n {
		c.send("publish", fields{"group": []byte("g"), "message": privateMessage("g", 0, application, fmt.Sprint(i))})
	}
	last := 0.0
	for i := range n {
		a := c.answer()
		if seq, _ := a.OK["seq"].(float64); a.ID != uint64(i+2) || seq <= last {
			t.Fatalf("answer %d: %+v after sequence %v", i, a, last)
		} else {
			last = seq
		}
	}
	if took := time.Since(begin); took < (n-10)*time.Millisecond {
		t.Errorf("%d requests in %v, at 1,000 a second", n, took)
	}
}

func TestSubscriptions(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.SubscriptionsPerConnection = 2 }))
	c := b.connect("alice")
	first := c.send("subscribe", fields{"group": []byte("g")})
	c.answer()
	c.refused("ALREADY_SUBSCRIBED", "subscribe", fields{"group": []byte("g")})
	c.ok("subscribe", fields{"group": []byte("h")})
	c.refused("TOO_MANY_SUBSCRIPTIONS", "subscribe", fields{"group": []byte("i")})
	c.refused("NOT_SUBSCRIBED", "unsubscribe", fields{"sub": 999})
	c.ok("unsubscribe", fields{"sub": first})
	c.refused("NOT_SUBSCRIBED", "unsubscribe", fields{"sub": first})
	c.ok("publish", fields{"group": []byte("g"), "message": privateMessage("g", 0, application, "unheard")})
	c.ok("publish", fields{"group": []byte("h"), "message": privateMessage("h", 0, application, "heard")})
	if e := c.event(); !bytes.Contains(e.Message, []byte("heard")) || bytes.Contains(e.Message, []byte("unheard")) {
		t.Errorf("event %+v", e)
	}
	c.ok("subscribe", fields{"group": []byte("g")}) // there is room again
	if e := c.event(); !bytes.Contains(e.Message, []byte("unheard")) {
		t.Errorf("event %+v", e)
	}
	c.ok("welcomes", nil)
	c.refused("ALREADY_SUBSCRIBED", "welcomes", nil)
}

// The reply comes before the first event, even where there is much to send.
func TestReplyBeforeEvents(t *testing.T) {
	b := start(t)
	c := b.connect("alice")
	for round := range 30 {
		g := fmt.Sprint("group", round)
		c.ok("publish", fields{"group": []byte(g), "message": privateMessage(g, 0, application, "")})
		c.ok("subscribe", fields{"group": []byte(g)})
		if len(c.events) != 0 {
			t.Fatalf("an event before the reply: %+v", c.events)
		}
		c.event()
	}
}

// A client that reads nothing is dropped; the others do not notice.
func TestSlowClient(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.WriteTimeout, l.WriteRate = 500*time.Millisecond, 1<<30 }))
	slow, quick, writer := b.dialSmall(), b.connect("quick"), b.connect("writer")
	slow.ok("hello", fields{"version": 1, "name": "slow", "token": tokenOf("slow")})
	slow.ok("subscribe", fields{"group": []byte("g")})
	quick.ok("subscribe", fields{"group": []byte("g")})
	big := strings.Repeat("x", 1<<20)
	const n = 8 // more than the buffers of the connection take
	var reading sync.WaitGroup
	reading.Go(func() {
		for range n {
			quick.event()
		}
	})
	for i := range n {
		writer.ok("publish", fields{"group": []byte("g"), "message": privateMessage("g", 0, application, fmt.Sprint(i, big))})
	}
	reading.Wait()
	b.logged("client too slow", 1)
	quick.ok("ping", nil)
}

// What waits for a client that reads nothing is a few frames, however many groups
// it subscribes to.
func TestSlowClientOfManyGroups(t *testing.T) {
	b := start(t)
	slow, writer := b.dialSmall(), b.connect("writer")
	slow.ok("hello", fields{"version": 1, "name": "slow", "token": tokenOf("slow")})
	const groups = 48
	for i := range groups {
		slow.ok("subscribe", fields{"group": fmt.Append(nil, "g", i)})
	}
	big := strings.Repeat("x", 1<<20)
	for i := range groups {
		id := fmt.Sprint("g", i)
		writer.ok("publish", fields{"group": []byte(id), "message": privateMessage(id, 0, application, big)})
	}
	time.Sleep(500 * time.Millisecond)
	// Each was counted when it was read, before it was written.
	families, err := b.service.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "webmls_delivery_events_total" {
			continue
		}
		if held := family.GetMetric()[0].GetCounter().GetValue(); held < 1 || held > 16 {
			t.Errorf("%v messages of 1 MiB wait for one client, or fit into the buffers of its socket", held)
		}
	}
	writer.ok("ping", nil)
}

// A client that takes each frame in time is not too slow because it has many groups.
func TestSteadyClientOfManyGroups(t *testing.T) {
	const timeout = 5 * time.Second // of a frame, which takes a fifth of a second; all of them take longer
	b := start(t, limits(func(l *Limits) { l.WriteTimeout, l.WriteRate = timeout, 1<<30 }))
	steady, writer := b.dialPaced(100*time.Millisecond, 256<<10), b.connect("writer")
	steady.ok("hello", fields{"version": 1, "name": "steady", "token": tokenOf("steady")})
	const groups = 36
	for i := range groups {
		steady.ok("subscribe", fields{"group": fmt.Append(nil, "g", i)})
	}
	big := strings.Repeat("x", 384<<10)
	for i := range groups {
		id := fmt.Sprint("g", i)
		writer.ok("publish", fields{"group": []byte(id), "message": privateMessage(id, 0, application, big)})
	}
	begin := time.Now()
	for range groups {
		if e := steady.event(); e.Event != "message" {
			t.Fatalf("it was dropped after %v: %s", time.Since(begin), b.log)
		}
	}
	if took := time.Since(begin); took < timeout {
		t.Errorf("the client was not slow: %v", took)
	}
}

func TestHello(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.ConnectionsPerUser = 2 }))
	long := strings.Repeat("n", 128)
	for _, c := range []struct {
		code string
		f    fields
	}{
		{"UNSUPPORTED_VERSION", fields{"name": "alice", "token": tokenOf("alice")}},
		{"UNSUPPORTED_VERSION", fields{"version": 2, "name": "alice", "token": tokenOf("alice")}},
		{"NAME_INVALID", fields{"version": 1, "token": tokenOf("alice")}},
		{"NAME_INVALID", fields{"version": 1, "name": long + "n", "token": tokenOf("alice")}},
		{"NAME_INVALID", fields{"version": 1, "name": " alice", "token": tokenOf("alice")}},
		{"NAME_INVALID", fields{"version": 1, "name": "al\nice", "token": tokenOf("alice")}},
		{"NAME_INVALID", fields{"version": 1, "name": "al\u202eice", "token": tokenOf("alice")}},
		{"TOKEN_INVALID", fields{"version": 1, "name": "alice", "token": "fifteen bytes.."}},
		{"TOKEN_INVALID", fields{"version": 1, "name": "alice", "token": strings.Repeat("t", 257)}},
	} {
		client := b.dial()
		client.refused(c.code, "hello", c.f)
		if code := client.closed(); code != websocket.StatusPolicyViolation {
			t.Errorf("%s: closed with %d", c.code, code)
		}
	}
	c := b.dial()
	c.refused("NOT_AUTHENTICATED", "countKeyPackages", nil)
	if code := c.closed(); code != websocket.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}

	first := b.connect("alice")
	first.refused("MALFORMED", "hello", fields{"version": 1, "name": "alice", "token": tokenOf("alice")})
	first.ok("ping", nil) // still there
	thief := b.dial()
	thief.refused("NAME_TAKEN", "hello", fields{"version": 1, "name": "alice", "token": tokenOf("mallory")})
	if code := thief.closed(); code != websocket.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}
	second := b.connect("alice")
	third := b.dial()
	third.refused("TOO_MANY_CONNECTIONS", "hello", fields{"version": 1, "name": "alice", "token": tokenOf("alice")})
	b.connect(long)
	b.connect("Zoë 🦊 van Dijk")

	// A connection that ends makes room.
	second.socket.CloseNow()
	end := time.Now().Add(5 * time.Second)
	for {
		again := b.dial()
		if again.request("hello", fields{"version": 1, "name": "alice", "token": tokenOf("alice")}).Error == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no room for another connection")
		}
	}
}

func TestHelloInTime(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.HelloTimeout = 200 * time.Millisecond }))
	silent, polite := b.dial(), b.connect("alice")
	silent.closed()
	b.logged("no hello in time", 1)
	time.Sleep(300 * time.Millisecond)
	polite.ok("ping", nil)
}

func TestConnectionLimit(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.Connections = 1 }))
	b.connect("alice")
	_, response, err := websocket.Dial(t.Context(), b.url(), nil)
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("second connection: %v", err)
	}
}

func TestPingFindsTheDead(t *testing.T) {
	b := start(t, limits(func(l *Limits) { l.PingInterval, l.PingTimeout = 50*time.Millisecond, time.Second }))
	b.connect("dead") // never reads, so never answers a ping
	alive := b.connect("alive")
	for end := time.Now().Add(15 * time.Second); !strings.Contains(b.log.String(), "client too slow"); {
		if time.Now().After(end) {
			t.Fatal("the dead client is still connected")
		}
		alive.ok("ping", nil) // reads, so it answers pings too
	}
	alive.ok("ping", nil)
}

// Every refusal has its code, and leaves the connection as it was.
func TestRefusals(t *testing.T) {
	b := start(t, limits(func(l *Limits) {
		l.KeyPackagesPerRequest, l.KeyPackagesPerDevice, l.KeyPackage = 3, 5, 100
		l.WelcomeRecipients, l.WelcomesPerDevice = 4, 2
		l.Message = 10_000
	}))
	c := b.connect("alice")
	c.ok("publishCommit", fields{"group": []byte("g"), "message": privateMessage("g", 29, commit, "")})
	g := []byte("g")
	good := privateMessage("g", 30, commit, "never accepted")
	message := func(m []byte) fields { return fields{"group": g, "message": m} }
	withWelcome := func(to any, welcome []byte) fields {
		return fields{"group": g, "message": good, "welcomes": []fields{{"to": to, "welcome": welcome}}}
	}
	for _, r := range []struct {
		code, op string
		f        fields
	}{
		{"UNKNOWN_OP", "", nil},
		{"UNKNOWN_OP", "nothing", nil},

		{"MALFORMED", "publishKeyPackages", nil},
		{"MALFORMED", "publishKeyPackages", fields{"keyPackages": [][]byte{nil}}},
		{"MALFORMED", "publishKeyPackages", fields{"keyPackages": [][]byte{[]byte("not MLS")}}},
		{"MALFORMED", "publishKeyPackages", fields{"keyPackages": "text"}},
		{"MALFORMED", "publishKeyPackages", fields{"keyPackages": []string{"not base64!"}}},
		{"WRONG_MESSAGE", "publishKeyPackages", fields{"keyPackages": [][]byte{welcomeMessage("")}}},
		{"TOO_LARGE", "publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage(strings.Repeat("x", 97))}}},
		{"TOO_MANY", "publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage("1"), keyPackage("2"), keyPackage("3"), keyPackage("4")}}},

		{"NAME_INVALID", "claimKeyPackage", nil},
		{"NO_KEY_PACKAGE", "claimKeyPackage", fields{"name": "nobody"}},

		{"MALFORMED", "publishCommit", fields{"message": good}},
		{"MALFORMED", "publishCommit", fields{"group": bytes.Repeat(g, 256), "message": good}},
		{"MALFORMED", "publishCommit", message(nil)},
		{"MALFORMED", "publishCommit", message(good[:10])},
		{"MALFORMED", "publishCommit", message(privateMessage("g", 1<<64-1, commit, "no next epoch"))},
		{"WRONG_MESSAGE", "publishCommit", message(privateMessage("g", 30, application, ""))},
		{"WRONG_MESSAGE", "publishCommit", message(publicMessage("g", 30, proposal, ""))},
		{"WRONG_MESSAGE", "publishCommit", message(welcomeMessage(""))},
		{"WRONG_MESSAGE", "publishCommit", message(groupInfo("g", 30, ""))},
		{"WRONG_GROUP", "publishCommit", message(privateMessage("h", 30, commit, ""))},
		{"WRONG_MESSAGE", "publishCommit", fields{"group": g, "message": good, "groupInfo": groupInfo("g", 30, "")}},
		{"WRONG_MESSAGE", "publishCommit", fields{"group": g, "message": good, "groupInfo": welcomeMessage("")}},
		{"WRONG_GROUP", "publishCommit", fields{"group": g, "message": good, "groupInfo": groupInfo("h", 31, "")}},
		{"MALFORMED", "publishCommit", fields{"group": g, "message": good, "groupInfo": []byte{1}}},
		{"MALFORMED", "publishCommit", withWelcome([]string{}, welcomeMessage(""))},
		{"MALFORMED", "publishCommit", withWelcome("bob", welcomeMessage(""))},
		{"MALFORMED", "publishCommit", withWelcome([]string{"bob"}, nil)},
		{"NAME_INVALID", "publishCommit", withWelcome([]string{"bob", ""}, welcomeMessage(""))},
		{"WRONG_MESSAGE", "publishCommit", withWelcome([]string{"bob"}, keyPackage(""))},
		{"TOO_MANY", "publishCommit", withWelcome([]string{"a", "b", "c", "d", "e"}, welcomeMessage(""))},

		{"MALFORMED", "publish", fields{"message": privateMessage("g", 30, application, "")}},
		{"MALFORMED", "publish", message([]byte{0, 1, 0, 9})},
		{"MALFORMED", "publish", message([]byte{0, 2, 0, 2})},
		{"WRONG_MESSAGE", "publish", message(good)},
		{"WRONG_MESSAGE", "publish", message(publicMessage("g", 30, application, "in the clear"))},
		{"WRONG_MESSAGE", "publish", message(keyPackage(""))},
		{"WRONG_GROUP", "publish", message(privateMessage("gg", 30, application, ""))},
		{"TOO_LARGE", "publish", message(privateMessage("g", 30, application, strings.Repeat("x", 10_000)))},
		{"EPOCH_AHEAD", "publish", message(privateMessage("g", 31, application, ""))},
		{"EPOCH_BEHIND", "publish", message(privateMessage("g", 30-store.PastEpochs-1, application, ""))},
		{"EPOCH_BEHIND", "publish", message(publicMessage("g", 29, proposal, ""))},

		{"MALFORMED", "publishGroupInfo", fields{"group": g}},
		{"WRONG_MESSAGE", "publishGroupInfo", fields{"group": g, "groupInfo": good}},
		{"WRONG_GROUP", "publishGroupInfo", fields{"group": []byte("h"), "groupInfo": groupInfo("g", 30, "")}},
		{"EPOCH_AHEAD", "publishGroupInfo", fields{"group": g, "groupInfo": groupInfo("g", 31, "")}},
		{"EPOCH_BEHIND", "publishGroupInfo", fields{"group": g, "groupInfo": groupInfo("g", 29, "")}},
		{"TOO_LARGE", "publishGroupInfo", fields{"group": g, "groupInfo": groupInfo("g", 30, strings.Repeat("x", 10_000))}},
		{"MALFORMED", "groupInfo", nil},
		{"NO_GROUP_INFO", "groupInfo", fields{"group": g}},

		{"MALFORMED", "subscribe", nil},
		{"MALFORMED", "subscribe", fields{"group": g, "from": -1}},
		{"MALFORMED", "subscribe", fields{"group": g, "from": 1.5}},
		{"MALFORMED", "subscribe", fields{"group": 5}},
		{"NOT_SUBSCRIBED", "unsubscribe", nil},
		{"MALFORMED", "acknowledgeWelcome", nil},
		{"MALFORMED", "acknowledgeWelcome", fields{"welcome": "1-*"}},
	} {
		a := c.request(r.op, r.f)
		if a.Error == nil || a.Error.Code != r.code || a.Error.Message == "" || a.OK != nil {
			t.Errorf("%s %v: %+v %v, want %s", r.op, r.f, a.Error, a.OK, r.code)
			continue
		}
		if strings.HasPrefix(r.code, "EPOCH_") != (a.Error.Epoch == "30") {
			t.Errorf("%s %v: epoch %q", r.op, r.f, a.Error.Epoch)
		}
	}

	// Limits on what a user has.
	c.ok("publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage("1"), keyPackage("2"), keyPackage("3")}})
	c.refused("KEY_PACKAGES_FULL", "publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage("4"), keyPackage("5"), keyPackage("6")}})
	c.ok("publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage("4"), keyPackage("5")}})

	for epoch := uint64(30); epoch < 32; epoch++ {
		f := withWelcome([]string{"bob"}, welcomeMessage(""))
		f["message"] = privateMessage("g", epoch, commit, "")
		if got := c.ok("publishCommit", f); got["accepted"] != true {
			t.Errorf("commit: %v", got)
		}
	}
	bob := b.connect("bob")
	bob.ok("welcomes", nil)
	bob.event()
	bob.event()
	f := withWelcome([]string{"carol", "bob"}, welcomeMessage(""))
	f["message"] = privateMessage("g", 32, commit, "")
	c.refused("WELCOMES_FULL", "publishCommit", f)
	if got := c.ok("publishCommit", message(privateMessage("g", 32, commit, ""))); got["accepted"] != true {
		t.Errorf("the refused commit took the epoch: %v", got)
	}
}

// Frames that nobody can be answered about end the connection.
func TestMalformedFrames(t *testing.T) {
	b := start(t)
	for _, frame := range []string{
		"", "x", "{", "null", "[]", "7", `"text"`, "{}", `{"op":"ping"}`, `{"id":0,"op":"ping"}`, `{"id":-1,"op":"ping"}`,
		`{"id":"1","op":"ping"}`, `{"id":1.5,"op":"ping"}`, `{"id":9007199254740992,"op":"ping"}`, `{"id":1,"op":"ping"`,
		`{"id":1,"op":"ping"}{"id":2,"op":"ping"}`, "\x00", strings.Repeat("[", 100_000),
	} {
		c := b.connect("alice")
		c.sendText(frame)
		if code := c.closed(); code != websocket.StatusPolicyViolation {
			t.Errorf("frame %.40q: closed with %d", frame, code)
		}
	}
	c := b.connect("bob")
	if err := c.socket.Write(t.Context(), websocket.MessageBinary, []byte(`{"id":1,"op":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	if code := c.closed(); code != websocket.StatusUnsupportedData {
		t.Errorf("binary frame: closed with %d", code)
	}
	// A field of the wrong type has somebody to be answered.
	d := b.connect("carol")
	d.sendText(`{"id":2,"op":7}`)
	if a := d.answer(); a.ID != 2 || a.Error == nil || a.Error.Code != "MALFORMED" {
		t.Errorf("%+v", a)
	}
	d.sendText(`{"id":3,"op":"ping","unknown":[{}]}`)
	if a := d.answer(); a.ID != 3 || a.Error != nil {
		t.Errorf("%+v", a)
	}
}

func TestFrameLimits(t *testing.T) {
	b := start(t)
	stranger := b.dial()
	stranger.send("hello", fields{"version": 1, "name": "alice", "token": tokenOf("alice"), "more": strings.Repeat("x", 16<<10)})
	if code := stranger.closed(); code != websocket.StatusMessageTooBig {
		t.Errorf("before hello: closed with %d", code)
	}

	c := b.connect("alice")
	if frame := c.ok("publishCommit", fields{"group": []byte("g"), "message": privateMessage("g", 0, commit, strings.Repeat("x", 6<<20-1<<10))}); frame["accepted"] != true {
		t.Errorf("a commit of nearly a frame: %v", frame)
	}
	reader := b.connect("bob")
	reader.ok("subscribe", fields{"group": []byte("g")})
	if e := reader.event(); len(e.Message) < 6<<20-1<<10 {
		t.Errorf("the reader got %d bytes", len(e.Message))
	}
	// The service hangs up before it has read all of it.
	written := make(chan struct{})
	go func() {
		_ = c.socket.Write(t.Context(), websocket.MessageText, []byte(`{"id":9,"op":"ping","more":"`+strings.Repeat("x", 8<<20)+`"}`))
		close(written)
	}()
	if code := c.closed(); code != websocket.StatusMessageTooBig {
		t.Errorf("after hello: closed with %d", code)
	}
	c.socket.CloseNow()
	<-written
	b.logged("frame too large", 2)
}

func TestOrigin(t *testing.T) {
	b := start(t, func(c *Config) {
		c.Origins = []string{"chat.example", "https://*.partner.example", "chrome-extension://abc"}
	})
	host := strings.TrimPrefix(b.server.URL, "http://")
	for origin, allowed := range map[string]bool{
		"":                           true, // no browser
		"http://" + host:             true,
		"https://chat.example":       true,
		"https://a.partner.example":  true,
		"http://a.partner.example":   false,
		"chrome-extension://abc":     true,
		"chrome-extension://abd":     false,
		"https://evil.example":       false,
		"https://chat.example.evil":  false,
		"https://evil-chat.example":  false,
		"null":                       false,
		"http://" + host + ".evil":   false,
		"http://chat.example:8080":   false,
		"https://chat.example@evil/": false,
	} {
		options := &websocket.DialOptions{HTTPHeader: http.Header{}}
		if origin != "" {
			options.HTTPHeader.Set("Origin", origin)
		}
		socket, response, err := websocket.Dial(t.Context(), b.url(), options)
		if allowed != (err == nil) {
			t.Errorf("origin %q: %v", origin, err)
		}
		if err == nil {
			socket.CloseNow()
		} else if response.StatusCode != http.StatusForbidden {
			t.Errorf("origin %q: status %d", origin, response.StatusCode)
		}
	}
	if _, err := New(Config{Store: b.store, Origins: []string{"[a"}}); err == nil {
		t.Error("a bad pattern is taken")
	}
}

// The log tells what happened, not what was said, nor who.
func TestNothingPrivateInTheLog(t *testing.T) {
	b := start(t)
	const secret = "payload-7f3a"
	c := b.connect("name-7f3a")
	g := []byte("group-7f3a")
	c.ok("publishKeyPackages", fields{"keyPackages": [][]byte{keyPackage(secret)}})
	c.ok("claimKeyPackage", fields{"name": "name-7f3a"})
	c.ok("publishCommit", fields{"group": g, "message": privateMessage(string(g), 0, commit, secret),
		"welcomes": []fields{{"to": []string{"name-7f3a"}, "welcome": welcomeMessage(secret)}}})
	c.ok("welcomes", nil)
	c.event()
	c.refused("EPOCH_AHEAD", "publish", fields{"group": g, "message": privateMessage(string(g), 9, application, secret)})
	c.refused("MALFORMED", "publish", fields{"group": g, "message": []byte(secret)})
	c.refused("UNKNOWN_OP", secret, nil)
	c.refused("MALFORMED", "subscribe", fields{"group": secret + "!"})
	c.sendText("{" + secret)
	c.closed()
	d := b.dial()
	d.refused("NAME_TAKEN", "hello", fields{"version": 1, "name": "name-7f3a", "token": "token-7f3a-0123456789"})
	d.closed()
	b.service.Shutdown(t.Context())

	log := b.log.String()
	if !strings.Contains(log, "code=EPOCH_AHEAD") || !strings.Contains(log, "op=unknown") {
		t.Errorf("the log does not tell what happened: %s", log)
	}
	for _, private := range []string{"7f3a", tokenOf("")} {
		if strings.Contains(log, private) {
			t.Errorf("the log has %q: %s", private, log)
		}
	}
	for _, text := range []string{secret, string(g), "name-7f3a"} {
		// Any of the three ways it could fall into groups of three bytes.
		for shift := range 3 {
			encoded := base64.StdEncoding.EncodeToString([]byte(text[shift : shift+(len(text)-shift)/3*3]))
			if strings.Contains(log, encoded) {
				t.Errorf("the log has %q in base64", text)
			}
		}
	}
}

// Requests that have begun are answered; then the clients are told.
func TestShutdown(t *testing.T) {
	b := start(t)
	var clients []*client
	for i := range 5 {
		c := b.connect(fmt.Sprint("user", i))
		c.send("publish", fields{"group": []byte("g"), "message": privateMessage("g", 0, application, fmt.Sprint(i))})
		clients = append(clients, c)
	}
	for _, c := range clients {
		c.answer()
	}
	var closed sync.WaitGroup
	for _, c := range clients {
		closed.Go(func() {
			if code := c.closed(); code != websocket.StatusGoingAway {
				t.Errorf("closed with %d", code)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	b.service.Shutdown(ctx)
	if ctx.Err() != nil {
		t.Error("the shutdown took the whole time it had")
	}
	closed.Wait()
	if _, response, err := websocket.Dial(t.Context(), b.url(), nil); err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a connection after the shutdown: %v", err)
	}
}

// A client that does not hang up holds the shutdown up for the five seconds of a
// close handshake, and no longer.
func TestShutdownCutsTheSilent(t *testing.T) {
	b := start(t)
	b.connect("silent") // does not read, so does not answer the close frame
	b.dial()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	b.service.Shutdown(ctx)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
}

func TestUnavailable(t *testing.T) {
	b := start(t)
	c := b.connect("alice")
	if status, _, _ := b.get("/healthz"); status != http.StatusOK {
		t.Errorf("health: %d", status)
	}
	b.store.Close()
	c.refused("UNAVAILABLE", "publish", fields{"group": []byte("g"), "message": privateMessage("g", 0, application, "")})
	c.refused("UNAVAILABLE", "claimKeyPackage", fields{"name": "bob"})
	if status, _, _ := b.get("/healthz"); status != http.StatusServiceUnavailable {
		t.Errorf("health without a store: %d", status)
	}
}

func (b *bench) get(path string) (int, http.Header, string) {
	b.t.Helper()
	response, err := http.Get(b.server.URL + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

func TestStaticFiles(t *testing.T) {
	outside := t.TempDir()
	dir := t.TempDir()
	for name, text := range map[string]string{
		filepath.Join(dir, "index.html"):     "<!doctype html>",
		filepath.Join(dir, "app.js"):         "let a;",
		filepath.Join(dir, "app.MJS"):        "let b;",
		filepath.Join(dir, "webmls.wasm"):    "\x00asm",
		filepath.Join(dir, "style.css"):      "a{}",
		filepath.Join(dir, "odd.xyz"):        "<script>",
		filepath.Join(dir, ".env"):           "secret",
		filepath.Join(dir, "sub/index.html"): "sub",
		filepath.Join(dir, ".git/config"):    "secret",
		filepath.Join(dir, "empty/.keep"):    "",
		filepath.Join(outside, "secret.txt"): "secret",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(outside, "secret.txt"), filepath.Join(dir, "link.txt")); err != nil {
		t.Fatal(err)
	}
	b := start(t, func(c *Config) { c.Static = dir })
	for _, c := range []struct {
		path        string
		status      int
		contentType string
		body        string
	}{
		{"/", 200, "text/html; charset=utf-8", "<!doctype html>"},
		{"/app.js", 200, "text/javascript; charset=utf-8", "let a;"},
		{"/app.MJS", 200, "text/javascript; charset=utf-8", "let b;"},
		{"/webmls.wasm", 200, "application/wasm", "\x00asm"},
		{"/style.css", 200, "text/css; charset=utf-8", "a{}"},
		{"/odd.xyz", 200, "application/octet-stream", "<script>"},
		{"/sub/", 200, "text/html; charset=utf-8", "sub"},
		{"/empty/", 404, "", ""},
		{"/sub", 404, "", ""},
		{"/missing.js", 404, "", ""},
		{"/.env", 404, "", ""},
		{"/.git/config", 404, "", ""},
		{"/link.txt", 404, "", ""},
		{"/%2e%2e/secret.txt", 404, "", ""},
		{"/healthz", 200, "text/plain; charset=utf-8", "ok\n"},
	} {
		status, header, body := b.get(c.path)
		if status != c.status {
			t.Errorf("%s: status %d, want %d", c.path, status, c.status)
		}
		if status == 200 && (header.Get("Content-Type") != c.contentType || body != c.body) {
			t.Errorf("%s: %q, %q", c.path, header.Get("Content-Type"), body)
		}
		if strings.Contains(body, "secret") {
			t.Errorf("%s: %q", c.path, body)
		}
		if got := header.Get("Content-Security-Policy"); got != "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ws: wss:; style-src 'self'; img-src 'self' data: blob:" {
			t.Errorf("%s: policy %q", c.path, got)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the type may be guessed", c.path)
		}
		if cache := header.Get("Cache-Control"); status == 200 && cache != "no-cache" && cache != "no-store" {
			t.Errorf("%s: Cache-Control %q", c.path, cache)
		}
	}
	if response, err := http.Post(b.server.URL+"/", "text/plain", nil); err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", response, err)
	}
	if _, err := New(Config{Store: b.store, Static: filepath.Join(dir, "missing")}); err == nil {
		t.Error("a missing folder is taken")
	}
}
