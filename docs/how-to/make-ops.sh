#!/bin/sh
# Makes what the plays log in as: the user `ops`, with one ssh key and with sudo that asks for no password. Run it as root on the
# host, as often as you like: sh make-ops.sh 'ssh-ed25519 AAAA... you@desk'
set -eu
key=${1:?usage: sh make-ops.sh 'ssh-ed25519 AAAA... you@desk', as root}
[ "$(id -u)" = 0 ] || { echo "make-ops: run it as root" >&2; exit 2; }
printf '%s\n' "$key" | ssh-keygen -l -f - >/dev/null 2>&1 ||
  { echo "make-ops: this is no public key: give the whole line of your .pub file, in quotes" >&2; exit 2; }
if ! command -v python3 >/dev/null || ! command -v sudo >/dev/null; then
  apt-get update --quiet
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes python3 sudo
fi
id ops >/dev/null 2>&1 || useradd --create-home --shell /bin/bash ops
home=$(getent passwd ops | cut -d: -f6)
install -d -m 0700 -o ops -g ops "$home/.ssh"
keys=$home/.ssh/authorized_keys
grep -qxF "$key" "$keys" 2>/dev/null || printf '%s\n' "$key" >>"$keys"
chown ops:ops "$keys"
chmod 0600 "$keys"
# A name with a dot would be ignored without a word.
echo 'ops ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops
chmod 0440 /etc/sudoers.d/ops
visudo --check --quiet
echo "ops can log in with this key: $(printf '%s\n' "$key" | ssh-keygen -l -f -)"
