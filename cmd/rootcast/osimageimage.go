package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/rootcast/rootcast/build"
	"github.com/rootcast/rootcast/build/osimage"
)

// What an image that genimage made says of its definition.
const (
	labelName       = "io.rootcast.osimage.name"
	labelDefinition = "io.rootcast.osimage.definition" // imagename=NAME&ATTRIBUTE=VALUE..., as URLs encode it: one line without a character that recipes expand
	labelDigest     = "io.rootcast.osimage.digest"
	labelInputs     = "io.rootcast.osimage.inputs" // the digest of what genimage reads of it
	labelRootLimit  = "io.rootcast.osimage.rootlimit"
)

// osimageImageName is the name in the store of the image that is made of a definition.
// Images are called by lower-case letters.
func osimageImageName(d *osimage.Definition) string {
	return "localhost/" + strings.ToLower(d.Name)
}

// conventionalName is xCAT's name of such an image, which several definitions may
// share; "" if the definition does not say enough.
func conventionalName(d *osimage.Definition) string {
	var parts []string
	for _, a := range []string{"osvers", "osarch", "provmethod", "profile"} {
		if d.Get(a) == "" {
			return ""
		}
		parts = append(parts, d.Get(a))
	}
	return "localhost/" + strings.ToLower(strings.Join(parts, "-"))
}

// osimageLabels are the labels of a definition's image. Passwords in the URLs of
// repositories are not in them.
func osimageLabels(d *osimage.Definition) ([]string, error) {
	public := d.Public()
	text := url.Values{keyName: {d.Name}}
	for _, name := range public.Attributes() {
		text.Set(name, public.Get(name))
	}
	sum, err := d.Digest()
	if err != nil {
		return nil, err
	}
	inputs, err := buildInputs(d)
	if err != nil {
		return nil, err
	}
	return []string{labelName + "=" + d.Name, labelDefinition + "=" + text.Encode(), labelDigest + "=" + sum.String(), labelInputs + "=" + inputs.String()}, nil
}

// buildInputs is the digest of what an image is built of: the definition without what
// counts when it is packed or booted.
func buildInputs(d *osimage.Definition) (digest.Digest, error) {
	inputs := d.Clone(d.Name)
	for _, name := range inputs.Attributes() {
		if !slices.Contains(buildAttributes(), name) {
			_ = inputs.Set(name, "", "/") // nothing is wrong with no value
		}
	}
	if d.Get("permission") == "" { // as a line of --dryrun says it
		_ = inputs.Set("permission", "755", "/") // a mode
	}
	return inputs.Digest()
}

// buildAttributes are those that genimage makes layers of.
func buildAttributes() []string {
	return []string{
		"osvers", "osarch", "profile", "provmethod", "pkglist", "pkgdir", "otherpkglist", "otherpkgdir", "postinstall", "environvar", "kernelver",
		"krpmver", "kerneldir", "driverupdatesrc", "permission", "otherifce", "baseimage", "gpgkeys",
	}
}

// labelsOf are the labels of an image of the store.
func (e *env) labelsOf(ctx context.Context, name string) (map[string]string, error) {
	store, err := e.openStore()
	if err != nil {
		return nil, err
	}
	return store.Labels(ctx, name)
}

// definitionOf is the definition of that name in a catalog, or what the image that
// was made of it elsewhere says of it.
func (e *env) definitionOf(ctx context.Context, from osimage.Catalog, name string) (*osimage.Definition, error) {
	d, err := load(from, name)
	if _, none := err.(missing); !none { //nolint:errorlint // load returns it bare
		return d, err
	}
	labels, lerr := e.labelsOf(ctx, osimageImageName(&osimage.Definition{Name: name}))
	if lerr != nil || labels[labelDefinition] == "" {
		return nil, err
	}
	d, derr := labelledDefinition(labels[labelDefinition])
	if derr != nil {
		return nil, derr
	}
	if d.Name != name {
		return nil, err
	}
	e.say("there is no definition of %s here; its image has one", name)
	return d, nil
}

// keyName is what a label calls the definition's name, as xCAT's tables do.
const keyName = "imagename"

// labelledDefinition reads the definition in an image's label.
func labelledDefinition(text string) (*osimage.Definition, error) {
	values, err := url.ParseQuery(text)
	if err != nil {
		return nil, fmt.Errorf("the image's label %s: %w", labelDefinition, err)
	}
	d := &osimage.Definition{Name: values.Get(keyName)}
	if err := osimage.CheckName(d.Name); err != nil {
		return nil, fmt.Errorf("the image's label %s: %w", labelDefinition, err)
	}
	for name := range values {
		if name == keyName {
			continue
		}
		if err := d.Set(name, values.Get(name), "/"); err != nil {
			return nil, fmt.Errorf("the image's label %s: %w", labelDefinition, err)
		}
	}
	return d, nil
}

// rootimgdirOf is where a definition's rootimgdir is, xCAT's place by default.
func rootimgdirOf(d *osimage.Definition) string {
	if dir := d.Get("rootimgdir"); dir != "" {
		return dir
	}
	return filepath.Join(defaultInstalldir, "netboot", d.Get("osvers"), d.Get("osarch"), d.Get("profile"))
}

// builtImage returns the name of the definition's image, which must be in the store.
func (e *env) builtImage(ctx context.Context, d *osimage.Definition) (string, error) {
	store, err := e.openStore()
	if err != nil {
		return "", err
	}
	names, err := imageNames(ctx, store, d)
	if err == nil && names == nil {
		err = fmt.Errorf("osimage %s: there is no image %s in the store; genimage %s makes it", d.Name, osimageImageName(d), d.Name)
	}
	if err != nil {
		return "", err
	}
	return names[0], nil
}

// imageNames are those names of the definition's image that the store has. xCAT's name
// counts unless the image was made of another definition.
func imageNames(ctx context.Context, store *build.Store, d *osimage.Definition) ([]string, error) {
	var names []string
	for _, name := range []string{osimageImageName(d), conventionalName(d)} {
		if name == "" || slices.Contains(names, name) {
			continue
		}
		_, found, err := store.Resolve(ctx, name)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		labels, err := store.Labels(ctx, name)
		if err != nil {
			return nil, err
		}
		if of := labels[labelName]; name == osimageImageName(d) || of == "" || of == d.Name {
			names = append(names, name)
		}
	}
	return names, nil
}
