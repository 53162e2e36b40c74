package service

import "time"

// Limits bounds what a client can make the service do. Sizes are in bytes.
type Limits struct {
	Frame      int // a frame of an authenticated client
	HelloFrame int // a frame before that
	Name       int
	Token      int
	TokenLeast int
	GroupID    int

	Message               int // a proposal, an application message, a GroupInfo on its own
	KeyPackage            int
	KeyPackagesPerRequest int
	KeyPackagesPerUser    int
	WelcomeRecipients     int // of one commit
	WelcomesPerUser       int // pending

	Connections                int // in this process
	ConnectionsPerUser         int // in this process
	SubscriptionsPerConnection int

	// Requests of a connection beyond the burst are not read before their
	// time, at this many a second. Order and outcome stay the same.
	RequestsPerSecond int
	RequestBurst      int

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
	HelloFrame: 4 << 10,
	Name:       128,
	Token:      256,
	TokenLeast: 16,
	GroupID:    255,

	Message:               4 << 20,
	KeyPackage:            64 << 10,
	KeyPackagesPerRequest: 100,
	KeyPackagesPerUser:    500,
	WelcomeRecipients:     1024,
	WelcomesPerUser:       256,

	Connections:                10_000,
	ConnectionsPerUser:         16,
	SubscriptionsPerConnection: 1024,

	RequestsPerSecond: 100,
	RequestBurst:      200,

	HelloTimeout:   10 * time.Second,
	RequestTimeout: 10 * time.Second,
	WriteTimeout:   10 * time.Second,
	WriteRate:      32 << 10,
	PingInterval:   30 * time.Second,
	PingTimeout:    60 * time.Second,
}
