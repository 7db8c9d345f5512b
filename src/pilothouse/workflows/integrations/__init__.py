# SPDX-License-Identifier: Apache-2.0
"""The systems behind an agent: contracts, probes, certificates, claims against the system of record, its tools."""
