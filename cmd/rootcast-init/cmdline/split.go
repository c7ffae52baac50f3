package cmdline

import "strings"

// argument is one word of the command line: name or name=value.
type argument struct {
	name, value string
	hasValue    bool
}

// split cuts the line as the kernel does (lib/cmdline.c, next_arg): words end at
// white space outside double quotes; quotes around a word or a value are not part
// of it; what follows a lone "--" belongs to the image's init.
func split(line string) (args []argument) {
	for {
		line = strings.TrimLeft(line, " \t\n\v\f\r")
		if line == "" {
			return args
		}
		end := wordEnd(line)
		word := line[:end]
		line = line[end:]
		if word == "--" {
			return args
		}
		args = append(args, parseWord(word))
	}
}

func wordEnd(s string) int {
	quoted := false
	for i, c := range []byte(s) {
		switch {
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(" \t\n\v\f\r", c) >= 0:
			return i
		}
	}
	return len(s)
}

func parseWord(word string) argument {
	if whole, ok := strings.CutPrefix(word, `"`); ok {
		word = strings.TrimSuffix(whole, `"`)
	}
	name, value, ok := strings.Cut(word, "=")
	if inner, quoted := strings.CutPrefix(value, `"`); quoted {
		value = strings.TrimSuffix(inner, `"`)
	}
	return argument{name, value, ok}
}
