package vectors_test

import (
	"encoding/binary"
	"testing"

	"webmls/mls/message"
	"webmls/mls/wire"
	"webmls/tests/vectors"
)

func TestMessages(t *testing.T) {
	run(t, "messages", 300, checkMessages)
}

func checkMessages(t *testing.T, c vectors.Messages) {
	for _, m := range []struct {
		field       string
		data        []byte
		wireFormat  message.WireFormat
		contentType message.ContentType
	}{
		{"mls_welcome", c.MLSWelcome, message.WireFormatWelcome, 0},
		{"mls_group_info", c.MLSGroupInfo, message.WireFormatGroupInfo, 0},
		{"mls_key_package", c.MLSKeyPackage, message.WireFormatKeyPackage, 0},
		{"public_message_application", c.PublicMessageApplication, message.WireFormatPublicMessage, message.ContentTypeApplication},
		{"public_message_proposal", c.PublicMessageProposal, message.WireFormatPublicMessage, message.ContentTypeProposal},
		{"public_message_commit", c.PublicMessageCommit, message.WireFormatPublicMessage, message.ContentTypeCommit},
		{"private_message", c.PrivateMessage, message.WireFormatPrivateMessage, 0},
	} {
		var msg message.MLSMessage
		encodesAgain(t, m.field, m.data, &msg)
		if msg.WireFormat != m.wireFormat {
			t.Errorf("%s: wire format %d, want %d", m.field, msg.WireFormat, m.wireFormat)
		}
		if msg.Public != nil && msg.Public.Content.ContentType != m.contentType {
			t.Errorf("%s: content type %d, want %d", m.field, msg.Public.Content.ContentType, m.contentType)
		}
	}

	encodesAgain(t, "ratchet_tree", c.RatchetTree, new(message.RatchetTree))
	encodesAgain(t, "group_secrets", c.GroupSecrets, new(message.GroupSecrets))
	encodesAgain(t, "commit", c.Commit, new(message.Commit))

	// The vectors have what follows the type of a proposal.
	for _, p := range []struct {
		field string
		data  []byte
		kind  message.ProposalType
	}{
		{"add_proposal", c.AddProposal, message.ProposalAdd},
		{"update_proposal", c.UpdateProposal, message.ProposalUpdate},
		{"remove_proposal", c.RemoveProposal, message.ProposalRemove},
		{"pre_shared_key_proposal", c.PreSharedKeyProposal, message.ProposalPSK},
		{"re_init_proposal", c.ReInitProposal, message.ProposalReInit},
		{"external_init_proposal", c.ExternalInitProposal, message.ProposalExternalInit},
		{"group_context_extensions_proposal", c.GroupContextExtensionsProposal, message.ProposalGroupContextExtensions},
	} {
		data := append(binary.BigEndian.AppendUint16(nil, uint16(p.kind)), p.data...)
		encodesAgain(t, p.field, data, new(message.Proposal))
	}
}

// encodesAgain decodes data into v and checks that v encodes to the same bytes.
func encodesAgain(t *testing.T, field string, data []byte, v interface {
	wire.Marshaler
	wire.Unmarshaler
}) {
	t.Helper()
	if len(data) == 0 {
		t.Fatalf("%s: missing", field)
	}
	if err := wire.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", field, err)
	}
	equal(t, field, wire.Marshal(v), data)
}
