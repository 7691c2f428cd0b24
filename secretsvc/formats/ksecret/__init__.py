"""Format *ksecret v1*: Secrets sealed one by one, each with its envelope as a member (design FORMAT)."""
