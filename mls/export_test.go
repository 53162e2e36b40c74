package mls

import (
	"context"
	"slices"
	"strconv"

	"webmls/mls/message"
	"webmls/mls/schedule"
	"webmls/mls/suite"
	"webmls/mls/tree"
	"webmls/mls/treemath"
	"webmls/mls/wire"
)

// Inside is all that a member knows of its group in the current epoch: what a
// member who does not keep to the rules has in its hands. It is read only, but
// for the ratchets.
type Inside struct {
	Suite           *suite.Suite
	GroupID         []byte
	Context         *message.GroupContext
	Tree            *tree.Tree
	Self            treemath.LeafIndex
	Secrets         *schedule.Epoch
	Ratchets        *schedule.SecretTree
	Interim         []byte
	ConfirmationTag []byte
	Key             suite.SignatureKey
	// Proposals are the cached ones, by reference.
	Proposals map[string]CachedProposal
}

// CachedProposal is a proposal with who sent it.
type CachedProposal struct {
	Proposal *message.Proposal
	Sender   message.Sender
}

// Inside returns what the group knows. The group must be loaded and a member.
func (g *Group) Inside() *Inside {
	s := g.live.state
	e := s.epoch
	in := &Inside{
		Suite:           s.suite,
		GroupID:         s.groupID,
		Context:         e.context,
		Tree:            e.tree,
		Self:            e.self(),
		Secrets:         e.secrets,
		Ratchets:        e.ratchets,
		Interim:         e.interim,
		ConfirmationTag: e.confirmationTag,
		Key:             e.identity.key,
		Proposals:       make(map[string]CachedProposal),
	}
	for _, p := range s.proposals {
		in.Proposals[string(p.ref)] = CachedProposal{p.proposal, p.sender}
	}
	return in
}

// SignatureHandle returns the key of an identity.
func (i *Identity) SignatureHandle() suite.SignatureKey { return i.key }

// LiveState is the live state of a group, all of it, as bytes: two are
// equal when nothing has changed in memory. It is nil for a group that is not
// in memory.
func (g *Group) LiveState() []byte {
	g.lock(context.Background())
	defer g.unlock()
	l := g.live
	if l == nil {
		return nil
	}
	var w wire.Writer
	w.Uint64(uint64(l.rev))
	s := l.state
	if s.suite != nil {
		w.Opaque(s.marshal())
	}
	writeEpoch := func(e *epoch) {
		w.Optional(e != nil)
		if e == nil {
			return
		}
		w.Opaque(e.marshal())
		w.Opaque(e.contextBytes)
		w.Opaque(e.tree.Hash())
		w.Opaque(wire.Marshal(e.tree.Export()))
		e.ratchets.Records(func(name string, record []byte) { w.Opaque([]byte(name)); w.Opaque(record) })
		c := e.census
		w.Uint32(uint32(c.members))
	}
	writeEpoch(s.epoch)
	for _, p := range s.past {
		w.Opaque(p.marshal())
		p.ratchets.Records(func(name string, record []byte) { w.Opaque([]byte(name)); w.Opaque(record) })
	}
	for _, p := range s.proposals {
		w.Opaque(p.marshal())
	}
	if p := s.pending; p != nil {
		w.Opaque(p.result.Commit)
		w.Opaque(p.result.Welcome)
		w.Opaque(p.result.GroupInfo)
		w.Opaque(p.digest)
		writeEpoch(p.next.epoch)
	}
	for _, id := range l.inboxIDs() {
		w.Uint64(id)
		w.Opaque(marshalInboxEvent(l.inbox[id].Event))
	}
	for _, b := range l.sent.blocks {
		w.Uint64(b.number)
		w.Opaque(b.digests)
	}
	return w.Bytes()
}

// ClientSnapshot is the client's own state in memory, as bytes.
func (c *Client) ClientSnapshot() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var w wire.Writer
	w.Uint64(uint64(c.state.rev))
	var lines []string
	for id, i := range c.state.identities {
		lines = append(lines, "identity"+id+string(marshalIdentity(i)))
	}
	for ref, kp := range c.state.keyPackages {
		lines = append(lines, "key package"+ref+string(kp.marshal()))
	}
	for id, psk := range c.state.psks {
		lines = append(lines, "psk"+id+string(psk))
	}
	for id := range c.state.groups {
		lines = append(lines, "group"+id)
	}
	slices.Sort(lines)
	for _, line := range lines {
		w.Opaque([]byte(line))
	}
	return w.Bytes()
}

// Settle ends the group's tenure, where it has one.
func (g *Group) Settle() {
	g.lock(context.Background())
	defer g.unlock()
	g.settle()
}

// Reserved is how many generations are reserved, and whether the next send takes
// them from memory.
func (g *Group) Reserved() (n int, tenure bool) {
	g.lock(context.Background())
	defer g.unlock()
	if g.live == nil {
		return 0, false
	}
	return len(g.live.reserve.keys), g.tenure.unlock != nil
}

// ReservedKeys returns the keys of the reserve, not copies of them.
func (g *Group) ReservedKeys() (keys [][]byte) {
	g.lock(context.Background())
	defer g.unlock()
	for _, k := range g.live.reserve.keys {
		keys = append(keys, k.key, k.nonce)
	}
	return keys
}

// Unload drops the group from memory, so that the next call loads it.
func (g *Group) Unload() { g.close() }

// Verified checks that what the store holds of a group is what memory holds:
// it loads the group anew and returns its snapshot.
func (c *Client) StoredSnapshot(ctx context.Context, id []byte) ([]byte, error) {
	records, rev, err := c.store.Load(ctx, GroupScope(id))
	if err != nil {
		return nil, err
	}
	l, err := c.loadGroup(ctx, id, records)
	if err != nil {
		return nil, err
	}
	l.rev = rev
	g := newGroup(c, id)
	g.live = l
	return g.LiveState(), nil
}

// Secret is a secret of a group with what it is called.
type Secret struct {
	Name  string
	Bytes []byte
}

// LiveSecrets returns copies of the secrets that a group holds: what must be
// gone from the store once it is spent (RFC 9420, Section 9.2).
func (g *Group) LiveSecrets() []Secret {
	var list []Secret
	add := func(name string, b []byte) {
		if len(b) != 0 {
			list = append(list, Secret{name, append([]byte(nil), b...)})
		}
	}
	s := g.live.state
	addEpoch := func(prefix string, e *epoch) {
		if e == nil {
			return
		}
		for name, b := range map[string][]byte{
			"sender_data_secret":  e.secrets.SenderDataSecret,
			"exporter_secret":     e.secrets.ExporterSecret,
			"external_secret":     e.secrets.ExternalSecret,
			"confirmation_key":    e.secrets.ConfirmationKey,
			"membership_key":      e.secrets.MembershipKey,
			"resumption_psk":      e.secrets.ResumptionPSK,
			"epoch_authenticator": e.secrets.EpochAuthenticator,
			"init_secret":         e.secrets.InitSecret,
		} {
			add(prefix+name, b)
		}
		add(prefix+"leaf private key", e.private.Leaf.Reference())
		for x, key := range e.private.Path {
			add(prefix+"private key of node "+strconv.Itoa(int(x)), key.Reference())
		}
		addRatchets(prefix, e.suite, e.ratchets, add)
	}
	addEpoch("", s.epoch)
	if s.pending != nil {
		addEpoch("pending: ", s.pending.next.epoch)
	}
	for _, p := range s.past {
		prefix := "epoch " + strconv.FormatUint(p.context.Epoch, 10) + ": "
		add(prefix+"sender_data_secret", p.senderDataSecret)
		addRatchets(prefix, s.suite, p.ratchets, add)
	}
	for _, r := range s.resumption {
		add("resumption_psk of epoch "+strconv.FormatUint(r.epoch, 10), r.secret)
	}
	for _, p := range s.proposals {
		if p.leafKey != nil {
			add("leaf private key of an Update proposal", p.leafKey.Reference())
		}
	}
	return list
}

// LiveSecretsLoaded is LiveSecrets of a group that need not be in memory.
func (g *Group) LiveSecretsLoaded(ctx context.Context) []Secret {
	if _, err := g.Info(ctx); err != nil {
		panic(err)
	}
	return g.LiveSecrets()
}

// addRatchets takes the records of a secret tree apart into its secrets.
func addRatchets(prefix string, s *suite.Suite, t *schedule.SecretTree, add func(name string, b []byte)) {
	t.Records(func(name string, record []byte) {
		r := wire.NewReader(record)
		if name == "nodes" {
			r.Vector(func(r *wire.Reader) {
				x := r.Uint32()
				add(prefix+"secret of node "+strconv.Itoa(int(x)), r.Raw(s.HashSize()))
			})
			return
		}
		for _, ratchet := range []string{"handshake", "application"} {
			next := r.Uint64()
			of := prefix + ratchet + " ratchet of leaf " + name + ", generation "
			add(of+strconv.FormatUint(next, 10), r.Raw(s.HashSize()))
			r.Vector(func(r *wire.Reader) {
				generation := r.Uint32()
				add(of+strconv.Itoa(int(generation))+" skipped", r.Raw(s.KeySize()))
				r.Raw(s.NonceSize())
			})
		}
		if r.Finish() != nil {
			panic("the format of ratchet records has changed")
		}
	})
}

// KeyPackageSecrets returns copies of the private keys of the key packages
// that a client holds.
func (c *Client) KeyPackageSecrets() []Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Secret
	for _, kp := range c.state.keyPackages {
		list = append(list,
			Secret{"init key", append([]byte(nil), kp.initKey...)},
			Secret{"leaf key", append([]byte(nil), kp.leafKey...)})
	}
	return list
}

// KeyPackageRefs returns the references of the key packages held.
func (c *Client) KeyPackageRefs() (refs [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ref := range c.state.keyPackages {
		refs = append(refs, []byte(ref))
	}
	return refs
}

// PastEpochs returns the epochs that still open late messages, newest first.
func (g *Group) PastEpochs() (list []uint64) {
	for _, p := range g.live.state.past {
		list = append(list, p.context.Epoch)
	}
	return list
}

// ResumptionEpochs returns the past epochs whose resumption PSK is held.
func (g *Group) ResumptionEpochs() (list []uint64) {
	for _, r := range g.live.state.resumption {
		list = append(list, r.epoch)
	}
	return list
}

// Contains reports whether any record of the store holds b.
func (m *MemoryStore) Contains(b []byte) (where string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for scope, s := range m.scopes {
		for name, record := range s.records {
			if containsBytes(record, b) {
				return string(scope) + " " + name, true
			}
		}
	}
	return "", false
}

func containsBytes(b, part []byte) bool {
	for i := 0; i+len(part) <= len(b); i++ {
		if string(b[i:i+len(part)]) == string(part) {
			return true
		}
	}
	return false
}

// RecordNames returns the names of the records of a scope, sorted.
func (m *MemoryStore) RecordNames(scope Scope) (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.scopes[scope]; s != nil {
		for name := range s.records {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Record returns a copy of a record.
func (m *MemoryStore) Record(scope Scope, name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]byte{}, m.scopes[scope].records[name]...)
}

// SetRecord writes a record past all revisions, and deletes it for nil.
func (m *MemoryStore) SetRecord(scope Scope, name string, record []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if record == nil {
		delete(m.scopes[scope].records, name)
	} else {
		m.scopes[scope].records[name] = append([]byte{}, record...)
	}
}

// Busy runs f while the group's turn is taken.
func (g *Group) Busy(f func()) {
	g.lock(context.Background())
	defer g.unlock()
	f()
}

// ForgetSent empties the log of sent messages, as many more of them do.
func (g *Group) ForgetSent() {
	g.lock(context.Background())
	defer g.unlock()
	g.live.sent = sentLog{}
}

// SteppedKeys are Keys whose long lists are done in steps.
func SteppedKeys(k suite.Keys) suite.Keys { return stepKeys{k} }
