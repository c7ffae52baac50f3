package media

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// The texts are written after the form of the media named; they were not taken off
// real ones.
func TestIdentify(t *testing.T) {
	const repomd = "BaseOS/repodata/repomd.xml"
	tests := []struct {
		name  string
		files map[string]string
		want  Identity
		err   string
	}{
		{
			name: "Rocky 9.3",
			files: map[string]string{
				".discinfo": "1699641871.459402\nRocky Linux 9.3\nx86_64\n", repomd: "", "RPM-GPG-KEY-Rocky-9": "", "RPM-GPG-KEY-Rocky-9-Testing": "",
				".treeinfo": "[general]\narch = x86_64\nfamily = Rocky Linux\nname = Rocky Linux 9.3\nversion = 9.3\n",
			},
			want: Identity{OSVers: "rocky9.3", Arch: "x86_64", Disc: "1", Keys: []string{"RPM-GPG-KEY-Rocky-9", "RPM-GPG-KEY-Rocky-9-Testing"}},
		},
		{
			name:  "AlmaLinux 9.4 for ARM",
			files: map[string]string{".discinfo": "1714671711.000\nAlmaLinux 9.4\naarch64\nALL\n", repomd: ""},
			want:  Identity{OSVers: "alma9.4", Arch: "aarch64", Disc: "1"},
		},
		{
			name:  "RHEL 9.4",
			files: map[string]string{".discinfo": "1712142126.0\nRed Hat Enterprise Linux 9.4\nppc64le\nALL\n", repomd: ""},
			want:  Identity{OSVers: "rhels9.4", Arch: "ppc64le", Disc: "1"},
		},
		{
			name:  "RHEL 7.9, of Power in big-endian, one of several discs",
			files: map[string]string{".discinfo": "1600090001.1\nRed Hat Enterprise Linux 7.9\nppc\n1,2\n", "repodata/repomd.xml": ""},
			want:  Identity{OSVers: "rhels7.9", Arch: "ppc64", Disc: "1"},
		},
		{
			name: "CentOS 7, whose description is a number",
			files: map[string]string{
				".discinfo": "1604001756.21\n7.9\nx86_64\n", "repodata/repomd.xml": "",
				".treeinfo": "[general]\nname = CentOS-7\nfamily = CentOS\ntimestamp = 1604001756.21\nvariant = \nversion = 7\npackagedir = \narch = x86_64\n",
			},
			want: Identity{OSVers: "centos7", Arch: "x86_64", Disc: "1"},
		},
		{
			name:  "CentOS Stream 9",
			files: map[string]string{".discinfo": "1715000000.0\nCentOS Stream 9\nx86_64\nALL\n", repomd: ""},
			want:  Identity{OSVers: "centos-stream9", Arch: "x86_64", Disc: "1"},
		},
		{
			name:  "Oracle Linux 9.4",
			files: map[string]string{".discinfo": "1715012345.0\nOracle Linux 9.4.0\nx86_64\n", repomd: ""},
			want:  Identity{OSVers: "ol9.4", Arch: "x86_64", Disc: "1"},
		},
		{
			name: "Fedora by its .treeinfo alone",
			files: map[string]string{
				".treeinfo": "[header]\ntype = productmd.treeinfo\nversion = 1.2\n\n[release]\nname = Fedora\nshort = Fedora\nversion = 40\n\n[tree]\narch = x86_64\nplatforms = x86_64,xen\n", "Server/repodata/repomd.xml": "",
			},
			want: Identity{OSVers: "fedora40", Arch: "x86_64", Disc: "1"},
		},
		{
			name:  "a boot medium",
			files: map[string]string{".discinfo": "1699641871.4\nRocky Linux 9.3\nx86_64\n"},
			want:  Identity{OSVers: "rocky9.3", Arch: "x86_64", Disc: "1", Warnings: []string{"repodata"}},
		},
		{
			name:  "Ubuntu live server",
			files: map[string]string{".disk/info": `Ubuntu-Server 24.04.1 LTS "Noble Numbat" - Release amd64 (20240827)`, "casper/vmlinuz": "", "dists/noble/Release": ""},
			want:  Identity{OSVers: "ubuntu24.04.1", Arch: "x86_64", Disc: "1", Warnings: []string{"live medium"}},
		},
		{
			name:  "Ubuntu of Power",
			files: map[string]string{".disk/info": `Ubuntu-Server 18.04.5 LTS "Bionic Beaver" - Release ppc64el (20200810)` + "\n", "dists/bionic/Release": ""},
			want:  Identity{OSVers: "ubuntu18.04.5", Arch: "ppc64el", Disc: "1"},
		},
		{
			name:  "Debian DVD 1",
			files: map[string]string{".disk/info": `Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-1 with firmware 20240210-11:28`, "dists/bookworm/Release": ""},
			want:  Identity{OSVers: "debian12.5", Arch: "x86_64", Disc: "1"},
		},
		{
			name:  "Debian DVD 2 for ARM",
			files: map[string]string{".disk/info": `Debian GNU/Linux 12.5.0 "Bookworm" - Official arm64 DVD Binary-2 with firmware 20240210-11:28`, "dists/bookworm/Release": ""},
			want:  Identity{OSVers: "debian12.5", Arch: "aarch64", Disc: "2", Subdir: "disc2"},
		},
		{
			name:  "Debian netinst",
			files: map[string]string{".disk/info": `Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 NETINST with firmware 20240210-11:27`, "dists/bookworm/Release": ""},
			want:  Identity{OSVers: "debian12.5", Arch: "x86_64", Disc: "1", Warnings: []string{"netinst"}},
		},
		{
			name:  "Debian without a version",
			files: map[string]string{".disk/info": `Debian GNU/Linux testing "Trixie" - Official Snapshot amd64 DVD Binary-1 20240101-00:00`},
			want:  Identity{Arch: "x86_64", Disc: "1"},
			err:   "which distribution and version it is cannot be seen",
		},
		{
			name:  "SLE 15 SP5",
			files: map[string]string{"media.1/media": "SUSE - SLE-15-SP5-Full-x86_64-Build66.5-Media\nSLE-15-SP5-Full-x86_64-Build66.5\n2\n", "media.1/products": "/ SLE-15-SP5-Full 15.5-0\n"},
			want:  Identity{OSVers: "sle15.5", Arch: "x86_64", Disc: "1", Subdir: "1"},
		},
		{
			name:  "SLE 15 SP1 packages",
			files: map[string]string{"media.1/media": "SUSE - SLE-15-SP1-Packages-ppc64le-Build228.2-Media\nSLE-15-SP1-Packages-ppc64le-Build228.2\n3\n"},
			want:  Identity{OSVers: "sle15.1", Arch: "ppc64le", Disc: "1", Subdir: "2"},
		},
		{
			name:  "SLE 15 SP1 packages, sources",
			files: map[string]string{"media.2/media": "SUSE - SLE-15-SP1-Packages-x86_64-Build228.2-Media\nSLE-15-SP1-Packages-x86_64-Build228.2\n3\n"},
			want:  Identity{OSVers: "sle15.1", Arch: "x86_64", Disc: "2", Subdir: "packages2"},
		},
		{
			name:  "SLE 15 installer",
			files: map[string]string{"media.1/media": "SUSE - SLE-15-Installer-DVD-x86_64-Build668.1-Media\nSLE-15-Installer-DVD-x86_64-Build668.1\n2\n"},
			want:  Identity{OSVers: "sle15", Arch: "x86_64", Disc: "1", Subdir: "1"},
		},
		{
			name: "SLES 12 SP5 by its content",
			files: map[string]string{
				"media.1/media": "SUSE Linux Products GmbH\n20191118000000\n2\n",
				"content":       "CONTENTSTYLE 11\nDATADIR suse\nDESCRDIR suse/setup/descr\nDISTRO cpe:/o:suse:sles:12:sp5,SUSE Linux Enterprise Server 12 SP5\nBASEARCHS x86_64\n",
			},
			want: Identity{OSVers: "sles12.5", Arch: "x86_64", Disc: "1", Subdir: "1"},
		},
		{
			name:  "Leap 15.6",
			files: map[string]string{"media.1/media": "openSUSE - openSUSE-Leap-15.6-DVD-aarch64-Build710.3-Media\nopenSUSE-Leap-15.6-DVD-aarch64-Build710.3\n1\n", "media.1/products": "/ openSUSE-Leap 15.6-1\n"},
			want:  Identity{OSVers: "leap15.6", Arch: "aarch64", Disc: "1", Subdir: "1"},
		},
		{name: "nothing of the kind", files: map[string]string{"README": "x"}, want: Identity{Disc: "1"}, err: "neither .discinfo nor .treeinfo"},
		{name: "an unknown architecture", files: map[string]string{".discinfo": "1\nRocky Linux 9.3\nm68k\n", repomd: ""}, want: Identity{OSVers: "rocky9.3", Disc: "1"}, err: "-a ARCH says it"},
		{name: "an unknown distribution", files: map[string]string{".discinfo": "1\nHobby Linux 1\nx86_64\n", repomd: ""}, want: Identity{Arch: "x86_64", Disc: "1"}, err: "-n NAME"},
		{name: "a path in the description", files: map[string]string{".discinfo": "1\nRocky Linux ../../9.3\nx86_64\n", repomd: ""}, want: Identity{Arch: "x86_64", Disc: "1"}, err: "-n NAME"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Identify(&Medium{Files: mapFS(tt.files)})
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if len(got.Warnings) == len(tt.want.Warnings) {
				for i, w := range got.Warnings {
					if strings.Contains(w, tt.want.Warnings[i]) {
						got.Warnings[i] = tt.want.Warnings[i]
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func mapFS(files map[string]string) fs.ReadLinkFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return m
}

// FuzzIdentify: whatever a medium says of itself, what comes of it is a part of a
// path and of a name.
func FuzzIdentify(f *testing.F) {
	f.Add("1\nRocky Linux 9.3\nx86_64\n1\n", "[general]\nfamily = Fedora\nversion = 4\n", "", "", "")
	f.Add("", "", `Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-2`, "", "")
	f.Add("", "", "", "SUSE - SLE-15-SP1-Packages-x86_64-Build228.2-Media", "BASEARCHS x86_64\n")
	f.Fuzz(func(t *testing.T, disc, tree, info, media, content string) {
		id, err := Identify(&Medium{Files: mapFS(map[string]string{
			".discinfo": disc, ".treeinfo": tree, ".disk/info": info, "media.1/media": media, "content": content,
		})})
		for _, s := range []string{id.OSVers, id.Arch, id.Subdir} {
			if strings.ContainsAny(s, "/ \n\x00") || strings.HasPrefix(s, ".") {
				t.Errorf("%q", s)
			}
		}
		if err == nil && (id.OSVers == "" || id.Arch == "") {
			t.Errorf("%+v without an error", id)
		}
	})
}
