#!/bin/bash
# The dracut module of rootcast: rootcast-init mounts the root in dracut's mount
# hook, and dracut does all else.
# shellcheck disable=SC2154 # dracut sets moddir

check() {
    return 255 # for those who ask for it
}

depends() {
    echo base
}

# The file modules names what rootcast's own first stage would carry; dracut adds
# what those need, and their firmware.
installkernel() {
    hostonly='' instmods < "$moddir/modules"
}

install() {
    inst_simple "$moddir/rootcast-init" /usr/bin/rootcast-init
    inst_hook cmdline 99 "$moddir/cmdline.sh"
    inst_hook mount 99 "$moddir/mount.sh"
    inst_multiple udevadm
}
