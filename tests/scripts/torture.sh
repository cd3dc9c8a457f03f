#!/bin/bash
# What `make torture` makes of GCC's directives, and of programs that behave in jitd as they do natively or not.
set -eu
command -v python3 >/dev/null || { echo "python3 is not there"; exit 77; }
cd "$(dirname "$0")/../torture"
python3 -B test_directives.py
python3 -B test_program.py
