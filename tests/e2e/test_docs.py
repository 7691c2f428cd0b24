"""README.md, CONTRIBUTING.md, docs/ and each command's help: the real parser takes every command line in them, and what
can be run here is run in order. New lines are picked up by themselves; what can't be run is named below."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.cli.commands import COMMANDS, load
from secretsvc.cli.main import main
from secretsvc.keyref import KeyRef
from tests.e2e.documents import FENCE, PAGES, ROOT, SHELL, all_lines, blocks, calls, command_blocks, help_lines, inline
from tests.e2e.documents_world import RECIPIENTS, World
from tests.emulators import gcp
from tests.emulators.fake_service import FakeService
from tests.support import Lock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.kubesec_people import Homes

NOT_RUN = {
    r"^git clone https|^pipx install": "needs the network; test_start.py builds and installs the wheel",
    r"^scripts/demo|^\. \.venv/": "test_start.py runs the demo",
    r"^scripts/(test|nightly|docs)|^python -m tests\.mutate": "would run this",
    r"^scripts/lock": "writes the files of images; needs the network",
    r"^scripts/release|^gpg --verify|^sha256sum|^uv tool": "needs a release; test_release.py",
    r"/\.local/bin/|^python3 -m venv|^ksecret-venv/": "installs; test_release.py",
    r"^docker |\bhelm ": "needs a daemon or Helm; test_containers.py, test_helm.py",
    r"\bterraform ": "needs Terraform; test_terraform.py",
    r"^cp -r examples/ansible|^ansible-playbook": "needs Ansible; test_ansible.py",
    r"^kubectl (get|create|apply) ": "needs a cluster",
    r"^ksecret import |ksecret import.* -$": "needs a cluster; test_cli_import.py",
    r"^ksecret (diff|drift) ": "needs a cluster; test_cli_diff.py",
    r"kustomize build|kubectl kustomize": "needs an overlay; test_krm.py builds one",
    r"^gcloud ": "needs Google Cloud",
    r"^az ": "needs Azure",
    r"^vault ": "needs Vault's own program and a server",
    r"^python -m tests\.emulators": "runs until it is ended",
    r"^ksecret serve --(dev|config)": "runs until it is ended, or needs a configuration; test_service_start.py",
    r"^git s (grep|blame) |^git blame ": "needs a history; test_git_textconv.py runs them",
    r"^git show :[23]:": "needs a merge that stopped; test_git_merge.py",
    r"^ksecret init --key aws": "needs keys in AWS; test_init_keys.py lists those of a stand-in",
    r"^ksecret audit ": "needs a service's audit log; test_api_audit.py",
    r"^ksecret check --pre-receive": "a hook that Git calls; test_cli_check_history.py",
    r"\$\{fpath": "zsh's; test_cli_init_completion.py",
    r"…|\.\.\.'": "has a hole in it",
}
"""Command lines that are parsed, but not run: a pattern, and why, or what runs the same."""

ELSEWHERE = {
    "docs/flux.md": "builds a repository of its own: test_docs_flux.py",
    "docs/live.md": "asks a cluster: test_docs_live.py",
    "docs/migrating-from-sealed-secrets.md": "opens what kubeseal made: test_docs_live.py",
}
"""Pages whose commands another test runs, and why."""

EXITS: dict[str, int] = {
    "sed '/password:/d' theirs.yaml": 51,
    "sops decrypt theirs.yaml | cmp": 1,
    "git merge-file mine.yaml theirs.yaml": 1,
    "sed 's/namespace: prod/namespace: dev/' ours.yaml": 5,
    "ksecret encrypt app.env": 3,
}
"""Beginnings of command lines that do what they are there for by failing, and their exit codes."""

GCP_KEY = "projects/p/locations/global/keyRings/r/cryptoKeys/k"


def run(world: World, typed: list[list[str]]) -> str:
    """Runs what can be run, and tells of what did not end as it should."""
    done = world.run([[line for line in block if not why_not(world.filled(line))] for block in typed])
    failed = [ran for ran in done if ran.code != next((EXITS[one] for one in EXITS if ran.line.startswith(one)), 0)]
    return "".join(f"$ {ran.line}\nended with {ran.code}: {ran.err}\n" for ran in failed)


def why_not(line: str) -> str:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, line)), "")


@pytest.mark.parametrize("page", [page for page in PAGES if command_blocks(page) and page not in ELSEWHERE])
def test_the_commands_of_a_page_run_in_order_and_end_well(tmp_path: Path, homes: Homes, page: str) -> None:
    world = World(tmp_path, homes, page)
    identity = {"KSECRET_AGE_KEY": world.me.identity, "XDG_CONFIG_HOME": str(tmp_path)}
    keys = (KeyRef("age", world.me.ref.removeprefix("age:")),)
    with FakeService(Lock(Backends(Settings(identity, lambda _: None)), keys)) as service, gcp.Emulator() as kms:
        kms.create_key(GCP_KEY)
        for address in ("http://127.0.0.1:8200", "https://ksecret.example.com", "https://ksecret.example"):
            world.placeholders[address] = service.url
        world.placeholders["http://127.0.0.1:8085"] = kms.endpoint
        failed = run(world, command_blocks(page))
    assert not failed, failed


@pytest.mark.parametrize("command", [one for one in COMMANDS if not all(map(why_not, help_lines(one)))])
def test_the_examples_in_a_commands_help_end_well(tmp_path: Path, homes: Homes, command: str) -> None:
    """Each begins with the files as they were."""
    world = World(tmp_path, homes, command)
    failed = "".join(run(world, [[line]]) for line in help_lines(command))
    assert not failed, failed


@pytest.fixture
def no_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands are parsed, and end there; what -R names is read by then."""
    monkeypatch.chdir(tmp_path)
    for name in RECIPIENTS:
        (tmp_path / name).write_text(f"{pyrage.x25519.Identity.generate().to_public()}\n")
    for command in COMMANDS:
        monkeypatch.setattr(load(command), "run", lambda args: 0)


@pytest.mark.usefixtures("no_run")
def test_every_command_line_is_one_that_the_parser_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of jobs and hooks, and those that can't be run here, too."""
    seen = 0
    for where, line in all_lines():
        for words in calls(line):
            assert main(words[1:]) == 0, f"{where}: {line}: {capsys.readouterr().err}"
            seen += 1
    assert seen > 120


@pytest.mark.usefixtures("no_run")
def test_every_command_that_a_text_mentions_is_one_that_the_parser_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """Files may be left out, and brackets mean that a word may be; options and commands are those that there are."""
    mentioned = [(page, line) for page in PAGES for line in inline(page)]
    assert len(mentioned) > 60
    for page, line in mentioned:
        for words in calls(re.sub(r"[][]", "", line)):
            code, said = main(words[1:]), capsys.readouterr().err
            assert code == 0 or "required" in said, f"{page}: {line}: {said}"


def test_no_command_line_stands_outside_of_the_blocks_that_are_run() -> None:
    """Fences of other languages, and indented text, would be passed over."""
    for page, text in PAGES.items():
        indented = re.findall(r"(?m)^ {4}(?:\$|ksecret|kubectl|git|curl|pipx?) .*$", FENCE.sub("", text))
        others = [block for language, block in blocks(page) if language not in SHELL]
        fenced = [line for block in others for line in re.findall(r"(?m)^(?:\$|ksecret|kubectl|git|curl) .*$", block)]
        assert indented + fenced == [], f"{page}: a block of its own, ```console with `$ ` before each command"


@pytest.mark.parametrize("pattern", [*NOT_RUN, *EXITS])
def test_what_is_not_run_is_still_there(pattern: str) -> None:
    assert [line for _, line in all_lines() if re.search(pattern, line)], "take it out of the table"


def test_every_key_in_an_example_is_one_that_its_backend_takes() -> None:
    backends = Backends(Settings({}, lambda _: None))
    example = r"\b(?:age1[a-z0-9]+|pgp:[0-9A-F]{9,}|aws:arn:aws:kms:[\w:/-]+|gcp:projects/[\w/-]+)(?!…)"
    texts = [text for page in PAGES for _, text in blocks(page)]
    keys = [key for text in texts for key in re.findall(example, text)]
    assert {backends.parse(key).scheme for key in keys} == {"age", "pgp", "aws", "gcp"}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", PAGES[page])):
        path, _, heading = link.partition("#")
        if link.startswith("https://"):
            continue
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not heading or heading in headings(target.read_text()), link


def headings(text: str) -> set[str]:
    """As forges name them."""
    found = re.findall(r"(?m)^#+ (.*)$", FENCE.sub("", text))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}
