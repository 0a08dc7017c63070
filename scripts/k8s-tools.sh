#!/usr/bin/env bash
# Builds a Kubernetes control plane from its Go modules: API server, controller manager, scheduler, kubectl, etcd, kwok, and KEDA's
# operator. Needs Go 1.26 and the Go module proxy; about 15 minutes of two cores, once. Cached by version, outside the tree.
set -euo pipefail

# As in tests/cluster/control_plane.py.
kubernetes=1.37.2
etcd=3.7.3
kwok=0.8.0
keda=2.21.0
cache="${DAILIES_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dailies}/tools/k8s-$kubernetes"

command -v go >/dev/null || { echo "Go 1.26 or later is needed, and there is no go on the path." >&2; exit 1; }
minor=$(go env GOVERSION | sed -E 's/^go1\.([0-9]+).*/\1/')
[ "$minor" -ge 26 ] || { echo "$(go env GOVERSION) is too old: Go 1.26 is needed." >&2; exit 1; }
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-mod=mod -trimpath"
mkdir -p "$cache"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Modules that replace others cannot be installed by name: a module of ours requires them, and repeats what they replace.
module() { # folder, requirement
    mkdir -p "$scratch/$1" && cd "$scratch/$1"
    go mod init "tools/$1" 2>/dev/null
    go mod edit -require "$2"
}

program() { # name, package
    [ ! -x "$cache/$1" ] || return 0
    echo "Building $1 …"
    go build -ldflags "-s -w" -o "$cache/$1.new" "$2"
    mv "$cache/$1.new" "$cache/$1"
}

missing() { local name; for name in "$@"; do [ -x "$cache/$name" ] || return 0; done; return 1; }

if missing etcd; then
    module etcd "go.etcd.io/etcd/server/v3@v$etcd"
    program etcd go.etcd.io/etcd/server/v3
fi
if missing kube-apiserver kube-controller-manager kube-scheduler kubectl; then
    module kubernetes "k8s.io/kubernetes@v$kubernetes"
    sources=$(cd / && go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
    for staged in $(sed -n 's#^\t\(k8s.io/[a-z0-9-]*\) => ./staging/.*#\1#p' "$sources"); do
        go mod edit -replace "$staged=$staged@v0.${kubernetes#1.}"
    done
    for name in kube-apiserver kubectl kube-controller-manager kube-scheduler; do
        program "$name" "k8s.io/kubernetes/cmd/$name"
    done
fi
if missing kwok; then
    module kwok "sigs.k8s.io/kwok@v$kwok"
    program kwok sigs.k8s.io/kwok/cmd/kwok
fi
if missing keda; then
    module keda "github.com/kedacore/keda/v2@v$keda"
    sources=$(cd / && go mod download -json "github.com/kedacore/keda/v2@v$keda" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
    go mod edit -json "$sources" | python3 -c '
import json, sys
for one in json.load(sys.stdin).get("Replace") or ():
    old, new = one["Old"], one["New"]
    print(old["Path"] + ("@" + old["Version"] if "Version" in old else "") + "=" + new["Path"] + "@" + new["Version"])
' | while read -r replacement; do go mod edit -replace "$replacement"; done
    program keda github.com/kedacore/keda/v2/cmd/operator
fi
echo "$cache"
