package mls

import (
	"context"

	"webmls/mls/framing"
	"webmls/mls/message"
	"webmls/mls/mlserr"
	"webmls/mls/schedule"
	"webmls/mls/wire"
)

// SendAll is Send for many messages in one step: all of them are sealed, in
// their order, or none is. Codes: those of Send.
func (g *Group) SendAll(ctx context.Context, contents [][]byte, opts SendOptions) (sealed [][]byte, err error) {
	defer atOp(&err, "group.sendAll")
	if len(contents) == 0 {
		return nil, nil
	}
	return g.sendAll(ctx, contents, opts)
}

func (g *Group) sendAll(ctx context.Context, contents [][]byte, opts SendOptions) (sealed [][]byte, err error) {
	block := g.client.limits.PaddingBlock
	if opts.PaddingBlock != 0 {
		block = max(0, opts.PaddingBlock)
	}
	err = g.transact(ctx, func(l *live) (*outcome, error) {
		s := l.state
		if err := s.maySend(); err != nil {
			return nil, err
		}
		draft := s.epoch.ratchets.Draft()
		out := &outcome{sent: make([][]byte, 0, 2*len(contents))}
		sealed = make([][]byte, len(contents))
		for i, data := range contents {
			b, signed, err := s.epoch.sealApplication(ctx, draft, data, opts.AuthenticatedData, padding(len(data), block))
			if err != nil {
				draft.Wipe()
				return nil, err
			}
			sealed[i] = b
			out.sent = append(out.sent, digestOf(s.suite, b), digestOf(s.suite, signed))
		}
		out.drafts = []ratchetDraft{{epoch: s.epoch.context.Epoch, draft: draft}}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	return sealed, nil
}

// sealApplication returns application data as an MLSMessage, under the next
// generation that the draft has, and what was signed.
func (e *epoch) sealApplication(ctx context.Context, draft *schedule.Draft, data, authenticatedData []byte, padding int) (b, signed []byte, err error) {
	content, signed, err := framing.Sign(ctx, e.suite, message.WireFormatPrivateMessage, message.FramedContent{
		GroupID:           e.context.GroupID,
		Epoch:             e.context.Epoch,
		Sender:            message.Sender{Type: message.SenderMember, Leaf: e.self()},
		AuthenticatedData: authenticatedData,
		ContentType:       message.ContentTypeApplication,
		ApplicationData:   data,
	}, e.identity.key, e.context)
	if err != nil {
		return nil, nil, err
	}
	private, err := framing.ProtectPrivate(e.suite, content, draft, e.secrets.SenderDataSecret, padding)
	if err != nil {
		return nil, nil, err
	}
	w := wire.NewWriter(private.Size())
	(&message.MLSMessage{WireFormat: message.WireFormatPrivateMessage, Private: private}).Marshal(w)
	return w.Bytes(), signed, nil
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
			if err := list[i].Err; err != nil {
				g.rejected.note(messages[i], err, g.client.now())
			}
		}
	}()
	in := make([]*incoming, len(messages))
	for i, b := range messages {
		if in[i], err = g.parse(b); err != nil {
			list[i] = received(nil, err)
		}
	}
	p := begin(ctx)
	defer p.end(&err)
	p.plan(len(messages))
	for i := 0; i < len(in); {
		n, err := g.receiveBatch(unwatched(ctx), messages[i:], in[i:], list[i:], func(n int) error {
			if p == nil || n == 0 || n%stepMessages != 0 {
				return nil
			}
			p.reached(i + n)
			return pause(ctx)
		})
		if err != nil {
			for ; i < len(in); i++ {
				if in[i] != nil {
					list[i] = received(nil, err)
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

func received(ev *Event, err error) Received {
	atOp(&err, "group.receiveAll")
	return Received{ev, err}
}

// maxBatchSize bounds the messages whose content goes into one batch of the
// store, in bytes; the last one may go beyond it.
const maxBatchSize = 16 << 20

// receiveBatch receives as many of the messages as go into one batch, and
// returns how many. A nil in stands for one that is no message. step is called
// with how many it has gone through, and may end it.
func (g *Group) receiveBatch(ctx context.Context, messages [][]byte, in []*incoming, list []Received, step func(n int) error) (n int, err error) {
	var got []Received
	err = g.transact(ctx, func(l *live) (*outcome, error) {
		if err := l.exists(); err != nil {
			return nil, err
		}
		batch, size := new(outcome), 0
		got = got[:0]
		for n = 0; n < len(in); n++ {
			if err := step(n); err != nil {
				return nil, err
			}
			r := in[n]
			if r == nil {
				got = append(got, Received{})
				continue
			}
			if len(batch.deliver) == maxDelivered || size > maxBatchSize || len(batch.deliver) > 0 && r.contentType != message.ContentTypeApplication {
				break
			}
			r.digest, r.batch = digestOf(l.state.suite, messages[n]), batch
			ev, out, err := l.receive(ctx, g.client, r)
			switch {
			case ctx.Err() != nil:
				return nil, mlserr.Wrap(mlserr.Cancelled, "", ctx.Err())
			case err != nil || out == nil:
				got = append(got, received(ev, err))
			case out.next == nil:
				size += len(messages[n])
				batch.add(out)
				got = append(got, received(ev, nil))
			case len(batch.deliver) > 0:
				// It changes the state, and begins the next batch.
				return batch, nil
			default:
				got = append(got, received(ev, out.fail))
				out.fail = nil
				n++
				return out, nil
			}
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
