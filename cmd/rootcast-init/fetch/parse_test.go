package fetch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseChallenges(t *testing.T) {
	type params = map[string]string
	tests := []struct {
		name    string
		headers []string
		want    []challenge
	}{
		{"none", nil, nil},
		{"bearer", []string{`Bearer realm="https://auth/token",service="r",scope="repository:a/b:pull,push"`}, []challenge{
			{"bearer", params{"realm": "https://auth/token", "service": "r", "scope": "repository:a/b:pull,push"}},
		}},
		{"two in one", []string{`Basic realm="x", BEARER Realm=y , service = "z"`}, []challenge{
			{"basic", params{"realm": "x"}}, {"bearer", params{"realm": "y", "service": "z"}},
		}},
		{"two headers", []string{"Negotiate", `Basic realm="a\"b\\"`}, []challenge{
			{"negotiate", params{}}, {"basic", params{"realm": `a"b\`}},
		}},
		{"a token in place of parameters", []string{"Negotiate abc==", "Basic x=y"}, []challenge{
			{"negotiate", params{}}, {"abc", params{}}, {"basic", params{"x": "y"}},
		}},
		{"open quote", []string{`Bearer realm="x`, "Basic"}, []challenge{
			{"bearer", params{}}, {"realm", params{}}, {"basic", params{}},
		}},
		{"parameter of nothing", []string{"Basic", "a=b"}, []challenge{{"basic", params{}}}},
		{"rubbish", []string{"", ",", "=", `"x"`, "\x00"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := parseChallenges(test.headers)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(challenge{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseContentRange(t *testing.T) {
	type result struct {
		start, size int64
		ok          bool
	}
	bad := result{}
	tests := map[string]result{
		"bytes 5-9/10":                    {5, 10, true},
		" bytes 5-9/*":                    {5, -1, true},
		"bytes */10":                      {-1, 10, true},
		"bytes 9223372036854775806-9/10":  bad,
		"bytes 5-9223372036854775808/*":   bad,
		"bytes 5-10/10":                   bad,
		"bytes 5-4/10":                    bad,
		"bytes +5-9/10":                   bad,
		"bytes -5-9/10":                   bad,
		"bytes 5/10":                      bad,
		"bytes 5-9":                       bad,
		"bytes -/":                        bad,
		"items 5-9/10":                    bad,
		"":                                bad,
		"bytes 5-9/10, bytes 20-30/10":    bad,
		"multipart/byteranges; boundary=": bad,
	}
	for value, want := range tests {
		start, size, ok := parseContentRange(value)
		if got := (result{start, size, ok}); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
