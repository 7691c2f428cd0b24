"""An Ansible lookup: the values of sealed Secrets, opened in the controller's memory. docs/ansible.md shows its use."""

import json
import subprocess
from base64 import b64decode, b64encode

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: ksecret
author: The ksecret authors
short_description: values of Kubernetes Secrets that ksecret sealed
description:
  - Opens a sealed manifest with C(ksecret decrypt); that and its keys have to be at hand on the controller.
  - Tasks that use a value need C(no_log), for Ansible shows and logs their arguments.
options:
  _terms:
    description: manifests; a relative path is looked for as those of C(files) are, next to the role or the playbook
    required: true
  key:
    description: the entry whose value is wanted; without it, a dictionary of all of them
    type: str
  name:
    description: which Secret, where a file has several
    type: str
  namespace:
    description: likewise
    type: str
  encoding:
    description: V(text) refuses a value that is not UTF-8; V(base64) encodes every value
    type: str
    choices: [text, base64]
    default: text
"""

EXAMPLES = """
- ansible.builtin.uri:
    url: https://db.example.com/login
    method: POST
    body_format: json
    body: {password: "{{ lookup('ksecret', 'secrets/db.yaml', key='password') }}"}
  no_log: true
"""

RETURN = """
_raw:
  description: for each manifest the value of O(key), or a dictionary of all values
"""


class LookupModule(LookupBase):
    """What C(lookup('ksecret', …)) calls."""

    def run(self, terms, variables=None, **options):
        """The values, one for each term. Raises AnsibleLookupError, which holds no value."""
        self.set_options(var_options=variables, direct=options)
        return [self._values(term, self.find_file_in_search_path(variables, "files", term)) for term in terms]

    def _values(self, term, path):
        if not path:
            raise AnsibleLookupError(f"ksecret: {term} is not there")
        found = [secret for secret in _opened(path) if self._fits(secret["metadata"])]
        if len(found) != 1:
            raise AnsibleLookupError(f"ksecret: {path}: {len(found)} Secrets in it fit; name and namespace choose one")
        values = {key: b64decode(value) for key, value in found[0].get("data", {}).items()}
        values |= {key: value.encode() for key, value in found[0].get("stringData", {}).items()}
        key = self.get_option("key")
        if key is None:
            return {name: self._encoded(path, name, value) for name, value in values.items()}
        if key not in values:
            raise AnsibleLookupError(f"ksecret: {path}: it has no {key!a}; it has {', '.join(values)}")
        return self._encoded(path, key, values[key])

    def _fits(self, metadata):
        asked = {word: self.get_option(word) for word in ("name", "namespace")}
        return all(value in (None, metadata.get(word, "")) for word, value in asked.items())

    def _encoded(self, path, name, value):
        if self.get_option("encoding") == "base64":
            return b64encode(value).decode()
        try:
            return value.decode()
        except UnicodeDecodeError:
            what = f"ksecret: {path}: {name} is not UTF-8: ask with encoding='base64'"
        raise AnsibleLookupError(what)  # outside, as a traceback would show the value


def _opened(path):
    """The Secrets of a file whose path is absolute, and so no option."""
    words = ["ksecret", "decrypt", "--output-format", "json", "--", path]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    except OSError as error:
        raise AnsibleLookupError(f"ksecret can't be run: {error.strerror}") from None
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()  # of ksecret's own, which shows no value
        raise AnsibleLookupError(told or f"ksecret ended with {done.returncode}")
    found = json.loads(done.stdout)
    return found["items"] if found["kind"] == "List" else [found]
