package apt

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const bookworm = `Origin: Debian
Label: Debian
Suite: oldstable
Version: 12.12
Codename: bookworm
Changelogs: https://metadata.example/changelogs/@CHANGEPATH@_changelog
Date: Sat, 06 Sep 2025 10:09:26 UTC
Architectures: all amd64 arm64
Components: main contrib
MD5Sum:
 0ed6d4c8891eb86358b94bb35d9e4da4  1484322 contrib/Contents-all
`

func TestParseRelease(t *testing.T) {
	want := Release{Origin: "Debian", Suite: "oldstable", Codename: "bookworm", Version: "12.12", Date: time.Date(2025, 9, 6, 10, 9, 26, 0, time.UTC)}
	tests := []struct {
		name, text string
		want       Release
		err        string
	}{
		{name: "Release", text: bookworm, want: want},
		{
			name: "InRelease", want: want,
			text: "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + bookworm + "-----BEGIN PGP SIGNATURE-----\n\niQIzBAE\n-----END PGP SIGNATURE-----\n",
		},
		{
			name: "day of one digit", text: "Suite: x\nDate: Sat, 6 Sep 2025 10:09:26 +0200\n",
			want: Release{Suite: "x", Date: time.Date(2025, 9, 6, 8, 9, 26, 0, time.UTC)},
		},
		{name: "a page", text: "<html>\n<body>Not here</body>", err: `line 1: "<html>" is not FIELD: VALUE`},
		{name: "nothing", err: "it is empty"},
		{name: "no text", text: "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n", err: "the signed text is missing"},
		{name: "no date", text: "Suite: x\n", err: `the field Date is missing or not a date: ""`},
		{name: "no name", text: "Date: Sat, 06 Sep 2025 10:09:26 UTC\n", err: "it names neither a suite nor a codename"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseRelease(tt.text)
			checkError(t, err, tt.err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("release (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseRelease(f *testing.F) {
	f.Add(bookworm)
	f.Add("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + bookworm + "-----BEGIN PGP SIGNATURE-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRelease(text)
		if err == nil && (r.Date.IsZero() && r.Date.Year() != 1 || r.Suite+r.Codename == "") {
			t.Errorf("accepted %+v", r)
		}
	})
}

func TestRedact(t *testing.T) {
	for uri, want := range map[string]string{
		"http://mirror.example/debian":                "http://mirror.example/debian",
		"https://me:secret@mirror.example:8443/a?b=c": "https://mirror.example:8443/a?b=c",
		"https://me:se%zz@cret@mirror.example/debian": "https://mirror.example/debian",
		"file:/srv/debian":                            "file:/srv/debian",
		"%zz":                                         "%zz",
	} {
		if got := Redact(uri); got != want {
			t.Errorf("Redact(%q) = %q, want %q", uri, got, want)
		}
	}
}
