# SPDX-License-Identifier: Apache-2.0
"""Resilience patterns as pure state machines; time and randomness are arguments."""
