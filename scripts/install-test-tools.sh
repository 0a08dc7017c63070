#!/usr/bin/env bash
# Installs the system packages that only tests compare with. Does nothing where they are there; says what it could not do.
set -euo pipefail

missing=()
command -v ffmpeg >/dev/null || missing+=(ffmpeg)
command -v mediainfo >/dev/null || missing+=(mediainfo)
command -v chromium >/dev/null || missing+=(chromium)
/sbin/ldconfig -p | grep -q libebur128 || missing+=(libebur128-1)
[ ${#missing[@]} -eq 0 ] && exit 0

give_up() {
    echo "Not installed: ${missing[*]} ($1). Tests that compare with them are skipped by name." >&2
    [ "${DAILIES_REQUIRE_TOOLS:-}" != 1 ] || exit 1
    exit 0
}

command -v apt-get >/dev/null || give_up "there is no apt-get here: install them yourself"
if [ "$(id -u)" = 0 ]; then
    root=()
elif sudo -n true 2>/dev/null; then
    root=(sudo -n)
else
    give_up "neither root nor sudo: apt-get install ${missing[*]}"
fi

echo "Installing for the tests: ${missing[*]} …"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ "${root[@]}" apt-get update && "${root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    give_up "apt-get failed"
}
