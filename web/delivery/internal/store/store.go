// Package store keeps everything the delivery service knows, in NATS JetStream:
// one ordered log a group, key packages, queued welcomes, published GroupInfos
// and the names of users (RFC 9750, Section 5, the Delivery Service).
//
// It owns the subjects, the streams and the three rules that must hold across a
// cluster: one commit a group and epoch, one claim a key package, and who may
// publish in a group. It must not know MLS beyond an epoch number and whether a
// message is from outside of the group, nor WebSockets, nor how users are known.
//
//	stream           subject                             one message is
//	MLS_LOG          mls.log.<group>.commit              a commit with its welcomes and GroupInfo
//	MLS_LOG          mls.log.<group>.message             a proposal or an application message
//	MLS_KEYPACKAGES  mls.keypackages.<address>.<hash>    a key package not yet claimed
//	MLS_WELCOMES     mls.welcomes.<address>.<seq>-<index>  a pointer into the log, until acknowledged
//	MLS_GROUPINFO    mls.groupinfo.<group>               the GroupInfo last published on its own
//	MLS_GROUPINFO    mls.horizon.<group>                 the last sequence of the log that retention removed
//	MLS_USERS        mls.users.<user>                    the hash of the secret that claimed the name
//	MLS_USERS        mls.devices.<user>.<address>        a device that has published key packages
//	MLS_USERS        mls.lastresort.<address>            the device's key package of last resort
//	MLS_USERS        mls.service.<what>                  what the processes share: the development issuer's
//	                                                     key, and when retention last ran
//
// <group>, <user> and <address>, which is a user's device, are base64url, so
// that they cannot hold a dot or a wildcard. mls.hint.stock.<address> is in no
// stream: it tells the processes that a key package was claimed.
package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What a caller can do something about; every other error of this package
// means that JetStream did not answer and that the outcome is unknown.
var (
	ErrTooLarge     = errors.New("store: larger than the store takes")
	ErrEpochAhead   = errors.New("store: the epoch is ahead of the group")
	ErrEpochBehind  = errors.New("store: the epoch is too far behind the group")
	ErrNoKeyPackage = errors.New("store: no key package left")
	ErrNoGroupInfo  = errors.New("store: no GroupInfo for the group's epoch")
	ErrFull         = errors.New("store: the user's limit is reached")
	ErrDevices      = errors.New("store: the user has too many devices")
	ErrNotMember    = errors.New("store: the user may not publish in the group")
	ErrTooMany      = errors.New("store: the group's list has no room for so many users")
)

// deduplicationWindow is how long a repeated publish is recognised. It must
// outlast a client's reconnects.
const deduplicationWindow = 2 * time.Minute

// recordOverhead is what the subject, the headers and the framing of a record
// may add to its payload.
const recordOverhead = 8 << 10

const (
	headerEpoch   = "Mls-Epoch"
	headerID      = "Mls-Id"
	headerCreator = "Mls-Creator" // of what is published in a group without a commit
)

// Config says where the state is.
type Config struct {
	DataDir  string // of the embedded server; ignored with URL
	URL      string // of an existing cluster; empty for the embedded server
	Replicas int    // of new streams; 0 is 3 on a cluster and 1 elsewhere
	// Retain is how long messages, welcomes and key packages are kept; 0 is
	// without end. A group's last commit is kept always.
	Retain time.Duration
	Logger *slog.Logger

	holdWelcomes bool // tests: accept commits, but leave their welcomes in the log
}

// Store is the service's state. Its methods may be called concurrently, and by
// several processes on one cluster.
type Store struct {
	backend *backend
	js      jetstream.JetStream
	logger  *slog.Logger

	log, keyPackages, welcomes, groupInfos, users jetstream.Stream

	heads       heads
	logTail     *tail
	welcomeTail *tail
	stock       hints

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open connects, or starts the embedded server, and makes the streams that are
// not there yet.
func Open(ctx context.Context, config Config) (*Store, error) {
	backend, err := openBackend(config)
	if err != nil {
		return nil, err
	}
	s := &Store{backend: backend, logger: config.Logger}
	if err := s.open(ctx, config); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, config Config) error {
	js, err := jetstream.New(s.backend.conn)
	if err != nil {
		return err
	}
	s.js = js

	replicas := config.Replicas
	if replicas == 0 {
		replicas = 1
		if config.URL != "" && s.backend.conn.ConnectedClusterName() != "" {
			replicas = 3
		}
	}
	if config.Retain != 0 && config.Retain < leastRetain {
		return fmt.Errorf("messages are kept for at least %v", leastRetain)
	}
	for _, stream := range []struct {
		name       string
		subjects   []string
		perSubject int64         // messages kept a subject, -1 for all
		retain     time.Duration // 0 without end; the log is the sweeper's
		into       *jetstream.Stream
	}{
		{"MLS_LOG", []string{"mls.log.*.*"}, -1, 0, &s.log},
		{"MLS_KEYPACKAGES", []string{"mls.keypackages.*.*"}, -1, config.Retain, &s.keyPackages},
		{"MLS_WELCOMES", []string{"mls.welcomes.*.*"}, -1, config.Retain, &s.welcomes},
		{"MLS_GROUPINFO", []string{"mls.groupinfo.*", "mls.horizon.*"}, 1, 0, &s.groupInfos},
		{"MLS_USERS", []string{"mls.users.*", "mls.devices.*.*", "mls.lastresort.*", "mls.service.*"}, 1, 0, &s.users},
	} {
		*stream.into, err = s.openStream(ctx, jetstream.StreamConfig{
			Name:              stream.name,
			Subjects:          stream.subjects,
			MaxAge:            stream.retain,
			MaxMsgsPerSubject: stream.perSubject,
			Storage:           jetstream.FileStorage,
			Retention:         jetstream.LimitsPolicy,
			Discard:           jetstream.DiscardNew,
			Duplicates:        deduplicationWindow,
			Replicas:          replicas,
			// Reads go to the leader: a replica that lags would show an
			// old epoch, and a reader woken for a message would miss it.
			AllowDirect: false,
		})
		if err != nil {
			return fmt.Errorf("stream %s: %w", stream.name, err)
		}
	}

	s.heads.byGroup = make(map[string]head)
	running, stop := context.WithCancel(context.Background())
	s.stop = stop
	if s.logTail, err = s.startTail(ctx, running, s.log); err != nil {
		return err
	}
	if s.welcomeTail, err = s.startTail(ctx, running, s.welcomes); err != nil {
		return err
	}
	s.backend.conn.SetReconnectHandler(func(*nats.Conn) {
		s.logTail.wakeAll()
		s.welcomeTail.wakeAll()
	})
	if err := s.listenForHints(); err != nil {
		return err
	}
	if config.Retain != 0 {
		s.done.Go(func() { s.keepSweeping(running, config.Retain) })
	}
	if config.holdWelcomes {
		return nil
	}
	return s.startWelcomes(ctx, running)
}

// openStream makes the stream or brings its configuration up to date. The
// number of replicas of an existing stream is its operator's business.
func (s *Store) openStream(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	existing, err := s.js.Stream(ctx, config.Name)
	switch {
	case err == nil:
		config.Replicas = existing.CachedInfo().Config.Replicas
		return s.js.UpdateStream(ctx, config)
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, err
	}
	created, err := s.js.CreateStream(ctx, config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
		return s.js.Stream(ctx, config.Name)
	}
	return created, err
}

// Ready tells whether the store answers and the log's stream has a leader,
// without which nothing can be accepted.
func (s *Store) Ready(ctx context.Context) error {
	stream, err := s.js.Stream(ctx, "MLS_LOG")
	if err != nil {
		return err
	}
	if cluster := stream.CachedInfo().Cluster; cluster != nil && cluster.Leader == "" {
		return errors.New("store: the log has no leader now")
	}
	return nil
}

// MaxRecord is the size in bytes of the largest record the store takes.
func (s *Store) MaxRecord() int {
	return int(s.backend.conn.MaxPayload()) - recordOverhead
}

// Close ends the readers and, where it is embedded, the server. What was
// acknowledged before is stored.
func (s *Store) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.done.Wait()
	s.backend.close()
}

// Address is a device of a user: where key packages are and welcomes go. The
// zero device is the one of clients that do not name theirs.
type Address string

// NewAddress makes an Address. No name of a user or device holds a zero byte.
func NewAddress(user, device string) Address {
	if device == "" {
		return Address(user)
	}
	return Address(user + "\x00" + device)
}

// Split is the inverse of NewAddress.
func (a Address) Split() (user, device string) {
	user, device, _ = strings.Cut(string(a), "\x00")
	return user, device
}

func (a Address) token() string { return token([]byte(a)) }

// token makes one token of a subject out of any bytes.
func token(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func fromToken(t string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(t) }

// subjectKey is the <group> or <user> of a subject of this package.
func subjectKey(subject string) string {
	parts := strings.Split(subject, ".")
	if len(parts) < 3 {
		return ""
	}
	return parts[2]
}

// publishID names a publish by all that makes it up, so that a retry is
// recognised and nothing else is. It does not show the author to a reader.
func publishID(kind, user string, group []byte, parts ...[]byte) string {
	h := sha256.New()
	for _, part := range append([][]byte{[]byte(kind), []byte(user), group}, parts...) {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Error codes of JetStream for a failed expected-last-sequence: the second one
// is given while another publish on the subject is in flight in the cluster.
const (
	codeWrongLastSequence         = jetstream.JSErrCodeStreamWrongLastSequence
	codeWrongLastSequenceConstant = jetstream.JSErrCodeStreamWrongLastSequenceConstant
	codeDuplicateInFlight         = jetstream.ErrorCode(10158)
)

func isWrongLastSequence(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == codeWrongLastSequence || api.ErrorCode == codeWrongLastSequenceConstant)
}

func isDuplicateInFlight(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeDuplicateInFlight
}

// readLast reads the last message on a subject; nil where there is none.
func readLast(ctx context.Context, stream jetstream.Stream, subject string) (*jetstream.RawStreamMsg, error) {
	msg, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return msg, err
}

// readNext reads the first message on a subject, which may hold wildcards, with
// a sequence of at least from; nil where there is none.
func readNext(ctx context.Context, stream jetstream.Stream, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	msg, err := stream.GetMsg(ctx, max(from, 1), jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return msg, err
}

// count counts the messages on a subject that may hold wildcards.
func count(ctx context.Context, stream jetstream.Stream, subject string) (int, error) {
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, messages := range info.State.Subjects {
		n += int(messages)
	}
	return n, nil
}
