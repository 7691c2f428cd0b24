"""What somebody who leaves could open, now or in history, and so which values are to be changed. Needs no key."""

from __future__ import annotations

from collections import Counter

from secretsvc.generators.fixed_keys import BASIC_AUTH, BOOTSTRAP_TOKEN, SERVICE_ACCOUNT_TOKEN, SSH_AUTH
from secretsvc.operations.who_opens import ALONE
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from secretsvc.operations.who_opens import SecretFacts

SAME, OTHER, GONE = "same", "other", "gone"
"""What became of a value: the token that they could open stands there still; another one does, for the same value or a
new one, which only a key tells; nothing does."""

_LENGTH = 32
_BY_TYPE = {
    "kubernetes.io/tls": "issue a new certificate with a new key",
    "kubernetes.io/dockerconfigjson": "make a new login",
    "kubernetes.io/dockercfg": "make a new login",
    SSH_AUTH: "make a new pair of keys",
    SERVICE_ACCOUNT_TOKEN: "delete the Secret in the cluster: Kubernetes makes a new token",
}
"""What is done about types no value of which is any text."""
_NO_TEXT = pattern(
    r"(?i)(?:.*[._-])?(?:user|username|login|email|host|hostname|server|port|url|uri|dsn|endpoint|region|database|db|dbname"
    r"|schema|bucket|ca|cert|certificate|config|kubeconfig|connection|connectionstring|json|ya?ml|toml|xml|ini|cfg|conf"
    r"|properties|env|txt|sql|crt|cer|pem|der|key|pub|p12|pfx|jks|keystore|truststore)"
)
"""Names of values that stand for more than a password: a random text in their place would break what reads them."""
_KEYS = pattern(r"(?i)(?:.*[._-])?(?:api|access|secret|signing|encryption|master)[._-]?key")
"""Names that end like a file with a key in it, and are texts."""


class Exposed(Record):
    """A Secret that somebody could open."""

    facts: SecretFacts
    """As it stands in the work tree in that file; where it is not there any more, as they could last open it."""
    how: str
    """ALONE, or TOGETHER with others."""
    values: dict[str, str]
    """Name → what became of it."""
    now: bool = True
    """Whether the keys open it in the work tree as it stands there."""
    commits: tuple[str, ...] = ()
    """The first and the last commit that they could open it in, where history was looked through."""
    there: SecretFacts | None = None
    """The Secret of the work tree whose values are to be changed: in another file where it seems to have moved."""

    @property
    def environment(self) -> str:
        """Return where it belongs, by the policies of today where it stands today."""
        return (self.there or self.facts).environment


class Former(Record):
    """A version of a Secret in a commit."""

    commit: str
    facts: SecretFacts


def exposed(now: Iterable[SecretFacts], former: Iterable[Former], keys: Container[str]) -> list[Exposed]:
    """Return each Secret that these keys could open, in the work tree and in versions, the oldest first.

    A Secret is known by its file and its name. Where its file has it no more, it may be the only one of that name.
    """
    now = list(now)
    found: dict[tuple[str, str], Exposed] = {}
    for one in now:
        how = one.opened_by(keys)
        if how:
            states = dict.fromkeys((name for name, _ in one.values), SAME)
            found[one.file, one.label] = Exposed(one, how, states, there=one)
    by_place = {(one.file, one.label): one for one in now}
    labels = Counter(one.label for one in now)
    by_label = {one.label: one for one in now if labels[one.label] == 1}  # else nobody knows which of them it was
    for commit, one in former:
        how = one.opened_by(keys)
        if how:
            place = one.file, one.label
            there = by_place.get(place) or by_label.get(one.label)
            found[place] = _with(found.get(place), one, there, how, commit)
    return sorted(found.values(), key=lambda one: (one.environment, one.facts.file, one.facts.line))


def _with(known: Exposed | None, one: SecretFacts, there: SecretFacts | None, how: str, commit: str) -> Exposed:
    """Return what is known of a Secret, with one more version of it."""
    tokens = dict(there.values) if there else {}
    states = dict(known.values) if known else {}
    for name, mark in one.values:
        state = GONE if name not in tokens else SAME if tokens[name] == mark else OTHER
        if states.get(name) != SAME:
            states[name] = state
    first = known.commits[0] if known and known.commits else commit
    how = ALONE if known and known.how == ALONE else how
    is_now = known is not None and known.now
    facts = there if there and there.file == one.file else one
    return Exposed(facts, how, states, is_now, (first, commit), there)


def words_for(one: Exposed) -> tuple[list[str], dict[str, str]]:
    """Return the `--random` words for values of a Secret, and names that are changed by hand, with what to do."""
    words: list[str] = []
    by_hand: dict[str, str] = {}
    for name, state in one.values.items():
        if state == GONE:
            continue
        why = _by_hand(one.there or one.facts, name)
        if why:
            by_hand[name] = why
        elif one.facts.type == BOOTSTRAP_TOKEN:
            words.append(f"{name}=16:lower")
        else:
            words.append(f"{name}={_LENGTH}")
    return words, by_hand


def _by_hand(facts: SecretFacts, name: str) -> str:
    """Tell what is to be done about a value that is no random text; empty for one that may be."""
    if facts.type in _BY_TYPE:
        return _BY_TYPE[facts.type]
    if facts.type == BOOTSTRAP_TOKEN:
        return "" if name == "token-secret" else "goes with its token-secret"
    if name in facts.unnamed:
        return "ksecret edit changes it"
    if facts.type == BASIC_AUTH and name == "password":
        return ""
    last = name.rpartition(".")[2] if facts.format == "sops" else name
    return "see what is in it" if _NO_TEXT.fullmatch(last) and not _KEYS.fullmatch(last) else ""
