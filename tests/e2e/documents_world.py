"""Somebody who can run the documents' command lines: with keys, the files that are named there, a Git repository."""

from __future__ import annotations

import json
import shutil
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import yaml
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import load_pem_x509_certificate

from tests.e2e.cli import MARK, Person, b64
from tests.e2e.documents import ROOT, TYPED, run_in_order
from tests.e2e.git_repository import Repository
from tests.emulators.fake_service import TOKEN
from tests.sops_support import program, sops
from tests.unit.certificates import Authority

if TYPE_CHECKING:
    from tests.e2e.documents import Ran
    from tests.e2e.kubesec_people import Homes

DEPLOYED = ("deploy/a.yaml", "deploy/prod/b.yaml")
CLEAR = {
    "README.md": ("secret.yaml",),
    "docs/comparison.md": ("secret.yaml",),
    "docs/usage.md": ("secret.yaml", "new.yaml"),
    "docs/sops.md": ("secret.yaml",),
    "docs/remote.md": ("secret.yaml",),
    "docs/api.md": ("secret.yaml",),
    "docs/backends/gcp-kms.md": ("secret.yaml",),
    "encrypt": ("secret.yaml", "new.yaml", *DEPLOYED),
    "merge": ("new.yaml",),
}
"""What is not sealed yet where a page, or a command's examples, begin."""
ABSENT = {"create": ("db.yaml", "app.yaml"), "docs/create.md": ("db.yaml", "app.yaml")}
"""What is to be made."""
RECIPIENTS = ("team.txt", "alice.keys")
"""Files for `-R`."""
OLD = ("old.yaml", "old.sealed.yaml")
SEALED = ("secret.yaml", "maybe-sealed.yaml", "db.yaml", "tls.yaml", "all.yaml", *DEPLOYED, *OLD)
ENTRIES = {"get": ("tls.crt",), "unset": ("old-password", "older-password"), "patch": ("old-key",)}
"""What the Secrets have beside a username, a password and an URL."""


def sealed_secrets(me: Person) -> None:
    """Files that kubeseal made, and its controller's keys."""
    kept = ROOT / "tests" / "data" / "sealed-secrets"
    for name, made in (("keys", "keys"), ("deploy/s", "strict"), ("sealed", "namespace-wide"), ("more", "strict")):
        me.write(f"{name}.yaml", (kept / f"{made}.yaml").read_bytes())
    keys = [b64decode(one["data"]["tls.key"]) for one in yaml.safe_load((kept / "keys.yaml").read_text())["items"]]
    for name, key in zip(("old.pem", "new.pem"), keys, strict=True):
        me.write(name, key)


class World:
    """Lines are run in a copy of the files as they were; `placeholders` are filled in first."""

    def __init__(self, folder: Path, homes: Homes, source: str) -> None:
        self.me = Person(folder)
        self._folder = folder
        friend = f"age:{pyrage.x25519.Identity.generate().to_public()}"
        self.placeholders = {
            "age:age1…": friend,
            "pgp:6206…": f"pgp:{homes.friend}",
            "/run/ksecret/token": str(self.me.home / "token"),
        }
        self.me.environ |= {"GNUPGHOME": homes.mine.path, "TOKEN": TOKEN, "EDITOR": "true"}
        self.me.environ |= {"TEXT": "not-a-secret", "JOB_COMPLETION_INDEX": "0"}
        self._programs(folder / "bin", "kubectl", "psql", "code")
        self._home()
        self._files()
        self.me.write("ci-key.asc", homes.mine.gpg("--export-secret-keys", homes.me))
        self._manifests(source)
        if source == "docs/usage.md":
            self.placeholders["age:age1…"] = self.me.ref
        if source == "docs/comparison.md":
            self.placeholders |= {"age:age1…": self.me.ref, "age1…": self.me.ref.removeprefix("age:")}
            self.placeholders |= {"pgp:6206…": f"pgp:{homes.me}"}
            (folder / "bin" / "sops").symlink_to(program())
            self.me.environ["SOPS_AGE_KEY"] = self.me.identity
        if source == "README.md":
            shutil.copytree(ROOT / "examples", self.me.work / "examples")
        self._policy(source, friend)
        if source == "keys":
            self.me.ok("encrypt", "-i", "-r", "-k", f"+{friend}", "deploy")
        if source == "convert":
            self.me.ok("encrypt", "-i", "-k", f"pgp:{homes.me}", "secret.yaml")
            self.me.ok("convert", "--to", "kubesec", "-k", f"pgp:{homes.me}", "-r", "deploy")
            self.me.write(".sops.yaml", f"creation_rules: [{{age: {self.me.ref.removeprefix('age:')}}}]\n".encode())
        if source == "rename":
            sealed = self.me.work / "secret.yaml"
            sealed.write_text(sealed.read_text().replace("name: db,", "name: db1,"))
        if source == "verify":
            self._sealed_by_sops("values.yaml", "db:\n  user: x\n")
        if source == "docs/sops.md":
            self.me.write(".sops.yaml", f"creation_rules: [{{age: {self.me.ref.removeprefix('age:')}}}]\n".encode())
            self.me.write("new.yaml", b"db:\n  password: not-a-secret\n")
            self._sealed_by_sops("values.yaml", "db:\n  user: x\n  hosts: [a, b]\n")
            (self.me.work / "charts").mkdir()
            self._sealed_by_sops("charts/values.yaml", "db: x\n")
            self._sealed_by_sops("app.env", "PASSWORD=x\n")
            self._sealed_by_sops("app.yaml", "kind: Secret\nmetadata:\n  name: app\nstringData:\n  password: x\n")
        self.repository = Repository(self.me, plain=True, clear="", name=".gitkeep")
        self.repository.ok("update-ref", "refs/remotes/origin/main", "HEAD")

    def _policy(self, source: str, friend: str) -> None:
        text = ""
        if source in ("keys", "docs/git.md"):
            text = f"version: 1\nrules: [{{keys: ['{self.me.ref}']}}]\n"
        if source in ("report", "docs/report.md"):
            text = f"version: 1\npeople: {{bob: {friend}}}\nrules: [{{keys: [bob]}}]\n"
        if text:
            self.me.write(".ksecret.yaml", text.encode())

    def _manifests(self, source: str) -> None:
        entries = ("username", "password", *ENTRIES.get(source, ()))
        text = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: prod}\ndata:\n"
        text += "".join(f"  {key}: {b64(f'{key} {MARK}')}\n" for key in entries) + f'stringData:\n  url: "{MARK} url"\n'
        for name in SEALED:
            if name not in ABSENT.get(source, ()):
                self.me.write(name, text.encode())
        self.me.ok("encrypt", "-i", "-r", "-k", self.me.ref, ".")
        for name in CLEAR.get(source, ()):
            self.me.write(name, text.encode())
        if source == "encrypt":
            clear = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {password: not-a-secret}\n"
            self.me.write("clear.yaml", clear.encode())
            self.me.write("values.yaml", b"db:\n  password: not-a-secret\n")
        if source == "convert":
            sealed_secrets(self.me)

    def _sealed_by_sops(self, name: str, text: str) -> None:
        words = ("encrypt", "--age", self.me.ref.removeprefix("age:"), "--encrypted-regex", "^(db|stringData)$")
        path = self.me.write(name, text.encode())
        path.write_bytes(sops(*words, path).stdout)

    def _programs(self, folder: Path, *names: str) -> None:
        """Programs that take what they are given and do nothing."""
        folder.mkdir()
        for name in names:
            (folder / name).write_text("#!/bin/sh\n[ -t 0 ] || cat >/dev/null\n")
            (folder / name).chmod(0o755)
        self.me.environ["PATH"] = f"{folder}:{self.me.environ['PATH']}"

    def _home(self) -> None:
        home = self.me.home
        (home / "token").write_text(TOKEN)
        (home / ".docker").mkdir()
        (home / ".docker" / "config.json").write_text(json.dumps({"auths": {"ghcr.io": {"auth": b64(f"me:{MARK}")}}}))
        (home / ".config" / "fish" / "completions").mkdir(parents=True)

    def _files(self) -> None:
        """What commands read beside manifests."""
        files = Authority(self._folder / "ca").issue("web.example.org")
        certificate, key = (Path(name).read_bytes() for name in files)
        parsed = (load_pem_private_key(key, None), load_pem_x509_certificate(certificate))
        pkcs12 = serialize_key_and_certificates(b"web", *parsed, None, BestAvailableEncryption(TYPED.encode()))
        self.me.write("web.p12", pkcs12)
        for name in ("web.crt", "ca.crt", "tls/ca.crt", "pki/ca.crt"):
            self.me.write(name, certificate)
        for name in ("web.key", "new.key", "tls/ca.key"):
            self.me.write(name, key)
        for name in RECIPIENTS:
            self.me.write(name, f"{self.me.ref}\n".encode())
        (self.me.work / "prod").mkdir()
        for name in ("app.env", "app.conf", "password.txt"):
            self.me.write(name, f"a={MARK}\n".encode())
        self.me.write("migrate", b"#!/bin/sh\n").chmod(0o755)

    def run(self, typed: list[list[str]]) -> list[Ran]:
        """Runs blocks of lines in order."""
        kept, place = self._folder / "as-it-was", self._folder / "lines"
        if not kept.exists():
            shutil.copytree(self.me.work, kept, symlinks=True)
        shutil.rmtree(self.me.work)
        shutil.copytree(kept, self.me.work, symlinks=True)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return run_in_order(self.me, [[self.filled(line) for line in block] for block in typed], place)

    def filled(self, line: str) -> str:
        for placeholder, text in self.placeholders.items():
            line = line.replace(placeholder, text)
        return line
