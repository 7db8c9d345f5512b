# SPDX-License-Identifier: Apache-2.0
"""The environment of Alembic: runs the steps on the connection whose transaction `migrate` holds."""

from __future__ import annotations

from alembic import context

from pilothouse.ledger.tables import METADATA

__all__ = ["run"]

ALEMBIC_LOADS_IT_AS = "env_py"


def run() -> None:
    """Run the steps that are missing, inside the transaction of the connection."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        transactional_ddl=False,  # the caller's transaction holds all of it; Alembic must not commit parts
    )
    context.run_migrations()


if __name__ == ALEMBIC_LOADS_IT_AS:
    run()
