package render

import (
	"regexp"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// missingPatterns are what apt, dnf and zypper print of a package that no
// repository has.
func missingPatterns() []*regexp.Regexp {
	var list []*regexp.Regexp
	for _, text := range []string{
		`^E: Unable to locate package (\S+)`,
		`^E: Package '([^']+)' has no installation candidate`,
		`^E: Couldn't find any package by (?:glob|regex) '([^']+)'`,
		`^E: Version '[^']*' for '([^']+)' was not found`,
		`^No match for argument: (.+)$`,
		`^Unable to match: (.+)$`,
		`^Module or Group '([^']+)' is not available`,
		`^Unable to resolve argument (.+)$`,
		`^No provider of '([^']+)' found`,
		`^Package '([^']+)' not found`,
		`^pattern:?'?([^' ]+)'? not found`,
	} {
		list = append(list, regexp.MustCompile(text))
	}
	return list
}

// Explain finds in what a package manager printed the packages that no repository
// has, and says where the lists name them.
func Explain(output []string, packages []osimage.Package) osimage.Problems {
	var problems osimage.Problems
	seen := map[string]bool{}
	patterns := missingPatterns()
	for _, line := range output {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "STEP ") { // what earlier steps lacked did not end them
			problems, seen = nil, map[string]bool{}
			continue
		}
		for _, p := range patterns {
			m := p.FindStringSubmatch(line)
			if m == nil || seen[m[1]] {
				continue
			}
			seen[m[1]] = true
			problems = append(problems, where(strings.Trim(m[1], "\"'"), packages))
		}
	}
	return problems
}

// where finds the list's line of a package, whose name may have got a version.
func where(name string, packages []osimage.Package) osimage.Problem {
	for _, same := range []func(listed string) bool{
		func(listed string) bool { return listed == name },
		func(listed string) bool { return strings.HasPrefix(name, listed+"=") },
		func(listed string) bool { return strings.HasPrefix(name, listed+"-") },
	} {
		for _, p := range packages {
			if same(p.Name) || same(strings.TrimPrefix(strings.TrimPrefix(p.Name, "@"), "^")) {
				return osimage.Problem{File: p.File, Line: p.Line, Text: "no repository has " + p.Name}
			}
		}
	}
	return osimage.Problem{Text: "no repository has " + name}
}

// Failure says in one line why a build ended that printed output: which script
// failed, or what the package manager said.
func Failure(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "STEP "):
			said = nil
		case strings.HasPrefix(line, "subprocess exited"), strings.HasPrefix(line, "time="), line == "":
		case strings.HasPrefix(line, "postinstall ") && strings.Contains(line, ": exit status "):
			if len(said) > 0 {
				line += ": " + said[len(said)-1]
			}
			return line
		default:
			said = append(said, line)
		}
	}
	text := strings.Join(said[max(0, len(said)-3):], "; ")
	for _, hint := range []string{"is not signed", "is unsigned", "Signature verification failed for", "GPG check FAILED", "Signature verification failed", "public key", "NO_PUBKEY", "not signed"} {
		if strings.Contains(text, hint) {
			return text + " (gpgkeys=FILE names the keys of a repository; genimage --nogpgcheck takes packages unchecked)"
		}
	}
	return text
}
