package fetch

import "strings"

// challenge is one way in which a server wants to be asked.
type challenge struct {
	scheme string            // in small letters
	params map[string]string // by names in small letters
}

// parseChallenges reads the headers WWW-Authenticate (RFC 9110, section 11.6.1).
// Challenges and parameters are both separated by commas; a name without "="
// behind it is a scheme. What cannot be read ends its header.
func parseChallenges(headers []string) []challenge {
	var list []challenge
	for _, s := range headers {
		own := len(list) // the header's first
		for {
			name, rest := cutToken(strings.TrimLeft(s, " \t,"))
			if name == "" {
				break
			}
			name = strings.ToLower(name)
			value, after, ok := cutValue(rest)
			if ok && len(list) == own {
				break // a parameter of nothing
			}
			if ok {
				list[len(list)-1].params[name] = value
				s = after
				continue
			}
			list = append(list, challenge{name, map[string]string{}})
			s = rest
		}
	}
	return list
}

// cutToken cuts a token from the start (RFC 9110, section 5.6.2); "": there is none.
func cutToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && (isLetter(s[i]) || isDigit(s[i]) || strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) >= 0) {
		i++
	}
	return s[:i], s[i:]
}

// cutValue cuts "=" and a token or a quoted string from the start.
func cutValue(s string) (value, rest string, ok bool) {
	s, ok = strings.CutPrefix(strings.TrimLeft(s, " \t"), "=")
	if !ok {
		return "", "", false
	}
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutToken(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false // the quote does not end
}
