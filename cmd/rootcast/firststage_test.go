package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/rootcast/rootcast/convert/netboot"
	"github.com/rootcast/rootcast/convert/qemu"
)

// TestFirstStage boots one small image in every way that a node may get its
// root, each up to the login prompt, and looks into the node.
func TestFirstStage(t *testing.T) {
	if testing.Short() {
		t.Skip("it installs a distribution and boots it a dozen times; not with -short")
	}
	for _, program := range []string{"mmdebstrap", "qemu-system-x86_64", "mkfs.ext4"} {
		if _, err := exec.LookPath(program); err != nil {
			skip(t, "there is no "+program+"; hack/setup.sh test installs it")
		}
	}
	erofs, err := filepath.Abs(filepath.Join("..", "..", ".cache", "erofs", "bin"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", erofs+string(os.PathListSeparator)+os.Getenv("PATH"))
	n := &nodeTest{T: t, dir: t.TempDir()}
	n.rootcast("bootstrap", "-t", "localhost/base:1", "debian:bookworm")
	n.Cleanup(func() { n.rootcastAtEnd("rmi", "--all", "--force") })
	n.rootcast("build", "-t", "localhost/small:1", "--build-arg", "BASE=localhost/base:1", filepath.Join("testdata", "boot"))
	n.rootcast("build", "-t", "localhost/big:1", "--build-arg", "BASE=localhost/small:1", "-f", filepath.Join("testdata", "boot", "big.Containerfile"), filepath.Join("testdata", "boot"))
	n.rootcast("build", "-t", "localhost/dracut:1", "--build-arg", "BASE=localhost/small:1", "-f", filepath.Join("testdata", "boot", "dracut.Containerfile"), filepath.Join("testdata", "boot"))
	t.Run("ways", func(t *testing.T) { // all of them end before the image goes
		for _, w := range ways(newAuthority(t), newAuthority(t)) {
			t.Run(w.name, func(t *testing.T) {
				t.Parallel()
				w.try(t, n)
			})
		}
		t.Run("state", func(t *testing.T) {
			t.Parallel()
			stateSurvives(t, n)
		})
		t.Run("shell", func(t *testing.T) {
			t.Parallel()
			shellOnFailure(t, n)
		})
	})
}

// way is one way to boot.
type way struct {
	name    string
	image   string                                                     // "": localhost/small:1
	convert []string                                                   // how the image is converted
	serve   func(t *testing.T, dir string, root netboot.File) []string // the URLs of the root; nil: it is in the ramdisk
	append  string                                                     // more kernel arguments
	machine func(t *testing.T, m *qemu.Machine)                        // what the machine has of its own
	refused string                                                     // what the first stage says instead of booting
	checks  []nodeCheck
}

// Checks of a node that is up.
func onTmpfs() nodeCheck   { return nodeCheck{"root", "findmnt -no FSTYPE /", `^tmpfs$`} }
func onOverlay() nodeCheck { return nodeCheck{"root", "findmnt -no FSTYPE /", `^overlay$`} }
func capabilities() nodeCheck {
	return nodeCheck{"capabilities", "getcap -r /usr/bin /bin", `^/(usr/)?bin/ping cap_net_raw=ep$`}
}

func everywhere() []nodeCheck {
	return []nodeCheck{
		{"units", "systemctl --failed --no-legend --plain; echo none", `^none$`},
		{"log", "grep -c 'rootcast: .*starting /' /run/rootcast/init.log", `^1$`},
		{"pivot", "unshare -m sh -c 'mount -t tmpfs t /mnt && mkdir /mnt/old && pivot_root /mnt /mnt/old && echo pivot''ed'", `^pivoted$`},
		{"setuid", "stat -c '%a %U' /bin/su", `^4755 root$`},
		{"initrd is gone", "ls -d /sysroot /rootcast 2>&1 | grep -c 'No such'", `^2$`},
	}
}

// keptLease: networkd has taken over the interface with the boot's address, which
// was never gone, and nothing else.
func keptLease(name, address string) nodeCheck {
	return nodeCheck{
		"address", "/lib/systemd/systemd-networkd-wait-online --interface " + name +
			"; echo $(networkctl --no-legend list " + name + ") $(ip -4 -o addr show up scope global) gone: $(grep -c ^Deleted /run/addresses)",
		`^\d+ ` + name + ` \w+ routable configured \d+: ` + name + ` inet ` + regexp.QuoteMeta(address) + ` [^:]* gone: 0$`,
	}
}

func ways(ours, others authority) []way {
	netroot := func(method ...string) []string { return append([]string{"--boot", "netroot", "--method"}, method...) }
	return []way{
		{name: "ramdisk cpio", convert: []string{"--method", "cpio"}, checks: []nodeCheck{onTmpfs(), capabilities()}},
		{name: "ramdisk squashfs", image: "localhost/big:1", convert: []string{"--boot", "ramdisk", "--method", "squashfs"}, checks: []nodeCheck{
			onOverlay(), capabilities(), {"more than 4 GiB", "stat -c %s /srv/big; tail -c 4 /srv/big", `^4508876804\nend$`},
		}},
		{name: "erofs", convert: netroot("erofs"), serve: serveHTTP, append: "BOOTIF=01-52-54-00-12-34-56 rootcast.zram=256M", checks: []nodeCheck{
			onOverlay(), capabilities(), {"zram", "findmnt -no SOURCE /run/rootcast/upper", `^/dev/zram\d$`},
		}},
		{name: "dracut", image: "localhost/dracut:1", convert: netroot("squashfs", "--initrd", "dracut"), serve: serveHTTP, checks: []nodeCheck{
			onOverlay(), capabilities(), keptLease("eth0", "10.0.2.15/24"), {"dracut", "dmesg | grep -o 'Starting dracut-cmdline'", `^Starting dracut-cmdline$`},
		}},
		{name: "tar, registry", convert: netroot("tar"), serve: serveRegistry, checks: []nodeCheck{onTmpfs(), capabilities()}},
		{name: "cpio, https after fail-over", convert: netroot("cpio", "--ca-cert", ours.path), serve: serveHalf(ours), checks: []nodeCheck{
			onTmpfs(), capabilities(), keptLease("eth0", "10.0.2.15/24"),
		}},
		{
			name: "squashfs, bond and vlan", convert: netroot("squashfs"), serve: serveHTTP, machine: onVLAN(5),
			append: "bond=bond0:eth0,eth1:mode=active-backup vlan=bond0.5:bond0 ip=10.0.2.77::10.0.2.2:255.255.255.0:n77:bond0.5:none",
			checks: []nodeCheck{
				onOverlay(), capabilities(), keptLease("bond0.5", "10.0.2.77/24"),
				{"bond", "cat /proc/net/bonding/bond0", `(?s)active-backup.*Slave Interface: eth0\nMII Status: up.*Slave Interface: eth1\nMII Status: up`},
			},
		},
		{name: "flipped bit", convert: netroot("cpio"), serve: serveFlipped, refused: `has sha256 [0-9a-f]{64}, expected`},
		{name: "not there, not trusted", convert: netroot("cpio", "--ca-cert", others.path), serve: serveBadly(ours), refused: `404.*certificate`},
		{name: "too large", convert: netroot("cpio"), serve: serveHTTP, machine: littleMemory, refused: `has [0-9.]+ MiB of memory, and this root needs [0-9.]+ MiB`},
		{
			name: "no answer", convert: netroot("cpio"), serve: serveHTTP, machine: deafNetwork,
			append: "rd.net.timeout.dhcp=5", refused: `no DHCP answer on eth0 within 5s: check that the DHCP server knows 52:54:00:12:34:56`,
		},
	}
}

func (w way) try(t *testing.T, n *nodeTest) {
	dir := t.TempDir()
	sub := &nodeTest{T: t, dir: n.dir}
	args := append([]string{"convert", "--rootimgdir", dir, "--exlist", filepath.Join("testdata", "boot", "exlist")}, w.convert...)
	sub.rootcast(append(args, cmp.Or(w.image, "localhost/small:1"))...)
	sub.rootcast("verify", dir)
	m, err := netboot.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	g := startGuest(t, dir, m, w.urls(t, dir, m)+" "+w.append, w.machine)
	if w.refused != "" {
		g.refuses(w.refused)
		return
	}
	g.login()
	for _, c := range append(everywhere(), w.checks...) {
		g.check(c)
	}
}

func littleMemory(_ *testing.T, m *qemu.Machine) { m.Memory = 400 }

func (w way) urls(t *testing.T, dir string, m *netboot.Manifest) string {
	if w.serve == nil {
		return ""
	}
	root, ok := m.Root()
	if !ok {
		t.Fatal("the manifest names no root")
	}
	return "imgurl=" + strings.Join(w.serve(t, dir, root), ",")
}

// guest is a node that boots.
type guest struct {
	*testing.T
	*qemu.Session
	ctx     context.Context //nolint:containedctx // of the test
	console *lockedBuffer
}

func startGuest(t *testing.T, dir string, m *netboot.Manifest, line string, change func(*testing.T, *qemu.Machine)) *guest {
	t.Helper()
	initrd := netboot.RamdiskName
	if m.Boot == netboot.BootNetroot {
		initrd = m.InitrdFile()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	g := &guest{T: t, ctx: ctx, console: &lockedBuffer{}}
	var err error
	machine := qemu.Machine{
		Arch: strings.Split(m.Platform, "/")[1], Kernel: filepath.Join(dir, netboot.KernelName), Initrd: filepath.Join(dir, initrd),
		CommandLine: m.Arguments + " " + line, Memory: qemu.MemoryFor(m.Memory.Peak), Network: qemu.User,
	}
	if change != nil {
		change(t, &machine)
	}
	g.Session, err = qemu.Start(ctx, machine, qemu.Options{Output: g.console})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		if t.Failed() {
			t.Logf("the console's end:\n%s", tail(g.console.String(), 6000))
		}
	})
	return g
}

func (g *guest) await(text string) {
	g.Helper()
	if err := g.Expect(g.ctx, text); err != nil {
		g.Fatalf("waiting for %q: %v", text, err)
	}
}

func (g *guest) send(text string) {
	g.Helper()
	if err := g.Send(text); err != nil {
		g.Fatal(err)
	}
}

func (g *guest) login() {
	g.Helper()
	g.await("login:")
	g.send("root\n")
	g.await("#")
	g.send("export TERM=dumb PS1= PS2=; stty -echo; dmesg -n 1; systemctl is-system-running --wait; echo 'rea''dy'\n")
	g.await("ready\n")
}

// run returns what a command printed.
func (g *guest) run(name, command string) string {
	g.Helper()
	g.send(command + "; echo 'end ''of " + name + "'\n")
	g.await("end of " + name + "\n")
	return g.Passed()
}

func (g *guest) check(c nodeCheck) {
	g.Helper()
	if said := g.run(c.name, c.run); !regexp.MustCompile(`(?m)` + c.want).MatchString(said) {
		g.Errorf("%s: %s said %q, want %s", c.name, c.run, said, c.want)
	}
}

// refuses waits until the first stage says why it goes no further, and that it was not going further.
func (g *guest) refuses(why string) {
	g.Helper()
	g.await("THE NODE DOES NOT BOOT")
	if strings.Contains(g.Passed(), "rootcast: starting") {
		g.Error("it started the root nevertheless")
	}
	g.await("\n")
	if !regexp.MustCompile("^: .*" + why).MatchString(g.Passed()) {
		g.Errorf("it said another reason than %s", why)
	}
}

// hostURL is a server of this test as the guest reaches it.
func hostURL(t *testing.T, s *httptest.Server, path string) string {
	t.Helper()
	scheme, address, _ := strings.Cut(s.URL, "://")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s://%s/%s", scheme, net.JoinHostPort(hostInGuest, port), path)
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func serveHTTP(t *testing.T, dir string, root netboot.File) []string {
	return []string{hostURL(t, serve(t, http.FileServer(http.Dir(dir))), root.Name)}
}

// serveHalf has a first server that dies halfway, and one with a certificate of
// the authority that goes on.
func serveHalf(ca authority) func(*testing.T, string, netboot.File) []string {
	return func(t *testing.T, dir string, root netboot.File) []string {
		var dead atomic.Bool
		first := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if dead.Swap(true) {
				panic(http.ErrAbortHandler)
			}
			f, err := os.Open(filepath.Join(dir, root.Name))
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			w.Header().Set("Content-Length", strconv.FormatInt(root.Size, 10))
			io.CopyN(w, f, root.Size/2) //nolint:errcheck // the guest may have given up
			panic(http.ErrAbortHandler)
		}))
		var ranges atomic.Bool
		files := http.FileServer(http.Dir(dir))
		second := serveSecurely(t, ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ranges.Store(r.Header.Get("Range") != "" && !strings.HasPrefix(r.Header.Get("Range"), "bytes=0-"))
			files.ServeHTTP(w, r)
		}))
		t.Cleanup(func() {
			if !ranges.Load() {
				t.Error("the second server was not asked for the rest alone")
			}
		})
		return []string{hostURL(t, first, root.Name), hostURL(t, second, root.Name)}
	}
}

// serveFlipped serves the root with one bit changed.
func serveFlipped(t *testing.T, dir string, root netboot.File) []string {
	data, err := os.ReadFile(filepath.Join(dir, root.Name))
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	return []string{hostURL(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, root.Name, time.Time{}, bytes.NewReader(data))
	})), root.Name)}
}

// serveRegistry serves the root as a blob of a registry.
func serveRegistry(t *testing.T, dir string, root netboot.File) []string {
	s := serve(t, registry.New())
	f, err := os.Open(filepath.Join(dir, root.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	digest := "sha256:" + root.SHA256
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v2/hpc/compute/blobs/uploads/?digest="+digest, f)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() //nolint:errcheck // it was not read
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("pushing a blob: %s", resp.Status)
	}
	_, path, _ := strings.Cut(hostURL(t, s, "hpc/compute@"+digest), "://")
	return []string{"oci+http://" + path}
}

// serveBadly has a server that lacks the root, and one with a certificate of the authority.
func serveBadly(ca authority) func(*testing.T, string, netboot.File) []string {
	return func(t *testing.T, dir string, root netboot.File) []string {
		return []string{
			hostURL(t, serve(t, http.NotFoundHandler()), root.Name),
			hostURL(t, serveSecurely(t, ca, http.FileServer(http.Dir(dir))), root.Name),
		}
	}
}

func serveSecurely(t *testing.T, ca authority, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.certificate(t)}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // a node that refuses is no news
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// authority is a CA of the test's own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	path string // of its certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key, path: filepath.Join(t.TempDir(), "ca.pem")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// certificate is for the host as the guest sees it.
func (a authority) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(hostInGuest)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// stateSurvives boots a node twice: what it wrote to a persistent path is there
// again, what it wrote elsewhere is not.
func stateSurvives(t *testing.T, n *nodeTest) {
	dir, disk, rules := t.TempDir(), filepath.Join(t.TempDir(), "disk"), filepath.Join(t.TempDir(), "litefile")
	if err := os.WriteFile(rules, []byte("/etc/kept persistent\n/var/kept/ persistent\n/var/lost/ tmpfs\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"truncate", "-s", "64M", disk}, {"mkfs.ext4", "-q", "-L", "state", disk}} {
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	sub := &nodeTest{T: t, dir: n.dir}
	sub.rootcast("convert", "--rootimgdir", dir, "--statelite", rules, "localhost/small:1")
	m, err := netboot.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	const line = "rootcast.persistent=LABEL=state NODE=n1"
	withDisk := func(_ *testing.T, m *qemu.Machine) { m.Disks = []string{disk} }
	g := startGuest(t, dir, m, line, withDisk)
	g.login()
	g.run("writing", "echo hello >/etc/kept; echo again >/var/kept/file; echo gone >/var/lost/file; echo gone >/etc/lost; sync; systemctl poweroff --force")
	if err := g.Wait(g.ctx); err != nil {
		t.Fatal(err)
	}
	g = startGuest(t, dir, m, line, withDisk)
	g.login()
	g.check(nodeCheck{"state", "cat /etc/kept /var/kept/file", `^hello\nagain$`})
	g.check(nodeCheck{"the rest", "ls /var/lost/file /etc/lost 2>&1 | grep -c 'No such'", `^2$`})
}

// shellOnFailure: who stands at the console of a node that does not boot can look
// around, and starts it anew.
func shellOnFailure(t *testing.T, n *nodeTest) {
	dir := t.TempDir()
	sub := &nodeTest{T: t, dir: n.dir}
	sub.rootcast("convert", "--rootimgdir", dir, "--boot", "netroot", "--method", "cpio", "localhost/small:1")
	m, err := netboot.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	g := startGuest(t, dir, m, "rootcast.shell", nil)
	g.await("rootcast> ")
	if !strings.Contains(g.Passed(), "THE NODE DOES NOT BOOT: no imgurl= on the kernel command line") {
		t.Error("it gave no reason")
	}
	g.send("net\n")
	g.await("eth0 52:54:00:")
	g.send("retry\n")
	g.await("THE NODE DOES NOT BOOT")
	g.await("rootcast> ")
	g.send("reboot\n")
	if err := g.Wait(g.ctx); err != nil {
		t.Fatal(err)
	}
}
