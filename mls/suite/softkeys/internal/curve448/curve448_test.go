package curve448

import (
	"bytes"
	"encoding/hex"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"
)

// random gives the same numbers in every run, with long runs of equal bits
// among them: these reach the ends of ranges, which uniform ones do not.
var random = rand.New(rand.NewPCG(448, 1))

func randomBytes(n int) []byte {
	b := make([]byte, n)
	fill, left := byte(0), 0
	kind := random.IntN(2)
	for i := range b {
		if left == 0 {
			fill, left = byte(-random.IntN(2)), 1+random.IntN(12)
		}
		b[i], left = fill, left-1
		if kind == 0 || left == 0 {
			b[i] = byte(random.Uint32())
		}
	}
	return b
}

func littleEndian(b []byte) *big.Int {
	b = bytes.Clone(b)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return new(big.Int).SetBytes(b)
}

func toLittleEndian(n *big.Int, size int) []byte {
	b := n.FillBytes(make([]byte, size))
	for i := range size / 2 {
		b[i], b[size-1-i] = b[size-1-i], b[i]
	}
	return b
}

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var bigPrime, bigOrder = func() (*big.Int, *big.Int) {
	power := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	p := new(big.Int).Sub(power(448), power(224))
	c, _ := new(big.Int).SetString("8335dc163bb124b65129c96fde933d8d723a70aadc873d6d54a7bb0d", 16)
	return p.Sub(p, big.NewInt(1)), c.Sub(power(446), c)
}()

func (x *element) big() *big.Int {
	n := new(big.Int)
	for i := len(x) - 1; i >= 0; i-- {
		n.Lsh(n, limbBits)
		n.Add(n, big.NewInt(int64(x[i])))
	}
	return n
}

// elements returns limbs at both ends of what an element may have, numbers around
// multiples of p, and others.
func elements(n int) []element {
	list := make([]element, 3, n)
	for i := range list[0] {
		list[1][i] = 1<<28 + 1<<18
		list[2][i] = limbMask
	}
	for _, k := range []int64{-2, -1, 0, 1, 2} {
		var x element
		x.setBytes((*[56]byte)(toLittleEndian(new(big.Int).Add(bigPrime, big.NewInt(k)), 56)))
		list = append(list, x)
	}
	for len(list) < n {
		var x element
		if random.IntN(2) == 0 {
			x.setBytes((*[56]byte)(randomBytes(56)))
		} else {
			for i := range x {
				x[i] = uint32(random.IntN(1<<28 + 1<<18 + 1))
			}
		}
		list = append(list, x)
	}
	return list
}

// TestField compares with math/big, and every result's limbs with their bound.
func TestField(t *testing.T) {
	list := elements(60)
	check := func(op string, got element, want *big.Int) {
		t.Helper()
		want = new(big.Int).Mod(want, bigPrime)
		if b := got.bytes(); littleEndian(b[:]).Cmp(want) != 0 {
			t.Fatalf("%s: %x, want %x", op, littleEndian(b[:]), want)
		}
		for i, limb := range got {
			if limb > 1<<28+1<<18 {
				t.Fatalf("%s: limb %d is %#x", op, i, limb)
			}
		}
	}
	for i := range list {
		x, bx := &list[i], list[i].big()
		for j := range list {
			y, by := &list[j], list[j].big()
			var z element
			z.add(x, y)
			check("add", z, new(big.Int).Add(bx, by))
			z.sub(x, y)
			check("sub", z, new(big.Int).Sub(bx, by))
			z.mul(x, y)
			check("mul", z, new(big.Int).Mul(bx, by))
			z = *x
			z.mul(&z, y)
			check("mul into a factor", z, new(big.Int).Mul(bx, by))
			if got, want := x.equal(y), new(big.Int).Mod(new(big.Int).Sub(bx, by), bigPrime).Sign() == 0; got != want {
				t.Fatalf("%x equals %x: %v", bx, by, got)
			}

			u, v := *x, *y
			u.swapWhere(&v, 0)
			if u != *x || v != *y {
				t.Fatal("swapped")
			}
			u.swapWhere(&v, 1<<32-1)
			if u != *y || v != *x {
				t.Fatal("not swapped")
			}

			ok := z.root(x, y)
			check("root", z, z.big())
			quotient := new(big.Int)
			if inverse := new(big.Int).ModInverse(by, bigPrime); inverse != nil {
				quotient.Mul(bx, inverse).Mod(quotient, bigPrime)
			} else if new(big.Int).Mod(bx, bigPrime).Sign() != 0 {
				if ok {
					t.Fatalf("a root of %x/0", bx)
				}
				continue
			}
			if want := big.Jacobi(quotient, bigPrime) != -1; ok != want {
				t.Fatalf("%x/%x has a root: %v", bx, by, ok)
			}
			if ok {
				z.square(&z)
				check("the root's square", z, quotient)
			}
		}
		var z element
		z.square(x)
		check("square", z, new(big.Int).Mul(bx, bx))
		for _, n := range []uint32{0, 1, minusD, 1<<17 - 1} {
			z.mulSmall(x, n)
			check("mulSmall", z, new(big.Int).Mul(bx, big.NewInt(int64(n))))
		}
		z.invert(x)
		if inverse := new(big.Int).ModInverse(bx, bigPrime); inverse != nil {
			check("invert", z, inverse)
		} else {
			check("invert 0", z, new(big.Int))
		}
	}
}

// TestScalar compares with math/big.
func TestScalar(t *testing.T) {
	check := func(op string, got scalar, want *big.Int) {
		t.Helper()
		b := got.bytes()
		if littleEndian(b[:]).Cmp(new(big.Int).Mod(want, bigOrder)) != 0 {
			t.Fatalf("%s: %x, want %x modulo the order", op, littleEndian(b[:]), want)
		}
	}
	// Around multiples of the order, and of 2^448, where reduction folds.
	var wide [][]byte
	for _, shift := range []uint{0, 1, 2, 100, 448, 466} {
		for _, k := range []int64{-2, -1, 0, 1} {
			n := new(big.Int).Lsh(bigOrder, shift)
			wide = append(wide, toLittleEndian(n.Add(n, big.NewInt(k)), 116))
			n.Lsh(big.NewInt(1), shift+445)
			wide = append(wide, toLittleEndian(n.Add(n, big.NewInt(k)), 116))
		}
	}
	wide = append(wide, bytes.Repeat([]byte{0xff}, 116), make([]byte, 116))
	for range 300 {
		wide = append(wide, randomBytes(random.IntN(117)))
	}
	scalars := make([]scalar, len(wide))
	for i, b := range wide {
		in := limbs(b)
		scalars[i].reduce(in)
		check("reduce", scalars[i], littleEndian(b))
		if !allZero(in) {
			t.Fatal("reduce leaves its input")
		}
	}
	for i := range scalars {
		x, y, a := &scalars[i], &scalars[(i*7+1)%len(scalars)], &scalars[(i*5+3)%len(scalars)]
		bx, by, ba := x.bytes(), y.bytes(), a.bytes()
		want := new(big.Int).Mul(littleEndian(bx[:]), littleEndian(by[:]))
		var z scalar
		z.mulAdd(x, y, a)
		check("mulAdd", z, want.Add(want, littleEndian(ba[:])))

		for _, width := range []int{pointWidth, baseWidth} {
			sum, last := new(big.Int), -width
			for i, d := range x.digits(width) {
				if d == 0 {
					continue
				}
				if d%2 == 0 || int(d) >= 1<<(width-1) || int(d) <= -1<<(width-1) || i-last < width {
					t.Fatalf("digit %d of width %d, %d behind another", d, width, i-last)
				}
				last = i
				sum.Add(sum, new(big.Int).Lsh(big.NewInt(int64(d)), uint(i)))
			}
			check("digits", *x, sum)
		}
	}
	for k, want := range map[int64]bool{-1: true, 0: false, 1: false} {
		var z scalar
		b := toLittleEndian(new(big.Int).Add(bigOrder, big.NewInt(k)), 57)
		if got := z.setBytes((*[57]byte)(b)); got != want {
			t.Errorf("order%+d is read: %v", k, got)
		}
	}
	var z scalar
	if z.setBytes(&[57]byte{56: 1}) {
		t.Error("2^448 is read")
	}
}

func allZero(t []uint32) bool {
	for _, v := range t {
		if v != 0 {
			return false
		}
	}
	return true
}

// TestPoints: both multiplications agree with repeated addition, and the points of order
// 1, 2 and 4 add up as others do.
func TestPoints(t *testing.T) {
	b, sum := base(), identity()
	for i := range 40 {
		k := scalar{uint32(i)}
		var viaComb, viaWindows point
		viaComb.mulBase(&k)
		viaWindows.mulPublic(&scalar{}, &k, &b)
		var half scalar
		half.reduce([]uint32{uint32(i / 2)})
		rest := scalar{uint32(i - i/2)}
		var viaBoth point
		viaBoth.mulPublic(&half, &rest, &b)
		want := sum.bytes()
		for name, p := range map[string]*point{"comb": &viaComb, "windows": &viaWindows, "both": &viaBoth} {
			if p.bytes() != want {
				t.Fatalf("%d times the base point, by %s: %x, want %x", i, name, p.bytes(), want)
			}
		}
		sum.add(&sum, &b)
	}
	k := order
	var p point
	if p.mulBase(&k); !isIdentity(&p) {
		t.Error("the order times the base point is not the identity")
	}

	minusOne := element{}
	minusOne.sub(&minusOne, &one)
	two, four := point{y: minusOne, z: one}, point{x: one, z: one}
	for n, p := range map[int]point{1: identity(), 2: two, 4: four} {
		sum := p
		for i := 1; i < n; i++ {
			if isIdentity(&sum) {
				t.Errorf("%d times a point of order %d", i, n)
			}
			sum.add(&sum, &p)
		}
		if !isIdentity(&sum) {
			t.Errorf("%d times a point of order %d is no identity", n, n)
		}
		sum.add(&p, &b)
		p.negate(&p)
		sum.add(&sum, &p)
		if sum.bytes() != b.bytes() {
			t.Errorf("a point of order %d does not go away", n)
		}
		var doubled, added point
		doubled.double(&p)
		added.add(&p, &p)
		if doubled.bytes() != added.bytes() {
			t.Errorf("the double of a point of order %d", n)
		}
	}
}

func isIdentity(p *point) bool {
	i := identity()
	return p.bytes() == i.bytes()
}

// TestPointEncoding: what is read is written again as it was, and not all is read.
func TestPointEncoding(t *testing.T) {
	read := 0
	for range 200 {
		b := [57]byte(append(randomBytes(56), byte(random.IntN(2)<<7)))
		var p point
		if p.setBytes(&b) {
			read++
			if p.bytes() != b {
				t.Fatalf("%x becomes %x", b, p.bytes())
			}
		}
	}
	if read < 60 || read > 140 {
		t.Errorf("%d of 200 are points", read)
	}
	refused := func(name string, y *big.Int, last byte) {
		t.Helper()
		var p point
		b := [57]byte(append(toLittleEndian(y, 56), last))
		if p.setBytes(&b) {
			t.Errorf("%s is read", name)
		}
	}
	refused("the identity with the sign of -0", big.NewInt(1), 0x80)
	refused("the point of order 2 with the sign of -0", new(big.Int).Sub(bigPrime, big.NewInt(1)), 0x80)
	refused("y = p", bigPrime, 0)
	refused("y = p+1", new(big.Int).Add(bigPrime, big.NewInt(1)), 0)
	refused("y = 2^448-1", new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 448), big.NewInt(1)), 0)
	for bit := range 7 {
		refused("a bit between y and the sign", big.NewInt(1), 1<<bit)
	}
}

// TestX448Vectors: RFC 7748, Sections 5.2 and 6.2.
func TestX448Vectors(t *testing.T) {
	for _, v := range [][3]string{
		{"3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3",
			"06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086",
			"ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239fe14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f"},
		{"203d494428b8399352665ddca42f9de8fef600908e0d461cb021f8c538345dd77c3e4806e25f46d3315c44e0a5b4371282dd2c8d5be3095f",
			"0fbcc2f993cd56d3305b0b7d9e55d4c1a8fb5dbb52f8e9a1e9b6201b165d015894e56c4d3570bee52fe205e28a78b91cdfbde71ce8d157db",
			"884a02576239ff7a2f2f63b2db6a9ff37047ac13568e1e30fe63c4a7ad1b3ee3a5700df34321d62077e63633c575c1c954514e99da7c179d"},
	} {
		got := X448((*[56]byte)(mustHex(t, v[0])), (*[56]byte)(mustHex(t, v[1])))
		if hex.EncodeToString(got[:]) != v[2] {
			t.Errorf("%x, want %s", got, v[2])
		}
	}
	k, u := [56]byte{5}, [56]byte{5}
	for i := 1; i <= 100; i++ {
		k, u = X448(&k, &u), k
		if i == 1 && hex.EncodeToString(k[:]) != "3f482c8a9f19b01e6c46ee9711d9dc14fd4bf67af30765c2ae2b846a"+
			"4d23a8cd0db897086239492caf350b51f833868b9bc2b3bca9cf4113" {
			t.Fatalf("after one iteration %x", k)
		}
	}
	if hex.EncodeToString(k[:]) != afterHundred(t) {
		t.Errorf("after a hundred iterations %x", k)
	}
}

// afterHundred is what circl gets.
func afterHundred(t *testing.T) string {
	k, u := x448.Key{5}, x448.Key{5}
	for range 100 {
		var next x448.Key
		if !x448.Shared(&next, &k, &u) {
			t.Fatal("zero")
		}
		k, u = next, k
	}
	return hex.EncodeToString(k[:])
}

// TestX448 compares with circl.
func TestX448(t *testing.T) {
	for range 60 {
		private, peer := x448.Key(randomBytes(56)), x448.Key(randomBytes(56))
		var want x448.Key
		x448.KeyGen(&want, &private)
		if got := X448PublicKey((*[56]byte)(&private)); got != [56]byte(want) {
			t.Fatalf("public key of %x: %x, want %x", private, got, want)
		}
		x448.Shared(&want, &private, &peer)
		if got := X448((*[56]byte)(&private), (*[56]byte)(&peer)); got != [56]byte(want) {
			t.Fatalf("%x with %x: %x, want %x", private, peer, got, want)
		}
	}
	for _, low := range []*big.Int{new(big.Int), big.NewInt(1), new(big.Int).Sub(bigPrime, big.NewInt(1)), bigPrime,
		new(big.Int).Add(bigPrime, big.NewInt(1))} {
		if got := X448((*[56]byte)(randomBytes(56)), (*[56]byte)(toLittleEndian(low, 56))); got != [56]byte{} {
			t.Errorf("with %x: %x", low, got)
		}
	}
}

// TestEd448Vectors: RFC 8032, Section 7.4, those without a context.
func TestEd448Vectors(t *testing.T) {
	for _, v := range [][4]string{
		{"6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b",
			"5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180",
			"",
			"533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980" +
				"ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600"},
		{"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
			"43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
			"03",
			"26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd77980" +
				"5e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00"},
		{"cd23d24f714274e744343237b93290f511f6425f98e64459ff203e8985083ffdf60500553abc0e05cd02184bdb89c4ccd67e187951267eb328",
			"dcea9e78f35a1bf3499a831b10b86c90aac01cd84b67a0109b55a36e9328b1e365fce161d71ce7131a543ea4cb5f7e9f1d8b00696447001400",
			"0c3e544074ec63b0265e0c",
			"1f0a8888ce25e8d458a21130879b840a9089d999aaba039eaf3e3afa090a09d389dba82c4ff2ae8ac5cdfb7c55e94d5d961a29fe0109941e00" +
				"b8dbdeea6d3b051068df7254c0cdc129cbe62db2dc957dbb47b51fd3f213fb8698f064774250a5028961c9bf8ffd973fe5d5c206492b140e00"},
	} {
		key, message := NewSigningKey((*[57]byte)(mustHex(t, v[0]))), mustHex(t, v[2])
		if public := key.Public(); hex.EncodeToString(public[:]) != v[1] {
			t.Errorf("public key %x, want %s", public, v[1])
		}
		signature := key.Sign(message)
		if hex.EncodeToString(signature[:]) != v[3] {
			t.Errorf("signature %x, want %s", signature, v[3])
		}
		if !Verify(mustHex(t, v[1]), message, mustHex(t, v[3])) {
			t.Error("does not verify")
		}
	}
}

// TestEd448 compares with circl: keys, signatures, and what becomes of them
// with a changed bit.
func TestEd448(t *testing.T) {
	for range 30 {
		seed, message := randomBytes(57), randomBytes(random.IntN(300))
		theirs, ours := ed448.NewKeyFromSeed(seed), NewSigningKey((*[57]byte)(seed))
		public, want := ours.Public(), ed448.Sign(theirs, message, "")
		if !bytes.Equal(public[:], theirs[ed448.SeedSize:]) {
			t.Fatalf("public key %x of seed %x", public, seed)
		}
		signature := ours.Sign(message)
		if !bytes.Equal(signature[:], want) {
			t.Fatalf("signature %x, want %x", signature, want)
		}
		if !Verify(public[:], message, signature[:]) {
			t.Fatal("does not verify")
		}
		if Verify(public[:], append(message, 0), signature[:]) {
			t.Error("verifies for another message")
		}
		for range 4 {
			bad, badKey := signature, public
			bad[random.IntN(len(bad))] ^= 1 << random.IntN(8)
			if Verify(public[:], message, bad[:]) {
				t.Errorf("signature %x changed to %x verifies", signature, bad)
			}
			badKey[random.IntN(len(badKey))] ^= 1 << random.IntN(8)
			if Verify(badKey[:], message, signature[:]) {
				t.Errorf("verifies for %x instead of %x", badKey, public)
			}
		}
	}
}

// TestEd448Strictness: S has one form, and so have R and the public key; what
// differs by a point of low order does not verify.
func TestEd448Strictness(t *testing.T) {
	key, message := NewSigningKey((*[57]byte)(randomBytes(57))), []byte("message")
	public, signature := key.Public(), key.Sign(message)
	for k := int64(1); k <= 3; k++ {
		s := littleEndian(signature[57:])
		s.Add(s, new(big.Int).Mul(bigOrder, big.NewInt(k)))
		bad := append(bytes.Clone(signature[:57]), toLittleEndian(s, 57)...)
		if Verify(public[:], message, bad) {
			t.Errorf("S + %d times the order verifies", k)
		}
	}
	for n := range signature {
		if Verify(public[:], message, signature[:n]) {
			t.Errorf("the first %d bytes verify", n)
		}
	}
	for n := range public {
		if Verify(public[:n], message, signature[:]) {
			t.Errorf("verifies for the first %d bytes of the key", n)
		}
	}
	if Verify(append(public[:], 0), message, signature[:]) || Verify(public[:], message, append(signature[:], 0)) {
		t.Error("a byte behind the end is no fault")
	}

	// R plus a point of order 2 is another point.
	var p point
	if !p.setBytes((*[57]byte)(signature[:57])) {
		t.Fatal("R does not parse")
	}
	p.x.sub(&element{}, &p.x)
	p.y.sub(&element{}, &p.y)
	other := p.bytes()
	if Verify(public[:], message, append(other[:], signature[57:]...)) {
		t.Error("R plus a point of order 2 verifies")
	}
}

// TestEd448LowOrder: for public keys and R of low order, and for keys with a part of low
// order, what verifies is what circl verifies.
func TestEd448LowOrder(t *testing.T) {
	verify := func(public, message, signature []byte) bool {
		t.Helper()
		got := Verify(public, message, signature)
		if want := ed448.Verify(public, message, signature, ""); got != want {
			t.Fatalf("public key %x, message %x, signature %x: %v, want %v", public, message, signature, got, want)
		}
		return got
	}
	minusOne := element{}
	minusOne.sub(&minusOne, &one)
	points := []point{identity(), {y: minusOne, z: one}, {x: one, z: one}, {x: minusOne, z: one}}
	verified := 0
	for i := range points {
		for j := range points {
			public, r := points[i].bytes(), points[j].bytes()
			for n := range 4 {
				if verify(public[:], []byte{byte(n)}, append(r[:], make([]byte, 57)...)) {
					verified++
				}
			}
		}
	}
	if verified == 0 {
		t.Error("nothing verifies")
	}
	key := NewSigningKey(&[57]byte{3})
	for i := range points {
		var a point
		if !a.setBytes(&key.public) {
			t.Fatal("the key is not read")
		}
		a.add(&a, &points[i])
		mixed := *key
		mixed.public = a.bytes()
		for n := range 8 {
			message := []byte{byte(n)}
			signature := mixed.Sign(message)
			if !verify(mixed.public[:], message, signature[:]) {
				t.Errorf("point %d: what the owner signs does not verify", i)
			}
			var r point
			if !r.setBytes((*[57]byte)(signature[:])) {
				t.Fatal("R is not read")
			}
			r.add(&r, &points[2])
			other := r.bytes()
			if verify(mixed.public[:], message, append(other[:], signature[57:]...)) {
				t.Errorf("point %d: R with a part of order 4 verifies", i)
			}
		}
	}
}

func BenchmarkCurve448(b *testing.B) {
	private, peer := x448.Key(randomBytes(56)), x448.Key(randomBytes(56))
	seed, message := randomBytes(57), randomBytes(300)
	ours, theirs := NewSigningKey((*[57]byte)(seed)), ed448.NewKeyFromSeed(seed)
	public, signature := ours.Public(), ours.Sign(message)
	X448PublicKey((*[56]byte)(&private))
	Verify(public[:], message, signature[:])
	var key x448.Key
	for name, f := range map[string]func(){
		"X448PublicKey/ours":  func() { X448PublicKey((*[56]byte)(&private)) },
		"X448PublicKey/circl": func() { x448.KeyGen(&key, &private) },
		"X448/ours":           func() { X448((*[56]byte)(&private), (*[56]byte)(&peer)) },
		"X448/circl":          func() { x448.Shared(&key, &private, &peer) },
		"NewSigningKey/ours":  func() { NewSigningKey((*[57]byte)(seed)) },
		"NewSigningKey/circl": func() { ed448.NewKeyFromSeed(seed) },
		"Sign/ours":           func() { ours.Sign(message) },
		"Sign/circl":          func() { ed448.Sign(theirs, message, "") },
		"Verify/ours":         func() { Verify(public[:], message, signature[:]) },
		"Verify/circl":        func() { ed448.Verify(public[:], message, signature[:], "") },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
}
