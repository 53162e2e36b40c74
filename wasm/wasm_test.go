//go:build js && wasm

package main

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall/js"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/mlserr"
)

// evaluate runs JavaScript whose last statement returns a value.
func evaluate(source string, params ...any) js.Value {
	return js.Global().Get("Function").New("a", "b", source).Invoke(params...)
}

// TestMain takes the place of runtime.ts.
func TestMain(m *testing.M) {
	host = evaluate(`
		return {
			defer() { const d = {}; d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject })); return d; },
			then(promise, id) { promise.then((v) => a(id, true, v), (e) => a(id, false, e)); },
		};`, js.FuncOf(settle))
	m.Run()
}

// bridge calls a method as JavaScript does, and waits.
func bridge(t *testing.T, method string, args any) (js.Value, error) {
	t.Helper()
	return await(t.Context(), evaluate("return { get: () => a }", enter(js.Undefined(), []js.Value{js.ValueOf(method), js.ValueOf(args), js.ValueOf(0)})), "get")
}

func wantCode(t *testing.T, err error, code mlserr.Code) {
	t.Helper()
	if mlserr.CodeOf(err) != code {
		t.Errorf("%v, want %s", err, code)
	}
}

func TestAwait(t *testing.T) {
	object := evaluate(`return {
		later: (v) => new Promise((resolve) => setTimeout(() => resolve(v + 1), 5)),
		stale: () => Promise.reject({ code: "STALE", detail: "why" }),
		fails: () => Promise.reject(new TypeError("bad")),
		number: () => Promise.reject(7),
		nothing: () => Promise.reject(undefined),
		throws: () => { throw new RangeError("at once"); },
		unknown: () => Promise.reject({ code: "NO_SUCH_CODE", name: "N", message: "m" }),
		never: () => new Promise(() => {}),
	}`)
	if v, err := await(t.Context(), object, "later", 1); err != nil || v.Int() != 2 {
		t.Error(v, err)
	}
	for method, want := range map[string]struct {
		code   mlserr.Code
		detail string
	}{
		"stale": {mlserr.Stale, "why"}, "fails": {mlserr.Internal, "TypeError: bad"}, "number": {mlserr.Internal, "number"},
		"nothing": {mlserr.Internal, "undefined"}, "throws": {mlserr.Internal, "RangeError: at once"}, "unknown": {mlserr.Internal, "N: m"},
	} {
		_, err := await(t.Context(), object, method)
		wantCode(t, err, want.code)
		if err != nil && !strings.Contains(err.Error(), want.detail) {
			t.Errorf("%s: %v", method, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	_, err := await(ctx, object, "never")
	wantCode(t, err, mlserr.Cancelled)
	if len(pending.waiting) != 0 {
		t.Errorf("%d are still waited for", len(pending.waiting))
	}
}

// TestPanic: a fault rejects one promise, and the program goes on.
func TestPanic(t *testing.T) {
	methods["test.panic"] = alone(func(*args) func() (any, error) {
		return func() (any, error) { panic("step") }
	})
	methods["test.read"] = alone(func(in *args) func() (any, error) {
		var m map[string]int
		m["nil"] = 1
		return nil
	})
	methods["test.result"] = alone(func(*args) func() (any, error) {
		return func() (any, error) { return struct{}{}, nil } // no value of JavaScript
	})
	defer func() {
		delete(methods, "test.panic")
		delete(methods, "test.read")
		delete(methods, "test.result")
	}()
	for _, method := range []string{"test.panic", "test.read", "test.result"} {
		_, err := bridge(t, method, map[string]any{})
		wantCode(t, err, mlserr.Internal)
	}
	_, err := bridge(t, "no.such", map[string]any{})
	wantCode(t, err, mlserr.InvalidArgument)
	_, err = bridge(t, "group.send", map[string]any{"client": 99})
	wantCode(t, err, mlserr.Closed)
	v, err := bridge(t, "peek", map[string]any{"message": uint8ArrayOf([]byte{0, 1, 0, 3})})
	if err == nil {
		v = unpacked(v)
	}
	if err != nil || v.Get("wireFormat").Int() != 3 || !v.Get("epoch").IsUndefined() {
		t.Error(v, err)
	}
}

// TestCancel: a call that waits for its turn, and one that waits for what it
// does, end when they are cancelled; the calls behind them go on in order.
func TestCancel(t *testing.T) {
	c := &client{ctx: t.Context()}
	gate, entered := make(chan struct{}), make(chan struct{})
	start := func(number int, step func(ctx context.Context) (any, error)) <-chan error {
		j := c.job("lane", step)
		ctx, forget := j.context(number)
		before, _, done := j.queue()
		result := make(chan error, 1)
		go func() {
			defer done()
			defer forget()
			_, err := j.await(ctx, before)
			result <- err
			<-before
		}()
		return result
	}
	first := start(1, func(ctx context.Context) (any, error) {
		close(entered)
		select {
		case <-ctx.Done():
			return nil, mlserr.Wrap(mlserr.Cancelled, "", ctx.Err())
		case <-gate:
			return nil, nil
		}
	})
	second := start(2, func(context.Context) (any, error) {
		t.Error("a cancelled call was carried out")
		return nil, nil
	})
	third := start(0, func(context.Context) (any, error) { return nil, nil })
	<-entered
	stop := func(number int) { cancel(js.Undefined(), []js.Value{js.ValueOf(number)}) }
	stop(2)
	wantCode(t, <-second, mlserr.Cancelled)
	select {
	case err := <-third:
		t.Fatal("went before its turn", err)
	default:
	}
	stop(1)
	wantCode(t, <-first, mlserr.Cancelled)
	if err := <-third; err != nil {
		t.Error(err)
	}
	stop(1) // over
	stop(7) // never there
	c.running.Wait()
	if len(calls.cancel) != 0 {
		t.Errorf("%d calls are still known", len(calls.cancel))
	}
}

// TestReadValues: each interface that Go reads, whole, least and wrong.
func TestReadValues(t *testing.T) {
	in := &args{object: evaluate(`const bytes = new Uint8Array([7]); return {
		psks: [{ id: bytes }, { group: bytes, epoch: "18446744073709551615" }], noPSK: { epoch: "1" }, badEpoch: { group: bytes, epoch: "-1" },
		reInit: { group: bytes, suite: 2, extensions: [] }, noSuite: { group: bytes },
		custom: { type: 0xff01, data: bytes }, limits: { padding: 0, pastEpochs: 0, maxMessage: 5, lifetimeSkew: 60 }, badLimits: { padding: -1 },
		supported: { extensions: [0xff01] }, badSupported: { proposals: [1.5] },
	}`)}
	psks := in.psks("psks")
	if len(psks) != 2 || string(psks[0].ID) != "\x07" || string(psks[1].GroupID) != "\x07" || psks[1].Epoch != 1<<64-1 {
		t.Error(psks)
	}
	if r := in.reInit("reInit"); r == nil || r.CipherSuite != 2 || string(r.GroupID) != "\x07" || r.Version != 1 {
		t.Error(r)
	}
	if p := in.custom("custom"); p == nil || p.Type != 0xff01 || string(p.Custom) != "\x07" {
		t.Error(p)
	}
	if l := in.limits("limits"); l.PaddingBlock != -1 || l.MaxPastEpochs != -1 || l.MaxMessage != 5 || l.LifetimeSkew != time.Minute || l.MaxMembers != 0 {
		t.Errorf("%+v", l)
	}
	if s := in.supported("supported"); len(s.Extensions) != 1 || s.Extensions[0] != 0xff01 || len(s.Proposals) != 0 {
		t.Errorf("%+v", s)
	}
	if in.psks("absent") != nil || in.psk("absent") != nil || in.reInit("absent") != nil || in.custom("absent") != nil || in.limits("absent") != (mls.Limits{}) {
		t.Error("what is absent is there")
	}
	if in.err != nil {
		t.Fatal(in.err)
	}
	for name, read := range map[string]func(in *args){
		"neither id nor group": func(in *args) { in.psk("noPSK") },
		"a negative epoch":     func(in *args) { in.psk("badEpoch") },
		"no suite":             func(in *args) { in.reInit("noSuite") },
		"negative padding":     func(in *args) { in.limits("badLimits") },
		"half a code point":    func(in *args) { in.supported("badSupported") },
		"bytes as an object":   func(in *args) { in.psks("custom") },
	} {
		fresh := &args{object: in.object}
		if read(fresh); fresh.err == nil || fresh.err.Code != mlserr.InvalidArgument {
			t.Errorf("%s: %v", name, fresh.err)
		}
	}
}

// TestTurns: calls of one lane run in the order in which they were entered,
// whatever they wait for; other lanes do not wait.
func TestTurns(t *testing.T) {
	c := &client{ctx: t.Context()}
	var order []string
	gate := make(chan struct{})
	var results []<-chan struct{}
	start := func(lane, name string, wait <-chan struct{}) {
		j := c.job(lane, func(context.Context) (any, error) {
			if wait != nil {
				<-wait
			}
			order = append(order, name)
			return nil, nil
		})
		before, _, done := j.queue()
		finished := make(chan struct{})
		results = append(results, finished)
		go func() {
			defer close(finished)
			<-before
			defer done()
			if _, err := j.run(t.Context()); err != nil {
				t.Error(err)
			}
		}()
	}
	start("a", "a1", gate)
	start("a", "a2", nil)
	start("b", "b1", nil)
	start("a", "a3", nil)
	<-results[2]
	if !slices.Equal(order, []string{"b1"}) {
		t.Error(order)
	}
	close(gate)
	c.running.Wait()
	if !slices.Equal(order, []string{"b1", "a1", "a2", "a3"}) {
		t.Error(order)
	}
	if len(c.turns.last) != 0 {
		t.Errorf("%d lanes are left", len(c.turns.last))
	}
}

func TestArgs(t *testing.T) {
	object := evaluate(`return {
		bytes: new Uint8Array([1, 2, 3, 4]).subarray(1, 3), empty: new Uint8Array(), text: "é", number: 4294967295, big: 2 ** 53 - 1,
		flag: true, list: [new Uint8Array([5]), new Uint8Array()], numbers: [0, 7], null: null, negative: -1, fraction: 1.5, huge: 2 ** 32,
		nan: NaN, words: ["a"], basic: { type: 1, identity: new Uint8Array([9]) }, badCredential: { type: "1" },
		extensions: [{ type: 10, data: new Uint8Array([1]) }], badExtensions: [{ type: 70000 }], float32: new Float32Array(2),
	}`)
	in := &args{object: object}
	if b := in.bytes("bytes"); string(b) != "\x02\x03" {
		t.Errorf("%x", b)
	}
	if b := in.optionalBytes("empty"); b == nil || len(b) != 0 {
		t.Errorf("%v: an empty array is not an absent one", b)
	}
	if in.optionalBytes("absent") != nil || in.optionalBytes("null") != nil || in.bytesList("absent") != nil || in.flag("absent") ||
		in.optionalNumber("absent") != nil || in.numberList("absent") != nil || in.extensions("absent") != nil {
		t.Error("what is absent is there")
	}
	if l := in.bytesList("list"); len(l) != 2 || string(l[0]) != "\x05" || len(l[1]) != 0 {
		t.Error(l)
	}
	if in.text("text") != "é" || in.number("number") != 1<<32-1 || !in.flag("flag") {
		t.Error("text, number or flag")
	}
	if !slices.Equal(in.numberList("numbers"), []uint32{0, 7}) || !slices.Equal(in.integerList("numbers"), []uint64{0, 7}) {
		t.Error("numbers")
	}
	if c := in.credential("basic"); c.Type != 1 || string(c.Identity) != "\x09" {
		t.Error(c)
	}
	if e := in.extensions("extensions"); len(e) != 1 || e[0].Type != 10 || string(e[0].Data) != "\x01" {
		t.Error(e)
	}
	if in.err != nil {
		t.Fatal(in.err)
	}
	for name, read := range map[string]func(in *args){
		"text as bytes":       func(in *args) { in.bytes("text") },
		"nothing as bytes":    func(in *args) { in.bytes("absent") },
		"floats as bytes":     func(in *args) { in.bytes("float32") },
		"words as bytes list": func(in *args) { in.bytesList("words") },
		"bytes as a list":     func(in *args) { in.bytesList("bytes") },
		"number as text":      func(in *args) { in.text("number") },
		"negative":            func(in *args) { in.number("negative") },
		"fraction":            func(in *args) { in.number("fraction") },
		"too large":           func(in *args) { in.number("huge") },
		"not a number":        func(in *args) { in.number("nan") },
		"text as number":      func(in *args) { in.optionalNumber("text") },
		"words as numbers":    func(in *args) { in.numberList("words") },
		"number as flag":      func(in *args) { in.flag("number") },
		"text as credential":  func(in *args) { in.credential("text") },
		"bad credential":      func(in *args) { in.credential("badCredential") },
		"bad extensions":      func(in *args) { in.extensions("badExtensions") },
		"words as extensions": func(in *args) { in.extensions("words") },
		"text as object":      func(in *args) { in.hostObject("text") },
	} {
		in := &args{object: object}
		if read(in); in.err == nil || in.err.Code != mlserr.InvalidArgument {
			t.Errorf("%s: %v", name, in.err)
		}
	}
}

// TestErrors: what crosses is the code that says most, with all details.
func TestErrors(t *testing.T) {
	quota := mlserr.New(mlserr.StoreQuota, "full")
	for _, c := range []struct {
		err    error
		code   mlserr.Code
		detail string
	}{
		{mlserr.New(mlserr.InvalidSignature, "leaf 3"), mlserr.InvalidSignature, "leaf 3"},
		{mlserr.Wrap(mlserr.Malformed, "x", mlserr.New(mlserr.TooLarge, "y")), mlserr.Malformed, "x: TOO_LARGE: y"},
		{mlserr.Wrap(mlserr.StoreFailed, "", quota), mlserr.StoreQuota, "full"},
		{mlserr.Wrap(mlserr.StoreFailed, "s", errors.New("odd")), mlserr.StoreFailed, "s: odd"},
		{mlserr.Wrap(mlserr.CredentialRejected, "L1", mlserr.New(mlserr.Authenticator, "net")), mlserr.Authenticator, "net"},
		{mlserr.Wrap(mlserr.CredentialRejected, "L1", mlserr.New(mlserr.CredentialRejected, "claim 1")), mlserr.CredentialRejected,
			"L1: CREDENTIAL_REJECTED: claim 1"},
		{errors.New("plain"), mlserr.Internal, "plain"},
	} {
		v := errorValue(c.err)
		if v["code"] != string(c.code) || v["detail"] != c.detail || v["class"] != c.code.Info().Class.String() || v["rule"] != c.code.Info().Text {
			t.Errorf("%v crosses as %s: %s", c.err, v["code"], v["detail"])
		}
	}
}

// unpacked is what unpack of js/src/host/pack.ts makes of an ArrayBuffer.
func unpacked(buffer js.Value) js.Value {
	return evaluate(`
		const start = 4 + new DataView(a).getUint32(0);
		return JSON.parse(new TextDecoder().decode(a.slice(4, start)), (_, value) => {
			if (!Array.isArray(value?.bytes)) return value;
			const [at, length] = value.bytes;
			return new Uint8Array(a.slice(start + at, start + at + length));
		});`, buffer)
}

// TestCrossing: results arrive as they are.
func TestCrossing(t *testing.T) {
	text := "\x00\x1f\"\\/\u00e9\U0001f4ac\u2028\t"
	v := unpacked(crossing(map[string]any{
		"text": text, text: true, "no": false, "number": -7, "large": 1<<53 - 1, "none": []any{}, "empty": map[string]any{},
		"list":  []any{[]byte{1, 2}, []any{[]byte(nil)}, object{"bytes": bytesValue([]byte{3}), "absent": optionalBytes(nil)}.value()},
		"after": []byte{4, 5, 6},
	}))
	for name, holds := range map[string]bool{
		"text":    v.Get("text").String() == text,
		"name":    v.Get(text).Bool() && !v.Get("no").Bool(),
		"numbers": v.Get("number").Int() == -7 && v.Get("large").Float() == 1<<53-1,
		"empty":   v.Get("none").Length() == 0 && js.Global().Get("JSON").Call("stringify", v.Get("empty")).String() == "{}",
		"bytes": bytes.Equal(copyBytes(v.Get("list").Index(0)), []byte{1, 2}) && v.Get("list").Index(1).Index(0).Length() == 0 &&
			bytes.Equal(copyBytes(v.Get("after")), []byte{4, 5, 6}),
		"object": bytes.Equal(copyBytes(v.Get("list").Index(2).Get("bytes")), []byte{3}) && v.Get("list").Index(2).Get("absent").IsUndefined(),
	} {
		if !holds {
			t.Error(name)
		}
	}
	if v := crossing([]byte{7}); !v.InstanceOf(uint8Array) || v.Index(0).Int() != 7 {
		t.Error("bytes do not cross as they are")
	}
	if v := crossing(7); v.Int() != 7 || !crossing(nil).IsUndefined() {
		t.Error("a number, or nothing, does not cross as it is")
	}
}

// TestStore runs the store's contract over a store in JavaScript.
func TestStore(t *testing.T) {
	s := hostStore{evaluate(`
		const scopes = new Map();
		return {
			async load(scope) {
				const s = scopes.get(scope) ?? { revision: 0, records: new Map() };
				return { revision: s.revision, names: [...s.records.keys()], values: [...s.records.values()] };
			},
			async commit(changes) {
				for (const c of changes) if ((scopes.get(c.scope)?.revision ?? 0) !== c.base) throw { code: "STALE", detail: c.scope };
				for (const c of changes) {
					const records = new Map(c.deleteAll ? [] : scopes.get(c.scope)?.records);
					for (const name of c.delete) records.delete(name);
					c.names.forEach((name, i) => records.set(name, c.values[i]));
					scopes.set(c.scope, { revision: c.base + 1, records });
				}
			},
		};`)}
	memory := mls.NewMemoryStore()
	scope := mls.GroupScope([]byte{0, 0xff, '/', 0x80})
	for i, b := range []mls.Batch{
		{Changes: []mls.Change{{Scope: scope, Put: mls.Records{"a": {1}, "b": {}}}, {Scope: mls.ClientScope, Put: mls.Records{"c": {2}}}}},
		{Changes: []mls.Change{{Scope: scope, Base: 1, Delete: []string{"a"}, Put: mls.Records{"d": {3, 4}}}}},
		{Changes: []mls.Change{{Scope: scope, Base: 1, Put: mls.Records{"stale": {}}}, {Scope: mls.ClientScope, Base: 1, DeleteAll: true}}},
		{Changes: []mls.Change{{Scope: scope, Base: 2, DeleteAll: true, Put: mls.Records{"e": {5}}}}},
		// A caller that has given up: what has begun is finished all the same.
		{Changes: []mls.Change{{Scope: mls.ClientScope, Base: 1, Put: mls.Records{"f": {6}}}}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if i == 4 {
			cancel()
		}
		err, want := s.Commit(ctx, b), memory.Commit(t.Context(), b)
		cancel()
		if mlserr.CodeOf(err) != mlserr.CodeOf(want) {
			t.Errorf("batch %d: %v, want %v", i, err, want)
		}
		for _, scope := range []mls.Scope{scope, mls.ClientScope, "other"} {
			got, rev, err := s.Load(t.Context(), scope)
			want, wantRev, _ := memory.Load(t.Context(), scope)
			if err != nil || rev != wantRev || len(got) != len(want) {
				t.Errorf("batch %d, %q: %v at %d, %v, want %v at %d", i, scope, got, rev, err, want, wantRev)
			}
			for name := range want {
				if string(got[name]) != string(want[name]) {
					t.Errorf("batch %d, %q, %s: %x, want %x", i, scope, name, got[name], want[name])
				}
			}
		}
	}
}

// TestCheckedStore: the host calls what it is given to check with, and what comes of
// that is what comes of the commit.
func TestCheckedStore(t *testing.T) {
	s := hostStore{evaluate(`
		const batches = [];
		return {
			batches,
			async commit(changes, kept, dropped, check) {
				await undefined;
				const answers = [check(), check()];
				if (answers.some((answer) => answer !== true)) throw { code: "STALE", detail: "refused" };
				batches.push(changes);
			},
		};`)}
	bad := mlserr.New(mlserr.PathKeyMismatch, "C8")
	for _, test := range []struct {
		check func() error
		want  mlserr.Code
	}{
		{func() error { return nil }, ""},
		{func() error { return bad }, mlserr.PathKeyMismatch},
		{func() error { panic("a fault") }, mlserr.Internal},
	} {
		asked := 0
		err := s.CommitChecked(t.Context(), mls.Batch{Changes: []mls.Change{{Scope: mls.ClientScope}}}, func() error {
			asked++
			return test.check()
		})
		if (err == nil) != (test.want == "") || err != nil && mlserr.CodeOf(err) != test.want || asked != 1 {
			t.Errorf("%v, asked %d times, want %q", err, asked, test.want)
		}
		if n := s.object.Get("batches").Length(); n != 1 {
			t.Errorf("want %q: %d batches are stored", test.want, n)
		}
	}
}

// TestDecimal: an integer of 64 bits is read exactly, and nothing else is.
func TestDecimal(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "007": 7, "18446744073709551615": 1<<64 - 1} {
		if n, ok := decimal(s); !ok || n != want {
			t.Errorf("%q: %d %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "-1", "+1", "1_0", "1.0", "1e3", "a", " 1", "18446744073709551616", "99999999999999999999"} {
		if n, ok := decimal(s); ok {
			t.Errorf("%q is read as %d", s, n)
		}
	}
}

// TestTurnsTogether: jobs that go together follow as soon as the one before has
// its place; all others wait until those before them are done.
func TestTurnsTogether(t *testing.T) {
	var lane turns
	come := func(before <-chan struct{}) bool {
		select {
		case <-before:
			return true
		default:
			return false
		}
	}
	one, queuedOne, doneOne := lane.take("lane", "send")
	two, _, doneTwo := lane.take("lane", "send")
	alone, _, doneAlone := lane.take("lane", "")
	after, _, doneAfter := lane.take("lane", "send")
	other, _, doneOther := lane.take("lane", "receive")
	if !come(one) || come(two) {
		t.Fatal("the second comes before the first has its place")
	}
	queuedOne()
	if !come(two) || come(alone) {
		t.Fatal("the second does not follow, or another does")
	}
	doneTwo()
	if come(alone) {
		t.Fatal("one goes before all that go together are done")
	}
	doneOne()
	if !come(alone) || come(after) {
		t.Fatal("its turn has not come, or that of the next one has")
	}
	doneAlone()
	if !come(after) || come(other) {
		t.Fatal("another kind went together with it")
	}
	doneAfter()
	if !come(other) {
		t.Fatal("its turn has not come")
	}
	doneOther()
	if len(lane.last) != 0 {
		t.Errorf("%d lanes are left", len(lane.last))
	}
}

// TestApart: whatever is run apart runs at once, however much of it waits, and only
// some goroutines stay.
func TestApart(t *testing.T) {
	for range 3 {
		var running, done sync.WaitGroup
		release := make(chan struct{})
		for range 5 * maxIdle {
			running.Add(1)
			done.Add(1)
			apart(func() {
				defer done.Done()
				running.Done()
				<-release
			})
		}
		running.Wait() // all of them, none behind another
		close(release)
		done.Wait()
		for range 10 {
			runtime.Gosched()
		}
		if n := goroutines.idle.Load(); n < 1 || n > maxIdle {
			t.Errorf("%d goroutines stay", n)
		}
	}
}
