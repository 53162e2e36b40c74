package store

import (
	"encoding/binary"
	"errors"
)

// Welcome is one Welcome message and the devices it is for.
type Welcome struct {
	To      []Address
	Message []byte
}

// commitRecord is what one message on a commit subject holds. The welcomes and
// the GroupInfo are stored with the commit, in one write, so that there is no
// moment at which the commit is accepted and they could be lost.
//
//	version 2 | commit | GroupInfo | number of welcomes |
//	    for each: message | number of addresses | addresses | members
//
// Each byte string has its length before it; lengths and numbers are uvarints.
// Version 1 ends before the members.
type commitRecord struct {
	Commit    []byte
	GroupInfo []byte // empty where none was published with the commit
	Welcomes  []Welcome
	Members   []byte // who may publish after the commit; empty where the group has no list
}

const (
	recordVersion        = 2
	recordWithoutMembers = 1
)

var errRecord = errors.New("store: malformed commit record")

func (r *commitRecord) marshal() []byte {
	size := 32 + len(r.Commit) + len(r.GroupInfo) + len(r.Members)
	for _, w := range r.Welcomes {
		size += 16 + len(w.Message)
		for _, to := range w.To {
			size += 4 + len(to)
		}
	}
	b := make([]byte, 0, size)
	b = append(b, recordVersion)
	b = appendBytes(b, r.Commit)
	b = appendBytes(b, r.GroupInfo)
	b = binary.AppendUvarint(b, uint64(len(r.Welcomes)))
	for _, w := range r.Welcomes {
		b = appendBytes(b, w.Message)
		b = binary.AppendUvarint(b, uint64(len(w.To)))
		for _, to := range w.To {
			b = appendBytes(b, []byte(to))
		}
	}
	return appendBytes(b, r.Members)
}

// unmarshalCommitRecord reads a record; the byte strings point into b.
func unmarshalCommitRecord(b []byte) (*commitRecord, error) {
	if len(b) == 0 || b[0] != recordVersion && b[0] != recordWithoutMembers {
		return nil, errRecord
	}
	in := recordReader{rest: b[1:]}
	r := &commitRecord{Commit: in.bytes(), GroupInfo: in.bytes()}
	for range in.count() {
		w := Welcome{Message: in.bytes()}
		for range in.count() {
			w.To = append(w.To, Address(in.bytes()))
		}
		r.Welcomes = append(r.Welcomes, w)
	}
	if b[0] == recordVersion {
		r.Members = in.bytes()
		if len(r.Members)%memberSize != 0 {
			return nil, errRecord
		}
	}
	if in.failed || len(in.rest) != 0 {
		return nil, errRecord
	}
	return r, nil
}

func appendBytes(b, field []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(field))), field...)
}

type recordReader struct {
	rest   []byte
	failed bool
}

func (r *recordReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count reads the number of items that follow. Each takes a byte at least.
func (r *recordReader) count() uint64 {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return 0
	}
	return n
}

func (r *recordReader) bytes() []byte {
	n := r.count()
	field := r.rest[:n:n]
	r.rest = r.rest[n:]
	return field
}
