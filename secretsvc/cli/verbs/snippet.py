"""`ksecret snippet`."""

from __future__ import annotations

import sys

from secretsvc.cli.batch import content
from secretsvc.errors import InputError
from secretsvc.files.workspace import name_of
from secretsvc.generators import snippet
from secretsvc.manifest.reader import read
from secretsvc.operations.open import nothing_sealed_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret snippet db.yaml                what its type calls for: imagePullSecrets, an Ingress's tls, else envFrom
  ksecret snippet db.yaml --env          one variable for each key
  ksecret snippet db.yaml --volume       a file for each key"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("file", metavar="FILE", help="a manifest, sealed or not; - is standard input")
    parser.add_argument("--env", action="store_true", help="env with a secretKeyRef for each key")
    parser.add_argument("--env-from", action="store_true", help="envFrom, the keys being the variables' names")
    parser.add_argument("--volume", action="store_true", help="a volume with an item for each key, and its mount")


def run(args: Arguments) -> int:
    """Prints the fragment of every Secret in the file; needs no key. The exit code."""
    data = content(args.file)
    name = name_of(args.file)
    asked = ((args.env, snippet.env), (args.env_from, snippet.env_from), (args.volume, snippet.volume))
    forms = [form for is_asked, form in asked if is_asked]
    try:
        secrets = read(data).secrets
        if not secrets:
            raise nothing_sealed_in(data)
        text = "".join(snippet.snippet(secret, forms) for secret in secrets)
    except InputError as error:
        error.file = error.file or name
        raise
    sys.stdout.write(text)
    return 0
