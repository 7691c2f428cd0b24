"""Makes a key and its alias in an emulator of AWS KMS, for docker-compose.yaml. Run twice, it changes nothing."""

from __future__ import annotations

from botocore.session import Session

ALIAS = "alias/demo"


def main() -> None:
    """The endpoint and the credentials are those of the environment."""
    client = Session().create_client("kms", region_name="eu-west-1")
    if all(alias["AliasName"] != ALIAS for alias in client.list_aliases()["Aliases"]):
        key = client.create_key(Description="for trying things out")["KeyMetadata"]["KeyId"]
        client.create_alias(AliasName=ALIAS, TargetKeyId=key)
    print(f"aws:arn:aws:kms:eu-west-1:123456789012:{ALIAS}")


if __name__ == "__main__":
    main()
