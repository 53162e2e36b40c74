package mls

import "time"

// Limits bound what a group keeps and what a peer can make it do. A zero field
// takes its default.
type Limits struct {
	// MaxMessage is the largest message accepted, in bytes (default 64 MiB).
	MaxMessage int
	// MaxForward is how far ahead of a ratchet a generation may be (default 1,000).
	MaxForward uint32
	// MaxSkipped is how many unused keys of skipped generations a ratchet
	// keeps (default 1,000).
	MaxSkipped int
	// MaxPastEpochs is how many past epochs still open application messages
	// (default 5; -1 for none).
	MaxPastEpochs int
	// MaxPastEpochAge is how long a past epoch is kept (default 7 days).
	MaxPastEpochAge time.Duration
	// MaxResumptionPSKs is how many resumption PSKs of past epochs are kept
	// (default 16; -1 for none).
	MaxResumptionPSKs int
	// MaxMembers is the largest group that is joined (default 50,000): what a
	// Welcome can make a joiner verify.
	MaxMembers int
	// MaxProposals is how many proposals of an epoch are cached (default 4,096).
	MaxProposals int
	// MaxLifetime is the longest lifetime of a key package that is accepted
	// for an Add (default 400 days; RFC 9420, Section 7.2). -1 accepts any: for
	// tests against implementations whose key packages do not end.
	MaxLifetime time.Duration
	// LifetimeSkew is the clock difference that is forgiven (default 1 day).
	LifetimeSkew time.Duration
	// IgnoreReceivedLifetimes leaves the lifetimes in received Adds unchecked,
	// which RFC 9420, Section 7.3 allows. One's own Adds are always checked.
	IgnoreReceivedLifetimes bool
	// MaxReserved is how many generations are reserved at most for sends that
	// follow one another (default 31; -1 for none): what receivers skip when this
	// client crashes.
	MaxReserved int
	// PaddingBlock: application data is padded to a multiple of this many
	// bytes (default 256; -1 for no padding).
	PaddingBlock int
}

func (l Limits) withDefaults() Limits {
	if l.MaxMessage == 0 {
		l.MaxMessage = 64 << 20
	}
	if l.MaxForward == 0 {
		l.MaxForward = 1000
	}
	if l.MaxSkipped == 0 {
		l.MaxSkipped = 1000
	}
	l.MaxPastEpochs = countLimit(l.MaxPastEpochs, 5)
	if l.MaxPastEpochAge == 0 {
		l.MaxPastEpochAge = 7 * 24 * time.Hour
	}
	l.MaxResumptionPSKs = countLimit(l.MaxResumptionPSKs, 16)
	if l.MaxMembers == 0 {
		l.MaxMembers = 50_000
	}
	if l.MaxProposals == 0 {
		l.MaxProposals = 4096
	}
	if l.MaxLifetime == 0 {
		l.MaxLifetime = 400 * 24 * time.Hour
	}
	if l.LifetimeSkew == 0 {
		l.LifetimeSkew = 24 * time.Hour
	}
	l.MaxReserved = countLimit(l.MaxReserved, 31)
	l.PaddingBlock = countLimit(l.PaddingBlock, 256)
	return l
}

// countLimit reads 0 as the default and a negative value as none.
func countLimit(v, byDefault int) int {
	switch {
	case v == 0:
		return byDefault
	case v < 0:
		return 0
	}
	return v
}

// oldestPast is the time, in Unix seconds, before which an epoch must not have
// ended to be kept.
func (l *Limits) oldestPast(now int64) int64 {
	return now - int64(l.MaxPastEpochAge.Seconds())
}
