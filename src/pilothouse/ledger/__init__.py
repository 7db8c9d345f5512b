# SPDX-License-Identifier: Apache-2.0
"""Everything decided by people or by the system: small, relational, exact. SQLite, or PostgreSQL for many nodes.

May import core, ports and settings, sqlalchemy and alembic; no exception of the database leaves this room.
"""
