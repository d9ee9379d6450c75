// SPDX-License-Identifier: Apache-2.0

// A client on grpc-go: main ADDRESS CLIENT_ID SECRET_FILE [CA_FILE [CERT_FILE KEY_FILE]].
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	pb "gatehouse.test/interop/pb"
)

func must[T any](value T, err error) T {
	check(err == nil, "%v", err)
	return value
}

func check(is bool, format string, arguments ...any) {
	if !is {
		panic(fmt.Sprintf(format, arguments...))
	}
}

// The error must be of this code, with an ErrorInfo of this reason.
func fails(err error, code codes.Code, reason string) {
	found := status.Convert(err)
	check(found.Code() == code, "%v, not %v", err, code)
	for _, detail := range found.Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is {
			check(info.Reason == reason && info.Domain == "gatehouse", "%v, not %s", info, reason)
			return
		}
	}
	check(reason == "", "no ErrorInfo, but %v", found.Details())
}

func security(arguments []string) credentials.TransportCredentials {
	if len(arguments) == 0 {
		return insecure.NewCredentials()
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	check(config.RootCAs.AppendCertsFromPEM(must(os.ReadFile(arguments[0]))), "no certificate")
	if len(arguments) == 3 {
		config.Certificates = []tls.Certificate{must(tls.LoadX509KeyPair(arguments[1], arguments[2]))}
	}
	return credentials.NewTLS(config)
}

func tokens(ctx context.Context, auth pb.AuthServiceClient, id, secret string) {
	issued := must(auth.IssueToken(ctx, &pb.IssueTokenRequest{ClientId: id, ClientSecret: secret}))
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+issued.AccessToken)
	request := &pb.IntrospectRequest{Token: issued.AccessToken, Api: "GET /go"}
	told := must(auth.Introspect(ctx, request))
	check(told.Active && len(told.Roles) == 2, "%v", told)

	batch := &pb.BatchIntrospectRequest{}
	for i := 0; i < 100; i++ {
		batch.Requests = append(batch.Requests, &pb.BatchIntrospectEntry{Token: issued.AccessToken})
	}
	answers := must(auth.BatchIntrospect(ctx, batch)).Responses
	check(len(answers) == 100 && answers[99].Active, "%d answers", len(answers))

	_, err := auth.IssueToken(ctx, &pb.IssueTokenRequest{ClientId: id, ClientSecret: "wrong"})
	fails(err, codes.Unauthenticated, "INVALID_CLIENT")
	_, err = auth.Introspect(ctx, request, grpc.UseCompressor(gzip.Name))
	fails(err, codes.Unimplemented, "COMPRESSED_MESSAGE")
	must(auth.Revoke(ctx, &pb.RevokeRequest{Token: issued.AccessToken, ClientId: id, ClientSecret: secret}))
	_, err = auth.Introspect(ctx, request)
	fails(err, codes.Unauthenticated, "CALLER_UNKNOWN")
}

func watch(ctx context.Context, channel *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	stream := must(health.NewHealthClient(channel).Watch(ctx, &health.HealthCheckRequest{Service: "gatehouse.v1.AuthService"}))
	check(must(stream.Recv()).Status == health.HealthCheckResponse_SERVING, "not serving")
	_, err := stream.Recv()
	check(status.Code(err) == codes.DeadlineExceeded, "%v", err)
}

func reflect(ctx context.Context, channel *grpc.ClientConn) {
	stream := must(reflection.NewServerReflectionClient(channel).ServerReflectionInfo(ctx))
	request := &reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}}
	for i := 0; i < 3; i++ {
		check(stream.Send(request) == nil, "send")
		names := fmt.Sprint(must(stream.Recv()).GetListServicesResponse().Service)
		check(strings.Contains(names, "gatehouse.v1.AuthService"), "%s", names)
	}
	check(stream.CloseSend() == nil, "close")
	_, err := stream.Recv()
	check(err != nil && err.Error() == "EOF", "%v", err)
}

func main() {
	address, id, secretFile := os.Args[1], os.Args[2], os.Args[3]
	secret := strings.TrimSpace(string(must(os.ReadFile(secretFile))))
	// As a client behind a NAT is set up; 10 s is the least that grpc-go does.
	pings := keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 20 * time.Second, PermitWithoutStream: true}
	channel := must(grpc.NewClient(address, grpc.WithTransportCredentials(security(os.Args[4:])), grpc.WithKeepaliveParams(pings)))
	defer channel.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tokens(ctx, pb.NewAuthServiceClient(channel), id, secret)
	watch(ctx, channel)
	reflect(ctx, channel)
	fmt.Println("interop: ok")
}
