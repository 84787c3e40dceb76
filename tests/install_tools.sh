#!/bin/sh
# What the tests need beyond Python: SIPp, Chromium and systemd, as Debian packages. Needs root; says so when it cannot.
set -eu
missing=""
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
[ -e /lib/systemd/systemd ] || missing="$missing systemd"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed:$missing. Tests that need them are skipped. To run them: sudo apt-get install$missing"
    exit 0
fi
echo "installing for the tests:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 -- a list of package names
apt-get install -y -qq --no-install-recommends $missing >/dev/null
