package main

import (
	"os"
	"testing"
	"time"

	"webmls/mls/message"
	"webmls/web/delivery/internal/natsnode"
)

func TestMain(m *testing.M) {
	natsnode.Main()
	os.Exit(m.Run())
}

func TestMessage(t *testing.T) {
	for _, size := range []int{leastSize, 512} {
		b := makeMessage(groupID(7), 5, size)
		header, err := message.PeekHeader(b)
		if err != nil || string(header.GroupID) != string(groupID(7)) || header.ContentType != message.ContentTypeApplication || len(b) != size {
			t.Errorf("%d bytes of %d: %+v, %v", len(b), size, header, err)
		}
	}
}

// A short run against a service of its own ends with every message delivered.
func TestRun(t *testing.T) {
	err := run(t.Context(), settings{
		connections: 20, groups: 5, publishers: 3, ahead: 4, size: 200, duration: 300 * time.Millisecond,
	})
	if err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), settings{}); err == nil {
		t.Error("a run of nothing")
	}
}
