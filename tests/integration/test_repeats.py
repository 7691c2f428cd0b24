"""Values that stand once more in the clear beside their tokens: refused when sealing, with the place and no value."""

from __future__ import annotations

import base64
import gzip
import json
import time
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretsvc import patience
from secretsvc.errors import KsecretError, ManifestError, RepeatedError
from secretsvc.operations.convert import convert_manifest
from secretsvc.operations.edit import open_draft, seal_draft
from secretsvc.operations.from_cluster import without_cluster
from secretsvc.operations.open import open_manifest, open_parents
from secretsvc.operations.patch import patch_manifest
from secretsvc.operations.request import ANY_TIME, Changes, Request
from secretsvc.operations.rotate import rotate_manifest
from secretsvc.operations.seal import seal_manifest
from tests.kubesec_support import ALL, PGP
from tests.support import CREATED, NO_CHANGE

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "hunter2-secret"
B64 = base64.b64encode(SECRET.encode()).decode()
OBJECT = json.dumps({"apiVersion": "v1", "data": {"password": B64}, "kind": "Secret", "metadata": {"name": "db"}})
FORMATS = ("ksecret", "kubesec")


def request(format_: str = "ksecret", *, allowed: bool = False, blind: bool = False) -> Request:
    return Request(NO_CHANGE, lambda *_: (PGP,), "", CREATED, format_, allow_repeated=allowed, blind=blind)


def seal(text: str, format_: str = "ksecret", *, allowed: bool = False) -> bytes:
    return seal_manifest(text.encode(), request(format_, allowed=allowed), ALL).data


def refused(work: Callable[[], object], *secret: str) -> RepeatedError:
    """What is said of a repeat: an entry of a Secret, and none of these texts."""
    with pytest.raises(RepeatedError, match=r"in the clear") as caught:
        work()
    said = f"{caught.value.message}{caught.value.hint}{caught.value!r}"
    for text in (SECRET, B64, *secret):
        assert text not in said
    assert caught.value.line
    return caught.value


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode())).decode()


def with_annotation(text: str, *, as_json: bool) -> str:
    if as_json:
        metadata = {"name": "db", "annotations": {"a/b": "x", "team/note": text}}
        whole = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"password": B64}}
        return json.dumps(whole, indent=2) + "\n"
    note = json.dumps(text)
    return (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  annotations:\n    a/b: x\n"
        f"    team/note: {note}\ndata:\n  password: {B64}\n"
    )


HIDING = {
    "text": SECRET,
    "in a sentence": f"it is {SECRET}, ask me",
    "base64": B64,
    "base64 unpadded": B64.rstrip("="),
    "base64 of user and password": base64.b64encode(f"me:{SECRET}".encode()).decode(),
    "base64 one further": base64.b64encode(f"a:{SECRET}!".encode()).decode(),
    "base64 in base64": base64.b64encode(B64.encode()).decode(),
    "base64 of the value and a line break": base64.b64encode(f"{SECRET}\n".encode()).decode(),
    "JSON": OBJECT,
    "JSON in JSON": json.dumps({"spec": OBJECT}),
    "JSON with escapes": '{"a": "\\u0068unter2-secr\\u0065t"}',
    "YAML with escapes": 'a: "\\x68unter2-secret"',
    "gzip": packed(OBJECT),
    "gzip, URL-safe": packed(OBJECT).replace("+", "-").replace("/", "_").rstrip("="),
    "zlib": base64.b64encode(zlib.compress(OBJECT.encode())).decode(),
    "base64 of base64 of gzip": base64.b64encode(packed(OBJECT).encode()).decode(),
    "base64 over two lines": f"{B64[:10]}\n{B64[10:]}",
}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("hidden", HIDING.values(), ids=HIDING)
def test_an_annotation_that_repeats_a_value_is_refused(hidden: str, format_: str) -> None:
    error = refused(lambda: seal(with_annotation(hidden, as_json=False), format_))
    assert error.line == 7
    assert error.message.startswith("the annotation team/note ")
    assert 'data["password"] of db' in error.message
    assert seal(with_annotation(hidden, as_json=False), format_, allowed=True)


@pytest.mark.parametrize("hidden", HIDING.values(), ids=HIDING)
def test_so_is_one_in_json(hidden: str) -> None:
    error = refused(lambda: seal(with_annotation(hidden, as_json=True)))
    assert (error.line, error.message.partition(" of ")[0]) == (8, error.message.partition(" of ")[0])
    assert error.message.startswith("the annotation team/note ")


CLEAR = f"""\
apiVersion: v1
kind: Secret
metadata:
  name: db
  labels:
    app: web
stringData:
  user: somebody
  password: {SECRET}
"""
PLACES = {
    "above": (CLEAR.replace("  password", f"  # {SECRET}\n  password"), 9, "a comment"),
    "behind": (CLEAR.replace(f"{SECRET}\n", f"{SECRET}  # {SECRET}\n"), 9, "a comment"),
    "base64 in a comment": (f"# {B64}\n{CLEAR}", 1, "a comment"),
    "several comments": (f"# one\n\n# two\n#{SECRET}\n{CLEAR}", 4, "a comment"),
    "at the end": (f"{CLEAR}# {SECRET}", 10, "a comment"),
    "behind a document's end": (f"{CLEAR}...\n# {SECRET}\n", 11, "a comment"),
    "label": (CLEAR.replace("app: web", f"app: {SECRET}"), 6, "the label app"),
    "a label's name": (CLEAR.replace("app: web", f"{SECRET}: web"), 6, "a name under metadata.labels"),
    "an anchor": (CLEAR.replace("app: web", f"app: &{SECRET} web"), 6, "a text between the members"),
    "a tag": (CLEAR.replace("app: web", f"app: !{SECRET} web"), 6, "a text between the members"),
    "an alias": (CLEAR.replace("app: web", f"a: &{SECRET}-1 web\n    b: *{SECRET}-1"), 6, "a text between the members"),
    "block header": (CLEAR.replace(SECRET, f"|  # {SECRET}\n    {SECRET}"), 9, "a comment"),
    "in a flow mapping": (
        f"{{apiVersion: v1, kind: Secret,\n metadata: {{name: db}},\n data:\n {{a: {B64}}}, # {SECRET}\n type: x}}",
        4,
        "a comment",
    ),
    "a list's comment": (
        "apiVersion: v1\nkind: List\nitems:\n# " + SECRET + "\n- " + CLEAR.replace("\n", "\n  ").rstrip(" "),
        4,
        "a comment",
    ),
    "another member": (f"{CLEAR}immutable: {SECRET}\n", 10, "the member immutable"),
}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("text", "line", "what"), PLACES.values(), ids=PLACES)
def test_wherever_it_stands_in_the_secret(text: str, line: int, what: str, format_: str) -> None:
    if format_ == "kubesec" and ("items:" in text or "{" in text or "..." in text):
        pytest.skip("kubesec's format holds one Secret in block style")
    error = refused(lambda: seal(text, format_))
    assert error.line == line
    assert error.message.startswith(what)


MAP = "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  conf: |\n    # x\n    pw={}\n"


@pytest.mark.parametrize("text", [SECRET, B64])
def test_another_object_of_the_file_that_repeats_it_is_refused(text: str) -> None:
    error = refused(lambda: seal(CLEAR + MAP.format(text)))
    assert error.line == 18
    assert error.message.startswith("the member data.conf ")
    assert seal(CLEAR + MAP.format("something-else"))


def test_each_line_of_a_value_counts_but_not_what_every_file_has() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAAA\n-----END PRIVATE KEY-----\n"
    config = "apiVersion: v1\nkind: Config\nclusters:\n# a comment\npassword: swordfish\n"
    values = {"key.pem": key, "config": config}
    clear = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData: {json.dumps(values)}\n"
    for harmless in ("-----BEGIN PRIVATE KEY-----", "apiVersion: v1", "clusters:", "# a comment"):
        assert seal(clear + MAP.format(harmless))
    for line in ("MC4CAQAwBQYDK2VwBCIEIAAA", "password: swordfish"):
        refused(lambda line=line: seal(clear + MAP.format(line)), line)


def test_the_base64_of_what_is_base64_itself() -> None:
    clear = CLEAR.replace(SECRET, B64)
    refused(lambda: seal(f"# {SECRET}\n{clear}"))
    twice = base64.b64encode(B64.encode()).decode()
    refused(lambda: seal(f"# {SECRET}\n" + CLEAR.replace("stringData", "data").replace(SECRET, twice)[:-1]), twice)


@pytest.mark.parametrize("value", ["x" * 7, "true", "********", "db-auth-1", "somekey-1", "kubernetes.io/dockercfg"])
def test_short_and_trivial_values_and_names_are_not_looked_for(value: str) -> None:
    clear = (
        f"# {value}\napiVersion: v1\nkind: Secret\n"
        f"metadata:\n  name: db-auth-1\n  labels:\n    app: {json.dumps(value)}\n"
        f"type: kubernetes.io/dockercfg\nstringData:\n  somekey-1: {json.dumps(value)}\n"
    )
    assert seal(clear)


def test_a_word_is_found_as_a_word_only() -> None:
    clear = CLEAR.replace(SECRET, "swordfish")
    assert seal(clear.replace("app: web", "app: swordfishes"))
    refused(lambda: seal(clear.replace("app: web", "app: swordfish-db")))


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIQIRi6zePL6mKjOipn\n-----END CERTIFICATE-----\n"
EVERYDAY = {
    "a label of Kubernetes' own": ("billing-api", "  app.kubernetes.io/name: billing-api", "see billing-api"),
    "Helm's": ("chart-1.2.3", "  helm.sh/chart: chart-1.2.3", "# Source: chart-1.2.3"),
    "a service account's name": ("billing-bot", "  kubernetes.io/service-account.name: billing-bot", ""),
    "a region": ("eu-central-1", "  topology.kubernetes.io/region: eu-central-1", "eu-central-1"),
    "one elsewhere": ("us-gov-west-1", "  a: b", "us-gov-west-1"),
    "Google's": ("europe-west4", "  a: b", "europe-west4"),
    "a stage": ("production", "  env: production", "in Production"),
    "a user whom everybody has": ("postgres", "  app: postgres", "image: docker.io/library/postgres:16"),
    "this machine": ("localhost:5432", "  a: b", "DB_HOST=localhost:5432"),
    "its address": ("127.0.0.1:5432", "  a: b", "127.0.0.1:5432"),
    "an address in the cluster": ("db.prod.svc.cluster.local:5432", "  a: b", "db.prod.svc.cluster.local:5432"),
    "a site": ("https://auth.example.com:8443/", "  a: b", "issuer: https://auth.example.com:8443/"),
    "a certificate": (CERTIFICATE, "  a: b", f"caBundle: {base64.b64encode(CERTIFICATE.encode()).decode()}"),
}


@pytest.mark.parametrize(("value", "label", "text"), EVERYDAY.values(), ids=EVERYDAY)
def test_what_is_no_secret_may_be_repeated(value: str, label: str, text: str) -> None:
    clear = CLEAR.replace("password", "username").replace("  user:", "  other:")
    clear = clear.replace(SECRET, json.dumps(value)).replace("    app: web", f"  {label}")
    where = "annotations" if "account" in label else "labels"
    assert seal(clear.replace("labels", where) + MAP.format(text))
    if "\n" not in value and text == value:
        assert seal(f"{clear}  # username: {value}\n")


@pytest.mark.parametrize("key", ["password", "DB_PASSWORD", "pwd", "api-token", "client_secret", "apiKey", "key"])
def test_a_label_describes_no_password(key: str) -> None:
    clear = CLEAR.replace("app: web", f"app.kubernetes.io/name: {SECRET}").replace("password", key)
    assert refused(lambda: seal(clear)).line == 6
    assert seal(clear.replace(f"{key}:", "KEYCLOAK_USER:"))


@pytest.mark.parametrize(
    "value",
    [
        *("production1", "postgres-main", "localhost:5432/?password=x1", "me@127.0.0.1:5432", "x:y@db.prod.svc"),
        *("https://hooks.example.com/services/T1/B2", "https://me@example.com", "https://example.com?key=1"),
        *("eu-central-1-x", f"{CERTIFICATE}-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----"),
        f"{CERTIFICATE}a further line",
    ],
)
def test_but_not_what_is_only_like_it(value: str) -> None:
    clear = CLEAR.replace(SECRET, json.dumps(value))
    last = next(line for line in reversed(value.splitlines()) if not line.startswith("-----"))
    refused(lambda: seal(clear + MAP.format(last)), value)


@pytest.mark.parametrize("name", ["kubectl.kubernetes.io/note", "kapp.k14s.io/note", "a.helm.sh/note", "helm.sh/note"])
def test_annotations_are_looked_through_whoever_they_are_of(name: str) -> None:
    clear = CLEAR.replace("  labels:\n    app: web", f"  annotations:\n    {name}: {SECRET}")
    refused(lambda: seal(clear))


@pytest.mark.parametrize(
    "comment", ["# pin: 1234", '#pin: "1234"', "# - pin: 1234", "  # pin = 1234", "# pin: MTIzNA=="]
)
def test_a_short_value_is_found_where_its_entry_is_commented_out(comment: str) -> None:
    clear = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: card\ndata:\n{comment}\n  pin: MTIzNA==\n"
    assert refused(lambda: seal(clear), "1234").line == 6
    assert seal(clear.replace("1234", "5678").replace("MTIzNA==\n  pin", "x\n  pin"))


@pytest.mark.parametrize("blind", [False, True])
def test_values_that_are_sealed_already_tell_nothing_to_who_may_only_add_some(blind: bool) -> None:
    """Else a comment full of guesses, and a refusal, would tell them."""
    sealed = seal(CLEAR).decode()
    guessing = f"# {SECRET}\n{sealed}".encode()

    def added(value: str) -> bytes:
        return patch_manifest(guessing, Changes({"new": value.encode()}), request(blind=blind), ALL).data

    assert added("another-value")  # the comment was there before, and was let pass or put there by somebody else
    refused(lambda: added(SECRET))
    if not blind:
        draft = open_draft(sealed.encode(), request(), ALL)
        refused(lambda: seal_draft(draft, f"# {SECRET}\n".encode() + draft.shown, request(), ALL))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_repeat_that_was_let_pass_is_refused_again_only_where_it_spreads(format_: str) -> None:
    block = f"    more: |\n      a first line\n      {SECRET}"
    noted = CLEAR.replace("app: web", f"app: {SECRET}\n    # it is {SECRET}\n  annotations:\n{block}")
    sealed = seal(noted, format_, allowed=True)

    def patch(changes: Changes) -> bytes:
        return patch_manifest(sealed, changes, request(format_), ALL).data

    for harmless in (
        Changes({"user": b"another-user"}),
        Changes({"new": b"another-value", "user": None}),
        Changes({"password": b"another-value"}),
        Changes({"password": SECRET.encode()}),
        Changes(labels={"other": "label"}, annotations={"other": "note", "more": "no more"}),
    ):
        assert SECRET.encode() in patch(harmless)
    for spread in (
        Changes({"new": SECRET.encode()}),
        Changes(string_data={"new": SECRET}),
        Changes(labels={"other": SECRET}),
        Changes(annotations={"note": f"see {B64}"}),
    ):
        with pytest.raises(RepeatedError, match="in the clear"):
            patch(spread)
    draft = open_draft(sealed, request(format_), ALL)

    def edit(old: str, new: str) -> bytes:
        assert old.encode() in draft.shown
        return seal_draft(draft, draft.shown.replace(old.encode(), new.encode(), 1), request(format_), ALL).data

    assert edit("user: somebody", "user: another-user\n  new: another-value")
    assert edit(f"    # it is {SECRET}\n", "")
    assert edit("  user: somebody", f"  # it is {SECRET}\n  user: somebody")
    refused(lambda: edit("  user: somebody", f"  # it was {SECRET}\n  user: somebody"))
    refused(lambda: edit("user: somebody", f"user: {SECRET}"))
    refused(lambda: edit("a first line", f"a first line, {SECRET}"))
    refused(lambda: edit("metadata:\n", f"metadata:\n  generateName: x\n  selfLink: {SECRET}\n"))


@pytest.mark.parametrize("format_", FORMATS)
def test_patching_in_what_is_sealed_or_sealing_what_is_there(format_: str) -> None:
    noted = seal(CLEAR.replace("app: web", "app: open-sesame-77"), format_)

    def patch(changes: Changes) -> bytes:
        return patch_manifest(noted, changes, request(format_), ALL).data

    error = refused(lambda: patch(Changes({"password": b"open-sesame-77"})), "open-sesame-77")
    assert (error.line, error.message.partition(" repeats")[0]) == (6, "the label app")
    with pytest.raises(RepeatedError, match="the annotation note repeats"):
        patch(Changes(annotations={"note": SECRET}))
    assert patch(Changes({"password": b"open-sesame-78"}))


def test_the_line_is_that_of_the_file_whatever_was_changed_above_it() -> None:
    block = "  pem: |\n    line number one\n    line number two\n"
    sealed = seal(
        CLEAR.replace("stringData:\n", "stringData:\n" + block).replace("  user", "  # open-sesame-77\n  user")
    )
    line = sealed.decode().splitlines().index("  # open-sesame-77") + 1
    changes = Changes({"pem": b"one\ntwo\nthree\nfour", "other": b"open-sesame-77"})
    error = refused(lambda: patch_manifest(sealed, changes, request(), ALL), "open-sesame-77")
    assert error.line == line
    told = seal(CLEAR.replace("stringData:\n", "stringData:\n" + block) + f"# {SECRET}\n", allowed=True)
    line = told.decode().splitlines().index(f"# {SECRET}") + 1
    assert refused(lambda: convert_manifest(told, request("kubesec"), ALL)).line == line


@pytest.mark.parametrize("format_", FORMATS)
def test_who_changes_neither_values_nor_comments_is_let_pass(format_: str) -> None:
    sealed = seal(f"# {SECRET}\n{CLEAR}", format_, allowed=True)
    rotated = rotate_manifest(sealed, request(format_)._replace(rotate_before=ANY_TIME), ALL).data
    assert rotated != sealed
    assert open_manifest(rotated, ALL).data
    again = request(format_)._replace(rotate_before=ANY_TIME)
    assert seal_manifest(sealed, again, ALL).data != sealed  # encrypt, for other keys or a new DEK
    more = sealed.replace(b"  user:", b"  new: another-value\n  user:")
    refused(lambda: seal_manifest(more, again, ALL))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("value", [SECRET, "swordfish", "pw1"])
def test_an_editor_that_leaves_an_old_value_in_a_comment(format_: str, value: str) -> None:
    draft = open_draft(seal(CLEAR.replace(SECRET, value), format_), request(format_), ALL)
    edited = draft.shown.replace(
        f"  password: {value}".encode(), f"  # password: {value}\n  password: brand-new".encode()
    )
    error = refused(lambda: seal_draft(draft, edited, request(format_), ALL), value)
    assert error.line == 9
    gone = draft.shown.replace(b"  password:", b"  #password:")
    assert refused(lambda: seal_draft(draft, gone, request(format_), ALL), value).line == 9
    assert seal_draft(draft, edited, request(format_, allowed=True), ALL)


def test_an_editor_that_comments_out_a_whole_secret() -> None:
    other = CLEAR.replace("name: db", "name: other").replace(SECRET, "open-sesame-77")
    draft = open_draft(seal(f"{CLEAR}---\n{other}"), request(), ALL)
    edited = draft.shown.replace(other.encode(), "".join(f"# {line}\n" for line in other.splitlines()).encode())
    assert refused(lambda: seal_draft(draft, edited, request(), ALL), "open-sesame-77")
    moved = draft.shown.replace(other.encode(), b"# it was open-sesame-77\n")
    assert 'stringData["password"] of other' in refused(lambda: seal_draft(draft, moved, request(), ALL)).message


def test_values_of_a_parent_count_too() -> None:
    parents = open_parents(seal(CLEAR), ALL)
    fresh = CLEAR.replace(SECRET, f"brand-new-value  # was {SECRET}")
    refused(lambda: seal_manifest(fresh.encode(), request(), ALL, parents))


COPIES = {
    "last-applied": ("kubectl.kubernetes.io/last-applied-configuration", OBJECT),
    "as a list": ("kubectl.kubernetes.io/last-applied-configuration", f"[{OBJECT}]"),
    "data twice": ("kubectl.kubernetes.io/last-applied-configuration", OBJECT[:-1] + ',"data":{}}'),
    "torn": ("kubectl.kubernetes.io/last-applied-configuration", OBJECT[:-1]),
    "KubeVela": ("app.oam.dev/last-applied-configuration", OBJECT),
    "kopf": ("kopf.zalando.org/last-handled-configuration", OBJECT),
    "kapp": ("kapp.k14s.io/original", OBJECT),
    "kapp's diff": ("kapp.k14s.io/original-diff", "- type: test\n  path: /data\n  value:\n    password: x"),
    "kapp's diff in JSON": ("kapp.k14s.io/original-diff", '[{"type":"test","path":"/data/password","value":"x"}]'),
    "Rancher": ("objectset.rio.cattle.io/applied", packed(OBJECT)),
}
HARMLESS = {
    "no data": ("kapp.k14s.io/original", '{"kind":"Secret","data":{},"metadata":{"labels":{"app":"data"}}}'),
    "no change of data": ("kapp.k14s.io/original-diff", '[{"type":"test","path":"/metadata/labels/a"}]'),
    "packed": ("objectset.rio.cattle.io/applied", packed('{"kind":"Secret"}')),
    "another": ("example.com/original", OBJECT.replace(B64, "x")),
    "empty": ("kapp.k14s.io/original", ""),
}


def annotated(name: str, text: str, *, as_json: bool) -> str:
    """Beside a value that the annotation does not hold: it is an older one's."""
    clear = CLEAR.replace(SECRET, "another-value")
    if not as_json:
        return clear.replace(
            "  labels:", f"  annotations:\n    a: b\n    {name}: {json.dumps(text)}\n    c: d\n  labels:"
        )
    metadata = {"name": "db", "annotations": {name: text, "c": "d"}}
    whole = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": "another-value"}}
    return json.dumps(whole, indent=2) + "\n"


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("name", "text"), COPIES.values(), ids=COPIES)
def test_copies_that_tools_keep_are_refused_and_stripped_on_demand(name: str, text: str, as_json: bool) -> None:
    whole = annotated(name, text, as_json=as_json)
    with pytest.raises(ManifestError, match=f"the annotation {name} repeats the data") as caught:
        seal(whole, allowed=True)
    assert caught.value.line == 7
    assert "--from-cluster" in caught.value.hint
    stripped = without_cluster(whole.encode()).decode()
    assert name not in stripped
    assert all(kept in stripped for kept in ('"c"', "another-value") if as_json or kept != '"c"')
    assert seal(stripped)


@pytest.mark.parametrize(("name", "text"), HARMLESS.values(), ids=HARMLESS)
def test_copies_without_data_stay(name: str, text: str) -> None:
    whole = annotated(name, text, as_json=False)
    assert without_cluster(whole.encode()).decode() == whole
    assert seal(whole)


def test_several_copies_go_at_once() -> None:
    notes = {name: text for name, text in COPIES.values()}
    assert len(notes) > 4
    for keep in ([], ["0"], ["0", "1"], ["1"]):
        first = {"0": "x"} if "0" in keep else {}
        metadata = {"name": "db", "annotations": first | notes | ({"1": "x"} if "1" in keep else {})}
        whole = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"a": "b"}}
        for indent in (None, 2):
            stripped = without_cluster(json.dumps(whole, indent=indent).encode())
            assert json.loads(stripped)["metadata"].get("annotations", {}) == dict.fromkeys(keep, "x")


def test_a_bomb_costs_no_more_than_its_bound() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(1 << 28), 9)).decode()
    start = time.process_time()
    with pytest.raises(RepeatedError, match="the annotation team/note holds more than can be looked through"):
        seal(with_annotation(bomb, as_json=False))
    with pytest.raises(ManifestError, match="the annotation objectset"):
        seal(annotated("objectset.rio.cattle.io/applied", bomb, as_json=False))
    assert time.process_time() - start < 5


def test_nobody_is_looked_for_values_for_who_has_gone() -> None:
    values = {f"k{number}": f"value-number-{number}" for number in range(100)}
    clear = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData: {json.dumps(values)}\n"
    few, many = [], []
    for asked, comment in ((few, "a"), (many, "a" * 1_000_000)):
        with patience.Asking(lambda asked=asked: asked.append(1)):
            seal(f"{clear}# {comment}\n")
    assert len(many) > len(few) + 10


@given(st.lists(st.text(max_size=40), max_size=4), st.text(max_size=60), st.sampled_from(FORMATS))
def test_it_is_sealed_or_refused_and_nothing_else(values: list[str], note: str, format_: str) -> None:
    texts = {f"k{number}": value for number, value in enumerate(values)}
    metadata = {"name": "db", "annotations": {"a": note, "b": json.dumps(note), "c": B64}}
    whole = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts}
    try:
        sealed = seal(json.dumps(whole), format_)
    except KsecretError:
        return
    clear = sealed.decode("utf-8", "surrogatepass")
    long = [value for value in values if len(value.strip()) >= 8 and any(map(str.isdecimal, value))]
    assert not any(value in clear and value in note for value in long)
