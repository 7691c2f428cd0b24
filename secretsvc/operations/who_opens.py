"""Who can open each Secret of a file, and how old its data key is: told without a key, and nothing of it is proven."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

from secretsvc import formats
from secretsvc.backends import unversioned_uri
from secretsvc.errors import KsecretError
from secretsvc.formats.sops_metadata import sealed_by_sops
from secretsvc.manifest.model import Manifest
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from secretsvc.document.base import Leaf
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
    """What is sealed: its name, as `get` and `set` take it, and a mark that is the same for the same token only."""
    unnamed: tuple[str, ...] = ()
    """Names among these that `set` can't take: of a second document of SOPS's, with a `=` in them."""
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
        """Tell how somebody who holds these keys opens it: ALONE, TOGETHER, or empty for not at all.

        A key's name without a version stands for each of its versions.
        """
        held = sum(any(ref in keys or unversioned_uri(ref) in keys for ref in group) for group in self.groups)
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
    tokens = [(entry.key, _mark(entry.value)) for entry in secret.entries if format_.is_token(entry.value)]
    unnamed = tuple(key for key, _ in tokens if not secret.name or "=" in key)
    clear = tuple(entry.path for entry in secret.entries if not format_.is_token(entry.value))
    try:
        sealed = format_.read(manifest, secret)
    except KsecretError:  # `check` says what is wrong with it
        return known._replace(values=tuple(tokens), unnamed=unnamed, clear=clear)
    return known._replace(
        state=SEALED,
        created=sealed.created,
        values=tuple(tokens),
        unnamed=unnamed,
        clear=clear,
        groups=tuple(tuple(str(key.ref) for key in group) for group in sealed.groups),
        needed=sealed.threshold,
    )


def _of_tree(tree: SealedTree, file: str, names: list[str], policy: Policy | None) -> SecretFacts:
    from secretsvc.operations import documents

    metadata = tree.metadata
    label, namespace, name = file, "", ""
    if len(names) == 1:
        label = names[0]
        namespace, _, name = label.rpartition("/")
    environment = _environment(file, namespace, name, policy)
    try:
        clear = tuple(documents.by_rule(tree)[1])
    except KsecretError:  # its rule is none
        return SecretFacts(file, metadata.line, label, "", BROKEN, "sops", environment=environment)
    groups: list[list[str]] = [[] for _ in range(metadata.groups)]
    for entry in metadata.entries:
        groups[entry.key.group].append(str(entry.key.ref))
    values, unnamed = _values_of(tree, has_entries=bool(names))
    return SecretFacts(
        *(file, metadata.line, label, "", SEALED, "sops", metadata.created, values, unnamed, clear),
        groups=tuple(map(tuple, groups)),
        needed=documents.groups_needed(metadata),
        environment=environment,
    )


def _values_of(tree: SealedTree, *, has_entries: bool) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """What is sealed in it, by the words that `set` has for it, and the words that it can't take after all.

    `has_entries`: it is a manifest, whose entries are called by their own names, and encoded.
    """
    from secretsvc.formats.sops.cipher import is_token
    from secretsvc.formats.sops.sealing import named

    sealed = [leaf for leaf in tree.document.leaves if leaf.value.kind == "str" and is_token(leaf.value.text)]

    def is_entry(leaf: Leaf) -> bool:
        return has_entries and leaf.path[:-1] in (("data",), ("stringData",))

    words = [str(leaf.path[-1]) if is_entry(leaf) else named(leaf.path) for leaf in sealed]
    values = tuple((word, _mark(leaf.value.text.decode())) for word, leaf in zip(words, sealed, strict=True))
    known = [word for word, leaf in zip(words, sealed, strict=True) if not leaf.unit and "=" not in word]
    counts = Counter(words)
    once = {word for word in known if counts[word] == 1}
    return values, tuple(word for word in counts if word not in once)


def _mark(token: str) -> str:
    """Return what is as good as the token to tell it from others, and shorter."""
    return sha256(token.encode()).hexdigest()


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
    parts = (
        path,
        f"namespace {rule.namespace.plain}" if rule.namespace else "",
        f"name {rule.name.plain}" if rule.name else "",
    )
    return ", ".join(filter(None, parts))


def _shown(glob: Glob) -> str:
    """A pattern as people write it."""
    names = [name.plain if name else "**" for name in glob.names]
    return "/".join(names[1:] if names[0] == "**" and len(names) == 2 else names) + "/" * glob.folders_only
