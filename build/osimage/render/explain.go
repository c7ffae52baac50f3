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

func where(name string, packages []osimage.Package) osimage.Problem {
	for _, p := range packages {
		listed := strings.TrimPrefix(p.Name, "@")
		if p.Name == name || listed == name || strings.HasPrefix(name, listed+"-") || strings.HasPrefix(name, listed+"=") {
			return osimage.Problem{File: p.File, Line: p.Line, Text: "no repository has " + p.Name}
		}
	}
	return osimage.Problem{Text: "no repository has " + name}
}
