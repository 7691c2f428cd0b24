"""`ksecret render`, and `decrypt --if-needed`: sealed or not, all of it is handed on, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.cli import in_memory
from secretsvc.cli.main import main
from secretsvc.manifest.reader import MAX_BYTES
from secretsvc.operations.output import as_data
from tests.e2e.cli import CONFIG_MAP, MANIFEST, NOT_YAML, Person, is_sealed
from tests.e2e.test_cli_apply import Kubectl
from tests.e2e.test_lost_tokens import LOST, lost

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.kubesec_people import Homes


def other(name: str) -> bytes:
    return MANIFEST.replace(b"name: db", f"name: {name}".encode())


def named(name: str) -> bytes:
    return CONFIG_MAP.replace(b"plain", name.encode())


def test_a_folder_is_rendered_as_apply_hands_it_on(me: Person, tmp_path: Path) -> None:
    kubectl = Kubectl(tmp_path, me)
    me.write("d/00-map.yaml", CONFIG_MAP)
    me.write_sealed("d/a.yaml")
    me.write("d/clear.yml", other("clear"))
    me.write("d/.ksecret.yaml", b"version: 1\n")
    me.write("d/README.md", b"# ksecret\n")
    ran = me.ok("render", "-r", "d")
    assert ran == (0, b"---\n".join([CONFIG_MAP, as_data(MANIFEST), as_data(other("clear"))]), "")
    me.ok("apply", "-r", "d")
    assert kubectl.stdin == ran.out


def test_a_folders_files_come_in_the_order_in_which_kubectl_walks(me: Person) -> None:
    order = ["01-first.yaml", "02-dir/b.yaml", "02-dir/sub/a.yaml", "02-dir/z.yaml", "02-dir.yaml", "03-last.yaml"]
    for name in reversed(order):
        me.write(f"d/{name}", named(name.replace("/", ".")))
    expected = b"---\n".join(named(name.replace("/", ".")) for name in order)
    assert me.ok("render", "-r", "d").out == expected
    me.ok("-c", "git init -q .", program="sh")
    assert me.ok("render", "-r", "d").out == expected


def test_a_stream_from_helm_or_kustomize_passes_through_it(me: Person) -> None:
    rendered = CONFIG_MAP + b"---\n" + me.write_sealed("a.yaml").read_bytes() + b"---\n" + named("last")
    expected = as_data(CONFIG_MAP + b"---\n" + MANIFEST + b"---\n" + named("last"))
    assert me.ok("render", "-", stdin=rendered) == (0, expected, "")
    assert me.ok("render", "-", stdin=CONFIG_MAP).out == CONFIG_MAP
    me.ok("render", "-o", "out.yaml", "-", stdin=rendered)
    out = me.work / "out.yaml"
    assert (out.read_bytes(), out.stat().st_mode & 0o777) == (expected, 0o600)


def test_one_file_that_does_not_open_and_nothing_is_rendered(me: Person) -> None:
    moved = me.write_sealed("d/a.yaml").read_bytes().replace(b"name: db", b"name: moved")
    me.write("d/moved.yaml", moved)
    me.write("d/map.yaml", CONFIG_MAP)
    assert "d/moved.yaml" in me.fails(5, "render", "-r", "d")
    assert "d/moved.yaml" in me.fails(5, "render", "-o", "out.yaml", "-r", "d")
    assert not (me.work / "out.yaml").exists()
    assert "standard input" in me.fails(5, "render", "-", stdin=moved)
    assert "no file named" in me.fails(2, "render")
    (me.work / "empty").mkdir()
    assert "no manifest is there" in me.fails(3, "render", "-r", "empty")


@pytest.mark.parametrize("target", ["../out.yaml", "nowhere.yaml"])
def test_a_link_that_leads_to_no_file_of_the_folder_is_not_left_out_in_silence(me: Person, target: str) -> None:
    """Whoever prunes what the stream lacks would take the Secret away."""
    me.write_sealed("out.yaml")
    me.write_sealed("d/a.yaml", other("a"))
    (me.work / "d" / "link.yaml").symlink_to(target)
    assert "d/link.yaml: a link that leads out of the folder, or nowhere" in me.fails(7, "render", "-r", "d")
    (me.work / "d" / "link.yaml").rename(me.work / "d" / ".link.yaml")
    assert me.ok("render", "-r", "d").out == as_data(other("a"))


def test_too_little_memory_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where a plug-in's container, or ulimit, has less than a repository takes."""

    def too_much(_: object) -> bytes:
        raise MemoryError

    (tmp_path / "map.yaml").write_bytes(CONFIG_MAP)
    monkeypatch.setattr(in_memory, "stream", too_much)
    assert main(["render", "-r", str(tmp_path)]) == 7
    assert capsys.readouterr() == ("", "ksecret: there is not enough memory for it\n")


FOR_TEAM = MANIFEST.replace(b"namespace: prod", b"namespace: team")


def test_for_one_namespace_only_what_was_sealed_for_it_is_opened(me: Person) -> None:
    me.write_sealed("d/a.yaml", FOR_TEAM)
    me.write_sealed("d/any-name.yaml", FOR_TEAM.replace(b"name: db", b"name: other"), "--scope", "namespace")
    me.write("d/map.yaml", CONFIG_MAP)
    opened = me.ok("render", "-r", "--only-namespace=team", "d")
    assert opened.out == me.ok("render", "-r", "d").out
    stream = (me.work / "d" / "a.yaml").read_bytes() + b"---\n" + CONFIG_MAP
    assert me.ok("render", "--only-namespace=team", "-", stdin=stream).out == as_data(FOR_TEAM + b"---\n" + CONFIG_MAP)


def test_for_one_namespace_nothing_of_anothers_is_opened_however_it_is_dressed(me: Person) -> None:
    """What somebody copied out of another team's repository, to have it opened by who holds all keys."""
    team = ("--only-namespace", "team")
    prod = me.write_sealed("prod.yaml").read_bytes()
    assert "prod/db was sealed for prod/db, and only what" in me.fails(3, "render", *team, "prod.yaml")
    for disguise in (b"namespace: team", b"namespace: 'team'"):
        moved = prod.replace(b"namespace: prod", disguise)
        assert "team/db was sealed for prod/db" in me.fails(3, "render", *team, "-", stdin=moved)
    lied = prod.replace(b"namespace: prod", b"namespace: team").replace(b"sealedFor: prod/db", b"sealedFor: team/db")
    me.fails(5, "render", *team, "-", stdin=lied)
    nowhere = me.write_sealed("nowhere.yaml", MANIFEST.replace(b"  namespace: prod\n", b"")).read_bytes()
    assert "was sealed for db, and only" in me.fails(3, "render", *team, "-", stdin=nowhere)
    anywhere = me.write_sealed("any.yaml", FOR_TEAM, "--scope", "any").read_bytes()
    assert "team/db was sealed for */*, and only" in me.fails(3, "render", *team, "-", stdin=anywhere)
    both = me.write_sealed("team.yaml", FOR_TEAM).read_bytes() + b"---\n" + prod
    assert "prod/db was sealed" in me.fails(3, "render", *team, "-", stdin=both)


def test_for_one_namespace_formats_that_bind_to_none_are_refused(me: Person, homes: Homes) -> None:
    me.environ["GNUPGHOME"] = homes.mine.path
    me.write_sealed("kubesec.yaml", FOR_TEAM, "--format", "kubesec", "-k", f"pgp:{homes.me}")
    me.write_sealed("sops.yaml", FOR_TEAM, "--format", "sops", "-k", me.ref)
    for name, format_ in (("kubesec", "kubesec's"), ("sops", "SOPS's")):
        said = me.fails(3, "render", "--only-namespace=team", f"{name}.yaml")
        assert f"{format_} format binds" in said
        assert "to no namespace" in said


@pytest.mark.parametrize("name", ["", "*", "prod/db", "-", "Prod", "a b", "a\n", "x" * 64])
def test_what_no_namespace_is_called_is_refused_and_not_taken_for_all_of_them(me: Person, name: str) -> None:
    me.write_sealed("a.yaml")
    assert "the name of one namespace" in me.fails(2, "render", f"--only-namespace={name}", "a.yaml")


@pytest.mark.parametrize("words", [["render"], ["decrypt", "--if-needed"]], ids=["render", "decrypt"])
@pytest.mark.parametrize("name", LOST)
def test_sealed_text_that_nothing_opens_is_not_passed_on(me: Person, name: str, words: list[str]) -> None:
    said = lost(me, name)
    assert said in me.fails(5, *words, "deploy/f.yaml")
    assert said in me.run(*words, "-r", "deploy").err
    assert said in me.fails(5, *words, "-", stdin=(me.work / "deploy/f.yaml").read_bytes())


@pytest.mark.parametrize("words", [["render"], ["decrypt", "--if-needed"]], ids=["render", "decrypt"])
def test_an_input_that_is_too_large_is_refused_and_not_cut_off(me: Person, words: list[str]) -> None:
    large = b"# " + b"x" * MAX_BYTES
    assert "standard input: larger than 8 MiB" in me.fails(3, *words, "-", stdin=large)


def test_where_it_is_needed_a_file_is_opened_and_else_passed_on(me: Person) -> None:
    sealed = me.write_sealed("a.yaml")
    for clear in (MANIFEST, CONFIG_MAP, b"", b"{{ not: yaml"):
        me.write("clear.yaml", clear)
        assert me.ok("decrypt", "--if-needed", "clear.yaml") == (0, clear, "")
        assert me.ok("decrypt", "--if-needed", "-", stdin=clear).out == clear
    assert me.ok("decrypt", "--if-needed", "a.yaml").out == MANIFEST
    me.write("clear.yaml", other("clear"))
    ran = me.ok("decrypt", "--if-needed", "-i", "a.yaml", "clear.yaml")
    assert ran.err == "ksecret: 1 opened, 1 unchanged, 0 failed\n"
    assert sealed.read_bytes() == MANIFEST
    assert b"n0t-public-password" in me.ok("decrypt", "--if-needed", "-x", "clear.yaml").out
    assert me.ok("decrypt", "--if-needed", "--output-format", "env", "a.yaml").out.startswith(b"username=")


def test_where_it_is_needed_a_folder_is_passed_on_whole(me: Person) -> None:
    me.write_sealed("d/a.yaml")
    me.write("d/clear.yaml", other("clear"))
    me.write("d/map.yaml", CONFIG_MAP)
    me.write("d/.ksecret.yaml", b"version: 1\n")
    ran = me.ok("decrypt", "--if-needed", "-r", "d")
    assert ran.out == b"---\n".join([MANIFEST, other("clear"), CONFIG_MAP])
    assert ran.err == "ksecret: 1 opened, 2 unchanged, 0 failed\n"
    me.write("d/broken.yaml", NOT_YAML + b"# ksecret\n")
    assert me.run("decrypt", "--if-needed", "-r", "d")[:2] == (3, b"")


def test_where_it_is_needed_hidden_files_are_opened_in_place_as_ever(me: Person) -> None:
    hidden = me.write_sealed("d/.hidden.yaml")
    assert is_sealed(hidden.read_bytes())
    me.ok("decrypt", "-i", "--if-needed", "-r", "d")
    assert hidden.read_bytes() == MANIFEST
