package apt

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

func TestParseList(t *testing.T) {
	tests := []struct {
		name, text string
		want       []Source
		err        string
	}{
		{name: "nothing"},
		{name: "comments", text: "# deb http://a.example/ x main\n  \n\t# y\n"},
		{
			name: "plain", text: "deb http://mirror.example/debian bookworm main contrib\r\n",
			want: []Source{{URI: "http://mirror.example/debian", Suite: "bookworm", Components: []string{"main", "contrib"}}},
		},
		{
			name: "options and comment", text: "deb [ arch=amd64,arm64 signed-by=" + keyring + " ]  http://mirror.example/debian\tbookworm main # ours",
			want: []Source{{URI: "http://mirror.example/debian", Suite: "bookworm", Components: []string{"main"}, Architectures: []string{"amd64", "arm64"}, SignedBy: keyring}},
		},
		{
			name: "sources of source packages", text: "deb-src http://mirror.example/debian bookworm main\ndeb http://mirror.example/debian sid main",
			want: []Source{{URI: "http://mirror.example/debian", Suite: "sid", Components: []string{"main"}}},
		},
		{
			name: "flat repository", text: "deb file:/srv/packages ./",
			want: []Source{{URI: "file:/srv/packages", Suite: "./"}},
		},
		{name: "another type", text: "\nrpm http://mirror.example/ x main", err: `2: "rpm" is no type of source; it is deb or deb-src`},
		{name: "open bracket", text: "deb [arch=amd64 http://mirror.example/ x main", err: "1: the options' closing bracket is missing"},
		{name: "no URI", text: "deb", err: "1: the URI is missing"},
		{name: "no suite", text: "deb http://me:secret@mirror.example/", err: "1: the suite after http://mirror.example/ is missing"},
		{name: "no component", text: "deb http://mirror.example/ sid", err: "1: suite sid has no component such as main"},
		{name: "component of a flat repository", text: "deb http://mirror.example/ ./ main", err: "1: suite ./ is a path and cannot have components"},
		{name: "not a URI", text: "deb bookworm main contrib", err: `1: "bookworm" is not a URI`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseList(tt.text)
			checkError(t, err, tt.err)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseDeb822(t *testing.T) {
	tests := []struct {
		name, text string
		want       []Source
		err        string
	}{
		{name: "nothing", text: "\n\n# no more\n"},
		{
			name: "suites and URIs multiply",
			text: "Types: deb deb-src\nURIs: http://a.example/debian\n http://b.example/debian\n" +
				"# between\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: " + keyring + "\n",
			want: []Source{
				{URI: "http://a.example/debian", Suite: "bookworm", Components: []string{"main"}, SignedBy: keyring},
				{URI: "http://a.example/debian", Suite: "bookworm-updates", Components: []string{"main"}, SignedBy: keyring},
				{URI: "http://b.example/debian", Suite: "bookworm", Components: []string{"main"}, SignedBy: keyring},
				{URI: "http://b.example/debian", Suite: "bookworm-updates", Components: []string{"main"}, SignedBy: keyring},
			},
		},
		{
			name: "paragraphs, one switched off, one of source packages",
			text: "types: deb\nuris: http://a.example\nsuites: sid\ncomponents: main\n \n\n" +
				"Enabled: no\nTypes: deb\nURIs: http://b.example\nSuites: sid\nComponents: main\n\n" +
				"Types: deb-src\nURIs: http://c.example\nSuites: sid\nComponents: main\n",
			want: []Source{{URI: "http://a.example", Suite: "sid", Components: []string{"main"}}},
		},
		{
			name: "a key in the file",
			text: "Types: deb\nURIs: http://a.example\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQENBF\n",
			want: []Source{{URI: "http://a.example", Suite: "sid", Components: []string{"main"}, SignedBy: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n.\nmQENBF"}},
		},
		{name: "no field", text: "Types: deb\nnonsense\n", err: `2: "nonsense" is not FIELD: VALUE`},
		{name: "continues nothing", text: "\n stray\n", err: "2: a continuation line continues no field"},
		{name: "twice", text: "Types: deb\nTypes: deb\n", err: "2: the field types stands twice"},
		{name: "no URIs", text: "\nTypes: deb\nSuites: sid\n", err: "2: the field URIs is missing"},
		{name: "no Suites", text: "Types: deb\nURIs: http://a.example\n", err: "1: the field Suites is missing"},
		{name: "no Components", text: "Types: deb\nURIs: http://a.example\nSuites: sid\n", err: "1: suite sid has no component such as main"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseDeb822(tt.text)
			checkError(t, err, tt.err)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadSources(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	tests := []struct {
		name string
		root fstest.MapFS
		want []string
		err  string
	}{
		{name: "no apt", root: fstest.MapFS{}},
		{
			name: "order and names",
			root: fstest.MapFS{
				"etc/apt/sources.list":                   file("deb http://z.example/ sid main\n"),
				"etc/apt/sources.list.d/b.sources":       file("Types: deb\nURIs: http://b.example/\nSuites: sid\nComponents: main\n"),
				"etc/apt/sources.list.d/a.list":          file("deb http://a.example/ sid main\n"),
				"etc/apt/sources.list.d/c.list~":         file("nonsense"),
				"etc/apt/sources.list.d/c.list.save":     file("nonsense"),
				"etc/apt/sources.list.d/d.sources.off":   file("nonsense"),
				"etc/apt/sources.list.d/with blank.list": file("nonsense"),
			},
			want: []string{"deb http://z.example/ sid main", "deb http://a.example/ sid main", "deb http://b.example/ sid main"},
		},
		{
			name: "the file is named",
			root: fstest.MapFS{"etc/apt/sources.list.d/a.list": file("\ndeb\n")},
			err:  "/etc/apt/sources.list.d/a.list:2: the URI is missing",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sources, err := ReadSources(tt.root)
			checkError(t, err, tt.err)
			var got []string
			for _, s := range sources {
				got = append(got, s.String())
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("sources (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzParseList checks that whatever parses can be written as a line that
// parses to the same source.
func FuzzParseList(f *testing.F) {
	f.Add("deb [arch=amd64 signed-by=" + keyring + "] http://mirror.example/debian bookworm main contrib # x\n")
	f.Add("deb-src http://mirror.example/debian bookworm main\ndeb file:/srv ./\n")
	f.Add("deb [x]]http://a b c")
	f.Fuzz(func(t *testing.T, text string) {
		sources, err := ParseList(text)
		if err != nil {
			return
		}
		for _, want := range sources {
			got, err := ParseLine(want.String())
			if err != nil {
				t.Fatalf("%q: %v", want, err)
			}
			if strings.ContainsAny(want.SignedBy, " \t\n]") {
				want.SignedBy = ""
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%q (-want +got):\n%s", want, diff)
			}
		}
	})
}

// FuzzParseDeb822 checks that each source a file yields could stand in a list.
func FuzzParseDeb822(f *testing.F) {
	f.Add("Types: deb\nURIs: http://a.example http://b.example\nSuites: sid sid-updates\nComponents: main\nSigned-By:\n a\n .\n b\n\n\nEnabled: no\n")
	f.Add("# c\n\nTypes: deb\nURIs: file:/srv\nSuites: ./\n")
	f.Fuzz(func(t *testing.T, text string) {
		sources, err := ParseDeb822(text)
		if err != nil {
			return
		}
		for _, s := range sources {
			if err := s.check(); err != nil {
				t.Errorf("%+v: %v", s, err)
			}
		}
	})
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Fatalf("error %q, want %q", got, want)
	}
}
