import torch
from hypothesis import given
from hypothesis import strategies as st

from gen3r.models.vggt.rope import rotary_table, rotate, token_positions

HEAD_DIM = 16


def rotated(x: torch.Tensor, y: int, column: int) -> torch.Tensor:
    return rotate(x, rotary_table(torch.tensor([[y, column]]), HEAD_DIM, 100.0))


def vectors(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, 1, 1, 1, HEAD_DIM, dtype=torch.float32, generator=generator)
    return q, k


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 100))
def test_rotation_keeps_lengths(y: int, x: int, seed: int) -> None:
    q, _ = vectors(seed)
    torch.testing.assert_close(rotated(q, y, x).norm(), q.norm())


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 100))
def test_products_depend_on_the_offset_only(y: int, x: int, dy: int, dx: int, seed: int) -> None:
    q, k = vectors(seed)
    near = (rotated(q, dy, dx) * rotated(k, 0, 0)).sum()
    far = (rotated(q, y + dy, x + dx) * rotated(k, y, x)).sum()
    torch.testing.assert_close(near, far, atol=1e-4, rtol=1e-4)


def test_rows_turn_the_first_half_and_columns_the_second() -> None:
    q, _ = vectors(0)
    by_row, by_column = rotated(q, 3, 0), rotated(q, 0, 3)
    half = HEAD_DIM // 2
    assert torch.equal(by_row[..., half:], q[..., half:])
    assert torch.equal(by_column[..., :half], q[..., :half])
    assert not torch.allclose(by_row[..., :half], q[..., :half])


def test_positions_count_from_one_after_the_special_tokens() -> None:
    positions = token_positions((2, 3), special=5, device=torch.device("cpu"))
    assert positions[:5].tolist() == [[0, 0]] * 5
    assert positions[5:].tolist() == [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]


def test_low_precision_tokens_are_rotated_in_float32() -> None:
    table = rotary_table(token_positions((40, 40), 0, torch.device("cpu")), HEAD_DIM, 100.0)
    assert table.cos.dtype == torch.float32
    x = torch.randn(1, 1, 1600, HEAD_DIM, generator=torch.Generator().manual_seed(0)).bfloat16()
    assert torch.equal(rotate(x, table), rotate(x.float(), table).bfloat16())
