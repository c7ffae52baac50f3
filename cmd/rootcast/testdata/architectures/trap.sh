#!/bin/sh
# Runs COMMAND where a program of arm64 or ppc64le that is started is not run, by
# whatever handler the machine has, but written down in CAUGHT. The handlers of
# binfmt_misc are this user namespace's own.
#
#   unshare -Urm sh -eu trap.sh CAUGHT COMMAND...
caught=$1
shift
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
# shellcheck disable=SC2016 # $1 is of the script that is written
printf '#!/bin/sh\necho "$1" >>"%s"\n' "$caught" >"$caught.sh"
chmod 0755 "$caught.sh"
# The head of a program: 64 bits, least byte first, executable or shared, the machine.
trap_machine() {
  printf '%s' ":trap-$1:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00$2:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:$caught.sh:" \
    >/proc/sys/fs/binfmt_misc/register
}
trap_machine arm64 '\xb7\x00'
trap_machine ppc64le '\x15\x00'
exec "$@"
