"""The number after ``--seed``."""


def check_seed(seed: int, option: str = "--seed", count: int = 1) -> None:
    """Raise ValueError unless ``count`` seeds from ``seed`` on are 0 or more and fit the 63 bits of a generator."""
    largest = 2**63 - max(count, 1)
    if not 0 <= seed <= largest:
        raise ValueError(f"{option} expects a whole number from 0 to {largest}, got {seed}; choose one in between.")
