"""`python -m core.metrics`: print the table of metrics, as it stands in docs/operations.md."""

from __future__ import annotations

from core.metrics.page import metrics_page

if __name__ == "__main__":
    print(metrics_page(), end="")
