package mls_test

import (
	"context"
	"errors"
	"testing"

	"webmls/mls"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// checker is a store that has checks made while it is under way. All parties of the
// kit have one: what is forged is refused by it without a trace.
type checker struct {
	*mls.MemoryStore
	checked func(err error) // hears what came of a check
	fails   bool            // after a check that holds
}

// CommitChecked implements mls.Checker.
func (s checker) CommitChecked(ctx context.Context, b mls.Batch, check func() error) error {
	err := check()
	if s.checked != nil {
		s.checked(err)
	}
	if err != nil {
		return err
	}
	if s.fails {
		return errors.New("the disk is gone")
	}
	return s.Commit(ctx, b)
}

// plain is a store that is no mls.Checker.
type plain struct{ mls.Store }

// TestChecker: the keys of a path are compared while the store is under way where it
// has that done, and before it is asked where it has not; for nothing but the commit
// of another member that has a path. Keys that are not those of the tree are refused
// either way, with nothing stored and nothing changed, and the genuine commit is taken after them.
func TestChecker(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	sc.alice.group.Settle()
	forged := sc.forger.build(forgedCommit{pathKeys: func(public [][]byte) {
		public[2] = must(kitKeys.GenerateHPKEKey(ctx, sc.suite.ID())).Public()
	}})
	withoutPath := sc.forger.build(forgedCommit{noPath: true, proposals: value(newStranger(sc.suite, "zoe").add(nil, nil))})
	genuine := sc.forger.build(forgedCommit{})
	for _, test := range []struct {
		what           string
		refused, taken []byte
		checks         int
	}{
		{"keys that are not those of the tree, and then the genuine ones", forged.message, genuine.message, 1},
		{"no path", nil, withoutPath.message, 0},
	} {
		for _, checks := range []bool{true, false} {
			p := &party{t: t, name: "alice", store: sc.alice.store.Clone()}
			var found []error
			var store mls.Store = plain{p.store}
			if checks {
				store = checker{MemoryStore: p.store, checked: func(err error) { found = append(found, err) }}
			}
			p.client = openWith(t, store, nil)
			p.group = must(p.client.Group(ctx, sc.alice.group.ID()))
			if test.refused != nil {
				p.refuses(t, test.what, test.refused, mlserr.PathKeyMismatch)
				if checks && (len(found) != 1 || found[0] == nil) {
					t.Errorf("%s: checks %v", test.what, found)
				}
				found = nil
			}
			if ev, err := p.group.Receive(ctx, test.taken); err != nil || ev.Type != mls.EventGroupUpdate {
				t.Errorf("%s: %+v, %v", test.what, ev, err)
			}
			if checks && (len(found) != test.checks || errors.Join(found...) != nil) {
				t.Errorf("%s: checks %v", test.what, found)
			}
		}
	}
}

// TestCheckerFails: where a store fails whose check has held, nothing is released.
func TestCheckerFails(t *testing.T) {
	sc := newScene(t, suite.X25519AES128SHA256Ed25519)
	sc.alice.group.Settle()
	genuine := sc.forger.build(forgedCommit{})
	p := &party{t: t, name: "alice", store: sc.alice.store.Clone()}
	p.client = openWith(t, checker{MemoryStore: p.store, fails: true}, nil)
	p.group = must(p.client.Group(ctx, sc.alice.group.ID()))
	if ev, err := p.group.Receive(ctx, genuine.message); mlserr.CodeOf(err) != mlserr.StoreFailed || !p.store.Equal(sc.alice.store) {
		t.Errorf("without a disk: %+v, %v", ev, err)
	}
	if p.info().Epoch != sc.forger.in.Context.Epoch {
		t.Error("the group is in an epoch that is not stored")
	}
	q := p.twin()
	if ev, err := q.group.Receive(ctx, genuine.message); err != nil || ev.Type != mls.EventGroupUpdate {
		t.Errorf("with another disk: %+v, %v", ev, err)
	}
}
