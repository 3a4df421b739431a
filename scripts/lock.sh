#!/bin/sh
# Pins every environment, with hashes and without a registry's address: `make lock`.
set -eu
uv=$1
pin() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@"
}
pin pyproject.toml requirements/pins.in --extra server --extra trainer --extra cli --extra camera \
    --extra dev --extra metrics \
    -o requirements/development.txt
pin pyproject.toml requirements/pins.in --extra server --extra cli \
    -c requirements/development.txt -o requirements/demo.txt
# What the container's image holds: the server, and no tool to install more.
pin pyproject.toml --extra server --extra metrics --extra jwt --extra tracing --extra uvloop \
    -c requirements/development.txt -o requirements/image.txt
pin pyproject.toml requirements/pins.in requirements/playground.in --extra server --extra cli \
    --extra camera --extra playground \
    -c requirements/development.txt -o requirements/playground.txt
# Several hosts on one machine: a Ray cluster, Envoy, a DNS.
pin pyproject.toml requirements/pins.in requirements/scale.in --extra server --extra cli \
    --extra ray --extra metrics --extra jwt \
    -c requirements/development.txt -o requirements/scale.txt
pin requirements/protos.in -o requirements/protos.txt
