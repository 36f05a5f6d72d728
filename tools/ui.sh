#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the page that the operator serves, with what package-lock.json names. `tools/ui.sh install` only installs that, and
# nothing if it is there.
set -euo pipefail
cd "$(dirname "$0")/../ui"

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "the page needs node and npm" >&2
		exit 1
	fi
	echo "installing nodejs npm"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
fi
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)'; then
	echo "the page needs Node.js 20.19, 22.12 or later; this is $(node --version)" >&2
	exit 1
fi

stamp=node_modules/.installed
lock=$(cat package.json package-lock.json | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$lock" ]; then
	npm ci --no-audit --no-fund --prefer-offline
	echo "$lock" >"$stamp"
fi
[ "${1:-}" = install ] || npm run --silent build
