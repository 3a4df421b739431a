#!/bin/sh -e
# Brings into build/ what PECL and Composer would: gRPC's extension and library for PHP. Debian has
# both in the source of its gRPC, though not as a package. The rest are packages: driver.json.
mkdir -p build/apt/lists/partial build/grpc
cd build

# Sources may not be among what this machine's apt looks at.
cat /etc/apt/sources.list.d/debian.sources 2>/dev/null | sed 's/^Types:.*/Types: deb-src/' > apt/debian.sources
cat /etc/apt/sources.list 2>/dev/null | sed -n 's/^deb /deb-src /p' > apt/sources.list
apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$PWD/apt/sources.list" -o Dir::Etc::sourceparts="$PWD/apt" \
    -o Dir::State::lists="$PWD/apt/lists" -o APT::Sandbox::User=root "$@"
}
apt update
apt source --download-only "grpc=$(dpkg-query -W -f '${source:Version}' libgrpc-dev)"
tar -xzf grpc_*.orig.tar.gz -C grpc --strip-components=1 --wildcards '*/etc/roots.pem' '*/src/php'

cd grpc/src/php/ext/grpc
phpize
GRPC_LIB_SUBDIR="lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)" ./configure --enable-grpc --quiet
make --quiet
cp modules/grpc.so ../../../../..
