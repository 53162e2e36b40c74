package mls

import (
	"bytes"
	"context"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// formatVersion is the version of the stored format. It stands in the record
// "format" of every scope. A scope of an older version is read, and becomes one of
// this version when it is next written to; its records may stay as they are until
// they change, for what a version added stands at the end of a record.
//
//	1  the first
//	2  state: the shared leaf key, what is known of a restored backup, a list that
//	   is empty now; key packages: what they are kept for
//	3  the inbox has blocks; the log of what was sent says what it may lack
//	4  the tree has bundles
const formatVersion = 4

// Record names. Of a client's scope:
const (
	recordFormat     = "format"
	recordIdentity   = "identity/" // id in hex
	recordKeyPackage = "kp/"       // KeyPackageRef in hex
	recordPSK        = "psk/"      // id in hex
	recordGroup      = "group/"    // group id in hex
)

// And of a group's scope, split by how often they change, so that a message
// does not rewrite the tree:
const (
	recordState    = "state"     // status, past epochs, resumption PSKs, digests
	recordEpoch    = "epoch"     // the current epoch, less its tree and ratchets
	recordPage     = "page/"     // a page of the current tree
	recordPages    = "pages/"    // number: several pages, as far as they have no record of their own
	recordRatchet  = "ratchet/"  // epoch "/" record of its secret tree
	recordPast     = "past/"     // a past epoch, less its ratchets
	recordProposal = "proposal/" // position among the cached proposals
	recordPending  = "pending"   // the pending commit with the epoch that it leads to
	recordInbox    = "inbox/"    // id; with inboxBlockSuffix several entries, by the id of the first
	recordSent     = "sent/"     // block number
)

const inboxBlockSuffix = "+"

const hexDigits = "0123456789abcdef"

func hexName(b []byte) string {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, hexDigits[c>>4], hexDigits[c&15])
	}
	return string(out)
}

func unhexName(s string) ([]byte, bool) {
	if len(s)%2 != 0 {
		return nil, false
	}
	out := make([]byte, len(s)/2)
	for i := range out {
		for _, c := range []byte(s[2*i : 2*i+2]) {
			digit := strings.IndexByte(hexDigits, c)
			if digit < 0 {
				return nil, false
			}
			out[i] = out[i]<<4 | byte(digit)
		}
	}
	return out, true
}

// parseNumber reads what strconv.FormatUint writes in decimal, and nothing else.
func parseNumber(s string) (n uint64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' || n > (math.MaxUint64-uint64(c-'0'))/10 {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return n, s != "" && (s[0] != '0' || s == "0")
}

func corrupt(name string, err error) error {
	return mlserr.Wrap(mlserr.StateCorrupt, "record "+name, err)
}

// readFormat returns the version of the records, 0 when there are none. It refuses
// those of a version to come.
func readFormat(records Records) (byte, error) {
	if len(records) == 0 {
		return 0, nil
	}
	b := records[recordFormat]
	if len(b) != 1 || b[0] == 0 || b[0] > formatVersion {
		return 0, mlserr.New(mlserr.StateVersion, "")
	}
	return b[0], nil
}

// decode runs f over a record and refuses what is left over.
func decode(name string, b []byte, f func(r *wire.Reader)) error {
	r := wire.NewReader(b)
	f(r)
	if err := r.Finish(); err != nil {
		return corrupt(name, err)
	}
	return nil
}

// writeReference writes what finds a private key again, which may be the key.
func writeReference(w *wire.Writer, key interface{ Reference() []byte }) {
	reference := key.Reference()
	w.Opaque(reference)
	suite.Wipe(reference)
}

// --- the client's scope ---

func marshalIdentity(i *Identity) []byte {
	var w wire.Writer
	w.Uint16(uint16(i.suite.ID()))
	i.credential.Marshal(&w)
	writeReference(&w, i.key)
	return w.Bytes()
}

func (c *Client) loadIdentity(ctx context.Context, name string, b []byte) (*Identity, error) {
	id, ok := unhexName(strings.TrimPrefix(name, recordIdentity))
	if !ok {
		return nil, corrupt(name, nil)
	}
	identity := &Identity{id: id}
	var suiteID suite.ID
	var reference []byte
	err := decode(name, b, func(r *wire.Reader) {
		suiteID = suite.ID(r.Uint16())
		identity.credential.Unmarshal(r)
		reference = r.Opaque()
	})
	if err != nil {
		return nil, err
	}
	if identity.suite, err = suite.Lookup(suiteID); err != nil {
		return nil, err
	}
	identity.key, err = c.keys.SignatureKey(ctx, suiteID, reference)
	return identity, err
}

func (p *ownKeyPackage) marshal() []byte {
	var w wire.Writer
	w.Uint16(uint16(p.suite.ID()))
	w.Opaque(p.keyPackage)
	w.Opaque(p.identity)
	w.Opaque(p.initKey)
	w.Opaque(p.leafKey)
	w.Opaque([]byte(p.initName))
	w.Opaque([]byte(p.leafName))
	w.Optional(p.lastResort)
	w.Uint64(p.notAfter)
	w.Optional(p.retired)
	w.Vector(func(w *wire.Writer) {
		for _, id := range p.users {
			w.Opaque([]byte(id))
		}
	})
	return w.Bytes()
}

func loadOwnKeyPackage(name string, b []byte) (*ownKeyPackage, error) {
	p := new(ownKeyPackage)
	var suiteID suite.ID
	err := decode(name, b, func(r *wire.Reader) {
		suiteID = suite.ID(r.Uint16())
		p.keyPackage = r.Opaque()
		p.identity = r.Opaque()
		p.initKey = r.Opaque()
		p.leafKey = r.Opaque()
		p.initName = string(r.Opaque())
		p.leafName = string(r.Opaque())
		p.lastResort = r.Optional()
		p.notAfter = r.Uint64()
		if r.Empty() { // format 1
			return
		}
		p.retired = r.Optional()
		r.Vector(func(r *wire.Reader) { p.users = append(p.users, string(r.Opaque())) })
	})
	if err != nil {
		return nil, err
	}
	p.suite, err = suite.Lookup(suiteID)
	return p, err
}

func (c *Client) loadClientState(ctx context.Context, records Records) (*clientState, error) {
	format, err := readFormat(records)
	if err != nil {
		return nil, err
	}
	s := &clientState{
		format:      format,
		identities:  make(map[string]*Identity),
		keyPackages: make(map[string]*ownKeyPackage),
		psks:        make(map[string][]byte),
		groups:      make(map[string]bool),
	}
	for name, b := range records {
		kind, rest, _ := strings.Cut(name, "/")
		key, ok := unhexName(rest)
		if !ok {
			return nil, corrupt(name, nil)
		}
		switch kind + "/" {
		case recordIdentity:
			identity, err := c.loadIdentity(ctx, name, b)
			if err != nil {
				return nil, err
			}
			s.identities[string(key)] = identity
		case recordKeyPackage:
			kp, err := loadOwnKeyPackage(name, b)
			if err != nil {
				return nil, err
			}
			s.keyPackages[string(key)] = kp
		case recordPSK:
			s.psks[string(key)] = b
		case recordGroup:
			s.groups[string(key)] = true
		}
	}
	return s, nil
}

// --- a group's scope: writing ---

// change turns an outcome into what the store has to do to the group's scope.
// Its cost is that of what changed.
func (g *Group) change(l *live, out *outcome) Change {
	c := Change{Scope: g.scope, Base: l.rev, Put: Records{}}
	if out.forget {
		c.DeleteAll = true
		return c
	}
	old := l.state
	if out.create {
		c.DeleteAll = true
		old = &state{}
		l.keepLedger(&c)
	}
	for _, d := range out.drafts {
		prefix := recordRatchet + strconv.FormatUint(d.epoch, 10) + "/"
		d.draft.Changes(func(name string, record []byte) {
			if record == nil {
				c.Delete = append(c.Delete, prefix+name)
			} else {
				c.Put[prefix+name] = record
			}
		})
	}
	l.acknowledge(&c, out.acknowledged)
	if out.next != nil && out.next.epoch != nil && out.next.epoch != old.epoch {
		e := out.next.epoch // nothing was signed in it yet
		out.sent = append([][]byte{sentSince(e.suite, e.contextBytes)}, out.sent...)
	}
	if out.sent != nil || l.sent.lacks > 0 {
		var changed []*sentBlock
		out.sentBlocks, changed, out.sentDropped = l.sent.after(out.sent)
		for i, b := range changed {
			record := b.digests
			if i == len(changed)-1 && out.lacks > 0 {
				lacks := sentLacks(old.suite, old.epoch.contextBytes)
				record = record[:len(record):len(record)]
				for range out.lacks {
					record = append(record, lacks...)
				}
			}
			c.Put[recordSent+strconv.FormatUint(b.number, 10)] = record
		}
		for _, b := range out.sentDropped {
			name := recordSent + strconv.FormatUint(b.number, 10)
			delete(c.Put, name) // by keepLedger
			c.Delete = append(c.Delete, name)
		}
	}
	if out.next != nil {
		g.changeState(&c, l, old, out)
	}
	if l.format != formatVersion || c.DeleteAll {
		c.Put[recordFormat] = []byte{formatVersion}
	}
	return c
}

// keepLedger puts the ledger again where all else of the scope is dropped: what
// was received in a former membership and not acknowledged is not lost.
func (l *live) keepLedger(c *Change) {
	for id, entry := range l.inbox {
		if b := l.blocks[id]; b == nil {
			c.Put[recordInbox+strconv.FormatUint(id, 10)] = marshalInboxEvent(entry.Event)
		} else {
			c.Put[b.name] = l.marshalBlock(b, nil)
		}
	}
	for _, b := range l.sent.blocks {
		c.Put[recordSent+strconv.FormatUint(b.number, 10)] = b.digests
	}
}

// changeState writes the difference between two states.
func (g *Group) changeState(c *Change, l *live, old *state, out *outcome) {
	next := out.next
	record := next.marshal()
	if old.status == "" || !bytes.Equal(record, old.marshal()) {
		c.Put[recordState] = record
	}
	g.changeEpoch(c, l, old, out)
	g.changePast(c, old, next)

	// Proposals only ever grow within an epoch, and go all together.
	for i, p := range next.proposals {
		if i >= len(old.proposals) || old.proposals[i] != p {
			c.Put[recordProposal+strconv.Itoa(i)] = p.marshal()
		}
	}
	for i := len(next.proposals); i < len(old.proposals); i++ {
		c.Delete = append(c.Delete, recordProposal+strconv.Itoa(i))
	}
	switch {
	case next.pending != nil && next.pending != old.pending:
		base := old.epoch
		if next.pending.next.external {
			base = nil
		}
		c.Put[recordPending] = next.pending.marshal(base)
	case next.pending == nil && old.pending != nil:
		c.Delete = append(c.Delete, recordPending)
	}
}

// changeEpoch writes the current epoch and the pages of its tree that differ.
func (g *Group) changeEpoch(c *Change, l *live, old *state, out *outcome) {
	next := out.next
	if next.epoch == old.epoch {
		return
	}
	var before *tree.Tree
	if old.epoch != nil {
		before = old.epoch.tree
	}
	if next.epoch == nil {
		c.Delete = append(c.Delete, recordEpoch)
		l.changeTree(c, out, before, nil)
		deleteRatchets(c, old.epoch.context.Epoch, old.epoch.ratchets)
		return
	}
	c.Put[recordEpoch] = next.epoch.marshal()
	l.changeTree(c, out, before, next.epoch.tree)
	prefix := recordRatchet + strconv.FormatUint(next.epoch.context.Epoch, 10) + "/"
	next.epoch.ratchets.Records(func(name string, record []byte) { c.Put[prefix+name] = record })
	if old.epoch != nil && !next.retains(old.epoch.ratchets) {
		deleteRatchets(c, old.epoch.context.Epoch, old.epoch.ratchets)
	}
}

// retains reports whether the state still uses the ratchets of a past epoch.
func (s *state) retains(t *schedule.SecretTree) bool {
	return slices.ContainsFunc(s.past, func(p *pastEpoch) bool { return p.ratchets == t })
}

// changePast writes the past epochs that are new and deletes those that went.
func (g *Group) changePast(c *Change, old, next *state) {
	for _, p := range next.past {
		if !slices.Contains(old.past, p) {
			c.Put[recordPast+strconv.FormatUint(p.context.Epoch, 10)] = p.marshal()
		}
	}
	for _, p := range old.past {
		if !slices.Contains(next.past, p) {
			c.Delete = append(c.Delete, recordPast+strconv.FormatUint(p.context.Epoch, 10))
			deleteRatchets(c, p.context.Epoch, p.ratchets)
		}
	}
}

// deleteRatchets deletes the records of a secret tree, and does not put those
// that a draft of the same step has changed.
func deleteRatchets(c *Change, epoch uint64, t *schedule.SecretTree) {
	prefix := recordRatchet + strconv.FormatUint(epoch, 10) + "/"
	t.Records(func(name string, record []byte) {
		suite.Wipe(record)
		c.Delete = append(c.Delete, prefix+name)
	})
	for name := range c.Put {
		if strings.HasPrefix(name, prefix) {
			delete(c.Put, name)
			c.Delete = append(c.Delete, name)
		}
	}
}

// marshal writes the record "state".
func (s *state) marshal() []byte {
	var w wire.Writer
	w.Opaque([]byte(s.status))
	w.Uint16(uint16(s.suite.ID()))
	w.Opaque(s.groupID)
	w.Vector(func(w *wire.Writer) {
		for _, p := range s.past {
			w.Uint64(p.context.Epoch)
		}
	})
	w.Vector(func(w *wire.Writer) {
		for _, r := range s.resumption {
			w.Uint64(r.epoch)
			w.Opaque(r.secret)
		}
	})
	w.Vector(func(w *wire.Writer) {
		for _, digest := range s.processed {
			w.Opaque(digest)
		}
	})
	w.Optional(s.reinit != nil)
	if s.reinit != nil {
		(&message.Proposal{Type: message.ProposalReInit, ReInit: s.reinit}).Marshal(&w)
	}
	w.Opaque([]byte(s.sharedLeaf))
	w.Optional(s.restored)
	w.Uint64(s.freshSince)
	// Digests of cleared commits, once; the log of what was sent has them now.
	w.Vector(func(*wire.Writer) {})
	return w.Bytes()
}

// marshal writes an epoch, less its tree and its ratchets.
func (e *epoch) marshal() []byte {
	var w wire.Writer
	e.context.Marshal(&w)
	w.Opaque(e.interim)
	w.Opaque(e.confirmationTag)
	e.secrets.Marshal(&w)
	w.Uint32(e.tree.LeafCount())
	w.Opaque(e.identity.id)
	w.Uint32(uint32(e.private.Self))
	writeReference(&w, e.private.Leaf)
	w.Vector(func(w *wire.Writer) {
		nodes := make([]treemath.NodeIndex, 0, len(e.private.Path))
		for x := range e.private.Path {
			nodes = append(nodes, x)
		}
		sort.Slice(nodes, func(i, j int) bool { return nodes[i] < nodes[j] })
		for _, x := range nodes {
			w.Uint32(uint32(x))
			writeReference(w, e.private.Path[x])
		}
	})
	return w.Bytes()
}

// marshal writes a past epoch, less its ratchets.
func (p *pastEpoch) marshal() []byte {
	var w wire.Writer
	p.context.Marshal(&w)
	w.Opaque(p.senderDataSecret)
	w.Uint32(p.leafCount)
	w.Uint32(uint32(p.self))
	w.Uint64(uint64(p.ended))
	w.Vector(func(w *wire.Writer) {
		leaves := make([]treemath.LeafIndex, 0, len(p.changed))
		for i := range p.changed {
			leaves = append(leaves, i)
		}
		sort.Slice(leaves, func(i, j int) bool { return leaves[i] < leaves[j] })
		for _, i := range leaves {
			w.Uint32(uint32(i))
			m := p.changed[i]
			w.Optional(m != nil)
			if m != nil {
				m.Credential.Marshal(w)
				w.Opaque(m.SignatureKey)
			}
		}
	})
	return w.Bytes()
}

func (p *cachedProposal) marshal() []byte {
	if p.record != nil {
		return p.record
	}
	var w wire.Writer
	w.Opaque(p.ref)
	p.proposal.Marshal(&w)
	p.sender.Marshal(&w)
	w.Optional(p.dropped)
	w.Optional(p.leafKey != nil)
	if p.leafKey != nil {
		writeReference(&w, p.leafKey)
		w.Opaque(p.identity.id)
	}
	if p.message != nil {
		w.Opaque(p.message)
	}
	p.record = w.Bytes()
	return p.record
}

// marshal writes the record "pending". The tree of the epoch that it leads to
// is in it as the pages that differ from base, the epoch that it starts from;
// base is nil for an external commit.
func (p *pendingCommit) marshal(base *epoch) []byte {
	var w wire.Writer
	w.Opaque(p.result.Commit)
	w.Opaque(p.result.Welcome)
	w.Opaque(p.result.GroupInfo)
	st := p.next
	w.Opaque([]byte(st.status))
	w.Uint32(uint32(st.committer))
	w.Optional(st.external)
	for _, list := range [][]treemath.LeafIndex{st.added, st.removed, st.updated} {
		w.Vector(func(w *wire.Writer) {
			for _, i := range list {
				w.Uint32(uint32(i))
			}
		})
	}
	w.Optional(st.extended)
	w.Uint32(uint32(st.psks))
	w.Vector(func(w *wire.Writer) {
		for i := range st.custom {
			st.custom[i].Marshal(w)
		}
	})
	w.Optional(st.reinit != nil)
	if st.reinit != nil {
		(&message.Proposal{Type: message.ProposalReInit, ReInit: st.reinit}).Marshal(&w)
	}
	w.Opaque(st.epoch.marshal())
	var before *tree.Tree
	if base != nil {
		before = base.tree
	}
	put, deleted := st.epoch.tree.ChangedPages(before)
	w.Vector(func(w *wire.Writer) {
		for _, page := range put {
			w.Opaque([]byte(page.ID.Name()))
			w.Opaque(page.Data)
		}
	})
	w.Vector(func(w *wire.Writer) {
		for _, id := range deleted {
			w.Opaque([]byte(id.Name()))
		}
	})
	w.Vector(func(w *wire.Writer) {
		st.epoch.ratchets.Records(func(name string, record []byte) {
			w.Opaque([]byte(name))
			w.Opaque(record)
			suite.Wipe(record)
		})
	})
	return w.Bytes()
}

// marshalInboxEvent writes an entry of the inbox that has a record of its own.
func marshalInboxEvent(ev *Event) []byte {
	w := wire.NewWriter(len(ev.Content) + len(ev.AuthenticatedData) + 256)
	writeInboxSender(w, ev)
	w.Opaque(ev.AuthenticatedData)
	w.Opaque(ev.Content)
	return w.Bytes()
}

func writeInboxSender(w *wire.Writer, ev *Event) {
	w.Uint64(ev.Epoch)
	w.Uint32(uint32(ev.Sender.Leaf))
	ev.Sender.Credential.Marshal(w)
	w.Opaque(ev.Sender.SignatureKey)
	w.Optional(ev.Sender.Own)
}

// inboxBlock is a record with several entries of the inbox, which came in one
// batch: so that a list of messages is not as many records. Those of its ids that
// the inbox has are in it.
type inboxBlock struct {
	name string
	ids  []uint64
}

// The most that a block has: what is written anew when a part of it is acknowledged.
const (
	inboxBlockCount = 64
	inboxBlockSize  = 16 << 10 // bytes of content; an entry that is larger is by itself
)

// deliver puts what a batch delivers into records, and returns the blocks.
func (l *live) deliver(c *Change, list []*Event) (blocks []*inboxBlock) {
	for len(list) > 0 {
		n, size := 0, 0
		for n < min(len(list), inboxBlockCount) {
			size += len(list[n].Content) + len(list[n].AuthenticatedData)
			if n > 0 && size > inboxBlockSize {
				break
			}
			n++
		}
		name := recordInbox + strconv.FormatUint(list[0].InboxID, 10)
		if n == 1 {
			c.Put[name] = marshalInboxEvent(list[0])
		} else {
			b := &inboxBlock{name: name + inboxBlockSuffix}
			for _, ev := range list[:n] {
				b.ids = append(b.ids, ev.InboxID)
			}
			c.Put[b.name] = marshalInboxEvents(list[:n])
			blocks = append(blocks, b)
		}
		list = list[n:]
	}
	return blocks
}

// acknowledge takes entries out of the records of the inbox.
func (l *live) acknowledge(c *Change, ids []uint64) {
	gone := make(map[uint64]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
	}
	var last *inboxBlock
	for _, id := range ids {
		b := l.blocks[id]
		if b == nil {
			c.Delete = append(c.Delete, recordInbox+strconv.FormatUint(id, 10))
		} else if b != last {
			last = b // as a rule its ids come one after the other
			if record := l.marshalBlock(b, gone); record != nil {
				c.Put[b.name] = record
			} else {
				c.Delete = append(c.Delete, b.name)
			}
		}
	}
}

// marshalBlock writes what is left of a block; nil when nothing is.
func (l *live) marshalBlock(b *inboxBlock, gone map[uint64]bool) []byte {
	var list []*Event
	for _, id := range b.ids {
		if entry := l.inbox[id]; entry != nil && !gone[id] {
			list = append(list, entry.Event)
		}
	}
	if list == nil {
		return nil
	}
	return marshalInboxEvents(list)
}

// marshalInboxEvents writes a block. What is the same as in the entry before is
// left out: the epoch and the sender.
func marshalInboxEvents(list []*Event) []byte {
	var w wire.Writer
	for i, ev := range list {
		w.Uint64(ev.InboxID)
		same := i > 0 && ev.Epoch == list[i-1].Epoch && ev.Sender.Leaf == list[i-1].Sender.Leaf
		w.Optional(same)
		if !same {
			writeInboxSender(&w, ev)
		}
		w.Opaque(ev.AuthenticatedData)
		w.Opaque(ev.Content)
	}
	return w.Bytes()
}

// --- a group's scope: reading ---

// load returns the group as it is in memory, or reads it from the store.
func (g *Group) load(ctx context.Context) (*live, error) {
	if g.client.isClosed() {
		return nil, mlserr.New(mlserr.Closed, "")
	}
	g.dropOutdated()
	if g.live != nil {
		return g.live, nil
	}
	g.heard.forget()
	l, err := g.client.readGroup(ctx, g.id, g.scope)
	if err != nil {
		return nil, err
	}
	g.live = l
	return l, nil
}

// readGroup reads a group from the store. Another instance may delete keys that
// the records name while they are being read: then they are not what is stored
// any more, and it reads again.
func (c *Client) readGroup(ctx context.Context, id []byte, scope Scope) (*live, error) {
	for try := 1; ; try++ {
		records, rev, err := c.store.Load(ctx, scope)
		if err != nil {
			return nil, storeError(err)
		}
		l, err := c.loadGroup(ctx, id, records)
		if err == nil {
			l.rev = rev
			return l, nil
		}
		if try == tries || !c.differs(ctx, scope, rev) {
			return nil, err
		}
	}
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// peek reads the state of another group, as it is stored, without its lock.
// Code: GROUP_NOT_FOUND.
func (c *Client) peek(ctx context.Context, id []byte) (*state, error) {
	l, err := c.readGroup(ctx, id, GroupScope(id))
	if err != nil {
		return nil, err
	}
	if err := l.exists(); err != nil {
		return nil, err
	}
	return l.state, nil
}

// newLive is a group that nothing is stored of.
func newLive(id []byte) *live {
	return &live{state: &state{groupID: id}, inbox: make(map[uint64]*InboxEntry), blocks: make(map[uint64]*inboxBlock)}
}

// loadGroup decodes the records of a group. A group that is not there has a
// state without a status.
func (c *Client) loadGroup(ctx context.Context, id []byte, records Records) (*live, error) {
	l := newLive(id)
	if len(records) == 0 {
		return l, nil
	}
	var err error
	if l.format, err = readFormat(records); err != nil {
		return nil, err
	}
	s := l.state
	past, err := s.unmarshal(records[recordState])
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(s.groupID, id) {
		return nil, corrupt(recordState, nil)
	}
	bundles, pages, err := pageRecords(records)
	if err != nil {
		return nil, err
	}
	if b, ok := records[recordEpoch]; ok {
		ratchets := ratchetRecords(records)
		if s.epoch, err = c.loadEpoch(ctx, s.suite, recordEpoch, b, pages, ratchets); err != nil {
			return nil, err
		}
		l.keepBundles(bundles)
	}
	for _, number := range past {
		p, err := c.loadPast(s, number, records)
		if err != nil {
			return nil, err
		}
		s.past = append(s.past, p)
	}
	for i := 0; ; i++ {
		name := recordProposal + strconv.Itoa(i)
		b, ok := records[name]
		if !ok {
			break
		}
		p, err := c.loadProposal(ctx, s.suite, name, b)
		if err != nil {
			return nil, err
		}
		s.proposals = append(s.proposals, p)
	}
	if b, ok := records[recordPending]; ok {
		if s.pending, err = c.loadPending(ctx, s, b, pages); err != nil {
			return nil, err
		}
	}
	if err := s.checkLoaded(); err != nil {
		return nil, err
	}
	return l, l.loadLedger(records)
}

// checkLoaded refuses a state of which a part is missing.
func (s *state) checkLoaded() error {
	var whole bool
	switch s.status {
	case StatusActive, StatusReadOnly:
		whole = s.epoch != nil
	case StatusJoining:
		whole = s.epoch == nil && s.pending != nil
	case StatusRemoved:
		whole = s.epoch == nil && s.pending == nil
	}
	if !whole {
		return corrupt(recordState, nil)
	}
	return nil
}

// ratchetRecords returns a look-up in the secret tree of an epoch.
func ratchetRecords(records Records) func(epoch uint64, name string) ([]byte, bool) {
	return func(epoch uint64, name string) ([]byte, bool) {
		b, ok := records[recordRatchet+strconv.FormatUint(epoch, 10)+"/"+name]
		return b, ok
	}
}

func (s *state) unmarshal(b []byte) (past []uint64, err error) {
	var suiteID suite.ID
	err = decode(recordState, b, func(r *wire.Reader) {
		s.status = Status(r.Opaque())
		suiteID = suite.ID(r.Uint16())
		s.groupID = r.Opaque()
		r.Vector(func(r *wire.Reader) { past = append(past, r.Uint64()) })
		r.Vector(func(r *wire.Reader) {
			s.resumption = append(s.resumption, resumptionPSK{epoch: r.Uint64(), secret: r.Opaque()})
		})
		r.Vector(func(r *wire.Reader) { s.processed = append(s.processed, r.Opaque()) })
		s.reinit = readReInit(r)
		if r.Empty() { // format 1
			return
		}
		s.sharedLeaf = string(r.Opaque())
		s.restored = r.Optional()
		s.freshSince = r.Uint64()
		r.Vector(func(r *wire.Reader) { r.Opaque() })
	})
	if err != nil {
		return nil, err
	}
	s.suite, err = suite.Lookup(suiteID)
	return past, err
}

func readReInit(r *wire.Reader) *message.ReInit {
	if !r.Optional() {
		return nil
	}
	var p message.Proposal
	p.Unmarshal(r)
	if r.Err() == nil && p.ReInit == nil {
		r.Malformed("not a re_init")
	}
	return p.ReInit
}

func (c *Client) loadEpoch(ctx context.Context, s *suite.Suite, name string, b []byte, pages func(tree.PageID) ([]byte, bool), ratchets func(uint64, string) ([]byte, bool)) (*epoch, error) {
	e := &epoch{suite: s, secrets: new(schedule.Epoch)}
	var group message.GroupContext
	var leafCount uint32
	var identityID, leafRef []byte
	var self treemath.LeafIndex
	var nodes []treemath.NodeIndex
	var refs [][]byte
	err := decode(name, b, func(r *wire.Reader) {
		group.Unmarshal(r)
		e.interim = r.Opaque()
		e.confirmationTag = r.Opaque()
		e.secrets.Unmarshal(r)
		leafCount = r.Uint32()
		identityID = r.Opaque()
		self = treemath.LeafIndex(r.Uint32())
		leafRef = r.Opaque()
		r.Vector(func(r *wire.Reader) {
			nodes = append(nodes, treemath.NodeIndex(r.Uint32()))
			refs = append(refs, r.Opaque())
		})
	})
	if err != nil {
		return nil, err
	}
	e.context, e.contextBytes = marshaled(&group)
	if e.tree, err = tree.Load(s, leafCount, pages); err != nil {
		return nil, err
	}
	if !bytes.Equal(e.tree.Hash(), group.TreeHash) {
		return nil, corrupt(name, nil) // pages of another epoch
	}
	e.census = newCensus(e.tree)
	if e.identity, err = c.Identity(ctx, identityID); err != nil {
		return nil, err
	}
	e.private = &tree.Private{Self: self, Path: make(map[treemath.NodeIndex]suite.HPKEKey, len(nodes))}
	if e.private.Leaf, err = c.keys.HPKEKey(ctx, s.ID(), leafRef); err != nil {
		return nil, err
	}
	for i, x := range nodes {
		if e.private.Path[x], err = c.keys.HPKEKey(ctx, s.ID(), refs[i]); err != nil {
			return nil, err
		}
	}
	e.ratchets, err = schedule.LoadSecretTree(s, leafCount, func(record string) ([]byte, bool) {
		return ratchets(group.Epoch, record)
	})
	if err != nil {
		return nil, err
	}
	e.ratchets.Limits = c.ratchetLimits()
	return e, nil
}

func (c *Client) loadPast(s *state, number uint64, records Records) (*pastEpoch, error) {
	name := recordPast + strconv.FormatUint(number, 10)
	p := &pastEpoch{context: new(message.GroupContext), changed: make(map[treemath.LeafIndex]*Member)}
	err := decode(name, records[name], func(r *wire.Reader) {
		p.context.Unmarshal(r)
		p.senderDataSecret = r.Opaque()
		p.leafCount = r.Uint32()
		p.self = treemath.LeafIndex(r.Uint32())
		p.ended = int64(r.Uint64())
		r.Vector(func(r *wire.Reader) {
			i := treemath.LeafIndex(r.Uint32())
			if !r.Optional() {
				p.changed[i] = nil
				return
			}
			m := &Member{Leaf: i, Own: i == p.self}
			m.Credential.Unmarshal(r)
			m.SignatureKey = r.Opaque()
			p.changed[i] = m
		})
	})
	if err != nil {
		return nil, err
	}
	ratchets := ratchetRecords(records)
	p.ratchets, err = schedule.LoadSecretTree(s.suite, p.leafCount, func(record string) ([]byte, bool) {
		return ratchets(number, record)
	})
	if err != nil {
		return nil, err
	}
	p.ratchets.Limits = c.ratchetLimits()
	return p, nil
}

func (c *Client) loadProposal(ctx context.Context, s *suite.Suite, name string, b []byte) (*cachedProposal, error) {
	p := &cachedProposal{proposal: new(message.Proposal), record: b}
	var reference, identityID []byte
	err := decode(name, b, func(r *wire.Reader) {
		p.ref = r.Opaque()
		p.proposal.Unmarshal(r)
		p.sender.Unmarshal(r)
		p.dropped = r.Optional()
		if r.Optional() {
			reference = r.Opaque()
			identityID = r.Opaque()
		}
		if !r.Empty() {
			if p.message = r.Opaque(); len(p.message) == 0 {
				r.Malformed("no message")
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if identityID != nil {
		if p.leafKey, err = c.keys.HPKEKey(ctx, s.ID(), reference); err != nil {
			return nil, err
		}
		if p.identity, err = c.Identity(ctx, identityID); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (c *Client) loadPending(ctx context.Context, s *state, b []byte, pages func(tree.PageID) ([]byte, bool)) (*pendingCommit, error) {
	p := &pendingCommit{next: &staged{own: true}}
	st := p.next
	var epochBytes []byte
	put := make(map[string][]byte)
	deleted := make(map[string]bool)
	ratchets := make(map[string][]byte)
	leaves := func(r *wire.Reader) (list []treemath.LeafIndex) {
		r.Vector(func(r *wire.Reader) { list = append(list, treemath.LeafIndex(r.Uint32())) })
		return list
	}
	err := decode(recordPending, b, func(r *wire.Reader) {
		p.result.Commit = r.Opaque()
		p.result.Welcome = orNil(r.Opaque())
		p.result.GroupInfo = orNil(r.Opaque())
		st.status = Status(r.Opaque())
		st.committer = treemath.LeafIndex(r.Uint32())
		st.external = r.Optional()
		st.added, st.removed, st.updated = leaves(r), leaves(r), leaves(r)
		st.extended = r.Optional()
		st.psks = int(r.Uint32())
		r.Vector(func(r *wire.Reader) {
			var p message.Proposal
			p.Unmarshal(r)
			st.custom = append(st.custom, p)
		})
		st.reinit = readReInit(r)
		epochBytes = r.Opaque()
		r.Vector(func(r *wire.Reader) {
			name := string(r.Opaque())
			put[name] = r.Opaque()
		})
		r.Vector(func(r *wire.Reader) { deleted[string(r.Opaque())] = true })
		r.Vector(func(r *wire.Reader) {
			name := string(r.Opaque())
			ratchets[name] = r.Opaque()
		})
	})
	if err != nil {
		return nil, err
	}
	changed := func(id tree.PageID) ([]byte, bool) {
		name := id.Name()
		if b, ok := put[name]; ok {
			return b, true
		}
		if deleted[name] || st.external {
			return nil, false
		}
		return pages(id)
	}
	st.epoch, err = c.loadEpoch(ctx, s.suite, recordPending, epochBytes, changed, func(_ uint64, name string) ([]byte, bool) {
		b, ok := ratchets[name]
		return b, ok
	})
	if err != nil {
		return nil, err
	}
	p.result.Epoch = st.epoch.context.Epoch
	p.digest = digestOf(s.suite, p.result.Commit)
	return p, nil
}

func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// loadLedger reads the inbox and the log of sent messages.
func (l *live) loadLedger(records Records) error {
	for name, b := range records {
		switch {
		case strings.HasPrefix(name, recordInbox):
			number := name[len(recordInbox):]
			block := strings.HasSuffix(number, inboxBlockSuffix)
			if block {
				number = number[:len(number)-len(inboxBlockSuffix)]
			}
			id, ok := parseNumber(number)
			if !ok {
				return corrupt(name, nil)
			}
			if err := l.loadInbox(name, b, id, block); err != nil {
				return err
			}
		case strings.HasPrefix(name, recordSent):
			number, ok := parseNumber(name[len(recordSent):])
			if !ok || len(b)%digestSize != 0 {
				return corrupt(name, nil)
			}
			l.sent.blocks = append(l.sent.blocks, &sentBlock{number: number, digests: b})
		}
	}
	blocks := l.sent.blocks
	sort.Slice(blocks, func(i, j int) bool { return blocks[i].number < blocks[j].number })
	return nil
}

// loadInbox reads the entry with an id, or a block.
func (l *live) loadInbox(name string, b []byte, id uint64, block bool) error {
	var of *inboxBlock
	if block {
		of = &inboxBlock{name: name}
	}
	return decode(name, b, func(r *wire.Reader) {
		var last *Event
		for last == nil || block && !r.Empty() && r.Err() == nil {
			ev := &Event{Type: EventApplication, GroupID: l.state.groupID, InboxID: id}
			if block {
				ev.InboxID = r.Uint64()
				if l.inbox[ev.InboxID] != nil {
					r.Malformed("an entry twice")
				}
				l.blocks[ev.InboxID] = of
				of.ids = append(of.ids, ev.InboxID)
			}
			if block && r.Optional() && last != nil {
				ev.Epoch, ev.Sender = last.Epoch, last.Sender
			} else {
				ev.Epoch = r.Uint64()
				ev.Sender = &Member{Leaf: treemath.LeafIndex(r.Uint32())}
				ev.Sender.Credential.Unmarshal(r)
				ev.Sender.SignatureKey = r.Opaque()
				ev.Sender.Own = r.Optional()
			}
			ev.AuthenticatedData = r.Opaque()
			ev.Content = r.Opaque()
			l.inbox[ev.InboxID] = &InboxEntry{ID: ev.InboxID, Event: ev}
			last = ev
		}
	})
}

// inboxIDs returns the ids of the inbox in order.
func (l *live) inboxIDs() []uint64 {
	ids := make([]uint64, 0, len(l.inbox))
	for id := range l.inbox {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}
