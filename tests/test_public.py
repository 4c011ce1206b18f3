import gen3r


def test_every_public_name_loads() -> None:
    for name in gen3r.__all__:
        assert getattr(gen3r, name).__name__ == name
    assert set(gen3r.__all__) <= set(dir(gen3r))
