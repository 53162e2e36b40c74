package service

import (
	"context"
	"errors"
	"math"
	"time"
	"unicode"

	"webmls/mls/message"
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
	Token       string           `json:"token"`
	KeyPackages [][]byte         `json:"keyPackages"`
	Group       []byte           `json:"group"`
	Message     []byte           `json:"message"`
	GroupInfo   []byte           `json:"groupInfo"`
	Welcomes    []requestWelcome `json:"welcomes"`
	Welcome     string           `json:"welcome"`
	From        uint64           `json:"from"`
	Subscribe   uint64           `json:"sub"`
}

type requestWelcome struct {
	To      []string `json:"to"`
	Welcome []byte   `json:"welcome"`
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
	"countKeyPackages":   (*connection).countKeyPackages,
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
		return c.hello(limited, r)
	case c.user == "":
		return nil, fail(codeNotAuthenticated, "the first request is hello")
	case r.Op == "subscribe":
		return c.subscribe(limited, ctx, cancel, r)
	case r.Op == "unsubscribe":
		return c.unsubscribe(r)
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
	case errors.Is(err, store.ErrNoGroupInfo):
		told = fail(codeNoGroupInfo, "no GroupInfo of the group's epoch was published")
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
	case "hello", "subscribe", "unsubscribe", "welcomes":
		return op
	}
	if _, ok := operations[op]; ok {
		return op
	}
	return "unknown"
}

type helloReply struct {
	Version int         `json:"version"`
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

func (c *connection) hello(ctx context.Context, r *request) (any, error) {
	limits := &c.service.limits
	switch {
	case c.user != "":
		return nil, fail(codeMalformed, "hello was said already")
	case r.Version != protocolVersion:
		return nil, fail(codeUnsupportedVersion, "this service speaks version %d", protocolVersion)
	case !validName(r.Name, limits.Name):
		return nil, fail(codeNameInvalid, "a name is 1 to %d bytes, printable, without a space at its ends", limits.Name)
	case len(r.Token) < limits.TokenLeast || len(r.Token) > limits.Token:
		return nil, fail(codeTokenInvalid, "a token is %d to %d bytes", limits.TokenLeast, limits.Token)
	}
	if err := c.service.config.Authenticator.Authenticate(ctx, r.Name, r.Token); err != nil {
		return nil, err
	}
	if !c.service.enter(c, r.Name) {
		return nil, fail(codeTooManyConnections, "the user has %d connections", limits.ConnectionsPerUser)
	}
	return helloReply{Version: protocolVersion, Limits: helloLimits{
		Frame:                 limits.Frame,
		Message:               limits.Message,
		KeyPackage:            limits.KeyPackage,
		KeyPackagesPerRequest: limits.KeyPackagesPerRequest,
		KeyPackages:           limits.KeyPackagesPerUser,
		WelcomeRecipients:     limits.WelcomeRecipients,
		Subscriptions:         limits.SubscriptionsPerConnection,
	}}, nil
}

func isNameRune(r rune) bool { return unicode.IsPrint(r) && r != unicode.ReplacementChar }

type empty struct{}

func (c *connection) publishKeyPackages(ctx context.Context, r *request) (any, error) {
	limits := &c.service.limits
	switch {
	case len(r.KeyPackages) == 0:
		return nil, fail(codeMalformed, "no key packages")
	case len(r.KeyPackages) > limits.KeyPackagesPerRequest:
		return nil, fail(codeTooMany, "more than %d key packages", limits.KeyPackagesPerRequest)
	}
	for _, keyPackage := range r.KeyPackages {
		if err := checkWireFormat(keyPackage, limits.KeyPackage, message.WireFormatKeyPackage, "KeyPackage"); err != nil {
			return nil, err
		}
	}
	err := c.service.config.Store.PublishKeyPackages(ctx, c.user, r.KeyPackages, limits.KeyPackagesPerUser)
	if errors.Is(err, store.ErrFull) {
		return nil, fail(codeKeyPackagesFull, "a user has at most %d key packages", limits.KeyPackagesPerUser)
	}
	if err != nil {
		return nil, err
	}
	return empty{}, nil
}

// pong answers a client that wants to know whether the connection is alive: a
// page cannot send the pings of WebSocket itself.
func (c *connection) pong(context.Context, *request) (any, error) { return empty{}, nil }

type claimReply struct {
	KeyPackage []byte `json:"keyPackage"`
}

func (c *connection) claimKeyPackage(ctx context.Context, r *request) (any, error) {
	if !validName(r.Name, c.service.limits.Name) {
		return nil, fail(codeNameInvalid, "not a name")
	}
	keyPackage, err := c.service.config.Store.ClaimKeyPackage(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	return claimReply{keyPackage}, nil
}

type countReply struct {
	Count int `json:"count"`
}

func (c *connection) countKeyPackages(ctx context.Context, r *request) (any, error) {
	n, err := c.service.config.Store.CountKeyPackages(ctx, c.user)
	if err != nil {
		return nil, err
	}
	return countReply{n}, nil
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
	})
	if err != nil {
		return nil, err
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
		for _, user := range w.To {
			if !validName(user, limits.Name) {
				return nil, fail(codeNameInvalid, "not a name")
			}
		}
		welcomes = append(welcomes, store.Welcome{To: w.To, Message: w.Welcome})
	}
	err := c.service.config.Store.CheckWelcomeQueues(ctx, welcomes, limits.WelcomesPerUser)
	if errors.Is(err, store.ErrFull) {
		return nil, fail(codeWelcomesFull, "a user has %d welcomes not yet acknowledged", limits.WelcomesPerUser)
	}
	return welcomes, err
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
		Message:  r.Message,
	})
	if err != nil {
		return nil, epochError(err, epoch)
	}
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
	epoch, err := c.service.config.Store.PublishGroupInfo(ctx, r.Group, header.Epoch, r.GroupInfo)
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
	ok, err := c.service.config.Store.AcknowledgeWelcome(ctx, c.user, r.Welcome)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fail(codeMalformed, "not the id of a welcome")
	}
	return empty{}, nil
}

type subscribeReply struct {
	Last uint64 `json:"last"`
}

type messageEvent struct {
	Event   string `json:"event"`
	Sub     uint64 `json:"sub"`
	Seq     uint64 `json:"seq"`
	Message []byte `json:"message"`
}

// subscribe begins to send a group's log from a sequence on. The reply says
// which sequence is the last one now, so that the client knows when it has
// caught up.
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
	running, stop := context.WithCancel(connected)
	sub := &subscription{group: string(r.Group), stop: stop, done: make(chan struct{})}
	c.subscriptions[r.ID] = sub
	c.begin = func() {
		defer close(sub.done)
		defer stop()
		cursor := c.service.config.Store.FollowLog(r.Group, r.From)
		defer cursor.Close()
		follow(c, running, cursor, func(entry store.Entry) error {
			return c.write(connected, cancel, messageEvent{"message", r.ID, entry.Seq, entry.Message})
		})
	}
	return subscribeReply{last}, nil
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

// followWelcomes begins to send the user's welcomes: those not acknowledged,
// then each as it comes.
func (c *connection) followWelcomes(connected context.Context, cancel context.CancelCauseFunc, r *request) (any, error) {
	if c.welcomes {
		return nil, fail(codeAlreadySubscribed, "subscribed already")
	}
	c.welcomes = true
	c.begin = func() {
		cursor := c.service.config.Store.FollowWelcomes(c.user)
		defer cursor.Close()
		follow(c, connected, cursor, func(w store.PendingWelcome) error {
			return c.write(connected, cancel, welcomeEvent{"welcome", w.ID, w.Group, w.Seq, w.Welcome})
		})
	}
	return empty{}, nil
}

// follow sends what a cursor reads until ctx ends or a write fails. While the
// store does not answer it tries on: the cursor stands where it stood.
func follow[T any](c *connection, ctx context.Context, cursor *store.Cursor[T], send func(T) error) {
	for {
		item, err := cursor.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if send(item) != nil {
				return
			}
			continue
		}
		c.logger.Warn("reading for a subscription failed, trying again", "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
}

func (c *connection) checkGroup(r *request) error {
	if n := len(r.Group); n == 0 || n > c.service.limits.GroupID {
		return fail(codeMalformed, "a group id is 1 to %d bytes", c.service.limits.GroupID)
	}
	return nil
}
