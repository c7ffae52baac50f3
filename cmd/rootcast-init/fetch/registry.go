package fetch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

const maxToken = 1 << 20 // bytes of the answer that holds one

// registry gets leave to read a repository.
type registry struct {
	client     *http.Client
	url        *url.URL // of the blob
	user       *url.Userinfo
	repository string
}

// authorize answers the challenges of a registry with the header Authorization
// for the next request.
func (r *registry) authorize(ctx context.Context, headers []string) (string, error) {
	var schemes []string
	for _, c := range parseChallenges(headers) {
		switch {
		case c.scheme == "bearer" && c.params["realm"] != "":
			token, err := r.token(ctx, c.params)
			if err != nil {
				return "", fmt.Errorf("getting a token of the registry: %w", err)
			}
			return "Bearer " + token, nil
		case c.scheme == "basic" && r.user != nil:
			return basic(r.user), nil
		}
		schemes = append(schemes, c.scheme)
	}
	if len(schemes) == 1 && schemes[0] == "basic" {
		return "", errors.New("the registry wants a user and password: write oci://USER:PASSWORD@REGISTRY/… in imgurl")
	}
	return "", fmt.Errorf("the registry wants to be asked in a way that is not known (%q), neither with a token nor with a password", schemes)
}

// token asks the server that the registry names (distribution's "Token
// Authentication Specification"), with the user's password or as nobody.
func (r *registry) token(ctx context.Context, params map[string]string) (string, error) {
	realm, err := url.Parse(params["realm"])
	switch {
	case err != nil || realm.Host == "" || realm.Scheme != "https" && realm.Scheme != "http":
		return "", errors.New("the registry names no valid server for tokens: check its configuration")
	case realm.Scheme == "http" && r.url.Scheme == "https":
		return "", errors.New("the registry names a server for tokens without TLS, which is not asked: check its configuration")
	}
	query := realm.Query()
	if service := params["service"]; service != "" {
		query.Set("service", service)
	}
	query.Set("scope", "repository:"+r.repository+":pull")
	if scope := params["scope"]; scope != "" {
		query.Set("scope", scope)
	}
	realm.RawQuery, realm.User, realm.Fragment = query.Encode(), nil, ""
	auth := ""
	if r.user != nil {
		auth = basic(r.user)
	}
	req, err := newRequest(ctx, realm, auth)
	if err != nil {
		return "", err
	}
	resp, err := send(r.client, req)
	if err != nil {
		return "", fmt.Errorf("%s: %w", Redact(realm.String()), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", newStatusError(resp, r.url)
	}
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"` // OAuth's name for it
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxToken)).Decode(&answer); err != nil {
		return "", fmt.Errorf("reading the answer of %s: %w", Redact(realm.String()), err)
	}
	token := answer.Token
	if token == "" {
		token = answer.AccessToken
	}
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("%s gave no token", Redact(realm.String()))
	}
	return token, nil
}
