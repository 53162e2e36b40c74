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
	"webmls/mls/treemath"
)

// TestOwnMessages: what one sent oneself is recognised when it comes back, also
// after a reload; a second time, too.
func TestOwnMessages(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	sent := alice.send("hello")
	proposed := alice.propose(mls.ProposeOptions{Update: true}, all).Message
	for range 2 {
		for _, b := range [][]byte{sent, proposed} {
			check := alice.unchanged()
			if ev := alice.receive(b); ev.Type != mls.EventOwn || ev.Sender == nil || !ev.Sender.Own {
				t.Fatalf("%+v", ev)
			}
			check(t, "own message")
		}
		alice.reloadWith(nil)
	}
	// More than the log holds, and the newest are still known.
	var last []byte
	for range 2100 {
		last = must(bob.group.Propose(ctx, mls.ProposeOptions{PSK: &message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}})).Message
	}
	bob.reloadWith(nil)
	if ev := bob.receive(last); ev.Type != mls.EventOwn {
		t.Fatalf("%+v", ev)
	}
}

// TestOwnCommit: a commit of one's own that comes back is applied; then it is a
// duplicate; one that was cleared is told from both.
func TestOwnCommit(t *testing.T) {
	for _, public := range []bool{false, true} {
		for _, reload := range []bool{false, true} {
			all := crew(t, x25519, "alice", "bob")
			alice, bob := all[0], all[1]
			opts := mls.CommitOptions{PublicMessage: public}
			r := alice.commit(opts)
			if reload {
				alice.reloadWith(nil)
				if again := must(alice.group.PendingCommit(ctx)); !bytes.Equal(again.Commit, r.Commit) || again.Epoch != r.Epoch {
					t.Fatal("the pending commit is another after a reload")
				}
			}
			bob.receive(r.Commit)
			if ev := alice.receive(r.Commit); ev.Type != mls.EventGroupUpdate || !ev.Update.Own {
				t.Fatalf("%+v", ev)
			}
			agree(t, alice, bob)
			_, err := alice.group.ApplyPendingCommit(ctx)
			wantCode(t, err, mlserr.NoPendingCommit)
			for range 2 {
				for _, p := range all {
					p.refuses(t, "duplicate", r.Commit, mlserr.AlreadyProcessed)
					p.reloadWith(nil)
				}
			}

			// A cleared one that wins after all: this member has lost touch with the group.
			r = alice.commit(opts)
			if err := alice.group.ClearPendingCommit(ctx); err != nil {
				t.Fatal(err)
			}
			if must(alice.group.PendingCommit(ctx)) != nil {
				t.Fatal("still pending")
			}
			wantCode(t, alice.group.ClearPendingCommit(ctx), mlserr.NoPendingCommit)
			if reload {
				alice.reloadWith(nil)
			}
			alice.checkStored()
			alice.refuses(t, "cleared", r.Commit, mlserr.OwnMessageUnknown)
			// Another in its place is as good as the first.
			r2 := alice.commit(opts)
			bob.receive(r2.Commit)
			alice.apply()
			agree(t, alice, bob)
			bob.refuses(t, "the one that was cleared", r.Commit, mlserr.EpochBehind)
		}
	}
}

// TestRace: of two commits one wins; the other is dropped with its secrets.
func TestRace(t *testing.T) {
	for _, reload := range []bool{false, true} {
		all := crew(t, x25519, "alice", "bob", "carol")
		alice, bob, carol := all[0], all[1], all[2]
		zoe := newPartyWith(t, x25519, "zoe", nil)
		mine, theirs := alice.commit(mls.CommitOptions{Add: [][]byte{zoe.keyPackage()}}), bob.commit(mls.CommitOptions{})
		pending := alice.group.LiveSecrets()
		if reload {
			alice.reloadWith(nil)
			bob.reloadWith(nil)
		}
		if ev := alice.receive(theirs.Commit); ev.Update.Own || ev.Sender.Leaf != 1 {
			t.Fatalf("%+v", ev)
		}
		carol.receive(theirs.Commit)
		bob.apply()
		agree(t, all...)
		if alice.info().HasPendingCommit {
			t.Fatal("the loser is still pending")
		}
		alice.gone(t, pending, func(s mls.Secret) bool { return bytes.HasPrefix([]byte(s.Name), []byte("pending")) })
		alice.refuses(t, "the loser", mine.Commit, mlserr.EpochBehind)
		_, err := alice.group.ApplyPendingCommit(ctx)
		wantCode(t, err, mlserr.NoPendingCommit)
		alice.checkStored()
		talk(t, all...)
	}
}

// TestEpochs: messages ahead and behind, commits and data.
func TestEpochs(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice, bob, carol := all[0], all[1], all[2]
	r1 := alice.commit(mls.CommitOptions{})
	alice.apply()
	bob.receive(r1.Commit)
	proposal := must(alice.group.Propose(ctx, mls.ProposeOptions{Update: true})).Message
	r2 := bob.commit(mls.CommitOptions{PublicMessage: true})
	alice.receive(r2.Commit)
	bob.apply()
	ahead := alice.send("later")
	for _, b := range [][]byte{r2.Commit, proposal, ahead} {
		carol.refuses(t, "ahead", b, mlserr.EpochAhead)
	}
	carol.receive(r1.Commit)
	carol.receive(r2.Commit)
	if ev := carol.receive(ahead); string(ev.Content) != "later" {
		t.Fatalf("%+v", ev)
	}
	carol.refuses(t, "a commit again", r1.Commit, mlserr.AlreadyProcessed)
	carol.refuses(t, "a proposal of a past epoch", proposal, mlserr.EpochBehind)
	carol.refuses(t, "data again", ahead, mlserr.AlreadyProcessed)
	for range 40 { // more commits than are remembered
		spread(alice, alice.commit(mls.CommitOptions{}), all)
	}
	carol.refuses(t, "a commit of long ago", r1.Commit, mlserr.EpochBehind)
	agree(t, all...)
}

// TestLateMessages: data of past epochs is opened, judged by the tree of its
// epoch (S10), for as many epochs and as long as the limits say, once.
func TestLateMessages(t *testing.T) {
	for _, reload := range []bool{false, true} {
		all := crew(t, x25519, "alice", "bob", "carol")
		alice, bob, carol := all[0], all[1], all[2]
		var late [][]byte
		for i := range 8 {
			late = append(late, bob.send(fmt.Sprint("late ", i)))
			if i < 7 {
				spread(alice, alice.commit(mls.CommitOptions{}), all)
			}
		}
		if reload {
			carol.reloadWith(nil)
		}
		for i := 7; i >= 0; i-- {
			if i < 2 { // five past epochs and the current one
				carol.refuses(t, fmt.Sprint(i), late[i], mlserr.EpochBehind)
				continue
			}
			if ev := carol.receive(late[i]); string(ev.Content) != fmt.Sprint("late ", i) || ev.Sender.Leaf != 1 {
				t.Fatalf("%+v", ev)
			}
			carol.refuses(t, "again", late[i], mlserr.AlreadyProcessed)
			if reload {
				carol.reloadWith(nil)
			}
		}
		if n := len(carol.group.PastEpochs()); n != 5 {
			t.Fatalf("%d past epochs", n)
		}
		carol.checkStored()
	}
}

// TestLateSender: bob is removed and zoe comes to his leaf. A late message of
// bob's is bob's, and nobody can send as bob in the name of the past.
func TestLateSender(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice, bob, carol := all[0], all[1], all[2]
	zoe := newPartyWith(t, x25519, "zoe", nil)
	late, later := bob.send("late"), bob.send("later")
	r := alice.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{1}, Add: [][]byte{zoe.keyPackage()}})
	carol.receive(r.Commit)
	bob.receive(r.Commit)
	alice.apply()
	zoe.join(r.Welcome)
	if i := zoe.info().OwnLeaf; i != 1 {
		t.Fatalf("zoe is at leaf %d", i)
	}
	for _, p := range []*party{alice, carol} {
		if ev := p.receive(late); string(ev.Sender.Credential.Identity) != "bob" || !bytes.Equal(ev.Sender.SignatureKey, bob.id.SignatureKey()) {
			t.Fatalf("%s: late message of %s", p.name, ev.Sender.Credential.Identity)
		}
	}
	// Also across further epochs and a reload, with zoe's keys changed.
	spread(zoe, zoe.commit(mls.CommitOptions{}), []*party{alice, carol, zoe})
	spread(carol, carol.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{1}}), []*party{alice, carol})
	carol.reloadWith(nil)
	for _, p := range []*party{alice, carol} {
		if ev := p.receive(later); string(ev.Sender.Credential.Identity) != "bob" {
			t.Fatalf("%s: late message of %s", p.name, ev.Sender.Credential.Identity)
		}
	}
	// The sent log of a removed member still knows its own.
	_, err := bob.group.Receive(ctx, r.Commit)
	wantCode(t, err, mlserr.AlreadyProcessed)
	if ev := bob.receive(late); ev.Type != mls.EventOwn {
		t.Fatalf("%+v", ev)
	}
	_, err = bob.group.Receive(ctx, alice.send("without you"))
	wantCode(t, err, mlserr.NotMember)
}

// TestPastEpochLimits: none kept, and none kept longer than the limit, whether
// or not there are commits.
func TestPastEpochLimits(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	bob.reloadWith(func(c *mls.Config) { c.Limits.MaxPastEpochs = -1 })
	secrets := bob.group.LiveSecretsLoaded(ctx)
	late := alice.send("late")
	spread(alice, alice.commit(mls.CommitOptions{}), all)
	bob.refuses(t, "no past epochs", late, mlserr.EpochBehind)
	bob.gone(t, secrets, func(s mls.Secret) bool { return isRatchet(s) })

	now := time.Now()
	bob.reloadWith(func(c *mls.Config) { c.Now = func() time.Time { return now } })
	late, later := alice.send("late"), alice.send("later")
	secrets = bob.group.LiveSecretsLoaded(ctx)
	spread(alice, alice.commit(mls.CommitOptions{}), all)
	now = now.Add(7*24*time.Hour - time.Minute)
	bob.receive(late)
	now = now.Add(2 * time.Minute)
	bob.refuses(t, "too late", later, mlserr.EpochBehind)
	// They go with the next thing that is stored, whatever it is.
	bob.receive(alice.send("now"))
	bob.gone(t, secrets, isRatchet)
	if n := len(bob.group.PastEpochs()); n != 0 {
		t.Fatalf("%d past epochs", n)
	}
	bob.checkStored()
	spread(alice, alice.commit(mls.CommitOptions{}), all)
	bob.gone(t, secrets, isRatchet)
	if n := len(bob.group.PastEpochs()); n != 1 {
		t.Fatalf("%d past epochs", n)
	}
	bob.checkStored()
}

func isRatchet(s mls.Secret) bool {
	return bytes.Contains([]byte(s.Name), []byte("ratchet")) || bytes.Contains([]byte(s.Name), []byte("secret of node")) ||
		bytes.Contains([]byte(s.Name), []byte("sender_data"))
}

// TestOutOfOrder: within an epoch data may come in any order, within bounds, and
// once.
func TestOutOfOrder(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	limits := func(c *mls.Config) { c.Limits.MaxForward, c.Limits.MaxSkipped = 10, 4 }
	bob.reloadWith(limits)
	var sent [][]byte
	for i := range 40 {
		sent = append(sent, alice.send(fmt.Sprint(i)))
	}
	get := func(i int) {
		t.Helper()
		if ev := bob.receive(sent[i]); string(ev.Content) != fmt.Sprint(i) {
			t.Fatalf("%d: %+v", i, ev)
		}
	}
	get(3)
	get(0)
	bob.reloadWith(limits)
	get(2)
	bob.refuses(t, "again", sent[0], mlserr.AlreadyProcessed)
	bob.refuses(t, "again", sent[3], mlserr.AlreadyProcessed)
	bob.refuses(t, "11 ahead of the next", sent[15], mlserr.GenerationTooFar)
	get(14) // 10 ahead; of what was skipped the newest 4 stay
	for i := range 14 {
		switch {
		case i >= 10:
			get(i)
		case i != 0 && i != 2 && i != 3:
			bob.refuses(t, fmt.Sprint(i), sent[i], mlserr.AlreadyProcessed)
		}
	}
	get(15)
	bob.checkStored()
}

// TestPadding: the length of short messages does not show.
func TestPadding(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	lengths := map[int]int{}
	for n := range 260 {
		b := alice.send(string(make([]byte, n)))
		lengths[len(b)]++
		if ev := bob.receive(b); len(ev.Content) != n {
			t.Fatalf("%d bytes are %d", n, len(ev.Content))
		}
	}
	if len(lengths) > 4 {
		t.Fatalf("%d different lengths: %v", len(lengths), lengths)
	}
	alice.reloadWith(func(c *mls.Config) { c.Limits.PaddingBlock = -1 })
	if a, b := alice.send(""), alice.send("x"); len(b) != len(a)+1 {
		t.Fatalf("unpadded: %d and %d bytes", len(a), len(b))
	}
}

// TestInbox: what was received stays until it is acknowledged, across reload,
// removal and rejoining.
func TestInbox(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	texts := func() (list []string) {
		for _, e := range must(bob.group.Inbox(ctx)) {
			if e.ID != e.Event.InboxID || e.Event.Type != mls.EventApplication || string(e.Event.Sender.Credential.Identity) != "alice" {
				t.Fatalf("%+v", e)
			}
			list = append(list, string(e.Event.Content)+"/"+string(e.Event.AuthenticatedData))
		}
		return list
	}
	want := func(list ...string) {
		t.Helper()
		if got := texts(); fmt.Sprint(got) != fmt.Sprint(list) {
			t.Fatalf("inbox %v, want %v", got, list)
		}
		bob.reloadWith(nil)
		if got := texts(); fmt.Sprint(got) != fmt.Sprint(list) {
			t.Fatalf("inbox %v after a reload, want %v", got, list)
		}
	}
	send := func(text string) uint64 {
		b, err := alice.group.Send(ctx, []byte(text), mls.SendOptions{AuthenticatedData: []byte("a")})
		if err != nil {
			t.Fatal(err)
		}
		ev := bob.receive(b)
		if _, err := bob.group.Receive(ctx, b); mlserr.CodeOf(err) != mlserr.AlreadyProcessed {
			t.Fatal(err)
		}
		return ev.InboxID
	}
	one, two, three := send("1"), send("2"), send("3")
	want("1/a", "2/a", "3/a")
	if err := bob.group.Acknowledge(ctx, two, 999); err != nil {
		t.Fatal(err)
	}
	want("1/a", "3/a")
	spread(alice, alice.commit(mls.CommitOptions{}), all)
	four := send("4")
	if four == one || four == two || four == three {
		t.Fatal("an id twice")
	}
	want("1/a", "3/a", "4/a")
	bob.receive(alice.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{1}}).Commit)
	alice.apply()
	want("1/a", "3/a", "4/a")
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
	alice.apply()
	bob.join(r.Welcome)
	want("1/a", "3/a", "4/a")
	five := send("5")
	want("1/a", "3/a", "4/a", "5/a")
	if err := bob.group.Acknowledge(ctx, one, three, four, five); err != nil {
		t.Fatal(err)
	}
	want()
	check := bob.unchanged()
	if err := bob.group.Acknowledge(ctx, one, 7); err != nil {
		t.Fatal(err)
	}
	check(t, "acknowledging nothing")
	if err := bob.client.DeleteGroup(ctx, bob.group.ID()); err != nil {
		t.Fatal(err)
	}
	_, err := bob.group.Inbox(ctx)
	wantCode(t, err, mlserr.GroupNotFound)
	_, err = bob.client.Group(ctx, alice.group.ID())
	wantCode(t, err, mlserr.GroupNotFound)
	if names := bob.store.RecordNames(mls.GroupScope(alice.group.ID())); len(names) != 0 {
		t.Fatalf("records left: %v", names)
	}
}

// TestExporter: all members export the same, and others for other labels,
// contexts, lengths and epochs.
func TestExporter(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	seen := map[string]string{}
	export := func(what, label string, context []byte, length int) {
		t.Helper()
		first := must(all[0].group.Export(ctx, label, context, length))
		for _, p := range all[1:] {
			if b := must(p.group.Export(ctx, label, context, length)); !bytes.Equal(b, first) || len(b) != length {
				t.Fatalf("%s: %s and alice export different secrets", what, p.name)
			}
		}
		if other, ok := seen[string(first)]; ok && length > 0 {
			t.Fatalf("%s and %s export the same", what, other)
		}
		seen[string(first)] = what
	}
	export("plain", "label", nil, 32)
	export("another label", "label2", nil, 32)
	export("a context", "label", []byte("context"), 32)
	export("longer", "label", nil, 64)
	export("longest", "label", nil, 255*32)
	export("nothing", "label", nil, 0)
	_, err := all[0].group.Export(ctx, "label", nil, 255*32+1)
	wantCode(t, err, mlserr.InvalidArgument)
	_, err = all[0].group.Export(ctx, "label", nil, -1)
	wantCode(t, err, mlserr.InvalidArgument)
	spread(all[1], all[1].commit(mls.CommitOptions{}), all)
	export("another epoch", "label", nil, 32)
}

// TestLimits: what is too large, too much or cancelled is refused.
func TestLimits(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	bob.reloadWith(func(c *mls.Config) { c.Limits.MaxMessage, c.Limits.MaxProposals = 2000, 3 })
	bob.refuses(t, "long", alice.send(string(make([]byte, 2000))), mlserr.TooLarge)
	psk := message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}
	for i := range 5 {
		b := must(alice.group.Propose(ctx, mls.ProposeOptions{PSK: &psk})).Message
		if i < 3 {
			bob.receive(b)
		} else {
			bob.refuses(t, "one more proposal", b, mlserr.TooLarge)
		}
	}
	_, err := bob.group.Propose(ctx, mls.ProposeOptions{PSK: &psk})
	wantCode(t, err, mlserr.TooLarge)
	_, err = bob.client.JoinGroup(ctx, make([]byte, 2001), mls.JoinOptions{})
	wantCode(t, err, mlserr.TooLarge)
	_, _, err = bob.client.JoinExternal(ctx, bob.id.ID(), make([]byte, 2001), mls.ExternalOptions{})
	wantCode(t, err, mlserr.TooLarge)

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	check := alice.unchanged()
	_, err = alice.group.Commit(cancelled, mls.CommitOptions{})
	wantCode(t, err, mlserr.Cancelled)
	alice.info() // loads it again
	check(t, "cancelled")
}

// TestResumptionPSKs: as many as the limit says, and no more.
func TestResumptionPSKs(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	first := bob.info().Epoch
	secret := bob.group.LiveSecrets()
	for range 20 {
		spread(alice, alice.commit(mls.CommitOptions{}), all)
	}
	if n := len(bob.group.ResumptionEpochs()); n != 16 {
		t.Fatalf("%d resumption PSKs", n)
	}
	bob.gone(t, secret, func(s mls.Secret) bool { return s.Name == "resumption_psk" })
	id := message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: bob.group.ID(), Epoch: first}
	_, err := bob.group.Commit(ctx, mls.CommitOptions{PSKs: []message.PreSharedKeyID{id}})
	wantCode(t, err, mlserr.PSKUnknown)
	id.Epoch = bob.info().Epoch - 16
	bob.reloadWith(nil)
	r := bob.commit(mls.CommitOptions{PSKs: []message.PreSharedKeyID{id}})
	spread(bob, r, all)
	agree(t, all...)
}
