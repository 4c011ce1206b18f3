"""The benchmark of the full-size model: its networks are of the published size, its operations are counted twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import full_size
import pytest
import torch
from measure import counting, formulas, networks
from measure.ceiling import matmul_ceiling
from measure.counting import SHAPES, adapter_step_flops, count, diffusion_step_flops, generation_flops, shapes_alone
from measure.memory import ASIDE, brought_bytes, peak_bytes
from measure.networks import MAKERS, Place, parameter_count, random_network
from measure.record import read
from measure.sizes import Sizes, small
from measure.stopwatch import Stopwatch
from measure.tables import table
from measure.training import Case, adapter_case, diffusion_case
from torch import Tensor, nn

from gen3r.latents.grid import LatentGrid
from gen3r.pipeline.memory import PROFILES

PUBLISHED = {
    "transformer": 1_616_337_728,
    "text_encoder": 5_680_910_336,
    "image_encoder": 611_086_080 + 12 * 1280**2 + 13 * 1280 + 2 * 1280,  # with the last block and norm, never read
    "vae": 126_892_531,
    "vggt": 1_190_595_096,
    "geometry_adapter": 317_844_304,
}
ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
FULL = LatentGrid(49, 560, 560)
SMALL = LatentGrid(5, 112, 112)
CPU = Place(device=torch.device("cpu"), dtype=torch.float32)


@pytest.mark.parametrize("name", MAKERS)
def test_full_size_networks_have_the_published_parameters(name: str) -> None:
    with shapes_alone():
        assert parameter_count(MAKERS[name](Sizes(), SHAPES)) == PUBLISHED[name]


@pytest.mark.parametrize(("sizes", "grid"), [(Sizes(), FULL), (small(), SMALL)], ids=["full", "small"])
def test_the_transformer_computes_what_the_formula_says(sizes: Sizes, grid: LatentGrid) -> None:
    rows, config = formulas.image_rows(sizes.image), sizes.transformer
    assert counting.transformer_flops(sizes, grid) == (
        formulas.transformer_once(config, grid, rows),
        formulas.transformer_step(config, grid, rows),
    )


def test_encoders_and_vggt_compute_what_the_formulas_say() -> None:
    sizes, grid = small(), SMALL
    counted = generation_flops(sizes, grid, prompts=2, views_read=3).networks
    assert counted["text"] == 2 * formulas.text_encoder(sizes.text, sizes.transformer.text_length)
    assert counted["image"] == formulas.image_encoder(sizes.image)
    assert counted["vggt_aggregator"] == formulas.vggt_aggregator(sizes.vggt, 3, grid.size)


def by_hand(network: nn.Module, work: Callable[[], Any]) -> int:
    """Operations of the convolutions and linear layers that run, from the shapes they really see."""
    total = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        transposed = isinstance(module, nn.ConvTranspose2d)
        outputs = inputs[0].numel() if transposed else output.numel()
        total += 2 * outputs * module.weight[0].numel()

    layers = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)
    handles = [module.register_forward_hook(add) for module in network.modules() if isinstance(module, layers)]
    work()
    for handle in handles:
        handle.remove()
    return total


@torch.no_grad()
def test_decoders_compute_what_their_layers_add_up_to() -> None:
    sizes, grid = small(), SMALL
    counted = generation_flops(sizes, grid, prompts=1, views_read=0).networks
    half = torch.randn(1, 16, grid.latent_frames, *grid.latent_size)
    cells, width = grid.latent_size[0] * grid.latent_size[1], sizes.adapter.hidden * sizes.adapter.multipliers[-1]
    attention = grid.latent_frames * formulas.attention(cells, cells, width)
    adapter = networks.make_adapter(sizes, CPU)
    layers = by_hand(adapter, lambda: list(adapter.stream_decode(half, grid.token_grid)))
    assert counted["adapter_decode"] == layers + attention

    vae = networks.make_vae(sizes, CPU)
    width = sizes.vae.base_dim * sizes.vae.dim_mult[-1]
    attention = grid.latent_frames * formulas.attention(cells, cells, width)
    assert counted["vae_decode"] == by_hand(vae, lambda: vae.decode(half)) + attention


@pytest.mark.parametrize(
    ("build", "flops", "checkpointing"),
    [
        (adapter_case, adapter_step_flops, True),
        (diffusion_case, diffusion_step_flops, True),
        (diffusion_case, diffusion_step_flops, False),
    ],
)
def test_a_training_step_computes_what_is_counted(
    build: Callable[..., Any], flops: Callable[..., dict[str, int]], checkpointing: bool
) -> None:
    case = Case(sizes=small(), grid=SMALL, batch=2, device=torch.device("cpu"), checkpointing=checkpointing)
    objective, batch = build(case)
    objective.train()
    expected = flops(case.sizes, case.grid, case.batch, checkpointing)
    rng = torch.Generator().manual_seed(0)
    assert count(lambda: objective.loss(batch, rng).total.backward()) == expected["hardware"]
    assert (expected["model"] < expected["hardware"]) == checkpointing


def test_recomputation_in_a_diffusion_step_is_one_more_pass_through_the_blocks() -> None:
    sizes, tokens = small(), formulas.joint_tokens(SMALL, small().transformer)
    config, context = sizes.transformer, sizes.transformer.text_length + formulas.image_rows(sizes.image)
    cross = 2 * formulas.linear(tokens, config.dim, config.dim) + formulas.attention(tokens, context, config.dim)
    keys_values = formulas.linear(context, config.dim, 2 * config.dim)
    block = formulas.block(tokens, config.dim, config.ffn_dim) + cross + keys_values
    flops = diffusion_step_flops(sizes, SMALL, 1, checkpointing=True)
    assert flops["hardware"] - flops["model"] == config.num_layers * block


def test_random_networks_keep_ties_and_say_the_same_of_the_same_seed() -> None:
    half = Place(device=torch.device("cpu"), dtype=torch.bfloat16)
    one, two = (networks.make_text(small(), half).encoder for _ in range(2))
    assert one.shared.weight is one.encoder.embed_tokens.weight
    assert all(parameter.dtype == torch.bfloat16 for parameter in one.parameters())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    other = random_network(lambda: nn.Linear(64, 64), half, seed=1)
    assert float(other.weight.float().std()) == pytest.approx(1 / 8, rel=0.1)
    with pytest.raises(ValueError, match="running_mean"):
        random_network(lambda: nn.BatchNorm1d(2), half)


def test_a_stopwatch_sees_what_it_watches_and_lets_go() -> None:
    layer, other = nn.Linear(2, 2), nn.Linear(2, 2)
    watch = Stopwatch(torch.device("cpu"))
    watch.watch({"layer": layer, "other": other})
    for _ in range(3):
        layer(torch.ones(1, 2))
    watch.close()
    layer(torch.ones(1, 2))
    assert watch.watched["layer"].calls == 3
    assert watch.watched["layer"].seconds > 0
    assert watch.watched["other"].calls == 0


def test_the_ceiling_is_a_speed() -> None:
    ceiling = matmul_ceiling(torch.device("cpu"), torch.float32, repeats=1, calls=1)
    assert ceiling.flops_per_second > 1e8
    assert ceiling.dtype == "float32"


SMALL_RUN = ["--size", "small", "--height", "112", "--width", "112"]


def measured(monkeypatch: pytest.MonkeyPatch, out: Path, *arguments: str) -> dict[str, Any]:
    monkeypatch.setattr("sys.argv", ["full_size.py", *arguments, *SMALL_RUN, "--device", "cpu", "--out", str(out)])
    full_size.main()
    return read(out)


@pytest.mark.parametrize("how", [["--vram", "8"], ["--text-first", "--cameras", "free", "--warmup-steps", "0"]])
def test_a_run_reports_every_stage(
    how: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = measured(monkeypatch, tmp_path / "run.json", "run", "--frames", "5", "--steps", "3", *how)
    results = record["results"]
    stages = results["stages"]
    assert record["machine"]["torch"] == torch.__version__
    assert record["command"].endswith(str(tmp_path / "run.json"))
    assert results["pixels_with_surface"] > 0.5
    assert stages["transformer"]["calls"] == results["denoising"]["forward_passes"] == 6
    assert stages["text"]["calls"] == 2
    assert all(stages[name]["tflop_per_second"] > 0 for name in results["flops"]["networks"])
    assert ("vggt_aggregator" in results["flops"]["networks"]) == ("free" not in how)
    assert 0 <= stages["outside_networks"]["seconds"] < results["total_seconds"]
    assert 0 < results["denoising"]["steps_fraction_of_ceiling"] < 1
    assert results["memory_gib"]["host"] > 0
    monkeypatch.setattr("sys.argv", ["full_size.py", "table", str(tmp_path / "run.json")])
    full_size.main()
    assert "joint transformer" in capsys.readouterr().out


@pytest.mark.parametrize("objective", ["adapter", "diffusion"])
def test_training_steps_are_measured_case_by_case(
    objective: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "train.json"
    record = measured(
        monkeypatch, out, "train", objective, "--frames", "5", "--batches", "1", "2", "--warmup", "0", "--repeats", "1"
    )
    cases = record["results"]["cases"]
    assert [case["batch"] for case in cases] == [1, 2]
    assert cases[1]["model_tflop"] == pytest.approx(2 * cases[0]["model_tflop"], rel=0.01)
    assert all(case["hardware_tflop"] > case["model_tflop"] > 0 for case in cases)
    assert not list(tmp_path.glob(".*"))
    monkeypatch.setattr("sys.argv", ["full_size.py", "table", str(out)])
    full_size.main()
    assert "5, 112x112, 2" in capsys.readouterr().out


def test_a_step_cache_hides_the_speed_of_steps_and_skipped_guidance_their_second_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faster = ("--taylor", "2", "--guidance-skip", "0.5", "--warmup-steps", "0")
    results = measured(monkeypatch, tmp_path / "run.json", "run", "--frames", "5", "--steps", "4", *faster)["results"]
    assert results["denoising"]["forward_passes"] == 6
    assert "steps_fraction_of_ceiling" not in results["denoising"]


def test_counting_needs_no_run_and_fills_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, document = tmp_path / "count.json", tmp_path / "document.md"
    results = measured(monkeypatch, out, "count", "--frames", "5", "--steps", "3")["results"]
    rows = formulas.image_rows(small().image)
    passes = 3 * formulas.transformer_step(small().transformer, SMALL, rows)
    once = formulas.transformer_once(small().transformer, SMALL, rows)
    assert results["generation"]["transformer"] == 2 * (passes + once)
    document.write_text(f"before\n<!-- table: {out.as_posix()} -->\n<!-- /table -->\nafter\n")
    monkeypatch.setattr("sys.argv", ["full_size.py", "table", str(out), "--document", str(document)])
    full_size.main()
    text = document.read_text()
    assert text.startswith("before")
    assert "training step, diffusion" in text


def test_memory_is_computed_for_every_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "memory.json"
    results = measured(monkeypatch, out, "memory", "--frames", "5")["results"]
    weights, profiles = results["weights"], results["profiles"]
    assert profiles.keys() == {str(size) for size in PROFILES}
    whole = sum(weights.values())
    for profile in profiles.values():
        assert profile["stays"] + profile["host"] == whole
        assert all(stage["weights"] >= profile["stays"] for stage in profile["stages"].values())
        assert all(stage["activations"] > 0 for stage in profile["stages"].values())
    eight, sixteen, all_there = (profiles[size]["stages"] for size in ("8", "16", "48"))
    assert sixteen["transformer"]["weights"] == weights["transformer"]
    assert sixteen["rays"]["weights"] == 0
    assert eight["text"]["weights"] <= sixteen["text"]["weights"] == weights["text_encoder"]
    assert {stage["weights"] for stage in all_there.values()} == {whole}
    assert all_there["transformer"]["activations"] > sixteen["transformer"]["activations"]
    monkeypatch.setattr("sys.argv", ["full_size.py", "table", str(out)])
    full_size.main()
    told = capsys.readouterr().out
    assert "Computed, not measured" in told
    assert "streams: transformer, text encoder; visits: the others" in told


def test_what_lives_is_counted_once_and_while_it_lives() -> None:
    def work() -> None:
        first = torch.empty(100)
        view = first.view(10, 10)  # no memory of its own
        second = view + 1
        del first, view
        (second * 2).to(ASIDE)  # as large as what has gone

    with shapes_alone():
        assert peak_bytes(work) == 800


def test_streaming_holds_two_blocks_and_what_is_in_none() -> None:
    network = nn.ModuleDict(
        {"stack": nn.ModuleDict({"first": nn.Linear(2, 2, bias=False), "blocks": nn.ModuleList()}), "last": nn.Tanh()}
    )
    for _ in range(4):
        network["stack"]["blocks"].append(nn.Linear(4, 4, bias=False))
    assert brought_bytes("visits", network, [network]) == 4 * (4 + 4 * 16)
    assert brought_bytes("streams", network, [network]) == 4 * (4 + 2 * 16)
    assert brought_bytes("device", network, [network]) == brought_bytes("cpu", network, [network]) == 0


def test_the_largest_stage_of_a_profile_is_within_its_memory() -> None:
    profiles = read(RESULTS / "full_size_memory.json")["results"]["profiles"]
    for size, profile in profiles.items():
        assert max(stage["total"] for stage in profile["stages"].values()) < 0.8e9 * int(size)
        assert profile["residence"] == PROFILES[int(size)].residence
        assert (profile["guidance"], profile["head_frames"]) == (
            PROFILES[int(size)].guidance,
            PROFILES[int(size)].head_frames,
        )


def test_results_are_where_the_document_looks_for_them() -> None:
    assert {path.stem for path in RESULTS.glob("full_size_*.json")} >= {
        "full_size_count",
        "full_size_cpu",
        "full_size_cpu_adapter",
        "full_size_memory",
    }


@pytest.mark.parametrize("file", sorted(RESULTS.glob("full_size_*.json")), ids=lambda file: file.stem)
def test_the_document_shows_the_results(file: Path) -> None:
    document = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    marker = f"<!-- table: {file.relative_to(ROOT).as_posix()} -->\n"
    assert marker + table(read(file)) in document


def test_other_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"format": "gen3r-eval"}))
    with pytest.raises(ValueError, match="measure again"):
        read(other)
