#!/bin/bash
# Random operations on real sessions, each answer compared with a model's (tests/model); first those that once differed.
#
#   MODEL_SEED=2 MODEL_OPS=1000000 tests/scripts/model.sh
set -eu
output=$(mktemp)
trap 'rm -f "$output"' EXIT
root=$(cd "$(dirname "$0")/../.." && pwd)
export O=${O:-build}

for found in "$root"/tests/model/found/*.txt; do
    MODEL_REPLAY=$found "$O/test/model" >>"$output" 2>&1 || { cat "$output"; exit 1; }
done
MODEL_REPLAY='' "$O/test/model" >>"$output" 2>&1 || { cat "$output"; exit 1; }
# What a sanitizer says of a daemon on its way out ends no session.
! grep -E 'SUMMARY: [A-Za-z]+Sanitizer|: runtime error: ' "$output"
