#!/bin/sh
# Resolve pyproject.toml into lock files: hashes, no download addresses. The smaller environments follow the largest one.
set -eu
cd "$(dirname "$0")/.."

compile() { .venv/bin/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-header "$@"; }

echo "uv>=0.8" | compile - --output-file requirements/uv.txt --upgrade
compile pyproject.toml --upgrade --extra control --extra lab --extra dev --output-file requirements/dev.txt
compile pyproject.toml --constraints requirements/dev.txt --extra control --extra lab --output-file requirements/lab.txt
compile pyproject.toml --constraints requirements/dev.txt --extra control --output-file requirements/control.txt
compile pyproject.toml --constraints requirements/dev.txt --output-file requirements/services.txt
