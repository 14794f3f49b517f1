"""Log lines are made, but not shown."""

from tests.app.conftest import quiet_log

__all__ = ["quiet_log"]
