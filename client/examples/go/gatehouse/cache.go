// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"log"
	"math"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "example.com/cases/pb"
)

const (
	mostEntries = 10_000
	mostWindow  = 4096
	mostWaiting = 1000
	silence     = 5 * time.Second // without any message: the stream is half open
)

// moment is a time since the machine started, that in which it slept included (C2).
type moment = time.Duration

func now() moment {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
		panic(err)
	}
	return moment(at.Nano())
}

type key [sha256.Size]byte

// C1.
type entry struct {
	key                key
	answer             *pb.IntrospectResponse
	sent, until        moment
	interval, deadline time.Duration // C9: uses are reported within the first, and the report takes at most the second
}

func newEntry(key key, answer *pb.IntrospectResponse, sent moment) *entry {
	interval := min(answer.IdleTimeout.AsDuration()/10, 10*time.Second)
	return &entry{key, answer, sent, sent + answer.ValidFor.AsDuration(), interval, min(interval, 2*time.Second)}
}

func isNamed(event *pb.WatchEvent, answer *pb.IntrospectResponse) bool {
	switch event.Kind {
	case pb.WatchEventKind_WATCH_EVENT_KIND_TOKEN:
		return event.Accessor == answer.Accessor
	case pb.WatchEventKind_WATCH_EVENT_KIND_CREDENTIAL:
		return event.ClientId == answer.ClientId
	default: // C6: all, or a kind that we do not know
		return true
	}
}

// Cache hears of revocation, by the rules of client/README.md, whose numbers stand at the lines that keep them.
type Cache struct {
	gatehouse *Gatehouse
	secret    [32]byte
	stop      context.CancelFunc
	isOver    sync.WaitGroup

	lock         sync.Mutex // C6: the one lock
	entries      map[key]*entry
	window       []*pb.WatchEvent // C4
	waiting      []*entry
	trustedUntil moment
	lease        time.Duration
	sent         map[int64]moment // the pings that nobody answered yet
	uses         uses
}

// NewCache begins to listen. GATEHOUSE_GRPC is to be the server itself; an edge has such a cache already.
func NewCache(gatehouse *Gatehouse) *Cache {
	c := &Cache{gatehouse: gatehouse, entries: map[key]*entry{}, uses: uses{}}
	_, _ = rand.Read(c.secret[:]) // never fails
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.isOver.Add(1)
	go c.watch(ctx)
	return c
}

// Close reports the last uses.
func (c *Cache) Close() {
	c.stop()
	c.isOver.Wait()
	c.report(2 * time.Second)
}

// Introspect is as Gatehouse's, and says whether the answer is from memory. C8: each miss is a call of its own.
func (c *Cache) Introspect(ctx context.Context, token, api, role, peer string) (*pb.IntrospectResponse, bool, error) {
	hash := hmac.New(sha256.New, c.secret[:])
	hash.Write([]byte(token))
	key := key(hash.Sum(nil))
	found, asked := c.find(key, question{token, api, role}, peer)
	if found != nil {
		return judged(found, role), true, nil
	}
	answer, err := c.gatehouse.Introspect(ctx, token, api, role, peer)
	if err == nil && answer.Active { // C8: inactive is not kept
		c.lock.Lock()
		c.keep(newEntry(key, answer, asked)) // C1: of when it was sent, not answered
		c.lock.Unlock()
	}
	return answer, false, err
}

// find counts a use of what it finds; and says when that was.
func (c *Cache) find(key key, asked question, peer string) (*pb.IntrospectResponse, moment) {
	c.lock.Lock()
	defer c.lock.Unlock()
	found := c.entries[key]
	at := now() // C3: read after the entry was found
	if found == nil || at >= c.trustedUntil || at >= found.until-found.interval-found.deadline {
		return nil, at
	}
	if !isWithin(found.answer.Networks, peer) {
		return nil, at
	}
	c.noteUse(asked, found, use{1, at, peer})
	return found.answer, at
}

// isWithin: of what comes from outside the networks, or from no address, the server judges, and counts it.
func isWithin(networks []string, peer string) bool {
	if peer == "" {
		return true
	}
	address, err := netip.ParseAddr(peer)
	if withPort, failed := netip.ParseAddrPort(peer); failed == nil {
		address, err = withPort.Addr(), nil
	}
	address = address.Unmap().WithZone("")
	return err == nil && (len(networks) == 0 || slices.ContainsFunc(networks, func(text string) bool {
		if single, failed := netip.ParseAddr(text); failed == nil {
			return single == address
		}
		network, failed := netip.ParsePrefix(text)
		return failed == nil && network.Contains(address)
	}))
}

// judged is the answer as this question wants it: the one that is kept was to another.
func judged(answer *pb.IntrospectResponse, role string) *pb.IntrospectResponse {
	result := proto.Clone(answer).(*pb.IntrospectResponse)
	result.Allowed, result.MissingRoles = slices.Contains(answer.Roles, role), nil
	if !result.Allowed {
		result.MissingRoles = []string{role}
	}
	return result
}

// C5; under the lock.
func (c *Cache) keep(e *entry) {
	position := e.answer.Position
	if len(c.window) == 0 || position.GetRevision() < c.window[0].Position.GetRevision() {
		return
	}
	if position.GetRevision() > c.reached().GetRevision() {
		if len(c.waiting) < mostWaiting {
			c.waiting = append(c.waiting, e)
		}
		return
	}
	index := position.GetRevision() - c.window[0].Position.GetRevision()  // revisions follow each other without a gap
	if c.window[index].Position.GetChangeId() != position.GetChangeId() { // W1: another history
		return
	}
	for _, later := range c.window[index+1:] {
		if isNamed(later, e.answer) {
			return
		}
	}
	if before := c.entries[e.key]; before != nil && before.sent > e.sent {
		return
	}
	c.entries[e.key] = e
	if len(c.entries) > mostEntries {
		for one := range c.entries { // any
			delete(c.entries, one)
			break
		}
	}
}

// reached is the position of what was obeyed last; nil: of nothing. Under the lock.
func (c *Cache) reached() *pb.Position {
	if len(c.window) == 0 {
		return nil
	}
	return c.window[len(c.window)-1].Position
}

// Under the lock.
func (c *Cache) forget() {
	clear(c.entries)
	c.waiting, c.window = nil, nil
}

// C6: first remove what it names, then move the position. Under the lock.
func (c *Cache) obey(event *pb.WatchEvent) error {
	if len(c.window) == 0 || event.Position.GetRevision() != c.reached().GetRevision()+1 {
		return errBroken
	}
	for key, e := range c.entries {
		if isNamed(event, e.answer) {
			delete(c.entries, key)
		}
	}
	waiting := slices.DeleteFunc(c.waiting, func(e *entry) bool { return isNamed(event, e.answer) || now()-e.sent > c.lease })
	c.waiting = nil
	if len(c.window) == mostWindow { // C4: only its old end may be cut
		c.window = slices.Clone(c.window[1:])
	}
	c.window = append(c.window, event)
	for _, e := range waiting {
		c.keep(e)
	}
	return nil
}

// errBroken: the stream says what cannot be, and is believed in nothing.
var errBroken = errors.New("the stream says what cannot be")

// hear says whether something was obeyed.
func (c *Cache) hear(message *pb.WatchResponse, isFirst bool) (bool, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if isFirst {
		c.lease = min(message.Lease.AsDuration(), 10*time.Second)
	}
	switch kind := message.Kind.(type) {
	case *pb.WatchResponse_Resumed: // C2: proves nothing
		if !isFirst || !proto.Equal(c.reached(), message.Position) {
			return false, errBroken
		}
		return true, nil
	case *pb.WatchResponse_Reset_: // C6: the window begins here. C2: trust runs on
		c.forget()
		c.window = []*pb.WatchEvent{{Position: message.Position}}
		return true, nil
	case *pb.WatchResponse_Events:
		for _, event := range kind.Events.Events {
			if err := c.obey(event); isFirst || err != nil {
				return false, errBroken
			}
		}
		return true, nil
	case *pb.WatchResponse_Pong:
		sent, isOurs := c.sent[kind.Pong.Number]
		if !isOurs || !proto.Equal(c.reached(), message.Position) {
			return false, errBroken
		}
		delete(c.sent, kind.Pong.Number)
		// C2: only a pong moves it, and it only grows. W9: clocks run differently.
		c.trustedUntil = max(c.trustedUntil, sent+c.lease/64*63)
		return false, nil
	default:
		return false, errBroken
	}
}

func (c *Cache) watch(ctx context.Context) {
	defer c.isOver.Done()
	ended := ""
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, timeout)
		own, err := c.gatehouse.ownToken(short, ended)
		cancel()
		if err == nil {
			err = c.listen(bearing(ctx, own))
		}
		if status.Code(err) == codes.Unauthenticated {
			ended = own
		}
		if errors.Is(err, errBroken) {
			c.lock.Lock()
			c.forget()
			c.lock.Unlock()
		}
		if err != nil {
			log.Printf("watch: %v", err)
		}
		select { // C7: a random pause
		case <-time.After(mathrand.N(time.Second)):
		case <-ctx.Done():
		}
	}
}

// listen returns when the stream ends; nil: as planned.
func (c *Cache) listen(ctx context.Context) error {
	var pinging sync.WaitGroup
	defer pinging.Wait() // no ping of this stream is noted beside those of the next
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.gatehouse.auth.Watch(ctx)
	if err != nil {
		return err
	}
	c.lock.Lock()
	c.sent, c.lease = map[int64]moment{}, time.Second
	begin := &pb.WatchBegin{Since: c.reached()} // C7
	c.lock.Unlock()
	if err := stream.Send(&pb.WatchRequest{Kind: &pb.WatchRequest_Begin{Begin: begin}}); err != nil {
		return err
	}
	hasObeyed := make(chan struct{}, 1)
	pinging.Add(1)
	go func() {
		defer pinging.Done()
		c.ping(ctx, stream, hasObeyed)
	}()
	alarm := time.AfterFunc(silence, cancel)
	defer alarm.Stop()
	for isFirst := true; ; isFirst = false {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		alarm.Reset(silence)
		obeyed, err := c.hear(message, isFirst)
		if err != nil {
			return err
		}
		if obeyed {
			select {
			case hasObeyed <- struct{}{}: // whoever waits for `everywhere` shall not wait for the next ping
			default:
			}
		}
	}
}

// C7: at once, when something was obeyed, and else four times in a lease.
func (c *Cache) ping(ctx context.Context, stream pb.AuthService_WatchClient, hasObeyed <-chan struct{}) {
	for number := int64(1); number < math.MaxInt64; number++ {
		c.lock.Lock()
		ping := &pb.WatchPing{Number: number, Reached: c.reached()} // C7: what has been obeyed, and never more
		c.sent[number] = now()                                      // C2: read before the ping is handed over
		pause := c.lease / 4
		c.lock.Unlock()
		if stream.Send(&pb.WatchRequest{Kind: &pb.WatchRequest_Ping{Ping: ping}}) != nil {
			return // Recv says why
		}
		time.Sleep(20 * time.Millisecond) // the server takes 64 a second
		select {
		case <-hasObeyed:
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}
