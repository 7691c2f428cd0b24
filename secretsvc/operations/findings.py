"""Findings of `check`: the rules by their codes, which stay what they are, and one finding (docs/policy.md)."""

from __future__ import annotations

from secretsvc.record import Record

SHORT = 12
"""How many hex digits of a commit's id stand for it."""


class CheckRule(Record):
    """One kind of finding. `help` says what to do about it."""

    code: str
    name: str
    summary: str
    help: str
    level: str = "error"
    """As SARIF has it: `error`, or `note` for what is worth a look and is wrong only where somebody says so."""


class Finding(Record):
    """One thing that is wrong in one file; `message` is one line without any value."""

    file: str
    line: int
    code: str
    message: str
    commit: str = ""
    """The id of the commit that holds that version of the file, where history is looked through."""

    def as_json(self) -> dict[str, object]:
        """The same under the names of JSON, with the rule's name; `level` where it is another than `error`."""
        rule = RULES[self.code]
        told = {name: value for name, value in self._asdict().items() if name != "commit" or value}
        return {**told, "rule": rule.name} | ({"level": rule.level} if rule.level != "error" else {})


RULES = {
    rule.code: rule
    for rule in (
        CheckRule(
            "KS001",
            "plaintext-secret",
            "Values of a Secret, or of a file that .sops.yaml wants sealed, are in the clear",
            "Seal it with `ksecret encrypt -i FILE`. If it was pushed, change the values too: Git keeps old ones.",
        ),
        CheckRule(
            "KS002",
            "half-sealed-secret",
            "A sealed Secret, or a file that SOPS sealed, has values in the clear",
            "Seal the rest with `ksecret encrypt -i FILE`; `ksecret set` adds values that are sealed at once.",
        ),
        CheckRule(
            "KS003",
            "token-without-envelope",
            "A token stands in a Secret that has no envelope, so nothing can open it",
            "Restore the `ksecret:` member from Git, or put the clear value there and seal it.",
        ),
        CheckRule(
            "KS004",
            "encoded-token",
            "A token was base64-encoded, so it would be deployed as if it were the value",
            "Put the token there as it is, or open the file, mend the value and seal it again.",
        ),
        CheckRule(
            "KS005",
            "repeated-value",
            "A value is repeated in the clear beside its token: in an annotation or a comment",
            "Delete it, annotations with `ksecret encrypt --from-cluster`; deploy with `--server-side`.",
        ),
        CheckRule(
            "KS006",
            "broken-envelope",
            "The envelope or a token can't be right, whatever the key",
            "Restore the file from Git; upgrade ksecret where the version is not known.",
        ),
        CheckRule(
            "KS007",
            "wrong-identity",
            "A Secret is not the one that it was sealed for, so it will not open",
            "To move a Secret, open it under its old name and seal it under the new one.",
        ),
        CheckRule(
            "KS008",
            "keyset-differs",
            "A Secret, or a file that SOPS sealed, is not sealed to the keys that its policy names",
            "Bring it to what the policy says with `ksecret keys sync FILE`, or mend the policy.",
        ),
        CheckRule(
            "KS009",
            "old-data-key",
            "A data key is older than rotation.maxAge in .ksecret.yaml",
            "Rotate it with `ksecret rotate FILE`.",
        ),
        CheckRule(
            "KS010",
            "unreadable-secret",
            "A file that seems to hold a Secret can't be read",
            "Mend what the message names; nobody can tell whether such a file is safe.",
        ),
        CheckRule(
            "KS011",
            "literal-in-template",
            "A template's Secret has a value in the clear",
            "Take the value from outside the template, or keep it in a sealed Secret of its own.",
        ),
        CheckRule(
            "KS012",
            "unresolved-merge",
            "A merge left two values for a key, or two envelopes, so the Secret will not open",
            "Keep one of the two lines, under the key's own name, and take the comments away; docs/git.md shows how.",
        ),
        CheckRule(
            "KS013",
            "private-key",
            "An age identity, which opens what is sealed to it, stands in a file",
            "Take it out. If it was pushed: make a new one, rotate what is sealed to it, change the values too.",
        ),
        CheckRule(
            "KS014",
            "nested-secret",
            "A Secret inside another object is in the clear, and ksecret does not seal it there",
            "Keep the Secret in a document of its own, and seal it; or let the values come from elsewhere.",
        ),
        CheckRule(
            "KS015",
            "no-rule",
            "A Secret, or a file that SOPS sealed, is covered by no rule of its policy",
            "Add a rule that fits it (one without path, namespace and name fits all), then `ksecret keys sync FILE`. "
            "A policy of another name, such as .ksecret.yml, is not read.",
        ),
        CheckRule(
            "KS016",
            "conflict-markers",
            "Git's conflict markers stand in a file with a Secret",
            "Finish the merge; docs/git.md shows how `ksecret git merge` does it for sealed files.",
        ),
        CheckRule(
            "KS017",
            "new-data-key",
            "A commit brings a data key or recipients that the file had not before",
            "Whoever made the commit may know that data key: see who that is, and `ksecret rotate FILE` before a value "
            "is added that they may not read. `dataKey: fresh` in .ksecret.yaml has every change do that.",
            level="note",
        ),
        CheckRule(
            "KS018",
            "unusable-recipient",
            "A rule of .ksecret.yaml or .sops.yaml names a key that no backend takes, so nothing can be sealed by it",
            "Copy the recipient again whole; for a kind of keys of another package, install that package here.",
        ),
        CheckRule(
            "KS019",
            "selection-differs",
            "What of a file SOPS seals, or what its MAC covers, is not what .sops.yaml says",
            "Decrypt the file and encrypt it again, which takes the rule of now; or mend the rule.",
        ),
        CheckRule(
            "KS020",
            "empty-selection",
            "A file has SOPS's metadata, and nothing of it is sealed",
            "Mend the pattern in .sops.yaml, decrypt the file, encrypt it again. If it was pushed, change its values.",
        ),
    )
}
