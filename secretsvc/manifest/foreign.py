"""Files in which nothing is sealed, and what to say of them: others' formats, objects of other kinds, or nothing.

For messages alone, and asked only once there is nothing to work on: nothing here decides what is sealed or opened.
Of the file's own words only kinds of objects and names of Secrets are repeated.
"""

from __future__ import annotations

from secretsvc.errors import ManifestError
from secretsvc.manifest import line_reader, nodes
from secretsvc.manifest.nodes import text_of
from secretsvc.patterns import pattern
from secretsvc.record import Record
from secretsvc.tokens import NOT_YET, SOPS_CUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Manifest

_LISTED = 3
"""How many kinds and names a message shows."""
_MOST_LOOKED_AT = 4096
"""Bytes from a file's beginning that tell whose it is."""
_KIND = pattern(r"[A-Z][A-Za-z0-9]{0,62}")
_CONFLICT = pattern(rb"(?m)^(?:<{7}|={7}|>{7})(?: .*)?\r?$")
_VARIABLE = pattern(rb"(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_.]*[ \t]*=")
_SOPS = pattern(rb"(?m)^(?:sops_mac[ \t]*=|\[sops\][ \t]*\r?$)")
_SOPS_TIME = pattern(rb"(?m)^[ \t]*(?:sops_)?lastmodified[ \t]*[=:]")
_IDENTITY = pattern(rb"(?i)AGE-SECRET-KEY-(?:1|PQ-1)")
_UTF_16 = pattern(rb"(?s)\xff\xfe|\xfe\xff|(?:\0[^\0]){2}|(?:[^\0]\0){2}")


class Diagnosis(Record):
    """An error's message and hint."""

    message: str
    hint: str
    line: int = 0


_BY_AGE = Diagnosis("it is a file that age encrypted as a whole", "`age --decrypt` opens it")
_BY_START = {
    b"age-encryption.org/v1": _BY_AGE,
    b"-----BEGIN AGE ENCRYPTED FILE": _BY_AGE,
    b"-----BEGIN PGP MESSAGE": Diagnosis("it is a file that gpg encrypted as a whole", "`gpg --decrypt` opens it"),
    b"$ANSIBLE_VAULT;": Diagnosis("it is a file of Ansible Vault's", "`ansible-vault view` opens it"),
    b"\0GITCRYPT\0": Diagnosis("it is a file that git-crypt encrypted", "`git-crypt unlock` opens it"),
    b"-----BEGIN ": Diagnosis(
        "it is a PEM file, a key or a certificate, and no manifest",
        "`ksecret create tls` and `create generic --from-file` make sealed Secrets of such files",
    ),
}
"""How others' files start; the first that fits counts."""

_BY_KIND = {
    "SealedSecret": Diagnosis(
        "it is a SealedSecret, which the keys of its controller in the cluster open",
        "with them `ksecret convert --sealed-secrets-key` does; `ksecret import secret/NAME` takes what it made",
    ),
    "ExternalSecret": Diagnosis("it is an ExternalSecret, which holds no value", "nothing in it needs to be sealed"),
    "ConfigMap": Diagnosis(
        "it is a ConfigMap, and ksecret works on Secrets only",
        "for what is to be sealed write `kind: Secret`, with the values under stringData",
    ),
    "Kustomization": Diagnosis(
        "it is a Kustomization, and no Secret", "seal the Secrets that it names, one by one, or with -r FOLDER"
    ),
}


def unreadable(data: bytes, error: ManifestError) -> ManifestError:
    """Return what is wrong with bytes that are no manifest, where more can be told than the reader's own error does."""
    found = no_manifest(data) or _marker(data)
    return ManifestError(found.message, hint=found.hint, line=found.line) if found else error


def no_manifest(data: bytes) -> Diagnosis | None:
    """Tell whose file it is, told by its beginning; None for what may be a manifest."""
    start = data[:_MOST_LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip()
    if found := next((found for head, found in _BY_START.items() if start.startswith(head)), None):
        return found
    if _UTF_16.match(data):
        hint = "in PowerShell: `… | Out-File -Encoding utf8 FILE`; elsewhere `iconv -f UTF-16 -t UTF-8` converts it"
        return Diagnosis("it is UTF-16, as PowerShell's `>` writes it, and not UTF-8", hint, 1)
    first = next((line for line in start.splitlines() if line.strip() and not line.startswith(b"#")), b"").lstrip()
    if _IDENTITY.match(first):
        hint = "keep it where only you can read it, and out of Git; KSECRET_AGE_KEY_FILE names it"
        return Diagnosis("it is an age identity, a private key, and no manifest", hint)
    if _VARIABLE.match(first) or first.startswith(b"["):
        return _of_variables(data, is_env=not first.startswith(b"["))
    return None


def _of_variables(data: bytes, *, is_env: bool) -> Diagnosis | None:
    if _SOPS.search(data):
        way = NOT_YET if _SOPS_TIME.search(data) else SOPS_CUT
        return Diagnosis("it is sealed by SOPS, and no manifest", way)
    if not is_env:
        return None
    hint = "`ksecret create generic NAME --from-env-file FILE -o secret.yaml` makes a sealed Secret of it"
    return Diagnosis("it is a file of variables (.env), and no manifest", hint)


def conflict(data: bytes) -> Diagnosis | None:
    """Git's conflict markers, where they make the file unreadable."""
    found = _marker(data)
    return found if found and not line_reader.leading_documents(data.decode("utf-8", "replace"))[1] else None


def _marker(data: bytes) -> Diagnosis | None:
    """Look where a file can't be read: in a text within a manifest such a line may be just that."""
    marker = _CONFLICT.search(data) if any(sign * 7 in data for sign in (b"<", b"=", b">")) else None
    if not marker:
        return None
    hint = "choose between the two versions, in an editor or by `git checkout --ours|--theirs FILE`"
    return Diagnosis("Git's conflict markers stand in it", hint, data.count(b"\n", 0, marker.start()) + 1)


def without_values(manifest: Manifest) -> Diagnosis:
    """Return what a readable text is that has no Secret with values."""
    if manifest.secrets:
        whose = "its Secret has" if len(manifest.secrets) == 1 else "its Secrets have"
        return Diagnosis(f"{whose} no values", "put them under stringData; then ksecret encrypt seals them")
    found = no_manifest(manifest.text.encode("utf-8", "surrogatepass"))
    if found:
        return found
    roots = [root for root in manifest.documents if not nodes.is_null(root)]
    if not roots:
        what = "it holds nothing but comments" if manifest.text.strip() else "it is empty"
        return Diagnosis(what, "`ksecret create` makes a Secret, and `ksecret edit -f FILE` one in your editor")
    kinds = [text_of(nodes.value(root, "kind")) for root in roots if isinstance(root, nodes.Mapping)]
    if not any(kinds):
        return Diagnosis("it holds no Kubernetes object, and so no Secret", "name a manifest of `kind: Secret`")
    return _of_kinds(list(dict.fromkeys(kind for kind in kinds if kind)))


def _of_kinds(kinds: list[str]) -> Diagnosis:
    if len(kinds) == 1 and kinds[0] in _BY_KIND:
        return _BY_KIND[kinds[0]]
    names = [kind for kind in kinds if _KIND.fullmatch(kind) and kind != "Secret"]
    what = f"there is no Secret in it, but {some(names)}" if names else "there is no Secret of Kubernetes' own in it"
    return Diagnosis(what, "name a manifest of `kind: Secret` and `apiVersion: v1`")


def some(names: list[str]) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
