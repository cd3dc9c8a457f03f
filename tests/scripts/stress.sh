#!/bin/bash
# Threads of a program whose functions come, change and go (tests/stress), for a short while.
#
#   STRESS_SEED=2 STRESS_SECONDS=60 tests/scripts/stress.sh
set -eu
output=$(mktemp)
trap 'rm -f "$output"' EXIT
export O=${O:-build} STRESS_SEED=${STRESS_SEED:-$(date +%s)}

"$O/test/stress" >"$output" 2>&1 || { cat "$output"; exit 1; }
# What a sanitizer says of a daemon on its way out ends no session.
if grep -E 'SUMMARY: [A-Za-z]+Sanitizer|: runtime error: ' "$output"; then
    cat "$output"
    exit 1
fi
