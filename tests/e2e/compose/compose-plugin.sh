#!/bin/sh
# compose-plugin.sh DIR: puts the Compose v2 plugin into DIR/cli-plugins (DIR is to be DOCKER_CONFIG), from Debian trixie's
# package, which runs on bookworm too; bookworm has only Compose v1. apt verifies the package; nothing is installed.
set -eu
target=$1/cli-plugins
[ ! -x "$target/docker-compose" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$target" "$work/lists/partial" "$work/cache/archives/partial"
mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
  /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:?apt on this machine has no Debian mirror} trixie main" >"$work/sources.list"
apt() {
  apt-get -qq -o Acquire::Retries=5 -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
apt update
(cd "$work" && apt download docker-compose)
dpkg-deb -x "$work"/docker-compose_*.deb "$work/root"
cp "$(find "$work/root" -type f -name docker-compose -perm -100 | head -n 1)" "$target/docker-compose"
