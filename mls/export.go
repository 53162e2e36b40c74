package mls

import (
	"bytes"
	"context"

	"webmls/mls/message"
	"webmls/mls/wire"
)

// Export derives a secret of length bytes from the epoch (RFC 9420, Section
// 8.5). All members get the same for the same label and context. Codes:
// NOT_A_MEMBER, INVALID_ARGUMENT.
func (g *Group) Export(ctx context.Context, label string, context []byte, length int) (secret []byte, err error) {
	defer atOp(&err, "group.exportSecret")
	err = g.viewMember(ctx, func(s *state) (err error) {
		secret, err = s.epoch.secrets.Export(s.suite, label, context, length)
		return err
	})
	return secret, err
}

// RatchetTree returns the tree as the ratchet_tree extension holds it, for
// joiners that get it apart (RFC 9420, Section 12.4.3.3).
func (g *Group) RatchetTree(ctx context.Context) (nodes []byte, err error) {
	defer atOp(&err, "group.ratchetTree")
	err = g.viewMember(ctx, func(s *state) error {
		nodes = wire.Marshal(s.epoch.tree.Export())
		return nil
	})
	return nodes, err
}

// GroupInfoOptions says what a GroupInfo leaves out.
type GroupInfoOptions struct {
	NoRatchetTree bool
	NoExternalPub bool
}

// GroupInfo returns a signed GroupInfo of this epoch, an MLSMessage that lets
// others join by an external commit (RFC 9420, Section 12.4.3).
func (g *Group) GroupInfo(ctx context.Context, opts GroupInfoOptions) (info []byte, err error) {
	defer atOp(&err, "group.groupInfo")
	err = g.viewMember(ctx, func(s *state) (err error) {
		info, err = s.epoch.groupInfo(ctx, g.client, opts)
		return err
	})
	return info, err
}

func (e *epoch) groupInfo(ctx context.Context, c *Client, opts GroupInfoOptions) ([]byte, error) {
	info, err := e.signedGroupInfo(ctx, c, opts)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatGroupInfo, GroupInfo: info}), nil
}

func (e *epoch) signedGroupInfo(ctx context.Context, c *Client, opts GroupInfoOptions) (*message.GroupInfo, error) {
	info := &message.GroupInfo{
		GroupContext:    *e.context,
		ConfirmationTag: e.confirmationTag,
		Signer:          e.self(),
	}
	if !opts.NoExternalPub {
		key, err := e.secrets.ExternalKey(ctx, c.keys, e.suite)
		if err != nil {
			return nil, err
		}
		info.Extensions = append(info.Extensions, message.NewExternalPub(bytes.Clone(key.Public())))
	}
	if !opts.NoRatchetTree {
		info.Extensions = append(info.Extensions, message.Extension{
			Type: message.ExtensionRatchetTree,
			Data: wire.Marshal(e.tree.Export()),
		})
	}
	if err := info.Sign(ctx, e.suite, e.identity.key); err != nil {
		return nil, err
	}
	return info, nil
}
