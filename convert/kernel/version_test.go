package kernel_test

import (
	"cmp"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"github.com/rootcast/rootcast/convert/kernel"
	"github.com/rootcast/rootcast/convert/rootfs/rootfstest"
)

// ladders are versions in their order, the oldest first.
var ladders = [][]string{
	{ // Debian
		"4.19.0-27-amd64", "5.10.0-8-amd64", "5.10.0-30-amd64", "6.1.0-9-amd64", "6.1.0-37-amd64", "6.1.0-100-amd64",
		"6.9.7+bpo-amd64", "6.10.3-amd64", "6.12.27-amd64", "6.12.107+deb13-amd64",
	},
	{ // Enterprise Linux 8
		"4.18.0-80.el8.x86_64", "4.18.0-80.1.2.el8_0.x86_64", "4.18.0-553.el8.x86_64", "4.18.0-553.el8_10.x86_64",
		"4.18.0-553.5.1.el8_10.x86_64", "4.18.0-553.16.1.el8_10.x86_64", "4.18.0-553.100.1.el8_10.x86_64",
	},
	{ // Enterprise Linux 9 and 10
		"5.14.0-70.el9.x86_64", "5.14.0-70.13.1.el9_0.x86_64", "5.14.0-70.22.1.el9_0.x86_64", "5.14.0-427.el9.x86_64", "5.14.0-427.13.1.el9_4.x86_64",
		"5.14.0-503.el9.x86_64", "6.12.0-55.9.1.el10_0.x86_64", "6.12.0-55.12.1.el10_0.x86_64",
	},
	{ // Ubuntu
		"5.15.0-25-generic", "5.15.0-105-generic", "6.5.0-9-generic", "6.8.0-31-generic", "6.8.0-100-generic",
	},
	{ // SUSE
		"5.14.21-150400.22-default", "5.14.21-150400.24.100-default", "5.14.21-150500.53-default", "6.4.0-150600.21-default", "6.4.0-150600.23.7-default",
	},
	{ // kernel.org
		"5.19.17", "6.1-rc8", "6.1", "6.1.1", "6.2-rc1", "6.2-rc2", "6.2-rc10", "6.2", "6.2.0-1", "6.2.1", "6.10",
	},
	{"6.2~rc1-amd64", "6.2-amd64", "6.10~rc7-amd64", "6.10-amd64"},
	{"6.1.0-9", "6.1.0-9-amd64"},
}

func TestCompare(t *testing.T) {
	for _, ladder := range ladders {
		for i, a := range ladder {
			for j, b := range ladder {
				if got := sign(kernel.Compare(a, b)); got != cmp.Compare(i, j) {
					t.Errorf("Compare(%q, %q) = %d, want %d", a, b, got, cmp.Compare(i, j))
				}
			}
		}
	}
}

func sign(n int) int { return cmp.Compare(n, 0) }

// The versions are ordered as dpkg orders them, but for "-rc" without a tilde,
// which dpkg takes for a later revision, and those of rpm, for which a number
// is newer than a word.
func TestCompareLikeDpkg(t *testing.T) {
	rootfstest.Need(t, "dpkg")
	for _, ladder := range ladders {
		if slices.Contains(ladder, "6.2-rc1") || strings.Contains(ladder[0], ".el") {
			continue
		}
		for i := range len(ladder) - 1 {
			a, b := ladder[i], ladder[i+1]
			err := exec.CommandContext(t.Context(), "dpkg", "--compare-versions", a, "lt", b).Run()
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				t.Errorf("dpkg does not have %s before %s", a, b)
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestCompareSorts(t *testing.T) {
	for _, ladder := range ladders {
		got := slices.Clone(ladder)
		slices.Sort(got) // as a directory lists them
		slices.SortFunc(got, kernel.Compare)
		if d := diff.Diff(ladder, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

// FuzzCompare checks that Compare is an order: total, antisymmetric, transitive,
// and 0 of equal strings alone.
func FuzzCompare(f *testing.F) {
	var all []string
	for _, ladder := range ladders {
		all = append(all, ladder...)
	}
	for i := range all {
		f.Add(all[i], all[(i*7+1)%len(all)], all[(i*13+5)%len(all)])
	}
	f.Add("", "rc", "0")
	f.Add("1rc", "1-rc", "1")
	f.Add("00", "0", "000")
	f.Add("1.", "1", "1..")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, ba := sign(kernel.Compare(a, b)), sign(kernel.Compare(b, a))
		if ab != -ba || (ab == 0) != (a == b) {
			t.Errorf("Compare(%q, %q) = %d, the other way round %d", a, b, ab, ba)
		}
		list := []string{a, b, c}
		slices.SortFunc(list, kernel.Compare)
		if kernel.Compare(list[0], list[1]) > 0 || kernel.Compare(list[1], list[2]) > 0 || kernel.Compare(list[0], list[2]) > 0 {
			t.Errorf("no order: %q", list)
		}
	})
}
