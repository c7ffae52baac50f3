package osimage

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// OSVersOf returns the osvers of the machine whose /etc/os-release it reads, such as
// rocky9.4.
func OSVersOf(release io.Reader) (string, error) {
	values := map[string]string{}
	lines := bufio.NewScanner(release)
	for lines.Scan() {
		if key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "="); ok && !strings.HasPrefix(key, "#") {
			values[key] = strings.Trim(value, `"'`)
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("reading os-release: %w", err)
	}
	name := values["ID"]
	switch name { // what xCAT calls those that it has another name for
	case "rhel":
		name = "rhels"
	case "almalinux":
		name = "alma"
	case "centos":
		name = "centos-stream"
	case "sles":
		name = "sle"
	case "opensuse-leap":
		name = "leap"
	}
	osvers := name + values["VERSION_ID"]
	if _, err := ParseDistribution(osvers); err != nil {
		return "", fmt.Errorf("os-release says ID=%s VERSION_ID=%s: %w", values["ID"], values["VERSION_ID"], err)
	}
	return osvers, nil
}
