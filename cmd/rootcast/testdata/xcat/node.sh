#!/bin/sh
# postinstall of the acceptance test: the node says what it is, and is a shell.
set -eu
root=$1
test -d "$root/usr"
test "$IMG_OSVER-$IMG_ARCH-$IMG_PROFILE" = "$2-$3-$4"
test "$IMG_ROOTIMGDIR" = "$root"
test -d "$root/lib/modules/$IMG_KERNELVERSION"
cat >"$root/etc/acceptance" <<FILE
osimage $IMG_NAME
argument $5
site $SITE
FILE
echo "192.0.2.1 master" >>"$root/etc/hosts"
rm -f "$root/etc/hostname"
rm -f "$root/sbin/init"
cat >"$root/sbin/init" <<'FILE'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
. /etc/os-release
echo "node login: $ID $(uname -m)"
exec setsid sh -c 'exec sh -i </dev/console >/dev/console 2>&1'
FILE
chmod 0755 "$root/sbin/init"
