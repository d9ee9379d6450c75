// SPDX-License-Identifier: Apache-2.0

// May the bearers of these tokens create cases? A token a line on standard input, perhaps a space and the address that it came from;
// a line on standard output: yes, no, or "cannot say", and whether the answer is from memory.
//
//	GATEHOUSE_CLIENT_ID=… GATEHOUSE_CLIENT_SECRET_FILE=… ./check
package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"example.com/cases/gatehouse"
)

func main() {
	client, err := gatehouse.New(cmp.Or(os.Getenv("GATEHOUSE_GRPC"), "127.0.0.1:50051"),
		os.Getenv("GATEHOUSE_CLIENT_ID"), os.Getenv("GATEHOUSE_CLIENT_SECRET_FILE"))
	if err != nil {
		log.Fatal(err)
	}
	cache := gatehouse.NewCache(client)
	defer cache.Close()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		token, peer, _ := strings.Cut(lines.Text(), " ")
		answer, isFromMemory, err := cache.Introspect(context.Background(), token, "POST /cases", "work_creator", peer)
		switch {
		case err != nil:
			fmt.Println("cannot say")
		case isFromMemory:
			fmt.Println(word(answer.Allowed), "from memory")
		default:
			fmt.Println(word(answer.Allowed), "asked")
		}
	}
}

func word(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
