# SPDX-License-Identifier: Apache-2.0
"""The tree against the definition of RFC 6962, written a second time here, and against what is not true."""

from __future__ import annotations

import hashlib
import random

import pytest

from pilothouse.ledger.tlog import EMPTY_ROOT, Tree, leaf_hash
from pilothouse_verify.tree import consistency_roots, inclusion_root

RECORDS = [f"record {number}".encode() for number in range(70)]
LEAVES = [leaf_hash(record) for record in RECORDS]


def is_in(record, index, size, proof, root):
    """What the auditor's own program says of a proof of ours."""
    return inclusion_root(record, index, size, list(proof)) == root


def extends(old, new, proof, old_root, new_root):
    return consistency_roots(old, new, old_root, list(proof)) == (old_root, new_root)


def definition(leaves):
    """MTH of section 2.1, from its words."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = max(1 << power for power in range(8) if 1 << power < len(leaves))
    return hashlib.sha256(b"\x01" + definition(leaves[:k]) + definition(leaves[k:])).digest()


def test_known_vectors_of_certificate_transparency():
    # The eight inputs and the root that every implementation of certificate transparency tests with.
    inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    tree = Tree(leaf_hash(bytes.fromhex(one)) for one in inputs)
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 64, 70])
def test_roots_are_those_of_the_definition(size):
    tree = Tree(LEAVES)
    assert tree.root(size) == definition(LEAVES[:size])
    assert Tree().root() == EMPTY_ROOT


def test_every_proof_of_small_trees_verifies_and_no_other_leaf_place_or_root_does():
    tree = Tree(LEAVES)
    for size in range(1, 34):
        root = tree.root(size)
        for index in range(size):
            proof = tree.inclusion(index, size)
            assert is_in(RECORDS[index], index, size, proof, root)
            assert not is_in(RECORDS[size], index, size, proof, root)
            assert not is_in(RECORDS[index], (index + 1) % size if size > 1 else 1, size, proof, root)
            assert not is_in(RECORDS[index], index, size, (*proof, root), root)
        assert tree.consistency(0, size) == ()  # whatever is, goes on from nothing
        for old in range(1, size + 1):
            proof = tree.consistency(old, size)
            assert extends(old, size, proof, tree.root(old), root)
            if 0 < old < size:
                assert not extends(old, size, proof, tree.root(old - 1), root)
                assert not extends(old, size, proof, tree.root(old), tree.root(size - 1))
                assert not extends(old, size, proof[:-1], tree.root(old), root)


def test_a_bit_flipped_anywhere_in_a_proof_breaks_it():
    dice, tree = random.Random(7), Tree(LEAVES)
    for _ in range(200):
        size = dice.randrange(2, 70)
        index, proof = (place := dice.randrange(size)), list(tree.inclusion(place, size))
        at = dice.randrange(len(proof))
        proof[at] = bytes([proof[at][0] ^ 1, *proof[at][1:]])
        assert not is_in(RECORDS[index], index, size, proof, tree.root(size))


def test_what_the_tree_does_not_have_is_said():
    tree = Tree(LEAVES[:5])
    for ask in (lambda: tree.root(6), lambda: tree.inclusion(5, 5), lambda: tree.consistency(4, 3)):
        with pytest.raises(ValueError, match=r"leaves|leaf"):
            ask()
    assert not is_in(RECORDS[0], 3, 3, (), tree.root(3))
    assert not extends(3, 2, (), tree.root(3), tree.root(2))
