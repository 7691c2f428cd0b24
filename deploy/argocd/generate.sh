#!/bin/sh
# What plugin.yaml has Argo CD run in an Application's folder: prints its manifests, opened. A file of its own, because
# Argo CD shows the whole command before each error. Whoever writes to the folder is a stranger: docs/argocd.md
set -eu
own=/identities/$ARGOCD_APP_PROJECT_NAME.age.key
if [ -e "$own" ]; then
  export KSECRET_AGE_KEY_FILE="$own"
fi
render() (
  # shellcheck disable=SC3045 # not POSIX's, but the image's sh has it
  ulimit -v 786432 # KiB: of the container's memory one repository gets so much
  ksecret render --only-namespace="$ARGOCD_APP_NAMESPACE" "$@"
)
if [ -e kustomization.yaml ] || [ -e kustomization.yml ] || [ -e Kustomization ]; then
  manifests=$(kustomize build .)
elif [ -e Chart.yaml ]; then
  set -f --
  for file in ${ARGOCD_ENV_VALUES-}; do # of this folder; no option, no address, and no list
    case $file in
      -* | /* | *..* | *[!A-Za-z0-9._/-]*)
        echo "VALUES: $file is no file of this folder" >&2
        exit 2
        ;;
    esac
    set -- "$@" --values="$file"
  done
  manifests=$(helm template "${ARGOCD_APP_NAME#*_}" . --namespace="$ARGOCD_APP_NAMESPACE" --include-crds \
    ${KUBE_VERSION:+--kube-version="$KUBE_VERSION"} ${KUBE_API_VERSIONS:+--api-versions="$KUBE_API_VERSIONS"} "$@")
else
  render -r .
  exit
fi
printf '%s\n' "$manifests" | render -
