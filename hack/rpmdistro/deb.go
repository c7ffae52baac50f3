package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// deb is a Debian package, as far as RPM has a word for it.
type deb struct {
	file              string
	name, version     string
	arch, description string
	depends, provides [][]relation // alternatives of each
}

// relation is a name with, perhaps, a version: "libc6 (>= 2.36)".
type relation struct {
	name, op, version string
}

// readDeb reads the control file of a package.
func readDeb(ctx context.Context, file string) (*deb, error) {
	out, err := exec.CommandContext(ctx, "dpkg-deb", "--field", file).Output()
	if err != nil {
		return nil, fmt.Errorf("dpkg-deb: %w", err)
	}
	d, err := parseControl(out)
	if err != nil {
		return nil, err
	}
	d.file = file
	return d, nil
}

// parseControl takes from a control file what is of use here. Lines that go on
// hold a description's text, or more of the list above them.
func parseControl(control []byte) (*deb, error) {
	fields := map[string]string{}
	last := ""
	lines := bufio.NewScanner(bytes.NewReader(control))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			if last != "Description" {
				fields[last] += line
			}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("control file has the line %q", line)
		}
		last = key
		fields[key] = strings.TrimSpace(value)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	d := &deb{name: fields["Package"], version: fields["Version"], arch: fields["Architecture"], description: fields["Description"]}
	if d.name == "" || d.version == "" || d.arch == "" {
		return nil, errors.New("control file lacks Package, Version or Architecture")
	}
	for _, list := range []struct {
		field string
		to    *[][]relation
	}{{"Pre-Depends", &d.depends}, {"Depends", &d.depends}, {"Provides", &d.provides}} {
		groups, err := parseRelations(fields[list.field])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", list.field, err)
		}
		*list.to = append(*list.to, groups...)
	}
	return d, nil
}

// parseRelations reads "a (>= 1) | b, c:any".
func parseRelations(list string) ([][]relation, error) {
	form := regexp.MustCompile(`^([a-z0-9][a-z0-9.+-]*)(?::[a-z0-9-]+)?(?:\s*\((<<|<=|=|>=|>>)\s*([^\s)]+)\))?$`)
	var groups [][]relation
	for item := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		var group []relation
		for alternative := range strings.SplitSeq(item, "|") {
			m := form.FindStringSubmatch(strings.TrimSpace(alternative))
			if m == nil {
				return nil, fmt.Errorf("cannot read %q", strings.TrimSpace(alternative))
			}
			group = append(group, relation{name: m[1], op: m[2], version: m[3]})
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// rpm is the relation as a spec file has it. To RPM a version without a release
// is equal to it with any, to Debian 2.36-9 is newer than 2.36.
func (r relation) rpm() string {
	v := parseVersion(r.version)
	op := r.op
	switch {
	case op == "":
		return r.name
	case op == "<<":
		op = "<"
	case op == ">>" && v.release == "":
		op = ">="
	case op == ">>":
		op = ">"
	}
	return r.name + " " + op + " " + v.String()
}

// version is RPM's: release is "" where a relation names none.
type version struct {
	epoch, version, release string
}

// parseVersion splits EPOCH:UPSTREAM-REVISION. An upstream version may have
// dashes in it, RPM's may not.
func parseVersion(debian string) version {
	var v version
	if epoch, rest, ok := strings.Cut(debian, ":"); ok {
		v.epoch, debian = epoch, rest
	}
	if i := strings.LastIndexByte(debian, '-'); i >= 0 {
		debian, v.release = debian[:i], debian[i+1:]
	}
	v.version = strings.ReplaceAll(debian, "-", ".")
	return v
}

// String is [EPOCH:]VERSION[-RELEASE].
func (v version) String() string {
	s := v.version
	if v.epoch != "" {
		s = v.epoch + ":" + s
	}
	if v.release != "" {
		s += "-" + v.release
	}
	return s
}
