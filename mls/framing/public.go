package framing

import (
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// ProtectPublic returns signed content as a PublicMessage, with a membership
// tag, KDF.Nh bytes, where the sender is a member (RFC 9420, Section 6.2). c is
// what Sign returned for WireFormatPublicMessage, which has refused application
// data, and has its confirmation tag by now where it is a Commit. group is the
// context of the epoch in which it is sent. membershipKey is not used for other
// senders.
func ProtectPublic(s *suite.Suite, c *message.AuthenticatedContent, membershipKey []byte, group *message.GroupContext) *message.PublicMessage {
	m := &message.PublicMessage{Content: c.Content, Auth: c.Auth}
	if c.Content.Sender.Type == message.SenderMember {
		m.MembershipTag = s.MAC(membershipKey, c.TBM(group))
	}
	return m
}

// UnprotectPublic checks what can be checked of a PublicMessage before the
// signature: sender and content (F4, F9-F12), the confirmation tag's presence
// (F7) and the membership tag (F6; RFC 9420, Section 6.2). group is the context of
// the epoch in which it was sent. The result aliases m. Codes: WRONG_WIRE_FORMAT,
// SENDER_NOT_ALLOWED, CONTENT_TYPE_INVALID, CONFIRMATION_TAG_INVALID,
// MEMBERSHIP_TAG_INVALID.
func UnprotectPublic(s *suite.Suite, m *message.PublicMessage, membershipKey []byte, group *message.GroupContext) (*Unverified, error) {
	c := m.Authenticated()
	if err := checkSender(message.WireFormatPublicMessage, &c.Content); err != nil {
		return nil, err
	}
	if err := checkAuthData(s, c); err != nil {
		return nil, err
	}
	if c.Content.Sender.Type != message.SenderMember {
		if len(m.MembershipTag) != 0 {
			return nil, mlserr.New(mlserr.MembershipTag, "F6: sender is no member")
		}
		return &Unverified{c}, nil
	}
	if !s.VerifyMAC(membershipKey, m.MembershipTag, c.TBM(group)) {
		return nil, mlserr.New(mlserr.MembershipTag, "F6")
	}
	return &Unverified{c}, nil
}
