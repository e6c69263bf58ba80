#!/usr/bin/env bash
# Makes the module's archive out of the C library's: archive.sh IN.a OUT.a. One object with graceshut_* as its only global
# names, so that another Rust library in the same Go program does not collide, and without what nothing of that needs.
set -euo pipefail
in=$1 out=$2
# gcc-ar and gcc-nm: plain ones may load an LLVM plugin that cannot read what rustc writes.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc-nm -g --defined-only "$in" 2>/dev/null | awk '$2 ~ /^[TDBR]$/ && $3 ~ /^graceshut_/ { print $3 }' | sort -u > "$work/names"
# shellcheck disable=SC2046 # one word a name
ld -r --gc-sections $(sed 's/^/-u /' "$work/names") "$in" -o "$work/all.o"
objcopy --keep-global-symbols="$work/names" "$work/all.o" "$work/graceshut.o"
strip --strip-unneeded "$work/graceshut.o"
rm -f "$out"
gcc-ar rcsD "$out" "$work/graceshut.o"
