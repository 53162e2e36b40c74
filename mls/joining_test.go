package mls_test

import (
	"testing"

	"webmls/mls"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// What reaches a client whose external commit is on its way must not be thrown
// away as of a group that it is not in: the members who have the commit already
// send in the epoch that it begins.
func TestReceiveWhileJoining(t *testing.T) {
	alice, bob := newParty(t, suite.X25519AES128SHA256Ed25519, "alice"), newParty(t, suite.X25519AES128SHA256Ed25519, "bob")
	alice.create()
	late := alice.send("before bob")
	info, err := alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g, ext, err := bob.client.JoinExternal(ctx, bob.id.ID(), info, mls.ExternalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bob.group = g
	alice.receive(ext.Commit)
	early := alice.send("welcome, bob")
	next := alice.commit(mls.CommitOptions{})
	alice.apply()

	before := bob.store.Clone()
	for _, c := range []struct {
		what    string
		message []byte
		code    mlserr.Code
	}{
		{"a message of the epoch that the commit begins", early, mlserr.EpochAhead},
		{"the commit after it", next.Commit, mlserr.EpochAhead},
		{"a message from before", late, mlserr.EpochBehind},
	} {
		_, err := bob.group.Receive(ctx, c.message)
		if mlserr.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", c.what, err, c.code)
		}
	}
	if !bob.store.Equal(before) {
		t.Error("a refused message has changed the store")
	}

	bob.apply()
	if ev := bob.receive(early); string(ev.Content) != "welcome, bob" {
		t.Errorf("got %+v", ev)
	}
	bob.receive(next.Commit)
	agree(t, alice, bob)
}

// What was received before a removal waits for acknowledgement also when an
// attempt to join again has failed and is dropped.
func TestClearJoiningKeepsInbox(t *testing.T) {
	alice, bob := newParty(t, suite.X25519AES128SHA256Ed25519, "alice"), newParty(t, suite.X25519AES128SHA256Ed25519, "bob")
	alice.create()
	r := alice.commit(mls.CommitOptions{Add: [][]byte{bob.keyPackage()}})
	alice.apply()
	bob.join(r.Welcome)
	bob.receive(alice.send("the last words"))
	r = alice.commit(mls.CommitOptions{Remove: []treemath.LeafIndex{1}})
	alice.apply()
	bob.receive(r.Commit)

	try := func() {
		t.Helper()
		info, err := alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := bob.client.JoinExternal(ctx, bob.id.ID(), info, mls.ExternalOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := bob.group.ClearPendingCommit(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		try()
		bob.reload()
		if s := bob.info().Status; s != mls.StatusRemoved {
			t.Fatalf("status %s", s)
		}
	}
	list, err := bob.group.Inbox(ctx)
	if err != nil || len(list) != 1 || string(list[0].Event.Content) != "the last words" {
		t.Fatalf("inbox %+v, %v", list, err)
	}

	// With nothing left to keep, the group goes.
	if err := bob.group.Acknowledge(ctx, list[0].ID); err != nil {
		t.Fatal(err)
	}
	try()
	_, err = bob.client.Group(ctx, alice.group.ID())
	wantCode(t, err, mlserr.GroupNotFound)
}
