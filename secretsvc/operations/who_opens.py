"""Who can open each Secret of a file, and how old its data key is: told without a key, and nothing of it is proven."""

from __future__ import annotations

from secretsvc import formats
from secretsvc.errors import KsecretError
from secretsvc.formats.sops_metadata import sealed_by_sops
from secretsvc.manifest.model import Manifest
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from secretsvc.files.globs import Glob
    from secretsvc.manifest.model import Secret
    from secretsvc.operations.documents import SealedTree
    from secretsvc.policy.policies import Policy
    from secretsvc.policy.reader import KeyRule

SEALED, BROKEN, CLEAR = "sealed", "broken", "clear"
"""States of a Secret: an envelope that can be read, one that can't, none."""
ALONE, TOGETHER = "alone", "together"
"""How some keys open a Secret: by themselves, or with keys of other groups, which others hold."""


class SecretFacts(Record):
    """One Secret, or one file that SOPS's format seals, as it stands there. Plain values only."""

    file: str
    line: int
    label: str
    """As messages name it: `prod/db-auth`; a file's own name where SOPS sealed it."""
    type: str
    state: str
    format: str = ""
    """`ksecret`, `kubesec`, `sops`; empty where it is not sealed."""
    created: str = ""
    """When the data key was made, as envelopes tell it; empty where the format does not."""
    values: tuple[tuple[str, str], ...] = ()
    """What is sealed: its name, as `get` and `set` take it, and its token."""
    clear: tuple[str, ...] = ()
    """Names of what stands there in the clear."""
    groups: tuple[tuple[str, ...], ...] = ()
    """The KeyRefs of each group of keys: one group but where the data key is split."""
    needed: int = 1
    """How many of the groups have to be opened."""
    environment: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Every KeyRef, once."""
        return tuple(dict.fromkeys(ref for group in self.groups for ref in group))

    def opened_by(self, keys: Container[str]) -> str:
        """Tell how somebody who holds these keys opens it: ALONE, TOGETHER, or empty for not at all."""
        held = sum(any(ref in keys for ref in group) for group in self.groups)
        return "" if not held else ALONE if held >= self.needed else TOGETHER


def facts(seen: Iterable[Manifest | SealedTree], file: str, policy: Policy | None) -> list[SecretFacts]:
    """Return what a file's readings tell: manifests, and the tree that it is to SOPS, which then tells it all."""
    manifests: list[Manifest] = []
    trees: list[SealedTree] = []
    for one in seen:
        if isinstance(one, Manifest):
            manifests.append(one)
        else:
            trees.append(one)
    if trees:
        names = [secret.label for manifest in manifests for secret in manifest.secrets]
        return [_of_tree(trees[0], file, names, policy)]
    found = (one for manifest in manifests for one in _of_manifest(manifest, file, policy))
    return list(dict.fromkeys(found))  # of a file in conflict there are several readings


def _of_manifest(manifest: Manifest, file: str, policy: Policy | None) -> Iterator[SecretFacts]:
    format_ = formats.of(manifest)
    for secret in manifest.secrets:
        environment = _environment(file, secret.namespace, secret.name, policy)
        if format_.is_sealed(manifest, secret):
            yield _sealed(manifest, secret, file)._replace(environment=environment)
        elif sealed_by_sops(secret):  # its tree tells, unless that could not be read
            yield SecretFacts(file, secret.line, secret.label, secret.type, BROKEN, "sops", environment=environment)
        elif secret.entries:
            clear = tuple(entry.path for entry in secret.entries)
            yield SecretFacts(
                *(file, secret.line, secret.label, secret.type, CLEAR), clear=clear, environment=environment
            )


def _sealed(manifest: Manifest, secret: Secret, file: str) -> SecretFacts:
    format_ = formats.of(manifest)
    known = SecretFacts(file, secret.line, secret.label, secret.type, BROKEN, format_.name)
    tokens = [(entry.key, entry.value) for entry in secret.entries if format_.is_token(entry.value)]
    clear = tuple(entry.path for entry in secret.entries if not format_.is_token(entry.value))
    try:
        sealed = format_.read(manifest, secret)
    except KsecretError:  # `check` says what is wrong with it
        return known._replace(values=tuple(tokens), clear=clear)
    groups: dict[int, list[str]] = {}
    for key in sealed.keys:
        groups.setdefault(key.group, []).append(str(key.ref))
    return known._replace(
        state=SEALED,
        created=sealed.created,
        values=tuple(tokens),
        clear=clear,
        groups=tuple(tuple(refs) for _, refs in sorted(groups.items())),
        needed=min(getattr(sealed, "threshold", 1), len(groups)),
    )


def _of_tree(tree: SealedTree, file: str, names: list[str], policy: Policy | None) -> SecretFacts:
    from secretsvc.formats.sops.sealing import named
    from secretsvc.operations import documents

    metadata = tree.metadata
    groups: list[list[str]] = [[] for _ in range(metadata.groups)]
    for entry in metadata.entries:
        groups[entry.key.group].append(str(entry.key.ref))
    sealed, clear = documents.by_rule(tree)
    tokens = {named(leaf.path): leaf.value.text.decode("utf-8", "replace") for leaf in tree.document.leaves}
    namespace, _, name = names[0].rpartition("/") if names else ("", "", "")
    return SecretFacts(
        *(file, metadata.line, names[0] if len(names) == 1 else file, "", SEALED, "sops", metadata.created),
        values=tuple((path, tokens[path]) for path in sealed),
        clear=tuple(clear),
        groups=tuple(map(tuple, groups)),
        needed=documents.groups_needed(metadata),
        environment=_environment(file, namespace, name, policy),
    )


def _environment(file: str, namespace: str | None, name: str | None, policy: Policy | None) -> str:
    """Name where a Secret belongs: by the rule that fits it, else by its namespace, else by the folder of its file."""
    rule = policy.rule_for(file, namespace, name) if policy else None
    said = _said_by(rule) if rule else ""
    top, slash, _ = file.removeprefix("./").partition("/")
    folder = f"{top}/" if slash and top not in ("", "..") else "."
    return said or (f"namespace {namespace}" if namespace else folder)


def _said_by(rule: KeyRule) -> str:
    """A rule's conditions; empty where it has none."""
    path = _shown(rule.path) if rule.path else ""
    parts = (path, f"namespace {rule.namespace}" if rule.namespace else "", f"name {rule.name}" if rule.name else "")
    return ", ".join(filter(None, parts))


def _shown(glob: Glob) -> str:
    """A pattern as people write it."""
    names = [name.plain if name else "**" for name in glob.names]
    return "/".join(names[1:] if names[0] == "**" and len(names) == 2 else names) + "/" * glob.folders_only
