from synthdata.seeding import derive_seed


def test_a_seed_is_the_same_on_every_machine() -> None:
    # Changing this value would silently change every data set made so far.
    assert derive_seed(0, "generate", "synthetic-layout-00000") == 6660688745761426232


def test_keys_are_told_apart() -> None:
    seeds = {
        derive_seed(0), derive_seed(1), derive_seed(0, "a"), derive_seed(0, "a", "b"),
        derive_seed(0, "ab"), derive_seed(0, 1), derive_seed(0, "1"), derive_seed(1, 1),
    }  # fmt: skip
    assert len(seeds) == 8


def test_seeds_suit_torch_and_numpy() -> None:
    assert all(0 <= derive_seed(s, "x") < 2**63 for s in range(1000))
