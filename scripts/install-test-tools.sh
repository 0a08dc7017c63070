#!/usr/bin/env bash
# Installs the tools that only tests need: system packages, and toxiproxy. Does nothing where they are there; says what it could not do.
set -euo pipefail

# Built outside the tree, by version, as in tests/chaos/network.py. A Go older than its go.mod asks for does not do.
toxiproxy_version=2.12.0
tools="${DAILIES_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dailies}/tools/toxiproxy-$toxiproxy_version"

no_toxiproxy() {
    echo "Not built: toxiproxy ($1). Network faults are skipped by name." >&2
    [ "${DAILIES_REQUIRE_TOOLS:-}" != 1 ] || exit 1
}

build_toxiproxy() {
    [ ! -x "$tools/toxiproxy-server" ] || return 0
    command -v go >/dev/null || { no_toxiproxy "there is no go on the path"; return 0; }
    minor=$(go env GOVERSION | sed -E 's/^go1\.([0-9]+).*/\1/')
    [[ "$minor" =~ ^[0-9]+$ ]] && [ "$minor" -ge 23 ] || { no_toxiproxy "$(go env GOVERSION) is too old, 1.23 is needed"; return 0; }
    echo "Building toxiproxy $toxiproxy_version …"
    scratch=$(mktemp -d)
    if GOBIN="$scratch" GOTOOLCHAIN=local GOFLAGS=-trimpath CGO_ENABLED=0 \
        go install "github.com/Shopify/toxiproxy/v2/cmd/server@v$toxiproxy_version" 2>"$scratch/log"; then
        mkdir -p "$tools" && mv "$scratch/server" "$tools/toxiproxy-server"
    else
        tail -n 5 "$scratch/log" >&2
        no_toxiproxy "go install failed"
    fi
    rm -rf "$scratch"
}

build_toxiproxy

minio="${tools%/*}/minio-7aac2a2c5b7c/minio"
[ -x "$minio" ] || command -v minio >/dev/null || echo "Not here: MinIO (make minio builds it). Its tests are skipped by name." >&2

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
