"""Keys of AWS KMS as KEKs: what is known of them without Amazon's SDK."""

from __future__ import annotations

from secretsvc.backends.base import Installed, Scheme, library
from secretsvc.errors import KeyRefError
from secretsvc.keyref import KeyRef
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.aws_kms.backend import AwsKms
    from secretsvc.backends.base import Settings

# Service Authorization Reference, "AWS Key Management Service", and the KMS API's KeyIdType and AliasNameType. The
# region becomes part of a host's name. AWS writes multi-region ids without dashes, emulators also with them.
_HEX = "[0-9a-f]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_ARN = pattern(
    r"arn:aws(?:-[a-z]{1,10}){0,3}:kms:(?P<region>[a-z]{2,10}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}):[0-9]{12}"
    rf":(?:key/(?:{_UUID}|mrk-{_HEX}{{32}}|mrk-{_UUID})|alias/[A-Za-z0-9/_-]{{1,250}})"
)
_FIND_ARN = (
    "give aws:arn:aws:kms:REGION:ACCOUNT:key/ID; "
    "`aws kms describe-key --key-id ID --query KeyMetadata.Arn --output text` shows the ARN"
)


class AwsScheme(Scheme):
    """Keys and aliases of AWS KMS, named by their ARNs."""

    name, title, example = "aws", "AWS KMS", "ARN"
    cost = 300
    names_owners = False
    has_profiles = True
    sops_list, sops_field, sops_variable = "kms", "arn", "SOPS_KMS_ARN"

    def backend(self, settings: Settings) -> AwsKms:
        from secretsvc.backends.aws_kms.backend import AwsKms

        return AwsKms(settings)

    def parse(self, text: str) -> KeyRef:
        """The ARN of a key or an alias of AWS KMS, in lower case but for the alias's name."""
        head, alias, name = text.strip().partition(":alias/")
        arn = f"{head.lower()}{alias}{name}"
        region_of(arn)
        if name.startswith("aws/"):
            raise KeyRefError(
                "that key is AWS's own, which only AWS's services can use",
                hint="make one with `aws kms create-key`, and give its ARN",
            )
        return KeyRef(self.name, arn)

    def is_bare(self, text: str) -> bool:
        return text.startswith("arn:")

    def home(self, ref: KeyRef) -> str:
        """The key's region."""
        fields = ref.id.split(":")
        return fields[3] if len(fields) > 3 else ""

    def installed(self) -> Installed:
        return library("boto3", "aws")


SCHEME = AwsScheme()


def region_of(arn: str) -> str:
    """Return the region of a key's or alias's ARN in its canonical form. Raises KeyRefError."""
    match = _ARN.fullmatch(arn)
    if match:
        return match["region"]
    fields = arn.split(":")
    if fields[0] != "arn":
        raise KeyRefError("an AWS KMS key is named by its full ARN, not by an id or an alias alone", hint=_FIND_ARN)
    if len(fields) > 3 and fields[2] == "kms" and not fields[3]:
        raise KeyRefError("that ARN names no region, and without it nobody knows where the key is", hint=_FIND_ARN)
    raise KeyRefError("that is not the ARN of a key or an alias of AWS KMS", hint=_FIND_ARN)
