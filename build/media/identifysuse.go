package media

import (
	"io/fs"
	"regexp"
	"strings"
)

// These find in the name of a medium, such as SLE-15-SP5-Full-x86_64-Build66.5-Media
// or openSUSE-Leap-15.6-DVD-x86_64-Build710.3, what it is.
var (
	sleName    = regexp.MustCompile(`\bSLE[SD]?(?:_SAP)?[- ]?(\d+)(?:[-.]?SP(\d+)|\.(\d+))?\b`)
	sleServer  = regexp.MustCompile(`SUSE Linux Enterprise (?:Server|Desktop)[^,\n]*? (\d+)(?: SP(\d+))?`)
	leapName   = regexp.MustCompile(`(?i)\bleap[-: ]+(\d+\.\d+)`)
	suseArch   = regexp.MustCompile(`\b(x86_64|aarch64|ppc64le|s390x|riscv64|i586)\b`)
	mediaNames = regexp.MustCompile(`-(Installer|Packages)-`)
	baseArchs  = regexp.MustCompile(`(?m)^BASEARCHS +(\S+)`)
)

// identifySUSE reads media.N/media and media.N/products, and the file content that
// media up to SLE 12 have.
func identifySUSE(fsys fs.FS) (Identity, bool) {
	text, disc := "", ""
	for _, n := range []string{"1", "2", "3"} {
		if media := readText(fsys, "media."+n+"/media"); media != "" {
			text, disc = media+"\n"+readText(fsys, "media."+n+"/products"), n
			break
		}
	}
	content := readText(fsys, "content")
	if text == "" && !strings.Contains(content, "SUSE") && !strings.Contains(content, "cpe:/o:") {
		return Identity{}, false
	}
	text += "\n" + content
	id := Identity{Disc: disc, OSVers: suseVersion(text)}
	if arch := baseArchs.FindStringSubmatch(content); arch != nil {
		id.Arch = ArchOf(arch[1])
	}
	if id.Arch == "" {
		id.Arch = ArchOf(suseArch.FindString(text))
	}
	id.Subdir = suseSubdir(text, id)
	return id, true
}

// suseVersion is sle15.5, sles12.5 or leap15.6.
func suseVersion(text string) string {
	if v := leapName.FindStringSubmatch(text); v != nil {
		return "leap" + v[1]
	}
	v := sleName.FindStringSubmatch(text)
	if v == nil {
		if v = sleServer.FindStringSubmatch(text); v == nil {
			return ""
		}
		v = append(v, "")
	}
	name := "sle"
	if v[1] == "10" || v[1] == "11" || v[1] == "12" {
		name = "sles"
	}
	if pack := v[2] + v[3]; pack != "" && pack != "0" {
		return name + v[1] + "." + pack
	}
	return name + v[1]
}

// suseSubdir: media go into directories of their numbers. SLE 15 came at first as
// an installer, which goes into 1, and packages, which go into 2, and each of them
// had a second medium, of sources.
func suseSubdir(text string, id Identity) string {
	kind := mediaNames.FindStringSubmatch(text)
	if kind == nil || !strings.HasPrefix(id.OSVers, "sle15") {
		if id.Disc == "" {
			return "1"
		}
		return id.Disc
	}
	switch kind = kind[1:]; {
	case id.Disc != "1":
		return strings.ToLower(kind[0]) + id.Disc
	case kind[0] == "Packages":
		return "2"
	}
	return "1"
}
