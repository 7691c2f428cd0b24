"""The homes of KEKs. Each module is one backend; `registry` finds them by scheme."""
