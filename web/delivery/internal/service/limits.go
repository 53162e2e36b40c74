package service

import "time"

// Limits bounds what a client can make the service do. Sizes are in bytes.
type Limits struct {
	Frame      int // a frame of an authenticated client
	HelloFrame int // a frame before that
	Token      int
	Device     int
	GroupID    int

	Message               int // a proposal, an application message, a GroupInfo on its own
	KeyPackage            int
	KeyPackagesPerRequest int
	KeyPackagesPerDevice  int
	Devices               int // of a user
	WelcomeRecipients     int // of one commit
	WelcomesPerDevice     int // pending

	Connections                int // in this process
	ConnectionsPerUser         int // in this process
	SubscriptionsPerConnection int

	// Requests of a connection beyond the burst are not read before their
	// time, at this many a second. Order and outcome stay the same.
	RequestsPerSecond int
	RequestBurst      int

	// A user's connections to this process together have these, in the same
	// way. Claims are of others' key packages, which run out.
	BytesPerSecond  int // of frames
	ByteBurst       int // at least Frame
	ClaimsPerSecond int
	ClaimBurst      int
	// Recipients of welcomes: each is a record that is stored.
	RecipientsPerSecond int
	RecipientBurst      int // at least WelcomeRecipients

	// Of one device's key packages, somebody else's claims take this many, and
	// one more in each time after that: beyond it they are given the one of last
	// resort. One user must not use up what a device has for all.
	ClaimsPerDevice int
	ClaimDeviceTime time.Duration
	// Of the welcomes that wait for a device, one other user may add so many, and
	// one more in each time after that: beyond it its queue is full for this user.
	WelcomesToDevice  int
	WelcomeDeviceTime time.Duration

	// Connections beyond the burst, at this many a second, are refused.
	ConnectionsPerSecond int
	ConnectionBurst      int

	HelloTimeout   time.Duration // from the connection to an accepted hello
	RequestTimeout time.Duration // after which a request is UNAVAILABLE
	// WriteTimeout is for a frame of no size; each WriteRate bytes add a
	// second. A client that does not take a frame in that time is dropped,
	// and resumes by sequence.
	WriteTimeout time.Duration
	WriteRate    int
	PingInterval time.Duration
	PingTimeout  time.Duration
}

// DefaultLimits is what PROTOCOL.md promises.
var DefaultLimits = Limits{
	Frame:      8 << 20,
	HelloFrame: 16 << 10,
	Token:      8 << 10,
	Device:     64,
	GroupID:    255,

	Message:               4 << 20,
	KeyPackage:            64 << 10,
	KeyPackagesPerRequest: 100,
	KeyPackagesPerDevice:  500,
	Devices:               32,
	WelcomeRecipients:     1024,
	WelcomesPerDevice:     256,

	Connections:                10_000,
	ConnectionsPerUser:         16,
	SubscriptionsPerConnection: 1024,

	RequestsPerSecond: 100,
	RequestBurst:      200,

	BytesPerSecond:  4 << 20,
	ByteBurst:       32 << 20,
	ClaimsPerSecond: 10,
	ClaimBurst:      1024,

	RecipientsPerSecond: 100,
	RecipientBurst:      2048,

	ClaimsPerDevice: 16,
	ClaimDeviceTime: time.Minute,

	WelcomesToDevice:  64,
	WelcomeDeviceTime: time.Minute,

	ConnectionsPerSecond: 500,
	ConnectionBurst:      2000,

	HelloTimeout:   10 * time.Second,
	RequestTimeout: 10 * time.Second,
	WriteTimeout:   10 * time.Second,
	WriteRate:      32 << 10,
	PingInterval:   30 * time.Second,
	PingTimeout:    60 * time.Second,
}
