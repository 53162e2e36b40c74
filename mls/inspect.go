package mls

import (
	"bytes"
	"context"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

// WelcomeInfo is what a Welcome says before it is joined. Nothing of it is
// authenticated beyond that its sender knew the key package.
type WelcomeInfo struct {
	CipherSuite suite.ID
	GroupID     []byte
	Epoch       uint64
	Extensions  message.Extensions // of the group context
	Identity    []byte             // which identity of this client it is for
	PSKs        []message.PreSharedKeyID
	HasTree     bool    // else JoinOptions.RatchetTree is needed
	MemberCount int     // with the joiner; 0 without a tree
	Signer      *Member // who says so; nil without a tree
}

// InspectWelcome opens a Welcome far enough to say what it is for, at the cost
// of one decryption, and changes nothing. Codes: NO_MATCHING_KEY_PACKAGE,
// PSK_UNKNOWN, and those of a Welcome that does not open.
func (c *Client) InspectWelcome(ctx context.Context, welcome []byte) (info *WelcomeInfo, err error) {
	defer atOp(&err, "inspectWelcome")
	j, _, err := c.openWelcome(ctx, welcome)
	if err != nil {
		return nil, err
	}
	defer j.wipe()
	group := &j.info.GroupContext
	info = &WelcomeInfo{
		CipherSuite: j.suite.ID(),
		GroupID:     group.GroupID,
		Epoch:       group.Epoch,
		Extensions:  group.Extensions,
		Identity:    bytes.Clone(j.own.identity),
		PSKs:        j.secrets.PSKs,
	}
	nodes, ok, err := j.info.Extensions.RatchetTree()
	if err != nil || !ok {
		return info, err
	}
	info.HasTree = true
	for i := 0; i < len(nodes); i += 2 {
		if nodes[i].Leaf != nil {
			info.MemberCount++
		}
	}
	if i := 2 * uint64(j.info.Signer); i < uint64(len(nodes)) && nodes[i].Leaf != nil {
		info.Signer = &Member{
			Leaf:         j.info.Signer,
			Credential:   nodes[i].Leaf.Credential,
			SignatureKey: nodes[i].Leaf.SignatureKey,
		}
	}
	return info, nil
}

// openWelcome decodes a Welcome and opens what it has for this client (W1 to W3).
func (c *Client) openWelcome(ctx context.Context, welcome []byte) (*joining, *message.EncryptedGroupSecrets, error) {
	if len(welcome) > c.limits.MaxMessage {
		return nil, nil, mlserr.New(mlserr.TooLarge, "welcome")
	}
	m, err := message.Parse(bytes.Clone(welcome))
	if err != nil {
		return nil, nil, err
	}
	if m.WireFormat != message.WireFormatWelcome {
		return nil, nil, mlserr.New(mlserr.WrongWireFormat, "not a welcome")
	}
	w := m.Welcome
	s, err := c.suite(w.CipherSuite)
	if err != nil {
		return nil, nil, err
	}
	j, entry, err := c.openSecrets(ctx, s, w)
	if mlserr.CodeOf(err) == mlserr.KeyNotFound && c.reload(ctx) == nil {
		// Another instance may have consumed the key package, and its key with it.
		j, entry, err = c.openSecrets(ctx, s, w)
	}
	return j, entry, err
}

// openSecrets opens a Welcome by the key package that it has an entry for.
func (c *Client) openSecrets(ctx context.Context, s *suite.Suite, w *message.Welcome) (*joining, *message.EncryptedGroupSecrets, error) {
	own, entry, err := c.findKeyPackage(ctx, w)
	if err != nil {
		return nil, nil, err
	}
	j := &joining{client: c, suite: s, own: own}
	if own.suite != s {
		j.wipe()
		return nil, nil, mlserr.New(mlserr.KeyPackageMismatch, "W6: cipher suite")
	}
	if err := j.open(ctx, w, entry); err != nil {
		j.wipe()
		return nil, nil, err
	}
	return j, entry, nil
}
