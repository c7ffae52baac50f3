package main

import (
	"io"

	"github.com/sirupsen/logrus"
)

// setUpLog routes what the container libraries log to stderr at the level that
// -q and -v ask for. This is the only file that knows their logger.
func (e *env) setUpLog() {
	logrus.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true, DisableColors: true})
	logrus.SetOutput(e.stderr)
	switch {
	case e.isQuiet():
		logrus.SetOutput(io.Discard)
	case e.isVerbose():
		logrus.SetLevel(logrus.DebugLevel)
	default:
		logrus.SetLevel(logrus.ErrorLevel)
	}
}
