package remote

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseNode(t *testing.T) {
	const form = "it is not ssh://[USER@]HOST[:PORT][/PATH/OF/ROOTCAST]"
	for _, tc := range []struct {
		name, url string
		want      Node
		err       string // "": fine
	}{
		{"host", "ssh://n01", Node{Host: "n01", Program: "rootcast"}, ""},
		{"slash", "ssh://n01/", Node{Host: "n01", Program: "rootcast"}, ""},
		{"all of it", "ssh://a.b-c@n01.example:2222/opt/rootcast-1.2+x/bin/rootcast", Node{"a.b-c", "n01.example", 2222, "/opt/rootcast-1.2+x/bin/rootcast"}, ""},
		{"address", "ssh://192.0.2.1", Node{Host: "192.0.2.1", Program: "rootcast"}, ""},
		{"IPv6", "ssh://u@[2001:db8::1]:22", Node{User: "u", Host: "2001:db8::1", Port: 22, Program: "rootcast"}, ""},
		{"no scheme", "n01", Node{}, form},
		{"scp's form", "u@n01:/opt/rootcast", Node{}, form},
		{"another scheme", "http://n01", Node{}, form},
		{"no host", "ssh:///opt/rootcast", Node{}, form},
		{"opaque", "ssh:n01", Node{}, form},
		{"option for a host", "ssh://-oProxyCommand=x", Node{}, "must not begin with -"},
		{"option for a user", "ssh://-l@n01", Node{}, "must not begin with -"},
		{"command in a host", "ssh://n01;touch", Node{}, `host "n01;touch" may have only`},
		{"command in a user", "ssh://$(id)@n01", Node{}, `user "$(id)" may have only`},
		{"command in a path", "ssh://n01/bin/sh;id", Node{}, `path "/bin/sh;id" may have only`},
		{"blank in a path", "ssh://n01/a%20b", Node{}, `path "/a b" may have only`},
		{"line in a path", "ssh://n01/a%0Ab", Node{}, "may have only"},
		{"directory", "ssh://n01/opt/", Node{}, "must name a file"},
		{"password", "ssh://u:hunter2@n01", Node{}, "ssh takes a key"},
		{"port", "ssh://n01:0", Node{}, "port 0"},
		{"large port", "ssh://n01:65536", Node{}, "port 65536"},
		{"named port", "ssh://n01:ssh", Node{}, form},
		{"query", "ssh://n01/x?y", Node{}, "nothing may stand after"},
		{"empty user", "ssh://@n01", Node{}, `user ""`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseNode(tc.url)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if err != nil {
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the error shows the password: %v", err)
				}
				return
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			again, err := ParseNode(got.url(strings.TrimPrefix(got.Program, defaultProgram)))
			if err != nil || again != got {
				t.Errorf("written and read again: %+v, %v", again, err)
			}
		})
	}
}
