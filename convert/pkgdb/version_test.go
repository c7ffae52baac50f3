package pkgdb

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// versions are in no order; every pair of them is compared.
var versions = []string{
	"1", "1.0", "01.0", "1.0-1", "1.0-2", "1.0-10", "1:1.0-1", "0:1.0-1", "1.0~rc1-1", "1.0~~-1", "1.0~rc1~git1-1",
	"1.0+dfsg-1", "1.0+b1-1", "1.0a-1", "1.0.-1", "1.0..1-1", "1.a-1", "1.Z-1", "1.0-1~deb12u1", "1.0-1+b1", "1.0-1+deb12u1",
	"2023c-0", "5.2.15-2+b7", "1.0-0ubuntu1", "99999999999999999999-1", "99999999999999999998-1", "1-1-1", "1-1", "1.0^git1-1", "1.0^-1", "1.0^git1~x-1",
}

func TestCompareAsDpkg(t *testing.T) {
	tool(t, "dpkg")
	for _, a := range versions {
		for _, b := range versions {
			if strings.Contains(a+b, "^") { // no character of a Debian version
				continue
			}
			want := 1
			for op, c := range map[string]int{"lt": -1, "eq": 0} {
				err := exec.CommandContext(t.Context(), "dpkg", "--compare-versions", a, op, b).Run()
				var exit *exec.ExitError
				if err == nil {
					want = c
				} else if !errors.As(err, &exit) || exit.ExitCode() != 1 {
					t.Fatal(err)
				}
			}
			if got := sign(Compare(Dpkg, a, b)); got != want {
				t.Errorf("%s and %s: got %d, dpkg says %d", a, b, got, want)
			}
		}
	}
}

func TestCompareAsRPM(t *testing.T) {
	tool(t, "rpm")
	var script, names []string
	for _, a := range versions {
		for _, b := range versions {
			// Without a release rpm compares none; installed packages have one.
			if strings.Contains(a, "-") && strings.Contains(b, "-") {
				script = append(script, fmt.Sprintf("print(rpm.vercmp(%q, %q), '\\n')", a, b))
				names = append(names, a+" and "+b)
			}
		}
	}
	want := strings.Fields(output(t, "rpm", "--eval", "%{lua: "+strings.Join(script, "\n")+"}"))
	if len(want) != len(names) {
		t.Fatalf("rpm compares %d of %d", len(want), len(names))
	}
	for i, name := range names {
		a, b, _ := strings.Cut(name, " and ")
		if got := fmt.Sprint(sign(Compare(RPM, a, b))); got != want[i] {
			t.Errorf("%s: got %s, rpm says %s", name, got, want[i])
		}
	}
}

func sign(n int) int { return min(1, max(-1, n)) }

func FuzzCompare(f *testing.F) {
	for i, v := range versions {
		f.Add(v, versions[(i+7)%len(versions)])
	}
	f.Add("\xff~", "^\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, format := range []Format{Dpkg, RPM} {
			if x, y := sign(Compare(format, a, b)), sign(Compare(format, b, a)); x != -y {
				t.Errorf("%s: %q and %q compare as %d, the other way as %d", format, a, b, x, y)
			}
			if Compare(format, a, a) != 0 {
				t.Errorf("%s: %q is not itself", format, a)
			}
		}
	})
}
