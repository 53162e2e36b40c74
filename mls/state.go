package mls

import (
	"webmls/mls/message"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// state is everything that a group knows, less its ledger. Values are
// immutable: a step makes a new one. The only mutable thing that can be
// reached from it are the ratchets of its epochs, which change through drafts
// that transact applies after the store has committed.
type state struct {
	status  Status
	suite   *suite.Suite
	groupID []byte
	// epoch is nil while joining and after removal.
	epoch *epoch
	// past epochs that still open application messages, newest first.
	past []*pastEpoch
	// resumption PSKs of past epochs, newest first.
	resumption []resumptionPSK
	// proposals of the current epoch, in the order of arrival.
	proposals []*cachedProposal
	pending   *pendingCommit
	// processed has the digests of the last commits, newest first, so that a
	// duplicate is told from a commit that lost.
	processed [][]byte
	// reinit is what the group was reinitialized to.
	reinit *message.ReInit
	// sharedLeaf is the name of the own leaf key while it is that of a key
	// package of last resort, which other groups may use too; else "".
	sharedLeaf string
	// restored: the state is older than what was sent from it: see rollback.go.
	restored bool
	// freshSince is the first epoch in which only this life of the state can have
	// sent: that which its last commit with a path began, or its joining.
	freshSince uint64
}

// epoch is the state of the group in one epoch (RFC 9420, Section 8).
type epoch struct {
	suite           *suite.Suite
	context         *message.GroupContext
	contextBytes    []byte // the serialized context
	tree            *tree.Tree
	census          *census
	private         *tree.Private
	secrets         *schedule.Epoch
	ratchets        *schedule.SecretTree // mutable: see state
	interim         []byte               // interim transcript hash
	confirmationTag []byte
	identity        *Identity // what this client signs with in this epoch
}

// self returns the own leaf index.
func (e *epoch) self() treemath.LeafIndex { return e.private.Self }

// member describes a non-blank leaf of the epoch, or returns nil.
func (e *epoch) member(i treemath.LeafIndex) *Member {
	leaf := e.tree.Leaf(i)
	if leaf == nil {
		return nil
	}
	return &Member{
		Leaf:         i,
		Credential:   leaf.Credential,
		SignatureKey: leaf.SignatureKey,
		Own:          i == e.self(),
	}
}

// pastEpoch is what is left of an epoch so that late application messages
// still open. Everything else of it is wiped when the epoch ends.
type pastEpoch struct {
	context          *message.GroupContext
	senderDataSecret []byte
	ratchets         *schedule.SecretTree // mutable: see state
	leafCount        uint32
	self             treemath.LeafIndex
	// changed has the leaves as they were in this epoch, where the commit that
	// ended it changed them: nil for blank. All others are as in the next
	// epoch. So a late message is judged by the tree it was sent in, at the
	// cost of the difference alone.
	changed map[treemath.LeafIndex]*Member
	ended   int64 // Unix seconds
}

// memberAt describes the leaf i as it was in the past epoch of index k (S10).
func (s *state) memberAt(k int, i treemath.LeafIndex) *Member {
	// From the epoch asked for, through every later one, to the current.
	for ; k >= 0; k-- {
		if m, ok := s.past[k].changed[i]; ok {
			return m
		}
	}
	if s.epoch == nil {
		return nil
	}
	return s.epoch.member(i)
}

// resumptionPSK is a resumption_psk of a past epoch (RFC 9420, Section 8.6).
type resumptionPSK struct {
	epoch  uint64
	secret []byte // KDF.Nh bytes; wiped when it falls out of the list
}

// cachedProposal is a proposal that was received or sent in the current epoch.
// Its signature and its own rules were checked then.
type cachedProposal struct {
	ref      []byte // ProposalRef, KDF.Nh bytes
	proposal *message.Proposal
	sender   message.Sender
	// leafKey is the private half of an Update proposal of one's own.
	leafKey suite.HPKEKey
	// identity is what this client signs with once that Update is committed.
	identity *Identity
	dropped  bool // set aside by the application: see Group.DropProposal
	// message is one's own proposal as it was sent, so that it can be sent
	// again after a crash: a commit that names it is of no use to members who
	// have not received it.
	message []byte
	record  []byte // what the store keeps, made once
}

// waiting returns the cached proposals that are to be committed.
func (s *state) waiting() []*cachedProposal {
	var list []*cachedProposal
	for _, p := range s.proposals {
		if !p.dropped {
			list = append(list, p)
		}
	}
	return list
}

// pendingCommit is a commit of one's own that the delivery service has not
// accepted yet (RFC 9420, Section 14). It keeps its bytes, so that it can be
// sent again after a crash.
type pendingCommit struct {
	result CommitResult
	digest []byte
	next   *staged
}

// staged is what a valid commit leads to, before it is applied.
type staged struct {
	epoch     *epoch
	status    Status // StatusActive or StatusReadOnly
	committer treemath.LeafIndex
	own       bool
	external  bool
	added     []treemath.LeafIndex
	removed   []treemath.LeafIndex
	updated   []treemath.LeafIndex
	extended  bool // the group context extensions changed
	psks      int
	custom    []message.Proposal
	reinit    *message.ReInit
	check     func() error // of a commit of another client: see processCommit
}

// changedMembers returns the leaves of the old epoch that the commit changes,
// as pastEpoch.changed wants them.
func (st *staged) changedMembers(old *epoch) map[treemath.LeafIndex]*Member {
	changed := make(map[treemath.LeafIndex]*Member)
	for _, list := range [][]treemath.LeafIndex{st.added, st.removed, st.updated, {st.committer}} {
		for _, i := range list {
			changed[i] = old.member(i)
		}
	}
	return changed
}

// updateInfo describes the commit for the application. old is nil for a client
// that joins by it.
func (st *staged) updateInfo(old *epoch) *UpdateInfo {
	u := &UpdateInfo{
		Own:               st.own,
		External:          st.external,
		Committer:         st.epoch.member(st.committer),
		ExtensionsChanged: st.extended,
		PSKs:              st.psks,
		Custom:            st.custom,
		ReInit:            st.reinit,
	}
	for _, i := range st.added {
		if m := st.epoch.member(i); m != nil {
			u.Added = append(u.Added, *m)
		}
	}
	for _, i := range st.updated {
		if m := st.epoch.member(i); m != nil {
			u.Updated = append(u.Updated, *m)
		}
	}
	if old != nil {
		for _, i := range st.removed {
			if m := old.member(i); m != nil {
				u.Removed = append(u.Removed, *m)
			}
		}
	}
	return u
}

// maxProcessed is how many digests of processed commits are kept.
const maxProcessed = 32

// advance applies a staged commit: the current epoch becomes the newest past
// one, reduced to what late messages need; its other secrets go (X2), and of the
// resumption PSKs a bounded number stays (X3). digest is that of the commit
// message. drop lists what must be wiped once the new state is stored.
func (s *state) advance(st *staged, digest []byte, limits *Limits, now int64) (next *state, drop []func()) {
	next = &state{
		status:  st.status,
		suite:   st.epoch.suite,
		groupID: s.groupID,
		epoch:   st.epoch,
		reinit:  st.reinit,

		sharedLeaf: s.sharedLeaf,
		restored:   s.restored,
		freshSince: s.freshSince,
	}
	old := s.epoch
	if st.refreshed(old) {
		next.restored, next.freshSince = false, st.epoch.context.Epoch
	}
	if old != nil && !(st.own && st.external) {
		p := &pastEpoch{
			context:          old.context,
			senderDataSecret: append([]byte(nil), old.secrets.SenderDataSecret...),
			ratchets:         old.ratchets,
			leafCount:        old.tree.LeafCount(),
			self:             old.self(),
			changed:          st.changedMembers(old),
			ended:            now,
		}
		next.past, drop = boundPast(append([]*pastEpoch{p}, s.past...), limits, now)
		next.resumption = append([]resumptionPSK{{
			epoch:  old.context.Epoch,
			secret: append([]byte(nil), old.secrets.ResumptionPSK...),
		}}, s.resumption...)
		for len(next.resumption) > limits.MaxResumptionPSKs {
			last := next.resumption[len(next.resumption)-1]
			drop = append(drop, func() { suite.Wipe(last.secret) })
			next.resumption = next.resumption[:len(next.resumption)-1]
		}
	}
	if old != nil {
		drop = append(drop, old.secrets.Wipe)
		if st.own && st.external {
			drop = append(drop, old.ratchets.Wipe)
			for _, p := range s.past {
				drop = append(drop, p.wipe)
			}
			for _, r := range s.resumption {
				drop = append(drop, func() { suite.Wipe(r.secret) })
			}
		}
	}
	next.processed = append([][]byte{digest}, s.processed...)
	if len(next.processed) > maxProcessed {
		next.processed = next.processed[:maxProcessed]
	}
	return next, drop
}

func (e *epoch) wipe() {
	e.secrets.Wipe()
	e.ratchets.Wipe()
}

func (p *pastEpoch) wipe() {
	suite.Wipe(p.senderDataSecret)
	p.ratchets.Wipe()
}

// boundPast cuts the list of past epochs to the limits (X4).
func boundPast(past []*pastEpoch, limits *Limits, now int64) (kept []*pastEpoch, drop []func()) {
	oldest := limits.oldestPast(now)
	for k, p := range past {
		if k < limits.MaxPastEpochs && p.ended >= oldest && len(kept) == k {
			kept = append(kept, p)
		} else {
			drop = append(drop, p.wipe)
		}
	}
	return kept, drop
}

// expirePast returns the state without the past epochs that have become too
// old, and s itself when there are none.
func (s *state) expirePast(limits *Limits, now int64) (next *state, drop []func()) {
	if n := len(s.past); n == 0 || s.past[n-1].ended >= limits.oldestPast(now) {
		return s, nil
	}
	next = new(state)
	*next = *s
	next.past, drop = boundPast(s.past, limits, now)
	return next, drop
}

// removedState is the state after a commit that removes this client (C13): no
// secret is left.
func (s *state) removedState(digest []byte) (next *state, drop []func()) {
	next = &state{
		status:    StatusRemoved,
		suite:     s.suite,
		groupID:   s.groupID,
		processed: append([][]byte{digest}, s.processed...),
	}
	if len(next.processed) > maxProcessed {
		next.processed = next.processed[:maxProcessed]
	}
	return next, s.wipers()
}

// wipers returns what wipes all secrets of the state.
func (s *state) wipers() (drop []func()) {
	if s.epoch != nil {
		drop = append(drop, s.epoch.wipe)
	}
	for _, p := range s.past {
		drop = append(drop, p.wipe)
	}
	for _, r := range s.resumption {
		drop = append(drop, func() { suite.Wipe(r.secret) })
	}
	if s.pending != nil {
		drop = append(drop, s.pending.next.epoch.wipe)
	}
	return drop
}

// wipe wipes all secrets of the state.
func (s *state) wipe() {
	for _, wipe := range s.wipers() {
		wipe()
	}
}

// digestSize is the length of a message digest, in bytes. It only has to tell
// one's own messages from others, within one group.
const digestSize = 16

// digestOf identifies a message by its bytes.
func digestOf(s *suite.Suite, b []byte) []byte { return s.Hash(b)[:digestSize] }

// marshaled returns the serialized context next to the context.
func marshaled(c *message.GroupContext) (*message.GroupContext, []byte) {
	return c, wire.Marshal(c)
}
