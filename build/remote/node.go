package remote

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// defaultProgram is looked for in the PATH that the node's sshd gives.
const defaultProgram = "rootcast"

// Node is a machine that builds for others.
type Node struct {
	User    string // "": as ssh's configuration says
	Host    string // a name, an address or an alias of ssh's configuration
	Port    int    // 0: as ssh's configuration says
	Program string // of rootcast there; a shell reads it
}

// What the names may consist of: the node's shell reads the program's, and
// ssh_config(5) may pass the others to a shell here.
var (
	userPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+@-]*$`)
	hostPattern    = regexp.MustCompile(`^[A-Za-z0-9_:][A-Za-z0-9._:%-]*$`)
	programPattern = regexp.MustCompile(`^/[A-Za-z0-9/._+-]*[A-Za-z0-9._+-]$`)
)

// ParseNode reads ssh://[USER@]HOST[:PORT][/PATH/OF/ROOTCAST].
func ParseNode(text string) (Node, error) {
	u, err := url.Parse(text)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the whole may hold a password
		}
		return Node{}, fmt.Errorf("it is not ssh://[USER@]HOST[:PORT][/PATH/OF/ROOTCAST]: %w", err)
	}
	n := Node{User: u.User.Username(), Host: u.Hostname(), Program: defaultProgram}
	if u.Path != "" && u.Path != "/" {
		n.Program = u.Path
	}
	if port := u.Port(); port != "" {
		if n.Port, err = strconv.Atoi(port); err != nil || n.Port < 1 || n.Port > 65535 {
			return Node{}, fmt.Errorf("port %s is not a number from 1 to 65535", port)
		}
	}
	_, hasPassword := u.User.Password()
	switch {
	case u.Scheme != "ssh" || u.Opaque != "" || u.Host == "":
		return Node{}, errors.New("it is not ssh://[USER@]HOST[:PORT][/PATH/OF/ROOTCAST]")
	case hasPassword:
		return Node{}, errors.New("it has a password, which others would see; ssh takes a key")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return Node{}, errors.New("nothing may stand after the path of rootcast")
	case u.User != nil && !userPattern.MatchString(n.User):
		return Node{}, fmt.Errorf("user %q may have only letters, digits and . _ + @ - and must not begin with -", n.User)
	case !hostPattern.MatchString(n.Host):
		return Node{}, fmt.Errorf("host %q may have only letters, digits and . _ : - and must not begin with -", n.Host)
	case n.Program != defaultProgram && !programPattern.MatchString(n.Program):
		return Node{}, fmt.Errorf("path %q may have only letters, digits and / . _ + - and must name a file", n.Program)
	}
	return n, nil
}

// String is the node as ssh takes it, for messages: [USER@]HOST.
func (n Node) String() string {
	if n.User == "" {
		return n.Host
	}
	return n.User + "@" + n.Host
}

// url is n with another program.
func (n Node) url(program string) string {
	host := n.String()
	if strings.Contains(n.Host, ":") {
		host = strings.TrimSuffix(host, n.Host) + "[" + n.Host + "]"
	}
	if n.Port != 0 {
		host += ":" + strconv.Itoa(n.Port)
	}
	return "ssh://" + host + program
}
