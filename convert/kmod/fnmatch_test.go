package kmod

import "testing"

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"**", "", true},
		{"a*", "a", true},
		{"a*c", "abc", true},
		{"a*c", "abd", false},
		{"a*c", "a", false},
		{"?", "", false},
		{"a?c", "abc", true},
		{"*b*d", "abcbd", true},
		{"*b*d", "abcb", false},
		{"*ab", "aab", true},
		{"*aab*", "aaab", true},
		{"*?b", "ab", true},
		{"*?b", "b", false},
		{"*[0-9]b", "x7xb8b", true},
		{"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false},
		{"[^a-c]x", "dx", true},
		{"[]]", "]", true},
		{"[!]]", "]", false},
		{"[!]]", "a", true},
		{"[a-]", "-", true},
		{"[a-a-z]", "-", true},
		{"[a-ac]", "-", false},
		{"[a-ac]", "c", true},
		{"[0-9A-F]", "E", true},
		{"[a", "[a", true},
		{"[!", "[!", true},
		{"a**b", "a/b", true},
		{"ab", "abc", false},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{`a\`, "a", false},
		{"pci:v00008086d*sv*sd*bc02sc00i*", "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00", true},
		{"pci:v00008086d*sv*sd*bc02sc00i*", "pci:v00008086d000010D3sv00008086sd00000000bc01sc00i00", false},
		{"cpu:type:x86,ven*fam*mod*:feature:*0099*", "cpu:type:x86,ven0000fam0006mod0055:feature:,0000,0099,00A0", true},
	} {
		if got := match(tt.pattern, tt.s); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.s, got)
		}
		if got := slowMatch(tt.pattern, tt.s); got != tt.want {
			t.Errorf("slowMatch(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
}

// slowMatch tries everything.
func slowMatch(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	if pattern[0] == '*' {
		return slowMatch(pattern[1:], s) || s != "" && slowMatch(pattern, s[1:])
	}
	if s == "" {
		return false
	}
	n, ok := matchOne(pattern, s[0])
	return ok && slowMatch(pattern[n:], s[1:])
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "abc": "abc", "a-b_c": "a_b_c", "x-[0-9]-y": "x_[0-9]_y", "a-[b-c": "a_[b_c", "[]-a": "[]_a",
	} {
		if got := normalise(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("pci:v*d[0-9]?", "pci:v1d2x")
	f.Add("*a*[!b]?*c", "xxaxbxcxc")
	f.Add(`*\**`, "a*b")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 24 {
			return // the slow one takes exponential time
		}
		if got, want := match(pattern, s), slowMatch(pattern, s); got != want {
			t.Errorf("match(%q, %q) = %v, want %v", pattern, s, got, want)
		}
	})
}
