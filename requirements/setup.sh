#!/bin/sh
# Install the locked tools into .venv. Needs python3 >= 3.11; on Debian and Ubuntu it adds the venv module if that is missing.
set -eu
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "python3 is missing or older than 3.11: install Python 3.11 or later"
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  [ "$(id -u)" = 0 ] || fail "python3 has no venv module: run 'sudo apt-get install python3-venv', or this command as root"
  echo "setup: installing python3-venv"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; } >/dev/null 2>&1 ||
    fail "cannot install python3-venv with apt-get: is the network up?"
fi

if [ ! -x .venv/bin/uv ]; then
  python3 -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt ||
    fail "cannot install from the package index: is the network up?"
fi
# Keeps to the certificates that the machine trusts.
UV_SYSTEM_CERTS=1 .venv/bin/uv pip sync --quiet --system-certs --require-hashes requirements/uv.txt requirements/dev.txt ||
  fail "cannot install the locked packages: see above"
# Where PYTHONDONTWRITEBYTECODE is set, as on many CI machines, every start of a program would compile all that it imports.
# A package may carry a file for another Python, which does not compile.
.venv/bin/python -m compileall -q -j 0 -x '/(ansible_collections|tests?)/' .venv/lib >/dev/null || true
.venv/bin/uv pip install --quiet --offline --no-deps --no-build-isolation --editable .
touch .venv/installed
