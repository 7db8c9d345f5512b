# SPDX-License-Identifier: Apache-2.0
"""Use cases: load, decide, act; one module for each thing that a person or a clock asks for.

May import the rooms below it (ports, lake, ledger, runtime, evals, connectors, reports) and core, and no vendor's package;
knows no command, no page and no request.
"""
