"""How alembic meets the database: inside `core.db.upgrade`'s transaction, or on its own connection at the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import context

from core.db import open_database
from core.settings import settings
from core.tables import Row

if TYPE_CHECKING:
    from sqlalchemy import Connection


def run(connection: Connection) -> None:
    """Run what was asked, all of it in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Row.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,  # SQLite can, too, as long as the driver does not end transactions by itself
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with open_database(settings()).engine.begin() as own:
        run(own)
