// SPDX-License-Identifier: Apache-2.0

// Package gatehouse asks Gatehouse, by a token of its own, and keeps out whom it does not let in.
package gatehouse

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.com/cases/pb"
)

const timeout = 2 * time.Second

// An introspection that nobody answered is tried once more, after about 100 ms (gRPC adds the jitter).
const retries = `{"methodConfig": [{
	"name": [{"service": "gatehouse.v1.AuthService", "method": "Introspect"}],
	"retryPolicy": {"maxAttempts": 2, "initialBackoff": "0.1s", "maxBackoff": "0.1s", "backoffMultiplier": 1,
		"retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// Gatehouse may be used by many goroutines.
type Gatehouse struct {
	auth                 pb.AuthServiceClient
	clientID, secretFile string
	lock                 sync.Mutex
	token                string // ours; "": there is none yet
}

// New does not wait for the server.
func New(address, clientID, secretFile string) (*Gatehouse, error) {
	pause := backoff.DefaultConfig
	pause.MaxDelay = 5 * time.Second // between two attempts to connect; by default it grows to two minutes
	channel, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(retries), grpc.WithConnectParams(grpc.ConnectParams{Backoff: pause}))
	if err != nil {
		return nil, err
	}
	return &Gatehouse{auth: pb.NewAuthServiceClient(channel), clientID: clientID, secretFile: secretFile}, nil
}

// Introspect says what the bearer of the token may do. api is a route's template, such as "GET /cases/{id}"; peer the address that
// it came from, also with a port. "": it is not known.
func (g *Gatehouse) Introspect(ctx context.Context, token, api, role, peer string) (*pb.IntrospectResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request := &pb.IntrospectRequest{Token: token, Api: api, RequiredRoles: []string{role}, Peer: peer}
	var answer *pb.IntrospectResponse
	err := g.asOurselves(ctx, func(ctx context.Context) (err error) {
		answer, err = g.auth.Introspect(ctx, request)
		return err
	})
	return answer, err
}

// asOurselves calls by our own token, and once more where that has ended meanwhile.
func (g *Gatehouse) asOurselves(ctx context.Context, call func(context.Context) error) error {
	own, err := g.ownToken(ctx, "")
	if err != nil {
		return err
	}
	if err = call(bearing(ctx, own)); status.Code(err) != codes.Unauthenticated {
		return err
	}
	if own, err = g.ownToken(ctx, own); err != nil {
		return err
	}
	return call(bearing(ctx, own))
}

func bearing(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// ownToken is got when it is first wanted, and again when the one we have is `ended`. The key is read anew: it may have
// been replaced.
func (g *Gatehouse) ownToken(ctx context.Context, ended string) (string, error) {
	g.lock.Lock() // whoever wants it meanwhile waits for the same call, which ends by its deadline
	defer g.lock.Unlock()
	if g.token != "" && g.token != ended {
		return g.token, nil
	}
	secret, err := os.ReadFile(g.secretFile)
	if err != nil {
		return "", err
	}
	issued, err := g.auth.IssueToken(ctx, &pb.IssueTokenRequest{ClientId: g.clientID, ClientSecret: strings.TrimSpace(string(secret))})
	if err != nil {
		return "", err
	}
	g.token = issued.AccessToken
	return g.token, nil
}
