"""The command line: `main` finds the command, and each command's module imports what that command needs."""

import sys

if sys.platform == "win32":  # every entry point comes here first, and what it imports next is not to be had there
    sys.stderr.write("ksecret: Windows is not supported: files are locked and signals held as POSIX has it\n")
    sys.stderr.write("  run it in WSL (Windows Subsystem for Linux), or in a container\n")
    sys.exit(7)
