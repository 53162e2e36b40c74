package service

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"time"

	"webmls/mls/message"
	"webmls/web/delivery/internal/accounts"
	"webmls/web/delivery/internal/store"
)

// protocolVersion is the version of PROTOCOL.md.
const protocolVersion = 1

// maxInteger is the largest integer that every JSON reader takes exactly.
const maxInteger = 1<<53 - 1

// request is any request; PROTOCOL.md says which fields an op uses.
type request struct {
	ID uint64 `json:"id"`
	Op string `json:"op"`

	Version     int              `json:"version"`
	Name        string           `json:"name"`
	Device      string           `json:"device"`
	Token       string           `json:"token"`
	KeyPackages [][]byte         `json:"keyPackages"`
	LastResort  []byte           `json:"lastResort"`
	Below       int              `json:"below"`
	Group       []byte           `json:"group"`
	Message     []byte           `json:"message"`
	GroupInfo   []byte           `json:"groupInfo"`
	Welcomes    []requestWelcome `json:"welcomes"`
	Members     []string         `json:"members"`
	Welcome     string           `json:"welcome"`
	From        uint64           `json:"from"`
	Subscribe   uint64           `json:"sub"`
}

type requestWelcome struct {
	To      []recipient `json:"to"`
	Welcome []byte      `json:"welcome"`
}

// recipient is a device: {"name", "device"}, or the name alone where the device
// has no name of its own.
type recipient struct {
	Name   string `json:"name"`
	Device string `json:"device"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *recipient) UnmarshalJSON(b []byte) error {
	*r = recipient{}
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &r.Name)
	}
	type fields recipient
	return json.Unmarshal(b, (*fields)(r))
}

type reply struct {
	ID    uint64 `json:"id"`
	OK    any    `json:"ok,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// operations is every op but hello, by name.
var operations = map[string]func(*connection, context.Context, *request) (any, error){
	"publishKeyPackages": (*connection).publishKeyPackages,
	"claimKeyPackage":    (*connection).claimKeyPackage,
	"claimKeyPackages":   (*connection).claimKeyPackages,
	"devices":            (*connection).devices,
	"removeDevice":       (*connection).removeDevice,
	"publishCommit":      (*connection).publishCommit,
	"publish":            (*connection).publish,
	"publishGroupInfo":   (*connection).publishGroupInfo,
	"groupInfo":          (*connection).groupInfo,
	"acknowledgeWelcome": (*connection).acknowledgeWelcome,
	"ping":               (*connection).pong,
}

// handle does one request within the request timeout. What lives longer than
// the request takes the connection's context.
func (c *connection) handle(ctx context.Context, cancel context.CancelCauseFunc, r *request) (any, error) {
	limited, stop := context.WithTimeout(ctx, c.service.limits.RequestTimeout)
	defer stop()
	switch {
	case r.Op == "hello":
		return c.hello(limited, ctx, r)
	case c.user == "":
		return nil, fail(codeNotAuthenticated, "the first request is hello")
	case r.Op == "subscribe":
		return c.subscribe(limited, ctx, cancel, r)
	case r.Op == "unsubscribe":
		return c.unsubscribe(r)
	case r.Op == "countKeyPackages":
		return c.countKeyPackages(limited, ctx, cancel, r)
	case r.Op == "welcomes":
		return c.followWelcomes(ctx, cancel, r)
	}
	operation, ok := operations[r.Op]
	if !ok {
		return nil, fail(codeUnknownOp, "no such op")
	}
	return operation(c, limited, r)
}

// explain turns an error into what the client is told. What it is not told is
// in the log; neither holds a payload.
func (c *connection) explain(r *request, err error) *Error {
	var told *Error
	switch {
	case errors.As(err, &told):
	case errors.Is(err, store.ErrTooLarge):
		told = fail(codeTooLarge, "larger than the store takes, %d bytes", c.service.config.Store.MaxRecord())
	case errors.Is(err, store.ErrNoKeyPackage):
		told = fail(codeNoKeyPackage, "the user has no key package left")
	case errors.Is(err, store.ErrDevices):
		told = fail(codeTooManyDevices, "a user has at most %d devices", c.service.limits.Devices)
	case errors.Is(err, accounts.ErrName):
		told = fail(codeNameInvalid, "a name is 1 to %d bytes, printable, without a space at its ends", accounts.NameLimit)
	case errors.Is(err, accounts.ErrToken):
		told = fail(codeTokenInvalid, "not a valid token of this name")
	case errors.Is(err, accounts.ErrTaken):
		told = fail(codeNameTaken, "the name belongs to another token")
	case errors.Is(err, store.ErrNoGroupInfo):
		told = fail(codeNoGroupInfo, "no GroupInfo of the group's epoch was published")
	case errors.Is(err, store.ErrNotMember):
		told = fail(codeNotAMember, "the user may not publish in this group")
	case errors.Is(err, store.ErrTooMany):
		told = fail(codeTooMany, "more than %d members", store.MaxMembers)
	default:
		told = fail(codeUnavailable, "the outcome is unknown; try again")
		c.logger.Error("request failed", "op", opName(r.Op), "error", err)
		return told
	}
	c.logger.Info("request refused", "op", opName(r.Op), "code", told.Code)
	return told
}

// opName keeps a client's text out of the log.
func opName(op string) string {
	switch op {
	case "hello", "subscribe", "unsubscribe", "welcomes", "countKeyPackages":
		return op
	}
	if _, ok := operations[op]; ok {
		return op
	}
	return "unknown"
}

type helloReply struct {
	Version int         `json:"version"`
	Name    string      `json:"name"`
	Device  string      `json:"device"`
	Limits  helloLimits `json:"limits"`
}

type helloLimits struct {
	Frame                 int `json:"frame"`
	Message               int `json:"message"`
	KeyPackage            int `json:"keyPackage"`
	KeyPackagesPerRequest int `json:"keyPackagesPerRequest"`
	KeyPackages           int `json:"keyPackages"`
	WelcomeRecipients     int `json:"welcomeRecipients"`
	Subscriptions         int `json:"subscriptions"`
}

// hello finds out who the client is. Its connection lives as long as its token.
func (c *connection) hello(ctx, connected context.Context, r *request) (any, error) {
	limits := &c.service.limits
	switch {
	case c.user != "":
		return nil, fail(codeMalformed, "hello was said already")
	case r.Version != protocolVersion:
		return nil, fail(codeUnsupportedVersion, "this service speaks version %d", protocolVersion)
	case r.Name != "" && !accounts.ValidName(r.Name):
		return nil, accounts.ErrName
	case !validDevice(r.Device, limits.Device):
		return nil, c.deviceInvalid()
	case len(r.Token) > limits.Token:
		return nil, fail(codeTokenInvalid, "a token is at most %d bytes", limits.Token)
	}
	account, err := c.service.config.Authenticator.Authenticate(ctx, r.Name, r.Token)
	if err != nil {
		return nil, err
	}
	if !c.service.enter(c, account.Name, r.Device) {
		return nil, fail(codeTooManyConnections, "the user has %d connections", limits.ConnectionsPerUser)
	}
	if !account.Expires.IsZero() {
		over := time.AfterFunc(time.Until(account.Expires), c.expire)
		context.AfterFunc(connected, func() { over.Stop() })
	}
	return helloReply{Version: protocolVersion, Name: account.Name, Device: r.Device, Limits: helloLimits{
		Frame:                 limits.Frame,
		Message:               limits.Message,
		KeyPackage:            limits.KeyPackage,
		KeyPackagesPerRequest: limits.KeyPackagesPerRequest,
		KeyPackages:           limits.KeyPackagesPerDevice,
		WelcomeRecipients:     limits.WelcomeRecipients,
		Subscriptions:         limits.SubscriptionsPerConnection,
	}}, nil
}

// validDevice tells whether a device's name is one: letters, digits, "-", "_" and
// ".", so that it can be a random id or a person's word for it. None is valid too.
func validDevice(device string, limit int) bool {
	if len(device) > limit {
		return false
	}
	for _, r := range device {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_', r == '.':
		default:
			return false
		}
	}
	return true
}

func (c *connection) deviceInvalid() error {
	return fail(codeDeviceInvalid, "a device is at most %d letters, digits, -, _ and .", c.service.limits.Device)
}

type empty struct{}

func (c *connection) publishKeyPackages(ctx context.Context, r *request) (any, error) {
	limits := &c.service.limits
	switch {
	case len(r.KeyPackages) == 0 && r.LastResort == nil:
		return nil, fail(codeMalformed, "no key packages")
	case len(r.KeyPackages) > limits.KeyPackagesPerRequest:
		return nil, fail(codeTooMany, "more than %d key packages", limits.KeyPackagesPerRequest)
	}
	for _, keyPackage := range r.KeyPackages {
		if err := checkWireFormat(keyPackage, limits.KeyPackage, message.WireFormatKeyPackage, "KeyPackage"); err != nil {
			return nil, err
		}
	}
	if r.LastResort != nil {
		if err := checkWireFormat(r.LastResort, limits.KeyPackage, message.WireFormatKeyPackage, "KeyPackage"); err != nil {
			return nil, err
		}
	}
	state := c.service.config.Store
	if err := state.AddDevice(ctx, c.address, limits.Devices); err != nil {
		return nil, err
	}
	if r.LastResort != nil {
		if err := state.PublishLastResort(ctx, c.address, r.LastResort); err != nil {
			return nil, err
		}
	}
	if len(r.KeyPackages) > 0 {
		err := state.PublishKeyPackages(ctx, c.address, r.KeyPackages, limits.KeyPackagesPerDevice)
		if errors.Is(err, store.ErrFull) {
			return nil, fail(codeKeyPackagesFull, "a device has at most %d key packages", limits.KeyPackagesPerDevice)
		}
		if err != nil {
			return nil, err
		}
	}
	return empty{}, nil
}

// pong answers a client that wants to know whether the connection is alive: a
// page cannot send the pings of WebSocket itself.
func (c *connection) pong(context.Context, *request) (any, error) { return empty{}, nil }

type claimReply struct {
	KeyPackage []byte `json:"keyPackage"`
	LastResort bool   `json:"lastResort,omitempty"`
}

// claimKeyPackage takes a key package of one device.
func (c *connection) claimKeyPackage(ctx context.Context, r *request) (any, error) {
	if !accounts.ValidName(r.Name) {
		return nil, accounts.ErrName
	}
	if !validDevice(r.Device, c.service.limits.Device) {
		return nil, c.deviceInvalid()
	}
	keyPackage, lastResort, err := c.claim(ctx, store.NewAddress(r.Name, r.Device))
	if err != nil {
		return nil, err
	}
	return claimReply{keyPackage, lastResort}, nil
}

func (c *connection) claim(ctx context.Context, a store.Address) ([]byte, bool, error) {
	state := c.service.config.Store
	var keyPackage []byte
	var lastResort bool
	var err error
	limits := &c.service.limits
	if owner, _ := a.Split(); owner == c.user || c.account.claimed.allow(a, limits.ClaimsPerDevice, limits.ClaimDeviceTime) {
		keyPackage, lastResort, err = state.ClaimKeyPackage(ctx, a)
	} else {
		lastResort = true
		keyPackage, err = state.LastResort(ctx, a)
	}
	switch {
	case errors.Is(err, store.ErrNoKeyPackage):
		c.service.metrics.claims.WithLabelValues("none").Inc()
	case err == nil && lastResort:
		c.service.metrics.claims.WithLabelValues("last_resort").Inc()
	case err == nil:
		c.service.metrics.claims.WithLabelValues("fresh").Inc()
	}
	return keyPackage, lastResort, err
}

type claimsReply struct {
	KeyPackages []deviceKeyPackage `json:"keyPackages"`
}

type deviceKeyPackage struct {
	Device     string `json:"device"`
	KeyPackage []byte `json:"keyPackage"`
	LastResort bool   `json:"lastResort,omitempty"`
}

// claimKeyPackages takes a key package of each of a user's devices that has one.
func (c *connection) claimKeyPackages(ctx context.Context, r *request) (any, error) {
	if !accounts.ValidName(r.Name) {
		return nil, accounts.ErrName
	}
	addresses, err := c.service.config.Store.Devices(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	claimed := claimsReply{KeyPackages: []deviceKeyPackage{}}
	for _, address := range addresses {
		keyPackage, lastResort, err := c.claim(ctx, address)
		if errors.Is(err, store.ErrNoKeyPackage) {
			continue
		}
		if err != nil {
			return nil, err
		}
		_, device := address.Split()
		claimed.KeyPackages = append(claimed.KeyPackages, deviceKeyPackage{device, keyPackage, lastResort})
	}
	if len(claimed.KeyPackages) == 0 {
		return nil, store.ErrNoKeyPackage
	}
	return claimed, nil
}

type devicesReply struct {
	Devices []string `json:"devices"`
}

// devices lists the devices of a user: one's own where no name is given.
func (c *connection) devices(ctx context.Context, r *request) (any, error) {
	name := r.Name
	if name == "" {
		name = c.user
	}
	if !accounts.ValidName(name) {
		return nil, accounts.ErrName
	}
	addresses, err := c.service.config.Store.Devices(ctx, name)
	if err != nil {
		return nil, err
	}
	devices := devicesReply{Devices: []string{}}
	for _, address := range addresses {
		_, device := address.Split()
		devices.Devices = append(devices.Devices, device)
	}
	return devices, nil
}

// removeDevice removes one of the user's own devices with all that waits for it.
func (c *connection) removeDevice(ctx context.Context, r *request) (any, error) {
	if !validDevice(r.Device, c.service.limits.Device) {
		return nil, c.deviceInvalid()
	}
	if err := c.service.config.Store.RemoveDevice(ctx, store.NewAddress(c.user, r.Device)); err != nil {
		return nil, err
	}
	return empty{}, nil
}

type countReply struct {
	Count      int  `json:"count"`
	LastResort bool `json:"lastResort"`
}

type stockEvent struct {
	Event string `json:"event"`
	Count int    `json:"count"`
}

// countKeyPackages counts the device's own key packages. With below it also
// begins to tell when a claim leaves fewer than that, once a connection.
func (c *connection) countKeyPackages(ctx, connected context.Context, cancel context.CancelCauseFunc, r *request) (any, error) {
	state := c.service.config.Store
	var claimed <-chan struct{}
	stop := func() {}
	if r.Below > 0 && !c.stock {
		// Before counting, so that no claim falls in between.
		claimed, stop = state.FollowStock(c.address)
	}
	n, err := state.CountKeyPackages(ctx, c.address)
	if err != nil {
		stop()
		return nil, err
	}
	lastResort, err := state.HasLastResort(ctx, c.address)
	if err != nil {
		stop()
		return nil, err
	}
	if claimed != nil {
		c.stock = true
		c.begin = func() {
			defer stop()
			c.tellStock(connected, cancel, claimed, r.Below)
		}
	}
	return countReply{n, lastResort}, nil
}

func (c *connection) tellStock(connected context.Context, cancel context.CancelCauseFunc, claimed <-chan struct{}, below int) {
	for {
		select {
		case <-claimed:
		case <-connected.Done():
			return
		}
		n, err := c.service.config.Store.CountKeyPackages(connected, c.address)
		if err != nil {
			if connected.Err() == nil {
				c.logger.Warn("counting key packages failed", "error", err)
			}
			continue
		}
		if n >= below {
			continue
		}
		c.service.metrics.events.WithLabelValues("keyPackages").Inc()
		if c.write(connected, cancel, stockEvent{"keyPackages", n}) != nil {
			return
		}
	}
}

type commitReply struct {
	Accepted bool   `json:"accepted"`
	Seq      uint64 `json:"seq,omitempty"`
	Epoch    uint64 `json:"epoch,string"`
}

func (c *connection) publishCommit(ctx context.Context, r *request) (any, error) {
	limits := &c.service.limits
	if err := c.checkGroup(r); err != nil {
		return nil, err
	}
	header, err := peekGroupMessage(r.Message, r.Group, limits.Frame)
	if err != nil {
		return nil, err
	}
	if header.ContentType != message.ContentTypeCommit {
		return nil, fail(codeWrongMessage, "not a commit")
	}
	if header.Epoch == math.MaxUint64 {
		return nil, fail(codeMalformed, "no epoch follows this one")
	}
	if r.GroupInfo != nil {
		info, err := peekGroupInfo(r.GroupInfo, r.Group, limits.Frame)
		if err != nil {
			return nil, err
		}
		if info.Epoch != header.Epoch+1 {
			return nil, fail(codeWrongMessage, "the GroupInfo is not of the epoch that the commit begins")
		}
	}
	if len(r.Members) > store.MaxMembers {
		return nil, store.ErrTooMany
	}
	for _, name := range r.Members {
		if !accounts.ValidName(name) {
			return nil, accounts.ErrName
		}
	}
	welcomes, err := c.checkWelcomes(ctx, r.Welcomes)
	if err != nil {
		return nil, err
	}
	outcome, err := c.service.config.Store.PublishCommit(ctx, store.Commit{
		User:      c.user,
		Group:     r.Group,
		Epoch:     header.Epoch,
		Message:   r.Message,
		GroupInfo: r.GroupInfo,
		Welcomes:  welcomes,
		External:  header.Sender == message.SenderNewMemberCommit,
		Members:   r.Members,
	})
	if err != nil {
		return nil, err
	}
	if outcome.Accepted {
		c.service.metrics.accepted.WithLabelValues("commit").Inc()
	} else {
		c.service.metrics.commitsStale.Inc()
	}
	return commitReply{Accepted: outcome.Accepted, Seq: outcome.Seq, Epoch: outcome.Epoch}, nil
}

// checkWelcomes checks the welcomes that came with a commit, and that their
// users have room for them.
func (c *connection) checkWelcomes(ctx context.Context, in []requestWelcome) ([]store.Welcome, error) {
	limits := &c.service.limits
	var welcomes []store.Welcome
	recipients := 0
	for _, w := range in {
		if err := checkWireFormat(w.Welcome, limits.Frame, message.WireFormatWelcome, "Welcome"); err != nil {
			return nil, err
		}
		if len(w.To) == 0 {
			return nil, fail(codeMalformed, "a welcome for nobody")
		}
		if recipients += len(w.To); recipients > limits.WelcomeRecipients {
			return nil, fail(codeTooMany, "more than %d recipients of welcomes", limits.WelcomeRecipients)
		}
		welcome := store.Welcome{Message: w.Welcome}
		for _, to := range w.To {
			if !accounts.ValidName(to.Name) {
				return nil, accounts.ErrName
			}
			if !validDevice(to.Device, limits.Device) {
				return nil, c.deviceInvalid()
			}
			welcome.To = append(welcome.To, store.NewAddress(to.Name, to.Device))
		}
		welcomes = append(welcomes, welcome)
	}
	err := c.service.config.Store.CheckWelcomeQueues(ctx, welcomes, limits.WelcomesPerDevice)
	if errors.Is(err, store.ErrFull) {
		return nil, fail(codeWelcomesFull, "a recipient has %d welcomes not yet acknowledged", limits.WelcomesPerDevice)
	}
	if err != nil {
		return nil, err
	}
	for _, w := range welcomes {
		for _, to := range w.To {
			if owner, _ := to.Split(); owner != c.user && !c.account.invited.allow(to, limits.WelcomesToDevice, limits.WelcomeDeviceTime) {
				return nil, fail(codeWelcomesFull, "a recipient has had more than %d welcomes of this user", limits.WelcomesToDevice)
			}
		}
	}
	return welcomes, nil
}

type seqReply struct {
	Seq uint64 `json:"seq"`
}

func (c *connection) publish(ctx context.Context, r *request) (any, error) {
	if err := c.checkGroup(r); err != nil {
		return nil, err
	}
	header, err := peekGroupMessage(r.Message, r.Group, c.service.limits.Message)
	if err != nil {
		return nil, err
	}
	switch {
	case header.ContentType == message.ContentTypeCommit:
		return nil, fail(codeWrongMessage, "a commit goes by publishCommit")
	case header.ContentType == message.ContentTypeApplication && header.WireFormat == message.WireFormatPublicMessage:
		// RFC 9420, Section 6: application data is never public.
		return nil, fail(codeWrongMessage, "an application message in the clear")
	}
	seq, epoch, err := c.service.config.Store.PublishMessage(ctx, store.Message{
		User:     c.user,
		Group:    r.Group,
		Epoch:    header.Epoch,
		Proposal: header.ContentType == message.ContentTypeProposal,
		External: header.Sender == message.SenderExternal || header.Sender == message.SenderNewMemberProposal,
		Message:  r.Message,
	})
	if err != nil {
		return nil, epochError(err, epoch)
	}
	kind := "application"
	if header.ContentType == message.ContentTypeProposal {
		kind = "proposal"
	}
	c.service.metrics.accepted.WithLabelValues(kind).Inc()
	return seqReply{seq}, nil
}

func epochError(err error, epoch uint64) error {
	var told *Error
	switch {
	case errors.Is(err, store.ErrEpochAhead):
		told = fail(codeEpochAhead, "the group is at epoch %d", epoch)
	case errors.Is(err, store.ErrEpochBehind):
		told = fail(codeEpochBehind, "the group is at epoch %d", epoch)
	default:
		return err
	}
	told.Epoch = &epoch
	return told
}

func (c *connection) publishGroupInfo(ctx context.Context, r *request) (any, error) {
	if err := c.checkGroup(r); err != nil {
		return nil, err
	}
	header, err := peekGroupInfo(r.GroupInfo, r.Group, c.service.limits.Message)
	if err != nil {
		return nil, err
	}
	epoch, err := c.service.config.Store.PublishGroupInfo(ctx, c.user, r.Group, header.Epoch, r.GroupInfo)
	if err != nil {
		return nil, epochError(err, epoch)
	}
	return empty{}, nil
}

type groupInfoReply struct {
	GroupInfo []byte `json:"groupInfo"`
	Epoch     uint64 `json:"epoch,string"`
}

func (c *connection) groupInfo(ctx context.Context, r *request) (any, error) {
	if err := c.checkGroup(r); err != nil {
		return nil, err
	}
	groupInfo, epoch, err := c.service.config.Store.GroupInfo(ctx, r.Group)
	if err != nil {
		return nil, err
	}
	return groupInfoReply{groupInfo, epoch}, nil
}

func (c *connection) acknowledgeWelcome(ctx context.Context, r *request) (any, error) {
	ok, err := c.service.config.Store.AcknowledgeWelcome(ctx, c.address, r.Welcome)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fail(codeMalformed, "not the id of a welcome")
	}
	return empty{}, nil
}

type subscribeReply struct {
	Last    uint64 `json:"last"`
	Missing uint64 `json:"missing,omitempty"`
}

type messageEvent struct {
	Event   string `json:"event"`
	Sub     uint64 `json:"sub"`
	Seq     uint64 `json:"seq"`
	Message []byte `json:"message"`
}

// subscribe begins to send a group's log from a sequence on. The reply says
// which sequence is the last one now, so that the client knows when it has
// caught up, and up to which messages are gone that it asked for.
func (c *connection) subscribe(ctx, connected context.Context, cancel context.CancelCauseFunc, r *request) (any, error) {
	if err := c.checkGroup(r); err != nil {
		return nil, err
	}
	if len(c.subscriptions) >= c.service.limits.SubscriptionsPerConnection {
		return nil, fail(codeTooManySubscriptions, "at most %d subscriptions", c.service.limits.SubscriptionsPerConnection)
	}
	for id, other := range c.subscriptions {
		if other.group == string(r.Group) || id == r.ID {
			return nil, fail(codeAlreadySubscribed, "subscribed already")
		}
	}
	last, err := c.service.config.Store.LastSequence(ctx, r.Group)
	if err != nil {
		return nil, err
	}
	missing, err := c.service.config.Store.Horizon(ctx, r.Group)
	if err != nil {
		return nil, err
	}
	if missing < r.From {
		missing = 0
	}
	running, stop := context.WithCancel(connected)
	sub := &subscription{group: string(r.Group), stop: stop, done: make(chan struct{})}
	c.subscriptions[r.ID] = sub
	c.begin = func() {
		defer close(sub.done)
		defer stop()
		c.service.metrics.subscriptions.Inc()
		defer c.service.metrics.subscriptions.Dec()
		cursor := c.service.config.Store.FollowLog(r.Group, r.From)
		defer cursor.Close()
		follow(c, running, cursor, func(entry store.Entry) error {
			c.service.metrics.events.WithLabelValues("message").Inc()
			return c.write(connected, cancel, messageEvent{"message", r.ID, entry.Seq, entry.Message})
		})
	}
	return subscribeReply{Last: last, Missing: missing}, nil
}

// unsubscribe ends a subscription. After its reply no more of it is sent.
func (c *connection) unsubscribe(r *request) (any, error) {
	sub, ok := c.subscriptions[r.Subscribe]
	if !ok {
		return nil, fail(codeNotSubscribed, "no such subscription")
	}
	sub.stop()
	<-sub.done
	delete(c.subscriptions, r.Subscribe)
	return empty{}, nil
}

type welcomeEvent struct {
	Event   string `json:"event"`
	ID      string `json:"id"`
	Group   []byte `json:"group"`
	Seq     uint64 `json:"seq"`
	Welcome []byte `json:"welcome"`
}

// followWelcomes begins to send the device's welcomes: those not acknowledged,
// then each as it comes.
func (c *connection) followWelcomes(connected context.Context, cancel context.CancelCauseFunc, r *request) (any, error) {
	if c.welcomes {
		return nil, fail(codeAlreadySubscribed, "subscribed already")
	}
	c.welcomes = true
	c.begin = func() {
		cursor := c.service.config.Store.FollowWelcomes(c.address)
		defer cursor.Close()
		follow(c, connected, cursor, func(w store.PendingWelcome) error {
			c.service.metrics.events.WithLabelValues("welcome").Inc()
			return c.write(connected, cancel, welcomeEvent{"welcome", w.ID, w.Group, w.Seq, w.Welcome})
		})
	}
	return empty{}, nil
}

// follow sends what a cursor reads until ctx ends or a write fails. While the
// store does not answer it tries on: the cursor stands where it stood.
func follow[T any](c *connection, ctx context.Context, cursor *store.Cursor[T], send func(T) error) {
	for {
		wake, err := followOne(c, ctx, cursor, send)
		if ctx.Err() != nil || errors.Is(err, errNotSent) {
			return
		}
		var again <-chan time.Time
		switch {
		case err != nil:
			c.logger.Warn("reading for a subscription failed, trying again", "error", err)
			again = time.After(time.Second)
		case wake == nil:
			continue
		}
		select {
		case <-wake:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

var errNotSent = errors.New("not sent")

// followOne reads and sends one message in the connection's turn; where there is
// none it returns what tells of the next one.
func followOne[T any](c *connection, ctx context.Context, cursor *store.Cursor[T], send func(T) error) (<-chan struct{}, error) {
	select {
	case c.turns <- struct{}{}:
		defer func() { <-c.turns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	item, wake, err := cursor.Read(ctx)
	if err != nil || wake != nil {
		return wake, err
	}
	if send(item) != nil {
		return nil, errNotSent
	}
	return nil, nil
}

func (c *connection) checkGroup(r *request) error {
	if n := len(r.Group); n == 0 || n > c.service.limits.GroupID {
		return fail(codeMalformed, "a group id is 1 to %d bytes", c.service.limits.GroupID)
	}
	return nil
}
