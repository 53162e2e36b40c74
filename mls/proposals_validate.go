package mls

import (
	"bytes"
	"context"
	"strconv"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// leafChecks gathers, for the new leaves of one operation, what is dearer than
// a comparison, so that each kind of it is one call: signatures to verify, HPKE
// keys to validate, credentials to authenticate.
type leafChecks struct {
	signatures []suite.Verification
	hpkeKeys   [][]byte
	claims     []Claim
	successors [][2]Claim
}

// run does what was gathered (L1, L12, L14): no leaf comes in past it (S9). Codes:
// INVALID_SIGNATURE, INVALID_PUBLIC_KEY, CREDENTIAL_REJECTED, SUCCESSOR_REJECTED.
// The application is asked first, and answers while the rest is done; what the keys
// and the signatures show is said first.
func (l *leafChecks) run(ctx context.Context, c *Client, s *suite.Suite) error {
	authenticated := func() error { return nil }
	if len(l.claims) > 0 {
		wait, drop := ahead(ctx, func(ctx context.Context) error { return c.auth.Authenticate(ctx, l.claims) })
		defer drop()
		authenticated = wait
	}
	if len(l.hpkeKeys) > 0 {
		bad, err := c.keys.ValidateHPKEKeys(ctx, s.ID(), l.hpkeKeys)
		if err != nil {
			return err
		}
		if bad >= 0 {
			return mlserr.New(mlserr.InvalidPublicKey, "L12: HPKE key "+strconv.Itoa(bad)+" of the new leaves")
		}
	}
	if err := s.Verify(ctx, c.keys, l.signatures); err != nil {
		return err
	}
	if err := authenticated(); err != nil {
		return refused(mlserr.CredentialRejected, "L1", err)
	}
	for _, pair := range l.successors {
		if err := c.auth.Succeeds(ctx, pair[0], pair[1]); err != nil {
			return refused(mlserr.SuccessorRejected, "L14", err)
		}
	}
	return nil
}

func (l *leafChecks) claim(groupID []byte, leaf *message.LeafNode, i treemath.LeafIndex, place Place) Claim {
	claim := claimOf(groupID, leaf, i, place)
	l.claims = append(l.claims, claim)
	return claim
}

func claimOf(groupID []byte, leaf *message.LeafNode, i treemath.LeafIndex, place Place) Claim {
	return Claim{
		GroupID:      groupID,
		Credential:   leaf.Credential,
		SignatureKey: leaf.SignatureKey,
		Leaf:         i,
		Place:        place,
	}
}

// replacement gathers the checks of a leaf that takes the place of another of
// the same member: its signature (L2), its credential, and that it may succeed.
func (l *leafChecks) replacement(s *suite.Suite, groupID []byte, old, next *message.LeafNode, i treemath.LeafIndex, place Place) {
	l.signatures = append(l.signatures, next.Verification(s, groupID, i))
	l.hpkeKeys = append(l.hpkeKeys, next.EncryptionKey)
	claim := l.claim(groupID, next, i, place)
	if bytes.Equal(old.SignatureKey, next.SignatureKey) && old.Credential.Equal(&next.Credential) {
		return // the same client
	}
	l.successors = append(l.successors, [2]Claim{claimOf(groupID, old, i, place), claim})
}

// maxPathNodes is the height of the tallest tree there can be: leaf indices are
// 32 bits.
const maxPathNodes = 32

// pathKeys gathers the public keys of a path, which cost time to validate: so not
// those of a path that fits no tree (C6; the tree itself says which length is right).
func (l *leafChecks) pathKeys(path *message.UpdatePath) error {
	if len(path.Nodes) > maxPathNodes {
		return mlserr.New(mlserr.PathInvalid, "C6: "+strconv.Itoa(len(path.Nodes))+" nodes")
	}
	for i := range path.Nodes {
		l.hpkeKeys = append(l.hpkeKeys, path.Nodes[i].EncryptionKey)
	}
	return nil
}

// validateAlone applies to one proposal what does not depend on the others of
// a list: at its receipt, and again in no commit that names it by reference.
func (s *state) validateAlone(ctx context.Context, c *Client, p *listed) error {
	var checks leafChecks
	rules, err := newLeafRules(s.epoch.context.Extensions, c.receivedLifetimes())
	if err != nil {
		return err
	}
	if err := s.validateOne(p, rules, &checks); err != nil {
		return err
	}
	return checks.run(ctx, c, s.suite)
}

// validateOne applies the rules of a proposal's own type (RFC 9420, Section
// 12.1) and gathers the rest in checks.
func (s *state) validateOne(p *listed, rules *leafRules, checks *leafChecks) error {
	switch p.proposal.Type {
	case message.ProposalAdd:
		return s.validateAdd(p.proposal.Add, rules, checks)
	case message.ProposalUpdate:
		return s.validateUpdate(p, rules, checks)
	case message.ProposalRemove:
		return s.validateRemove(p.proposal.Remove)
	case message.ProposalPSK:
		if p.founding {
			return nil
		}
		return s.validatePSK(p.proposal.PSK)
	case message.ProposalReInit:
		return s.validateReInit(p.proposal.ReInit)
	case message.ProposalExternalInit:
		if p.sender.Type != message.SenderNewMemberCommit {
			return mlserr.New(mlserr.ProposalListInvalid, "P10: external_init outside an external commit")
		}
		return nil
	case message.ProposalGroupContextExtensions:
		return s.validateExtensions(p.proposal.Extensions, checks)
	default:
		if !s.epoch.census.allSupportProposal(p.proposal.Type) {
			return mlserr.New(mlserr.ProposalUnsupported, "P11: type "+strconv.Itoa(int(p.proposal.Type)))
		}
		return nil
	}
}

// validateAdd: Section 12.1.1 and 10.1. The key package has the group's version
// and suite (K1), a valid leaf (K2; L1 to L12), a right signature (K3), and an init
// key of its own (K4).
func (s *state) validateAdd(kp *message.KeyPackage, rules *leafRules, checks *leafChecks) error {
	if kp.Version != s.epoch.context.Version || kp.CipherSuite != s.suite.ID() {
		return mlserr.New(mlserr.KeyPackageMismatch, "K1")
	}
	if bytes.Equal(kp.InitKey, kp.LeafNode.EncryptionKey) {
		return mlserr.New(mlserr.InitKeyReused, "K4: init key is the encryption key")
	}
	if err := rules.check(&kp.LeafNode, message.LeafNodeSourceKeyPackage); err != nil {
		return err
	}
	checks.signatures = append(checks.signatures, kp.Verification(s.suite), kp.LeafNode.Verification(s.suite, nil, 0))
	checks.hpkeKeys = append(checks.hpkeKeys, kp.InitKey, kp.LeafNode.EncryptionKey)
	checks.claim(s.groupID, &kp.LeafNode, 0, PlaceKeyPackage)
	return nil
}

// validateUpdate: Section 12.1.2 (P13, L7, L9).
func (s *state) validateUpdate(p *listed, rules *leafRules, checks *leafChecks) error {
	if p.sender.Type != message.SenderMember {
		return mlserr.New(mlserr.SenderNotAllowed, "P13: update by a sender that is no member")
	}
	old := s.epoch.tree.Leaf(p.sender.Leaf)
	if old == nil {
		return mlserr.New(mlserr.InvalidSender, "P13: blank leaf")
	}
	if err := rules.check(p.proposal.Update, message.LeafNodeSourceUpdate); err != nil {
		return err
	}
	if bytes.Equal(old.EncryptionKey, p.proposal.Update.EncryptionKey) {
		return mlserr.New(mlserr.EncryptionKeyReused, "P13")
	}
	checks.replacement(s.suite, s.groupID, old, p.proposal.Update, p.sender.Leaf, PlaceUpdate)
	return nil
}

// validateRemove: Section 12.1.3 (P12).
func (s *state) validateRemove(i treemath.LeafIndex) error {
	if s.epoch.tree.Leaf(i) == nil {
		return mlserr.New(mlserr.RemoveTargetBlank, "P12: leaf "+strconv.FormatUint(uint64(i), 10))
	}
	return nil
}

// validatePSK: Section 12.1.4 and 8.4 (P14, P15).
func (s *state) validatePSK(id *message.PreSharedKeyID) error {
	if len(id.Nonce) != s.suite.HashSize() {
		return mlserr.New(mlserr.PSKInvalid, "P14: nonce length")
	}
	if id.Type == message.PSKResumption && id.Usage != message.ResumptionApplication {
		return mlserr.New(mlserr.PSKInvalid, "P15: usage")
	}
	return nil
}

// validateReInit: Section 12.1.5 (P16).
func (s *state) validateReInit(r *message.ReInit) error {
	if r.Version < s.epoch.context.Version {
		return mlserr.New(mlserr.ReInitInvalid, "P16: version")
	}
	return nil
}

// validateExtensions: Section 12.1.7, as far as it does not depend on the
// members that the same commit adds and removes (P17).
func (s *state) validateExtensions(extensions message.Extensions, checks *leafChecks) error {
	if _, err := extensions.RequiredCapabilities(); err != nil {
		return err
	}
	senders, err := extensions.ExternalSenders()
	if err != nil {
		return err
	}
	for i := range senders {
		checks.claims = append(checks.claims, Claim{
			GroupID:      s.groupID,
			Credential:   senders[i].Credential,
			SignatureKey: senders[i].SignatureKey,
			Place:        PlaceExternalSender,
		})
	}
	return nil
}

// validateList applies the rules on the list of a commit by a member (RFC
// 9420, Section 12.2). Proposals by reference were judged alone at their
// receipt; those by value are judged here, into checks.
func (s *state) validateList(list *proposalList, committer treemath.LeafIndex, rules *leafRules, checks *leafChecks) error {
	if err := list.checkReInitAlone(); err != nil {
		return err
	}
	if len(list.externalInit) > 0 {
		return mlserr.New(mlserr.ProposalListInvalid, "P10: external_init in a commit by a member")
	}
	if err := list.checkCommitterUntouched(committer); err != nil {
		return err
	}
	return s.validateAnyList(list, rules, checks)
}

// validateExternalList applies the rules on the list of an external commit
// (RFC 9420, Section 12.2 and 12.4.3.2).
func (s *state) validateExternalList(list *proposalList, rules *leafRules, checks *leafChecks) error {
	switch {
	case len(list.externalInit) != 1:
		return mlserr.New(mlserr.ExternalCommitInvalid, "E1: external_init")
	case len(list.removes) > 1:
		return mlserr.New(mlserr.ExternalCommitInvalid, "E2: more than one remove")
	case len(list.adds)+len(list.updates)+len(list.extensions)+len(list.reinit)+len(list.custom) > 0:
		return mlserr.New(mlserr.ExternalCommitInvalid, "E3: proposal type")
	}
	return s.validateAnyList(list, rules, checks)
}

// validateAnyList has the rules that both kinds of commit share.
func (s *state) validateAnyList(list *proposalList, rules *leafRules, checks *leafChecks) error {
	for _, part := range [][]*listed{list.extensions, list.updates, list.removes, list.adds, list.psks, list.externalInit, list.reinit} {
		for _, p := range part {
			if p.ref != nil {
				// Alone it was judged at its receipt; but by the extensions of
				// the time, and this commit may change them.
				if err := recheckCapabilities(p, rules); err != nil {
					return err
				}
				continue
			}
			if err := s.validateOne(p, rules, checks); err != nil {
				return err
			}
		}
	}
	for _, check := range []func() error{
		list.checkOneChangePerLeaf,
		list.checkExtensionsOnce,
		list.checkPSKsUnique,
		list.checkInitKeysUnique,
		func() error { return s.checkCustomSupported(list) },
		func() error { return s.epoch.checkKeysUnique(list) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// recheckCapabilities judges the leaf of an Add or Update by the group context
// that the commit leads to (P18; RFC 9420, Section 12.3).
func recheckCapabilities(p *listed, rules *leafRules) error {
	switch p.proposal.Type {
	case message.ProposalAdd:
		return rules.checkGroupNeeds(&p.proposal.Add.LeafNode.Capabilities)
	case message.ProposalUpdate:
		return rules.checkGroupNeeds(&p.proposal.Update.Capabilities)
	}
	return nil
}

// checkReInitAlone is P9.
func (l *proposalList) checkReInitAlone() error {
	if len(l.reinit) > 0 && l.count > 1 {
		return mlserr.New(mlserr.ProposalListInvalid, "P9: re_init with others")
	}
	return nil
}

// checkCommitterUntouched is P2 and P3.
func (l *proposalList) checkCommitterUntouched(committer treemath.LeafIndex) error {
	for _, p := range l.updates {
		if p.sender.Leaf == committer {
			return mlserr.New(mlserr.ProposalListInvalid, "P2: update by the committer")
		}
	}
	if l.removesLeaf(committer) {
		return mlserr.New(mlserr.ProposalListInvalid, "P3: remove of the committer")
	}
	return nil
}

// checkOneChangePerLeaf is P4.
func (l *proposalList) checkOneChangePerLeaf() error {
	if len(l.updates)+len(l.removes) < 2 {
		return nil
	}
	seen := make(map[treemath.LeafIndex]bool, len(l.updates)+len(l.removes))
	once := func(i treemath.LeafIndex) error {
		if seen[i] {
			return mlserr.New(mlserr.ProposalListInvalid, "P4: leaf "+strconv.FormatUint(uint64(i), 10))
		}
		seen[i] = true
		return nil
	}
	for _, p := range l.updates {
		if err := once(p.sender.Leaf); err != nil {
			return err
		}
	}
	for _, p := range l.removes {
		if err := once(p.proposal.Remove); err != nil {
			return err
		}
	}
	return nil
}

// checkExtensionsOnce is P8.
func (l *proposalList) checkExtensionsOnce() error {
	if len(l.extensions) > 1 {
		return mlserr.New(mlserr.ProposalListInvalid, "P8: group_context_extensions")
	}
	return nil
}

// checkPSKsUnique is P7.
func (l *proposalList) checkPSKsUnique() error {
	if len(l.psks) < 2 {
		return nil
	}
	seen := make(map[string]bool, len(l.psks))
	for _, p := range l.psks {
		key := p.proposal.PSK.Key()
		if seen[key] {
			return mlserr.New(mlserr.ProposalListInvalid, "P7: pre-shared key")
		}
		seen[key] = true
	}
	return nil
}

// checkInitKeysUnique is K5.
func (l *proposalList) checkInitKeysUnique() error {
	if len(l.adds) < 2 {
		return nil
	}
	seen := make(map[string]bool, len(l.adds))
	for _, p := range l.adds {
		key := string(p.proposal.Add.InitKey)
		if seen[key] {
			return mlserr.New(mlserr.InitKeyReused, "K5: two key packages with one init key")
		}
		seen[key] = true
	}
	return nil
}

// checkCustomSupported is P11: every member who processes the commit, so not
// those it removes, supports the types that are not default.
func (s *state) checkCustomSupported(list *proposalList) error {
	if len(list.custom) == 0 {
		return nil
	}
	var gone []*message.LeafNode
	for _, p := range list.removes {
		gone = append(gone, s.epoch.tree.Leaf(p.proposal.Remove))
	}
	remaining := s.epoch.census.change(gone, nil)
	for _, p := range list.custom {
		if !remaining.allSupportProposal(p.proposal.Type) {
			return mlserr.New(mlserr.ProposalUnsupported, "P11: type "+strconv.Itoa(int(p.proposal.Type)))
		}
	}
	return nil
}

// checkKeysUnique is P5, P6, L8 and L9 for the leaves of Adds and Updates: in
// the tree that the list leads to, no key stands twice (C11).
func (e *epoch) checkKeysUnique(list *proposalList) error {
	if len(list.adds)+len(list.updates) == 0 {
		return nil
	}
	gone := make(map[treemath.LeafIndex]bool, len(list.removes)+len(list.updates))
	goneKeys := make(map[string]bool, len(list.removes)+len(list.updates))
	leave := func(i treemath.LeafIndex) {
		gone[i] = true
		goneKeys[string(e.tree.Leaf(i).EncryptionKey)] = true
	}
	for _, p := range list.updates {
		leave(p.sender.Leaf)
	}
	for _, p := range list.removes {
		leave(p.proposal.Remove)
	}
	seenSignature := make(map[string]bool, len(list.adds)+len(list.updates))
	seenEncryption := make(map[string]bool, len(list.adds)+len(list.updates))
	enter := func(leaf *message.LeafNode) error {
		if i, ok := e.tree.FindSignatureKey(leaf.SignatureKey); ok && !gone[i] || seenSignature[string(leaf.SignatureKey)] {
			return mlserr.New(mlserr.SignatureKeyNotUnique, "L8, P5, P6")
		}
		if e.tree.HasEncryptionKey(leaf.EncryptionKey) && !goneKeys[string(leaf.EncryptionKey)] || seenEncryption[string(leaf.EncryptionKey)] {
			return mlserr.New(mlserr.EncryptionKeyNotUnique, "L9")
		}
		seenSignature[string(leaf.SignatureKey)] = true
		seenEncryption[string(leaf.EncryptionKey)] = true
		return nil
	}
	for _, p := range list.updates {
		if err := enter(p.proposal.Update); err != nil {
			return err
		}
	}
	for _, p := range list.adds {
		if err := enter(&p.proposal.Add.LeafNode); err != nil {
			return err
		}
	}
	return nil
}
