import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.synthetic.known import cameras_at
from gen3r.data.synthetic.description import Texture
from gen3r.data.synthetic.packed import pack
from gen3r.data.synthetic.places import describe
from gen3r.data.synthetic.render import render
from gen3r.data.synthetic.textures import noise_table, second_color_share

POINTS = 2048


def shares(texture: Texture, frequency: float, footprint: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    u, v = (torch.rand(POINTS, generator=generator) * 40 - 20 for _ in range(2))
    return second_color_share(
        noise_table(torch.device("cpu")),
        torch.full((POINTS,), int(texture)),
        torch.full((POINTS,), frequency),
        u,
        v,
        torch.full((POINTS,), footprint),
    )


@given(
    texture=st.sampled_from(list(Texture)),
    frequency=st.floats(0.2, 8),
    footprint=st.floats(1e-4, 2),
    seed=st.integers(0, 1000),
)
def test_the_share_of_the_second_colour_is_a_share(
    texture: Texture, frequency: float, footprint: float, seed: int
) -> None:
    share = shares(texture, frequency, footprint, seed)
    assert share.isfinite().all()
    assert share.min() >= -0.01
    assert share.max() <= (1.31 if texture is Texture.WOOD else 1.01)  # the joints of wood are darker than its grain


@given(texture=st.sampled_from([t for t in Texture if t is not Texture.PLAIN]), seed=st.integers(0, 1000))
def test_patterns_show_up_close_and_fade_where_they_are_finer_than_pixels(texture: Texture, seed: int) -> None:
    close, far = shares(texture, 1.0, 1e-3, seed), shares(texture, 1.0, 3.0, seed)
    assert close.std() > 0.1
    assert far.std() < 0.4 * close.std()


@settings(max_examples=6)
@given(seed=st.integers(0, 10**9))
def test_colours_are_finite_and_displayable_wherever_one_looks_from(seed: int) -> None:
    cameras = cameras_at([(0.0, 1.3, 1.9)], 24, focal=14.0)
    color, depth = render(pack(describe(seed)), cameras, samples=1)
    assert color.isfinite().all()
    assert color.min() >= 0
    assert color.max() <= 1
    assert depth.isfinite().all()
    assert depth.min() >= 0
