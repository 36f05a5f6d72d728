#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests of the modules that are named, with the race detector, on a lab that is started for them and taken down
# again whatever happens. HSJ_LAB=<name> uses a lab that runs already, and leaves it running. TEST_FLAGS are added.
set -euo pipefail
cd "$(dirname "$0")/.."

# What the tests run beside the lab's own programs: a Redis server, Prometheus with its promtool, a C compiler for the race
# detector, and a browser that looks at the page, unless HSJ_NO_BROWSER=1.
ensure_packages() {
	local missing=()
	command -v redis-server >/dev/null || missing+=(redis-server)
	command -v promtool >/dev/null || missing+=(prometheus)
	command -v "${CC:-gcc}" >/dev/null || missing+=(gcc libc6-dev)
	if [ "${HSJ_NO_BROWSER:-}" != 1 ] && ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
		missing+=(chromium fonts-dejavu-core)
	fi
	[ ${#missing[@]} -eq 0 ] && return
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "the tests need these Debian packages, or what they are called elsewhere: ${missing[*]}" >&2
		exit 1
	fi
	echo "installing ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

scratch=$(mktemp -d)
started=
finish() {
	local status=$?
	trap '' INT TERM
	local name
	for name in ${started:+"$HSJ_LAB" "$HSJ_LAB-chart"}; do # the second is that of a test, which is gone unless the test was killed
		"$scratch/lab" down --name "$name" >"$scratch/down.log" 2>&1 || { cat "$scratch/down.log" >&2; status=1; }
	done
	rm -rf "$scratch"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

ensure_packages
if [ -z "${HSJ_LAB:-}" ]; then
	# One name for each checkout, so that several can be tested side by side.
	HSJ_LAB="test-$(pwd -P | sha256sum | head -c 10)"
	export HSJ_LAB
	go build -C lab -o "$scratch/lab" ./cmd/lab
	started=yes
	"$scratch/lab" up --name "$HSJ_LAB" --sim-nodes 3
fi

# What several tests run is built once, before they keep the machine busy.
if [[ " $* " == *" . "* ]]; then
	echo "building the operator and helm for the tests"
	export HSJ_OPERATOR="$scratch/operator" HSJ_OPERATOR_IMAGE="$scratch/operator.tar"
	go build -race -o "$HSJ_OPERATOR" ./cmd/operator
	go run -C lab ./cmd/lab image operator --output "$HSJ_OPERATOR_IMAGE"
	for helm in helm helm3; do
		go tool -modfile=tools/$helm/go.mod helm version --short >/dev/null
	done
	[ "${HSJ_NO_BROWSER:-}" = 1 ] || tools/ui.sh install
fi

# client-go then panics where something in a cache is changed, which the pools' controller reads without copying it.
export KUBE_CACHE_MUTATION_DETECTOR=true

failed=()
for module in "$@"; do
	echo "== test $module"
	# Those of the operator mostly wait for the lab: more of them go side by side than there are cores.
	parallel=()
	[ "$module" = . ] && parallel=(-parallel 4)
	# shellcheck disable=SC2086 # TEST_FLAGS is a list of words
	(cd "$module" && go test -race -shuffle=on -timeout 50m "${parallel[@]}" ${TEST_FLAGS:-} ./... 2>&1) | tee -a "$scratch/tests.log" || failed+=("$module")
done
if [ ${#failed[@]} -gt 0 ]; then
	# Once more at the end, where it is looked for: what failed, and what it said, without the logs of programs.
	echo "tests failed in: ${failed[*]}" >&2
	grep -E '^ *--- FAIL|^ +[a-z_]+\.go:[0-9]+: |^panic:|\[build failed\]' "$scratch/tests.log" | cut -c1-200 | head -n 40 >&2
	exit 1
fi
