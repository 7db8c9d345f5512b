# SPDX-License-Identifier: Apache-2.0
"""Everything decided by people or by the system: small, relational, exact."""
