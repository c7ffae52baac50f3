package main

import (
	"encoding/json"
	"io"
	"os"
	"strconv"
	"time"
)

// printJSON prints v for programs.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// sourceDateEpoch is the time that reproducible builds ask for
// (https://reproducible-builds.org/specs/source-date-epoch/), nil where none is.
func (e *env) sourceDateEpoch() (*time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return nil, usageErrorf("SOURCE_DATE_EPOCH is %q, not a number of seconds", text)
	}
	t := time.Unix(seconds, 0).UTC()
	return &t, nil
}
