//go:build !js

package message_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"webmls/mls/message"
)

// vectorFolders are where the official vectors may be; MLS_VECTORS comes first.
var vectorFolders = []string{"../../tests/vectors/official", "../../../shared/vectors/mls-implementations"}

// official holds the fields of messages.json, or nothing where it is missing.
var official = sync.OnceValue(func() []map[string]string {
	for _, folder := range append([]string{os.Getenv("MLS_VECTORS")}, vectorFolders...) {
		data, err := os.ReadFile(filepath.Join(folder, "messages.json"))
		var cases []map[string]string
		if folder != "" && err == nil && json.Unmarshal(data, &cases) == nil {
			return cases
		}
	}
	return nil
})

// officialSeeds returns what the official vectors have of a kind, from a few of
// the cases. It returns nothing where they are missing: they are seeds only, and
// are tested in tests/vectors.
func officialSeeds(name string) (seeds [][]byte) {
	const most = 3
	for i, c := range official() {
		if i == most {
			break
		}
		for field, value := range c {
			b, err := hex.DecodeString(value)
			if err != nil {
				continue
			}
			if kind, data := kindOfField(field, b); kind == name {
				seeds = append(seeds, data)
			}
		}
	}
	return seeds
}

// kindOfField tells what a field of messages.json is. A proposal there is
// without its type.
func kindOfField(field string, b []byte) (kind string, data []byte) {
	switch field {
	case "ratchet_tree":
		return "RatchetTree", b
	case "group_secrets":
		return "GroupSecrets", b
	case "commit":
		return "Commit", b
	case "mls_key_package":
		// Also as what is in it.
		if len(b) > 4 {
			return "KeyPackage", b[4:]
		}
	case "mls_group_info":
		if len(b) > 4 {
			return "GroupInfo", b[4:]
		}
	case "mls_welcome", "private_message":
		return "MLSMessage", b
	}
	if strings.HasPrefix(field, "public_message_") {
		return "MLSMessage", b
	}
	for t, prefix := range map[message.ProposalType]string{
		message.ProposalAdd: "add", message.ProposalUpdate: "update", message.ProposalRemove: "remove", message.ProposalPSK: "pre_shared_key",
		message.ProposalReInit: "re_init", message.ProposalExternalInit: "external_init", message.ProposalGroupContextExtensions: "group_context_extensions",
	} {
		if field == prefix+"_proposal" {
			return "Proposal", append(binary.BigEndian.AppendUint16(nil, uint16(t)), b...)
		}
	}
	return "", nil
}
