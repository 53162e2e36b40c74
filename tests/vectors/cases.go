package vectors

import "encoding/hex"

// The types below are the formats of test-vectors.md in mlswg/mls-implementations.

// Hex is binary data, in hexadecimal in JSON.
type Hex []byte

// MarshalText writes hexadecimal.
func (h Hex) MarshalText() ([]byte, error) {
	return hex.AppendEncode([]byte{}, h), nil
}

// UnmarshalText reads hexadecimal.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// TreeMath is a case of tree-math.json.
type TreeMath struct {
	NLeaves uint32    `json:"n_leaves"`
	NNodes  uint32    `json:"n_nodes"`
	Root    uint32    `json:"root"`
	Left    []*uint32 `json:"left"`
	Right   []*uint32 `json:"right"`
	Parent  []*uint32 `json:"parent"`
	Sibling []*uint32 `json:"sibling"`
}

// CryptoBasics is a case of crypto-basics.json.
type CryptoBasics struct {
	CipherSuite uint16 `json:"cipher_suite"`
	RefHash     struct {
		Label string `json:"label"`
		Value Hex    `json:"value"`
		Out   Hex    `json:"out"`
	} `json:"ref_hash"`
	ExpandWithLabel struct {
		Secret  Hex    `json:"secret"`
		Label   string `json:"label"`
		Context Hex    `json:"context"`
		Length  uint16 `json:"length"`
		Out     Hex    `json:"out"`
	} `json:"expand_with_label"`
	DeriveSecret struct {
		Secret Hex    `json:"secret"`
		Label  string `json:"label"`
		Out    Hex    `json:"out"`
	} `json:"derive_secret"`
	DeriveTreeSecret struct {
		Secret     Hex    `json:"secret"`
		Label      string `json:"label"`
		Generation uint32 `json:"generation"`
		Length     uint16 `json:"length"`
		Out        Hex    `json:"out"`
	} `json:"derive_tree_secret"`
	SignWithLabel struct {
		Priv      Hex    `json:"priv"`
		Pub       Hex    `json:"pub"`
		Content   Hex    `json:"content"`
		Label     string `json:"label"`
		Signature Hex    `json:"signature"`
	} `json:"sign_with_label"`
	EncryptWithLabel struct {
		Priv       Hex    `json:"priv"`
		Pub        Hex    `json:"pub"`
		Label      string `json:"label"`
		Context    Hex    `json:"context"`
		Plaintext  Hex    `json:"plaintext"`
		KEMOutput  Hex    `json:"kem_output"`
		Ciphertext Hex    `json:"ciphertext"`
	} `json:"encrypt_with_label"`
}

// Deserialization is a case of deserialization.json.
type Deserialization struct {
	VLBytesHeader Hex `json:"vlbytes_header"`
	Length        int `json:"length"`
}

// SecretTree is a case of secret-tree.json.
type SecretTree struct {
	CipherSuite uint16 `json:"cipher_suite"`
	SenderData  struct {
		SenderDataSecret Hex `json:"sender_data_secret"`
		Ciphertext       Hex `json:"ciphertext"`
		Key              Hex `json:"key"`
		Nonce            Hex `json:"nonce"`
	} `json:"sender_data"`
	EncryptionSecret Hex                      `json:"encryption_secret"`
	Leaves           [][]SecretTreeGeneration `json:"leaves"`
}

// SecretTreeGeneration is what the two ratchets of a leaf give at a generation.
type SecretTreeGeneration struct {
	Generation       uint32 `json:"generation"`
	HandshakeKey     Hex    `json:"handshake_key"`
	HandshakeNonce   Hex    `json:"handshake_nonce"`
	ApplicationKey   Hex    `json:"application_key"`
	ApplicationNonce Hex    `json:"application_nonce"`
}

// MessageProtection is a case of message-protection.json.
type MessageProtection struct {
	CipherSuite             uint16 `json:"cipher_suite"`
	GroupID                 Hex    `json:"group_id"`
	Epoch                   uint64 `json:"epoch"`
	TreeHash                Hex    `json:"tree_hash"`
	ConfirmedTranscriptHash Hex    `json:"confirmed_transcript_hash"`
	SignaturePriv           Hex    `json:"signature_priv"`
	SignaturePub            Hex    `json:"signature_pub"`
	EncryptionSecret        Hex    `json:"encryption_secret"`
	SenderDataSecret        Hex    `json:"sender_data_secret"`
	MembershipKey           Hex    `json:"membership_key"`
	Proposal                Hex    `json:"proposal"`
	ProposalPub             Hex    `json:"proposal_pub"`
	ProposalPriv            Hex    `json:"proposal_priv"`
	Commit                  Hex    `json:"commit"`
	CommitPub               Hex    `json:"commit_pub"`
	CommitPriv              Hex    `json:"commit_priv"`
	Application             Hex    `json:"application"`
	ApplicationPriv         Hex    `json:"application_priv"`
}

// KeySchedule is a case of key-schedule.json.
type KeySchedule struct {
	CipherSuite       uint16             `json:"cipher_suite"`
	GroupID           Hex                `json:"group_id"`
	InitialInitSecret Hex                `json:"initial_init_secret"`
	Epochs            []KeyScheduleEpoch `json:"epochs"`
}

// KeyScheduleEpoch is one epoch of a KeySchedule.
type KeyScheduleEpoch struct {
	TreeHash                Hex `json:"tree_hash"`
	CommitSecret            Hex `json:"commit_secret"`
	PSKSecret               Hex `json:"psk_secret"`
	ConfirmedTranscriptHash Hex `json:"confirmed_transcript_hash"`

	GroupContext       Hex `json:"group_context"`
	JoinerSecret       Hex `json:"joiner_secret"`
	WelcomeSecret      Hex `json:"welcome_secret"`
	InitSecret         Hex `json:"init_secret"`
	SenderDataSecret   Hex `json:"sender_data_secret"`
	EncryptionSecret   Hex `json:"encryption_secret"`
	ExporterSecret     Hex `json:"exporter_secret"`
	EpochAuthenticator Hex `json:"epoch_authenticator"`
	ExternalSecret     Hex `json:"external_secret"`
	ConfirmationKey    Hex `json:"confirmation_key"`
	MembershipKey      Hex `json:"membership_key"`
	ResumptionPSK      Hex `json:"resumption_psk"`
	ExternalPub        Hex `json:"external_pub"`
	Exporter           struct {
		Label   string `json:"label"`
		Context Hex    `json:"context"`
		Length  uint32 `json:"length"`
		Secret  Hex    `json:"secret"`
	} `json:"exporter"`
}

// PSKSecret is a case of psk_secret.json.
type PSKSecret struct {
	CipherSuite uint16 `json:"cipher_suite"`
	PSKs        []PSK  `json:"psks"`
	PSKSecret   Hex    `json:"psk_secret"`
}

// PSK is one external pre-shared key of a PSKSecret.
type PSK struct {
	PSKID    Hex `json:"psk_id"`
	PSK      Hex `json:"psk"`
	PSKNonce Hex `json:"psk_nonce"`
}

// TranscriptHashes is a case of transcript-hashes.json.
type TranscriptHashes struct {
	CipherSuite                  uint16 `json:"cipher_suite"`
	ConfirmationKey              Hex    `json:"confirmation_key"`
	AuthenticatedContent         Hex    `json:"authenticated_content"`
	InterimTranscriptHashBefore  Hex    `json:"interim_transcript_hash_before"`
	ConfirmedTranscriptHashAfter Hex    `json:"confirmed_transcript_hash_after"`
	InterimTranscriptHashAfter   Hex    `json:"interim_transcript_hash_after"`
}

// Welcome is a case of welcome.json.
type Welcome struct {
	CipherSuite uint16 `json:"cipher_suite"`
	InitPriv    Hex    `json:"init_priv"`
	SignerPub   Hex    `json:"signer_pub"`
	KeyPackage  Hex    `json:"key_package"`
	Welcome     Hex    `json:"welcome"`
}

// TreeOperations is a case of tree-operations.json.
type TreeOperations struct {
	CipherSuite    uint16 `json:"cipher_suite"`
	TreeBefore     Hex    `json:"tree_before"`
	Proposal       Hex    `json:"proposal"`
	ProposalSender uint32 `json:"proposal_sender"`
	TreeHashBefore Hex    `json:"tree_hash_before"`
	TreeAfter      Hex    `json:"tree_after"`
	TreeHashAfter  Hex    `json:"tree_hash_after"`
}

// TreeValidation is a case of tree-validation.json.
type TreeValidation struct {
	CipherSuite uint16     `json:"cipher_suite"`
	Tree        Hex        `json:"tree"`
	GroupID     Hex        `json:"group_id"`
	Resolutions [][]uint32 `json:"resolutions"`
	TreeHashes  []Hex      `json:"tree_hashes"`
}

// TreeKEM is a case of treekem.json.
type TreeKEM struct {
	CipherSuite             uint16              `json:"cipher_suite"`
	GroupID                 Hex                 `json:"group_id"`
	Epoch                   uint64              `json:"epoch"`
	ConfirmedTranscriptHash Hex                 `json:"confirmed_transcript_hash"`
	RatchetTree             Hex                 `json:"ratchet_tree"`
	LeavesPrivate           []TreeKEMLeaf       `json:"leaves_private"`
	UpdatePaths             []TreeKEMUpdatePath `json:"update_paths"`
}

// TreeKEMLeaf is what one member of a TreeKEM knows.
type TreeKEMLeaf struct {
	Index          uint32              `json:"index"`
	EncryptionPriv Hex                 `json:"encryption_priv"`
	SignaturePriv  Hex                 `json:"signature_priv"`
	PathSecrets    []TreeKEMPathSecret `json:"path_secrets"`
}

// TreeKEMPathSecret is the path secret of a parent that a TreeKEMLeaf knows.
type TreeKEMPathSecret struct {
	Node       uint32 `json:"node"`
	PathSecret Hex    `json:"path_secret"`
}

// TreeKEMUpdatePath is a path that one member of a TreeKEM made. PathSecrets
// has an element for each leaf, nil where the leaf gets no secret from the path.
type TreeKEMUpdatePath struct {
	Sender        uint32 `json:"sender"`
	UpdatePath    Hex    `json:"update_path"`
	PathSecrets   []*Hex `json:"path_secrets"`
	CommitSecret  Hex    `json:"commit_secret"`
	TreeHashAfter Hex    `json:"tree_hash_after"`
}

// Messages is a case of messages.json.
type Messages struct {
	MLSWelcome    Hex `json:"mls_welcome"`
	MLSGroupInfo  Hex `json:"mls_group_info"`
	MLSKeyPackage Hex `json:"mls_key_package"`

	RatchetTree  Hex `json:"ratchet_tree"`
	GroupSecrets Hex `json:"group_secrets"`

	AddProposal                    Hex `json:"add_proposal"`
	UpdateProposal                 Hex `json:"update_proposal"`
	RemoveProposal                 Hex `json:"remove_proposal"`
	PreSharedKeyProposal           Hex `json:"pre_shared_key_proposal"`
	ReInitProposal                 Hex `json:"re_init_proposal"`
	ExternalInitProposal           Hex `json:"external_init_proposal"`
	GroupContextExtensionsProposal Hex `json:"group_context_extensions_proposal"`

	Commit Hex `json:"commit"`

	PublicMessageApplication Hex `json:"public_message_application"`
	PublicMessageProposal    Hex `json:"public_message_proposal"`
	PublicMessageCommit      Hex `json:"public_message_commit"`
	PrivateMessage           Hex `json:"private_message"`
}

// PassiveClient is a case of the passive-client-*.json files. RatchetTree is
// nil where the tree is in the welcome.
type PassiveClient struct {
	CipherSuite               uint16               `json:"cipher_suite"`
	ExternalPSKs              []ExternalPSK        `json:"external_psks"`
	KeyPackage                Hex                  `json:"key_package"`
	SignaturePriv             Hex                  `json:"signature_priv"`
	EncryptionPriv            Hex                  `json:"encryption_priv"`
	InitPriv                  Hex                  `json:"init_priv"`
	Welcome                   Hex                  `json:"welcome"`
	RatchetTree               *Hex                 `json:"ratchet_tree"`
	InitialEpochAuthenticator Hex                  `json:"initial_epoch_authenticator"`
	Epochs                    []PassiveClientEpoch `json:"epochs"`
}

// ExternalPSK is a pre-shared key that a PassiveClient holds.
type ExternalPSK struct {
	PSKID Hex `json:"psk_id"`
	PSK   Hex `json:"psk"`
}

// PassiveClientEpoch is what leads a PassiveClient to its next epoch.
type PassiveClientEpoch struct {
	Proposals          []Hex `json:"proposals"`
	Commit             Hex   `json:"commit"`
	EpochAuthenticator Hex   `json:"epoch_authenticator"`
}
