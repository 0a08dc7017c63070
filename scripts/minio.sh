#!/usr/bin/env bash
# Builds MinIO for the tests of object storage, or finds it: on the path, or where it was built before. Says where it is.
# MinIO is licensed AGPL-3.0: it is run as a service of its own by tests, and no part of Dailies.
set -euo pipefail

# Built outside the tree, by version, as in tests/minio.py.
version=v0.0.0-20260212201848-7aac2a2c5b7c
folder="${DAILIES_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dailies}/tools/minio-${version##*-}"
wanted=1.24

give_up() {
    echo "Not built: MinIO ($1). Tests of object storage are skipped by name." >&2
    exit 1
}

if [ -x "$folder/minio" ]; then
    echo "$folder/minio"
    exit 0
fi
if command -v minio >/dev/null; then
    command -v minio
    exit 0
fi
command -v go >/dev/null || give_up "there is no go on the path; $wanted or later is needed"
minor=$(go env GOVERSION | sed -E 's/^go1\.([0-9]+).*/\1/')
[[ "$minor" =~ ^[0-9]+$ ]] && [ "$minor" -ge "${wanted#*.}" ] || give_up "$(go env GOVERSION) is too old, $wanted is needed"
echo "Building MinIO, which takes some minutes (7 on two cores) …" >&2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
GOBIN="$scratch" GOTOOLCHAIN=local CGO_ENABLED=0 nice -n 15 \
    go install -trimpath -ldflags "-s -w" "github.com/minio/minio@$version" >&2 || give_up "go install failed"
mkdir -p "$folder" && mv "$scratch/minio" "$folder/minio"
echo "$folder/minio"
