package mls

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// SendOptions are options of Group.Send and Group.SendAll.
type SendOptions struct {
	AuthenticatedData []byte // readable by all, changeable by none
	// PaddingBlock, where it is not 0, is that of Limits for these messages: the
	// data is padded to a multiple of this many bytes; -1 for no padding.
	PaddingBlock int
}

// Send encrypts application data to the group (RFC 9420, Section 15). The
// generation that it uses is stored before the result is released. What is sent
// while another call has the group's turn is stored in one batch. Codes:
// NOT_A_MEMBER, GROUP_READ_ONLY, PENDING_PROPOSALS (C17), STATE_ROLLED_BACK,
// GENERATIONS_SPENT, and those of the store.
func (g *Group) Send(ctx context.Context, data []byte, opts SendOptions) (sealed []byte, err error) {
	defer atOp(&err, "group.send")
	list, err := g.send(ctx, [][]byte{data}, opts)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// maySend: an active member, and no proposals wait (C17; RFC 9420, Section 12.4).
func (s *state) maySend() error {
	if err := s.mustBeMember(); err != nil {
		return err
	}
	if s.status == StatusReadOnly {
		return mlserr.New(mlserr.GroupReadOnly, "")
	}
	if len(s.waiting()) > 0 {
		return mlserr.New(mlserr.PendingProposals, "C17")
	}
	return s.mayUseKeys()
}

// padding returns how many zero bytes hide the length of n bytes of data.
func padding(n, block int) int {
	if block == 0 {
		return 0
	}
	return (block - n%block) % block
}

// ProposeOptions says what to propose: exactly one of Add, Remove, Update, PSK,
// Extensions, ReInit and Custom.
type ProposeOptions struct {
	Add        []byte // an MLSMessage with a key package
	Remove     *treemath.LeafIndex
	Update     bool
	PSK        *message.PreSharedKeyID // without a nonce
	Extensions *message.Extensions
	ReInit     *message.ReInit
	Custom     *message.Proposal

	// Identity, with Update, is the identity that this client has in the group
	// once the Update is committed; LeafExtensions and RenewCapabilities are what
	// they are in CommitOptions.
	Identity          []byte
	LeafExtensions    *message.Extensions
	RenewCapabilities bool
	PublicMessage     bool
	AuthenticatedData []byte
}

// ProposalResult is a proposal to send to the group.
type ProposalResult struct {
	Message   []byte // an MLSMessage
	Reference []byte // its ProposalRef, KDF.Nh bytes
}

// Propose creates a proposal and caches it, as the other members will (RFC
// 9420, Section 12.1). Proposals lists it with its message, so that it can be
// sent again after a crash. Codes: those of Commit, without PENDING_COMMIT.
func (g *Group) Propose(ctx context.Context, opts ProposeOptions) (result *ProposalResult, err error) {
	defer atOp(&err, "group.propose")
	err = g.transact(ctx, func(l *live) (*outcome, error) {
		s, c := l.state, g.client
		if err := s.mustBeMember(); err != nil {
			return nil, err
		}
		if s.status == StatusReadOnly {
			return nil, mlserr.New(mlserr.GroupReadOnly, "")
		}
		if len(s.proposals) >= c.limits.MaxProposals {
			return nil, mlserr.New(mlserr.TooLarge, "proposals of this epoch")
		}
		cached, err := s.newProposal(ctx, c, &opts)
		if err != nil {
			return nil, err
		}
		cached.sender = message.Sender{Type: message.SenderMember, Leaf: s.epoch.self()}
		if err := s.validateAlone(ctx, c, &listed{proposal: cached.proposal, sender: cached.sender}); err != nil {
			return nil, err
		}
		format := message.WireFormatPrivateMessage
		if opts.PublicMessage {
			format = message.WireFormatPublicMessage
		} else if err := s.mayUseKeys(); err != nil {
			return nil, err
		}
		content, signed, err := framing.Sign(ctx, s.suite, format, message.FramedContent{
			GroupID:           s.groupID,
			Epoch:             s.epoch.context.Epoch,
			Sender:            cached.sender,
			AuthenticatedData: opts.AuthenticatedData,
			ContentType:       message.ContentTypeProposal,
			Proposal:          cached.proposal,
		}, s.epoch.identity.key, s.epoch.context)
		if err != nil {
			return nil, err
		}
		cached.ref = s.suite.ProposalRef(wire.Marshal(content))
		out := new(outcome)
		b, err := s.protectHandshake(content, out)
		if err != nil {
			return nil, err
		}
		cached.message = bytes.Clone(b)
		out.next = s.withOwnProposal(cached)
		out.sent = [][]byte{digestOf(s.suite, b), digestOf(s.suite, signed)}
		result = &ProposalResult{Message: b, Reference: bytes.Clone(cached.ref)}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// DropProposal sets a cached proposal aside: no commit of this client takes it
// along, and it holds up no message. Should another member commit it all the
// same, that commit is processed. Code: PROPOSAL_UNKNOWN when it is not cached.
func (g *Group) DropProposal(ctx context.Context, reference []byte) (err error) {
	defer atOp(&err, "group.dropProposal")
	return g.transact(ctx, func(l *live) (*outcome, error) {
		if err := l.exists(); err != nil {
			return nil, err
		}
		next := *l.state
		next.proposals = slices.Clone(l.state.proposals)
		for i, p := range next.proposals {
			if bytes.Equal(p.ref, reference) && !p.dropped {
				dropped := *p
				dropped.dropped = true
				dropped.record = nil
				next.proposals[i] = &dropped
				return &outcome{next: &next}, nil
			}
		}
		return nil, mlserr.New(mlserr.ProposalUnknown, "")
	})
}

// newProposal builds what the options ask for.
func (s *state) newProposal(ctx context.Context, c *Client, opts *ProposeOptions) (*cachedProposal, error) {
	var list []*cachedProposal
	add := func(p *message.Proposal) { list = append(list, &cachedProposal{proposal: p}) }
	if opts.Add != nil {
		kp, err := parseKeyPackage(opts.Add)
		if err != nil {
			return nil, err
		}
		add(&message.Proposal{Type: message.ProposalAdd, Add: kp})
	}
	if opts.Remove != nil {
		add(&message.Proposal{Type: message.ProposalRemove, Remove: *opts.Remove})
	}
	if opts.PSK != nil {
		add(&message.Proposal{Type: message.ProposalPSK, PSK: newPSKID(s.suite, *opts.PSK)})
	}
	if opts.Extensions != nil {
		add(&message.Proposal{Type: message.ProposalGroupContextExtensions, Extensions: *opts.Extensions})
	}
	if opts.ReInit != nil {
		add(&message.Proposal{Type: message.ProposalReInit, ReInit: opts.ReInit})
	}
	if opts.Custom != nil {
		if opts.Custom.Type.IsDefault() {
			return nil, mlserr.New(mlserr.InvalidArgument, "custom proposal of a default type")
		}
		add(opts.Custom)
	}
	if opts.Update {
		p, err := s.newUpdate(ctx, c, opts)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if len(list) != 1 {
		return nil, mlserr.New(mlserr.InvalidArgument, "exactly one thing to propose")
	}
	return list[0], nil
}

// newUpdate makes an Update proposal with a fresh leaf key (RFC 9420, Section 12.1.2).
func (s *state) newUpdate(ctx context.Context, c *Client, opts *ProposeOptions) (*cachedProposal, error) {
	e := s.epoch
	identity := e.identity
	if len(opts.Identity) > 0 {
		var err error
		if identity, err = c.Identity(ctx, opts.Identity); err != nil {
			return nil, err
		}
		if identity.suite != s.suite {
			return nil, mlserr.New(mlserr.InvalidArgument, "identity of another cipher suite")
		}
	}
	leafKey, err := c.keys.GenerateHPKEKey(ctx, s.suite.ID())
	if err != nil {
		return nil, err
	}
	leaf := c.newLeaf(identity, e.tree.Leaf(e.self()))
	if err := c.reviseLeaf(&leaf, opts.LeafExtensions, opts.RenewCapabilities); err != nil {
		return nil, err
	}
	leaf.Source = message.LeafNodeSourceUpdate
	leaf.EncryptionKey = leafKey.Public()
	if err := leaf.Sign(ctx, s.suite, identity.key, s.groupID, e.self()); err != nil {
		return nil, err
	}
	return &cachedProposal{
		proposal: &message.Proposal{Type: message.ProposalUpdate, Update: &leaf},
		leafKey:  leafKey,
		identity: identity,
	}, nil
}

// Receive processes one message of the group, whatever it is. What it changes
// is stored before it returns; application data stays in the inbox until it is
// acknowledged. A message that breaks a rule changes nothing.
//
// Codes: MALFORMED and the like for bytes that are no message; WRONG_GROUP;
// EPOCH_AHEAD (catch up first; nothing about the message was verified, so
// this is a hint); EPOCH_BEHIND; ALREADY_PROCESSED; PROPOSAL_UNKNOWN (fetch
// the proposal, then receive the commit again); and the code of the rule that
// a message breaks.
func (g *Group) Receive(ctx context.Context, b []byte) (ev *Event, err error) {
	defer atOp(&err, "group.receive")
	defer func() {
		if err != nil {
			g.rejected.note(b, err, g.client.now())
		}
	}()
	r, err := g.parse(b)
	if err != nil {
		return nil, err
	}
	if r.contentType == message.ContentTypeApplication {
		p := &place{receiving: &receiving{message: b, in: r}}
		if err := g.together(ctx, p, g.receiveTogether); err != nil {
			return nil, err
		}
		return p.receiving.event, nil
	}
	err = g.transact(ctx, func(l *live) (out *outcome, err error) {
		if err := l.exists(); err != nil {
			return nil, err
		}
		r.digest = digestOf(l.state.suite, b)
		ev, out, err = l.receive(ctx, g.client, r)
		return out, err
	})
	if err != nil {
		return nil, err
	}
	return ev, nil
}

// incoming is a decoded message on its way in.
type incoming struct {
	message     *message.MLSMessage
	epoch       uint64
	contentType message.ContentType
	digest      []byte
	// batch is what the messages before it in one batch come to; nil for a
	// message by itself.
	batch *outcome
}

// parse decodes a message of this group. Codes: TOO_LARGE, MALFORMED and the
// like, WRONG_WIRE_FORMAT, WRONG_GROUP.
func (g *Group) parse(b []byte) (*incoming, error) {
	if len(b) > g.client.limits.MaxMessage {
		return nil, mlserr.New(mlserr.TooLarge, "message")
	}
	m, err := message.Parse(bytes.Clone(b))
	if err != nil {
		return nil, err
	}
	r := &incoming{message: m}
	var groupID []byte
	switch m.WireFormat {
	case message.WireFormatPublicMessage:
		c := &m.Public.Content
		groupID, r.epoch, r.contentType = c.GroupID, c.Epoch, c.ContentType
	case message.WireFormatPrivateMessage:
		groupID, r.epoch, r.contentType = m.Private.GroupID, m.Private.Epoch, m.Private.ContentType
	default:
		return nil, mlserr.New(mlserr.WrongWireFormat, "not a message of a group")
	}
	if !bytes.Equal(groupID, g.id) {
		return nil, mlserr.New(mlserr.WrongGroup, "F1, S11")
	}
	return r, nil
}

// draft returns a draft of the secret tree of an epoch, on top of what the batch
// has taken from it.
func (r *incoming) draft(epoch uint64, t *schedule.SecretTree) *schedule.Draft {
	if r.batch != nil {
		for _, d := range r.batch.drafts {
			if d.epoch == epoch {
				return d.draft.Fork()
			}
		}
	}
	return t.Draft()
}

// receive finds out what a message is for and hands it on. A commit of this
// client's own that comes back is applied, once (S23). An epoch that is not this one
// is refused unseen: it is a hint, and must make nobody reset a group (C1, F2, S21).
func (l *live) receive(ctx context.Context, c *Client, r *incoming) (*Event, *outcome, error) {
	s := l.state
	if s.pending != nil && bytes.Equal(s.pending.digest, r.digest) {
		ev, out := s.applyPending(c)
		return ev, out, nil
	}
	if l.sent.has(r.digest) {
		ev := &Event{Type: EventOwn, GroupID: s.groupID, Epoch: r.epoch}
		if e := s.epoch; e != nil && e.context.Epoch == r.epoch {
			ev.Sender = e.member(e.self())
		}
		return ev, nil, nil
	}
	for _, digest := range s.processed {
		if bytes.Equal(digest, r.digest) {
			return nil, nil, mlserr.New(mlserr.AlreadyProcessed, "commit")
		}
	}
	if s.status == StatusJoining {
		// Members may send in the epoch that the pending commit begins before
		// its sender knows that it was accepted: that is early, and all else late.
		if r.epoch >= s.pending.next.epoch.context.Epoch {
			return nil, nil, mlserr.New(mlserr.EpochAhead, "F2: joining")
		}
		return nil, nil, mlserr.New(mlserr.EpochBehind, "F2: joining")
	}
	if err := s.mustBeMember(); err != nil {
		return nil, nil, err
	}
	switch now := s.epoch.context.Epoch; {
	case r.epoch > now:
		return nil, nil, mlserr.New(mlserr.EpochAhead, "F2")
	case r.epoch < now && r.contentType == message.ContentTypeApplication:
		return l.receiveLate(ctx, c, r)
	case r.epoch < now:
		return nil, nil, mlserr.New(mlserr.EpochBehind, "F2")
	}
	return l.receiveNow(ctx, c, r)
}

// receiveNow handles a message of the current epoch.
func (l *live) receiveNow(ctx context.Context, c *Client, r *incoming) (*Event, *outcome, error) {
	s := l.state
	e := s.epoch
	out := new(outcome)
	u, err := e.unprotect(r, out)
	if err != nil {
		return nil, nil, err
	}
	publicKey, err := e.senderKey(u)
	if err != nil {
		return nil, nil, err
	}
	v, err := u.Verify(ctx, c.keys, s.suite, publicKey, e.context)
	if err != nil {
		return nil, nil, err
	}
	content := &v.Content().Content
	ev := &Event{GroupID: s.groupID, Epoch: r.epoch, AuthenticatedData: content.AuthenticatedData}
	if content.Sender.Type == message.SenderMember {
		ev.Sender = e.member(content.Sender.Leaf)
		if ev.Sender.Own {
			if s.isPending(v.Content()) {
				ev, applied := s.applyPending(c)
				applied.drafts = out.drafts
				return ev, applied, nil
			}
			if out, err := l.judgeOwn(v, e.contextBytes); out != nil || err != nil {
				return nil, out, err
			}
		}
	}
	switch content.ContentType {
	case message.ContentTypeApplication:
		ev.Type = EventApplication
		ev.Content = content.ApplicationData
		out.deliver = []*Event{ev}
	case message.ContentTypeProposal:
		if s.status == StatusReadOnly {
			return nil, nil, mlserr.New(mlserr.GroupReadOnly, "C12")
		}
		next, cached, err := s.cacheProposal(ctx, c, v)
		if err != nil {
			return nil, nil, err
		}
		ev.Type = EventProposal
		ev.Proposal = cached.info()
		out.next = next
	case message.ContentTypeCommit:
		if s.status == StatusReadOnly {
			return nil, nil, mlserr.New(mlserr.GroupReadOnly, "C12")
		}
		if err := s.receiveCommit(ctx, c, v, r, ev, out); err != nil {
			return nil, nil, err
		}
	}
	return ev, out, nil
}

// receiveCommit processes a commit and applies it.
func (s *state) receiveCommit(ctx context.Context, c *Client, v *framing.Verified, r *incoming, ev *Event, out *outcome) error {
	st, err := s.processCommit(ctx, c, v)
	if err != nil {
		return err
	}
	ev.Epoch = r.epoch + 1
	if st == nil {
		ev.Type = EventRemoved
		ev.Update = &UpdateInfo{Committer: ev.Sender, External: ev.Sender == nil}
		out.next, out.wipe = s.removedState(r.digest)
		out.drafts = nil // their ratchets are gone
		return nil
	}
	ev.Type = EventGroupUpdate
	ev.Update = st.updateInfo(s.epoch)
	ev.Sender = ev.Update.Committer
	var drop []func()
	out.check = st.check
	out.next, drop = s.advance(st, r.digest, &c.limits, c.now().Unix())
	if s.pending != nil {
		drop = append(drop, s.pending.next.epoch.wipe)
	}
	out.wipe = append(out.wipe, drop...)
	return nil
}

// unprotect opens a message of the current epoch; the ratchet step that a
// PrivateMessage takes is in out.
func (e *epoch) unprotect(r *incoming, out *outcome) (*framing.Unverified, error) {
	m := r.message
	if m.WireFormat == message.WireFormatPublicMessage {
		u, err := framing.UnprotectPublic(e.suite, m.Public, e.secrets.MembershipKey, e.context)
		if err != nil {
			return nil, err
		}
		return u, nil
	}
	draft := r.draft(e.context.Epoch, e.ratchets)
	own := false
	u, err := framing.UnprotectPrivate(e.suite, m.Private, draft, e.secrets.SenderDataSecret, func(i treemath.LeafIndex) bool {
		own = i == e.self()
		return e.tree.Leaf(i) != nil
	})
	if own && m.Private.ContentType == message.ContentTypeCommit && errors.Is(err, mlserr.AlreadyProcessed) {
		// It was made here and cleared. It is no duplicate: when it wins the
		// epoch, this client has lost touch with the group.
		return nil, mlserr.Wrap(mlserr.OwnMessageUnknown, "C15", err)
	}
	if err != nil {
		return nil, err
	}
	out.drafts = append(out.drafts, ratchetDraft{epoch: e.context.Epoch, draft: draft})
	return u, nil
}

// senderKey returns the key that the signature is checked with (F3, F8, F9,
// F10; RFC 9420, Section 6.1).
func (e *epoch) senderKey(u *framing.Unverified) ([]byte, error) {
	switch sender := u.Sender(); sender.Type {
	case message.SenderMember:
		leaf := e.tree.Leaf(sender.Leaf)
		if leaf == nil {
			return nil, mlserr.New(mlserr.InvalidSender, "F3")
		}
		return leaf.SignatureKey, nil
	case message.SenderExternal:
		senders, err := e.context.Extensions.ExternalSenders()
		if err != nil {
			return nil, err
		}
		if uint64(sender.Index) >= uint64(len(senders)) {
			return nil, mlserr.New(mlserr.InvalidSender, "F9: external sender index")
		}
		return senders[sender.Index].SignatureKey, nil
	default:
		leaf := u.EmbeddedLeaf()
		if leaf == nil {
			return nil, mlserr.New(mlserr.PathMissing, "E5")
		}
		return leaf.SignatureKey, nil
	}
}

// receiveLate opens an application message of a retained past epoch (F2), by the
// members of that epoch (S10).
func (l *live) receiveLate(ctx context.Context, c *Client, r *incoming) (*Event, *outcome, error) {
	s := l.state
	k := -1
	for i, p := range s.past {
		if p.context.Epoch == r.epoch {
			k = i
		}
	}
	if k < 0 || s.past[k].ended < c.limits.oldestPast(c.now().Unix()) {
		return nil, nil, mlserr.New(mlserr.EpochBehind, "F2: not retained")
	}
	if r.message.WireFormat != message.WireFormatPrivateMessage {
		return nil, nil, mlserr.New(mlserr.WrongWireFormat, "F4")
	}
	p := s.past[k]
	draft := r.draft(r.epoch, p.ratchets)
	u, err := framing.UnprotectPrivate(s.suite, r.message.Private, draft, p.senderDataSecret, func(i treemath.LeafIndex) bool {
		return s.memberAt(k, i) != nil
	})
	if err != nil {
		return nil, nil, err
	}
	sender := s.memberAt(k, u.Sender().Leaf)
	v, err := u.Verify(ctx, c.keys, s.suite, sender.SignatureKey, p.context)
	if err != nil {
		return nil, nil, err
	}
	if sender.Leaf == p.self {
		if out, err := l.judgeOwn(v, wire.Marshal(p.context)); out != nil || err != nil {
			return nil, out, err
		}
	}
	content := &v.Content().Content
	ev := &Event{
		Type:              EventApplication,
		GroupID:           s.groupID,
		Epoch:             r.epoch,
		Sender:            &Member{Leaf: sender.Leaf, Credential: sender.Credential, SignatureKey: sender.SignatureKey, Own: sender.Leaf == p.self},
		AuthenticatedData: content.AuthenticatedData,
		Content:           content.ApplicationData,
	}
	return ev, &outcome{
		drafts:  []ratchetDraft{{epoch: r.epoch, draft: draft}},
		deliver: []*Event{ev},
	}, nil
}
