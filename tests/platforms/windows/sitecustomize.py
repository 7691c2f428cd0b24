"""What Python's library lacks on Windows can't be imported."""

import sys

sys.platform = "win32"
for name in ("fcntl", "resource", "pwd", "grp", "pty", "termios", "tty", "readline", "syslog", "posix"):
    sys.modules[name] = None
