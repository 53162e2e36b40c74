package mls

import (
	"context"

	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/wire"
)

// SendAll is Send for many messages in one step: all of them are sealed, in
// their order, or none is. Codes: those of Send.
func (g *Group) SendAll(ctx context.Context, contents [][]byte, opts SendOptions) (sealed [][]byte, err error) {
	defer atOp(&err, "group.sendAll")
	if len(contents) == 0 {
		return nil, nil
	}
	return g.send(ctx, contents, opts)
}

// Sent is what became of one content of Group.SendEach: a message, or an error with a code.
type Sent struct {
	Sealed []byte
	Err    error
}

// SendEach is Send for many contents, each for itself, in their order: where one
// cannot be sent, or the store fails, that is its own error. It costs as little as
// SendAll.
func (g *Group) SendEach(ctx context.Context, contents [][]byte, opts SendOptions) []Sent {
	list := make([]Sent, len(contents))
	sealed, err := g.send(ctx, contents, opts)
	for i := range list {
		s := &list[i]
		switch {
		case err == nil:
			s.Sealed = sealed[i]
		case len(list) == 1 || mlserr.CodeOf(err).Info().Class == mlserr.ClassStorage:
			s.Err = err
		default: // none was sent: each finds out why for itself
			s.Sealed, s.Err = g.Send(ctx, contents[i], opts)
		}
		atOp(&s.Err, "group.send")
	}
	return list
}

// sending is a call that sends, all of its contents or none, and what that came to.
type sending struct {
	contents          [][]byte
	authenticatedData []byte
	block             int // what contents are padded to a multiple of
	sealed            [][]byte
}

func (g *Group) send(ctx context.Context, contents [][]byte, opts SendOptions) (sealed [][]byte, err error) {
	c := &sending{contents: contents, authenticatedData: opts.AuthenticatedData, block: g.client.limits.PaddingBlock}
	if opts.PaddingBlock != 0 {
		c.block = max(0, opts.PaddingBlock)
	}
	if err := g.together(ctx, &place{sending: c}, g.sendTogether); err != nil {
		return nil, err
	}
	return c.sealed, nil
}

// sendTogether carries calls out that send, in their order. If that fails, and
// not for the store, each is carried out by itself, to fail for itself.
func (g *Group) sendTogether(ctx context.Context, all []*place) {
	if g.sendReserved(ctx, all) {
		return
	}
	err := g.steps(ctx, func(l *live) (*outcome, error) { return g.client.sendAll(ctx, l, all) })
	if err != nil && len(all) > 1 && mlserr.CodeOf(err).Info().Class != mlserr.ClassStorage {
		for i := range all {
			g.sendTogether(ctx, all[i:i+1])
		}
		return
	}
	for _, p := range all {
		p.err = err
	}
}

// sendAll seals what the calls send, to be stored in one batch, which may reserve
// generations for those that follow.
func (c *Client) sendAll(ctx context.Context, l *live, all []*place) (*outcome, error) {
	s := l.state
	if err := s.maySend(); err != nil {
		return nil, err
	}
	e := s.epoch
	if l.reserve.epoch != e {
		l.reserve.wipe()
	}
	draft := e.ratchets.Draft()
	sent, err := s.sealSends(ctx, all, &generations{&l.reserve, draft})
	if err != nil {
		draft.Wipe()
		return nil, err
	}
	out := &outcome{drafts: []ratchetDraft{{e.context.Epoch, draft}}, sent: sent, sends: true}
	if n, ok := c.reserving(&l.reserve, e); ok {
		if out.reserved, err = reserveMore(draft, e.self(), n); err != nil {
			draft.Wipe()
			return nil, err
		}
		out.lacks = len(l.reserve.keys) + len(out.reserved)
	}
	return out, nil
}

// countSends is how many messages the calls send.
func countSends(all []*place) (n int) {
	for _, p := range all {
		n += len(p.sending.contents)
	}
	return n
}

// sealSends seals what the calls send: all of it is signed in one call of the
// key. It returns the digests for the log of what was sent. Codes: those of Send.
func (s *state) sealSends(ctx context.Context, all []*place, from framing.Generations) (sent [][]byte, err error) {
	if err := s.maySend(); err != nil {
		return nil, err
	}
	e := s.epoch
	n := countSends(all)
	contents := make([]message.FramedContent, 0, n)
	for _, p := range all {
		for _, data := range p.sending.contents {
			contents = append(contents, e.applicationContent(data, p.sending.authenticatedData))
		}
	}
	list, signed, err := framing.SignAll(ctx, s.suite, message.WireFormatPrivateMessage, contents, e.identity.key, e.context)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil { // now or never
		return nil, mlserr.Wrap(mlserr.Cancelled, "", ctx.Err())
	}
	sent = make([][]byte, 0, 2*n)
	for _, p := range all {
		c := p.sending
		c.sealed = make([][]byte, len(c.contents))
		for i, data := range c.contents {
			k := len(sent) / 2
			b, err := e.sealApplication(list[k], from, padding(len(data), c.block))
			if err != nil {
				return nil, err
			}
			c.sealed[i] = b
			sent = append(sent, digestOf(s.suite, b), digestOf(s.suite, signed[k]))
		}
	}
	return sent, nil
}

// applicationContent is application data as this member sends it.
func (e *epoch) applicationContent(data, authenticatedData []byte) message.FramedContent {
	return message.FramedContent{
		GroupID:           e.context.GroupID,
		Epoch:             e.context.Epoch,
		Sender:            message.Sender{Type: message.SenderMember, Leaf: e.self()},
		AuthenticatedData: authenticatedData,
		ContentType:       message.ContentTypeApplication,
		ApplicationData:   data,
	}
}

// sealApplication returns signed application data as an MLSMessage, under the
// next of the generations.
func (e *epoch) sealApplication(content *message.AuthenticatedContent, from framing.Generations, padding int) ([]byte, error) {
	private, err := framing.ProtectPrivate(e.suite, content, from, e.secrets.SenderDataSecret, padding)
	if err != nil {
		return nil, err
	}
	w := wire.NewWriter(private.Size())
	(&message.MLSMessage{WireFormat: message.WireFormatPrivateMessage, Private: private}).Marshal(w)
	return w.Bytes(), nil
}

// Received is what became of one message of Group.ReceiveAll: an event, or an
// error with a code.
type Received struct {
	Event *Event
	Err   error
}

// ReceiveAll is Receive for many messages, in their order: a backlog after a
// time away. The result is as long as the list, and each message has an event or
// an error of its own there, as Receive would have given it; one that breaks a
// rule changes nothing and stops nothing. Application messages that follow one
// another are stored in one batch; a proposal or a commit is one by itself. The
// error is for what concerns all of them, a store that fails or a context that
// ends: then those that were not reached have it as theirs, and those before
// them are stored.
func (g *Group) ReceiveAll(ctx context.Context, messages [][]byte) (list []Received, err error) {
	defer atOp(&err, "group.receiveAll")
	list = make([]Received, len(messages))
	defer func() {
		for i := range list {
			if err := &list[i].Err; *err != nil {
				atOp(err, "group.receiveAll")
				g.rejected.note(messages[i], *err, g.client.now())
			}
		}
	}()
	in := make([]*incoming, len(messages))
	for i, b := range messages {
		if in[i], err = g.parse(b); err != nil {
			list[i].Err = err
		}
	}
	p := begin(ctx)
	defer p.end(&err)
	p.plan(len(messages))
	for i := 0; i < len(in); {
		var step func(n int) error
		if p != nil {
			step = func(n int) error {
				if n == 0 || n%stepMessages != 0 {
					return nil
				}
				p.reached(i + n)
				return pause(ctx)
			}
		}
		n, err := g.receiveBatch(unwatched(ctx), g.transact, messages[i:], in[i:], list[i:], step)
		if err != nil {
			for ; i < len(in); i++ {
				if in[i] != nil {
					list[i].Err = err
				}
			}
			return list, err
		}
		i += n
		p.reached(i)
	}
	return list, nil
}

// stepMessages is how many messages are received between looks at the context,
// where someone watches the work.
const stepMessages = 64

// receiving is a call that receives an application message, and what that came to.
type receiving struct {
	message []byte
	in      *incoming
	event   *Event
}

// receiveTogether carries calls out that receive application messages, in their order.
func (g *Group) receiveTogether(ctx context.Context, all []*place) {
	messages, in, list := make([][]byte, len(all)), make([]*incoming, len(all)), make([]Received, len(all))
	for i, p := range all {
		messages[i], in[i] = p.receiving.message, p.receiving.in
	}
	for i := 0; i < len(all); {
		n, err := g.receiveBatch(ctx, g.steps, messages[i:], in[i:], list[i:], nil)
		for ; err != nil && i < len(all); i++ {
			list[i].Err = err
		}
		i += n
	}
	for i, p := range all {
		p.receiving.event, p.err = list[i].Event, list[i].Err
	}
}

// maxBatchSize bounds the messages whose content goes into one batch of the
// store, in bytes; the last one may go beyond it.
const maxBatchSize = 16 << 20

// maxStretch is how many messages are opened before their signatures are
// verified, as one list.
const maxStretch = 256

// receiveBatch receives as many of the messages as go into one batch, by
// transact, and returns how many. A nil in stands for one that is no message. step,
// if it is not nil, is called with how many it has gone through, and may end it.
func (g *Group) receiveBatch(ctx context.Context, transact func(context.Context, func(*live) (*outcome, error)) error, messages [][]byte, in []*incoming, list []Received, step func(n int) error) (n int, err error) {
	var got []Received
	longest := maxStretch
	if step != nil {
		longest = stepMessages
	}
	err = transact(ctx, func(l *live) (*outcome, error) {
		if err := l.exists(); err != nil {
			return nil, err
		}
		batch, size := new(outcome), 0
		got = got[:0]
		oneByOne := 0 // up to here there is no stretch
		for n = 0; n < len(in); {
			if step != nil {
				if err := step(n); err != nil {
					return nil, err
				}
			}
			r := in[n]
			if r == nil {
				got = append(got, Received{})
				n++
				continue
			}
			if len(batch.deliver) == maxDelivered || size > maxBatchSize || len(batch.deliver) > 0 && r.contentType != message.ContentTypeApplication {
				break
			}
			if n >= oneByOne {
				most := min(len(in)-n, longest-n%longest, maxDelivered-len(batch.deliver))
				opened, ok := l.receiveStretch(ctx, g.client, messages[n:n+most], in[n:n+most], batch, maxBatchSize-size)
				if ok {
					for _, ev := range batch.deliver[len(batch.deliver)-opened:] {
						size += len(messages[n])
						got = append(got, Received{Event: ev})
						n++
					}
					continue
				}
				oneByOne = n + opened
			}
			r.digest, r.batch = digestOf(l.state.suite, messages[n]), batch
			ev, out, err := l.receive(ctx, g.client, r)
			switch {
			case ctx.Err() != nil:
				return nil, mlserr.Wrap(mlserr.Cancelled, "", ctx.Err())
			case err != nil || out == nil:
				got = append(got, Received{ev, err})
			case out.next == nil:
				size += len(messages[n])
				batch.add(out)
				got = append(got, Received{ev, nil})
			case len(batch.deliver) > 0:
				// It changes the state, and begins the next batch.
				return batch, nil
			default:
				got = append(got, Received{ev, out.fail})
				out.fail = nil
				n++
				return out, nil
			}
			n++
		}
		if len(batch.deliver) == 0 {
			return nil, nil
		}
		return batch, nil
	})
	if err != nil {
		return 0, err
	}
	for i := range got {
		if in[i] != nil {
			list[i] = got[i]
		}
	}
	return n, nil
}

// receiveStretch receives the messages that the list begins with, as far as each
// is an application message of this epoch by another member and opens, up to some
// size: all are opened, then verified as one list, and are in the batch then. ok
// is false, and nothing has happened, when any of them is not to be received so:
// then as many as are returned must be received one by one, as then each is
// judged by itself, and what is refused consumes no generation.
func (l *live) receiveStretch(ctx context.Context, c *Client, messages [][]byte, in []*incoming, batch *outcome, size int) (n int, ok bool) {
	s := l.state
	e := s.epoch
	if e == nil || len(in) == 1 {
		return len(in), false
	}
	in[0].batch = batch
	draft := in[0].draft(e.context.Epoch, e.ratchets)
	stretch := &outcome{drafts: []ratchetDraft{{e.context.Epoch, draft}}}
	var contents []*framing.Unverified
	var publicKeys [][]byte
	for i, r := range in {
		if r == nil || size < 0 || r.epoch != e.context.Epoch || r.contentType != message.ContentTypeApplication ||
			r.message.WireFormat != message.WireFormatPrivateMessage || l.sent.has(digestOf(s.suite, messages[i])) {
			break
		}
		out := new(outcome)
		r.batch = stretch
		u, err := e.unprotect(r, out)
		if err != nil || u.Sender().Leaf == e.self() {
			break
		}
		stretch.add(out)
		size -= len(messages[i])
		contents = append(contents, u)
		publicKeys = append(publicKeys, e.tree.Leaf(u.Sender().Leaf).SignatureKey)
	}
	var verified []*framing.Verified
	if len(contents) > 1 { // one by itself would be verified twice
		verified, _ = framing.VerifyAll(ctx, c.keys, s.suite, contents, publicKeys, e.context)
	}
	if verified == nil {
		draft.Wipe()
		return max(1, len(contents)), false
	}
	for _, v := range verified {
		content := &v.Content().Content
		stretch.deliver = append(stretch.deliver, &Event{
			Type: EventApplication, GroupID: s.groupID, Epoch: content.Epoch, Sender: e.member(content.Sender.Leaf),
			AuthenticatedData: content.AuthenticatedData, Content: content.ApplicationData,
		})
	}
	batch.add(stretch)
	return len(verified), true
}

// add takes over what another application message of the batch comes to.
func (out *outcome) add(more *outcome) {
	for _, d := range more.drafts {
		if d.draft.Forked() {
			d.draft.Join()
		} else {
			out.drafts = append(out.drafts, d)
		}
	}
	out.deliver = append(out.deliver, more.deliver...)
}
