# SPDX-License-Identifier: Apache-2.0
"""The pages: routes, forms and templates over the view models of `reports`; nothing is computed here."""
