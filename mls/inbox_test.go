package mls_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"webmls/mls"
	"webmls/mls/mlserr"
)

// inboxRecords are the records of the inbox, and how many bytes they have.
func (p *party) inboxRecords() (names []string, size int) {
	scope := mls.GroupScope(p.group.ID())
	for _, name := range p.store.RecordNames(scope) {
		if strings.HasPrefix(name, "inbox/") {
			names = append(names, name)
			size += len(p.store.Record(scope, name))
		}
	}
	return names, size
}

// TestInboxBlocks: what comes in one batch is in few records; what is acknowledged
// of it leaves the store at once, and the record with the last.
func TestInboxBlocks(t *testing.T) {
	all := crew(t, x25519, "alice", "bob", "carol")
	alice, bob, carol := all[0], all[1], all[2]
	var in [][]byte
	var want [][]byte
	for i, text := range texts(150) {
		if i == 100 {
			text = bytes.Repeat([]byte("large"), 4000)
		}
		want = append(want, text)
		in = append(in, must([]*party{alice, carol}[i/3%2].group.Send(ctx, text, mls.SendOptions{AuthenticatedData: []byte{byte(i)}})))
	}
	for _, r := range must(bob.group.ReceiveAll(ctx, in)) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if names, size := bob.inboxRecords(); len(names) != 4 || size > 20000+150*60 {
		t.Errorf("%d bytes in %q", size, names)
	}
	bob.checkStored()
	bob.reload()
	check := func() {
		t.Helper()
		list := must(bob.group.Inbox(ctx))
		if len(list) != len(want) {
			t.Fatalf("%d in the inbox, want %d", len(list), len(want))
		}
		for i, entry := range list {
			ev := entry.Event
			k := int(ev.AuthenticatedData[0])
			if entry.ID != ev.InboxID || !bytes.Equal(ev.Content, want[i]) || string(ev.Sender.Credential.Identity) != []string{"alice", "carol"}[k/3%2] {
				t.Fatalf("entry %d: %+v of %s", i, ev, ev.Sender.Credential.Identity)
			}
		}
		for _, text := range texts(150) {
			_, stored := bob.store.Contains(append(text, 0)[:len(text)])
			held := slices.ContainsFunc(want, func(b []byte) bool { return bytes.Contains(b, text) })
			if stored != held {
				t.Fatalf("%s is stored: %v, held: %v", text, stored, held)
			}
		}
		bob.checkStored()
	}
	check()
	for _, step := range []struct{ from, to, records int }{{0, 1, 4}, {60, 70, 4}, {75, 76, 4}, {0, 62, 3}, {20, 30, 2}} {
		var ids []uint64
		for _, entry := range must(bob.group.Inbox(ctx))[step.from:step.to] {
			ids = append(ids, entry.ID)
		}
		slices.Reverse(ids)
		if err := bob.group.Acknowledge(ctx, ids...); err != nil {
			t.Fatal(err)
		}
		want = slices.Delete(want, step.from, step.to)
		if names, _ := bob.inboxRecords(); len(names) != step.records {
			t.Errorf("%+v: %q", step, names)
		}
		check()
		bob.reload()
		check()
	}
	// A rejoin keeps what is left.
	names, size := bob.inboxRecords()
	bob.joinExternal(must(alice.group.GroupInfo(ctx, mls.GroupInfoOptions{})), mls.ExternalOptions{Resync: true})
	bob.apply()
	if again, sizeAgain := bob.inboxRecords(); !slices.Equal(again, names) || size != sizeAgain {
		t.Errorf("%q became %q", names, again)
	}
	check()
	var ids []uint64
	for _, entry := range must(bob.group.Inbox(ctx)) {
		ids = append(ids, entry.ID)
	}
	if err := bob.group.Acknowledge(ctx, ids...); err != nil {
		t.Fatal(err)
	}
	want = nil
	check()
	if names, _ := bob.inboxRecords(); names != nil {
		t.Errorf("%q", names)
	}
}

// TestInboxBlockCorrupt: a block that has an entry twice, or none, is refused.
func TestInboxBlockCorrupt(t *testing.T) {
	all := crew(t, x25519, "alice", "bob")
	alice, bob := all[0], all[1]
	must(bob.group.ReceiveAll(ctx, must(alice.group.SendAll(ctx, texts(3), mls.SendOptions{}))))
	names, _ := bob.inboxRecords()
	scope := mls.GroupScope(bob.group.ID())
	block := bob.store.Record(scope, names[0])
	for what, record := range map[string][]byte{"twice": append(bytes.Clone(block), block...), "nothing": {}, "cut": block[:len(block)-1], "a flag": bytes.Replace(block, []byte{1}, []byte{2}, 1)} {
		q := bob.twin()
		q.store.SetRecord(scope, names[0], record)
		_, err := q.group.Info(ctx)
		if mlserr.CodeOf(err) != mlserr.StateCorrupt {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, name := range []string{"inbox/+", "inbox/1++", "inbox/01+", "inbox/x"} {
		q := bob.twin()
		q.store.SetRecord(scope, name, block)
		_, err := q.group.Info(ctx)
		wantCode(t, err, mlserr.StateCorrupt)
	}
}
