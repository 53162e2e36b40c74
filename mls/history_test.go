package mls_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"webmls/mls"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/suite"
)

var (
	historySeed  = flag.Int64("history.seed", 0, "the seed of TestHistory; 0 takes the time")
	historySteps = flag.Int("history.steps", 400, "the number of steps of TestHistory")
)

// history is a group with a random past. The delivery service is a queue that
// loses, doubles, delays and reorders data; of commits it takes one an epoch.
type history struct {
	t       *testing.T
	rng     *rand.Rand
	id      suite.ID
	members []*resident
	gone    []*resident
	queue   []letter
	names   int
	epoch   uint64
	what    string // the step, for failures
	// resumption: a PSK is proposed that no newcomer holds.
	resumption bool
}

// resident is a client that is or was a member.
type resident struct {
	*party
	since uint64 // the epoch it came in
}

// letter is data on its way to one recipient.
type letter struct {
	to     *resident
	since  uint64 // of the recipient, when it was sent
	from   string
	text   string
	epoch  uint64
	b      []byte
	opened bool
}

func (h *history) newcomer() *resident {
	h.names++
	p := newPartyWith(h.t, h.id, fmt.Sprint("m", h.names), nil)
	if err := p.client.StorePSK(ctx, []byte("psk"), []byte("a secret")); err != nil {
		h.t.Fatal(err)
	}
	return &resident{party: p}
}

func (h *history) pick() *resident         { return h.members[h.rng.Intn(len(h.members))] }
func (h *history) chance(n int) bool       { return h.rng.Intn(n) == 0 }
func (h *history) fail(f string, a ...any) { h.t.Helper(); h.t.Fatalf(h.what+": "+f, a...) }

// agree checks that all members are in one state, and that it is stored.
func (h *history) agree() {
	h.t.Helper()
	h.resumption = false
	first := h.members[0].info()
	exported := must(h.members[0].group.Export(ctx, "history", nil, 16))
	if first.MemberCount != len(h.members) {
		h.fail("%d members, and should be %d", first.MemberCount, len(h.members))
	}
	for _, m := range h.members {
		info := m.info()
		if info.Epoch != h.epoch || !bytes.Equal(info.EpochAuthenticator, first.EpochAuthenticator) || !bytes.Equal(info.TreeHash, first.TreeHash) {
			h.fail("%s is in epoch %d, %s in epoch %d, or they differ", m.name, info.Epoch, h.members[0].name, first.Epoch)
		}
		if !bytes.Equal(must(m.group.Export(ctx, "history", nil, 16)), exported) {
			h.fail("%s exports another secret", m.name)
		}
	}
	h.members[h.rng.Intn(len(h.members))].checkStored()
}

// propose has a member propose something. A list that becomes invalid by it is
// the committer's to put right.
func (h *history) propose() {
	m := h.pick()
	opts := mls.ProposeOptions{PublicMessage: h.chance(2)}
	switch h.rng.Intn(5) {
	case 0, 1:
		opts.Update = true
	case 2:
		opts.PSK = &message.PreSharedKeyID{Type: message.PSKResumption, Usage: message.ResumptionApplication, GroupID: m.group.ID(), Epoch: h.epoch}
		h.resumption = true
	case 3:
		target := h.pick()
		if len(h.members) < 3 {
			return
		}
		i := target.info().OwnLeaf
		opts.Remove = &i
	case 4:
		opts.PSK = &message.PreSharedKeyID{Type: message.PSKExternal, ID: []byte("psk")}
	}
	r, err := m.group.Propose(ctx, opts)
	if err != nil {
		h.fail("%s proposes %+v: %v", m.name, opts, err)
	}
	for _, x := range h.members {
		ev, err := x.group.Receive(ctx, r.Message)
		if err != nil {
			h.fail("%s receives a proposal: %v", x.name, err)
		}
		if own := ev.Type == mls.EventOwn; own != (x == m) {
			h.fail("%s got %+v", x.name, ev)
		}
	}
}

// commit has a member commit; perhaps two, of whom one wins.
func (h *history) commit() {
	m := h.pick()
	opts := mls.CommitOptions{PublicMessage: h.chance(3), NoPath: h.chance(3), NoRatchetTree: h.chance(4), IgnoreProposals: h.chance(6)}
	var joining []*resident
	for len(h.members)+len(joining) < 12 && h.chance(3) && !(h.resumption && !opts.IgnoreProposals) {
		j := h.newcomer()
		joining = append(joining, j)
		opts.Add = append(opts.Add, j.keyPackage())
	}
	if len(h.members) > 3 && h.chance(4) {
		if target := h.pick(); target != m {
			opts.Remove = append(opts.Remove, target.info().OwnLeaf)
		}
	}
	if h.chance(5) {
		opts.PSKs = []message.PreSharedKeyID{{Type: message.PSKExternal, ID: []byte("psk")}}
	}
	r, err := m.group.Commit(ctx, opts)
	if err != nil {
		h.fail("%s commits %+v: %v", m.name, opts, err)
	}
	if loser := h.pick(); loser != m && h.chance(3) {
		if _, err := loser.group.Commit(ctx, mls.CommitOptions{}); err != nil {
			h.fail("%s commits: %v", loser.name, err)
		}
		if h.chance(2) {
			loser.reloadWith(nil)
		}
	}
	if h.chance(4) {
		m.reloadWith(nil)
	}
	h.spread(m, r, joining)
}

// spread gives a commit to all and carries out who came and who went.
func (h *history) spread(m *resident, r *mls.CommitResult, joining []*resident) {
	h.t.Helper()
	h.epoch++
	if h.chance(8) { // cleared in error, and made again
		if err := m.group.ClearPendingCommit(ctx); err != nil {
			h.fail("clear: %v", err)
		}
		if m.info().Status != mls.StatusActive {
			h.fail("%s is %s", m.name, m.info().Status)
		}
		again, err := m.group.Commit(ctx, mls.CommitOptions{IgnoreProposals: true})
		if err != nil {
			h.fail("again: %v", err)
		}
		r, joining = again, nil
	}
	var rest []*resident
	for _, x := range h.members {
		if x == m {
			rest = append(rest, x)
			continue
		}
		ev, err := x.group.Receive(ctx, r.Commit)
		if err != nil {
			h.fail("%s receives the commit of %s: %v", x.name, m.name, err)
		}
		switch ev.Type {
		case mls.EventGroupUpdate:
			rest = append(rest, x)
		case mls.EventRemoved:
			h.gone = append(h.gone, x)
		default:
			h.fail("%s got %+v", x.name, ev)
		}
	}
	if h.chance(2) {
		m.apply()
	} else if ev := m.receive(r.Commit); ev.Type != mls.EventGroupUpdate || !ev.Update.Own {
		h.fail("%+v", ev)
	}
	h.members = rest
	if len(joining) > 0 {
		nodes := must(m.group.RatchetTree(ctx))
		for _, j := range joining {
			g, err := j.client.JoinGroup(ctx, r.Welcome, mls.JoinOptions{RatchetTree: nodes})
			if err != nil {
				h.fail("%s joins: %v", j.name, err)
			}
			j.group, j.since = g, h.epoch
			h.members = append(h.members, j)
		}
	}
	h.agree()
}

// external has somebody join, or come back, by an external commit.
func (h *history) external() {
	host := h.pick()
	apart := h.chance(3)
	info := must(host.group.GroupInfo(ctx, mls.GroupInfoOptions{NoRatchetTree: apart}))
	opts := mls.ExternalOptions{}
	if apart {
		opts.RatchetTree = must(host.group.RatchetTree(ctx))
	}
	if h.chance(4) {
		opts.PSKs = []message.PreSharedKeyID{{Type: message.PSKExternal, ID: []byte("psk")}}
	}
	var x *resident
	var former *resident
	switch n := h.rng.Intn(4); {
	case n == 0 && len(h.members) < 12:
		x = h.newcomer()
	case n == 1 && len(h.gone) > 0 && len(h.members) < 12: // removed before
		i := h.rng.Intn(len(h.gone))
		x = h.gone[i]
		h.gone = append(h.gone[:i], h.gone[i+1:]...)
	case n == 2: // from its state
		x = h.pick()
		former, opts.Resync = x, true
	default: // from another device
		former = h.pick()
		opts.Resync = true
		p := newPartyWith(h.t, h.id, former.name, nil)
		if err := p.client.StorePSK(ctx, []byte("psk"), []byte("a secret")); err != nil {
			h.t.Fatal(err)
		}
		x = &resident{party: p}
	}
	g, r, err := x.client.JoinExternal(ctx, x.id.ID(), info, opts)
	if err != nil {
		h.fail("%s joins by itself: %v", x.name, err)
	}
	x.group = g
	if h.chance(3) {
		x.reloadWith(nil)
	}
	h.epoch++
	var rest []*resident
	for _, m := range h.members {
		if m == x {
			continue
		}
		ev, err := m.group.Receive(ctx, r.Commit)
		if err != nil {
			h.fail("%s receives the external commit of %s: %v", m.name, x.name, err)
		}
		if (ev.Type == mls.EventRemoved) != (m == former) {
			h.fail("%s got %+v", m.name, ev)
		}
		if m != former {
			rest = append(rest, m)
		}
	}
	x.apply()
	x.since = h.epoch
	h.members = append(rest, x)
	h.agree()
}

// send has a member send to all others, unless proposals wait.
func (h *history) send() {
	m := h.pick()
	text := fmt.Sprint(m.name, " ", h.rng.Int())
	b, err := m.group.Send(ctx, []byte(text), mls.SendOptions{})
	if mlserr.CodeOf(err) == mlserr.PendingProposals {
		if m.info().PendingProposals == 0 {
			h.fail("%v", err)
		}
		return
	}
	if err != nil {
		h.fail("%s sends: %v", m.name, err)
	}
	for _, x := range h.members {
		if x == m || h.chance(10) { // lost
			continue
		}
		l := letter{to: x, since: x.since, from: m.name, text: text, epoch: h.epoch, b: b}
		h.queue = append(h.queue, l)
		if h.chance(6) {
			h.queue = append(h.queue, l)
		}
	}
}

// deliver gives out some of what is under way, in any order.
func (h *history) deliver() {
	h.rng.Shuffle(len(h.queue), func(i, j int) { h.queue[i], h.queue[j] = h.queue[j], h.queue[i] })
	n := len(h.queue) * h.rng.Intn(4) / 3
	now := h.queue[:n]
	h.queue = append([]letter(nil), h.queue[n:]...)
	opened := map[string]bool{}
	for _, l := range now {
		key := l.to.name + l.text
		member := false
		for _, m := range h.members {
			member = member || m == l.to
		}
		ev, err := l.to.group.Receive(ctx, l.b)
		code := mlserr.CodeOf(err)
		switch {
		case !member:
			if err == nil || code != mlserr.NotMember {
				h.fail("%s, who is gone, receives: %v", l.to.name, err)
			}
		case l.since != l.to.since: // another membership
			if err == nil || code != mlserr.EpochBehind && code != mlserr.DecryptionFailed {
				h.fail("%s receives what was for its former self: %v", l.to.name, err)
			}
		case h.epoch-l.epoch > 5:
			if code != mlserr.EpochBehind {
				h.fail("a message of epoch %d: %v", l.epoch, err)
			}
		case err == nil:
			if opened[key] || string(ev.Content) != l.text || string(ev.Sender.Credential.Identity) != l.from {
				h.fail("%s got %+v", l.to.name, ev)
			}
			opened[key] = true
			if h.chance(2) {
				if err := l.to.group.Acknowledge(ctx, ev.InboxID); err != nil {
					h.fail("%v", err)
				}
			}
		case code != mlserr.AlreadyProcessed:
			h.fail("%s receives: %v", l.to.name, err)
		}
	}
}

func (h *history) step(i int) {
	for _, s := range []struct {
		weight int
		name   string
		do     func()
	}{
		{4, "commit", h.commit},
		{3, "propose", h.propose},
		{4, "send", h.send},
		{3, "deliver", h.deliver},
		{1, "external", h.external},
		{1, "reload", func() { h.pick().reloadWith(nil) }},
	} {
		if h.rng.Intn(16) < s.weight {
			h.what = fmt.Sprintf("step %d, %s", i, s.name)
			s.do()
			if len(h.members) < 2 {
				h.commitAlone()
			}
		}
	}
}

// commitAlone adds somebody to a group of one.
func (h *history) commitAlone() {
	j := h.newcomer()
	r, err := h.members[0].group.Commit(ctx, mls.CommitOptions{Add: [][]byte{j.keyPackage()}, IgnoreProposals: true})
	if err != nil {
		h.fail("%v", err)
	}
	h.epoch++
	h.members[0].apply()
	j.join(r.Welcome)
	j.since = h.epoch
	h.members = append(h.members, j)
	h.agree()
}

// TestHistory: a random history of a group of 2 to 12, after each epoch of which
// all members agree. -history.seed plays one again.
func TestHistory(t *testing.T) {
	seed := *historySeed
	if seed == 0 {
		seed = time.Now().UnixNano()
	}
	steps := *historySteps
	if quick() {
		steps = min(steps, 60)
	}
	for _, id := range []suite.ID{suite.X25519AES128SHA256Ed25519, suite.X25519ChaCha20SHA256Ed25519} {
		t.Run(id.String(), func(t *testing.T) {
			t.Logf("-history.seed %d", seed)
			h := &history{t: t, rng: rand.New(rand.NewSource(seed)), id: id}
			m := h.newcomer()
			m.create()
			h.members = []*resident{m}
			h.commitAlone()
			for i := range steps / 2 {
				h.step(i)
			}
		})
	}
}
