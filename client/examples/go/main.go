// SPDX-License-Identifier: Apache-2.0

// An HTTP service that protects itself: of each request it asks Gatehouse what the bearer may do.
//
//	GATEHOUSE_CLIENT_ID=… GATEHOUSE_CLIENT_SECRET_FILE=… ./cases
//
// The credential is the service's own and holds the role resource_server. GATEHOUSE_GRPC says where Gatehouse, or an edge
// of it, is (127.0.0.1:50051), PORT where this listens (8000). client/README.md says how it is built.
package main

import (
	"cmp"
	"log"
	"net/http"
	"os"

	"example.com/cases/gatehouse"
)

func main() {
	gate, err := gatehouse.New(cmp.Or(os.Getenv("GATEHOUSE_GRPC"), "127.0.0.1:50051"),
		os.Getenv("GATEHOUSE_CLIENT_ID"), os.Getenv("GATEHOUSE_CLIENT_SECRET_FILE"))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /cases", gate.Require("work_creator", create))
	mux.Handle("GET /cases/{id}", gate.Require("service_agent", show))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "8000"), mux))
}

func create(w http.ResponseWriter, r *http.Request) {
	gatehouse.WriteJSON(w, http.StatusOK, map[string]string{"caller": gatehouse.Caller(r).ClientId})
}

func show(w http.ResponseWriter, r *http.Request) {
	gatehouse.WriteJSON(w, http.StatusOK, map[string]string{"caller": gatehouse.Caller(r).ClientId, "id": r.PathValue("id")})
}
