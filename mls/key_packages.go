package mls

import (
	"bytes"
	"context"
	"slices"
	"sort"
	"time"

	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/wire"
)

// Which private keys a client needs, and for how long. A signature key lives as
// long as its identity. The keys of a key package live until a join consumes it,
// when the init key goes and the leaf key moves into the group, or until it has
// expired. A key package of last resort stays when it is used, and its leaf key
// is then that of leaves in several groups: it goes with the last of them.

// keyPackageGrace is how long a key package is kept after it has expired: for a
// Welcome that is on its way, and for clocks that differ.
const keyPackageGrace = 24 * time.Hour

// ownKeyPackage is a key package of this client with its private keys. Values
// are immutable, save that what is secret in them is wiped at the end.
type ownKeyPackage struct {
	keyPackage []byte // the encoded KeyPackage
	identity   []byte // Identity id
	suite      *suite.Suite
	initKey    []byte // reference; nil once retired
	leafKey    []byte // reference
	initName   string // name in a key store of its own, or ""
	leafName   string
	lastResort bool
	notAfter   uint64
	// retired: it has expired or was deleted, and is kept for its leaf key alone.
	retired bool
	// users are the ids of the groups that its leaf key is in use in, where it
	// is of last resort and the key has a name.
	users []string
}

// usedBy returns the key package with a group among its users, or without it.
func (p *ownKeyPackage) usedBy(groupID string, uses bool) *ownKeyPackage {
	next := *p
	next.users = slices.DeleteFunc(slices.Clone(p.users), func(id string) bool { return id == groupID })
	if uses {
		next.users = append(next.users, groupID)
	}
	return &next
}

// expired reports whether the key package and its grace are over.
func (p *ownKeyPackage) expired(now time.Time) bool {
	return now.Add(-keyPackageGrace).Unix() > int64(min(p.notAfter, 1<<62))
}

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
			if kp.retired || !bytes.Equal(kp.identity, identityID) {
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
	sort.Slice(list, func(i, j int) bool {
		a, b := &list[i], &list[j]
		return a.NotAfter < b.NotAfter || a.NotAfter == b.NotAfter && bytes.Compare(a.Reference, b.Reference) < 0
	})
	return list, err
}

// DeleteKeyPackages forgets key packages with their private keys: a Welcome for
// one of them can no longer be joined. References that are not there are
// ignored. The leaf key of one of last resort goes when no group uses it any more.
func (c *Client) DeleteKeyPackages(ctx context.Context, references ...[]byte) (err error) {
	defer atOp(&err, "deleteKeyPackages")
	discarded := make([]string, len(references))
	for i := range references {
		discarded[i] = string(references[i])
	}
	return c.change(ctx, func() (*clientChange, error) {
		return &clientChange{discarded: discarded}, nil
	})
}

// keyPackageChanges collects what one batch does to the key packages.
type keyPackageChanges map[string]*ownKeyPackage // nil: deleted

// get returns a key package as it is after the changes so far.
func (changes keyPackageChanges) get(s *clientState, ref string) *ownKeyPackage {
	if kp, ok := changes[ref]; ok {
		return kp
	}
	return s.keyPackages[ref]
}

// settleKeyPackages carries out what the change asks of key packages, and what
// time asks: those that have expired go with the next change of the client's
// scope. It adds the records and the keys dropped to the change.
func (s *clientState) settleKeyPackages(change *clientChange, now time.Time) {
	changes := make(keyPackageChanges)
	retire := func(ref string, kp *ownKeyPackage) {
		retired := *kp
		retired.retired, retired.initKey, retired.initName = true, nil, ""
		changes[ref] = &retired
		change.dropped = append(change.dropped, named(kp.initName)...)
	}
	for ref, kp := range s.keyPackages {
		if !kp.retired && kp.expired(now) {
			retire(ref, kp)
		}
	}
	for _, ref := range change.discarded {
		if kp := s.keyPackages[ref]; kp != nil && !kp.retired {
			retire(ref, kp)
		}
	}
	if ref := change.consumed; ref != "" {
		if kp := s.keyPackages[ref]; !kp.lastResort {
			changes[ref] = nil
			change.dropped = append(change.dropped, named(kp.initName)...)
			// The leaf key is the group's now.
		} else if kp.leafName != "" {
			changes[ref] = changes.get(s, ref).usedBy(change.group, true)
		}
	}
	for _, name := range change.released {
		found := false
		for ref := range s.keyPackages {
			if kp := changes.get(s, ref); kp != nil && kp.leafName == name {
				changes[ref] = kp.usedBy(change.group, false)
				found = true
			}
		}
		if !found {
			change.dropped = append(change.dropped, name)
		}
	}
	for ref, kp := range changes {
		if kp != nil && kp.retired && len(kp.users) == 0 {
			change.dropped = append(change.dropped, named(kp.leafName)...)
			changes[ref] = nil
		}
	}
	for ref, kp := range changes {
		if kp == nil {
			change.delete = append(change.delete, recordKeyPackage+hexName([]byte(ref)))
		} else {
			change.put[recordKeyPackage+hexName([]byte(ref))] = kp.marshal()
		}
	}
	change.keyPackages = changes
}

// applyKeyPackages makes the changes in memory, once they are stored.
func (s *clientState) applyKeyPackages(changes keyPackageChanges) {
	for ref, kp := range changes {
		old := s.keyPackages[ref]
		if kp != nil {
			s.keyPackages[ref] = kp
		} else {
			delete(s.keyPackages, ref)
			suite.Wipe(old.leafKey)
		}
		if kp == nil || kp.retired {
			suite.Wipe(old.initKey)
		}
	}
}

// settleKeys works out which keys in a key store of its own the outcome of a
// step needs from now on, and which not.
func (g *Group) settleKeys(l *live, out *outcome) {
	next := out.next
	if out.forget {
		next = nil
	} else if next == nil {
		return // the state stays
	}
	before, after := l.state.keyNames(), next.keyNames()
	if shared := l.state.sharedLeaf; shared != "" && !after[shared] {
		delete(before, shared)
		if out.client == nil {
			out.client = new(clientChange)
		}
		out.client.group = string(g.id)
		out.client.released = append(out.client.released, shared)
		if next != nil && next.sharedLeaf == shared {
			without := *next
			without.sharedLeaf = ""
			out.next = &without
		}
	}
	out.kept, out.dropped = missing(before, after), missing(after, before)
}

// missing returns the names of b that a lacks, in order.
func missing(a, b map[string]bool) (list []string) {
	for name := range b {
		if !a[name] {
			list = append(list, name)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i] < list[j] })
	return list
}

// settleNames has no name of the batch twice, and none both kept and dropped: a
// key that moves from a key package into a group is kept.
func (b *Batch) settleNames() {
	for _, names := range []*[]string{&b.KeysKept, &b.KeysDropped} {
		list := *names
		sort.Slice(list, func(i, j int) bool { return list[i] < list[j] })
		*names = slices.Compact(list)
	}
	b.KeysDropped = slices.DeleteFunc(b.KeysDropped, func(name string) bool {
		_, kept := slices.BinarySearch(b.KeysKept, name)
		return kept
	})
}
