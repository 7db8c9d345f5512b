# SPDX-License-Identifier: Apache-2.0
"""Adapters to vendors and file formats, one module each: charter files, notifiers, repositories, evaluators of others.

May import core, ports, settings and the one vendor of the module; no other room beside it.
"""
