"""Files that SOPS sealed, in the commands that open: any tree, whole or not at all; of a broken one no clear text."""

from __future__ import annotations

import re

import pytest

from tests.e2e.cli import MARK, Person, b64
from tests.sops_support import sops

VALUES = f"""\
# of the database
db:
  user: admin-{MARK}
  password: {MARK}   # rotated in spring
  hosts: [a-{MARK}, b]
  port: 5432
replicas_unencrypted: 3
---
second: {MARK}
"""
SECRET = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\nstringData:\n  password: {MARK}\n  user: me\n"


@pytest.fixture
def values(me: Person) -> Person:
    """Somebody with `values.yaml`, sealed to them by the real sops."""
    sealed(me, "values.yaml", VALUES)
    return me


def sealed(me: Person, name: str, text: str, *options: str) -> None:
    path = me.work / name
    path.write_text(text)
    done = sops("encrypt", "-i", "--age", me.ref.removeprefix("age:"), *options, path)
    assert not done.returncode, done.stderr.decode()


def test_a_tree_that_sops_sealed_is_opened_verified_and_told_of(values: Person) -> None:
    clear = values.ok("decrypt", "values.yaml").out
    assert b"# of the database" in clear
    assert b"password: " + MARK.encode() in clear
    assert b"port: 5432\n" in clear
    assert clear.count(b"---") == 1
    assert b"sops" not in clear
    assert values.ok("get", "values.yaml", "db.hosts[0]").out == b"a-" + MARK.encode()
    assert values.ok("get", "values.yaml", '["db"]["port"]').out == b"5432"
    assert b"db.hosts[1]\n" in values.ok("get", "values.yaml").out
    assert b"1 sealed, all sound" in values.ok("verify", "values.yaml").out
    told = values.ok("inspect", "values.yaml").out
    assert b"unencrypted_suffix _unencrypted" in told
    assert values.ref.encode() in told
    assert b"db.password" in told
    values.ok("decrypt", "-i", "values.yaml")
    assert (values.work / "values.yaml").read_bytes() == clear


def test_a_secret_that_sops_sealed_goes_where_secrets_go(me: Person) -> None:
    sealed(me, "app.yaml", SECRET, "--encrypted-regex", "^(data|stringData)$")
    assert me.ok("get", "app.yaml", "password").out == MARK.encode()
    assert me.ok("exec", "app.yaml", "--", "sh", "-c", 'test "$password" = "$1"', "sh", MARK).out == b""
    assert f"password={MARK}".encode() in me.ok("decrypt", "--output-format", "env", "app.yaml").out


def test_a_diff_shows_which_values_changed_and_none_of_them(values: Person) -> None:
    shown = values.ok("git", "textconv", "values.yaml", KSECRET_DIFF="structure").out
    assert b"replicas_unencrypted: 3" in shown
    assert b"ENC[" not in shown


@pytest.mark.parametrize("what", ["a token", "the MAC", "a clear value", "the time"])
def test_of_an_altered_file_no_clear_text_comes_out(values: Person, what: str) -> None:
    path = values.work / "values.yaml"
    pattern = {
        "a token": (rb"(user: ENC\[AES256_GCM,data:)(.)", lambda m: m[1] + (b"A" if m[2] != b"A" else b"B")),
        "the MAC": (rb"(mac: ENC\[AES256_GCM,data:)(.)", lambda m: m[1] + (b"A" if m[2] != b"A" else b"B")),
        "a clear value": (rb"(_unencrypted: )(3)", lambda m: m[1] + b"4"),
        "the time": (rb'(lastmodified: "2)(.)', lambda m: m[1] + (b"1" if m[2] != b"1" else b"2")),
    }[what]
    data, count = re.subn(*pattern, path.read_bytes())
    assert count
    path.write_bytes(data)
    for words in (["decrypt", "values.yaml"], ["decrypt", "-i", "values.yaml"], ["get", "values.yaml", "db.port"]):
        ran = values.run(*words)
        assert (ran.code, ran.out) == (5, b"")
        assert "altered" in ran.err
    assert path.read_bytes() == data


def test_without_a_key_it_says_whose_it_would_take(values: Person) -> None:
    values.key_file.unlink()
    assert values.ref in values.fails(4, "decrypt", "values.yaml")
    assert b"db.password\n" in values.ok("get", "values.yaml").out


def test_values_data_keys_and_keys_change_in_place_and_sops_opens_what_comes(values: Person) -> None:
    other = Person(values.work.parent, "other")
    values.ok("set", "values.yaml", "db.password=-", "db.fresh=new", stdin=f"other-{MARK}".encode())
    values.ok("unset", "values.yaml", "db.hosts[1]")
    values.ok("keys", "add", "-k", other.ref, "values.yaml")
    assert other.ok("get", "values.yaml", "db.password").out == f"other-{MARK}".encode()
    values.ok("rotate", "-r", ".")
    values.ok("keys", "remove", "-k", other.ref, "values.yaml")
    other.fails(4, "decrypt", "values.yaml")
    clear = values.ok("decrypt", "values.yaml").out
    done = sops("decrypt", values.work / "values.yaml", identities=(values.identity,))
    assert not done.returncode, done.stderr.decode()
    for line in (f"password: other-{MARK}", "fresh: new", "# of the database", f"- a-{MARK}"):
        assert line.encode() in clear
        assert line.encode() in done.stdout
    sealed_now = (values.work / "values.yaml").read_bytes()
    assert "sealed already, in SOPS's format" in values.fails(3, "encrypt", "-i", "values.yaml")
    assert "no .sops.yaml is for this file" in values.fails(3, "keys", "sync", "values.yaml")
    assert (values.work / "values.yaml").read_bytes() == sealed_now


OTHERS = {
    "app.env": (f"# of the database\nPASSWORD={MARK}\nPORT=1\n", "PASSWORD"),
    "app.ini": (f"; of the database\n[db]\npassword = {MARK}\n", "db.password"),
    "app.json": (f'{{\n\t"db": {{\n\t\t"password": "{MARK}"\n\t}}\n}}\n', "db.password"),
    "licence.key": (MARK, "data"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_every_kind_are_opened_as_their_name_says_and_from_a_pipe(me: Person, name: str) -> None:
    text, path = OTHERS[name]
    sealed(me, name, text)
    assert me.ok("decrypt", name).out == text.encode()
    assert me.ok("decrypt", "-", stdin=(me.work / name).read_bytes()).out == text.encode()
    assert me.ok("get", name, path).out == MARK.encode()
    assert b"1 sealed, all sound" in me.ok("verify", name).out
    assert MARK.encode() not in me.ok("git", "textconv", name).out
    me.ok("decrypt", "-i", name)
    assert (me.work / name).read_text() == text


def opened_by_sops(me: Person, name: str) -> bytes:
    done = sops("decrypt", me.work / name, identities=(me.identity,))
    assert not done.returncode, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("name", ["values.yaml", *OTHERS])
def test_a_file_of_any_kind_is_sealed_to_oneself_and_sops_opens_it(me: Person, name: str) -> None:
    text = VALUES if name == "values.yaml" else OTHERS[name][0]
    (me.work / name).write_text(text)
    me.ok("encrypt", "-i", "--format", "sops", name)
    data = (me.work / name).read_bytes()
    assert MARK.encode() not in data
    assert MARK.encode() in opened_by_sops(me, name)
    assert me.ok("decrypt", name).out == text.encode()
    assert "member sops" in me.fails(3, "encrypt", "-i", "--format", "sops", name)
    assert (me.work / name).read_bytes() == data


def test_what_is_sealed_and_for_whom_is_what_sops_yaml_says(me: Person) -> None:
    recipient = me.ref.removeprefix("age:")
    rule = f"{{path_regex: a.yaml$, encrypted_regex: ^p, age: {recipient}}}"
    me.write(".sops.yaml", f"creation_rules: [{rule}]\n".encode())
    for name in ("a.yaml", "b.yaml"):
        me.write(name, f"p: {MARK}\nq: 1.0\n".encode())
    me.ok("encrypt", "-i", "--format", "sops", "a.yaml")
    data = (me.work / "a.yaml").read_bytes()
    assert b"q: 1.0\n" in data
    assert b"encrypted_regex: " in data
    assert f"p: {MARK}".encode() in opened_by_sops(me, "a.yaml")
    assert "no rule of creation_rules fits" in me.fails(3, "encrypt", "--format", "sops", "b.yaml")


def test_in_a_repository_of_sopss_encrypt_needs_no_flag_and_create_neither(me: Person) -> None:
    me.write(".sops.yaml", f"creation_rules: [{{age: {me.ref.removeprefix('age:')}}}]\n".encode())
    me.write("values.yaml", f"p: {MARK}\n".encode())
    me.ok("encrypt", "-i", "values.yaml")
    assert f"p: {MARK}".encode() in opened_by_sops(me, "values.yaml")
    me.ok("create", "generic", "db", f"--from-literal=password={MARK}", "-o", "db.yaml")
    assert b"kind: Secret" in opened_by_sops(me, "db.yaml")
    me.write("app.yaml", SECRET.encode())
    assert b"ksecret:" in me.ok("encrypt", "--format", "ksecret", "app.yaml").out
    assert b"ksecret:" in me.ok("encrypt", "app.yaml", KSECRET_FORMAT="ksecret").out
    assert "say --path FILE" in me.fails(2, "encrypt", "-", stdin=SECRET.encode())
    assert b"sops:" in me.ok("encrypt", "--path", "x.yaml", "-", stdin=SECRET.encode()).out
    assert "--scope does not go with SOPS's format" in me.fails(2, "encrypt", "--scope", "any", "app.yaml")
    me.ok("encrypt", "-i", "--format", "ksecret", "app.yaml")
    assert "in SOPS's format" not in me.fails(3, "encrypt", "-i", "app.yaml")


def test_a_rule_of_ours_may_say_that_its_files_are_sopss(me: Person) -> None:
    rules = f"[{{path: 'charts/**', format: sops, keys: ['{me.ref}']}}, {{keys: ['{me.ref}']}}]"
    me.write(".ksecret.yaml", f"version: 1\nrules: {rules}\n".encode())
    (me.work / "charts").mkdir()
    me.write("charts/values.yaml", f"p: {MARK}\n".encode())
    me.write("app.yaml", SECRET.encode())
    assert "charts/values.yaml:1: KS001 .ksecret.yaml wants it sealed" in me.run("check").out.decode()
    me.ok("encrypt", "-i", "charts/values.yaml", "app.yaml")
    assert f"p: {MARK}".encode() in opened_by_sops(me, "charts/values.yaml")
    assert b"ksecret:" in (me.work / "app.yaml").read_bytes()
    me.ok("check")
    other = Person(me.work.parent, "other")
    me.write(".ksecret.yaml", f"version: 1\nrules: [{{format: sops, keys: ['{me.ref}', '{other.ref}']}}]\n".encode())
    assert f"KS008 it differs from .ksecret.yaml: not sealed to {other.ref}" in me.run("check", "charts").out.decode()
    me.ok("keys", "sync", "charts/values.yaml")
    assert other.ok("get", "charts/values.yaml", "p").out == MARK.encode()
    me.write(".ksecret.yaml", f"version: 1\nrules: [{{format: sops, name: db, keys: ['{me.ref}']}}]\n".encode())
    me.write("b.yaml", b"p: x\n")
    assert "goes by the file's path alone" in me.fails(3, "encrypt", "b.yaml")


def test_keys_that_sopss_variables_name_come_before_its_policy_and_after_ours(me: Person) -> None:
    other = Person(me.work.parent, "other")
    me.write(".sops.yaml", f"creation_rules: [{{age: {me.ref.removeprefix('age:')}}}]\n".encode())
    me.write("v.yaml", f"p: {MARK}\n".encode())
    ran = me.run("encrypt", "v.yaml", SOPS_AGE_RECIPIENTS=other.ref.removeprefix("age:"))
    assert other.ref.removeprefix("age:").encode() in ran.out
    assert me.ref.removeprefix("age:").encode() not in ran.out
    assert "SOPS_AGE_RECIPIENTS says, before any .sops.yaml" in ran.err
    words = {"SOPS_AGE_RECIPIENTS": other.ref.removeprefix("age:"), "KSECRET_KEYS": other.ref}
    assert me.ref.removeprefix("age:").encode() in me.ok("encrypt", "v.yaml", **words).out
    assert "SOPS_HUAWEICLOUD_KMS_IDS names keys that ksecret seals nothing to" in me.fails(
        2, "encrypt", "v.yaml", SOPS_HUAWEICLOUD_KMS_IDS="region:1"
    )
    refused = me.run("encrypt", "v.yaml", SOPS_VAULT_URIS="https://x.test/v1/transit/keys/k")
    assert refused.code == 6
    assert "https://x.test is no Vault server that this machine trusts" in refused.err


def test_secrets_are_sealed_as_their_users_mean_it_and_a_rule_that_seals_nothing_is_an_error(me: Person) -> None:
    me.write("app.yaml", SECRET.encode())
    sealed_now = me.ok("encrypt", "--format", "sops", "app.yaml").out
    assert b"kind: Secret\n" in sealed_now
    assert b"^(data|stringData)$" in sealed_now
    for words in (["--encrypted-regex", "^nothing$"], ["--encrypted-regex", "["]):
        ran = me.run("encrypt", "--format", "sops", *words, "app.yaml")
        assert (ran.code, ran.out) == (3, b"")
    assert "say --format sops" in me.fails(2, "encrypt", "--mac-only-encrypted", "app.yaml")
    assert "does not go with --format sops" in me.fails(2, "encrypt", "--format", "sops", "-x", "app.yaml")


def test_what_comes_back_spelled_otherwise_is_told_with_its_line_or_refused(me: Person) -> None:
    text = f"a: {MARK}\nb: 0777\n"
    me.write("v.yaml", text.encode())
    assert "v.yaml:2: b will come back spelled otherwise" in me.run("encrypt", "--format", "sops", "v.yaml").err
    assert "v.yaml:2: b will come back" in me.fails(3, "encrypt", "-i", "--format", "sops", "--exact", "v.yaml")
    assert (me.work / "v.yaml").read_text() == text


def test_a_member_sops_of_any_document_is_nobodys_to_overwrite(me: Person) -> None:
    me.write("v.yaml", f"a: {MARK}\n---\nsops: mine\n".encode())
    assert "a member sops" in me.fails(3, "encrypt", "-i", "--format", "sops", "v.yaml")


FLAT = {
    "flat.env": f"# c\nPASSWORD={MARK}\nTWO=a\\nb\nNONE=\n",
    "flat.yaml": f"PASSWORD: {MARK}\nTWO: \"a\\nb\"\nNONE: ''\n",
    "flat.json": f'{{"PASSWORD": "{MARK}", "TWO": "a\\nb", "NONE": ""}}\n',
}


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_file_gives_its_values_to_a_program(me: Person, name: str) -> None:
    sealed(me, name, FLAT[name])
    script = 'test "$PASSWORD" = "$1" && test "$TWO" = "a\nb" && test -z "$NONE" && test -n "${NONE+there}"'
    me.ok("exec", name, "--", "sh", "-c", script, "sh", MARK)
    files = 'test "$(cat "$KSECRET_FILES/PASSWORD")" = "$1" && ! test -e "$KSECRET_FILES/TWO"'
    me.ok("exec", "--files", "--only", "PASSWORD", name, "--", "sh", "-c", files, "sh", MARK)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "TYPES:\n  a: 1\n"),
        ("a.json", '{"a": [1]}'),
        ("a.ini", "[a]\nb = c\n"),
        ("a.key", "x"),
    ],
)
def test_a_file_with_nested_values_gives_a_program_none(me: Person, name: str, text: str) -> None:
    sealed(me, name, text)
    ran = me.run("exec", name, "--", "touch", "ran")
    assert ran.code == 3
    assert not (me.work / "ran").exists()


def test_values_of_other_types_are_given_as_sops_gives_them(me: Person) -> None:
    sealed(me, "t.yaml", "INT: 012\nFLOAT: 1234567.5\nBOOL: TRUE\nNIL: ~\nTIME: 2024-01-01\n")
    told = me.ok("exec", "t.yaml", "--", "sh", "-c", 'echo "$INT $FLOAT $BOOL $NIL $TIME"').out
    assert told == b"10 1.2345675E+06 true <nil> 2024-01-01T00:00:00Z\n"
    theirs = sops("exec-env", me.work / "t.yaml", 'echo "$INT $FLOAT $BOOL $NIL $TIME"', identities=(me.identity,))
    assert theirs.stdout == told


@pytest.fixture
def all_kinds(me: Person) -> Person:
    """Somebody with a sealed file of each kind, one in the clear beside each, and a page that quotes one."""
    for name, (text, _) in OTHERS.items():
        sealed(me, name, text)
        me.write(f"clear-{name}", text.encode())
    sealed(me, "values.yaml", VALUES)
    quoted = (me.work / "app.env").read_bytes()
    me.write("README.md", b"# an example\n```\n%b```\n" % quoted)
    return me


def test_walks_find_what_sops_sealed_under_any_name(all_kinds: Person) -> None:
    me = all_kinds
    names = {*OTHERS, "values.yaml"}
    for words in (["verify"], ["inspect"], ["keys", "list"]):
        ran = me.run(*words, "-r", ".")
        assert not ran.code, ran.err
        assert {line.partition(b":")[0].decode() for line in ran.out.splitlines() if not line.startswith(b" ")} == names
    before = {name: (me.work / name).read_bytes() for name in names}
    due = me.ok("rotate", "-r", "--dry-run", ".").out
    assert {line.partition(b":")[0].decode() for line in due.splitlines()} == names
    assert me.ok("rotate", "-r", "--dry-run", "--older-than", "1d", ".").out == due  # age's entries have no time
    me.ok("rotate", "-r", ".")
    assert all((me.work / name).read_bytes() != data for name, data in before.items())
    assert MARK.encode() in opened_by_sops(me, "licence.key")
    ran = me.run("decrypt", "-r", ".")
    assert b"second: " in ran.out
    assert b"PASSWORD=" not in ran.out
    assert "app.env and 2 more: sealed, but no YAML or JSON by name" in ran.err
    me.ok("decrypt", "-i", "-r", ".")
    for name, (text, _) in OTHERS.items():
        assert (me.work / name).read_text() == text


def test_a_walk_tells_of_a_broken_file_of_any_name(all_kinds: Person) -> None:
    me = all_kinds
    for name in ("app.env", "licence.key"):
        whole = (me.work / name).read_bytes()
        for broken in (
            re.sub(rb"(?m)^.*\bsops_mac=.*\n", b"", re.sub(rb'\s*"mac": "[^"]*",', b"", whole)),
            re.sub(rb'([D"][=:] ?"?ENC.*?data:)(.)', lambda m: m[1] + (b"A" if m[2] != b"A" else b"B"), whole, count=1),
        ):
            assert broken != whole
            (me.work / name).write_bytes(broken)
            ran = me.run("verify", "-r", ".")
            assert ran.code == 1
            assert f"ksecret: {name}" in ran.err
        (me.work / name).write_bytes(whole)


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: plain\ndata:\n  about: a Secret\n"
UNBOUND = "SOPS's format binds no Secret to its name and namespace"


@pytest.mark.parametrize("flag", [[], ["--format", "sops"]], ids=["by .sops.yaml", "--format sops"])
def test_a_walk_seals_the_secrets_in_a_folder_and_nothing_else(me: Person, flag: list[str]) -> None:
    rule = f"{{encrypted_regex: ^(data|stringData)$, age: {me.ref.removeprefix('age:')}}}"
    me.write(".sops.yaml", f"creation_rules: [{rule}]\n".encode())
    others = {
        "config.yaml": CONFIG_MAP,
        "values.yaml": "a: {b: c}\n",
        "local.env": "A=b\n",
        "notes.yaml": "a: Secret\n",
        "empty.yaml": "apiVersion: v1\nkind: Secret\nmetadata:\n  name: none\n",
    }
    for name, text in others.items():
        me.write(name, text.encode())
    (me.work / "more").mkdir()
    for name in ("a.yaml", "more/b.yaml"):
        me.write(name, SECRET.encode())
    me.write("more/list.yaml", ("kind: List\nitems:\n- " + SECRET.replace("\n", "\n  ").rstrip(" ")).encode())
    ran = me.run("encrypt", "-i", "-r", *flag, ".")
    assert ran.code == 0, ran.err
    assert "3 sealed" in ran.err
    assert ran.err.count(UNBOUND) == 1
    for name in ("a.yaml", "more/b.yaml", "more/list.yaml"):
        assert MARK.encode() in opened_by_sops(me, name)
        assert b"kind: Secret" in (me.work / name).read_bytes()
    for name, text in others.items():
        assert (me.work / name).read_text() == text
    assert "0 sealed, 3 unchanged" in me.run("encrypt", "-i", "-r", *flag, ".").err
    ran = me.run("encrypt", "-i", *flag, "config.yaml")  # what is named is meant
    assert ran.code == 0
    assert UNBOUND not in ran.err
    assert "means no value of it" in me.fails(3, "encrypt", "-i", *flag, "values.yaml")


@pytest.mark.parametrize("flag", [[], ["--format", "sops"], ["--if-needed"]], ids=["as is", "--format", "--if-needed"])
def test_a_walk_seals_what_check_says_that_a_rule_wants_sealed(me: Person, flag: list[str]) -> None:
    key = me.ref.removeprefix("age:")
    paths = ("^prod/", r"\.env$", r"\.ini$")
    rules = ", ".join(
        [*(f"{{path_regex: '{path}', age: {key}}}" for path in paths), f"{{encrypted_regex: ^p, age: {key}}}"]
    )
    me.write(".sops.yaml", f"creation_rules: [{rules}]\n".encode())
    (me.work / "prod").mkdir()
    due = {
        "prod/app.env": f"TOKEN={MARK}\n",
        "prod/licence.key": f"-----{MARK}\n",
        "prod/values.yaml": f"a: {MARK}\n",
        "values.json": f'{{"password": "{MARK}"}}\n',
        "app.env": f"TOKEN={MARK}\n",
    }
    others = {"prod/config.yaml": CONFIG_MAP, "prod/README.md": "# about\n", "values.yaml": "a: b\n", "x.txt": "p\n"}
    others["php.ini"] = "[a]\np = b\n"
    for name, text in (due | others).items():
        me.write(name, text.encode())
    told = me.run("check", ".").out.decode()
    assert {line.partition(":")[0] for line in told.splitlines()} == set(due)
    ran = me.run("encrypt", "-i", "-r", *flag, ".")
    assert ran.code == 0, ran.err
    assert "5 sealed" in ran.err
    for name in due:
        assert MARK.encode() not in (me.work / name).read_bytes()
        assert MARK.encode() in opened_by_sops(me, name)
    for name, text in others.items():
        assert (me.work / name).read_text() == text
    assert not me.ok("check", ".").out
    assert "0 sealed" in me.run("encrypt", "-i", "-r", *flag, ".").err


def test_what_is_sealed_in_another_format_is_not_sealed_once_more(me: Person) -> None:
    me.write("app.yaml", SECRET.encode())
    me.ok("encrypt", "-i", "app.yaml")
    before = (me.work / "app.yaml").read_bytes()
    assert "is sealed already, in another format" in me.fails(3, "encrypt", "-i", "--format", "sops", "app.yaml")
    assert "0 sealed, 1 unchanged" in me.run("encrypt", "-i", "-r", "--format", "sops", ".").err
    assert (me.work / "app.yaml").read_bytes() == before


def test_without_a_rule_only_the_values_of_secrets_are_sealed_where_all_are_objects(me: Person) -> None:
    me.write("both.yaml", f"{CONFIG_MAP}---\n{SECRET}".encode())
    made = me.ok("encrypt", "--format", "sops", "both.yaml").out
    assert b"kind: Secret" in made
    assert b"name: plain" in made
    assert MARK.encode() not in made


def test_a_secret_that_sops_sealed_is_patched_as_every_secret(me: Person) -> None:
    sealed(me, "app.yaml", SECRET, "--encrypted-regex", "^(data|stringData)$")
    path = me.work / "app.yaml"
    before = path.read_bytes()
    words = ("-d", f"tls.key=new-{MARK}", "-d", f"user=you-{MARK}", "-s", "conf=on", "-l", "app=web", "-a", "owner=me")
    me.ok("patch", "-i", "app.yaml", *words, "-m", "name=other")
    made = path.read_bytes()
    line = next(line for line in before.splitlines() if b"password:" in line)
    assert line in made.splitlines()
    clear = opened_by_sops(me, "app.yaml")
    for wanted in ("name: other", f"tls.key: {b64(f'new-{MARK}')}", "app: web", "owner: me", "conf: "):
        assert wanted.encode() in clear
    assert clear.count(b"user: ") == 1  # under data, and no more under stringData
    assert me.ok("get", "app.yaml", "user").out == f"you-{MARK}".encode()
    me.ok("patch", "-i", "--rotate", "app.yaml", "-d", "~tls.key")
    assert b"tls.key" not in opened_by_sops(me, "app.yaml")
    assert line not in path.read_bytes().splitlines()
    for code, said, more in (
        (3, "it has no data.none to take away", ["-d", "~none"]),
        (3, "no such Secret", ["--secret", "none", "-d", "a=b"]),
        (2, "keys add and keys remove", ["-k", f"+{me.ref}", "-d", "a=b"]),
        (2, "keys add and keys remove", ["--scope", "any", "-d", "a=b"]),
    ):
        assert said in me.fails(code, "patch", "-i", "app.yaml", *more)
    sealed(me, "values.yaml", VALUES)
    assert "it is none" in me.fails(2, "patch", "-i", "values.yaml", "-d", "a=b")


def test_a_walk_leaves_what_no_rule_is_for_unless_it_is_a_secret(me: Person) -> None:
    rule = f"{{path_regex: ^prod/, encrypted_regex: ^(data|stringData)$, age: {me.ref.removeprefix('age:')}}}"
    me.write(".sops.yaml", f"creation_rules: [{rule}]\n".encode())
    (me.work / "prod").mkdir()
    me.write("prod/a.yaml", SECRET.encode())
    me.write("config.yaml", CONFIG_MAP.encode())
    for flag in ([], ["--format", "sops"]):
        ran = me.run("encrypt", "-i", "-r", *flag, ".")
        assert ran.code == 0, ran.err
    me.write("b.yaml", SECRET.encode())
    for flag in ([], ["--format", "sops"]):
        assert "no rule of creation_rules fits" in me.run("encrypt", "-i", "-r", *flag, ".").err
    assert (me.work / "b.yaml").read_text() == SECRET
    assert (me.work / "config.yaml").read_text() == CONFIG_MAP


def test_a_new_secret_is_made_in_sops_format_where_that_is_said(me: Person) -> None:
    words = ("create", "generic", "app", f"--from-literal=password={MARK}", "--format", "sops")
    me.ok(*words, "-k", me.ref, "-o", "by-key.yaml")
    assert "say --path FILE" in me.fails(2, *words, "-k", me.ref)
    assert "--scope does not go" in me.fails(2, *words, "-k", me.ref, "--scope", "any", "-o", "no.yaml")
    printed = me.ok(*words, "-k", me.ref, "--path", "x.json", "-o", "json").out
    assert b'"sops"' in printed
    me.write(
        ".sops.yaml", f"creation_rules: [{{encrypted_regex: ^data$, age: {me.ref.removeprefix('age:')}}}]\n".encode()
    )
    me.ok(*words, "-o", "by-rule.yaml")
    assert b"encrypted_regex: ^data$" in (me.work / "by-rule.yaml").read_bytes().replace(b'"', b"")
    for name in ("by-key.yaml", "by-rule.yaml"):
        assert b64(MARK).encode() in opened_by_sops(me, name)
        assert b"kind: Secret" in (me.work / name).read_bytes()
