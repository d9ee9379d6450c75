// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.com/cases/pb"
)

const (
	mostInBatch = 100       // that BatchIntrospect takes
	mostUses    = 1_000_000 // that one entry may tell; a token that was used more often was used a lot
)

type question struct{ token, api, role string }

type use struct {
	count int32
	last  moment
	peer  string // of the last that told one
}

func (u use) and(later use) use {
	if later.last < u.last {
		later, u = u, later
	}
	return use{u.count + later.count, later.last, cmp.Or(later.peer, u.peer)}
}

// uses are those that were answered from memory, and that the server does not know of yet (C9).
type uses map[question]use

// Under the lock. The interval is the same for all: a change of the idle timeout ends all entries.
func (c *Cache) noteUse(asked question, e *entry, one use) {
	if len(c.uses) == 0 {
		time.AfterFunc(e.interval, func() { c.report(e.deadline) })
	}
	c.uses[asked] = c.uses[asked].and(one)
}

func (c *Cache) report(deadline time.Duration) {
	c.lock.Lock()
	reported := c.uses
	c.uses = uses{}
	c.lock.Unlock()
	var underWay sync.WaitGroup
	for some := range slices.Chunk(slices.Collect(maps.Keys(reported)), mostInBatch) {
		underWay.Add(1)
		go func() {
			defer underWay.Done()
			if err := c.reportSome(some, reported, deadline); err != nil {
				c.takeBack(some, reported, deadline)
			}
		}()
	}
	underWay.Wait()
}

func (c *Cache) reportSome(some []question, reported uses, deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	request := &pb.BatchIntrospectRequest{}
	for _, one := range some {
		request.Requests = append(request.Requests, &pb.BatchIntrospectEntry{Token: one.token, Api: one.api,
			RequiredRoles: []string{one.role}, UseCount: min(reported[one].count, mostUses), Peer: reported[one].peer,
			UsedAgo: durationpb.New(now() - reported[one].last)}) // C9: anew at each try
	}
	return c.gatehouse.asOurselves(ctx, func(ctx context.Context) error {
		_, err := c.gatehouse.auth.BatchIntrospect(ctx, request)
		return err
	})
}

// takeBack has them tried again. There are not many more meanwhile: without the server trust ends within a lease.
func (c *Cache) takeBack(some []question, reported uses, deadline time.Duration) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if len(c.uses) == 0 {
		time.AfterFunc(deadline, func() { c.report(deadline) })
	}
	for _, one := range some {
		c.uses[one] = c.uses[one].and(reported[one])
	}
}
