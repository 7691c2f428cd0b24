"""Ansible with ksecret: the lookup of examples/ansible, by the real ansible-playbook, on this machine."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.cli import MARK, PASSWORD, USER, Person, b64
from tests.e2e.documents import ROOT, command_blocks, run_in_order
from tests.e2e.kubernetes import tool

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
ODD = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: odd}}\ndata: {{bin: {b64(bytes([255, 0]))}}}\n"


@pytest.fixture
def ansible(me: Person) -> str:
    """The real one, in the example's folder, with Secrets to look up."""
    shutil.copytree(ROOT / "examples" / "ansible", me.work, dirs_exist_ok=True)
    me.write_sealed("secrets/db.yaml")
    two = ODD + 'stringData: {braces: "{{ 7 * 7 }}"}\n---\n' + ODD.replace("name: odd", "name: other")
    me.write_sealed("secrets/odd.yaml", two.encode())
    found = tool("ansible-playbook", "pip install ansible-core; scripts/nightly does")
    me.environ["ANSIBLE_HOME"] = str(me.home / ".ansible")
    return found


def looked_up(me: Person, ansible: str, **lookups: str) -> dict[str, Any]:
    """What each lookup gives, or why it failed; Ansible runs once."""
    facts = [
        {"ansible.builtin.set_fact": {name: f"{{{{ {text} }}}}"}, "ignore_errors": True}
        for name, text in lookups.items()
    ]
    written = {name: f"{{{{ {name} | default('') }}}}" for name in lookups}
    copied = {"content": "{{ written | to_json }}", "dest": str(me.home / "looked-up"), "mode": "0600"}
    tasks = [*facts, {"ansible.builtin.copy": copied, "vars": {"written": written}}]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    me.write("looked-up.yml", yaml.safe_dump([play]).encode())
    ran = me.run("looked-up.yml", program=ansible, **SHOWN)
    found: dict[str, Any] = json.loads((me.home / "looked-up").read_bytes())
    return found | {"said": ran.err + ran.out.decode()}


def test_the_example_hands_the_value_over_and_shows_it_nowhere(me: Person, ansible: str, tmp_path: Path) -> None:
    for words in (["playbook.yml"], ["-vvv", "playbook.yml"]):
        ran = me.ok(*words, program=ansible, ANSIBLE_LOG_PATH=str(tmp_path / "log"))
        assert sha256(PASSWORD.encode()).hexdigest().encode() in ran.out
        assert MARK.encode() not in ran.out
    kept = [path for path in [tmp_path / "log", *me.home.rglob("*")] if path.is_file()]
    assert not [path for path in kept if MARK.encode() in path.read_bytes()]


def test_a_lookup_gives_an_entry_or_all_of_them(me: Person, ansible: str) -> None:
    found = looked_up(
        me,
        ansible,
        one="lookup('ksecret', 'secrets/db.yaml', key='username')",
        every="lookup('ksecret', 'secrets/db.yaml').username",
        binary="lookup('ksecret', 'secrets/odd.yaml', name='odd', key='bin', encoding='base64')",
        braces="lookup('ksecret', 'secrets/odd.yaml', name='odd', key='braces')",
    )
    assert (found["one"], found["every"], found["binary"]) == (USER, USER, b64(bytes([255, 0])))
    assert found["braces"] == "{{ 7 * 7 }}", "a value is no template"


def test_what_a_lookup_can_not_give_is_an_error_without_values(me: Person, ansible: str) -> None:
    me.write("-i.yaml", b"kind: Secret\n")
    lookups = {
        "it has no 'passwort'; it has username, password, url": "'secrets/db.yaml', key='passwort'",
        "bin is not UTF-8: ask with encoding='base64'": "'secrets/odd.yaml', name='odd', key='bin'",
        "2 Secrets in it fit; name and namespace choose one": "'secrets/odd.yaml', key='bin'",
        "secrets/none.yaml is not there": "'secrets/none.yaml'",
        "-i.yaml: ": "'-i.yaml'",
    }
    words = {f"fact{number}": f"lookup('ksecret', {text})" for number, text in enumerate(lookups.values())}
    found = looked_up(me, ansible, **words)
    assert [message for message in lookups if message not in found["said"]] == []
    assert MARK not in found["said"]


def test_the_pages_lines_run(me: Person, ansible: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "ansible", me.work / "examples" / "ansible")
    (tmp_path / "lines").mkdir()
    done = run_in_order(me, command_blocks("docs/ansible.md"), tmp_path / "lines")
    assert [ran for ran in done if ran.code] == []
