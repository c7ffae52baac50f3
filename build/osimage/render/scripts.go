package render

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rootcast/rootcast/build/osimage"
)

// scripts runs postinstall against the image's root, with xCAT's arguments and
// environment.
func (r *renderer) scripts() {
	for i, script := range r.d.Scripts() {
		part := fmt.Sprintf("%s/%d", scriptPart, i+1)
		name := r.file(part+"/"+filepath.Base(script[0]), script[0], 0o755)
		lines := append(r.exports(nil), "kernel=$(ls /lib/modules 2>/dev/null | sort -V | tail -n 1)")
		if v := r.d.Get("kernelver"); v != "" {
			lines[len(lines)-1] = "kernel=" + Quote(v)
		}
		lines = append(lines, "export IMG_KERNELVERSION=\"$kernel\"")
		for _, pair := range ScriptEnvironment(r.d.Public(), rootDir) {
			key, value, _ := strings.Cut(pair, "=")
			lines = append(lines, "export "+key+"="+Quote(value))
		}
		lines = append(lines, beforeScript()...)
		call := []string{Quote(name)}
		for _, arg := range ScriptArguments(r.d, rootDir, script) {
			call = append(call, Quote(arg))
		}
		lines = append(lines, strings.Join(call, " ")+
			" || { code=$?; echo "+Quote("postinstall "+script[0]+": exit status ")+"\"$code\" >&2; exit \"$code\"; }")
		r.run("The script "+oneLine(script[0])+".", []string{part}, nil, append(lines, afterScript()...))
	}
}

// keptFiles is where a step keeps what scripts wrote into files of /etc that builders
// mount for the step alone.
const keptFiles = "/.rootcast/etc"

// eachMounted is the beginning of a loop over those files.
const eachMounted = "for file in hosts hostname resolv.conf; do"

// beforeScript has a script find what earlier ones wrote.
func beforeScript() []string {
	return []string{
		"mkdir -p " + keptFiles,
		eachMounted,
		"  if [ -f " + keptFiles + "/$file ]; then cat " + keptFiles + "/$file >/etc/$file; fi",
		"  cat /etc/$file >/tmp/rootcast-$file 2>/dev/null || true",
		"done",
	}
}

// afterScript keeps those files that a script has changed.
func afterScript() []string {
	return []string{
		eachMounted,
		`  if [ -f /etc/$file ] && [ "$(cat /etc/$file)" != "$(cat /tmp/rootcast-$file)" ]; then cp /etc/$file ` + keptFiles + "; fi",
		"  rm -f /tmp/rootcast-$file",
		"done",
	}
}

// mountedFiles puts them in their places, which no step that runs something can.
func (r *renderer) mountedFiles() {
	r.line("\n# What scripts wrote into files that are mounted while they run.\nFROM root")
	r.line("COPY --from=root %s/ /etc/\nRUN rm -rf /.rootcast", keptFiles)
}

// ScriptArguments are those that xCAT gives a postinstall script for the root in a
// directory.
func ScriptArguments(d *osimage.Definition, root string, script []string) []string {
	return append([]string{root, d.Get("osvers"), d.Get("osarch"), d.Get("profile")}, script[1:]...)
}

// ScriptEnvironment is what xCAT sets for a postinstall script, but for the
// kernel's version.
func ScriptEnvironment(d *osimage.Definition, root string) []string {
	env := []string{"IMG_NAME=" + d.Name, "IMG_ROOTIMGDIR=" + root}
	for _, pair := range [][2]string{
		{"IMG_ARCH", "osarch"},
		{"IMG_OSVER", "osvers"},
		{"IMG_PROFILE", "profile"},
		{"IMG_PKGLIST", "pkglist"},
		{"IMG_PKGDIR", "pkgdir"},
		{"IMG_OTHERPKGLIST", "otherpkglist"},
		{"IMG_OTHERPKGDIR", "otherpkgdir"},
	} {
		env = append(env, pair[0]+"="+d.Get(pair[1]))
	}
	return env
}
