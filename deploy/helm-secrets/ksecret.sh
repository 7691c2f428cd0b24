#!/usr/bin/env sh
# A backend of helm-secrets by ksecret: it opens values files in SOPS's format, and Secrets in ksecret's own and in
# kubesec's, with ksecret's keys, policies and service. docs/helm.md has more.
#
#   HELM_SECRETS_BACKEND=/path/to/ksecret.sh helm upgrade app ./chart -f secrets://values.yaml
#
# helm-secrets reads this file into its own shell (sh, `set -euf`) and calls the functions below, with arguments as its
# scripts/lib/backend.sh has them. HELM_SECRETS_KSECRET_PATH names ksecret where it is not on PATH; what stands in
# HELM_SECRETS_BACKEND_ARGS goes to every call, as it does for sops. Each function is a subshell: it sets nothing outside.

# A verb of ksecret, its arguments, and a file at the end, which is never taken for an option or for standard input.
_ksecret() (
    verb=$1
    shift
    # shellcheck disable=SC2086 # several words, as the user typed them
    exec "${HELM_SECRETS_KSECRET_PATH:-ksecret}" "${verb}" ${SECRET_BACKEND_ARGS:-} "$@"
)

_ksecret_path() {
    case "$1" in
    -*) printf './%s' "$1" ;;
    *) printf '%s' "$1" ;;
    esac
}

# Whether ksecret has to look at it. What is not sealed, helm gets as it is; so of a file that has tokens and nothing
# to open them by, this says yes, and decrypting it fails. So does whatever else is wrong with it (3: nothing is sealed).
_custom_backend_is_file_encrypted() (
    file=$(_ksecret_path "$1")
    _ksecret inspect -- "${file}" >/dev/null 2>&1 || [ $? -ne 3 ] ||
        LC_ALL=C grep -q -F -e 'ENC[AES256_GCM,' -e 'ksecret.v1.' -- "${file}"
)

_custom_backend_is_encrypted() (
    _ksecret inspect - >/dev/null 2>&1 || [ $? -ne 3 ]
)

# Type (ksecret tells it by the file), file, and where to: the file itself, another one, or standard output.
_ksecret_from_to() (
    verb=$1
    file=$(_ksecret_path "$2")
    if [ -z "${3:-}" ]; then
        _ksecret "${verb}" -- "${file}"
    elif [ "$2" = "$3" ]; then
        _ksecret "${verb}" --in-place -- "${file}"
    else
        _ksecret "${verb}" --output="$(_ksecret_path "$3")" -- "${file}" # which is the owner's alone (0600)
    fi
)

_custom_backend_decrypt_file() {
    _ksecret_from_to decrypt "$2" "${3:-}"
}

_custom_backend_encrypt_file() {
    _ksecret_from_to encrypt "$2" "${3:-}"
}

_custom_backend_edit_file() {
    _ksecret edit -- "$(_ksecret_path "$2")"
}

# What stands behind `secrets+literal://`: a whole sealed file in one argument, or what is in the clear anyway.
_custom_backend_decrypt_literal() {
    printf '%s' "$1" | _ksecret decrypt --if-needed -
}
