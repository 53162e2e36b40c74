package mls

import (
	"webmls/mls/message"
	"webmls/mls/suite"
	"webmls/mls/treemath"
)

// EventType says what a message turned out to be.
type EventType string

// Event types.
const (
	// EventApplication: application data. It stays in the inbox until it is acknowledged.
	EventApplication EventType = "application"
	// EventProposal: a proposal was received and waits for a commit.
	EventProposal EventType = "proposal"
	// EventGroupUpdate: a commit was applied; the group is in a new epoch.
	EventGroupUpdate EventType = "group-update"
	// EventOwn: a message that this client sent itself came back.
	EventOwn EventType = "own"
	// EventRemoved: a commit removed this client from the group.
	EventRemoved EventType = "removed"
)

// Member is a leaf of the tree in some epoch.
type Member struct {
	Leaf         treemath.LeafIndex
	Credential   message.Credential
	SignatureKey []byte
	Own          bool
}

// MemberDetails is all that the leaf of a member says (RFC 9420, Section 7.2).
type MemberDetails struct {
	Member
	EncryptionKey []byte
	Capabilities  message.Capabilities
	Extensions    message.Extensions // of the leaf
	Lifetime      *message.Lifetime  // nil once the member has updated its leaf
}

// Event is what Group.Receive and Group.ApplyPendingCommit return.
type Event struct {
	Type    EventType
	GroupID []byte
	// Epoch is the message's epoch; for EventGroupUpdate and EventRemoved the
	// epoch that the commit begins.
	Epoch uint64
	// Sender is the member who sent the message, as it was in the message's
	// epoch; nil when the sender is no member.
	Sender            *Member
	AuthenticatedData []byte

	InboxID  uint64        // EventApplication
	Content  []byte        // EventApplication
	Proposal *ProposalInfo // EventProposal
	Update   *UpdateInfo   // EventGroupUpdate, EventRemoved
}

// ProposalInfo describes a cached proposal.
type ProposalInfo struct {
	Reference []byte // ProposalRef, KDF.Nh bytes
	Proposal  *message.Proposal
	Sender    message.Sender
	// Message is the MLSMessage of a proposal of one's own: to be sent again
	// when it may not have left before a crash. nil for those of others.
	Message []byte
}

// UpdateInfo says what a commit did.
type UpdateInfo struct {
	Own               bool // the commit was this client's
	External          bool // the committer joined by it (RFC 9420, Section 12.4.3.2)
	Committer         *Member
	Added             []Member
	Removed           []Member // as they were before
	Updated           []Member // as they are now; the committer not among them
	ExtensionsChanged bool
	PSKs              int
	Custom            []message.Proposal // of types beyond RFC 9420: the application's to carry out
	ReInit            *message.ReInit    // the group is read-only now
}

// InboxEntry is application data that was received and not yet acknowledged.
type InboxEntry struct {
	ID    uint64
	Event *Event
}

// Status is the life of a group at this client.
//
//	joining --own commit accepted--> active --ReInit committed--> read-only
//	                                   |                             |
//	                                   +--------removed by a commit--+--> removed
type Status string

// Statuses.
const (
	StatusJoining  Status = "joining"   // an external commit of one's own is pending; not a member yet
	StatusActive   Status = "active"    // a member
	StatusReadOnly Status = "read-only" // reinitialized (RFC 9420, Section 11.2): no more changes, no sending
	StatusRemoved  Status = "removed"   // no longer a member; all secrets are gone, the inbox is left
)

// Info is a summary of a group.
type Info struct {
	GroupID            []byte
	Status             Status
	Epoch              uint64
	CipherSuite        suite.ID
	OwnLeaf            treemath.LeafIndex
	MemberCount        int
	EpochAuthenticator []byte // KDF.Nh bytes (RFC 9420, Section 8.7)
	TreeHash           []byte // KDF.Nh bytes
	Extensions         message.Extensions
	HasPendingCommit   bool
	PendingProposals   int
	ReInit             *message.ReInit // StatusReadOnly: what the group continues as
	// RolledBack: the state was restored from a backup or cloned, and has sent
	// more than it knows of. Nothing is sent before a commit with a path, or an
	// external one with Resync, was applied.
	RolledBack bool
}
