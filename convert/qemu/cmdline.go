package qemu

import "strings"

// commandLine joins kernel arguments and sees to it that the last console
// among them is the machine's serial port, for that one becomes /dev/console.
// What follows "--" belongs to init and stays behind.
func commandLine(a arch, args ...string) string {
	words := splitArgs(strings.Join(args, " "))
	var forInit []string
	for i, w := range words {
		if w == "--" {
			words, forInit = words[:i:i], words[i:]
			break
		}
	}
	serial, last := -1, -1
	for i, w := range words {
		device, ok := strings.CutPrefix(w, "console=")
		if !ok {
			continue
		}
		last = i
		if device == a.console || strings.HasPrefix(device, a.console+",") {
			serial = i
		}
	}
	switch {
	case serial < 0:
		words = append(words, a.consoleArg())
	case serial < last:
		moved := words[serial]
		words = append(append(words[:serial:serial], words[serial+1:]...), moved)
	}
	return strings.Join(append(words, forInit...), " ")
}

// splitArgs splits a kernel command line at white space outside double quotes,
// which stay where they are: the kernel reads them again.
func splitArgs(line string) []string {
	var (
		words  []string
		word   strings.Builder
		quoted bool
	)
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, c := range []byte(line) {
		switch {
		case c == '"':
			quoted = !quoted
			word.WriteByte(c)
		case !quoted && strings.IndexByte(" \t\r\n", c) >= 0:
			flush()
		default:
			word.WriteByte(c)
		}
	}
	flush()
	return words
}
