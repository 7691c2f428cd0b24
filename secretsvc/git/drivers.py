"""The shell commands that Git is told to run for sealed files, and what they do where `ksecret` is not found.

Git runs them by `sh -c`: a textconv with the file's name behind it, a merge driver with `%O %A %B %P` replaced, of
which `%P` comes in quotes of its own (gitattributes(5)). GUI programs, containers and virtual environments that are not
active have another PATH than the terminal that ran `setup`: there Git does what it does without ksecret. A ksecret
that is found and fails is never taken for one that is missing.
"""

_FOUND = "command -v ksecret >/dev/null 2>&1"
_REFRESH = "git update-ref -d refs/notes/textconv/ksecret"

# `--`: Git gives names as they are, and one may begin with a dash. `exec`: a log runs this hundreds of times.
# The last line: Git keeps what is shown here as well, and shows it beside what ksecret shows later.
TEXTCONV = (
    f'shown() {{ if {_FOUND}; then exec ksecret git textconv -- "$1"; else cat -- "$1" && '
    f"echo '# ksecret is not on PATH; once it is: {_REFRESH}'; fi; }}; shown"
)

# A driver that ends badly leaves ours in %A, and Git says no more than "conflict": theirs would be lost. So lines are
# merged then, too, but it stays a conflict. 1 is both a conflict, which has left marks, and how Python itself gives up.
MERGE = (
    f"merged() {{ if {_FOUND}; then why='ksecret failed'; ksecret git merge -- \"$@\" && return; "
    '[ $? = 1 ] && grep -q -e "^<<<<<<<" -e "# ksecret: CONFLICT" -- "$2" && return 1; '
    "else why='ksecret is not on PATH'; fi; "
    'echo "$why: merged by lines, as Git does: look whether it opens" >&2; '
    'git merge-file -L ours -L base -L theirs -- "$2" "$1" "$3" || return 1; '
    "[ \"$why\" != 'ksecret failed' ]; }; merged %O %A %B %P"
)

PRE_MERGE_COMMIT = f"""\
#!/bin/sh
# By `ksecret git setup`; `ksecret git unsetup` takes it away. `git merge` runs no pre-commit, but this.
{_FOUND} || {{ echo "ksecret is not on PATH: the merge was not checked for clear text" >&2; exit 0; }}
exec ksecret check --staged
"""

CONFIG = {
    "diff.ksecret.textconv": TEXTCONV,
    # Kept in refs/notes/textconv/ksecret, and used for this very command only: `--show` reads and fills another.
    "diff.ksecret.cachetextconv": "true",
    "merge.ksecret.name": "sealed Secrets, key by key",
    "merge.ksecret.driver": MERGE,
}
