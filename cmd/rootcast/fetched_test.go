package main

import (
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// fetchedKey is under which a script keeps how many blobs each registry had sent.
type fetchedKey struct{}

// cmdFetched wants that since the last time N blobs were asked of a registry:
//
//	fetched N [NAME]
func cmdFetched(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: fetched N [NAME]")
	}
	name := strings.Join(append(args[1:], ""), "")
	if name == "" {
		name = "REGISTRY"
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	before, _ := ts.Value(fetchedKey{}).(map[string]int)
	got := -before[name]
	for _, req := range registries(ts)[name].Requests() {
		if strings.HasPrefix(req, "GET ") && strings.Contains(req, "/blobs/sha256:") {
			got++
		}
	}
	before[name] += got
	if got != want {
		ts.Fatalf("%d blobs were fetched, not %d", got, want)
	}
}
