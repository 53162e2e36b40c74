package mls

import (
	"context"

	"webmls/mls/message"
	"webmls/mls/treemath"
)

// Place says where a credential was presented.
type Place string

// Places. Wherever a new leaf comes from, the Authenticator sees it.
const (
	PlaceKeyPackage     Place = "key_package"     // an Add, by proposal or in a commit
	PlaceUpdate         Place = "update"          // an Update proposal
	PlaceCommit         Place = "commit"          // the path of a member's commit
	PlaceExternal       Place = "external"        // the path of an external commit
	PlaceTree           Place = "tree"            // a leaf of the tree of a group being joined
	PlaceExternalSender Place = "external_sender" // an entry of external_senders
)

// Claim is a credential together with the key that it is presented for
// (RFC 9420, Section 5.3.1).
type Claim struct {
	GroupID      []byte
	Credential   message.Credential
	SignatureKey []byte
	Leaf         treemath.LeafIndex // meaningful for a leaf that is in the tree
	Place        Place
}

// Authenticator is the Authentication Service of RFC 9420, Section 5.3.1, as
// the application knows it. It is asked before anything is accepted. An error
// refuses; its text may reach the caller, so it must hold no secret.
type Authenticator interface {
	// Authenticate accepts every claim of the list, or refuses. One call has
	// all the claims of an operation: every leaf of a joined tree, say. They may be
	// asked about while the signatures of the leaves are still being verified, and so
	// in vain.
	Authenticate(ctx context.Context, claims []Claim) error
	// Succeeds accepts that the client of the claim next takes the place of
	// the client of the claim old: an Update or commit with another
	// credential, or a resync that removes its own former leaf.
	Succeeds(ctx context.Context, old, next Claim) error
}
