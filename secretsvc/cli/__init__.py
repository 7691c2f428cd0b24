"""The command line: `main` finds the command, and each command's module imports what that command needs."""
