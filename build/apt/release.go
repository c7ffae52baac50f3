package apt

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Release is what a repository says of one of its suites.
type Release struct {
	Origin   string // Debian
	Suite    string // oldstable
	Codename string // bookworm
	Version  string // 12.12; empty for suites that are not released
	Date     time.Time
}

// ParseRelease parses a Release or InRelease file. The signature of the latter
// is not checked: apt does that when it uses the file.
func ParseRelease(text string) (Release, error) {
	if body, ok := strings.CutPrefix(text, "-----BEGIN PGP SIGNED MESSAGE-----"); ok {
		body = strings.ReplaceAll(body, "\r\n", "\n")
		var signed bool
		if _, body, signed = strings.Cut(body, "\n\n"); !signed {
			return Release{}, errors.New("the signed text is missing")
		}
		text, _, _ = strings.Cut(body, "\n-----BEGIN PGP SIGNATURE-----")
	}
	paragraphs, err := parseParagraphs(text)
	if err != nil {
		return Release{}, fmt.Errorf("line %w", err)
	}
	if len(paragraphs) == 0 {
		return Release{}, errors.New("it is empty")
	}
	f := paragraphs[0].fields
	date, err := parseDate(f["date"])
	if err != nil {
		return Release{}, err
	}
	if f["suite"] == "" && f["codename"] == "" {
		return Release{}, errors.New("it names neither a suite nor a codename")
	}
	return Release{Origin: f["origin"], Suite: f["suite"], Codename: f["codename"], Version: f["version"], Date: date}, nil
}

func parseDate(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC1123, time.RFC1123Z, "Mon, _2 Jan 2006 15:04:05 MST", "Mon, _2 Jan 2006 15:04:05 -0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("the field Date is missing or not a date: %q", text)
}
