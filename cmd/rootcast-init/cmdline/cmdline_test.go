package cmdline

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	none := map[string]string{}
	tests := map[string]struct {
		line      string
		want      Options
		complaint string
	}{
		"empty": {"", Options{Params: none}, ""},
		"netroot": {
			"console=ttyS0 quiet imgurl=http://10.0.0.1//install/rootimg.sfs rootcast.digest=sha256:" + strings.ToUpper(digest) + " BOOTIF=01-52-54-00-12-34-56\n",
			Options{ImgURL: "http://10.0.0.1//install/rootimg.sfs", Digest: digest, BootIF: "01-52-54-00-12-34-56", Params: none},
			"",
		},
		"lists": {
			"ip=eth0:dhcp ip=10.0.0.2::10.0.0.1:24:n1:eth1:off vlan=a.5:a bond=bond0:a,b nameserver=1.1.1.1",
			Options{
				IP: []string{"eth0:dhcp", "10.0.0.2::10.0.0.1:24:n1:eth1:off"}, VLAN: []string{"a.5:a"},
				Bond: []string{"bond0:a,b"}, Nameserver: []string{"1.1.1.1"}, Params: none,
			},
			"",
		},
		"last value": {"imgurl=a imgurl=b", Options{ImgURL: "b", Params: none}, ""},
		"quotes": {
			`imgurl="http://a/b c" "rootflags=a b" snd-x.opts="1 2" mlx5_core.probe snd_x.id=3`,
			Options{ImgURL: "http://a/b c", RootFlags: "a b", Params: map[string]string{"snd_x": `opts="1 2" id=3`, "mlx5_core": "probe"}},
			"",
		},
		"modules": {
			"rootcast.modules=ib_ipoib,mlx5_ib rd.driver.blacklist=nouveau module_blacklist=a,b",
			Options{Modules: []string{"ib_ipoib", "mlx5_ib"}, Blacklist: []string{"nouveau", "a", "b"}, Params: none},
			"",
		},
		"not modules": {"rd.shell=1 systemd.unit=x udev.log_level=debug .a=1 b.=2", Options{Params: none}, ""},
		"switches":    {"rootcast.debug rootcast.shell=yes rootcast.format=0", Options{Debug: true, Shell: true, Params: none}, ""},
		"bad switch":  {"rootcast.shell=maybe", Options{Params: none}, "rootcast.shell=maybe: yes or no"},
		"timeouts": {
			"rd.net.timeout.iflink=9 rd.net.timeout.dhcp=4",
			Options{LinkWait: 9 * time.Second, DHCPWait: 4 * time.Second, Params: none},
			"",
		},
		"bad timeout":   {"rd.net.timeout.carrier=1m", Options{Params: none}, "rd.net.timeout.carrier=1m is no number of seconds"},
		"panic":         {"panic=30", Options{Panic: 30 * time.Second, Params: none}, ""},
		"panic at once": {"panic=-1", Options{Panic: -time.Second, Params: none}, ""},
		"bad panic":     {"panic=soon", Options{Params: none}, "panic=soon is no number of seconds"},
		"after --":      {"rootcast.debug -- rootcast.shell imgurl=x", Options{Debug: true, Params: none}, ""},
		"unknown":       {"rootcast.dbug other=1", Options{Params: none}, "rootcast.dbug is unknown to this rootcast-init"},
		"bad digest": {
			"rootcast.digest=sha256:abc",
			Options{Digest: "?", Params: none},
			"rootcast.digest=sha256:abc is no sha256:<64 hexadecimal digits>: no root will match it",
		},
		"statelite": {
			"STATEMNT=10.0.0.1:/state MNTOPTS=vers=3 NODE=n7 rootcast.localdisk=LABEL=scratch",
			Options{Persistent: "10.0.0.1:/state", PersistentOpts: "vers=3", Node: "n7", LocalDisk: "LABEL=scratch", Params: none},
			"",
		},
		"root": {
			"rootlimit=80% rootflags=mpol=bind:0 rootcast.zram=4G init=/bin/bash",
			Options{RootLimit: "80%", RootFlags: "mpol=bind:0", Zram: "4G", Init: "/bin/bash", Params: none},
			"",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, complaints := Parse(tt.line)
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.complaint, strings.Join(complaints, "\n")); diff != "" {
				t.Errorf("complaints (-want +got):\n%s", diff)
			}
		})
	}
}

// Nothing that a boot loader passes may stop a node.
func FuzzParse(f *testing.F) {
	f.Add(`a="b c" "d=e f" x.y=1 -- z`)
	f.Add(`rootcast.digest= panic=" ip="`)
	f.Fuzz(func(t *testing.T, line string) {
		o, complaints := Parse(line)
		for _, c := range complaints {
			if c == "" {
				t.Error("an empty complaint")
			}
		}
		for module, params := range o.Params {
			if module == "" || params == "" {
				t.Errorf("module %q has the parameters %q", module, params)
			}
		}
	})
}
