package scenario

import (
	"bytes"
	"testing"

	"webmls/mls"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/suitetest"
)

// TestScenarioRestoredBackup states what happens when a device goes on from a
// copy of its store that is older than what it has sent: a restored backup, a
// cloned profile.
//
//   - Until something shows it, it sends again under generations that are spent:
//     one AEAD key seals two messages. Their nonces differ by the reuse guard of four
//     random bytes (RFC 9420, Section 6.3.1), which is all that stands between that and
//     the loss of both plaintexts. Who has read the first message of a generation
//     refuses the second as ALREADY_PROCESSED: it is lost to them.
//   - The first message of its own that it receives and has not sent, under a
//     generation that it has not used again, is STATE_ROLLED_BACK. Received again it
//     is application data from its own leaf, or a commit that is OWN_MESSAGE_UNKNOWN.
//   - From then on it sends nothing, until a commit of its own with a path, or a
//     resync, has brought keys that nobody has used.
func TestScenarioRestoredBackup(t *testing.T) {
	r, cleanup := suitetest.Record()
	t.Cleanup(cleanup)
	w := newWorld(t, &script{suite: suite.X25519AES128SHA256Ed25519, size: 3, past: 5}, &faults{}, r)
	w.ledger.expected = true
	w.found()
	device := func(name string) *seat {
		for _, s := range w.room.seats {
			if s.device.name == name {
				return s
			}
		}
		t.Fatalf("no %s", name)
		return nil
	}
	alice, bob, carol := device("d1"), device("d2"), device("d3")
	send := func(s *seat, text string) []byte {
		t.Helper()
		w.ledger.operation()
		b, err := s.group().Send(ctx, []byte(text), mls.SendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.ledger.operation()
		w.ledger.release(w, b)
		return b
	}
	reads := func(s *seat, b []byte, text string) *mls.Event {
		t.Helper()
		ev, err := s.group().Receive(ctx, b)
		if err != nil || ev.Type != mls.EventApplication || string(ev.Content) != text {
			t.Fatalf("%s: %+v, %v, want %q", s.device.name, ev, err, text)
		}
		return ev
	}

	backup := alice.device.memory.Clone()
	first := send(alice, "before the backup was restored")
	reads(bob, first, "before the backup was restored")

	alice.device.restore(backup)

	second := send(alice, "after it was restored")
	if w.ledger.reused != 1 {
		t.Errorf("%d keys sealed twice, want the one of the generation", w.ledger.reused)
	}
	if bytes.Equal(first, second) {
		t.Error("the messages are the same")
	}
	_, err := bob.group().Receive(ctx, second)
	w.want(err, "bob reads the generation twice", mlserr.AlreadyProcessed)
	reads(carol, second, "after it was restored")
	_, err = carol.group().Receive(ctx, first)
	w.want(err, "carol reads the generation twice", mlserr.AlreadyProcessed)
	// The generation is taken from the device's own ratchet too.
	_, err = alice.group().Receive(ctx, first)
	w.want(err, "alice reads what she sent", mlserr.AlreadyProcessed)

	// The generations beyond those used again are free, and what was sent under
	// them before the restoring comes back as application data of one's own leaf.
	backup = alice.device.memory.Clone()
	third := send(alice, "sent and forgotten")
	own, err := alice.group().Commit(ctx, mls.CommitOptions{PublicMessage: true})
	if err != nil {
		t.Fatal(err)
	}
	alice.device.restore(backup)
	_, err = alice.group().Receive(ctx, third)
	w.want(err, "alice receives what she does not know to have sent", mlserr.RolledBack)
	if ev := reads(alice, third, "sent and forgotten"); !ev.Sender.Own {
		t.Errorf("not from the own leaf: %+v", ev.Sender)
	}
	_, err = alice.group().Receive(ctx, own.Commit)
	w.want(err, "alice receives a commit that she does not know of", mlserr.OwnMessageUnknown)

	_, err = alice.group().Send(ctx, []byte("under old keys"), mls.SendOptions{})
	w.want(err, "alice sends", mlserr.RolledBack)

	// A commit of another does not heal it: the former life may know that epoch.
	commits := func(s *seat) {
		t.Helper()
		c, err := s.group().Commit(ctx, mls.CommitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*seat{alice, bob, carol} {
			if ev, err := s.group().Receive(ctx, c.Commit); err != nil || ev.Type != mls.EventGroupUpdate {
				t.Fatalf("%s: %+v, %v", s.device.name, ev, err)
			}
		}
	}
	commits(bob)
	_, err = alice.group().Send(ctx, []byte("under keys of bob's epoch"), mls.SendOptions{})
	w.want(err, "alice sends", mlserr.RolledBack)
	// One of its own does.
	commits(alice)
	before := w.ledger.reused
	last := send(alice, "healed")
	reads(bob, last, "healed")
	reads(carol, last, "healed")
	if w.ledger.reused != before {
		t.Error("a key was used twice in the new epoch")
	}

	// The device whose commit went through before the restoring is out until it
	// comes back by an external commit in the place of its leaf.
	backup = alice.device.memory.Clone()
	own, err = alice.group().Commit(ctx, mls.CommitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*seat{bob, carol} {
		if _, err := s.group().Receive(ctx, own.Commit); err != nil {
			t.Fatal(err)
		}
	}
	alice.device.restore(backup)
	_, err = alice.group().Receive(ctx, own.Commit)
	w.want(err, "alice receives a private commit that she does not know of", mlserr.RolledBack)
	_, err = alice.group().Receive(ctx, own.Commit)
	w.want(err, "and again", mlserr.OwnMessageUnknown)
	_, err = alice.group().Receive(ctx, send(bob, "in the epoch that alice made"))
	w.want(err, "alice is behind", mlserr.EpochAhead)
	info, err := bob.group().GroupInfo(ctx, mls.GroupInfoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	identity := alice.device.made[w.suite][0].ID()
	_, resync, err := alice.device.client.JoinExternal(ctx, identity, info, mls.ExternalOptions{Resync: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*seat{alice, bob, carol} {
		if ev, err := s.group().Receive(ctx, resync.Commit); err != nil || ev.Type != mls.EventGroupUpdate {
			t.Fatalf("%s: %+v, %v", s.device.name, ev, err)
		}
	}
	reads(alice, send(carol, "welcome back"), "welcome back")
}

// restore has the device go on from a copy of its store.
func (d *device) restore(backup *mls.MemoryStore) {
	d.client.Close()
	d.memory = backup
	d.store = &mls.FaultyStore{Store: backup, Decide: d.w.faults.decide}
	d.start()
}
