package mls

import (
	"bytes"
	"context"
	"slices"

	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// KeyPackageInfo is a key package of this client that was not used yet, or that
// may be used again.
type KeyPackageInfo struct {
	Reference  []byte // KeyPackageRef, KDF.Nh bytes
	Identity   []byte // Identity id
	KeyPackage []byte // an MLSMessage, as CreateKeyPackages returned it
	LastResort bool
	NotAfter   uint64 // Unix seconds: nobody may add it later
}

// KeyPackages lists the key packages of an identity, those that end first in
// front; those that have ended are among them until they are deleted.
func (c *Client) KeyPackages(ctx context.Context, identityID []byte) (list []KeyPackageInfo, err error) {
	defer atOp(&err, "keyPackages")
	err = c.view(ctx, func(s *clientState) error {
		for ref, kp := range s.keyPackages {
			if !bytes.Equal(kp.identity, identityID) {
				continue
			}
			var parsed message.KeyPackage
			if err := wire.Unmarshal(kp.keyPackage, &parsed); err != nil {
				return err
			}
			list = append(list, KeyPackageInfo{
				Reference:  []byte(ref),
				Identity:   bytes.Clone(kp.identity),
				KeyPackage: wire.Marshal(&message.MLSMessage{WireFormat: message.WireFormatKeyPackage, KeyPackage: &parsed}),
				LastResort: kp.lastResort,
				NotAfter:   kp.notAfter,
			})
		}
		return nil
	})
	slices.SortFunc(list, func(a, b KeyPackageInfo) int {
		switch {
		case a.NotAfter < b.NotAfter:
			return -1
		case a.NotAfter > b.NotAfter:
			return 1
		}
		return bytes.Compare(a.Reference, b.Reference)
	})
	return list, err
}

// DeleteKeyPackages forgets key packages with their private keys: a Welcome for
// one of them can no longer be joined. References that are not there are
// ignored. The leaf key of one of last resort is kept, because groups that were
// joined by it may use it still.
func (c *Client) DeleteKeyPackages(ctx context.Context, references ...[]byte) (err error) {
	defer atOp(&err, "deleteKeyPackages")
	references = slices.Clone(references)
	for i := range references {
		references[i] = bytes.Clone(references[i])
	}
	return c.change(ctx, func() (*clientChange, error) {
		change := &clientChange{apply: func(s *clientState) {
			for _, ref := range references {
				if kp := s.keyPackages[string(ref)]; kp != nil {
					suite.Wipe(kp.initKey)
					delete(s.keyPackages, string(ref))
				}
			}
		}}
		err := c.view(ctx, func(s *clientState) error {
			for _, ref := range references {
				kp := s.keyPackages[string(ref)]
				if kp == nil {
					continue
				}
				change.delete = append(change.delete, recordKeyPackage+hexName(ref))
				change.dropped = append(change.dropped, named(kp.initName)...)
				if !kp.lastResort {
					change.dropped = append(change.dropped, named(kp.leafName)...)
				}
			}
			return nil
		})
		return change, err
	})
}
