package remote

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

// version is of all that two machines say to each other. Both sides must have
// the same.
const version = 1

// maxLine is how long a request's or an answer's line of JSON may be.
const maxLine = 1 << 20

// Request is what a node shall build, and where it shall push the image. The
// fields mean what those of build.Recipe mean.
type Request struct {
	Platform   string `json:"platform"`
	Repository string `json:"repository"` // pushed to by digest, without a tag

	Context string   `json:"context"` // its name where it comes from, for messages
	Files   []File   `json:"files"`   // the recipe
	Secrets []string `json:"secrets"` // IDs; the bytes of the first are in SecretFile(0)

	Args            map[string]string `json:"args"`
	Target          string            `json:"target"`
	NoCache         bool              `json:"noCache"`
	Squash          bool              `json:"squash"`
	Pull            string            `json:"pull"`
	Timestamp       *time.Time        `json:"timestamp"`
	SourceDateEpoch *time.Time        `json:"sourceDateEpoch"`
	Labels          []string          `json:"labels"`
	Annotations     []string          `json:"annotations"`
	AddHosts        []string          `json:"addHosts"`
	DNS             []string          `json:"dns"`
	Network         string            `json:"network"`
	Isolation       string            `json:"isolation"`
	Jobs            int               `json:"jobs"`
	Retry           int               `json:"retry"`
	TLSVerify       *bool             `json:"tlsVerify"`
}

// File is a part of the recipe.
type File struct {
	Source string `json:"source"` // its name or URL where it comes from, for messages
	Name   string `json:"name"`   // where it is in the stream; "": the node fetches Source itself
}

// Answer is what became of a request.
type Answer struct {
	Digest digest.Digest `json:"digest,omitempty"` // of the image in the registry
	Error  string        `json:"error,omitempty"`
}

// The whole lines. A version that is not ours is found before anything else is
// read.
type (
	requestLine struct {
		Version int `json:"rootcastBuild"`
		Request
	}
	answerLine struct {
		Version int `json:"rootcastBuild"`
		Answer
	}
)

func writeLine(w io.Writer, v any) error {
	line, err := json.Marshal(v) // of which no byte is a line's end
	if err != nil {
		return err
	}
	if len(line) >= maxLine {
		return fmt.Errorf("the request has %d bytes besides its files, and may have %d; give the recipe shorter arguments", len(line), maxLine-1)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// WriteAnswer answers a request, with an error unless err is nil.
func WriteAnswer(w io.Writer, d digest.Digest, err error) error {
	a := answerLine{version, Answer{Digest: d}}
	if err != nil {
		a.Answer = Answer{Error: err.Error()}
	}
	return writeLine(w, a)
}

// errNoRequest is what somebody gets who runs build-node by hand.
var errNoRequest = errors.New("standard input holds no build request; rootcast build --node sends one")

func readRequest(r *bufio.Reader) (Request, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return Request{}, fmt.Errorf("the request's first line is longer than %d bytes", r.Size())
	case err != nil && len(line) == 0, err == nil && line[0] != '{':
		return Request{}, errNoRequest
	case err != nil:
		return Request{}, fmt.Errorf("reading the request's first line: %w", cutOff(err))
	}
	if err := checkVersion(line); err != nil {
		return Request{}, err
	}
	var req requestLine
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields() // what one side asks for and the other drops would be lost quietly
	if err := dec.Decode(&req); err != nil {
		return Request{}, fmt.Errorf("reading the request: %w", err)
	}
	return req.Request, nil
}

// checkVersion tells whether the other side's line is of our version.
func checkVersion(line []byte) error {
	var v struct {
		Version int `json:"rootcastBuild"`
	}
	switch err := json.Unmarshal(line, &v); {
	case err != nil:
		return fmt.Errorf("it is not what a rootcast says: %w", err)
	case v.Version != version:
		return fmt.Errorf("the two machines' rootcasts do not understand each other (versions %d and %d of their protocol); put the same one on both", version, v.Version)
	}
	return nil
}

// readAnswer finds the answer in what a node printed: the last line, since its
// shell may have printed something before. ok tells whether there is one.
func readAnswer(printed []byte) (a Answer, ok bool, err error) {
	printed = bytes.TrimRight(printed, "\r\n")
	line := printed[bytes.LastIndexByte(printed, '\n')+1:]
	if !bytes.HasPrefix(line, []byte("{")) {
		return a, false, nil
	}
	if err := checkVersion(line); err != nil {
		return a, true, err
	}
	var l answerLine
	if err := json.Unmarshal(line, &l); err != nil {
		return a, true, fmt.Errorf("reading its answer: %w", err)
	}
	if l.Error == "" {
		if err := l.Digest.Validate(); err != nil {
			return a, true, fmt.Errorf("reading its answer: digest %q: %w", l.Digest, err)
		}
	}
	return l.Answer, true, nil
}

// cutOff says what the end of a stream means in the middle of a request.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the connection broke off: %w", io.ErrUnexpectedEOF)
	}
	return err
}
