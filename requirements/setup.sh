#!/bin/sh
# Install the locked tools into .venv and change nothing else. Needs python3 >= 3.11; on Debian and Ubuntu root also gets the venv module.
set -eu
# With the caller's CDPATH, cd would go to another folder that has such a name.
unset CDPATH
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

# Of the caller's environment only what leads to the package index and back: the rest could name another Python than .venv's.
if [ "${FLEET_SETUP-}" != clean ]; then
  set --
  for name in PATH HOME TMPDIR TERM \
    http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY \
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE PIP_CERT \
    PIP_CONFIG_FILE PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT PIP_CACHE_DIR \
    UV_CONFIG_FILE UV_DEFAULT_INDEX UV_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_INSECURE_HOST UV_HTTP_TIMEOUT \
    UV_CACHE_DIR UV_OFFLINE XDG_CACHE_HOME XDG_CONFIG_HOME; do
    eval "value=\${$name-}"
    [ -z "$value" ] || set -- "$@" "$name=$value"
  done
  exec env -i "$@" FLEET_SETUP=clean LC_ALL=C.UTF-8 sh "requirements/setup.sh"
fi
umask 022
# Of two set-ups at once the second waits, and finds the work done.
if command -v flock >/dev/null; then exec 9<requirements/setup.sh; flock 9; fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail "python3 is missing or older than 3.11: install Python 3.11 or later"
# uv looks for its cache there.
[ -n "${HOME-}" ] || HOME=$(python3 -c 'import os; print(os.path.expanduser("~"))')
export HOME
mkdir -p .venv 2>/dev/null && [ -w .venv ] || fail "$PWD/.venv cannot be written: whose is it? Its owner runs this, or removes it"

# Where it lies, and which Python it was made of: both are written into its programs.
stamp() { printf '%s\n%s\n' "$PWD" "$(readlink -f .venv/bin/python)"; }
files="requirements/uv.txt requirements/dev.txt requirements/setup.sh pyproject.toml"
# shellcheck disable=SC2086  # words
if [ "$(cat .venv/installed 2>/dev/null)" = "$(stamp)" ] && [ -z "$(find $files -newer .venv/installed)" ]; then exit 0; fi
if [ ! -x .venv/bin/uv ] || [ "$(cat .venv/made 2>/dev/null)" != "$(stamp)" ] || ! .venv/bin/python -c 'import encodings' 2>/dev/null; then
  if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    [ "$(id -u)" = 0 ] || fail "python3 has no venv module: run 'sudo apt-get install python3-venv', or this command as root"
    echo "setup: installing python3-venv"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; } >/dev/null 2>&1 ||
      fail "cannot install python3-venv with apt-get: is the network up?"
  fi
  echo "setup: making .venv"
  python3 -m venv --clear .venv || fail "python3 cannot make .venv: see above"
  # PIP_USER, because a pip.conf that asks for it would leave .venv empty.
  PIP_USER=0 .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt ||
    fail "pip cannot install uv into .venv: see above"
  stamp >.venv/made
fi
rm -f .venv/installed
echo "setup: installing the locked packages into .venv"
# Keeps to the certificates that the machine trusts.
UV_SYSTEM_CERTS=1 .venv/bin/uv pip sync --python .venv/bin/python --quiet --system-certs --require-hashes \
  requirements/uv.txt requirements/dev.txt || fail "cannot install the locked packages: see above"
# Where PYTHONDONTWRITEBYTECODE is set, as on many CI machines, every start of a program would compile all that it imports.
# A package may carry a file for another Python, which does not compile.
.venv/bin/python -m compileall -q -j 0 -x '/(ansible_collections|tests?)/' .venv/lib >/dev/null || true
.venv/bin/uv pip install --python .venv/bin/python --quiet --offline --no-deps --no-build-isolation --editable . ||
  fail "cannot install the project itself into .venv: see above"
.venv/bin/python -c 'import ansible, fleet, pytest, station' || fail "the packages are installed and cannot be imported: see above"
stamp >.venv/installed
