package mls_test

import (
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
)

// TestLeafOptions: what a leaf says beside its keys is what the options of
// whatever makes it say, stays when they say nothing, and keeps the rules.
func TestLeafOptions(t *testing.T) {
	const custom = message.ExtensionType(0xF123)
	modern := mls.Supported{Extensions: []message.ExtensionType{custom}}
	open := func(name string) *party {
		return newPartyWith(t, x25519, name, func(c *mls.Config) { c.Supported = modern })
	}
	list := func(text string) message.Extensions {
		return message.Extensions{{Type: custom, Data: []byte(text)}}
	}
	says := func(p *party, want string) {
		t.Helper()
		info := p.info()
		for _, m := range must(p.group.Members(ctx)) {
			if m.Leaf != info.OwnLeaf {
				continue
			}
			data, _ := must(p.group.Member(ctx, m.Leaf)).Extensions.Find(custom)
			if string(data) != want {
				t.Fatalf("the leaf says %q, want %q", data, want)
			}
		}
	}
	alice, bob := open("alice"), open("bob")
	alice.group = must(alice.client.CreateGroup(ctx, alice.id.ID(), mls.GroupOptions{LeafExtensions: list("creator")}))
	says(alice, "creator")
	kp := must(bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{LeafExtensions: list("key package")}))[0]
	r := alice.commit(mls.CommitOptions{Add: [][]byte{kp}})
	alice.apply()
	says(alice, "creator")
	bob.join(r.Welcome)
	says(bob, "key package")
	both := []*party{alice, bob}
	changed := list("commit")
	spread(alice, alice.commit(mls.CommitOptions{LeafExtensions: &changed, NoPath: true}), both)
	says(alice, "commit")
	changed = list("update")
	bob.propose(mls.ProposeOptions{Update: true, LeafExtensions: &changed}, both)
	spread(alice, alice.commit(mls.CommitOptions{}), both)
	says(bob, "update")
	none := message.Extensions{}
	spread(bob, bob.commit(mls.CommitOptions{LeafExtensions: &none}), both)
	says(bob, "")
	carol := open("carol")
	carol.joinExternal(must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{LeafExtensions: list("external")}, both...)
	carol.apply()
	says(carol, "external")
	kp = must(bob.client.CreateKeyPackages(ctx, bob.id.ID(), 1, mls.KeyPackageOptions{}))[0]
	branch, _, err := alice.group.Branch(ctx, [][]byte{kp}, mls.BranchOptions{SuccessorOptions: mls.SuccessorOptions{LeafExtensions: list("branch")}})
	if err != nil {
		t.Fatal(err)
	}
	says(&party{t: t, client: alice.client, group: branch}, "branch")
	agree(t, alice, bob, carol)

	for what, bad := range map[string]struct {
		list message.Extensions
		want mlserr.Code
	}{
		"twice":              {append(list("a"), list("b")...), mlserr.DuplicateExtension},
		"not listed":         {message.Extensions{{Type: 0xF124}}, mlserr.ExtensionNotListed},
		"not one for a leaf": {message.Extensions{{Type: message.ExtensionRatchetTree}}, mlserr.ExtensionNotListed},
	} {
		check := alice.unchanged()
		_, err := alice.group.Commit(ctx, mls.CommitOptions{LeafExtensions: &bad.list})
		wantCode(t, err, bad.want)
		_, err = alice.group.Propose(ctx, mls.ProposeOptions{Update: true, LeafExtensions: &bad.list})
		wantCode(t, err, bad.want)
		_, err = alice.client.CreateGroup(ctx, alice.id.ID(), mls.GroupOptions{LeafExtensions: bad.list})
		wantCode(t, err, bad.want)
		check(t, what)
	}
}

// TestRenewCapabilities: a leaf lists what the client supported when it joined,
// until it is told to list what it supports today.
func TestRenewCapabilities(t *testing.T) {
	const custom = message.ExtensionType(0xF123)
	all := crew(t, x25519, "alice", "bob")
	alice := all[0]
	alice.reloadWith(func(c *mls.Config) { c.Supported = mls.Supported{Extensions: []message.ExtensionType{custom}} })
	lists := func() bool {
		m := must(all[1].group.Member(ctx, 0))
		return m.Capabilities.HasExtension(custom)
	}
	spread(alice, alice.commit(mls.CommitOptions{}), all)
	if lists() {
		t.Fatal("listed already: the test shows nothing")
	}
	alice.propose(mls.ProposeOptions{Update: true, RenewCapabilities: true}, all)
	spread(all[1], all[1].commit(mls.CommitOptions{}), all)
	if !lists() {
		t.Error("not listed after an Update")
	}
	alice.reloadWith(nil)
	spread(alice, alice.commit(mls.CommitOptions{RenewCapabilities: true, NoPath: true}), all)
	if lists() {
		t.Error("still listed after a commit")
	}
}

// TestKeyPackageLifetime: a key package that has ended is not made.
func TestKeyPackageLifetime(t *testing.T) {
	alice := newParty(t, x25519, "alice")
	check := alice.unchanged()
	_, err := alice.client.CreateKeyPackages(ctx, alice.id.ID(), 1, mls.KeyPackageOptions{Lifetime: -time.Hour})
	wantCode(t, err, mlserr.InvalidArgument)
	check(t, "negative")
}
