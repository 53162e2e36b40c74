package mls

import (
	"bytes"
	"context"
	"slices"

	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// listed is a proposal in the list of a commit (RFC 9420, Section 12.4).
type listed struct {
	proposal *message.Proposal
	sender   message.Sender // who proposed it; for a proposal by value the committer
	ref      []byte         // nil for a proposal by value
	cached   *cachedProposal
	founding bool // the reinit or branch PSK of a group's first commit
}

// proposalList is the list of a commit, sorted by type as Section 12.3 applies it.
type proposalList struct {
	extensions   []*listed // group_context_extensions
	updates      []*listed
	removes      []*listed
	adds         []*listed
	psks         []*listed
	externalInit []*listed
	reinit       []*listed
	custom       []*listed
	count        int
	byReference  int
}

func (l *proposalList) add(p *listed) {
	l.count++
	if p.ref != nil {
		l.byReference++
	}
	switch p.proposal.Type {
	case message.ProposalGroupContextExtensions:
		l.extensions = append(l.extensions, p)
	case message.ProposalUpdate:
		l.updates = append(l.updates, p)
	case message.ProposalRemove:
		l.removes = append(l.removes, p)
	case message.ProposalAdd:
		l.adds = append(l.adds, p)
	case message.ProposalPSK:
		l.psks = append(l.psks, p)
	case message.ProposalExternalInit:
		l.externalInit = append(l.externalInit, p)
	case message.ProposalReInit:
		l.reinit = append(l.reinit, p)
	default:
		l.custom = append(l.custom, p)
	}
}

// pathRequired reports whether the commit must have a path (C2; RFC 9420, Section 12.4).
func (l *proposalList) pathRequired() bool {
	return l.count == 0 || len(l.updates) > 0 || len(l.removes) > 0 ||
		len(l.externalInit) > 0 || len(l.extensions) > 0
}

// removesLeaf reports whether the list removes a leaf.
func (l *proposalList) removesLeaf(i treemath.LeafIndex) bool {
	for _, p := range l.removes {
		if p.proposal.Remove == i {
			return true
		}
	}
	return false
}

// find returns the cached proposal of a reference, or nil.
func (s *state) find(ref []byte) *cachedProposal {
	for _, p := range s.proposals {
		if bytes.Equal(p.ref, ref) {
			return p
		}
	}
	return nil
}

// resolve looks up the references of a commit (P19, E4; RFC 9420, Section
// 12.4.2). Codes: PROPOSAL_UNKNOWN, PROPOSAL_LIST_INVALID,
// EXTERNAL_COMMIT_INVALID.
func (s *state) resolve(c *message.Commit, committer message.Sender) (*proposalList, error) {
	var list proposalList
	var byRef map[string]*cachedProposal
	named := make(map[string]bool)
	for i := range c.Proposals {
		p := &c.Proposals[i]
		if p.Proposal != nil {
			list.add(&listed{proposal: p.Proposal, sender: committer})
			continue
		}
		if committer.Type == message.SenderNewMemberCommit {
			// No proposal that could be fetched would make it valid.
			return nil, mlserr.New(mlserr.ExternalCommitInvalid, "E4: proposal by reference")
		}
		if named[string(p.Reference)] {
			return nil, mlserr.New(mlserr.ProposalListInvalid, "a proposal named twice")
		}
		named[string(p.Reference)] = true
		if byRef == nil {
			byRef = make(map[string]*cachedProposal, len(s.proposals))
			for _, q := range s.proposals {
				byRef[string(q.ref)] = q
			}
		}
		q := byRef[string(p.Reference)]
		if q == nil {
			return nil, mlserr.New(mlserr.ProposalUnknown, "P19")
		}
		list.add(&listed{proposal: q.proposal, sender: q.sender, ref: q.ref, cached: q})
	}
	return &list, nil
}

// selectProposals chooses, from the cached proposals, what a new commit of this
// client takes along: as many as possible (RFC 9420, Section 12.4), where a
// valid list prevails over completeness. What the caller asked for by value
// stands already in the list and comes first. known reports whether a PSK is held.
func (s *state) selectProposals(list *proposalList, known func(*message.PreSharedKeyID) bool) {
	self := s.epoch.self()
	waiting := s.waiting()
	touched := make(map[treemath.LeafIndex]bool)
	signatureKeys := make(map[string]bool)
	psks := make(map[string]bool)
	for _, p := range list.removes {
		touched[p.proposal.Remove] = true
	}
	for _, p := range list.adds {
		signatureKeys[string(p.proposal.Add.LeafNode.SignatureKey)] = true
	}
	for _, p := range list.psks {
		psks[p.proposal.PSK.Key()] = true
	}
	// An extension that not all support would make the commit invalid.
	extensions := list.newExtensions(s.epoch.context.Extensions)
	for _, q := range waiting {
		if p := q.proposal; p.Type == message.ProposalGroupContextExtensions && len(list.extensions) == 0 && checkGroupExtensions(p.Extensions, s.epoch.census) == nil {
			list.add(&listed{proposal: p, sender: q.sender, ref: q.ref, cached: q})
			extensions = p.Extensions
		}
	}
	rules, err := newLeafRules(extensions, nil)
	fits := func(leaf *message.LeafNode) bool {
		return err == nil && rules.checkGroupNeeds(&leaf.Capabilities) == nil && s.epoch.census.accepts(leaf)
	}
	take := func(q *cachedProposal) {
		list.add(&listed{proposal: q.proposal, sender: q.sender, ref: q.ref, cached: q})
	}
	// Removes first: a Remove of a leaf prevails over its Update (Section 12.2).
	for _, q := range waiting {
		if p := q.proposal; p.Type == message.ProposalRemove && p.Remove != self && !touched[p.Remove] && s.epoch.tree.Leaf(p.Remove) != nil {
			touched[p.Remove] = true
			take(q)
		}
	}
	// Newest Update of a leaf first.
	for i := len(waiting) - 1; i >= 0; i-- {
		q := waiting[i]
		if q.proposal.Type == message.ProposalUpdate && q.sender.Leaf != self && !touched[q.sender.Leaf] && fits(q.proposal.Update) {
			touched[q.sender.Leaf] = true
			take(q)
		}
	}
	for _, q := range waiting {
		switch p := q.proposal; p.Type {
		case message.ProposalAdd:
			if key := string(p.Add.LeafNode.SignatureKey); !signatureKeys[key] && fits(&p.Add.LeafNode) {
				if i, present := s.epoch.tree.FindSignatureKey(p.Add.LeafNode.SignatureKey); !present || list.removesLeaf(i) {
					signatureKeys[key] = true
					take(q)
				}
			}
		case message.ProposalPSK:
			if key := p.PSK.Key(); !psks[key] && known(p.PSK) {
				psks[key] = true
				take(q)
			}
		case message.ProposalGroupContextExtensions, message.ProposalReInit, message.ProposalUpdate, message.ProposalRemove, message.ProposalExternalInit:
		default:
			take(q)
		}
	}
	// A ReInit goes alone; it waits while there is anything else.
	if list.count == 0 {
		for _, q := range waiting {
			if q.proposal.Type == message.ProposalReInit {
				take(q)
				return
			}
		}
	}
}

// withoutSpoilers returns the list less the cached proposals that spoil it:
// those that are valid alone and not with the others, as two Adds with one init
// key. Whoever sends them must not keep the other proposals out of the commit.
// It tries halves, so that a few spoilers among many cost few trials; none of
// these verifies a signature.
func (s *state) withoutSpoilers(list *proposalList) *proposalList {
	if list.byReference == 0 || s.holds(list) {
		return list
	}
	kept := new(proposalList)
	var cached []*listed
	for _, p := range list.all() {
		if p.ref == nil {
			kept.add(p)
		} else {
			cached = append(cached, p)
		}
	}
	var keep func(part []*listed)
	keep = func(part []*listed) {
		trial := new(proposalList)
		for _, p := range append(kept.all(), part...) {
			trial.add(p)
		}
		switch half := len(part) / 2; {
		case s.holds(trial):
			kept = trial
		case half > 0:
			keep(part[:half])
			keep(part[half:])
		}
	}
	keep(cached)
	return kept
}

// holds reports whether the rules on a list of this member's own hold, as far
// as they need no cryptography.
func (s *state) holds(list *proposalList) bool {
	rules, err := newLeafRules(list.newExtensions(s.epoch.context.Extensions), nil)
	if err != nil {
		return false
	}
	if err := s.validateList(list, s.epoch.self(), rules, new(leafChecks)); err != nil {
		return false
	}
	app := s.epoch.apply(list)
	return checkResult(app, s.epoch.census.change(app.gone, app.come)) == nil
}

// all returns the proposals in the order of Section 12.3.
func (l *proposalList) all() []*listed {
	return slices.Concat(l.extensions, l.updates, l.removes, l.adds, l.psks, l.externalInit, l.reinit, l.custom)
}

// orRefs returns the list as a commit of the given sender carries it, in the
// order of Section 12.3. The sender's own proposals go by value, also those that it
// has sent apart: a crash between the caching and the sending of one leaves it here
// and nowhere else, and no member could process a commit that refers to it.
func (l *proposalList) orRefs(committer message.Sender) []message.ProposalOrRef {
	out := make([]message.ProposalOrRef, 0, l.count)
	for _, p := range l.all() {
		if p.ref != nil && p.sender != committer {
			out = append(out, message.ProposalOrRef{Reference: p.ref})
		} else {
			out = append(out, message.ProposalOrRef{Proposal: p.proposal})
		}
	}
	return out
}

// applied is what the proposals of a commit make of an epoch, before the path.
type applied struct {
	editor     *tree.Editor
	extensions message.Extensions
	extended   bool
	added      []treemath.LeafIndex
	removed    []treemath.LeafIndex
	updated    []treemath.LeafIndex
	gone, come []*message.LeafNode
	psks       []message.PreSharedKeyID
	custom     []message.Proposal
	reinit     *message.ReInit
}

// apply applies a valid list in the order of RFC 9420, Section 12.3 (P18), to a
// copy of the tree. The path leaf, and the joiner of an external commit, come after.
func (e *epoch) apply(list *proposalList) *applied {
	a := &applied{editor: e.tree.Edit(), extensions: e.context.Extensions}
	for _, p := range list.extensions {
		a.extensions = p.proposal.Extensions
		a.extended = true
	}
	for _, p := range list.updates {
		i := p.sender.Leaf
		a.gone = append(a.gone, e.tree.Leaf(i))
		a.come = append(a.come, p.proposal.Update)
		a.updated = append(a.updated, i)
		a.editor.Update(i, p.proposal.Update)
	}
	for _, p := range list.removes {
		i := p.proposal.Remove
		a.gone = append(a.gone, e.tree.Leaf(i))
		a.removed = append(a.removed, i)
		a.editor.Remove(i)
	}
	for _, p := range list.adds {
		leaf := &p.proposal.Add.LeafNode
		a.come = append(a.come, leaf)
		a.added = append(a.added, a.editor.Add(leaf))
	}
	for _, p := range list.psks {
		a.psks = append(a.psks, *p.proposal.PSK)
	}
	for _, p := range list.reinit {
		a.reinit = p.proposal.ReInit
	}
	for _, p := range list.custom {
		a.custom = append(a.custom, *p.proposal)
	}
	return a
}

// cacheProposal checks a proposal that arrived apart from a commit (P1; RFC
// 9420, Section 12.1) and returns the state that holds it. Codes:
// ALREADY_PROCESSED, TOO_LARGE, and those of the rules of its type.
func (s *state) cacheProposal(ctx context.Context, c *Client, v *framing.Verified) (*state, *cachedProposal, error) {
	content := v.Content()
	ref := s.suite.ProposalRef(wire.Marshal(content))
	if s.find(ref) != nil {
		return nil, nil, mlserr.New(mlserr.AlreadyProcessed, "proposal")
	}
	if len(s.proposals) >= c.limits.MaxProposals {
		return nil, nil, mlserr.New(mlserr.TooLarge, "proposals of this epoch")
	}
	p := &listed{proposal: content.Content.Proposal, sender: content.Content.Sender, ref: ref}
	cached := &cachedProposal{ref: ref, proposal: p.proposal, sender: p.sender}
	if p.proposal.Type == message.ProposalUpdate && p.sender.Type == message.SenderMember && p.sender.Leaf == s.epoch.self() {
		made := s.madeUpdate(p.proposal.Update)
		if made == nil {
			// The private half of it is not here: another copy of this client's
			// state made it.
			return nil, nil, mlserr.New(mlserr.OwnMessageUnknown, "update")
		}
		cached.leafKey, cached.identity = made.leafKey, made.identity
	}
	if err := s.validateAlone(ctx, c, p); err != nil {
		return nil, nil, err
	}
	return s.withProposal(cached), cached, nil
}

// madeUpdate returns the cached Update of one's own that has the leaf, or nil. It
// may come back under another reference, which covers the signature: of an ECDSA
// signature everyone can make a second. The others cache it, and a commit may name it.
func (s *state) madeUpdate(leaf *message.LeafNode) *cachedProposal {
	for _, p := range s.proposals {
		if p.leafKey != nil && bytes.Equal(wire.Marshal(p.proposal.Update), wire.Marshal(leaf)) {
			return p
		}
	}
	return nil
}

// withProposal returns the state with one more cached proposal.
func (s *state) withProposal(p *cachedProposal) *state {
	next := *s
	next.proposals = append(s.proposals[:len(s.proposals):len(s.proposals)], p)
	return &next
}

// withOwnProposal is withProposal for one of one's own. To propose the same again
// in an epoch may give the same reference, for EdDSA signs the same in the same
// way: that is one proposal, which is no longer set aside if it was.
func (s *state) withOwnProposal(p *cachedProposal) *state {
	i := slices.IndexFunc(s.proposals, func(q *cachedProposal) bool { return bytes.Equal(q.ref, p.ref) })
	if i < 0 {
		return s.withProposal(p)
	}
	next := *s
	next.proposals = slices.Clone(s.proposals)
	next.proposals[i] = p
	return &next
}

// info describes a cached proposal for the application.
func (p *cachedProposal) info() *ProposalInfo {
	return &ProposalInfo{Reference: p.ref, Proposal: p.proposal, Sender: p.sender, Message: bytes.Clone(p.message)}
}

// pskSecrets finds the keys of a list of PSKs (C3; RFC 9420, Section 12.4.2).
// Code: PSK_UNKNOWN.
func (c *Client) pskSecrets(ctx context.Context, s *state, ids []message.PreSharedKeyID) ([][]byte, error) {
	secrets := make([][]byte, len(ids))
	finder := c.pskFinder(s)
	for i := range ids {
		secret, err := finder.find(ctx, &ids[i])
		if err != nil {
			return nil, err
		}
		secrets[i] = secret
	}
	return secrets, nil
}

// pskFinder finds the keys of PSKs for one operation. It loads another group
// once, however often members name it.
type pskFinder struct {
	client *Client
	state  *state // the group at hand, or nil
	others map[string]peeked
}

type peeked struct {
	state *state
	err   error
}

func (c *Client) pskFinder(s *state) *pskFinder {
	return &pskFinder{client: c, state: s, others: make(map[string]peeked)}
}

func (f *pskFinder) other(ctx context.Context, id []byte) (*state, error) {
	p, ok := f.others[string(id)]
	if !ok {
		p.state, p.err = f.client.peek(ctx, id)
		f.others[string(id)] = p
	}
	return p.state, p.err
}

// find returns the key of one PSK, which stays the finder's. Code: PSK_UNKNOWN.
func (f *pskFinder) find(ctx context.Context, id *message.PreSharedKeyID) ([]byte, error) {
	if id.Type == message.PSKExternal {
		return f.client.externalPSK(ctx, id.ID)
	}
	s := f.state
	// A reinit or branch PSK is of the group before this one, also where a
	// reinitialized group keeps its id.
	if s == nil || id.Usage != message.ResumptionApplication || !bytes.Equal(id.GroupID, s.groupID) {
		var err error
		if s, err = f.other(ctx, id.GroupID); err != nil {
			return nil, mlserr.Wrap(mlserr.PSKUnknown, "C3: resumption PSK of another group", err)
		}
	}
	if secret := s.resumptionSecret(id.Epoch); secret != nil {
		return secret, nil
	}
	return nil, mlserr.New(mlserr.PSKUnknown, "C3: resumption PSK")
}

// resumptionSecret returns the resumption PSK of an epoch, or nil.
func (s *state) resumptionSecret(epoch uint64) []byte {
	if s.epoch != nil && s.epoch.context.Epoch == epoch {
		return s.epoch.secrets.ResumptionPSK
	}
	for _, r := range s.resumption {
		if r.epoch == epoch {
			return r.secret
		}
	}
	return nil
}

// newPSKID returns an id with a fresh nonce (RFC 9420, Section 8.4).
func newPSKID(s *suite.Suite, id message.PreSharedKeyID) *message.PreSharedKeyID {
	id.Nonce = suite.Random(s.HashSize())
	return &id
}
