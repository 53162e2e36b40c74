package store

import (
	"bytes"
	"reflect"
	"testing"
)

var sampleRecord = commitRecord{
	Commit:    []byte("commit"),
	GroupInfo: []byte("info"),
	Welcomes:  []Welcome{{To: []Address{"bob", ""}, Message: bytes.Repeat([]byte("w"), 300)}, {Message: []byte{}}},
	Members:   bytes.Repeat([]byte("m"), 3*memberSize),
}

func TestCommitRecord(t *testing.T) {
	b := sampleRecord.marshal()
	got, err := unmarshalCommitRecord(b)
	if err != nil || !reflect.DeepEqual(*got, sampleRecord) {
		t.Fatalf("%+v, %v", got, err)
	}
	for n := range b {
		if _, err := unmarshalCommitRecord(b[:n]); err == nil {
			t.Errorf("a record cut to %d bytes is taken", n)
		}
	}
	if _, err := unmarshalCommitRecord(append(b, 0)); err == nil {
		t.Error("a byte too many is taken")
	}
	b[0] = recordVersion + 1
	if _, err := unmarshalCommitRecord(b); err == nil {
		t.Error("another version is taken")
	}
}

// A record of before there was a list.
func TestCommitRecordWithoutMembers(t *testing.T) {
	old := sampleRecord
	old.Members = nil
	b := old.marshal()
	b = b[:len(b)-1]
	b[0] = recordWithoutMembers
	got, err := unmarshalCommitRecord(b)
	if err != nil || !reflect.DeepEqual(*got, old) {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := unmarshalCommitRecord(append(b, 0)); err == nil {
		t.Error("a list in a record of version 1 is taken")
	}
}

func FuzzCommitRecord(f *testing.F) {
	f.Add(sampleRecord.marshal())
	f.Add((&commitRecord{}).marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := unmarshalCommitRecord(b)
		if err != nil {
			return
		}
		again, err := unmarshalCommitRecord(r.marshal())
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
