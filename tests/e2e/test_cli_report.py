"""`ksecret report`: who opens what, without a key, over files of every kind."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.cli.main import main
from secretsvc.keyref import KeyGroups
from tests.e2e.cli import MANIFEST, MARKS, Person
from tests.e2e.many import Many

if TYPE_CHECKING:
    from pathlib import Path

POLICY = """\
version: 1
people:
  ann: {ann}
  bob@example.org: [{bob}]
  both: [{ann}, {bob}]
rules:
- {{path: "prod/**", keys: [ann]}}
- {{namespace: "team-*", keys: [ann, bob@example.org]}}
- keys: [ann, bob@example.org]
rotation: {{maxAge: 90d}}
"""


class Team(Person):
    """Ann at work in a repository, whose policy names her and Bob."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "ann")
        self.bob = Person(folder, "bob")
        self.write(".ksecret.yaml", POLICY.format(ann=self.ref, bob=self.bob.ref).encode())

    def seal(self, name: str, *people: Person, data: bytes = MANIFEST, created: str = "2026-03-09T10:11:12Z") -> None:
        """A file that is sealed to them, whatever the policy says."""
        refs = tuple(one.lock.keys[0] for one in people)
        self.write(name, self.lock._replace(keys=refs).seal(data, created=created))


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    team = Team(tmp_path)
    monkeypatch.chdir(team.work)
    monkeypatch.setenv("COLUMNS", "200")
    return team


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What a report in this process prints, without a key; nothing of it is a value."""
    assert main(["report", *words]) == code
    captured = capsys.readouterr()
    assert not any(mark in captured.out + captured.err for mark in MARKS)
    return captured.out + captured.err


def as_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["report", "--json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_it_tells_who_opens_how_many_and_what_differs_from_the_policy(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    team.seal("prod/db.yaml", team)
    team.seal("prod/web.yaml", team, team.bob)
    team.seal("dev/db.yaml", team, team.bob, data=MANIFEST.replace(b"namespace: prod", b"namespace: team-a"))
    team.write("dev/clear.yaml")
    out = told(capsys)
    assert out.startswith("3 sealed Secrets in 4 files, 1 in the clear, 3 names, 5 files looked at\n")
    assert re.search(rf"\n  ann +3  {team.ref}\n  bob@example\.org +2  {team.bob.ref}\n  both +3  ", out)
    assert re.search(r"\n  namespace prod +1 file, 0 sealed, 1 in the clear\n", out)
    assert re.search(r"\n  namespace team-\* +1 file, 1 sealed\n  prod/\*\* +2 files, 2 sealed\n", out)
    assert re.search(r"\nDATA KEYS BY MONTH\n  2026-03 +3  #{40}\n", out)
    drift = out[out.index("DRIFT") : out.index("OTHER")]
    assert (
        f"prod/web.yaml:14: KS008 prod/db differs from .ksecret.yaml: sealed to bob@example.org ({team.bob.ref})"
        in drift
    )
    assert drift.count("KS009") == 3
    assert "dev/clear.yaml:9: KS001" in out[out.index("OTHER") :]
    assert re.search(r"    prod/web\.yaml: prod/db  ann, bob@example\.org, both  \(\d+ days\)\n", out)


def test_as_json_it_has_keys_names_and_ages_and_no_value(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    stranger = Person(team.home, "stranger")
    team.seal("prod/db.yaml", team, stranger)
    found = as_json(capsys, "prod")
    (one,) = found["secrets"]
    assert (one["file"], one["label"], one["state"], one["format"]) == ("prod/db.yaml", "prod/db", "sealed", "ksecret")
    assert one["keyGroups"] == [sorted((team.ref, stranger.ref))]
    assert one["openedBy"] == {"ann": "alone", "both": "alone", stranger.ref: "alone"}
    assert one["values"] == ["username", "password", "url"]
    assert one["environment"] == "prod/**"
    assert found["months"] == {"2026-03": 1}
    assert [(one["name"], one["alone"]) for one in found["holders"]] == [
        *(("ann", 1), ("bob@example.org", 0), ("both", 1)),
        (stranger.ref, 1),
    ]
    assert {one["code"] for one in found["drift"]} == {"KS008", "KS009"}
    assert "ksecret.v1." not in json.dumps(found)


def test_of_sops_files_with_groups_it_tells_who_opens_them_only_together_with_others(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = f"[{{age: [{team.ref[4:]}]}}, {{age: [{team.bob.ref[4:]}]}}]"
    team.write("apps/.sops.yaml", f"creation_rules: [{{shamir_threshold: 2, key_groups: {groups}}}]\n".encode())
    team.write("apps/app.env", b"# of the shop\nPASSWORD=n0t-public\n")
    team.ok("encrypt", "-i", "apps/app.env")
    (one,) = as_json(capsys, "apps")["secrets"]
    assert (one["format"], one["threshold"], len(one["keyGroups"])) == ("sops", 2, 2)
    assert one["openedBy"] == {"ann": "together", "both": "alone", "bob@example.org": "together"}
    assert one["values"] == ["PASSWORD"]
    assert "2 of 2 groups of keys together" in told(capsys, "apps")


def test_groups_of_keys_in_our_own_format_are_told_as_such(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    groups = KeyGroups([team.lock.keys, team.bob.lock.keys], 2)
    team.write("prod/db.yaml", team.lock._replace(keys=groups).seal(MANIFEST))
    (one,) = as_json(capsys)["secrets"]
    assert (one["threshold"], one["keyGroups"]) == (2, [[team.ref], [team.bob.ref]])
    assert one["openedBy"] == {"ann": "together", "both": "alone", "bob@example.org": "together"}
    assert main(["report", "--leaver", "bob@example.org"]) == 0
    out = capsys.readouterr().out
    assert "they open too few of its groups of keys, 2 are needed together" in out
    assert "\nksecret set" not in out


def azure_sealed(refs: str) -> bytes:
    """What an envelope tells without a key: who may open it."""
    token, seal = (b64encode(bytes(size)).decode() for size in (92, 32))
    return (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: prod}\n"
        f"stringData:\n  password: ksecret.v1.{token}\nksecret:\n  version: 1\n  sealedFor: prod/db\n"
        f'  created: "2026-01-01T00:00:00Z"\n{refs}  seal: {seal}\n'
    ).encode()


def test_whoever_has_a_key_by_its_name_without_version_has_each_of_its_versions(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "azure:https://shop.vault.azure.net/keys/app"
    team.write(".ksecret.yaml", f"version: 1\npeople: {{bob: '{key}'}}\nrules: [{{keys: [bob]}}]\n".encode())
    team.write("db.yaml", azure_sealed(f"  keys:\n    {key}/{'0' * 32}: AAAA\n"))
    found = as_json(capsys)
    assert found["secrets"][0]["openedBy"] == {"bob": "alone"}
    assert [(one["name"], one["alone"]) for one in found["holders"]] == [("bob", 1)]
    for name in ("bob", key, f"{key}/{'0' * 32}"):
        assert "\nksecret set --secret prod/db --random password=32 -- db.yaml" in told(capsys, "--leaver", name)


def test_a_key_that_a_policy_gives_to_hundreds_is_refused(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    """Each name would be told of each Secret: of files of a megabyte, gigabytes."""
    people = ", ".join(f"p{number}: [{team.ref}, {team.bob.ref}]" for number in range(201))
    team.write(".ksecret.yaml", f"version: 1\npeople: {{{people}}}\nrules: [{{keys: [p1]}}]\n".encode())
    team.seal("db.yaml", team)
    assert "more than 200 names have the key" in told(capsys, code=3)


def test_what_can_t_be_looked_at_is_told_and_gives_the_exit_code(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    team.seal("prod/db.yaml", team)
    team.seal("other/db.yaml", team)
    team.write("other/.ksecret.yaml", b"version: 1\nrulez: []\n")
    out = told(capsys, code=3)
    assert "ksecret: other/.ksecret.yaml:2: a policy has an unknown key `rulez`" in out
    assert out.startswith("2 sealed Secrets in 2 files, 3 names, 4 files looked at, 1 that could not be\n")


def test_a_broken_envelope_is_in_the_report_and_opens_to_nobody(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    team.seal("prod/db.yaml", team)
    path = team.work / "prod/db.yaml"
    path.write_text(re.sub(r"  version: 1\n", "", path.read_text()))
    (one,) = as_json(capsys)["secrets"]
    assert (one["state"], one["openedBy"]) == ("broken", {})
    assert "prod/db.yaml: prod/db  its envelope can't be read" in told(capsys)


def test_hostile_names_reach_no_terminal(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    team.seal("prod/\x1b[2J\nroot.yaml", team)
    out = told(capsys)
    assert "\x1b" not in out
    assert "    prod/?[2J?root.yaml: prod/db  ann, both" in out


HOSTILE = '"><img src=x onerror=document.title=1>'
"""A name that would run something where it became markup."""


def page_of(team: Team) -> str:
    """A report on a file and a Secret with that name."""
    team.seal(f"prod/{HOSTILE}.yaml", team, data=MANIFEST.replace(b"name: db", f"name: {json.dumps(HOSTILE)}".encode()))
    team.seal("dev/db.yaml", team, team.bob)
    team.write("dev/clear.yaml")
    assert main(["report", "--html", str(team.home / "who.html")]) == 0
    return (team.home / "who.html").read_text()


def test_the_page_needs_nothing_else_and_runs_its_own_script_only(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    page = page_of(team)
    assert capsys.readouterr().out == ""
    assert not any(mark in page for mark in MARKS)
    assert "ksecret.v1." not in page
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    for kind in ("style", "script"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; ")
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert not re.search(r"https?://|<img|<link|<iframe| style=| on[a-z]+=[\"']| src=[\"']", page)


def test_names_in_the_page_are_text_and_its_rows_can_be_read_without_its_script(team: Team) -> None:
    class Rows(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.texts: list[str] = []
            self.names: set[str] = set()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.names |= {tag, *(name for name, _ in attrs)}

        def handle_data(self, data: str) -> None:
            self.texts.append(data)

    rows = Rows()
    rows.feed(page_of(team))
    assert {f"prod/{HOSTILE}", f"prod/{HOSTILE}.yaml:2", "bob@example.org", "KS001", "KS009"} <= set(rows.texts)
    assert not {"img", "onerror", "src"} & rows.names


DRIVER = """
const table = document.querySelector("#secrets table");
const days = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[4].textContent);
const [who] = document.querySelectorAll(".filters select");
const opens = (row) => [...row.cells].map((cell) => cell.textContent).join(" ");
const matrix = () => [...document.querySelector("#matrix table").rows].filter((row) => !row.hidden).map(opens).join();
table.querySelectorAll("thead button")[4].click();
const sorted = days().join();
who.value = "bob@example.org";
who.dispatchEvent(new Event("input"));
document.title += `; sorted ${sorted}; filtered ${days().join()}, ${document.querySelector("output").textContent}`;
document.title += `; ${matrix()}`;
"""
"""Sorts by age, and asks what Bob opens, in the matrix too."""


@pytest.mark.skipif(not shutil.which("chromium"), reason="Chromium is not installed")
def test_in_chromium_rows_are_sorted_and_filtered_and_no_markup_of_names_does_anything(team: Team) -> None:
    page_of(team)
    team.seal("dev/young.yaml", team, created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    assert main(["report", "--html", str(team.home / "who.html")]) == 0
    page = (team.home / "who.html").read_text()
    own = f"script-src 'sha256-{b64encode(sha256(DRIVER.encode()).digest()).decode()}' "
    page = page.replace("script-src ", own).replace("</body>", f"<script>{DRIVER}</script></body>")
    (team.home / "who.html").write_text(page)
    quiet = ("background-networking", "component-update", "gpu", "quic", "sync")
    flags = ("--headless", "--no-sandbox", "--no-first-run", "--dump-dom", *(f"--disable-{one}" for one in quiet))
    command = ["chromium", *flags, f"--user-data-dir={team.home}/chromium", f"file://{team.home}/who.html"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    (title,) = re.findall("<title>(Who .*?)</title>", dom)
    matrix = "Secret ann bob@example.org both,prod/db ● ● ●"
    assert re.fullmatch(rf"Who opens what: work; sorted ,0,(\d+),\1; filtered \1, 1 of 4; {matrix}", title), title


def test_one_form_at_a_time(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--json", "--html", "-"]) == 2
    assert "two forms of one report" in capsys.readouterr().err


def test_worker_processes_tell_the_same_as_one(tmp_path: Path) -> None:
    many = Many(tmp_path)
    many.write_all_sealed()
    alone = many.ok("report", "--json", "-j", "1").out
    shared = many.many("report", "--json")
    assert (shared.code, len(many.workers())) == (0, 3)
    told_alone, told_shared = json.loads(alone), json.loads(shared.out)
    assert told_alone | {"created": ""} == told_shared | {"created": ""}
    assert len(told_alone["secrets"]) == 40
