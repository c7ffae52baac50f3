#!/bin/sh
# What xCAT's page on building stateless images has an administrator do, with the
# definition SOURCE in site.stanza: list, clone, print the line that makes the image,
# run it on another machine with another rootimgdir, pack. The working directory is the
# test's own; the definitions of the first machine are in here/, the other has none.
#
#   acceptance.sh SOURCE CLONE
set -eux
source=$1 clone=$2
export ROOTCAST_OSIMAGES=here

# The definition comes from lsdef -z of xCAT, and goes back the same.
mkdef -z <site.stanza
lsdef -t osimage -z "$source" | cmp - site.stanza
lsdef -t osimage | grep -x "$source  (osimage)"

# The clone shares its rootimgdir, which is warned of, until it gets its own.
lsdef -t osimage -z "$source" | sed "s/^[^ ]\+:/$clone:/" | mkdef -z 2>warning
grep "same rootimgdir" warning
chdef -t osimage -o "$clone" rootimgdir="$PWD/boot/$clone"
lsdef -t osimage "$clone" -i pkglist,rootimgdir -c

# One line that can be pasted elsewhere; nothing has changed by then.
genimage --dryrun "$clone" >dryrun
test "$(head -n 1 dryrun)" = "Generating image: "
test "$(wc -l <dryrun)" = 2
test ! -e boot

# There the rootimgdir is another one.
export ROOTCAST_OSIMAGES=elsewhere
tail -n 1 dryrun | sed "s|--rootimgdir [^ ]*|--rootimgdir $PWD/local|" >line
grep -q -e "--rootimgdir $PWD/local" line
sh -eu line >made
packimage "$clone"
test ! -e boot

# At home, where the image came to, it is packed with exlist and synclists.
ROOTCAST_OSIMAGES=here packimage "$clone" 2>said
grep '^synclists: 1 files' said
if grep 'has changed since' said; then exit 1; fi
for dir in local "boot/$clone"; do
  for name in kernel initrd-stateless.gz rootimg.cpio.gz; do
    test -s "$dir/$name"
  done
  rootcast verify "$dir"
done
