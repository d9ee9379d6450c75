// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"regexp"

	pb "example.com/cases/pb"
)

var (
	bearer     = regexp.MustCompile(`(?i)^bearer +(.*)$`)
	wellFormed = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`) // RFC 6750, section 2.1
)

type callerKey struct{}

// Caller says who sent a request that Require let through.
func Caller(r *http.Request) *pb.IntrospectResponse {
	return r.Context().Value(callerKey{}).(*pb.IntrospectResponse)
}

// Require lets through only bearers of a live token with this role. To be registered with a pattern ("GET /cases/{id}"):
// that is what Gatehouse counts, never the path with its ids.
func (g *Gatehouse) Require(role string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := bearer.FindStringSubmatch(r.Header.Get("Authorization"))
		if found == nil {
			refuse(w, http.StatusUnauthorized, "missing_token", "Bearer")
			return
		}
		if !wellFormed.MatchString(found[1]) {
			refuse(w, http.StatusUnauthorized, "invalid_token", `Bearer error="invalid_token"`)
			return
		}
		// RemoteAddr is whoever is connected; never what a header says, for anybody can send one.
		caller, err := g.Introspect(r.Context(), found[1], r.Pattern, role, r.RemoteAddr)
		switch {
		case err != nil: // no answer is no permission
			log.Printf("gatehouse: %v", err)
			w.Header().Set("Retry-After", "1")
			WriteJSON(w, http.StatusServiceUnavailable, map[string]string{"error": "temporarily_unavailable"})
		case !caller.Active:
			refuse(w, http.StatusUnauthorized, "invalid_token", `Bearer error="invalid_token"`)
		case !caller.Allowed:
			refuse(w, http.StatusForbidden, "insufficient_scope", `Bearer error="insufficient_scope", scope="`+role+`"`)
		default:
			next(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
		}
	})
}

func refuse(w http.ResponseWriter, code int, reason, challenge string) {
	w.Header().Set("WWW-Authenticate", challenge)
	WriteJSON(w, code, map[string]string{"error": reason})
}

// WriteJSON answers.
func WriteJSON(w http.ResponseWriter, code int, content any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(content)
}
