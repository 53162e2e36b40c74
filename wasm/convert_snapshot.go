//go:build js && wasm

package main

import (
	"strconv"
	"time"

	"webmls/mls"
	"webmls/mls/treemath"
)

// The snapshots of package mls, as convert.go makes the other values.

func clientSnapshotValue(s *mls.ClientSnapshot) any {
	return object{
		"revision": int(s.Revision), "identities": list(s.Identities, identitySnapshotValue), "psks": s.PSKs,
		"groups": list(s.Groups, bytesValue), "records": list(s.Records, recordSnapshotValue),
	}.value()
}

func identitySnapshotValue(i mls.IdentitySnapshot) any {
	return object{
		"id": bytesValue(i.ID), "suite": int(i.CipherSuite), "credential": credentialValue(i.Credential),
		"signatureKey": bytesValue(i.SignatureKey), "keyStorage": string(i.KeyStorage), "keyPackages": i.KeyPackages,
		"lastResort": i.LastResort, "expired": i.Expired,
	}.value()
}

func recordSnapshotValue(r mls.RecordSnapshot) any {
	return object{"kind": r.Kind, "count": r.Count, "bytes": r.Bytes}.value()
}

func groupSnapshotValue(s *mls.GroupSnapshot) any {
	return object{
		"group": bytesValue(s.GroupID), "status": string(s.Status), "suite": int(s.CipherSuite), "epoch": epochValue(s.Epoch),
		"revision": int(s.Revision), "ownLeaf": int(s.OwnLeaf), "rolledBack": s.RolledBack, "treeHash": bytesValue(s.TreeHash),
		"tree": list(s.Tree, nodeSnapshotValue), "members": list(s.Members, memberValue),
		"extensions": list(s.Extensions, extensionValue), "proposals": list(s.Proposals, proposalSnapshotValue),
		"pending": optionalPending(s.Pending), "senders": list(s.Senders, senderSnapshotValue), "past": list(s.Past, pastSnapshotValue),
		"resumptionPSKs": list(s.ResumptionPSKs, epochValue), "inbox": s.Inbox, "records": list(s.Records, recordSnapshotValue),
		"lastRejected": optionalRejection(s.LastRejected),
	}.value()
}

func nodeSnapshotValue(n mls.NodeSnapshot) any {
	return object{
		"kind": string(n.Kind), "key": optionalBytes(n.Key), "unmerged": list(n.Unmerged, leafNumber), "known": n.Known,
	}.value()
}

func senderSnapshotValue(s mls.SenderSnapshot) any {
	return object{
		"leaf": int(s.Leaf), "handshake": ratchetSnapshotValue(s.Handshake), "application": ratchetSnapshotValue(s.Application),
	}.value()
}

func ratchetSnapshotValue(r mls.RatchetSnapshot) any {
	return object{"next": int(r.Next), "skipped": r.Skipped}.value()
}

func proposalSnapshotValue(p mls.ProposalSnapshot) any {
	return object{
		"reference": bytesValue(p.Reference), "type": int(p.Type), "sender": senderValue(p.Sender), "dropped": p.Dropped,
	}.value()
}

func pendingSnapshotValue(p *mls.PendingSnapshot) any {
	return object{
		"epoch": epochValue(p.Epoch), "external": p.External, "added": list(p.Added, leafNumber),
		"removed": list(p.Removed, leafNumber), "updated": list(p.Updated, leafNumber),
		"commitSize": p.CommitSize, "welcomeSize": p.WelcomeSize,
	}.value()
}

// optionalPending is a pending commit, or nil.
func optionalPending(p *mls.PendingSnapshot) any {
	if p == nil {
		return nil
	}
	return pendingSnapshotValue(p)
}

func pastSnapshotValue(p mls.PastSnapshot) any {
	return object{"epoch": epochValue(p.Epoch), "ended": timeValue(p.Ended), "senders": list(p.Senders, senderSnapshotValue)}.value()
}

func rejectionValue(r *mls.Rejection) any {
	o := object{"code": string(r.Code), "detail": r.Detail, "time": timeValue(r.Time), "size": r.Size}
	if r.Header.WireFormat != 0 {
		o["header"] = headerValue(r.Header)
	}
	return o.value()
}

// optionalRejection is a rejection, or nil.
func optionalRejection(r *mls.Rejection) any {
	if r == nil {
		return nil
	}
	return rejectionValue(r)
}

// timeValue is a time in seconds since 1970, in decimal.
func timeValue(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func leafNumber(i treemath.LeafIndex) int { return int(i) }
