#!/bin/sh
# Deny every order of this host: `station halt [--reason TEXT] [--folder DIR]`. The latch is what station.halt reads.
set -u
umask 027
fail() { printf 'station: %s\n' "$1" >&2; exit 2; }

reason="by hand" folder=/var/lib/station/halt
while [ $# -gt 0 ]; do
  case $1 in
    --reason=*) reason=${1#*=} ;;
    --folder=*) folder=${1#*=} ;;
    --reason | --folder)
      [ $# -gt 1 ] || fail "$1 needs a value; nothing was halted"
      if [ "$1" = --reason ]; then reason=$2; else folder=$2; fi
      shift
      ;;
    *) fail "halt knows --reason and --folder, not $1; nothing was halted" ;;
  esac
  shift
done
by=${SUDO_USER:-$(id -un)}

if [ ! -d "$folder" ]; then
  echo "orders are denied: $folder is missing, which counts as halted"
  exit 0
fi
cd "$folder" || fail "$folder cannot be entered, so orders may still go out; run systemctl stop station.target"
# An empty file is enough, also on a full disk; what it says comes second, whole or not at all.
touch latch 2>/dev/null
sync latch . 2>/dev/null
words=$(printf '%s' "$reason" | tr '\n\t' '  ' | tr -d '\000-\037\177' | sed 's/[\\"]/\\&/g')
{
  cat latch && { [ -z "$(tail -c 1 latch)" ] || echo; } &&
    printf '{"at": %s, "by": "%s", "reason": "%s"}\n' "$(date +%s%6N)" "$by" "$words"
} 2>/dev/null >".latch.$$" && sync ".latch.$$" && mv ".latch.$$" latch && sync .
rm -f ".latch.$$"
[ -e latch ] || fail "$folder/latch cannot be written, so orders still go out; run systemctl stop station.target"
printf 'orders are denied: halted by %s: %s\n' "$by" "$reason"
