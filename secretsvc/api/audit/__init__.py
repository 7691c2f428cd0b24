"""The audit log of the service: what is written, where it goes, and the chain that shows that nobody changed it.

`ksecret audit verify` imports the chain, so nothing is imported here.
"""
