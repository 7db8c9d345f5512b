# SPDX-License-Identifier: Apache-2.0
"""View models, and how page, terminal, JSON and paper show them: a number is computed once and shown everywhere.

May import core and ports; never lake, ledger or another room beside it, so that what is shown can be made from values alone.
"""
