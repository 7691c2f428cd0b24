"""Files as sequences of typed leaves: any tree, whatever it is written in, be it no Kubernetes object.

A manifest (`manifest/`) is a text with Kubernetes' Secrets in it, read by Kubernetes' rules; a document is a tree of
which nothing but keys, lists, scalars and comments is known. `base` has the protocol, which each reader fulfils.
"""
