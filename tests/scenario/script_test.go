package scenario

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"webmls/mls/suite"
)

// An op is one thing that happens in a history. The zero op does nothing, so
// that a history shrinks towards fewer events.
type op uint8

const (
	opRest op = iota
	opCommit
	opSubmit
	opApply
	opClear
	opPropose
	opDrop
	opSend
	opDeliver
	opLose
	opReplay
	opCatchUp
	opSettle
	opExternal
	opFreshDevice
	opAskToJoin
	opService
	opPSK
	opAcknowledge
	opReload
	opForget
	opBranch
	opReInit
)

var opNames = [...]string{"rest", "commit", "submit", "apply", "clear", "propose", "drop", "send", "deliver", "lose",
	"replay", "catchUp", "settle", "external", "freshDevice", "askToJoin", "service", "psk", "acknowledge", "reload", "forget",
	"branch", "reInit"}

func (o op) String() string { return opNames[o] }

// weights says how often each op comes in a history.
var weights = [...]int{
	opRest: 1, opCommit: 14, opSubmit: 8, opApply: 5, opClear: 2, opPropose: 9, opDrop: 2, opSend: 10, opDeliver: 16, opLose: 1,
	opReplay: 6, opCatchUp: 10, opSettle: 8, opExternal: 8, opFreshDevice: 2, opAskToJoin: 2, opService: 2, opPSK: 2,
	opAcknowledge: 2, opReload: 3, opForget: 1, opBranch: 1, opReInit: 1,
}

// A step is an op with the dice that decide its details: who, whom, how. Each
// decision takes the next die; those that are missing are 0.
type step struct {
	op   op
	dice [8]byte
}

func (s step) String() string {
	n := len(s.dice)
	for n > 0 && s.dice[n-1] == 0 {
		n--
	}
	return fmt.Sprint(s.op, s.dice[:n])
}

// A script is a whole history. It is data, so that one history can be played
// many times, with a fault in another place each time.
type script struct {
	suite suite.ID
	size  int // members of the group before the first step
	past  int // past epochs that are retained
	old   int // each old-th device supports nothing beyond the RFC; 0: none
	vault bool
	// listed: the service is an external sender from the beginning.
	listed bool
	steps  []step
}

// GoString is what rapid prints of a history that failed.
func (s script) GoString() string {
	var b strings.Builder
	fmt.Fprintf(&b, "suite %d, %d members, %d past epochs, old %d, vault %v, listed %v:", s.suite, s.size, s.past, s.old, s.vault, s.listed)
	for _, step := range s.steps {
		b.WriteByte(' ')
		b.WriteString(step.String())
	}
	return b.String()
}

// ops lists each op as often as it weighs, mixed: rapid prefers what stands in
// front, and the ends. The first is opRest.
var ops = func() []op {
	var sorted []op
	for o, n := range weights {
		for range n {
			sorted = append(sorted, op(o))
		}
	}
	const stride = 89 // a prime, which does not divide the length
	mixed := make([]op, len(sorted))
	for i := range mixed {
		mixed[i] = sorted[i*stride%len(sorted)]
	}
	return mixed
}()

var steps = rapid.Custom(func(t *rapid.T) step {
	s := step{op: rapid.SampledFrom(ops).Draw(t, "op")}
	for i := range s.dice {
		s.dice[i] = rapid.Byte().Draw(t, "die")
	}
	return s
})

// suites: mostly the fast ones.
var suites = rapid.SampledFrom([]suite.ID{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 7, 4})

// sizes: mostly small, up to 64.
var sizes = rapid.Custom(func(t *rapid.T) int {
	switch n := rapid.IntRange(0, 99).Draw(t, "size class"); {
	case n < 70:
		return rapid.IntRange(2, 5).Draw(t, "size")
	case n < 92:
		return rapid.IntRange(6, 12).Draw(t, "size")
	case n < 98:
		return rapid.IntRange(13, 32).Draw(t, "size")
	}
	return rapid.IntRange(33, 64).Draw(t, "size")
})

// histories are the scripts of the long run.
var histories = rapid.Custom(func(t *rapid.T) script {
	s := script{
		suite: suites.Draw(t, "suite"),
		size:  sizes.Draw(t, "members"),
		past:  rapid.SampledFrom([]int{5, 1, 2}).Draw(t, "past epochs"),
		old:   rapid.SampledFrom([]int{0, 0, 2, 3, 5}).Draw(t, "old"),
		vault: rapid.Bool().Draw(t, "vault"), listed: rapid.Bool().Draw(t, "listed"),
	}
	// A list of lists has more elements than a list, and still shrinks in its
	// middle: about 60 steps, and 200 at most.
	least, most := 4, 20
	if s.size > 16 || s.suite > 3 {
		least, most = 1, 5 // each epoch costs by the size
	}
	for _, part := range rapid.SliceOfN(rapid.SliceOfN(steps, 2, 10), least, most).Draw(t, "steps") {
		s.steps = append(s.steps, part...)
	}
	return s
})

// shortHistories are for the play with a fault at each place.
var shortHistories = rapid.Custom(func(t *rapid.T) script {
	return script{
		suite: rapid.SampledFrom([]suite.ID{1, 3}).Draw(t, "suite"),
		size:  rapid.IntRange(2, 4).Draw(t, "members"),
		past:  rapid.SampledFrom([]int{5, 1}).Draw(t, "past epochs"),
		old:   rapid.SampledFrom([]int{0, 3}).Draw(t, "old"),
		vault: rapid.Bool().Draw(t, "vault"), listed: rapid.Bool().Draw(t, "listed"),
		steps: rapid.SliceOfN(steps, 12, 32).Draw(t, "steps"),
	}
})
