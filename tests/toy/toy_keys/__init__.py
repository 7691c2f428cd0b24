"""A kind of keys from another distribution, as small as one can be: tests install it, and it shows what one needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsvc.backends.base import Installed, Scheme
from secretsvc.errors import KeyRefError
from secretsvc.keyref import KeyRef

if TYPE_CHECKING:
    from secretsvc.backends.base import Settings
    from toy_keys.backend import Toy

_NAME = r"[a-z0-9][a-z0-9.-]{0,60}/[a-z0-9-]{1,30}"
_URL = "https://"


class ToyScheme(Scheme):
    """Keys of a toy KMS, `toy:HOST/NAME` in small letters; `https://HOST/NAME` names one, too."""

    name, title, example = "toy", "Toy KMS", "HOST/NAME"
    cost = 2
    secrets = ("TOY_TOKEN",)

    def backend(self, settings: Settings) -> Toy:
        from toy_keys.backend import Toy

        return Toy(settings)

    def parse(self, text: str) -> KeyRef:
        name = text.strip().lower().removeprefix(_URL)
        if not re.fullmatch(_NAME, name):
            raise KeyRefError("that is not the name of a Toy KMS key", hint="give toy:HOST/NAME")
        return KeyRef(self.name, name)

    def is_bare(self, text: str) -> bool:
        return text.lower().startswith(_URL)

    def home(self, ref: KeyRef) -> str:
        return ref.id.partition("/")[0]

    def installed(self) -> Installed:
        return Installed(True, "the toy is here")


SCHEME = ToyScheme()
