"""The second reader of kubesec's files: it opens what kubesec 0.9.2 wrote, and nothing that was altered.

These tests judge the judge: where it lets something through, the tests that rely on it prove nothing.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests import kubesec_reader
from tests.integration.gpg_home import GpgHome
from tests.kubesec_reader import KeyLine, NotHeldError, RefusedError, in_writing_order, misplaced, read, unwrap_with_gpg

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "data" / "kubesec"
VECTORS = ["edge.rsa", "opaque.ecc", "opaque.rsa", "patched.rsa", "rotated.rsa", "string-data.rsa+ecc", "tls.rsa"]
FINGERPRINT = dict(line.split() for line in (FOLDER / "keys.txt").read_text().splitlines())
DEK = bytes(range(32))
AWS = "arn:aws:kms:eu-west-1:111122223333:key/0"
GCP = "projects/p/locations/l/keyRings/r/cryptoKeys/k"


def sealed(name: str) -> bytes:
    return (FOLDER / f"{name}.enc.yaml").read_bytes()


@pytest.fixture(scope="module")
def home() -> Iterator[GpgHome]:
    home = GpgHome()
    home.gpg("--import", data=(FOLDER / "pgp-secret-keys.asc").read_bytes())
    yield home
    home.close()


@pytest.fixture(scope="module")
def deks(home: GpgHome) -> dict[tuple[str, str, bytes], bytes]:
    """What real gpg makes of every key line of the vectors, so that the many tests after it need no gpg."""
    unwrap = unwrap_with_gpg(home.path)
    lines = [line for path in FOLDER.glob("*.enc.yaml") for line in kubesec_reader.envelope_of(path.read_text()).keys]
    return {line: unwrap(*line) for line in lines}


class TestVectors:
    def test_all_of_them_are_here(self) -> None:
        found = {path.name for path in FOLDER.iterdir()}
        names = {f"{name}.{kind}.yaml" for name in VECTORS for kind in ("enc", "dec")} | {"v2-no-mac.rsa.enc.yaml"}
        plain = {f"{name}.yaml" for name in ("edge", "opaque", "string-data", "tls")}
        assert found == names | plain | {"README.md", "keys.txt", "pgp-public-keys.asc", "pgp-secret-keys.asc"}

    @pytest.mark.parametrize("name", VECTORS)
    def test_opens_to_what_kubesec_prints(self, home: GpgHome, name: str) -> None:
        opened = read(sealed(name), unwrap_with_gpg(home.path))
        assert opened == yaml.safe_load((FOLDER / f"{name}.dec.yaml").read_bytes())
        assert misplaced(sealed(name)) == []

    @pytest.mark.parametrize("name", ["edge.rsa", "opaque.ecc", "opaque.rsa", "string-data.rsa+ecc", "tls.rsa"])
    def test_opens_to_what_was_sealed(self, deks: dict[tuple[str, str, bytes], bytes], name: str) -> None:
        plain = yaml.safe_load((FOLDER / f"{name.partition('.')[0]}.yaml").read_bytes())
        assert read(sealed(name), deks) == plain

    @pytest.mark.parametrize("key", ["rsa", "ecc"])
    def test_any_one_key_opens(self, deks: dict[tuple[str, str, bytes], bytes], key: str) -> None:
        one = {line: dek for line, dek in deks.items() if line[1] == FINGERPRINT[key]}
        opened = read(sealed("string-data.rsa+ecc"), one)
        assert opened == yaml.safe_load((FOLDER / "string-data.rsa+ecc.dec.yaml").read_bytes())

    def test_a_file_without_mac_is_refused(self, deks: dict[tuple[str, str, bytes], bytes]) -> None:
        with pytest.raises(RefusedError, match="no MAC"):
            read(sealed("v2-no-mac.rsa"), deks)


def changed(text: str, at: int) -> str:
    """Another base64 character in place of the one there."""
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


@pytest.mark.parametrize("name", ["edge.rsa", "opaque.ecc", "string-data.rsa+ecc"])
class TestTampering:
    def test_one_character_of_each_token(self, deks: dict[tuple[str, str, bytes], bytes], name: str) -> None:
        text = sealed(name).decode()
        tokens = re.findall(r"(?m)^  \S+: ([\w+/]+=*(?:\.[\w+/]+=*){1,2})$", text)
        assert len(tokens) == sum(text.count(f"\n  {key}: ") for key in self.keys(text))
        for token in tokens:
            characters = [at for at, character in enumerate(token) if character not in ".="]
            for at in {characters[0], characters[-1], *characters[:: max(1, len(characters) // 10)]}:
                with pytest.raises(RefusedError, match=r"does not match|base64 that nothing writes"):
                    read(text.replace(token, changed(token, at)).encode(), deks)

    @staticmethod
    def keys(text: str) -> list[str]:
        secret = yaml.safe_load(text)
        return [*secret["data"], *secret.get("stringData", {})]

    def test_one_character_of_the_mac(self, deks: dict[tuple[str, str, bytes], bytes], name: str) -> None:
        text = sealed(name).decode()
        start = text.index("# kubesec:mac:") + len("# kubesec:mac:")
        for at in range(start, len(text)):
            if text[at] not in ".=\n":
                with pytest.raises(RefusedError, match=r"does not match|base64 that nothing writes"):
                    read(changed(text, at).encode(), deks)

    def test_one_character_of_an_id(self, deks: dict[tuple[str, str, bytes], bytes], name: str) -> None:
        dek = next(dek for line, dek in deks.items() if b64encode(line[2]) in sealed(name))
        text = sealed(name).decode()
        for found in re.finditer(r"(?m)^# kubesec:pgp:(\w+):", text):
            with pytest.raises(RefusedError, match="the MAC does not match"):
                read(changed(text, found.start(1)).encode(), lambda *_: dek)
        assert read(text.encode(), lambda *_: dek)

    def test_a_wrapped_dek(self, home: GpgHome, name: str) -> None:
        text = re.sub(r"(?m)^(# kubesec:pgp:\w+:)(.{200}).", r"\1\2#", sealed(name).decode())
        with pytest.raises(RefusedError, match="malformed base64"):
            read(text.encode(), unwrap_with_gpg(home.path))

        def broken(found: re.Match[str]) -> str:
            armour = b64decode(found[2]).decode()
            return found[1] + b64encode(changed(armour, armour.index("\n\n") + 200).encode()).decode()

        text = re.sub(r"(?m)^(# kubesec:pgp:\w+:)(.*)$", broken, sealed(name).decode())
        with pytest.raises(RefusedError, match="none of the keys"):
            read(text.encode(), unwrap_with_gpg(home.path))

    def test_an_entry_taken_out_or_put_twice(self, deks: dict[tuple[str, str, bytes], bytes], name: str) -> None:
        lines = sealed(name).decode().splitlines(keepends=True)
        entries = [at for at, line in enumerate(lines) if re.match(r"  \S+: .+\.", line)]
        for at in entries:
            with pytest.raises(RefusedError, match="the MAC does not match"):
                read("".join(lines[:at] + lines[at + 1 :]).encode(), deks)
            twin = lines[at].replace(":", "2:", 1)
            with pytest.raises(RefusedError, match="does not match"):
                read("".join([*lines[:at], twin, *lines[at:]]).encode(), deks)

    def test_a_line_of_the_envelope_taken_out(self, deks: dict[tuple[str, str, bytes], bytes], name: str) -> None:
        lines = sealed(name).decode().splitlines(keepends=True)
        for at, line in enumerate(lines):
            if line.startswith("# kubesec:"):
                with pytest.raises(RefusedError, match=r"not sealed|none of the keys|MAC does not match|no MAC"):
                    read("".join(lines[:at] + lines[at + 1 :]).encode(), deks)


def test_two_pgp_lines_in_the_other_order(deks: dict[tuple[str, str, bytes], bytes]) -> None:
    lines = sealed("string-data.rsa+ecc").decode().splitlines(keepends=True)
    rsa, ecc = (at for at, line in enumerate(lines) if line.startswith("# kubesec:pgp:"))
    lines[rsa], lines[ecc] = lines[ecc], lines[rsa]
    with pytest.raises(RefusedError, match="the MAC does not match"):
        read("".join(lines).encode(), deks)


def test_two_tokens_in_each_others_place(deks: dict[tuple[str, str, bytes], bytes]) -> None:
    text = sealed("opaque.rsa").decode()
    swapped = text.replace("  username:", "  x:").replace("  password:", "  username:").replace("  x:", "  password:")
    with pytest.raises(RefusedError, match="a token or the MAC does not match"):
        read(swapped.encode(), deks)


def test_a_value_moved_from_one_key_to_the_next_is_seen_by_its_own_key_alone() -> None:
    """The MAC runs keys and values together: `a`: `bc` and `ab`: `c` are one to it, and each token has its own key."""
    sealed_a = made({"data": {"a": "bc"}})
    sealed_ab = made({"data": {"ab": "c"}})
    token = re.search(r"ab: (\S+)", sealed_ab)
    assert token
    crossed = re.sub(r"a: \S+", f"ab: {token[1]}", sealed_a)
    assert read(crossed.encode(), lambda *_: DEK)["data"] == {"ab": "c"}


def made(secret: dict[str, dict[str, str]], keys: str = f"pgp:{'A' * 40}", version: str = "3", size: int = 48) -> str:
    """A file in kubesec's format under DEK; `keys` are lines without the wrapped DEK, in MAC order as they stand."""
    cipher = AESGCM(DEK)

    def encrypt(text: bytes, aad: bytes) -> str:
        iv = os.urandom(12)
        both = cipher.encrypt(iv, text, aad)
        return ".".join(b64encode(part).decode() for part in (both[:-16], iv, both[-16:]) if part)

    lines, covered = ["kind: Secret"], b""
    for field, entries in secret.items():
        lines.append(f"{field}:")
        for key, value in sorted(entries.items()):
            lines.append(f"  {key}: {encrypt(value.encode() + bytes(-len(value.encode()) % size), key.encode())}")
            covered += key.encode() + value.encode()
    covered += "".join(key.partition(":")[2] for key in keys.split()).encode()
    lines += [f"# kubesec:v:{version}", *(f"# kubesec:{key}:eA==" for key in keys.split())]
    return "\n".join([*lines, f"# kubesec:mac:{encrypt(b'', covered)}", ""])


def opened(text: str) -> object:
    return read(text.encode(), lambda *_: DEK)


SAMPLE = made({"data": {"a": "YQ==", "z": ""}, "stringData": {"b": "c"}}, version="4")
PLAIN = {"kind": "Secret", "data": {"a": "YQ==", "z": ""}, "stringData": {"b": "c"}}


class TestForm:
    def test_the_sample(self) -> None:
        assert opened(SAMPLE) == PLAIN
        assert misplaced(SAMPLE.encode()) == []

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("kind: Secret\n", "kind: ConfigMap\n", "no Secret"),
            ("kind: Secret\n", "kind: List\n", "no Secret"),
            ("kind: Secret\n", "x: 1\n---\nkind: Secret\n", "no Secret"),
            ("kind: Secret\n", "kind: [\n", "malformed YAML"),
            ("kind: Secret\n", "kind: Secret\n# kubesec:new:x\n", "unknown kind"),
            ("kind: Secret\n", "# kubesec:hello\nkind: Secret\n", "no colon"),
            ("# kubesec:v:4\n", "# kubesec:v:5\n", "unknown version"),
            ("# kubesec:v:4\n", "# kubesec:v:\n", "unknown version"),
            ("# kubesec:v:4\n", "# kubesec:v:4 \n", "unknown version"),
            ("# kubesec:v:4\n", "# kubesec:v:4\r\n", "does not end where it should"),
            ("# kubesec:v:4\n", "# kubesec:v:4:x\n", "unknown version"),
            ("# kubesec:v:4\n", "# kubesec:v:4\n# kubesec:v:4\n", "a second one"),
            ("# kubesec:v:4\n", " # kubesec:v:4\n", "not sealed"),
            ("# kubesec:v:4\n", "#kubesec:v:4\n", "not sealed"),
            ("# kubesec:v:4\n", "", "not sealed"),
            ("# kubesec:pgp:", "# kubesec:pgp:x:", "three parts"),
            ("# kubesec:pgp:", "# kubesec:age:", "unknown kind"),
            ("# kubesec:pgp:" + "A" * 40 + ":", "# kubesec:pgp:", "three parts"),
            (":eA==", ":eA=", "malformed base64"),
            (":eA==", ":eB==", "base64 that nothing writes"),
            (":eA==", ":e_8=", "malformed base64"),
            ("# kubesec:mac:", "# kubesec:mac:AAAA.", "malformed"),
            ("  a: ", "  7: ", "no string"),
            ("  a: ", "  7e2: ", "no string"),
            ("  a: ", "  0o7: ", "no string"),
            ("  a: ", "  y: ", "no string"),
            ("  a: ", "  on: ", "no string"),
            ("  a: ", "  ~: ", "no string"),
            ("  b: ", "  null: ", "no string"),
            ("  a: ", "  a: x  #", "malformed base64|a token that is none"),
            ("  a: ", "  a: AAAA  #", "a token that is none"),
            ("  a: ", "  a: YWJj.  #", "a token that is none"),
            ("  a: ", "  a: 1  #", "no string"),
            ("  a: ", "  a: {}  #", "no string"),
            ("  a: ", "  a:  #", "no string"),
            ("  a: ", '  a: ""  #', "a token that is none"),
            ("  a: ", "  a: .", "a token that is none"),
            ("  z: ", "  z: .", "a token that is none"),
            ("data:\n", "data: text\nx:\n", "data is no mapping"),
            ("stringData:\n", "stringData: []\nx:\n", "stringData is no mapping"),
        ],
    )
    def test_what_is_refused(self, old: str, new: str, message: str) -> None:
        assert old in SAMPLE
        with pytest.raises(RefusedError, match=message):
            opened(SAMPLE.replace(old, new, 1))

    def test_crlf_is_refused(self) -> None:
        with pytest.raises(RefusedError, match="does not end where it should"):
            opened(SAMPLE.replace("\n", "\r\n"))

    def test_a_version_in_the_first_line_does_not_count(self) -> None:
        lines = SAMPLE.splitlines(keepends=True)
        moved = ["# kubesec:v:4\n", *(line for line in lines if ":v:" not in line)]
        with pytest.raises(RefusedError, match="not sealed"):
            opened("".join(moved))

    def test_later_documents_do_not_count(self) -> None:
        assert opened(SAMPLE + "---\n{ not even YAML\n") == PLAIN

    def test_what_is_no_utf8(self) -> None:
        with pytest.raises(RefusedError, match="not UTF-8"):
            read(SAMPLE.encode("utf-16"), lambda *_: DEK)

    def test_a_dek_of_a_wrong_length(self) -> None:
        with pytest.raises(RefusedError, match="wrong length"):
            read(SAMPLE.encode(), lambda *_: DEK[:16])

    def test_more_keys_than_have_a_known_order(self) -> None:
        assert opened(made({}, " ".join(f"aws:{number:02}" for number in range(30))))
        with pytest.raises(RefusedError, match="too many keys"):
            opened(made({}, "pgp:0 " + " ".join(f"aws:{number:02}" for number in range(12))))

    def test_name_and_namespace_are_not_covered(self) -> None:
        """The format's weakness, and not this reader's: design FORMAT says so too."""
        assert opened(SAMPLE + "metadata: {name: other}\n") == {**PLAIN, "metadata": {"name": "other"}}


class TestWritersForm:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            (made({"data": {"a": "b"}}), []),
            (made({"data": {"a": "b"}}, version="4"), ["the version"]),
            (made({"stringData": {"a": "b"}}), ["the version"]),
            (made({"data": {"a": "b" * 48, "c": "d" * 49}}), []),
            (made({"data": {"a": "b"}}, size=32), ["the padding of a"]),
            (made({"data": {"a": "b"}}, keys="pgp:B aws:C"), []),
            (made({"data": {"a": "b"}}, keys="pgp:B pgp:B"), ["a key that is there twice"]),
            (made({"data": {"a": "b"}}).replace("kind:", "# kubesec:mac:x\nkind:", 1).rpartition("# ")[0],
             ["the order of the lines", "the place of the lines"]),
            (made({"data": {"a": "b"}}) + "x: 1\n", ["the place of the lines"]),
        ],
    )  # fmt: skip
    def test_what_kubesec_would_not_have_written(self, text: str, found: list[str]) -> None:
        assert misplaced(text.encode()) == found

    def test_keys_in_another_order(self) -> None:
        text = made({"data": {"a": "b"}}, keys=f"pgp:B aws:{AWS}")
        first, second = re.findall(r"# kubesec:(?:pgp|aws).*\n", text)
        turned = text.replace(first + second, second + first)
        assert misplaced(turned.encode()) == ["the order of the keys"]
        assert opened(turned) == opened(text)  # kubesec sorts before it looks at the MAC

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (["pgp:B", "pgp:A"], ["pgp:B", "pgp:A"]),
            (["aws:arn", "pgp:A"], ["pgp:A", "aws:arn"]),
            (["aws:arn", "gcp:projects"], ["aws:arn", "gcp:projects"]),
            (["gcp:projects", "aws:arn"], ["gcp:projects", "aws:arn"]),
            (["gcp:projects", "aws:arn", "pgp:A"], ["pgp:A", "gcp:projects", "aws:arn"]),
            (["aws:b", "gcp:c", "pgp:a"], ["pgp:a", "aws:b", "gcp:c"]),
            (["aws:b", "pgp:c", "gcp:a"], ["aws:b", "pgp:c", "gcp:a"]),
            (["aws:z", "pgp:m", "gcp:a", "pgp:b"], ["pgp:m", "gcp:a", "pgp:b", "aws:z"]),
        ],
    )
    def test_the_odd_order(self, before: list[str], after: list[str]) -> None:
        lines = [KeyLine(*name.split(":"), b"") for name in before]  # type: ignore[misc,arg-type]
        assert [f"{line.scheme}:{line.id}" for line in in_writing_order(lines)] == after

    @pytest.mark.parametrize("keys", [f"aws:{AWS} gcp:{GCP}", f"gcp:{GCP} aws:{AWS}", f"pgp:{'1' * 40} gcp:{GCP}"])
    def test_ids_with_colons_open(self, keys: str) -> None:
        text = made({"data": {"a": "b"}}, keys)
        seen: list[tuple[str, str]] = []
        read(text.encode(), lambda scheme, name, _wrapped: seen.append((scheme, name)) or DEK)
        assert seen == [tuple(keys.split(maxsplit=1)[0].split(":", 1))]
        assert misplaced(text.encode()) == []


class TestGpg:
    """What kubesec demands of a wrapped DEK: an armoured message with a valid signature, for a key that is here."""

    @pytest.fixture
    def ecc(self) -> str:
        return FINGERPRINT["ecc"]

    def message(self, home: GpgHome, key: str, *options: str) -> bytes:
        return home.gpg("--local-user", key, "--recipient", key, *options, "--encrypt", data=DEK)

    def test_signed_and_armoured(self, home: GpgHome, ecc: str) -> None:
        assert unwrap_with_gpg(home.path)("pgp", ecc, self.message(home, ecc, "--armor", "--sign")) == DEK

    def test_not_signed(self, home: GpgHome, ecc: str) -> None:
        with pytest.raises(NotHeldError, match="no valid signature"):
            unwrap_with_gpg(home.path)("pgp", ecc, self.message(home, ecc, "--armor"))

    def test_not_armoured(self, home: GpgHome, ecc: str) -> None:
        with pytest.raises(NotHeldError, match="not armoured"):
            unwrap_with_gpg(home.path)("pgp", ecc, self.message(home, ecc, "--sign"))

    def test_signed_and_not_encrypted_to_that_key(self, home: GpgHome, ecc: str) -> None:
        message = self.message(home, ecc, "--armor", "--sign")
        with pytest.raises(NotHeldError, match="no such secret key"):
            unwrap_with_gpg(home.path)("pgp", "0" * 40, message)
        with pytest.raises(NotHeldError, match="no such secret key"):
            unwrap_with_gpg(home.path)("pgp", ecc.lower(), message)

    def test_a_signature_of_somebody_unknown(self, home: GpgHome, ecc: str) -> None:
        other = GpgHome()
        try:
            other.gpg("--import", data=(FOLDER / "pgp-public-keys.asc").read_bytes())
            signer = other.make_pair("Other")
            message = other.gpg("--local-user", signer, "-r", ecc, "--armor", "--sign", "--encrypt", data=DEK)
        finally:
            other.close()
        with pytest.raises(NotHeldError, match="gpg failed"):
            unwrap_with_gpg(home.path)("pgp", ecc, message)

    def test_other_kinds_of_keys(self, home: GpgHome) -> None:
        with pytest.raises(NotHeldError, match="aws is not for gpg"):
            unwrap_with_gpg(home.path)("aws", AWS, b"x")
