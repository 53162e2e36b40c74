package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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
