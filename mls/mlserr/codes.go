package mlserr

// The codes. Each is described in the table below.
const (
	// Decoding.
	Malformed          Code = "MALFORMED"
	UnknownWireFormat  Code = "UNKNOWN_WIRE_FORMAT"
	UnknownVersion     Code = "UNKNOWN_VERSION"
	PaddingNotZero     Code = "PADDING_NOT_ZERO"
	DuplicateExtension Code = "DUPLICATE_EXTENSION"
	MalformedTree      Code = "MALFORMED_TREE"
	UnmergedLeaves     Code = "UNMERGED_LEAVES_INVALID"
	TooLarge           Code = "TOO_LARGE"

	// Cryptography.
	DecryptionFailed Code = "DECRYPTION_FAILED"
	InvalidSignature Code = "INVALID_SIGNATURE"
	InvalidPublicKey Code = "INVALID_PUBLIC_KEY"
	UnknownSuite     Code = "UNSUPPORTED_CIPHER_SUITE"
	KeysExtractable  Code = "KEYS_EXTRACTABLE"

	// Framing.
	WrongGroup         Code = "WRONG_GROUP"
	EpochAhead         Code = "EPOCH_AHEAD"
	EpochBehind        Code = "EPOCH_BEHIND"
	AlreadyProcessed   Code = "ALREADY_PROCESSED"
	InvalidSender      Code = "INVALID_SENDER"
	WrongWireFormat    Code = "WRONG_WIRE_FORMAT"
	MembershipTag      Code = "MEMBERSHIP_TAG_INVALID"
	ConfirmationTag    Code = "CONFIRMATION_TAG_INVALID"
	SenderNotAllowed   Code = "SENDER_NOT_ALLOWED"
	ContentTypeInvalid Code = "CONTENT_TYPE_INVALID"
	GenerationTooFar   Code = "GENERATION_TOO_FAR"
	GenerationsSpent   Code = "GENERATIONS_SPENT"

	// Leaf nodes and key packages.
	CredentialRejected     Code = "CREDENTIAL_REJECTED"
	SuccessorRejected      Code = "SUCCESSOR_REJECTED"
	LeafNodeSource         Code = "LEAF_NODE_SOURCE_INVALID"
	CapabilityMissing      Code = "CAPABILITY_MISSING"
	LifetimeInvalid        Code = "LIFETIME_INVALID"
	ExtensionNotListed     Code = "EXTENSION_NOT_LISTED"
	SignatureKeyNotUnique  Code = "SIGNATURE_KEY_NOT_UNIQUE"
	EncryptionKeyNotUnique Code = "ENCRYPTION_KEY_NOT_UNIQUE"
	EncryptionKeyReused    Code = "ENCRYPTION_KEY_REUSED"
	DefaultTypeListed      Code = "DEFAULT_TYPE_LISTED"
	InitKeyReused          Code = "INIT_KEY_REUSED"
	KeyPackageMismatch     Code = "KEY_PACKAGE_MISMATCH"

	// Proposals.
	ProposalUnknown       Code = "PROPOSAL_UNKNOWN"
	ProposalListInvalid   Code = "PROPOSAL_LIST_INVALID"
	ProposalUnsupported   Code = "PROPOSAL_UNSUPPORTED"
	RemoveTargetBlank     Code = "REMOVE_TARGET_BLANK"
	PSKInvalid            Code = "PSK_INVALID"
	PSKUnknown            Code = "PSK_UNKNOWN"
	ReInitInvalid         Code = "REINIT_INVALID"
	GroupExtensionInvalid Code = "GROUP_EXTENSION_INVALID"

	// Commits.
	PathMissing           Code = "PATH_MISSING"
	PathInvalid           Code = "PATH_INVALID"
	PathKeyMismatch       Code = "PATH_KEY_MISMATCH"
	ParentHashInvalid     Code = "PARENT_HASH_INVALID"
	ExternalCommitInvalid Code = "EXTERNAL_COMMIT_INVALID"
	OwnMessageUnknown     Code = "OWN_MESSAGE_UNKNOWN"

	// Joining.
	NoMatchingKeyPackage Code = "NO_MATCHING_KEY_PACKAGE"
	GroupExists          Code = "GROUP_EXISTS"
	TreeMissing          Code = "TREE_MISSING"
	TreeHashMismatch     Code = "TREE_HASH_MISMATCH"
	LeafMismatch         Code = "LEAF_MISMATCH"
	GroupInfoInvalid     Code = "GROUP_INFO_INVALID"
	WelcomeInvalid       Code = "WELCOME_INVALID"

	// State.
	GroupNotFound    Code = "GROUP_NOT_FOUND"
	GroupReadOnly    Code = "GROUP_READ_ONLY"
	NotMember        Code = "NOT_A_MEMBER"
	PendingCommit    Code = "PENDING_COMMIT"
	NoPendingCommit  Code = "NO_PENDING_COMMIT"
	PendingProposals Code = "PENDING_PROPOSALS"
	InvalidArgument  Code = "INVALID_ARGUMENT"
	Closed           Code = "CLOSED"
	IdentityNotFound Code = "IDENTITY_NOT_FOUND"
	Authenticator    Code = "AUTHENTICATOR_FAILED"
	DatabaseLocked   Code = "DATABASE_LOCKED"
	UnlockFailed     Code = "UNLOCK_FAILED"
	LockUnsupported  Code = "LOCK_UNSUPPORTED"
	RolledBack       Code = "STATE_ROLLED_BACK"

	// Storage and faults.
	StoreFailed      Code = "STORE_FAILED"
	StoreQuota       Code = "STORE_QUOTA"
	StoreBlocked     Code = "STORE_BLOCKED"
	StoreUnavailable Code = "STORE_UNAVAILABLE"
	StoreDeleted     Code = "STORE_DELETED"
	Stale            Code = "STALE"
	StateCorrupt     Code = "STATE_CORRUPT"
	StateTampered    Code = "STATE_TAMPERED"
	StateVersion     Code = "STATE_VERSION"
	KeyNotFound      Code = "KEY_NOT_FOUND"
	Cancelled        Code = "CANCELLED"
	InstanceFailed   Code = "INSTANCE_FAILED"
	InstanceDied     Code = "INSTANCE_DIED"
	Internal         Code = "INTERNAL"
)

var table = []Info{
	{Malformed, ClassMalformed, "2.1", "the bytes do not decode"},
	{UnknownWireFormat, ClassMalformed, "6", "the wire format is unknown"},
	{UnknownVersion, ClassMalformed, "6", "the protocol version is unknown"},
	{PaddingNotZero, ClassMalformed, "6.3.1", "the padding holds a byte that is not zero"},
	{DuplicateExtension, ClassMalformed, "13.4", "an extension type occurs twice in one list"},
	{MalformedTree, ClassMalformed, "12.4.3.3", "the ratchet tree is not a well-formed array of nodes"},
	{UnmergedLeaves, ClassMalformed, "7.1", "unmerged leaves are not sorted, unique, non-blank descendants"},
	{TooLarge, ClassMalformed, "", "the input is larger than this module accepts"},

	{DecryptionFailed, ClassRejected, "5.2", "a ciphertext does not open"},
	{InvalidSignature, ClassRejected, "5.1.2", "a signature does not verify"},
	{InvalidPublicKey, ClassRejected, "5.1.1", "a public key is not valid for the cipher suite"},
	{UnknownSuite, ClassUnsupported, "5.1", "the cipher suite is not supported here"},
	{KeysExtractable, ClassUnsupported, "", "private keys of this cipher suite can be read here, and must not be"},

	{WrongGroup, ClassRejected, "6", "the message is for another group"},
	{EpochAhead, ClassEpoch, "6", "the message is for an epoch that this group has not reached"},
	{EpochBehind, ClassEpoch, "6", "the message is for an epoch that is past"},
	{AlreadyProcessed, ClassEpoch, "6", "the message was processed before"},
	{InvalidSender, ClassRejected, "6.3.2", "the sender is not a non-blank leaf of the tree"},
	{WrongWireFormat, ClassRejected, "6", "the content may not travel in this wire format"},
	{MembershipTag, ClassRejected, "6.2", "the membership tag is wrong"},
	{ConfirmationTag, ClassRejected, "6.1", "the confirmation tag is wrong"},
	{SenderNotAllowed, ClassRejected, "12.1.8", "this kind of sender may not send this content"},
	{ContentTypeInvalid, ClassRejected, "6", "the content type does not fit"},
	{GenerationTooFar, ClassRejected, "9", "the generation is further ahead than this module follows"},
	{GenerationsSpent, ClassState, "15.2", "this epoch's keys have reached their usage limit; commit an update"},

	{CredentialRejected, ClassRejected, "5.3.1", "the authenticator does not accept the credential"},
	{SuccessorRejected, ClassRejected, "5.3.1", "the authenticator does not accept the new credential as a successor of the old"},
	{LeafNodeSource, ClassRejected, "7.3", "the leaf node's source does not fit its place"},
	{CapabilityMissing, ClassRejected, "7.3", "a member does not support what the group needs"},
	{LifetimeInvalid, ClassRejected, "7.3", "the lifetime is over, has not begun, or is too long"},
	{ExtensionNotListed, ClassRejected, "7.3", "a leaf extension is not listed in the leaf's capabilities or not allowed in a leaf"},
	{SignatureKeyNotUnique, ClassRejected, "7.3", "a signature key occurs twice among the members"},
	{EncryptionKeyNotUnique, ClassRejected, "7.3", "an encryption key occurs twice in the tree"},
	{EncryptionKeyReused, ClassRejected, "7.3", "an update does not bring a new encryption key"},
	{DefaultTypeListed, ClassRejected, "7.2", "capabilities list a default type"},
	{InitKeyReused, ClassRejected, "10.1", "the init key is not fresh"},
	{KeyPackageMismatch, ClassRejected, "10.1", "the key package's version or cipher suite is not the group's"},

	{ProposalUnknown, ClassEpoch, "12.4", "the commit names a proposal that was not received"},
	{ProposalListInvalid, ClassRejected, "12.2", "the list of proposals is not valid"},
	{ProposalUnsupported, ClassRejected, "12.2", "a proposal type is not supported by every member"},
	{RemoveTargetBlank, ClassRejected, "12.1.3", "the leaf to remove is blank"},
	{PSKInvalid, ClassRejected, "12.1.4", "the pre-shared key proposal is not valid"},
	{PSKUnknown, ClassState, "12.4.2", "the pre-shared key is not known here"},
	{ReInitInvalid, ClassRejected, "11.2", "the reinitialization is not valid"},
	{GroupExtensionInvalid, ClassRejected, "12.1.7", "the group context extensions are not valid for every member"},

	{PathMissing, ClassRejected, "12.4", "the proposals require an update path and the commit has none"},
	{PathInvalid, ClassRejected, "7.5", "the update path does not fit the tree"},
	{PathKeyMismatch, ClassRejected, "7.5", "a public key in the path is not the one that the path secret gives"},
	{ParentHashInvalid, ClassRejected, "7.9.2", "a parent hash does not hold"},
	{ExternalCommitInvalid, ClassRejected, "12.4.3.2", "the external commit breaks a rule"},
	{OwnMessageUnknown, ClassRejected, "12.4.2", "the message is by this member, but not one that this client knows of"},

	{NoMatchingKeyPackage, ClassState, "12.4.3.1", "the welcome is for none of the key packages held here"},
	{GroupExists, ClassState, "12.4.3.1", "a group with this id is held already"},
	{TreeMissing, ClassState, "12.4.3.3", "the ratchet tree is neither in the message nor given apart"},
	{TreeHashMismatch, ClassRejected, "12.4.3.1", "the tree hash is not that of the group context"},
	{LeafMismatch, ClassRejected, "12.4.3.1", "the own leaf is not that of the key package"},
	{GroupInfoInvalid, ClassRejected, "12.4.3", "the group info is not valid"},
	{WelcomeInvalid, ClassRejected, "12.4.3.1", "the welcome is not valid"},

	{GroupNotFound, ClassState, "", "no group with this id is held here"},
	{GroupReadOnly, ClassState, "11.2", "the group was reinitialized and is read-only"},
	{NotMember, ClassState, "", "this client is no longer a member of the group"},
	{PendingCommit, ClassState, "14", "a commit of one's own is pending; apply or clear it first"},
	{NoPendingCommit, ClassState, "14", "no commit is pending"},
	{PendingProposals, ClassState, "12.4", "proposals are waiting; commit them before application data is sent"},
	{InvalidArgument, ClassState, "", "an argument is not valid"},
	{Closed, ClassState, "", "the client is closed"},
	{IdentityNotFound, ClassState, "", "no such identity is held here"},
	{Authenticator, ClassState, "5.3.1", "the application's authenticator failed; nothing was accepted or changed"},
	{DatabaseLocked, ClassState, "", "the database has a lock, and what opens it was not given"},
	{UnlockFailed, ClassState, "", "what was given does not open the lock of the database"},
	{LockUnsupported, ClassUnsupported, "", "this browser or authenticator cannot lock a database in this way"},
	{RolledBack, ClassState, "9.2", "the state was restored from a backup or cloned, and has sent more than it knows of; commit with a path before sending again"},

	{StoreFailed, ClassStorage, "", "the store failed; the group was dropped from memory and loads again"},
	{StoreQuota, ClassStorage, "", "the storage is full"},
	{StoreBlocked, ClassStorage, "", "another tab holds an older version of the database open"},
	{StoreUnavailable, ClassStorage, "", "there is no storage here, or it may not be used"},
	{StoreDeleted, ClassStorage, "", "the database was deleted while it was open"},
	{Stale, ClassStorage, "", "another writer was faster; the group loads again"},
	{StateCorrupt, ClassStorage, "", "a stored record does not decode"},
	{StateTampered, ClassStorage, "", "a stored record was altered, exchanged, removed or rolled back"},
	{StateVersion, ClassStorage, "", "the stored state has a format of another version"},
	{KeyNotFound, ClassStorage, "", "a private key is not in the key store"},
	{Cancelled, ClassStorage, "", "the operation was cancelled"},
	{InstanceFailed, ClassInternal, "", "the WebAssembly instance could not be started"},
	{InstanceDied, ClassInternal, "", "the WebAssembly instance ended"},
	{Internal, ClassInternal, "", "a fault in this module"},
}
