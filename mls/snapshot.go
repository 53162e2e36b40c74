package mls

import (
	"bytes"
	"context"
	"errors"
	"sort"
	"strings"
	"sync"
	"time"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// Snapshots are for looking: at a test that fails, at a report of a user. They
// hold no secret and no content, and nothing is stored of them.

// fingerprintSize is how much of the hash of a public key a snapshot shows, in bytes.
const fingerprintSize = 8

func fingerprint(s *suite.Suite, publicKey []byte) []byte {
	return s.Hash(publicKey)[:fingerprintSize]
}

// NodeKind says what a node of a tree is.
type NodeKind string

// Kinds of nodes.
const (
	NodeBlank  NodeKind = "blank"
	NodeLeaf   NodeKind = "leaf"
	NodeParent NodeKind = "parent"
)

// NodeSnapshot is a node of the ratchet tree. Its place in the list is its index
// (RFC 9420, Appendix C): leaf i stands at 2i.
type NodeSnapshot struct {
	Kind     NodeKind
	Key      []byte               // the first 8 bytes of the hash of the encryption key
	Unmerged []treemath.LeafIndex // of a parent
	Known    bool                 // this client holds the private key
}

// SenderSnapshot says which generations of a sender were used in an epoch.
type SenderSnapshot struct {
	Leaf                   treemath.LeafIndex
	Handshake, Application RatchetSnapshot
}

// RatchetSnapshot is where a ratchet stands.
type RatchetSnapshot struct {
	Next    uint64 // the next generation: as many were used or skipped
	Skipped int    // keys that are kept for messages that may still come
}

// ProposalSnapshot is a cached proposal without what it holds.
type ProposalSnapshot struct {
	Reference []byte
	Type      message.ProposalType
	Sender    message.Sender
	Dropped   bool // set aside by DropProposal
}

// PendingSnapshot is the pending commit without what it holds.
type PendingSnapshot struct {
	Epoch                   uint64 // that it begins
	External                bool
	Added, Removed, Updated []treemath.LeafIndex
	CommitSize, WelcomeSize int // bytes
}

// PastSnapshot is a past epoch that late messages are still opened of.
type PastSnapshot struct {
	Epoch   uint64
	Ended   time.Time
	Senders []SenderSnapshot
}

// RecordSnapshot says how much is stored under one kind of names.
type RecordSnapshot struct {
	Kind  string // the name up to its first "/"
	Count int
	Bytes int
}

// Rejection says why a message was refused.
type Rejection struct {
	Code   mlserr.Code
	Detail string
	Time   time.Time
	Size   int // bytes
	// Header is what the outside of the message shows; its WireFormat is 0 where
	// it shows nothing. Nothing in it is authenticated.
	Header message.Header
}

// GroupSnapshot shows the state of a group without its secrets.
type GroupSnapshot struct {
	GroupID     []byte
	Status      Status
	CipherSuite suite.ID
	Epoch       uint64
	Revision    Rev
	OwnLeaf     treemath.LeafIndex
	RolledBack  bool
	TreeHash    []byte
	Tree        []NodeSnapshot
	Members     []Member
	Extensions  message.Extensions
	Proposals   []ProposalSnapshot
	Pending     *PendingSnapshot // or nil
	Senders     []SenderSnapshot // who has sent in this epoch, by leaf
	Past        []PastSnapshot   // newest first
	// ResumptionPSKs are the past epochs whose resumption PSK is held, newest first.
	ResumptionPSKs []uint64
	Inbox          int // entries not acknowledged
	Records        []RecordSnapshot
	// LastRejected is why the last message that was refused since the client was
	// opened was refused, or nil.
	LastRejected *Rejection
}

// lastRejected is what a group remembers of the last message that it refused.
type lastRejected struct {
	mu   sync.Mutex
	last *Rejection
}

// note remembers why a message was refused. What failed for another reason than
// the message is none of it.
func (r *lastRejected) note(b []byte, err error, now time.Time) {
	rejection := &Rejection{Code: mlserr.CodeOf(err), Size: len(b), Time: now}
	if class := rejection.Code.Info().Class; class == mlserr.ClassStorage || class == mlserr.ClassInternal {
		return
	}
	if e, ok := errors.AsType[*mlserr.Error](err); ok {
		rejection.Detail = e.Detail
	}
	if h, err := message.PeekHeader(b); err == nil {
		h.GroupID = bytes.Clone(h.GroupID)
		rejection.Header = h
	}
	r.mu.Lock()
	r.last = rejection
	r.mu.Unlock()
}

// Snapshot shows the state of the group without its secrets. Code: GROUP_NOT_FOUND.
func (g *Group) Snapshot(ctx context.Context) (snapshot *GroupSnapshot, err error) {
	defer atOp(&err, "group.snapshot")
	err = g.look(ctx, func(l *live) error {
		if err := l.exists(); err != nil {
			return err
		}
		snapshot = l.snapshot()
		records, _, err := g.client.store.Load(ctx, g.scope)
		if err != nil {
			return storeError(err)
		}
		snapshot.Records = measure(records)
		return nil
	})
	if err != nil {
		return nil, err
	}
	g.rejected.mu.Lock()
	snapshot.LastRejected = g.rejected.last
	g.rejected.mu.Unlock()
	return snapshot, nil
}

func (l *live) snapshot() *GroupSnapshot {
	s := l.state
	v := &GroupSnapshot{
		GroupID:     bytes.Clone(s.groupID),
		Status:      s.status,
		CipherSuite: s.suite.ID(),
		Revision:    l.rev,
		RolledBack:  s.restored,
		Inbox:       len(l.inbox),
	}
	for _, r := range s.resumption {
		v.ResumptionPSKs = append(v.ResumptionPSKs, r.epoch)
	}
	for _, p := range s.past {
		v.Past = append(v.Past, PastSnapshot{Epoch: p.context.Epoch, Ended: time.Unix(p.ended, 0), Senders: sendersOf(p.ratchets)})
	}
	for _, p := range s.proposals {
		v.Proposals = append(v.Proposals, ProposalSnapshot{Reference: bytes.Clone(p.ref), Type: p.proposal.Type, Sender: p.sender, Dropped: p.dropped})
	}
	if p := s.pending; p != nil {
		v.Pending = &PendingSnapshot{
			Epoch:       p.result.Epoch,
			External:    p.next.external,
			Added:       p.next.added,
			Removed:     p.next.removed,
			Updated:     p.next.updated,
			CommitSize:  len(p.result.Commit),
			WelcomeSize: len(p.result.Welcome),
		}
	}
	if e := s.epoch; e != nil {
		v.Epoch = e.context.Epoch
		v.OwnLeaf = e.self()
		v.TreeHash = bytes.Clone(e.context.TreeHash)
		v.Extensions = e.context.Extensions
		v.Senders = sendersOf(e.ratchets)
		if l.reserve.epoch == e {
			for i := range v.Senders {
				if v.Senders[i].Leaf == e.self() {
					v.Senders[i].Application.Next -= uint64(len(l.reserve.keys))
				}
			}
		}
		v.Tree = e.treeSnapshot()
		for i := range e.tree.Leaves() {
			v.Members = append(v.Members, *e.member(i))
		}
	}
	return v
}

func (e *epoch) treeSnapshot() []NodeSnapshot {
	nodes := e.tree.Export()
	list := make([]NodeSnapshot, len(nodes))
	for x := range nodes {
		n := &list[x]
		switch node := &nodes[x]; {
		case node.Leaf != nil:
			n.Kind, n.Key = NodeLeaf, fingerprint(e.suite, node.Leaf.EncryptionKey)
			n.Known = x == int(e.self().Node())
		case node.Parent != nil:
			n.Kind, n.Key, n.Unmerged = NodeParent, fingerprint(e.suite, node.Parent.EncryptionKey), node.Parent.UnmergedLeaves
			_, n.Known = e.private.Path[treemath.NodeIndex(x)]
		default:
			n.Kind = NodeBlank
		}
	}
	return list
}

// sendersOf returns where the ratchets stand that have been used.
func sendersOf(t *schedule.SecretTree) (list []SenderSnapshot) {
	t.Used(func(leaf treemath.LeafIndex, next [2]uint64, skipped [2]int) {
		list = append(list, SenderSnapshot{
			Leaf:        leaf,
			Handshake:   RatchetSnapshot{next[schedule.Handshake], skipped[schedule.Handshake]},
			Application: RatchetSnapshot{next[schedule.Application], skipped[schedule.Application]},
		})
	})
	return list
}

// measure sums up records by kind.
func measure(records Records) (list []RecordSnapshot) {
	kinds := make(map[string]*RecordSnapshot)
	for name, b := range records {
		kind, _, _ := strings.Cut(name, "/")
		r := kinds[kind]
		if r == nil {
			r = &RecordSnapshot{Kind: kind}
			kinds[kind] = r
		}
		r.Count++
		r.Bytes += len(b)
		suite.Wipe(b)
	}
	for _, r := range kinds {
		list = append(list, *r)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Kind < list[j].Kind })
	return list
}

// IdentitySnapshot is an identity with the key packages that are held for it.
type IdentitySnapshot struct {
	ID           []byte
	CipherSuite  suite.ID
	Credential   message.Credential
	SignatureKey []byte // the first 8 bytes of its hash
	KeyStorage   suite.KeyStorage
	KeyPackages  int // that may still be used, those of last resort among them
	LastResort   int // of last resort
	Expired      int // to be deleted with their keys
}

// ClientSnapshot shows the state of a client without its secrets.
type ClientSnapshot struct {
	Revision   Rev
	Identities []IdentitySnapshot // by id
	PSKs       int                // external PSKs that are held
	Groups     [][]byte           // their ids, in byte order
	Records    []RecordSnapshot
}

// Snapshot shows the state of the client without its secrets.
func (c *Client) Snapshot(ctx context.Context) (snapshot *ClientSnapshot, err error) {
	defer atOp(&err, "snapshot")
	snapshot = new(ClientSnapshot)
	now := uint64(c.now().Unix())
	err = c.view(ctx, func(s *clientState) error {
		snapshot.Revision = s.rev
		snapshot.PSKs = len(s.psks)
		for id := range s.groups {
			snapshot.Groups = append(snapshot.Groups, []byte(id))
		}
		for _, identity := range s.identities {
			v := IdentitySnapshot{
				ID:           identity.ID(),
				CipherSuite:  identity.Suite(),
				Credential:   identity.Credential(),
				SignatureKey: fingerprint(identity.suite, identity.key.Public()),
				KeyStorage:   identity.KeyStorage(),
			}
			for _, kp := range s.keyPackages {
				switch {
				case !bytes.Equal(kp.identity, identity.id):
				case kp.retired || kp.notAfter < now:
					v.Expired++
				default:
					v.KeyPackages++
					if kp.lastResort {
						v.LastResort++
					}
				}
			}
			snapshot.Identities = append(snapshot.Identities, v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(snapshot.Groups, func(i, j int) bool { return bytes.Compare(snapshot.Groups[i], snapshot.Groups[j]) < 0 })
	sort.Slice(snapshot.Identities, func(i, j int) bool { return bytes.Compare(snapshot.Identities[i].ID, snapshot.Identities[j].ID) < 0 })
	records, _, err := c.store.Load(ctx, ClientScope)
	if err != nil {
		return nil, storeError(err)
	}
	snapshot.Records = measure(records)
	return snapshot, nil
}
