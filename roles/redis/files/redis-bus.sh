#!/bin/sh
# Managed by Ansible (role redis). What the event bus's unit, the role and an operator ask on this host:
#   redis-bus ping                           exit 0 when the server answers
#   redis-bus exported URL                   exit 0 when the exporter there reaches the server
#   redis-bus wait-for-space DIRECTORY MIB   return once so much is free there
#   redis-bus cut-zeros DIRECTORY            cut off the zeros that a power cut has left behind the last entry
#   redis-bus ballast DIRECTORY MIB          lay down the file that an operator may delete when the disk is full
#   redis-bus check conf|acl FILE            exit 0 when Redis accepts the file
#   redis-bus state DIRECTORY [PORT...]      what is there, as YAML
set -eu

conf=/etc/redis/redis-bus.conf

free_mib() { # of the nearest directory that exists
  directory=$1
  while [ ! -d "$directory" ]; do directory=$(dirname "$directory"); done
  stat --file-system --format='%a %S' "$directory" | {
    read -r blocks size
    echo $((blocks * size / 1048576))
  }
}

# The password goes from a root-only file to the client's standard input: never an argument, never the environment.
ping_server() {
  socket=$(sed -n 's/^unixsocket //p' "$conf")
  password=$(sed 's/^.*: *"\(.*\)"}$/\1/' /etc/credstore/redis-bus-exporter.json)
  printf 'AUTH exporter "%s"\nPING\n' "$password" | redis-cli -s "$socket" | grep -q -x PONG
}

exported() {
  curl --fail --silent --max-time 5 "$1" | grep -q -x 'redis_up 1'
}

# Waiting instead of failing: the server comes back by itself when there is room, and a full disk does not use up the
# starts that StartLimitBurst= allows for a crash loop.
wait_for_space() {
  said=
  while free=$(free_mib "$1") && [ "$free" -lt "$2" ]; do
    [ -n "$said" ] || echo "disk full: $1 has $free MiB free, the event bus starts at $2;" \
      "free space, or delete $1/ballast and let the next run lay it down again" >&2
    said=yes
    sleep 5
  done
}

# After a power cut the file may end in zeros: ext4 notes the new length with another program's fsync, before the data. Redis
# refuses to start with them (redis.io/docs, persistence: only a truncated end is let through), and no entry ends in a zero.
cut_zeros() {
  for file in "$1"/appendonlydir/*.incr.aof; do
    [ -s "$file" ] || continue
    while zeros=$(tail -c 65536 "$file" | od -An -v -tx1 -w1 | awk '/00/ {n++; next} {n = 0} END {print n + 0}') &&
      [ "$zeros" -gt 0 ]; do
      echo "power cut: $file ended in zeros, $zeros bytes are cut off" >&2
      truncate --size=-"$zeros" "$file"
    done
  done
}

# Blocks are really reserved: a sparse file would give nothing back.
ballast() {
  rm -f "$1/ballast" "$1/ballast.new"
  [ "$2" -gt 0 ] || return 0
  umask 077
  fallocate --posix --length "$2MiB" "$1/ballast.new"
  mv "$1/ballast.new" "$1/ballast"
}

# A server of its own in an empty directory reads the file; an answer, even a refusal, means that it took it.
check() {
  scratch=$(mktemp -d)
  trap 'kill "$server" 2>/dev/null || true; rm -rf "$scratch"' EXIT
  case $1 in
    conf) set -- "$2" ;;
    acl) set -- - --aclfile "$2" ;;
  esac
  : | redis-server "$@" --port 0 --unixsocket "$scratch/sock" --unixsocketperm 700 --dir "$scratch" \
    --appendonly no --save '' --daemonize no >"$scratch/log" 2>&1 &
  server=$!
  while kill -0 "$server" 2>/dev/null; do
    if redis-cli -s "$scratch/sock" ping 2>/dev/null | grep -q -E 'PONG|NOAUTH'; then return 0; fi
    sleep 0.1
  done
  tail -n 4 "$scratch/log" | tr '\n' ' ' >&2
  return 1
}

state() {
  echo "free_mib: $(free_mib "$1")"
  echo "ballast_mib: $(($(stat --format=%s "$1/ballast" 2>/dev/null || echo 0) / 1048576))"
  echo "data_path: '$(sed -n 's|^dir \(.*\)/data$|\1|p' "$conf" 2>/dev/null || true)'"
  stock=false
  systemctl --quiet is-active redis-server.service && stock=true
  echo "stock: $stock"
  shift
  echo "ports:"
  bus=$(systemctl show --property MainPID --value redis-server@bus.service)
  exporter=$(systemctl show --property MainPID --value prometheus-redis-exporter.service)
  for port in "$@"; do
    ss -Hltnp "sport = :$port" | grep -v -e "pid=$bus," -e "pid=$exporter," |
      sed -n "1s/.*users:((\"\\([^\"]*\\)\",pid=\\([0-9]*\\).*/  $port: \\1 (pid \\2)/p"
  done
}

case ${1-} in
  ping) ping_server ;;
  exported) exported "$2" ;;
  wait-for-space) wait_for_space "$2" "$3" ;;
  cut-zeros) cut_zeros "$2" ;;
  ballast) ballast "$2" "$3" ;;
  check) check "$2" "$3" ;;
  state) shift && state "$@" ;;
  *) sed -n '2,8s/^# //p' "$0" >&2 && exit 2 ;;
esac
