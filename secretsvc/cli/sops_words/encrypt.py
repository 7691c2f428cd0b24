"""`encrypt`."""

from __future__ import annotations

from secretsvc.cli import options
from secretsvc.cli.report import warn
from secretsvc.cli.sops_words import config, files
from secretsvc.cli.sops_words.codes import CONFLICT, GENERIC, NO_DOCUMENT, NOT_DUMPED, SopsError, exits
from secretsvc.errors import BackendError, NoKeyError
from secretsvc.operations.documents.seal import seal_file
from secretsvc.operations.request import stated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.sops_words.files import InputFile
    from secretsvc.cli.sops_words.words import Words


def encrypt(words: Words) -> int:
    """Seal a file by `.sops.yaml` and the options, and put it out."""
    if not words.plain and not words.text("filename-override"):
        raise SopsError(CONFLICT, "of which kind standard input is, --filename-override must say")
    source = files.source(words)
    with files.named(source):
        data = sealed(words, source)
    files.put(words, source, data, private=False)
    return 0


def sealed(words: Words, source: InputFile) -> bytes:
    """Return the file sealed, in the kind that is to come out. Raises what sealing raises."""
    backends = options.backends(options.Unlocking())
    with exits(GENERIC):
        rule = config.rule_for(words, source.name)
        keys, selection = config.keyset(words, rule, backends), config.selection(words, rule)
    if source.kind == "yaml" and not source.data.strip():
        raise SopsError(NO_DOCUMENT, "it is empty, and has no document that could be sealed")
    keyring = backends.with_principals(keys.principals)
    try:
        result = seal_file(source.data, keys, selection, keyring, name=source.name, kind=source.kind, now=stated())
    except (BackendError, NoKeyError) as error:
        error.sops_code = GENERIC  # type: ignore[union-attr]
        raise
    if words.has("verbose"):
        for line, what in result.notes:
            warn(f"line {line}: {what}")
    if source.output_kind == source.kind:
        return result.data
    from secretsvc.operations.documents.as_kind import in_kind

    with exits(NOT_DUMPED):
        return in_kind(files.sealed_tree(source._replace(data=result.data)), source.output_kind)
