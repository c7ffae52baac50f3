#!/bin/sh
# Sourced by dracut, again and again until there is a root on /sysroot.
if ! ismounted "$NEWROOT"; then
    udevadm settle --timeout=60 # until the network cards have the names that they keep
    rootcast-init mount < /dev/console > /dev/console 2>&1 \
        || emergency_shell "rootcast-init has mounted no root. What it said is above, and in /run/rootcast/init.log; exit this shell to try again."
fi
