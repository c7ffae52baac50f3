#!/bin/sh
# Makes the ordinary user as whom tests run that need one: rootcast-test, with
# ranges of subordinate IDs. Run as root; doing it again changes nothing.
set -eu

user=${1:-rootcast-test}

id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/sh "$user"
touch /etc/subuid /etc/subgid
grep -q "^$user:" /etc/subuid || usermod --add-subuids 2000000-2065535 "$user"
grep -q "^$user:" /etc/subgid || usermod --add-subgids 2000000-2065535 "$user"
