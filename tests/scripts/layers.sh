#!/bin/bash
# tools/layers accepts this tree, and names each breach of a rule in a made-up one.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/tools/layers"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree"/{common,proto,client/{jitctl,examples},daemon/{sandbox,supervisor,linker,runner}}

# FILE HEADER breach|fine
while read -r file header verdict; do
    printf '#include <elf.h>\n#include %s\n' "$header" >"$tree/$file"
    if said=$("$root/tools/layers" "$tree"); then found=fine; else found=breach; fi
    rm "$tree/$file"
    [[ $found == "$verdict" ]] || { echo "$file with $header: $found instead of $verdict"; exit 1; }
    [[ $found == fine || $said == "$file:2: "* ]] || { echo "not FILE:LINE: $said"; exit 1; }
done <<'ROWS'
common/a.c "common/error.h" fine
common/a.c "proto/frame.h" breach
common/a.c <stdio.h> fine
common/a.c <elf.h> fine
proto/a.c "common/error.h" fine
proto/a.c "client/jitd.h" breach
proto/message.h "proto/jitd.pb-c.h" fine
proto/a.c "proto/jitd.pb-c.h" breach
client/a.c "proto/message.h" fine
client/a.c "daemon/sandbox/sandbox.h" breach
client/a.c <libelf.h> breach
client/jitctl/a.c <libelf.h> fine
client/jitctl/a.c <elfutils/libdwfl.h> fine
client/jitctl/a.c "tests/lib/fds.h" breach
client/examples/a.c "a.h" fine
client/examples/a.c "client/jitd.h" breach
daemon/sandbox/a.c "sandbox/filters.inc" fine
daemon/linker/a.c "daemon/sandbox/sandbox.h" fine
daemon/linker/a.c "daemon/runner/a.h" breach
daemon/linker/a.c "daemon/supervisor/a.h" breach
daemon/linker/a.c <uv.h> fine
daemon/linker/a.c <gelf.h> breach
daemon/linker/object.c <gelf.h> breach
daemon/linker/a.c <elfutils/libdw.h> breach
daemon/runner/a.c "daemon/linker/a.h" breach
daemon/runner/a.c <uv.h> breach
daemon/runner/a.c "proto/channel.h" fine
daemon/supervisor/a.c "daemon/sandbox/sandbox.h" breach
daemon/supervisor/a.c <uv.h> fine
daemon/supervisor/a.c "client/jitd.h" breach
ROWS
