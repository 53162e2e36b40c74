package mls

import (
	"context"
	"strings"
	"sync/atomic"

	"webmls/mls/mlserr"
)

// Several instances may work over one store at once: the tabs of a browser,
// each with a Client of its own. What is stored decides. A copy in memory that
// another instance made old is found out by Commit (STALE), by a step that comes
// to nothing (Locker.Revision), or by word from the other (Changed).

// revisionMark is the newest revision of a scope that this instance has heard of.
type revisionMark struct{ rev atomic.Uint64 }

func (m *revisionMark) raise(rev Rev) {
	for {
		old := m.rev.Load()
		if old >= uint64(rev) || m.rev.CompareAndSwap(old, uint64(rev)) {
			return
		}
	}
}

// forget is called before the scope is loaded: what is stored is then at least
// as new as what was heard of. A store that was restored from a backup is not,
// and its word counts all the same.
func (m *revisionMark) forget() { m.rev.Store(0) }

func (m *revisionMark) outdates(rev Rev) bool { return m.rev.Load() > uint64(rev) }

// Changed tells the client that another instance over the same store has
// written a scope, up to a revision. A copy in memory that is older is dropped;
// the next call loads what is stored. It waits for nobody: a step that runs
// meanwhile finds out by itself.
func (c *Client) Changed(scope Scope, rev Rev) {
	if scope == ClientScope {
		c.heard.raise(rev)
		return
	}
	if g := c.held(scope); g != nil {
		g.heard.raise(rev)
		if g.queue.tryTake() { // else the next one to load drops it
			g.dropOutdated()
			g.unlock()
		}
	}
}

// held returns the group of a scope, if this client has used it.
func (c *Client) held(scope Scope) *Group {
	id, _ := strings.CutPrefix(string(scope), groupScopePrefix)
	c.mu.Lock()
	g := c.groups[id]
	c.mu.Unlock()
	if g == nil || g.scope != scope {
		return nil
	}
	return g
}

// dropOutdated drops a copy that is known to be old. The caller has the group's
// turn.
func (g *Group) dropOutdated() {
	if g.live != nil && g.heard.outdates(g.live.rev) {
		g.storeLog() // nobody can write in a tenure: the word is wrong
		g.drop()
		g.settle()
	}
}

// lockScope keeps other instances out of a scope until unlock is called. The
// order is a group's scope, then the client's; nobody holds two groups. Codes:
// CANCELLED, and those of the store.
func (c *Client) lockScope(ctx context.Context, scope Scope) (unlock func(), err error) {
	if c.locker == nil {
		return func() {}, nil
	}
	unlock, err = c.locker.Lock(ctx, scope)
	if err != nil {
		if ctx.Err() != nil {
			return nil, mlserr.Wrap(mlserr.Cancelled, "lock", err)
		}
		return nil, storeError(err)
	}
	return unlock, nil
}

// differs reports whether a scope is stored with another revision than rev.
// Where that cannot be told it is false.
func (c *Client) differs(ctx context.Context, scope Scope, rev Rev) bool {
	if c.locker == nil {
		return false
	}
	stored, err := c.locker.Revision(ctx, scope)
	return err == nil && stored != rev
}

// refresh drops the copies that are not what is stored, the group's and the
// client's, and reports whether there was one: a step that came to nothing on
// them, or to failed, is to be run again. Where the store cannot tell, a key that
// is gone shows that another instance has dropped it. The caller has the group's
// turn.
func (g *Group) refresh(ctx context.Context, rev Rev, failed error) bool {
	if g.client.locker == nil && mlserr.CodeOf(failed) == mlserr.KeyNotFound {
		g.drop()
		return g.client.reload(ctx) == nil
	}
	stale := g.client.differs(ctx, g.scope, rev)
	if stale {
		g.drop()
	}
	return g.client.refresh(ctx) || stale
}

// refresh loads the client's scope again where it is not what is stored, and
// reports whether it did.
func (c *Client) refresh(ctx context.Context) bool {
	if c.locker == nil {
		return false
	}
	stored, err := c.locker.Revision(ctx, ClientScope)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && stored != c.state.rev && c.reloadLocked(ctx) == nil
}
