package statelite

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseExport(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"n1:/state":          "n1:/state",
		"10.0.0.1:/a/b":      "10.0.0.1:/a/b",
		"[fd00::1]:/state":   "[fd00::1]:/state",
		"n1:/":               "n1:/",
		"n1:state":           "",
		":/state":            "",
		"n1":                 "",
		"LABEL=a:/b":         "",
		"/dev/disk/by-x:/y":  "",
		"[fd00::1/state":     "",
		"[fd00::1]:relative": "",
		"fd00::1:/state":     "",
		"":                   "",
	} {
		e, ok := parseExport(source)
		if ok != (want != "") || ok && e.String() != want {
			t.Errorf("%q: %v %t, want %q", source, e, ok, want)
		}
	}
}

func TestParseMountOptions(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]string{
		"":                                       "0 ",
		"soft,timeo=30":                          "0 soft,timeo=30",
		"ro,nosuid, nodev,noexec,,rsize=1024":    fmt.Sprintf("%x rsize=1024", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC),
		"rw,_netdev,bg,retry=5,x-systemd.a,hard": "0 hard",
		"sync,dirsync,noatime,nodiratime":        fmt.Sprintf("%x ", unix.MS_SYNCHRONOUS|unix.MS_DIRSYNC|unix.MS_NOATIME|unix.MS_NODIRATIME),
	} {
		flags, data := parseMountOptions(options)
		if got := fmt.Sprintf("%x %s", flags, strings.Join(data, ",")); got != want {
			t.Errorf("%q: %q, want %q", options, got, want)
		}
	}
}

func TestNFSData(t *testing.T) {
	t.Parallel()
	v4, v6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")
	for _, tc := range []struct {
		options string
		server  netip.Addr
		want    []string
	}{
		{"", v4, []string{
			"vers=4.2,addr=10.0.0.1,proto=tcp,clientaddr=10.0.0.9",
			"vers=4.1,addr=10.0.0.1,proto=tcp,clientaddr=10.0.0.9",
			"vers=3,addr=10.0.0.1,proto=tcp,nolock,mountproto=tcp,mountaddr=10.0.0.1",
		}},
		{"nfsvers=3,soft,timeo=30", v6, []string{"vers=3,addr=fd00::1,proto=tcp6,nolock,mountproto=tcp6,mountaddr=fd00::1,soft,timeo=30"}},
		{"vers=4.0,proto=rdma,port=20049", v4, []string{"vers=4.0,addr=10.0.0.1,clientaddr=10.0.0.9,proto=rdma,port=20049"}},
		{"vers=3,udp,lock,mountproto=udp", v4, []string{"vers=3,addr=10.0.0.1,mountaddr=10.0.0.1,udp,lock,mountproto=udp"}},
	} {
		_, options := parseMountOptions(tc.options)
		n := nfs{options: options}
		var got []string
		for _, v := range n.versions() {
			got = append(got, n.data(v, tc.server, netip.MustParseAddr("10.0.0.9")))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.options, diff)
		}
	}
}

func TestNFSErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err    error
		older  bool
		advice string
	}{
		{unix.EPROTONOSUPPORT, true, "log"},
		{unix.EINVAL, true, "MNTOPTS="},
		{unix.ENOENT, true, "no such directory"},
		{unix.EACCES, false, "no_root_squash"},
		{unix.ENODEV, false, "--add-module nfs"},
		{unix.ETIMEDOUT, false, "firewall"},
	} {
		if got := tryOlder(tc.err); got != tc.older {
			t.Errorf("%v: try an older version: %t", tc.err, got)
		}
		if got := nfsAdvice(tc.err); !strings.Contains(got, tc.advice) {
			t.Errorf("%v: %s", tc.err, got)
		}
	}
}

func FuzzParseExport(f *testing.F) {
	f.Add("n1:/state")
	f.Add("[fd00::1]:/x")
	f.Fuzz(func(t *testing.T, source string) {
		if e, ok := parseExport(source); ok {
			if again, ok := parseExport(e.String()); !ok || again != e {
				t.Errorf("%q is %+v, and then %+v", source, e, again)
			}
		}
	})
}
