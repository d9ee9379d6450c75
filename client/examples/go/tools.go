// SPDX-License-Identifier: Apache-2.0

//go:build tools

// The programs that make the stubs, at the versions of go.mod.
package main

import (
	_ "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
)
