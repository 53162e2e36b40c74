package contexts

import (
	"context"
	"testing"
	"time"
)

// TestAsStandard: these contexts are as those of package context, less deadlines.
func TestAsStandard(t *testing.T) {
	type key struct{ n int }
	foreign, end := context.WithDeadline(context.Background(), time.Now().Add(time.Hour))
	defer end()
	a := WithValue(foreign, key{1}, "one")
	b, cancel := WithCancel(WithValue(a, key{2}, "two"))
	c, cancelInner := WithCancel(b)
	d := WithoutCancel(c)
	for _, ctx := range []context.Context{b, c, d} {
		if ctx.Value(key{1}) != "one" || ctx.Value(key{2}) != "two" || ctx.Value(key{3}) != nil || ctx.Err() != nil {
			t.Fatal("values or error")
		}
	}
	if a.Value(key{2}) != nil {
		t.Error("a value in the parent")
	}
	cancelInner()
	<-c.Done()
	if c.Err() != context.Canceled || b.Err() != nil {
		t.Errorf("%v, and its parent %v", c.Err(), b.Err())
	}
	e, cancelLast := WithCancel(b)
	defer cancelLast()
	cancel()
	cancel()
	if e.Err() != context.Canceled || b.Err() != context.Canceled || a.Err() != nil {
		t.Errorf("%v, %v, and its parent %v", e.Err(), b.Err(), a.Err())
	}
	<-e.Done()
	<-b.Done()
	if d.Err() != nil || d.Done() != nil {
		t.Error("a detached context has ended")
	}
	f, cancelForeign := WithCancel(a)
	defer cancelForeign()
	end()
	<-f.Done()
	if f.Err() != context.Canceled || a.Err() != context.Canceled {
		t.Errorf("%v, %v after the end of a foreign parent", f.Err(), a.Err())
	}
	<-a.Done()
	if _, ok := a.Deadline(); ok {
		t.Error("a deadline")
	}
}
