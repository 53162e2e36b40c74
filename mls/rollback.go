package mls

import (
	"bytes"
	"slices"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/wire"
)

// A store that was restored from a backup, or cloned, goes on from a state that
// is older than what was sent: it would seal again under generations that are
// spent (S12). What shows it is a message of the own leaf that verifies and that
// this client has not sent: nobody else has the key to sign it. From then on
// nothing is sent in the group but what gives this client fresh keys, a commit
// with a path or an external commit; the epoch that it begins is one that the
// former life of the state cannot have sent in.

// restoredJump is how many generations of the own handshake ratchet are given up
// in an epoch in which a former life of this state may have sent: more than
// anyone sends of handshake messages in one epoch, and less than what receivers
// follow.
const restoredJump = 64

// maxCleared is how many digests of cleared commits of one epoch are kept. With
// more, a commit that is not known proves nothing.
const maxCleared = 64

// notSent judges a verified message of the own leaf that is not in the log of
// what was sent. Code: STATE_ROLLED_BACK when a former life of this state must
// have sent it; nil when it is to be judged by its content. A PrivateMessage that
// opened is under a generation that this client has not used; a PublicMessage has
// no generation, but proposals and cleared commits of the epoch are known.
func (s *state) notSent(content *message.AuthenticatedContent, r *incoming) error {
	c := &content.Content
	if s.restored || c.Epoch < s.freshSince {
		return nil
	}
	if content.WireFormat == message.WireFormatPublicMessage {
		switch c.ContentType {
		case message.ContentTypeCommit:
			if len(s.cleared) >= maxCleared || slices.ContainsFunc(s.cleared, func(d []byte) bool { return bytes.Equal(d, r.digest) }) {
				return nil
			}
		case message.ContentTypeProposal:
			if s.find(s.suite.ProposalRef(wire.Marshal(content))) != nil {
				return nil
			}
		}
	}
	return mlserr.New(mlserr.RolledBack, "S12: a message of the own leaf that this client has not sent")
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

// withCleared returns the digests of cleared commits with one more.
func (s *state) withCleared(p *pendingCommit) [][]byte {
	if len(s.cleared) >= maxCleared {
		return s.cleared
	}
	return append(slices.Clip(s.cleared), p.digest)
}
