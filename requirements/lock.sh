#!/bin/sh
# Resolve pyproject.toml into lock files: hashes, no download addresses. What the hosts get follows what is tested here.
set -eu
cd "$(dirname "$0")/.."

compile() { .venv/bin/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-header "$@"; }

echo "uv>=0.8" | compile - --output-file requirements/uv.txt --upgrade
compile pyproject.toml --upgrade --extra dev --output-file requirements/dev.txt
compile pyproject.toml --constraints requirements/dev.txt --output-file requirements/services.txt
