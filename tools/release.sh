#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes what a release has in dist/release, publishes nothing, and checks what was made. It leaves out the image, which needs
# Docker with buildx. With a platform such as linux/amd64 it makes that alone, in a fraction of the time: what is said of the
# others in .goreleaser.yaml is then not tried, nor whether the programs can be compiled for them.
set -euo pipefail
cd "$(dirname "$0")/.."

goreleaser=(go tool -modfile=tools/release/go.mod goreleaser)
platforms=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64)
edit=
if [ $# -gt 0 ]; then
	platforms=("$1")
	# goreleaser takes a platform for builds only, not for a release.
	edit="s|^(  goos): .*|\\1: [${1%/*}]|; s|^(  goarch): .*|\\1: [${1#*/}]|"
fi
"${goreleaser[@]}" check # which, unlike the release, fails for what is deprecated
sed -E "$edit" .goreleaser.yaml | "${goreleaser[@]}" release --config - --snapshot --clean --skip docker
go run -C tools ./releasecheck ../dist/release "${platforms[@]}"
