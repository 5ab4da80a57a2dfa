#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Reboots a trial that nobody confirms, into the entry that has proven itself: `boot-guard MINUTES-AFTER-BOOT`.
# Few moving parts on purpose: it has to work in a system whose network, disks or other units do not.
set -u
minutes=$1
confirmed=/run/fleet/boot-confirmed
marker=/var/lib/fleet/kernel/reached

trial=
read -r line </proc/cmdline
for word in $line; do
  case $word in fleet.trial=*) trial=${word#*=} ;; esac
done
[ -n "$trial" ] || exit 0

while :; do
  [ -e "$confirmed" ] && exit 0
  # Says that the trial came as far as its own file systems, so that a later run can tell a cable from a panic.
  if [ "$(cat "$marker" 2>/dev/null)" != "$trial" ] && systemctl --quiet is-active local-fs.target; then
    mkdir -p "${marker%/*}" && echo "$trial" >"$marker.new" && mv "$marker.new" "$marker" && sync
  fi
  read -r up _ </proc/uptime
  [ "${up%.*}" -ge $((minutes * 60)) ] && break
  sleep 5
done

echo "kernel trial $trial was not confirmed within $minutes minutes of boot: rebooting into the proven entry" >&2
systemctl --no-block reboot
# A unit that does not stop, or a manager that does not answer, must not hold the host.
sleep 180
systemctl --force reboot
sleep 30
systemctl --force --force reboot
