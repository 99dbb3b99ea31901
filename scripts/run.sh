#!/usr/bin/env bash
# make run: installs what is missing, builds, starts the sandbox and both daemons in run/, runs a full inventory sync and stays up.
# environment: ONCE=1 ends after the first run; PORT, ARTICLES, SEED, RATE, LATENCY_MS, RUN_FOLDER, FRESH as scripts/run.py says
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-deps.sh build
make --no-print-directory -s -j2 BUILD=release programs
exec /usr/bin/python3 -B scripts/run.py
