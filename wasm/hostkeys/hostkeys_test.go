//go:build js && wasm

package hostkeys_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall/js"
	"testing"

	"webmls/mls/mlserr"
	"webmls/mls/suite"
	"webmls/mls/suite/softkeys"
	"webmls/mls/suite/suitetest"
	"webmls/wasm/hostkeys"
	"webmls/wasm/hostkeys/hostkeystest"
	"webmls/wasm/internal/curve"
	"webmls/wasm/internal/der"
)

// open opens the browser's keys, or skips where there is no bundle.
func open(t testing.TB, settings map[string]any) (*hostkeys.Keys, js.Value) {
	t.Helper()
	k, object, err := hostkeystest.Open(context.Background(), settings)
	if errors.Is(err, hostkeystest.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip("SKIPPED: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k, object
}

// evaluate runs JavaScript whose last statement returns a value.
func evaluate(source string, params ...any) js.Value {
	return js.Global().Get("Function").New("a", "b", source).Invoke(params...)
}

// list is a list of texts as a value.
func list(texts ...string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

func wantCode(t *testing.T, err error, code mlserr.Code) {
	t.Helper()
	if mlserr.CodeOf(err) != code {
		t.Errorf("%v, want %s", err, code)
	}
}

var all = []string{"P-256", "P-384", "P-521", "Ed25519", "X25519"}

// TestKeys: the contract of suite.Keys, with all that the browser has, with keys
// that the store wraps, where it keeps no keys, and where it lacks Curve25519.
func TestKeys(t *testing.T) {
	for name, settings := range map[string]map[string]any{
		"browser":            {},
		"wrapped":            {"wrapsKeys": true},
		"nothing kept":       {"kept": list()},
		"without Curve25519": {"algorithms": list(all[:3]...), "kept": list(all[:3]...)},
	} {
		t.Run(name, func(t *testing.T) {
			k, _ := open(t, settings)
			suitetest.Keys(t, k, softkeys.New())
		})
	}
}

// TestStorage: which keys the host keeps, and that those are handles: neither
// their reference nor anything else that leaves the host is secret.
func TestStorage(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings map[string]any
		want     map[suite.ID]suite.KeyStorage // where it is not KeySealed
	}{
		{"browser", nil, map[suite.ID]suite.KeyStorage{1: "non-extractable", 2: "non-extractable", 3: "non-extractable", 5: "non-extractable", 7: "non-extractable"}},
		{"wrapped", map[string]any{"wrapsKeys": true}, map[suite.ID]suite.KeyStorage{1: "wrapped", 2: "wrapped", 3: "wrapped", 5: "wrapped", 7: "wrapped"}},
		{"some", map[string]any{"kept": list("P-256")}, map[suite.ID]suite.KeyStorage{2: "non-extractable"}},
		{"none", map[string]any{"kept": list()}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, object := open(t, c.settings)
			for _, id := range suite.All() {
				want := suite.KeySealed
				if s, ok := c.want[id]; ok {
					want = s
				}
				key, err := k.GenerateSignatureKey(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				hpke, err := k.GenerateHPKEKey(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if got := suite.StorageOf(key); got != want || (key.Name() == "") != (want == suite.KeySealed) || (hpke.Name() == "") != (want == suite.KeySealed) {
					t.Errorf("%v: %s under %q and %q, want %s", id, got, key.Name(), hpke.Name(), want)
				}
				if want == suite.KeySealed {
					continue
				}
				for _, k := range []interface {
					Name() string
					Reference() []byte
					Public() []byte
				}{key, hpke} {
					if n := 1 + 1 + 2 + 16 + len(k.Public()); len(k.Reference()) != n || !bytes.HasSuffix(k.Reference(), k.Public()) {
						t.Errorf("%v: a reference of %d bytes, want %d: kind, storage, suite, name and public key", id, len(k.Reference()), n)
					}
					stored, err := hostkeystest.Await(t.Context(), object.Get("store"), "key", k.Name())
					if err != nil || stored.Get("type").String() != "private" || stored.Get("extractable").Bool() != (want == suite.KeyWrapped) {
						t.Errorf("%v: stored: %v %v", id, stored, err)
					}
				}
			}
		})
	}
}

// TestRequired: where keys must be non-extractable, others are refused, whether
// they are to be made or opened; keys that derive are not concerned.
func TestRequired(t *testing.T) {
	k, _ := open(t, map[string]any{"requireNonExtractable": true, "kept": list("Ed25519", "X25519")})
	soft := softkeys.New()
	for _, id := range suite.All() {
		_, err1 := k.GenerateSignatureKey(t.Context(), id)
		_, err2 := k.GenerateHPKEKey(t.Context(), id)
		theirs, err := soft.GenerateSignatureKey(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		_, err3 := k.SignatureKey(t.Context(), id, theirs.Reference())
		wantCode(t, err3, mlserr.KeysExtractable)
		if id == 1 || id == 3 {
			if err1 != nil || err2 != nil {
				t.Error(id, err1, err2)
			}
		} else {
			wantCode(t, err1, mlserr.KeysExtractable)
			wantCode(t, err2, mlserr.KeysExtractable)
		}
		if _, err := k.DeriveHPKEKeys(t.Context(), id, [][]byte{make([]byte, 32)}); err != nil {
			t.Error(id, err)
		}
	}
	_, err := k.GenerateSignatureKey(t.Context(), 99)
	wantCode(t, err, mlserr.UnknownSuite)
}

// TestOperation: the end of an operation has the host forget the keys that were
// made under its context, whether it was cancelled or not, and no others.
func TestOperation(t *testing.T) {
	k, object := open(t, nil)
	const id = suite.P256AES128SHA256P256
	parent, cancel := context.WithCancel(t.Context())
	one, endOne := k.Operation(parent)
	other, endOther := k.Operation(t.Context())
	var keys []suite.SignatureKey
	for _, ctx := range []context.Context{one, one, other, t.Context()} {
		key, err := k.GenerateSignatureKey(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	held := func(want ...bool) {
		t.Helper()
		for i, key := range keys {
			stored, err := hostkeystest.Await(t.Context(), object.Get("store"), "key", key.Name())
			if err != nil || !stored.IsUndefined() != want[i] {
				t.Errorf("key %d: %v %v, want it held: %t", i, stored, err, want[i])
			}
		}
	}
	held(true, true, true, true)
	cancel()
	_, err := k.GenerateHPKEKey(one, id)
	wantCode(t, err, mlserr.Cancelled)
	endOne()
	held(false, false, true, true)
	endOther()
	held(false, false, false, true)
}

// TestForeignReference: a reference opens as the key that it was made of and as
// no other; a key that the store has not got is KEY_NOT_FOUND when it is used.
func TestForeignReference(t *testing.T) {
	k, _ := open(t, nil)
	other, _ := open(t, nil)
	another := map[suite.ID]suite.ID{1: 3, 3: 1, 2: 5, 5: 7, 7: 2}
	for id := range another {
		key, err := k.GenerateSignatureKey(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		hpke, err := k.GenerateHPKEKey(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.HPKEKey(t.Context(), id, key.Reference())
		wantCode(t, err, mlserr.KeyNotFound)
		_, err = k.SignatureKey(t.Context(), id, hpke.Reference())
		wantCode(t, err, mlserr.KeyNotFound)
		_, err = k.SignatureKey(t.Context(), another[id], key.Reference())
		wantCode(t, err, mlserr.KeyNotFound)
		for n := range key.Reference() {
			_, err := k.SignatureKey(t.Context(), id, key.Reference()[:n])
			if mlserr.CodeOf(err) != mlserr.KeyNotFound {
				// A prefix that is as long as a private key may be one.
				if opened, _ := k.SignatureKey(t.Context(), id, key.Reference()[:n]); opened == nil || opened.Name() != "" {
					t.Errorf("%v: %d bytes of a reference: %v", id, n, err)
				}
			}
		}
		lost, err := other.SignatureKey(t.Context(), id, key.Reference())
		if err != nil {
			t.Fatal(err)
		}
		_, err = lost.Sign(t.Context(), []byte("message"))
		wantCode(t, err, mlserr.KeyNotFound)
		lostHPKE, err := other.HPKEKey(t.Context(), id, hpke.Reference())
		if err != nil {
			t.Fatal(err)
		}
		_, err = lostHPKE.Decapsulate(t.Context(), hpke.Public())
		wantCode(t, err, mlserr.KeyNotFound)
	}
}

// TestX25519Encodings: the host and Go make the same of public keys that are not
// reduced or have the top bit set, whether they come in or are encapsulated to.
func TestX25519Encodings(t *testing.T) {
	k, object := open(t, nil)
	const id = suite.X25519AES128SHA256Ed25519
	hpke, err := k.GenerateHPKEKey(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := softkeys.New().GenerateHPKEKey(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	private := theirs.Reference()
	// The host's key is to be one that Go has too.
	reference := append(bytes.Clone(hpke.Reference()[:20]), theirs.Public()...)
	_, err = hostkeystest.Await(t.Context(), evaluate(`return { async give() {
		const jwk = { kty: "OKP", crv: "X25519", d: a.d, x: a.x };
		b.store.adopt(a.name, await crypto.subtle.importKey("jwk", jwk, { name: "X25519" }, false, ["deriveBits"]));
	} }`, map[string]any{"name": hpke.Name(), "d": base64URL(private), "x": base64URL(theirs.Public())}, object), "give")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := k.HPKEKey(t.Context(), id, reference)
	if err != nil || ours.Name() == "" {
		t.Fatal(err)
	}
	points := [][]byte{theirs.Public(), hpke.Public()}
	for u := byte(0xef); u != 0; u++ { // p+2 to p+18
		points = append(points, append(append([]byte{u}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f))
	}
	for range 20 {
		points = append(points, suite.Random(32))
	}
	for _, point := range points {
		for _, top := range []byte{0, 0x80} {
			enc := bytes.Clone(point)
			enc[31] = enc[31]&0x7f | top
			want, err := theirs.Decapsulate(t.Context(), enc)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ours.Decapsulate(t.Context(), enc); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%x: %x %v, want %x", enc, got, err, want)
			}
		}
	}
	// The same point in another encoding: only the KEM's context is another.
	high := bytes.Clone(theirs.Public())
	high[31] |= 0x80
	list, err := k.Encapsulate(t.Context(), id, [][]byte{high})
	if err != nil {
		t.Fatal(err)
	}
	dh, err := exchange(private, list[0].Enc)
	if err != nil || !bytes.Equal(list[0].SharedSecret, suite.DHKEMSharedSecret(id, dh, list[0].Enc, high)) {
		t.Error("encapsulation to a public key with the top bit set: ", err)
	}
}

// fakeHost is a HostKeys that verifies as it is told: it keeps how many bytes it
// was asked about and answers with `answer`.
func fakeHost(algorithms []any, answer any) (*hostkeys.Keys, js.Value) {
	object := evaluate(`const asked = []; return { algorithms: a, kept: [], nist: async () => a, nistKept: async () => [], asked, verify: async (algorithm, packed) => { asked.push(packed.length); return b; } }`,
		algorithms, answer)
	return hostkeys.New(object, hostkeystest.Await), object.Get("asked")
}

// TestVerify: which index is bad when some signatures do not parse and the host
// finds others bad.
func TestVerify(t *testing.T) {
	scalar := make([]byte, 32)
	scalar[31] = 1
	point, signature := curve.P256().PublicKey(scalar), der.Marshal(make([]byte, 64))
	good := suite.Verification{PublicKey: point, Signature: signature}
	badDER := suite.Verification{PublicKey: point, Signature: signature[1:]}
	badPoint := suite.Verification{PublicKey: point[1:], Signature: signature}
	for _, c := range []struct {
		list []suite.Verification
		host int // what the host answers
		sent int // how many it is asked about
		want int
	}{
		{[]suite.Verification{good, good}, -1, 2, -1},
		{[]suite.Verification{good, good}, 1, 2, 1},
		{[]suite.Verification{good, badDER, good}, -1, 1, 1},
		{[]suite.Verification{good, badPoint}, 0, 1, 0},
		{[]suite.Verification{badPoint, badDER}, -1, 0, 0},
		{nil, -1, 0, -1},
	} {
		k, asked := fakeHost(list("P-256"), c.host)
		bad, err := k.Verify(t.Context(), suite.P256AES128SHA256P256, c.list)
		if err != nil || bad != c.want {
			t.Errorf("%d of %d: %d, %v, want %d", c.host, len(c.list), bad, err, c.want)
		}
		var want []int
		if c.sent > 0 {
			want = []int{c.sent * (3*4 + 65 + 64)}
		}
		if got := numbers(asked); !slices.Equal(got, want) {
			t.Errorf("%d of %d: asked about %d bytes, want %d", c.host, len(c.list), got, want)
		}
	}
}

// TestVerifyDoubted: of Ed25519, what the host finds bad is bad if Go finds so,
// and the host is not asked about a point whose encoding is odd.
func TestVerifyDoubted(t *testing.T) {
	hostkeys.ForgetPace()
	const id = suite.X25519AES128SHA256Ed25519
	key, err := softkeys.New().GenerateSignatureKey(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	good := suite.Verification{PublicKey: key.Public(), Signature: signature}
	forged := suite.Verification{PublicKey: key.Public(), Message: []byte{1}, Signature: signature}
	odd := suite.Verification{PublicKey: append([]byte{0xee}, append(bytes.Repeat([]byte{0xff}, 30), 0x7f)...),
		Signature: append([]byte{1}, make([]byte, 63)...)} // the neutral element, which Go takes
	const size = 3*4 + 32 + 64
	for name, c := range map[string]struct {
		list  []suite.Verification
		host  int
		asked []int
		want  int
	}{
		"the host is wrong":        {[]suite.Verification{good, good, good}, 1, []int{3 * size}, -1},
		"wrong before a bad one":   {[]suite.Verification{good, good, forged}, 0, []int{3*size + 1}, 2},
		"right":                    {[]suite.Verification{good, forged, good}, 1, []int{3*size + 1}, 1},
		"not asked about the odd":  {[]suite.Verification{good, odd, good}, -1, []int{size}, -1},
		"bad after the odd":        {[]suite.Verification{odd, good, forged}, -1, nil, 2},
		"bad before the odd":       {[]suite.Verification{forged, odd}, 0, []int{size + 1}, 0},
		"a signature that is long": {[]suite.Verification{{PublicKey: key.Public(), Signature: append(signature[:64:64], 0)}}, -1, nil, 0},
	} {
		k, asked := fakeHost(list("Ed25519"), c.host)
		if bad, err := k.Verify(t.Context(), id, c.list); bad != c.want || err != nil {
			t.Errorf("%s: %d %v, want %d", name, bad, err, c.want)
		}
		if got := numbers(asked); !slices.Equal(got, c.asked) {
			t.Errorf("%s: asked about %d bytes, want %d", name, got, c.asked)
		}
	}
}

func numbers(array js.Value) []int {
	var out []int
	for i := range array.Length() {
		out = append(out, array.Index(i).Int())
	}
	return out
}

// TestFailures: a host that fails is no verdict.
func TestFailures(t *testing.T) {
	hostkeys.ForgetPace()
	object := evaluate(`
		const fail = async () => { throw new DOMException("no", "OperationError"); };
		const all = async () => a;
		return { algorithms: a, kept: a, nist: all, nistKept: all, generate: fail, generateBytes: fail, key: fail, importKey: fail, sign: fail, verify: fail, diffieHellman: fail, encapsulate: fail };`, list(all...))
	k := hostkeys.New(object, hostkeystest.Await)
	soft := softkeys.New()
	for _, id := range []suite.ID{1, 2} {
		key, err := soft.GenerateHPKEKey(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.Encapsulate(t.Context(), id, [][]byte{key.Public()})
		wantCode(t, err, mlserr.Internal)
		_, err = k.GenerateSignatureKey(t.Context(), id)
		wantCode(t, err, mlserr.Internal)
		_, err = k.GenerateHPKEKey(t.Context(), id)
		wantCode(t, err, mlserr.Internal)
		signer, err := soft.GenerateSignatureKey(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := signer.Sign(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.Verify(t.Context(), id, []suite.Verification{{PublicKey: signer.Public(), Signature: signature}})
		wantCode(t, err, mlserr.Internal)
		if err != nil && !strings.Contains(err.Error(), "OperationError") {
			t.Error(err)
		}
	}
}

func TestSupports(t *testing.T) {
	k, _ := fakeHost(list("P-384"), -1)
	var got []suite.ID
	for _, id := range suite.All() {
		if k.Supports(id) {
			got = append(got, id)
		}
	}
	if !slices.Equal(got, []suite.ID{1, 3, 4, 6, 7}) {
		t.Error(got)
	}
	_, err := k.GenerateHPKEKey(t.Context(), suite.P256AES128SHA256P256)
	wantCode(t, err, mlserr.UnknownSuite)
}

// TestRequireStrict: a host that takes forgeries verifies nothing of Ed25519; this one does.
func TestRequireStrict(t *testing.T) {
	k, _ := open(t, nil)
	bad := []suite.Verification{{PublicKey: make([]byte, 32), Message: []byte("m"), Signature: make([]byte, 64)}}
	hostkeys.ForgetStrict()
	k.RequireStrict(t.Context())
	if first, err := k.VerifyOnHost(t.Context(), 1, bad); first != 0 || err != nil { // it panics where the host is not asked
		t.Error(first, err)
	}
	for name, verify := range map[string]string{
		"all": "async () => -1", "the second": "async () => (globalThis.forged = !globalThis.forged) ? 0 : -1", "fails": "async () => { throw new Error() }",
	} {
		lax, _ := open(t, map[string]any{"verify": evaluate("return " + verify)})
		hostkeys.ForgetStrict()
		lax.RequireStrict(t.Context())
		for range 3 {
			if first, err := lax.Verify(t.Context(), 1, bad); first != 0 || err != nil {
				t.Error(name, first, err)
			}
		}
	}
	hostkeys.ForgetStrict()
}
