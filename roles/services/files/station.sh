#!/bin/sh
# The services' command line. Halting needs no Python, so it works when a release or its environment is broken.
if [ "${1-}" = halt ] && [ "${2-}" != --help ] && [ "${2-}" != -h ]; then
  shift
  exec /usr/local/libexec/station/halt "$@"
fi
exec /opt/station/current/venv/bin/station "$@"
