package build

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rootcast/rootcast/build/apt"
)

// rpmStepOf tells the lines of dnf and zypper that begin a step.
func rpmStepOf(line string) (string, bool) {
	if text, ok := strings.CutPrefix(line, "I: "); ok {
		return text, true
	}
	for _, s := range []struct{ begin, step string }{
		{"Downloading Packages:", "downloading packages"},
		{"Retrieving package ", "downloading packages"},
		{"Retrieving: ", "downloading packages"},
		{"Running transaction check", "checking packages"},
		{"Preparing        :", "installing packages"},
		{"Checking for file conflicts:", "installing packages"},
	} {
		if strings.HasPrefix(line, s.begin) {
			return s.step, true
		}
	}
	return "", false
}

// rpmFailed says in one line why dnf or zypper ended.
func (r *rpmBootstrap) rpmFailed(w rpmWork, err error) error {
	w.log.mu.Lock()
	lines := slices.Clone(w.log.lines)
	w.log.mu.Unlock()
	if reason := r.reason(lines); reason != "" {
		return fmt.Errorf("%s: %s", r.program(), reason)
	}
	const last = 3
	if len(lines) > last {
		lines = lines[len(lines)-last:]
	}
	return fmt.Errorf("%s failed (%w): %s", r.program(), err, r.named(strings.Join(lines, "; ")))
}

// rpmReason is what a line means.
type rpmReason struct {
	pattern *regexp.Regexp
	text    string // with $1 of the pattern
}

func rpmReasons() []rpmReason {
	re := regexp.MustCompile
	const key = "; name the file of the key with --keyring"
	return []rpmReason{
		{re(`^No match for argument: (.+)$`), "the package $1 is in none of the repositories"},
		{re(`^Package '(.+)' not found\.$`), "the package $1 is in none of the repositories"},
		{re(`^'(.+)' not found in package names\.`), "the package $1 is in none of the repositories"},
		{re(`^No provider of '(.+)' found\.$`), "the package $1 is in none of the repositories"},
		{re(`^Module or Group '(.+)' is not available\.`), "the group $1 is in none of the repositories"},
		{re(`Failed to download metadata for repo '([^']+)': .*GPG`), "the index of the repository $1 is not signed by a key that is trusted" + key},
		{re(`Failed to download metadata for repo '([^']+)': (.+)$`), "reading the repository $1: $2"},
		{re(`^(\S+) \(.*\): Signature verification failed \[6-`), "the package $1 is not signed"},
		{re(`^(\S+) \(.*\): Signature verification failed \[4-`), "the package $1 is not signed by a key that is trusted" + key},
		{re(`^(\S+) \(.*\): Signature verification failed`), "the package $1 is not what its signature says: it was changed or damaged"},
		{re(`^Public key for (\S+) is not installed`), "the package $1 is not signed by a key that is trusted" + key},
		{re(`^Package (\S+) is not signed`), "the package $1 is not signed"},
		{re(`^Problem opening package (\S+)`), "the package $1 is not what its signature says: it was changed or damaged"},
		{re(`(\S+\.rpm).*(?:BAD|NOT OK|digest mismatch|Signature verification failed)`), "the package $1 is not what its signature says: it was changed or damaged"},
		{re(`(?:Error in|%)\s?(\S+) scriptlet in rpm package (\S+)`), "a script ($1) of the package $2 failed"},
		{re(`^error: unpacking of archive failed on file ([^:]+): (?:cpio: )?(.+)$`), "unpacking $1: $2"},
		{re(`^\[MIRROR\] (\S+): (.+)$`), "fetching the package $1: $2"},
		{re(`nothing provides (.+?) needed by (.+)$`), "nothing provides $1, which $2 needs"},
		{re(`^Error: (.+)$`), "$1"},
		{re(`^E: (.+)$`), "$1"},
	}
}

// reason finds the most telling of the lines; those of rpmReasons are in order.
func (r *rpmBootstrap) reason(lines []string) string {
	if text := zypperRepositoryReason(lines); text != "" {
		return r.named(text)
	}
	for _, known := range rpmReasons() {
		for _, line := range lines {
			m := known.pattern.FindStringSubmatchIndex(line)
			if m == nil {
				continue
			}
			text := string(known.pattern.ExpandString(nil, known.text, line, m))
			return r.named(text)
		}
	}
	return ""
}

// zypperRepositoryReason reads why zypper cannot use a repository: its lines are
// "[ID|URL] Valid metadata not found", and then from the cause to its effects.
func zypperRepositoryReason(lines []string) string {
	begin := regexp.MustCompile(`^\[(rootcast-[0-9]+)\|`)
	cause := regexp.MustCompile(`^(?:- )?(?:Error message: )?(.+?):?$`)
	for i, line := range lines {
		m := begin.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		rest := lines[i+1:]
		if slices.ContainsFunc(rest, func(l string) bool { return strings.Contains(l, "Signature verification failed for") }) {
			return "the index of the repository " + m[1] + " is not signed by a key that is trusted; name the file of the key with --keyring"
		}
		why := "it is not valid"
		for _, l := range rest {
			if strings.HasPrefix(l, "- ") && why == "it is not valid" || strings.HasPrefix(l, "Error message: ") {
				why = cause.FindStringSubmatch(l)[1]
			}
		}
		return "reading the repository " + m[1] + ": " + why
	}
	return ""
}

// named has the repositories' URLs in place of the names that dnf and zypper
// know, and no password.
func (r *rpmBootstrap) named(text string) string {
	for i := len(r.repositories) - 1; i >= 0; i-- { // rootcast-12 before rootcast-1
		text = strings.ReplaceAll(text, repoID(i), apt.Redact(r.repositories[i].url))
	}
	return regexp.MustCompile(`://[^/@\s]*@`).ReplaceAllString(text, "://")
}
