package mls_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// crew returns a group of clients with these names, each with a path of its own
// in the tree, and with the external PSK "psk".
func crew(t testing.TB, id suite.ID, names ...string) []*party {
	t.Helper()
	var all []*party
	var kps [][]byte
	for i, name := range names {
		p := newPartyWith(t, id, name, nil)
		if err := p.client.StorePSK(ctx, []byte("psk"), []byte("a secret")); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
		if i > 0 {
			kps = append(kps, p.keyPackage())
		}
	}
	all[0].create()
	if len(kps) > 0 {
		r := all[0].commit(mls.CommitOptions{Add: kps})
		all[0].apply()
		for _, p := range all[1:] {
			p.join(r.Welcome)
		}
	}
	for _, p := range all {
		spread(p, p.commit(mls.CommitOptions{}), all)
	}
	agree(t, all...)
	return all
}

// propose has p propose and all others receive.
func (p *party) propose(opts mls.ProposeOptions, all []*party) *mls.ProposalResult {
	p.t.Helper()
	r, err := p.group.Propose(ctx, opts)
	if err != nil {
		p.t.Fatalf("%s proposes: %v", p.name, err)
	}
	for _, q := range all {
		if q == p {
			if ev := q.receive(r.Message); ev.Type != mls.EventOwn {
				p.t.Fatalf("own proposal is %s", ev.Type)
			}
			continue
		}
		ev := q.receive(r.Message)
		if ev.Type != mls.EventProposal || !bytes.Equal(ev.Proposal.Reference, r.Reference) || ev.Sender == nil || string(ev.Sender.Credential.Identity) != p.name {
			p.t.Fatalf("%s: proposal is %+v", q.name, ev)
		}
	}
	return r
}

// testSuites are the suites that behaviour is tested with: all of it with
// suite 1, and the rest with one of each size of hash.
func testSuites(t *testing.T, f func(t *testing.T, id suite.ID)) {
	for _, id := range []suite.ID{suite.X25519AES128SHA256Ed25519, suite.P384AES256SHA384P384, suite.X448ChaCha20SHA512Ed448} {
		t.Run(id.String(), func(t *testing.T) {
			if id != suite.X25519AES128SHA256Ed25519 && quick() {
				t.Skip("suite 1 is enough in a short run")
			}
			t.Parallel()
			f(t, id)
		})
	}
}

// TestProposals: every kind of proposal, by value and by reference, in both
// wire formats, with and without a path where that is allowed.
func TestProposals(t *testing.T) {
	testSuites(t, func(t *testing.T, id suite.ID) {
		external := message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}
		target := treemath.LeafIndex(3)
		for _, public := range []bool{false, true} {
			for _, reference := range []bool{false, true} {
				for _, kind := range []string{"add", "update", "remove", "psk", "resumption", "reinit", "extensions", "empty"} {
					what := fmt.Sprintf("%s, public %v, by reference %v", kind, public, reference)
					if id != x25519 && (public != reference || kind == "psk" || kind == "empty" || kind == "extensions") {
						continue // nothing there depends on the cipher suite
					}
					all := crew(t, id, "alice", "bob", "carol", "dave")
					alice, bob := all[0], all[1]
					dave := all[3]
					zoe := newPartyWith(t, id, "zoe", nil)
					if err := zoe.client.StorePSK(ctx, []byte("psk"), []byte("a secret")); err != nil {
						t.Fatal(err)
					}
					resumption := message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: alice.group.ID(), Epoch: alice.info().Epoch - 2}
					extensions := message.Extensions{requiredCapabilities(message.RequiredCapabilities{Credentials: []message.CredentialType{message.CredentialBasic}})}
					reInit := &message.ReInit{GroupID: []byte("next"), Version: message.MLS10, CipherSuite: id}
					before := bob.info().Epoch
					// What bob proposes, and what alice commits by value instead.
					propose := mls.ProposeOptions{PublicMessage: public, AuthenticatedData: []byte("why")}
					commit := mls.CommitOptions{PublicMessage: public, AuthenticatedData: []byte("because")}
					switch kind {
					case "add":
						kp := zoe.keyPackage()
						propose.Add, commit.Add, commit.NoPath = kp, [][]byte{kp}, true
					case "update":
						if !reference {
							continue // only by reference
						}
						propose.Update = true
					case "remove":
						propose.Remove, commit.Remove = &target, []treemath.LeafIndex{target}
					case "psk":
						propose.PSK, commit.PSKs, commit.NoPath = &external, []message.PreSharedKeyID{external}, true
					case "resumption":
						propose.PSK, commit.PSKs = &resumption, []message.PreSharedKeyID{resumption}
					case "reinit":
						propose.ReInit, commit.ReInit = reInit, reInit
					case "extensions":
						propose.Extensions, commit.Extensions = &extensions, &extensions
					case "empty":
						if reference {
							continue
						}
					}
					if reference {
						r := bob.propose(propose, all)
						if kind == "remove" {
							if p := must(alice.group.Proposals(ctx)); len(p) != 1 || !bytes.Equal(p[0].Reference, r.Reference) {
								t.Fatalf("%s: proposals %+v", what, p)
							}
							alice.reloadWith(nil) // they are stored, too
						}
						commit.Add, commit.Remove, commit.PSKs, commit.ReInit, commit.Extensions = nil, nil, nil, nil, nil
					}
					r := alice.commit(commit)
					for _, p := range all {
						if p == alice {
							continue
						}
						ev := p.receive(r.Commit)
						if p == dave && kind == "remove" {
							if ev.Type != mls.EventRemoved || p.info().Status != mls.StatusRemoved || ev.Update.Committer.Leaf != 0 {
								t.Fatalf("%s: dave got %+v", what, ev)
							}
							continue
						}
						u := ev.Update
						if ev.Type != mls.EventGroupUpdate || ev.Epoch != before+1 || string(ev.AuthenticatedData) != "because" || u.Committer.Leaf != 0 {
							t.Fatalf("%s: %+v", what, ev)
						}
						want := map[string]int{kind: 1}
						if got := len(u.Added); got != want["add"] {
							t.Fatalf("%s: added %+v", what, u.Added)
						}
						if got := len(u.Updated); got != want["update"] {
							t.Fatalf("%s: updated %+v", what, u.Updated)
						}
						if got := len(u.Removed); got != want["remove"] {
							t.Fatalf("%s: removed %+v", what, u.Removed)
						}
						if u.PSKs != want["psk"]+want["resumption"] || u.ExtensionsChanged != (kind == "extensions") || (u.ReInit != nil) != (kind == "reinit") {
							t.Fatalf("%s: %+v", what, u)
						}
					}
					if ev := alice.apply(); ev.Type != mls.EventGroupUpdate || !ev.Update.Own {
						t.Fatalf("%s: alice got %+v", what, ev)
					}
					all = without(all, func(p *party) bool { return kind == "remove" && p == dave })
					if kind == "add" {
						zoe.join(r.Welcome)
						all = append(all, zoe)
					}
					agree(t, all...)
					for _, p := range all {
						p.checkStored()
					}
					if kind == "reinit" {
						for _, p := range all {
							if info := p.info(); info.Status != mls.StatusReadOnly {
								t.Fatalf("%s: %s is %s", what, p.name, info.Status)
							}
							_, err := p.group.Send(ctx, nil, mls.SendOptions{})
							wantCode(t, err, mlserr.GroupReadOnly)
							_, err = p.group.Propose(ctx, mls.ProposeOptions{Update: true})
							wantCode(t, err, mlserr.GroupReadOnly)
							_, err = p.group.Commit(ctx, mls.CommitOptions{})
							wantCode(t, err, mlserr.GroupReadOnly)
						}
						continue
					}
					if kind == "extensions" && len(bob.info().Extensions) != 1 {
						t.Fatalf("%s: extensions %+v", what, bob.info().Extensions)
					}
					talk(t, all...)
					// Everybody can go on from here.
					for _, p := range all {
						spread(p, p.commit(mls.CommitOptions{}), all)
					}
					agree(t, all...)
				}
			}
		}
	})
}

func without[T any](list []T, drop func(T) bool) (rest []T) {
	for _, v := range list {
		if !drop(v) {
			rest = append(rest, v)
		}
	}
	return rest
}

// reloadWith opens the party's store again, with another configuration.
func (p *party) reloadWith(configure func(*mls.Config)) {
	p.t.Helper()
	p.client.Close()
	p.client = openWith(p.t, p.store, configure)
	if p.group != nil {
		p.group = must(p.client.Group(ctx, p.group.ID()))
	}
}

// checkStored checks that what is stored is what is in memory.
func (p *party) checkStored() {
	p.t.Helper()
	p.group.Settle()
	p.info() // loads it
	stored, err := p.client.StoredSnapshot(ctx, p.group.ID())
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	if !bytes.Equal(stored, p.group.LiveState()) {
		p.t.Fatalf("%s: what is stored is not what is in memory", p.name)
	}
}

// TestUpdateToAnotherIdentity: a member takes another credential and key, by an
// Update and by a commit. The messages after it are signed by the new key, the
// Welcome of the same commit too (S18).
func TestUpdateToAnotherIdentity(t *testing.T) {
	for _, how := range []string{"update", "commit"} {
		t.Run(how, func(t *testing.T) {
			all := crew(t, x25519, "alice", "bob", "carol")
			alice, bob, carol := all[0], all[1], all[2]
			laptop, err := bob.client.CreateIdentity(ctx, x25519, message.BasicCredential([]byte("bob+laptop")))
			if err != nil {
				t.Fatal(err)
			}
			thief, err := bob.client.CreateIdentity(ctx, x25519, message.BasicCredential([]byte("carol")))
			if err != nil {
				t.Fatal(err)
			}
			zoe := newPartyWith(t, x25519, "zoe", nil)
			if how == "update" {
				bob.propose(mls.ProposeOptions{Update: true, Identity: laptop.ID()}, all)
				// What bob sends before the commit is signed by the old key.
				r := carol.commit(mls.CommitOptions{Add: [][]byte{zoe.keyPackage()}})
				ev := bob.receive(r.Commit)
				if len(ev.Update.Updated) != 1 || string(ev.Update.Updated[0].Credential.Identity) != "bob+laptop" {
					t.Fatalf("%+v", ev.Update)
				}
				alice.receive(r.Commit)
				carol.apply()
				zoe.join(r.Welcome)
			} else {
				r := bob.commit(mls.CommitOptions{Add: [][]byte{zoe.keyPackage()}, Identity: laptop.ID(), NoPath: true})
				if ev := alice.receive(r.Commit); string(ev.Update.Committer.Credential.Identity) != "bob+laptop" {
					t.Fatalf("%+v", ev.Update.Committer)
				}
				carol.receive(r.Commit)
				bob.apply()
				zoe.join(r.Welcome)
			}
			all = append(all, zoe)
			agree(t, all...)
			bob.reloadWith(nil)
			bob.name = "bob+laptop"
			talk(t, all...)
			spread(bob, bob.commit(mls.CommitOptions{}), all)
			agree(t, all...)

			// To be somebody else is refused by the others, and by the policy here.
			_, err = bob.group.Commit(ctx, mls.CommitOptions{Identity: thief.ID()})
			if how == "commit" && err != nil {
				t.Logf("refused before it left: %v", err)
			}
			if err == nil {
				b := must(bob.group.PendingCommit(ctx)).Commit
				alice.refuses(t, "thief", b, mlserr.SuccessorRejected)
			}
		})
	}
}

// TestCommitOptionsRefused: what the committer itself is told not to do.
func TestCommitOptionsRefused(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice := all[0]
	zoe := newPartyWith(t, x25519, "zoe", nil)
	other := newPartyWith(t, suite.P256AES128SHA256P256, "other", nil)
	kp := zoe.keyPackage()
	zoe.reloadWith(func(c *mls.Config) { c.Now = func() time.Time { return time.Now().Add(-200 * 24 * time.Hour) } })
	expired := zoe.keyPackage()
	zoe.reloadWith(nil)
	long := must(zoe.client.CreateKeyPackages(ctx, zoe.id.ID(), 1, mls.KeyPackageOptions{Lifetime: 1000 * 24 * time.Hour}))[0]
	forged := bytes.Clone(kp)
	forged[len(forged)-1] ^= 1
	unsupported := message.Extensions{{Type: 0xf001}}
	requires := message.Extensions{requiredCapabilities(message.RequiredCapabilities{Extensions: []message.ExtensionType{0xf001}})}
	psk := message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}
	for _, row := range []struct {
		what string
		opts mls.CommitOptions
		want mlserr.Code
	}{
		{"remove of oneself", mls.CommitOptions{Remove: []treemath.LeafIndex{0}}, mlserr.ProposalListInvalid},
		{"remove of nobody", mls.CommitOptions{Remove: []treemath.LeafIndex{9}}, mlserr.RemoveTargetBlank},
		{"remove twice", mls.CommitOptions{Remove: []treemath.LeafIndex{1, 1}}, mlserr.ProposalListInvalid},
		{"add of another suite", mls.CommitOptions{Add: [][]byte{other.keyPackage()}}, mlserr.KeyPackageMismatch},
		{"add of a member", mls.CommitOptions{Add: [][]byte{all[1].keyPackage()}}, mlserr.SignatureKeyNotUnique},
		{"add twice", mls.CommitOptions{Add: [][]byte{kp, kp}}, mlserr.InitKeyReused},
		{"add of one client twice", mls.CommitOptions{Add: [][]byte{kp, zoe.keyPackage()}}, mlserr.SignatureKeyNotUnique},
		{"add forged", mls.CommitOptions{Add: [][]byte{forged}}, mlserr.InvalidSignature},
		{"add cut", mls.CommitOptions{Add: [][]byte{kp[:len(kp)-1]}}, mlserr.Malformed},
		{"add of no key package", mls.CommitOptions{Add: [][]byte{must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{}))}}, mlserr.WrongWireFormat},
		{"add over", mls.CommitOptions{Add: [][]byte{expired}}, mlserr.LifetimeInvalid},
		{"add too long", mls.CommitOptions{Add: [][]byte{long}}, mlserr.LifetimeInvalid},
		{"psk unknown", mls.CommitOptions{PSKs: []message.PreSharedKeyID{{Type: message.PSKExternal, ID: []byte("x")}}}, mlserr.PSKUnknown},
		{"psk twice", mls.CommitOptions{PSKs: []message.PreSharedKeyID{psk, psk}}, mlserr.ProposalListInvalid},
		{"psk usage", mls.CommitOptions{PSKs: []message.PreSharedKeyID{{Type: message.PSKResumption, Usage: message.ResumptionBranch, GroupID: alice.group.ID()}}}, mlserr.PSKInvalid},
		{"extensions not supported", mls.CommitOptions{Extensions: &unsupported}, mlserr.CapabilityMissing},
		{"extensions required", mls.CommitOptions{Extensions: &requires}, mlserr.CapabilityMissing},
		{"reinit with others", mls.CommitOptions{ReInit: &message.ReInit{Version: 1, CipherSuite: 1}, Remove: []treemath.LeafIndex{1}}, mlserr.ProposalListInvalid},
		{"custom of a default type", mls.CommitOptions{Custom: []message.Proposal{{Type: message.ProposalRemove}}}, mlserr.InvalidArgument},
		{"custom not supported", mls.CommitOptions{Custom: []message.Proposal{{Type: 0xf001}}}, mlserr.ProposalUnsupported},
		{"identity unknown", mls.CommitOptions{Identity: []byte("x")}, mlserr.IdentityNotFound},
	} {
		check := alice.unchanged()
		_, err := alice.group.Commit(ctx, row.opts)
		if mlserr.CodeOf(err) != row.want {
			t.Errorf("%s: %v, want %s", row.what, err, row.want)
		}
		check(t, row.what)
	}
	r := alice.commit(mls.CommitOptions{Add: [][]byte{kp}})
	_, err := alice.group.Commit(ctx, mls.CommitOptions{})
	wantCode(t, err, mlserr.PendingCommit)
	spread(alice, r, all)
	zoe.join(r.Welcome)
	agree(t, append(all, zoe)...)
}

// TestRequiredCapabilities: what a group requires is required of whom it adds.
func TestRequiredCapabilities(t *testing.T) {
	const custom = message.ExtensionType(0xf010)
	supporting := func(c *mls.Config) { c.Supported.Extensions = []message.ExtensionType{custom} }
	alice, bob := newPartyWith(t, x25519, "alice", supporting), newPartyWith(t, x25519, "bob", supporting)
	plain := newPartyWith(t, x25519, "plain", nil)
	alice.create()
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
	alice.apply()
	bob.join(r.Welcome)
	all := []*party{alice, bob}
	// A group of those who support it may require it, and hold it.
	extensions := message.Extensions{
		requiredCapabilities(message.RequiredCapabilities{Extensions: []message.ExtensionType{custom}}),
		{Type: custom, Data: []byte("content")},
	}
	spread(bob, bob.commit(mls.CommitOptions{Extensions: &extensions}), all)
	agree(t, all...)
	_, err := alice.group.Commit(ctx, mls.CommitOptions{Add: [][]byte{plain.keyPackage()}})
	wantCode(t, err, mlserr.CapabilityMissing)
	_, err = alice.group.Propose(ctx, mls.ProposeOptions{Add: plain.keyPackage()})
	wantCode(t, err, mlserr.CapabilityMissing)
	// Nor does who does not support it join by itself.
	info := must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{}))
	_, _, err = plain.client.JoinExternal(ctx, plain.id.ID(), info, mls.ExternalOptions{})
	wantCode(t, err, mlserr.CapabilityMissing)
	// The same commit that drops the requirement may add.
	none := message.Extensions{}
	r = alice.commit(mls.CommitOptions{Extensions: &none, Add: [][]byte{plain.keyPackage()}})
	spread(alice, r, all)
	plain.join(r.Welcome)
	all = append(all, plain)
	agree(t, all...)
	// And now it may not come back.
	_, err = alice.group.Commit(ctx, mls.CommitOptions{Extensions: &extensions})
	wantCode(t, err, mlserr.GroupExtensionInvalid)
	// Unless the same commit removes the one who does not support it.
	r = alice.commit(mls.CommitOptions{Extensions: &extensions, Remove: []treemath.LeafIndex{2}})
	bob.receive(r.Commit)
	alice.apply()
	agree(t, alice, bob)
}

// TestManyProposals: what several members propose in one epoch goes into one
// commit, in the order of Section 12.3; a Remove prevails over an Update.
func TestManyProposals(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol", "dave", "erin")
	alice, bob, carol, dave := all[0], all[1], all[2], all[3]
	zoe, yan := newPartyWith(t, x25519, "zoe", nil), newPartyWith(t, x25519, "yan", nil)
	remove := treemath.LeafIndex(3)
	bob.propose(mls.ProposeOptions{Add: zoe.keyPackage(), PublicMessage: true}, all)
	bob.propose(mls.ProposeOptions{Update: true}, all)
	bob.propose(mls.ProposeOptions{Update: true}, all) // the newer one counts
	dave.propose(mls.ProposeOptions{Update: true}, all)
	carol.propose(mls.ProposeOptions{Remove: &remove}, all)
	alice.propose(mls.ProposeOptions{Update: true}, all) // not with alice's own commit
	carol.propose(mls.ProposeOptions{PSK: &message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: alice.group.ID(), Epoch: alice.info().Epoch}}, all)
	for _, p := range all {
		p.reloadWith(nil)
	}
	r := alice.commit(mls.CommitOptions{Add: [][]byte{yan.keyPackage()}, PSKs: []message.PreSharedKeyID{}})
	for _, p := range all[1:] {
		ev := p.receive(r.Commit)
		if p == dave {
			if ev.Type != mls.EventRemoved {
				t.Fatalf("%+v", ev)
			}
			continue
		}
		if u := ev.Update; len(u.Added) != 2 || len(u.Removed) != 1 || len(u.Updated) != 1 || u.PSKs != 1 {
			t.Fatalf("%+v", u)
		}
	}
	alice.apply()
	rest := append(without(all, func(p *party) bool { return p == dave }), zoe, yan)
	// The joiners hold no resumption PSK of the group.
	for _, p := range []*party{zoe, yan} {
		_, err := p.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{})
		wantCode(t, err, mlserr.PSKUnknown)
	}
	agree(t, rest[:4]...)
}

// countingStore counts how often a scope is loaded.
type countingStore struct {
	mls.Store
	loads map[mls.Scope]int
}

func (c *countingStore) Load(ctx context.Context, scope mls.Scope) (mls.Records, mls.Rev, error) {
	c.loads[scope]++
	return c.Store.Load(ctx, scope)
}

// TestManyPSKsOfAnotherGroup: a member who proposes many keys of another group
// makes nobody load that group more than once.
func TestManyPSKsOfAnotherGroup(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	group := alice.group
	alice.create()
	other := alice.group.ID()
	alice.group = group
	store := &countingStore{alice.store, map[mls.Scope]int{}}
	alice.client = openWith(t, store, nil)
	alice.group = must(alice.client.Group(ctx, group.ID()))
	for i := range 50 {
		id := message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: other, Epoch: uint64(i)}
		alice.receive(must(bob.group.Propose(ctx, mls.ProposeOptions{PSK: &id})).Message)
	}
	store.loads[mls.GroupScope(other)] = 0
	alice.commit(mls.CommitOptions{})
	if n := store.loads[mls.GroupScope(other)]; n > 2 { // to choose, and to commit
		t.Fatalf("the other group was loaded %d times", n)
	}
}
