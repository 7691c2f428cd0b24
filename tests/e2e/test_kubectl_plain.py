"""is_string against the kubectl on this machine, over many thousands of generated scalars."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from base64 import b64encode
from itertools import product
from typing import TYPE_CHECKING

import pytest

from secretsvc.manifest.scalars import is_string

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")

HEAD = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\nspec:\n"

# kubectl refuses a whole file for one of these ("unsupported value: +Inf"), so they go one by one.
NOT_IN_JSON = [".nan", ".NaN", ".NAN", *(s + w for s in ("", "+", "-") for w in (".inf", ".Inf", ".INF"))]

TABLE = """
    ~ null Null NULL nUll NULl y Y yes Yes YES yEs n N no No NO nO on On ON oN off Off OFF oFF
    true True TRUE tRUE false False FALSE fALSE nan NaN .Nan +.nan -.nan inf infinity Infinity +inf +Infinity .iNF
    .infinity 0 -0 +1 -1 007 08 09 -08 1_000 1__0 1_ -_1 0_8 0_x1F 0x1F 0X1f 0x_1 0x1_ 0xg 0x 0x_ 0x1p-2
    0o17 0O17 0o8 -0o17 +0o7 0b1 0B1 0b2 0b -0b1 +0b1 0b-1 0b+1 0b-_1 0B-1 -0b-1 -0b+1 +0b-1 0b--1 0o-1 0x-1
    2147483648 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809
    18446744073709551615 18446744073709551616 -18446744073709551616 123456789012345678901234567890
    0x7fffffffffffffff 0xffffffffffffffff 0x10000000000000000 -0x8000000000000000 -0x8000000000000001
    +0x7fffffffffffffff +0x8000000000000000 -0xffffffffffffffff 0x52908400098527886E0F7030069857D2E4169EE7
    01777777777777777777777 02000000000000000000000 0777777777777777777777777
    0o1777777777777777777777 0o2000000000000000000000 0o777777777777777777777777
    12e3 1e10 27E5 9e99 1e308 1e309 1e400 -1e400 1e-400 0e999 12345e678901 1e_1 1_e1 1e1_0 1.e5 1. 1._ 1._5 1_.5
    0e462097431906509019562988736854 5e462097431906509019562988736854
    .5 .5e3 .1_ ._1 .1_2 .1__2 .1_e5 .1e_5 .1e5_ .1_2e1_0 .1e400 .e5 .1e -.5 -._1 -.1_ +_.5 . .. ... _ _1 __ + -- ++
    +. -. = << < <<< 1:30 190:20:30 20:30.15 1,000 1= 12e= 12== y= 1f 10L 1..0 1.2.3
    2001-01-01 2001-1-1 2001-02-30 2001-01-01T00:00:00Z 2001-12-14t21:59:43.10-05:00 2001-01 2001-
"""
ODD = ["", "1 2", "2001-12-14 21:59:43.10", "\u0661", "1\u0662", "\uff11", "9" * 308, "9" * 400]


def scalars() -> list[str]:
    """The tables, all short texts over the letters that matter, and random ones; the same on every run."""
    short = ["".join(letters) for n in (1, 2, 3) for letters in product("01789._-+eExXobBnafiyY", repeat=n)]
    four = ["".join(letters) for letters in product("019._-+eExb", repeat=4)]
    rng = random.Random(8)
    longer = ["".join(rng.choices("0123456789_.-+eExob", k=rng.randint(5, 12))) for _ in range(10_000)]
    digits = ["".join(rng.choices("0123456789_", k=rng.randint(15, 25))) for _ in range(1_000)]
    hexes = ["0x" + "".join(rng.choices("0123456789abcdefABCDEF", k=rng.randint(15, 18))) for _ in range(300)]
    binary = ["0b" + "".join(rng.choices("01", k=rng.randint(62, 66))) for _ in range(300)]
    signed = [sign + text for text in hexes + binary + digits[:300] for sign in "+-"]
    floats = [rng.choice(["", ".", "2.", "-"]) + f"{rng.randint(0, 99)}e{rng.randint(-330, 330)}" for _ in range(2_000)]
    secrets = [b64encode(rng.randbytes(n)).decode() for n in (3, 3, 3, 3, 4, 5, 6, 9, 32) for _ in range(2_000)]
    every = [*TABLE.split(), *ODD, *short, *four, *longer, *digits, *hexes, *binary, *signed, *floats, *secrets]
    return [text for text in dict.fromkeys(every) if text != "-" and text not in NOT_IN_JSON]


def too_big(text: str) -> bool:
    """A number beyond what kubectl converts: int64 (uint64 without a sign) where it has a base, else a float."""
    plain = text.replace("_", "").lower()
    try:
        if plain.lstrip("+-")[:2] in ("0x", "0o", "0b"):
            return not -(2**63) <= int(plain, 0) < (2**63 if plain[0] in "+-" else 2**64)
        return float(plain) in (float("inf"), float("-inf"))
    except ValueError:
        return False


def allowed(text: str) -> bool:
    """Strings to kubectl that is_string may call otherwise: it asks for quotes where it need not."""
    return text == "<<" or too_big(text)  # "<<" merges where it is a key


def kubectl(directory: Path, manifest: str) -> subprocess.CompletedProcess[str]:
    file = directory / "thing.yaml"
    file.write_text(HEAD + manifest, encoding="utf-8")
    command = ["kubectl", "label", "--local", "-f", str(file), "-o", "json", "checked=yes"]
    environment = {**os.environ, "KUBECONFIG": os.devnull, "HOME": str(directory)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120)


def spec(directory: Path, manifest: str) -> object:
    done = kubectl(directory, manifest)
    assert done.returncode == 0, done.stderr[:500]
    return json.loads(done.stdout)["spec"]


def test_values_as_kubectl_types_them(tmp_path: Path) -> None:
    texts = scalars()
    read = spec(tmp_path, "".join(f"- {text}\n" for text in texts))
    assert isinstance(read, list), read
    pairs = list(zip(texts, read, strict=True))
    changed = [(text, value) for text, value in pairs if value != text]
    kept = [text for text, value in pairs if value == text]
    assert len(changed) > 3_000, "too few of the generated texts are numbers"
    assert len(kept) > 20_000, "too few of the generated texts are strings"
    wrong = [(text, value) for text, value in changed if is_string(text)]
    assert not wrong, f"{len(wrong)} that kubectl changes, such as {wrong[:20]}"
    strict = [text for text in kept if not is_string(text) and not allowed(text)]
    assert not strict, f"{len(strict)} that kubectl keeps, such as {strict[:20]}"


def test_keys_stay_as_they_are(tmp_path: Path) -> None:
    texts = [text for text in scalars() if is_string(text)]
    read = spec(tmp_path, "".join(f"  {text}: v\n" for text in texts))
    assert isinstance(read, dict), read
    lost = [text for text in texts if text not in read]
    assert not lost, f"{len(lost)} that kubectl changes as keys, such as {lost[:20]}"
    assert len(read) == len(texts), f"keys that nobody wrote: {sorted(set(read) - set(texts))[:20]}"


def test_infinities_are_refused(tmp_path: Path) -> None:
    for text in NOT_IN_JSON:
        done = kubectl(tmp_path, f"- {text}\n")
        assert "unsupported value" in done.stderr, f"{text!r}: {done.stderr[:200]}"
        assert not is_string(text), f"{text!r} is a float"
