"""`python -m app.prepare`: tables and the admin key, before the processes of a scale-out service start."""

from __future__ import annotations

from core.db import open_database, upgrade
from core.keys import ensure_admin_key
from core.settings import settings


def main() -> None:
    """Bring the database up to date; print the admin key if it had to be made, and not if the settings gave it."""
    upgrade(settings())
    database = open_database(settings())
    try:
        key = ensure_admin_key(database, settings())
    finally:
        database.close()
    print("The database is ready." if key is None else f"Admin key, shown this once: {key}")


if __name__ == "__main__":
    main()
