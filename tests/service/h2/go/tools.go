// SPDX-License-Identifier: Apache-2.0

//go:build tools

// What is built from this module beside the client: go.sum knows it by this file.
package main

import (
	_ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
	_ "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
)
