#!/usr/bin/env bash
# Installs the tools that only tests need: system packages, and what is built with Go. Does nothing where they are there; says what it could
# not do. With DAILIES_REQUIRE_TOOLS=1 it fails for want of a package; what wants a current Go is skipped by name wherever there is none.
set -euo pipefail

# Built outside the tree, by name and version, as in tests/tools.py.
cache="${DAILIES_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dailies}/tools"

not_built() {
    echo "Not built: $1 ($2). Tests that need it are skipped by name." >&2
}

# name, version, package, the least minor version of Go (an older one than its go.mod asks for does not do), what to call the program
build() {
    local name=$1 version=$2 package=$3 least=$4 program=${5:-$1} minor scratch
    [ ! -x "$cache/$name-$version/$program" ] || return 0
    command -v go >/dev/null || { not_built "$name" "there is no go on the path"; return 0; }
    minor=$(go env GOVERSION | sed -E 's/^go1\.([0-9]+).*/\1/')
    [[ "$minor" =~ ^[0-9]+$ ]] && [ "$minor" -ge "$least" ] ||
        { not_built "$name" "$(go env GOVERSION) is too old, 1.$least is needed"; return 0; }
    echo "Building $name $version …"
    scratch=$(mktemp -d)
    mkdir "$scratch/bin"
    if GOBIN="$scratch/bin" GOTOOLCHAIN=local GOFLAGS=-trimpath CGO_ENABLED=0 go install "$package@v$version" 2>"$scratch/log"; then
        mkdir -p "$cache/$name-$version" && mv "$scratch"/bin/* "$cache/$name-$version/$program"
    else
        tail -n 5 "$scratch/log" >&2
        not_built "$name" "go install failed"
    fi
    rm -rf "$scratch"
}

build toxiproxy 2.12.0 github.com/Shopify/toxiproxy/v2/cmd/server 23 toxiproxy-server
build kustomize 5.8.1 sigs.k8s.io/kustomize/kustomize/v5 24
build kubeconform 0.8.0 github.com/yannh/kubeconform/cmd/kubeconform 26

[ -x "$cache/minio-7aac2a2c5b7c/minio" ] || command -v minio >/dev/null || echo "Not here: MinIO (make minio builds it). Its tests are skipped by name." >&2

missing=()
command -v ffmpeg >/dev/null || missing+=(ffmpeg)
command -v mediainfo >/dev/null || missing+=(mediainfo)
command -v chromium >/dev/null || missing+=(chromium)
command -v promtool >/dev/null || missing+=(prometheus)
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
