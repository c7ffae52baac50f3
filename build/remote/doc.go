// Package remote has an image built natively on another machine, by the rootcast
// there: what one machine asks the other, and the ssh connection between them.
//
//	node, err := remote.ParseNode("ssh://builder@n01/opt/rootcast")
//	digest, err := node.Build(ctx, func(w io.Writer) error {
//		s, err := remote.NewSender(w, remote.Request{Platform: "linux/arm64", …})
//		…
//		return s.Close()
//	}, log)
//
// The node runs "rootcast build-node". A request is a line of JSON, a [Request],
// and a tar stream of what the build needs: the recipe, the context, secrets.
// The stream stays open until the node has answered: its end says that nobody
// waits any longer. The node prints what it does to standard error, and a line of
// JSON, an [Answer], to standard output.
//
// Nothing is mounted, no port is opened and no shell but the one by which the
// node's sshd starts the program reads any of it. What a request asks for and how
// it is done is package build's business.
package remote
