#!/bin/sh
# Opens every sealed manifest under a folder and applies them all, or none: the deploy step of the pipelines beside it.
# KSECRET_SERVER and a token (or keys at hand) are in the environment; KUBECTL may name another kubectl.
set -eu
folder=${1:?which folder?}
# In memory, for its owner only, and gone afterwards. `ksecret … | kubectl …` would apply what had come when ksecret
# failed halfway; with -o there is either the whole stream or no file.
clear=$(mktemp -d /dev/shm/ksecret.XXXXXX)
trap 'rm -rf "$clear"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
ksecret decrypt -r "$folder" -o "$clear/all.yaml"
${KUBECTL:-kubectl} apply --server-side -f "$clear/all.yaml" # leaves no last-applied annotation with the values in it
