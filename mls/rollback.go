package mls

import (
	"bytes"

	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// A store that was restored from a backup, or cloned, goes on from a state that
// is older than what was sent: it would seal again under generations that are
// spent (S12). What shows it is content of the own leaf that verifies and that
// this client has not signed: nobody else has the key to sign it. From then on
// nothing is sent in the group but what gives this client fresh keys, a commit
// with a path or an external commit; the epoch that it begins is one that the
// former life of the state cannot have sent in.
//
// The content is what counts, not the message. Every member has all ratchets of
// the epoch and its membership key, and so can put what another has signed into
// a new message, under any generation; and of an ECDSA signature everyone can make
// a second. Were such a message a proof, one member could have another believe in
// every epoch that its state was restored.

// restoredJump is how many generations of the own handshake ratchet are given up
// in an epoch in which a former life of this state may have sent: more than
// anyone sends of handshake messages in one epoch, and less than what receivers
// follow.
const restoredJump = 64

// judgeOwn judges verified content of the own leaf in a message that is not in
// the log of what was sent. groupContext is the encoded context of its epoch. An
// outcome with STATE_ROLLED_BACK in it is for content that a former life of this
// state must have signed. Codes: ALREADY_PROCESSED for application data that this
// client has signed. OWN_MESSAGE_UNKNOWN where the log does not go back to the
// begin of the epoch, or a crash may have cost it this content: it may be any of
// what was sent then, which proves nothing, and would be said twice if it were
// delivered. When all are nil, it is to be
// judged by what it says: a proposal by its reference, and a commit is refused (C15).
func (l *live) judgeOwn(v *framing.Verified, groupContext []byte) (*outcome, error) {
	s := l.state
	content := v.Content()
	c := &content.Content
	if l.sent.has(digestOf(s.suite, v.Signed())) {
		if c.ContentType == message.ContentTypeApplication {
			return nil, mlserr.New(mlserr.AlreadyProcessed, "content of one's own in another message")
		}
		return nil, nil
	}
	if c.ContentType == message.ContentTypeProposal && s.find(s.suite.ProposalRef(wire.Marshal(content))) != nil {
		return nil, nil
	}
	if !l.sent.has(sentSince(s.suite, groupContext)) {
		return nil, mlserr.New(mlserr.OwnMessageUnknown, "the log of what was sent begins later")
	}
	if s.restored || c.Epoch < s.freshSince {
		return nil, nil
	}
	found := sentFound(s.suite, groupContext)
	if c.ContentType == message.ContentTypeApplication && l.sent.times(found) < l.sent.times(sentLacks(s.suite, groupContext)) {
		next := *s
		return &outcome{
			next: &next,
			sent: [][]byte{digestOf(s.suite, v.Signed()), found},
			fail: mlserr.New(mlserr.OwnMessageUnknown, "it may have been sent just before a crash"),
		}, nil
	}
	return s.rolledBack(mlserr.New(mlserr.RolledBack, "S12: content of the own leaf that this client has not signed"))
}

// rolledBack is the outcome of a message that shows that the state was restored:
// the message is refused, and the state knows from now on.
func (s *state) rolledBack(reason error) (*outcome, error) {
	next := *s
	next.restored = true
	out := &outcome{next: &next, fail: reason}
	e := s.epoch
	draft := e.ratchets.Draft()
	position, err := draft.Position(e.self(), schedule.Handshake)
	if err != nil {
		return nil, err
	}
	if err := draft.SkipTo(e.self(), schedule.Handshake, position+restoredJump); err != nil {
		return nil, err
	}
	out.drafts = []ratchetDraft{{epoch: e.context.Epoch, draft: draft}}
	return out, nil
}

// sentLacks is in the log of what was sent, for an epoch, as often as a crash may
// have cost it a message: it stands in the store for each generation that is reserved
// (reserve.go), and is found there by who loads a group whose tenure did not end.
// sentFound is there for each content that was found and that may be one of those.
// When as many were found as may be missing, the next one is a proof again: what
// was signed is the same in whatever message a member puts it.
func sentLacks(s *suite.Suite, groupContext []byte) []byte {
	return sentMark(s, "WebMLS sent lacks", groupContext)
}

func sentFound(s *suite.Suite, groupContext []byte) []byte {
	return sentMark(s, "WebMLS sent found", groupContext)
}

func sentMark(s *suite.Suite, what string, groupContext []byte) []byte {
	return s.Hash([]byte(what), groupContext)[:digestSize]
}

// sentSince is the mark of an epoch in the log of what was sent. It is put there
// when the epoch begins: while the log has it, it has all that was signed in the
// epoch. A log that a version without marks has written proves nothing before the
// next epoch.
func sentSince(s *suite.Suite, groupContext []byte) []byte {
	return sentMark(s, "WebMLS sent since", groupContext)
}

// isPending reports whether own content is that of the pending commit, though in
// another message: others who take it come to the epoch that it leads to. The
// transcript covers all of the content and the signature (RFC 9420, Section 8.2),
// and the confirmation tag the transcript (C15).
func (s *state) isPending(content *message.AuthenticatedContent) bool {
	p := s.pending
	if p == nil || p.next.external || content.Content.ContentType != message.ContentTypeCommit {
		return false
	}
	next := p.next.epoch
	transcript := schedule.ConfirmedTranscriptHash(s.suite, s.epoch.interim, content)
	return bytes.Equal(transcript, next.context.ConfirmedTranscriptHash) &&
		next.secrets.VerifyConfirmationTag(s.suite, transcript, content.Auth.ConfirmationTag)
}

// mayUseKeys: no former life of this state may have used them (S12).
func (s *state) mayUseKeys() error {
	if s.restored {
		return mlserr.New(mlserr.RolledBack, "S12: commit with a path first")
	}
	return nil
}

// refreshed reports whether a commit of one's own brings keys of one's own that
// no former life of the state has.
func (st *staged) refreshed(old *epoch) bool {
	return st.own && (old == nil || st.external || !bytes.Equal(st.epoch.private.Leaf.Public(), old.private.Leaf.Public()))
}
