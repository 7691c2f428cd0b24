"""Texts as Go's standard library reads and prints them, where Python's does otherwise; a module has its package's name.

kubectl is written in Go, and what it makes of a command line is what users compare with.
"""
