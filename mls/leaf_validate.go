package mls

import (
	"slices"
	"strconv"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/treemath"
)

// leafRules is what a leaf node is judged by (RFC 9420, Section 7.3), less its
// signature and its credential, which are checked for whole lists at once, and
// less the uniqueness of its keys, which is the tree's.
type leafRules struct {
	extensions message.Extensions // of the group context that will hold
	required   *message.RequiredCapabilities
	lifetimes  *lifetimeRules // nil: not checked
}

type lifetimeRules struct {
	now       int64 // Unix seconds
	skew, max int64 // seconds; a negative max is none
}

func newLeafRules(extensions message.Extensions, lifetimes *lifetimeRules) (*leafRules, error) {
	required, err := extensions.RequiredCapabilities()
	if err != nil {
		return nil, err
	}
	return &leafRules{extensions: extensions, required: required, lifetimes: lifetimes}, nil
}

// check applies every rule of Section 7.3 that one leaf can be judged by alone.
func (r *leafRules) check(leaf *message.LeafNode, source message.LeafNodeSource) error {
	if leaf.Source != source {
		return mlserr.New(mlserr.LeafNodeSource, "L7: "+strconv.Itoa(int(leaf.Source)))
	}
	if err := checkListedTypes(&leaf.Capabilities); err != nil {
		return err
	}
	if err := checkOwnTypes(leaf); err != nil {
		return err
	}
	if err := r.checkGroupNeeds(&leaf.Capabilities); err != nil {
		return err
	}
	if leaf.Source == message.LeafNodeSourceKeyPackage && r.lifetimes != nil {
		return r.lifetimes.check(leaf.Lifetime)
	}
	return nil
}

// checkListedTypes: capabilities do not list default types (L11; RFC 9420, Section 7.2).
func checkListedTypes(c *message.Capabilities) error {
	if slices.ContainsFunc(c.Extensions, message.ExtensionType.IsDefault) {
		return mlserr.New(mlserr.DefaultTypeListed, "L11: extensions")
	}
	if slices.ContainsFunc(c.Proposals, message.ProposalType.IsDefault) {
		return mlserr.New(mlserr.DefaultTypeListed, "L11: proposals")
	}
	return nil
}

// checkOwnTypes: what the leaf uses itself is in its capabilities (L3, L4, L6).
// GREASE values are no exception (X5; RFC 9420, Section 13.5).
func checkOwnTypes(leaf *message.LeafNode) error {
	if !slices.Contains(leaf.Capabilities.Versions, message.MLS10) {
		return mlserr.New(mlserr.CapabilityMissing, "L3: protocol version")
	}
	if !leaf.Capabilities.HasCredential(leaf.Credential.Type) {
		return mlserr.New(mlserr.CapabilityMissing, "L4: own credential type")
	}
	if err := checkCertificateKey(leaf); err != nil {
		return err
	}
	for i := range leaf.Extensions {
		t := leaf.Extensions[i].Type
		if !leaf.Capabilities.HasExtension(t) {
			return mlserr.New(mlserr.ExtensionNotListed, "L6: type "+strconv.Itoa(int(t)))
		}
		if t.IsDefault() && t != message.ExtensionApplicationID {
			return mlserr.New(mlserr.ExtensionNotListed, "L6: not allowed in a leaf: type "+strconv.Itoa(int(t)))
		}
	}
	return nil
}

// checkGroupNeeds: the leaf supports what the group context asks for (L3, L10).
func (r *leafRules) checkGroupNeeds(c *message.Capabilities) error {
	if !c.Meets(r.required) {
		return mlserr.New(mlserr.CapabilityMissing, "L3: required capabilities")
	}
	for i := range r.extensions {
		if t := r.extensions[i].Type; !c.HasExtension(t) {
			return mlserr.New(mlserr.CapabilityMissing, "L10: group context extension "+strconv.Itoa(int(t)))
		}
	}
	return nil
}

// check is L5 (RFC 9420, Section 7.2): begun, not over, and not too long.
func (r *lifetimeRules) check(l message.Lifetime) error {
	now := uint64(r.now)
	switch {
	case l.NotAfter < l.NotBefore:
		return mlserr.New(mlserr.LifetimeInvalid, "L5: ends before it begins")
	case r.max >= 0 && l.NotAfter-l.NotBefore > uint64(r.max):
		return mlserr.New(mlserr.LifetimeInvalid, "L5: longer than accepted")
	case l.NotBefore > now+uint64(r.skew):
		return mlserr.New(mlserr.LifetimeInvalid, "L5: not begun")
	case l.NotAfter < now:
		return mlserr.New(mlserr.LifetimeInvalid, "L5: over")
	}
	return nil
}

// checkGroupExtensions: the extensions of a group context may be there, and
// every member supports each of them and what they require (P17, L3, L10;
// RFC 9420, Section 12.1.7).
func checkGroupExtensions(extensions message.Extensions, c *census) error {
	if !extensions.Unique() {
		return mlserr.New(mlserr.DuplicateExtension, "D7: group context")
	}
	for i := range extensions {
		switch t := extensions[i].Type; t {
		case message.ExtensionRequiredCapabilities, message.ExtensionExternalSenders:
		case message.ExtensionApplicationID, message.ExtensionRatchetTree, message.ExtensionExternalPub:
			return mlserr.New(mlserr.GroupExtensionInvalid, "P17: not allowed in a group context: type "+strconv.Itoa(int(t)))
		default:
			if !c.allSupportExtension(t) {
				return mlserr.New(mlserr.GroupExtensionInvalid, "P17: not supported by all members: type "+strconv.Itoa(int(t)))
			}
		}
	}
	required, err := extensions.RequiredCapabilities()
	if err != nil {
		return err
	}
	if required != nil {
		for _, t := range required.Extensions {
			if !c.allSupportExtension(t) {
				return mlserr.New(mlserr.GroupExtensionInvalid, "P17: required extension "+strconv.Itoa(int(t)))
			}
		}
		for _, t := range required.Proposals {
			if !c.allSupportProposal(t) {
				return mlserr.New(mlserr.GroupExtensionInvalid, "P17: required proposal "+strconv.Itoa(int(t)))
			}
		}
		for _, t := range required.Credentials {
			if !c.allSupportCredential(t) {
				return mlserr.New(mlserr.GroupExtensionInvalid, "P17: required credential "+strconv.Itoa(int(t)))
			}
		}
	}
	_, err = extensions.ExternalSenders()
	return err
}

// atLeaf adds the leaf index to the detail of an error.
func atLeaf(err error, i treemath.LeafIndex) error {
	if e, ok := err.(*mlserr.Error); ok {
		return &mlserr.Error{Code: e.Code, Op: e.Op, Detail: e.Detail + ", leaf " + strconv.FormatUint(uint64(i), 10), Err: e.Err}
	}
	return err
}
