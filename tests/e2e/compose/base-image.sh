#!/bin/sh
# base-image.sh [TAG]: makes a stand-in for the image node:22-bookworm-slim without a registry: a minimal Debian from the
# machine's apt mirror, with the machine's own Node and npm copied in. DOCKER names the docker command (default docker).
# Extra certificate authorities of the machine go into the build context (tools/docker/certificates), for npm behind a proxy.
set -eu
tag=${1:-node:22-bookworm-slim}
docker=${DOCKER:-docker}
repository=$(cd "${0%/*}/../../.." && pwd)
for file in /usr/local/share/ca-certificates/*.crt; do
  [ ! -e "$file" ] || cp "$file" "$repository/tools/docker/certificates/"
done
if $docker image inspect "$tag" >/dev/null 2>&1; then
  echo "$tag is there"
  exit 0
fi

# The mirror that apt uses here: in one-line (sources.list) or deb822 form (*.sources).
mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' \
  /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | head -n 1)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase bookworm "$root" "${mirror:?apt on this machine has no Debian mirror}" >/dev/null

cp -L "$(command -v node)" "$root/usr/local/bin/node"
npm_folder=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
mkdir -p "$root/usr/local/lib/node_modules"
cp -r "$npm_folder" "$root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
# The machine's way to the registries: apt proxies and npm settings, if there are any.
for file in /etc/apt/apt.conf.d/*proxy* /etc/npmrc; do
  [ ! -e "$file" ] || cp --parents "$file" "$root"
done
[ ! -e /etc/apt/sources.list.d/debian.sources ] || {
  cp /etc/apt/sources.list.d/debian.sources "$root/etc/apt/sources.list.d/"
  rm -f "$root/etc/apt/sources.list"
}
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar -C "$root" -c . | $docker import --change 'CMD ["node"]' - "$tag"
