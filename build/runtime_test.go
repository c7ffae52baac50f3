package build

import "testing"

func TestTooOldCrun(t *testing.T) {
	for text, want := range map[string]bool{
		"crun version 1.8.1\ncommit: f8a096b\nspec: 1.0.0\n": true,
		"crun version 0.17\n":                                true,
		"crun version 1.9\n":                                 false,
		"crun version 1.14.1\n":                              false,
		"crun version 2.0\n":                                 false,
		"crun version main\n":                                false,
		"":                                                   false,
	} {
		if version, got := tooOldCrun(text); got != want {
			t.Errorf("tooOldCrun(%q) = %q, %v", text, version, got)
		}
	}
}
