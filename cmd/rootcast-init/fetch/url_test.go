package fetch

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const hexDigest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	tests := []struct {
		name, imgurl string
		want         []string
	}{
		{"one", "http://10.0.0.1/root.sfs", []string{"http://10.0.0.1/root.sfs"}},
		{"xCAT's slashes", "http://10.0.0.1:80//install/netboot/root", []string{"http://10.0.0.1:80//install/netboot/root"}},
		{"two", "http://a/x,https://b/y", []string{"http://a/x", "https://b/y"}},
		{"comma in a name", "http://a/x,y,z,tftp://b/y,1", []string{"http://a/x,y,z", "tftp://b/y,1"}},
		{"commas at ends", ",http://a/x,,oci://r/n@sha256:" + hexDigest + ",", []string{"http://a/x", "oci://r/n@sha256:" + hexDigest}},
		{"IPv6", "http://[fd00::1]:8080/x,tftp://[fd00::1]/x", []string{"http://[fd00::1]:8080/x", "tftp://[fd00::1]/x"}},
		{"user and query", "https://u:p@a/x?token=1", []string{"https://u:p@a/x?token=1"}},
		{"registry with port", "oci+http://r:5000/a/b-c/d@sha256:" + hexDigest, []string{"oci+http://r:5000/a/b-c/d@sha256:" + hexDigest}},
		{"scheme in capitals", "HTTP://a/x", []string{"HTTP://a/x"}},
		{"no path", "http://a", []string{"http://a"}},
		{"tftp with mode", "tftp://a/x;mode=octet", []string{"tftp://a/x;mode=octet"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.imgurl)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, imgurl, want string }{
		{"empty", "", "it is empty"},
		{"commas", ",,", "it is empty"},
		{"no scheme", "10.0.0.1/root", "must start with http://"},
		{"no scheme first", "root,http://a/x", "root: no URL"},
		{"unknown scheme", "nfs://a/x", "unknown scheme"},
		{"no host", "http:///x", "names no host"},
		{"port alone", "http://:80/x", "names no host"},
		{"bad port", "http://a:http/x", "no valid URL"},
		{"blank", "http://a/x y", "no blanks"},
		{"newline", "http://a/x\ny", "no blanks"},
		{"fragment", "http://a/x#1", "%23"},
		{"empty fragment", "http://a/x#", "%23"},
		{"escape", "http://a/%zz", "no valid URL"},
		{"tftp without a file", "tftp://a/", "names no file"},
		{"tftp with a NUL", "tftp://a/x%00y", "no NUL"},
		{"tftp with a user", "tftp://u@a/x", "no users"},
		{"tftp with a query", "tftp://a/x?y", "no query"},
		{"blob without a digest", "oci://r/n:latest", "names no digest"},
		{"blob with another digest", "oci://r/n@sha512:" + hexDigest, "64 hexadecimal digits"},
		{"blob with a short digest", "oci://r/n@sha256:1234", "64 hexadecimal digits"},
		{"blob without a repository", "oci://r/@sha256:" + hexDigest, "repository's name"},
		{"blob that climbs", "oci://r/../n@sha256:" + hexDigest, "repository's name"},
		{"blob in capitals", "oci://r/Node@sha256:" + hexDigest, "repository's name"},
		{"blob with a query", "oci://r/n@sha256:" + hexDigest + "?x", "no query"},
		{"password in an error", "http://u:secret@a:b/x", "http://***@a:b/x: no valid URL"},
		{"slash in a password", "http://u:sec/ret@a/x", "http://***@a/x: no valid URL"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Parse(test.imgurl)
			if err == nil {
				t.Fatalf("no error, got %q", got)
			}
			checkError(t, err, nil, test.want)
			if strings.Contains(err.Error(), "sec") || strings.Contains(err.Error(), "ret@") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestRedact(t *testing.T) {
	tests := map[string]string{
		"http://a/x":                       "http://a/x",
		"http://u:p@a/x":                   "http://***@a/x",
		"http://u@a/x@y":                   "http://***@a/x@y",
		"http://u:p/q@a/x":                 "http://***@a/x",
		"http://u:p?q@a/x":                 "http://***@a/x",
		"http://u:1/q@a/x":                 "http://u:1/q@a/x", // a port and a path with "@"
		"http://u:p#q@a/x":                 "http://***@a/x",
		"http://u:/p@a/x":                  "http://***@a/x",
		"http://u:#p@a/x":                  "http://***@a/x",
		"http://a/x#p":                     "http://a/x#***",
		"http://a/x?sig=1&y=2":             "http://a/x?***",
		"oci://u:p@r/n@sha256:12":          "oci://***@r/n@sha256:12",
		"oci://r:5000/n@sha256:12":         "oci://r:5000/n@sha256:12",
		"http://[::1]/a@b":                 "http://[::1]/a@b",
		"u:p@a":                            "***@a",
		"http://a/\x1b[2J":                 "http://a/_[2J",
		"":                                 "",
		"http://u:p@a:bad/x@y":             "http://***@y",
		"tftp://10.0.0.1//install/root":    "tftp://10.0.0.1//install/root",
		"https://u:p%40q@[fd00::1]:8/x?@y": "https://***@[fd00::1]:8/x?***",
	}
	for url, want := range tests {
		if got := Redact(url); got != want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"no URL", Options{}, "no URL is given"},
		{"no URL either", Options{URLs: []string{"x"}}, "must start with"},
		{"digest", Options{URLs: []string{"http://a/x"}, SHA256: "sha256:" + hexDigest}, "not 64 hexadecimal digits"},
		{"other digest", Options{URLs: []string{"oci://u:p@r/n@sha256:" + hexDigest}, SHA256: strings.Repeat("0", 64)}, "oci://***@r/n@"},
		{
			"two digests",
			Options{URLs: []string{"oci://r/n@sha256:" + hexDigest, "oci://q/n@sha256:" + strings.Repeat("f", 64)}},
			"oci://q/n@sha256:" + strings.Repeat("f", 64) + " names another digest than sha256:" + hexDigest,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Open(t.Context(), test.options)
			checkError(t, err, nil, test.want)
		})
	}
}
