package mls

import (
	"maps"
	"slices"
	"sort"

	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/tree"
)

// census counts what the members of a tree support, so that "supported by all
// members" costs a look-up and not a walk over the tree. Values are immutable;
// with and without return new ones.
type census struct {
	members     int
	extensions  map[message.ExtensionType]int  // non-default types listed
	proposals   map[message.ProposalType]int   // non-default types listed
	credentials map[message.CredentialType]int // types listed
	inUse       map[message.CredentialType]int // types of the members' own credentials
}

func newCensus(t *tree.Tree) *census {
	c := &census{
		extensions:  make(map[message.ExtensionType]int),
		proposals:   make(map[message.ProposalType]int),
		credentials: make(map[message.CredentialType]int),
		inUse:       make(map[message.CredentialType]int),
	}
	for _, leaf := range t.Leaves() {
		c.count(leaf, 1)
	}
	return c
}

// change returns the census after some leaves went and others came.
func (c *census) change(gone, come []*message.LeafNode) *census {
	next := &census{
		members:     c.members,
		extensions:  maps.Clone(c.extensions),
		proposals:   maps.Clone(c.proposals),
		credentials: maps.Clone(c.credentials),
		inUse:       maps.Clone(c.inUse),
	}
	for _, leaf := range gone {
		next.count(leaf, -1)
	}
	for _, leaf := range come {
		next.count(leaf, 1)
	}
	return next
}

func (c *census) count(leaf *message.LeafNode, by int) {
	c.members += by
	countTypes(c.extensions, leaf.Capabilities.Extensions, by)
	countTypes(c.proposals, leaf.Capabilities.Proposals, by)
	countTypes(c.credentials, leaf.Capabilities.Credentials, by)
	countTypes(c.inUse, []message.CredentialType{leaf.Credential.Type}, by)
}

// ascending reports whether a list is in order without a repetition, as most lists are.
func ascending[T ~uint16](list []T) bool {
	for i := 1; i < len(list); i++ {
		if list[i-1] >= list[i] {
			return false
		}
	}
	return true
}

// countTypes counts each type of a list once, however often a leaf lists it:
// else one leaf that lists a type twice would stand in for one that does not.
func countTypes[T ~uint16](counts map[T]int, list []T, by int) {
	once := list
	if !ascending(list) {
		once = slices.Clone(list)
		sort.Slice(once, func(i, j int) bool { return once[i] < once[j] })
		once = slices.Compact(once)
	}
	for _, t := range once {
		if n := counts[t] + by; n != 0 {
			counts[t] = n
		} else {
			delete(counts, t)
		}
	}
}

func (c *census) allSupportExtension(t message.ExtensionType) bool {
	return t.IsDefault() || c.extensions[t] == c.members
}

func (c *census) allSupportProposal(t message.ProposalType) bool {
	return t.IsDefault() || c.proposals[t] == c.members
}

func (c *census) allSupportCredential(t message.CredentialType) bool {
	return c.credentials[t] == c.members
}

// credentialsAgree reports whether every credential type in use is supported
// by every member (L4; RFC 9420, Section 7.3).
func (c *census) credentialsAgree() bool {
	for t := range c.inUse {
		if !c.allSupportCredential(t) {
			return false
		}
	}
	return true
}

// accepts reports whether a leaf's credential type is supported by every member
// and those in use by the leaf (L4).
func (c *census) accepts(leaf *message.LeafNode) bool {
	for t := range c.inUse {
		if !leaf.Capabilities.HasCredential(t) {
			return false
		}
	}
	return c.allSupportCredential(leaf.Credential.Type)
}

// grease returns a random one of the 15 values that mean nothing, in any
// registry (RFC 9420, Section 13.5).
func grease() uint16 {
	n := uint16(suite.Random(1)[0] % 15)
	return 0x0a0a + 0x1010*n
}

// Supported lists what the application supports beyond RFC 9420: the leaves of
// this client list it, so that groups may use it. Default types and GREASE
// values must not be in it.
type Supported struct {
	Extensions  []message.ExtensionType
	Proposals   []message.ProposalType
	Credentials []message.CredentialType
}

// check refuses what capabilities must not list. Code: INVALID_ARGUMENT.
func (s *Supported) check() error {
	if slices.ContainsFunc(s.Extensions, message.ExtensionType.IsDefault) || slices.ContainsFunc(s.Proposals, message.ProposalType.IsDefault) {
		return mlserr.New(mlserr.InvalidArgument, "L11: a default type in Supported")
	}
	return nil
}

// ownCapabilities are what the leaves of this client list (RFC 9420, Section
// 7.2). Default types are not listed. Each list has a GREASE value, so that
// others keep ignoring what they do not know.
func (c *Client) ownCapabilities(credential message.CredentialType) message.Capabilities {
	own := message.Capabilities{
		Versions:    []message.ProtocolVersion{message.MLS10},
		Extensions:  append(slices.Clone(c.supported.Extensions), message.ExtensionType(grease())),
		Proposals:   append(slices.Clone(c.supported.Proposals), message.ProposalType(grease())),
		Credentials: []message.CredentialType{message.CredentialBasic, message.CredentialX509},
	}
	for _, t := range append(slices.Clone(c.supported.Credentials), credential) {
		if !slices.Contains(own.Credentials, t) {
			own.Credentials = append(own.Credentials, t)
		}
	}
	for _, id := range suite.All() {
		if c.keys.Supports(id) {
			own.CipherSuites = append(own.CipherSuites, id)
		}
	}
	own.CipherSuites = append(own.CipherSuites, suite.ID(grease()))
	own.Credentials = append(own.Credentials, message.CredentialType(grease()))
	return own
}
