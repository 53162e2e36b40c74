package service

import (
	"encoding/binary"
	"testing"
)

// fromOutside is a PublicMessage whose sender is not in the group yet (RFC 9420,
// Section 6): 3 for an external proposal, 4 for an external commit.
func fromOutside(sender byte, group string, epoch uint64, contentType byte, label string) []byte {
	b := opaque(mlsMessage(1), group)
	b = binary.BigEndian.AppendUint64(b, epoch)
	b = append(b, sender)
	b = opaque(b, "") // authenticated_data
	b = append(b, contentType)
	return append(b, label...)
}

const (
	newMemberProposal = 3
	newMemberCommit   = 4
)

// A stranger who knows the id of a group cannot end it, nor take any epoch of it.
func TestMembers(t *testing.T) {
	b := start(t)
	alice, bob, mallory := b.connect("alice"), b.connect("bob"), b.connect("mallory")
	g := []byte("g")
	message := func(m []byte) fields { return fields{"group": g, "message": m} }
	accepted := func(c *client, f fields) {
		t.Helper()
		if got := c.ok("publishCommit", f); got["accepted"] != true {
			t.Errorf("not accepted: %v", got)
		}
	}
	add := message(privateMessage("g", 0, commit, "add bob"))
	add["welcomes"] = []fields{{"to": []fields{{"name": "bob", "device": "phone"}}, "welcome": welcomeMessage("to bob")}}
	accepted(alice, add)

	garbage := message(privateMessage("g", 1, commit, "garbage"))
	garbage["welcomes"] = []fields{{"to": []string{"mallory"}, "welcome": welcomeMessage("to myself")}}
	garbage["groupInfo"] = groupInfo("g", 2, "")
	garbage["members"] = []string{"mallory"}
	mallory.refused("NOT_A_MEMBER", "publishCommit", garbage)
	mallory.refused("NOT_A_MEMBER", "publishCommit", message(publicMessage("g", 1, commit, "garbage")))
	mallory.refused("NOT_A_MEMBER", "publishCommit", message(fromOutside(newMemberCommit, "g", 1, commit, "garbage")))
	mallory.refused("NOT_A_MEMBER", "publish", message(privateMessage("g", 1, proposal, "garbage")))
	mallory.refused("NOT_A_MEMBER", "publish", message(privateMessage("g", 1, application, "garbage")))
	mallory.refused("NOT_A_MEMBER", "publish", message(fromOutside(newMemberProposal, "g", 1, proposal, "garbage")))
	mallory.refused("NOT_A_MEMBER", "publishGroupInfo", fields{"group": g, "groupInfo": groupInfo("g", 1, "garbage")})

	bob.ok("publish", message(privateMessage("g", 1, proposal, "of bob")))
	accepted(bob, message(privateMessage("g", 1, commit, "of bob")))

	// Members who keep a GroupInfo at the service let others join by it.
	bob.ok("publishGroupInfo", fields{"group": g, "groupInfo": groupInfo("g", 2, "")})
	carol := b.connect("carol")
	carol.ok("publish", message(fromOutside(newMemberProposal, "g", 2, proposal, "add me")))
	carol.refused("NOT_A_MEMBER", "publishCommit", message(privateMessage("g", 2, commit, "garbage")))
	accepted(carol, message(fromOutside(newMemberCommit, "g", 2, commit, "I join")))
	carol.ok("publish", message(privateMessage("g", 3, application, "here I am")))

	// Who is left out may not publish any more, and reads why.
	remove := message(privateMessage("g", 3, commit, "remove bob"))
	remove["members"] = []string{"alice", "carol"}
	accepted(alice, remove)
	bob.refused("NOT_A_MEMBER", "publishCommit", message(privateMessage("g", 4, commit, "garbage")))
	bob.refused("NOT_A_MEMBER", "publish", message(privateMessage("g", 3, application, "garbage")))
	if got := bob.ok("publishCommit", message(privateMessage("g", 3, commit, "slower than the removal"))); got["accepted"] != false || got["epoch"] != "4" {
		t.Errorf("a commit that lost against the removal: %v", got)
	}
	bob.ok("subscribe", fields{"group": g})
	accepted(carol, message(privateMessage("g", 4, commit, "of carol")))

	remove["members"] = []string{"alice", ""}
	alice.refused("NAME_INVALID", "publishCommit", remove)
	remove["members"] = make([]string, 16385)
	alice.refused("TOO_MANY", "publishCommit", remove)
}
