"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STAGES = {
    "text": "text encoder, two prompts",
    "image": "image encoder",
    "vae_encode": "VAE encoder",
    "vggt_aggregator": "VGGT aggregator, one view",
    "transformer": "joint transformer, all steps",
    "vae_decode": "VAE decoder",
    "adapter_decode": "geometry adapter, decoder",
    "depth_head": "VGGT depth head",
    "point_head": "VGGT point head",
    "camera_head": "VGGT camera head",
    "outside_networks": "everything else: moving weights, resizing, noise",
}
"""Rows of a run's table, in the order of a run."""
MEMORY_STAGES = {
    "text": "text encoder",
    "one_view": "VGGT, one view",
    "vae_encode": "VAE encoder",
    "image": "image encoder",
    "rays": "rays",
    "transformer": "transformer",
    "vae_decode": "VAE decoder",
    "geometry_decode": "adapter and VGGT's heads",
}
"""Rows of the table of memory, in the order of a run."""
BRACKETS = "In brackets: with what gradient checkpointing computes again."


def table(record: Mapping[str, Any]) -> str:
    """One results file."""
    return {"run": _run, "train": _train, "count": _count, "memory": _memory}[record["kind"]](record)


def _count(record: Mapping[str, Any]) -> str:
    results, settings = record["results"], record["settings"]
    lines = ["| work | TFLOP |", "|---|---:|"]
    lines += [
        f"| {title} | {_tera(results['generation'][name])} |"
        for name, title in STAGES.items()
        if name in results["generation"]
    ]
    lines += [
        f"| training step, {name}, batch 1 | {_tera(each['model'])} ({_tera(each['hardware'])}) |"
        for name, each in results["training"].items()
    ]
    note = f"{_clip(settings)}, {settings['steps']} steps with guidance. {BRACKETS}"
    return "\n".join([*lines, "", note[0].upper() + note[1:]]) + "\n"


def _memory(record: Mapping[str, Any]) -> str:
    profiles = record["results"]["profiles"]
    lines = [
        "| `--vram` | where networks live | guidance | frames per call of a head | weights that stay | weights in host "
        "memory | peak of a scene | where | views VGGT reads at once |",
        "|---|---|---|---:|---:|---:|---:|---|---:|",
    ]
    for size, row in profiles.items():
        totals = {name: stage["total"] for name, stage in row["stages"].items()}
        largest = max(totals, key=totals.__getitem__)
        cells = [
            *(size, _homes(row["residence"]), row["guidance"], row["head_frames"], _giga(row["stays"])),
            *(_giga(row["host"]), f"**{_giga(totals[largest])}**", MEMORY_STAGES[largest], row["views_at_once"]),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "| stage, weights + activations | " + " | ".join(profiles) + " |", "|---|" + "---:|" * len(profiles)]
    for name, title in MEMORY_STAGES.items():
        cells = [row["stages"][name] for row in profiles.values()]
        parts = [f"{_giga(cell['weights'])} + {_giga(cell['activations'])}" for cell in cells]
        lines.append(f"| {title} | {' | '.join(parts)} |")
    weights = sum(record["results"]["weights"].values())
    note = (
        f"**Computed, not measured**, in GB (10^9 bytes): {_clip(record['settings'])}, one view, guidance; all weights "
        f"are {_giga(weights)}; commit {str(record['commit'])[:12]}, {record['date'][:10]}."
    )
    return "\n".join([*lines, "", note]) + "\n"


def _homes(residence: Mapping[str, str]) -> str:
    by_home: dict[str, list[str]] = {}
    for network, home in residence.items():
        by_home.setdefault(home, []).append(network.replace("_", " "))
    *fewer, most = sorted(by_home, key=lambda home: len(by_home[home]))
    told = [f"{home}: {', '.join(by_home[home])}" for home in fewer]
    return "; ".join([*told, f"{most}: {'the others' if fewer else 'all'}"])


def _giga(size: float) -> str:
    return f"{size / 1e9:.1f}"


def _run(record: Mapping[str, Any]) -> str:
    results = record["results"]
    stages, denoising, memory = results["stages"], results["denoising"], results["memory_gib"]
    ceiling = results["ceiling"]["flops_per_second"] / 1e12
    operations = dict(results["flops"]["networks"])
    if "tflop" in denoising:
        operations["transformer"] = denoising["tflop"] * 1e12
    lines = ["| stage | seconds | TFLOP | TFLOP/s |", "|---|---:|---:|---:|"]
    for name, title in STAGES.items():
        if name not in stages:
            continue
        seconds = stages[name]["seconds"]
        known = name in operations and seconds > 0
        work = _tera(operations[name]) if known else ""
        speed = f"{operations[name] / 1e12 / seconds:.3g}" if known else ""
        lines.append(f"| {title} | {seconds:.3g} | {work} | {speed} |")
    facts = [f"Whole run {results['total_seconds']:.4g} s"]
    if "seconds_per_step" in denoising:
        facts.append(f"{denoising['seconds_per_step']:.3g} s per denoising step after the first")
    facts.append(f"matrix products reach {ceiling:.3g} TFLOP/s there ({results['ceiling']['dtype']})")
    if "steps_fraction_of_ceiling" in denoising:
        facts.append(f"these steps {100 * denoising['steps_fraction_of_ceiling']:.0f} % of that")
    facts += [
        f"peak of {place} memory {peak:.1f} GiB"
        for place, peak in (("host", memory["host"]), ("device", memory["device_allocated"]))
        if peak is not None
    ]
    return "\n".join([*lines, "", _where(record, _conditions(record["settings"])), "; ".join(facts) + "."]) + "\n"


def _train(record: Mapping[str, Any]) -> str:
    lines = [
        f"| {record['results']['objective']}: frames, size, batch | s per step | TFLOP | of the ceiling | peak GiB |",
        "|---|---:|---:|---:|---:|",
    ]
    for case in record["results"]["cases"]:
        title = f"{case['frames']}, {case['size'][0]}x{case['size'][1]}, {case['batch']}"
        if "out_of_memory" in case:
            lines.append(f"| {title} | out of memory | | | |")
            continue
        peak = case.get("peak_device_gib", case["peak_host_gib"])
        lines.append(
            f"| {title} | {case['seconds_per_step']:.3g} | {case['model_tflop']:.4g} ({case['hardware_tflop']:.4g}) | "
            f"{100 * case['model_fraction_of_ceiling']:.0f} % ({100 * case['hardware_fraction_of_ceiling']:.0f} %) | "
            f"{peak:.1f} |"
        )
    return "\n".join([*lines, "", _where(record), BRACKETS]) + "\n"


def _tera(operations: float) -> str:
    value = operations / 1e12
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _clip(settings: Mapping[str, Any]) -> str:
    return f"{settings['size']} networks, {settings['frames']} frames of {settings['height']}x{settings['width']}"


def _conditions(settings: Mapping[str, Any]) -> str:
    profile = "everything resident" if settings["vram"] is None else f"profile {settings['vram']}"
    first = ", text encoder run first and dropped" if settings["text_first"] else ""
    text = f"{_clip(settings)}, {settings['steps']} steps with guidance, {profile}{first}; "
    return text[0].upper() + text[1:]


def _where(record: Mapping[str, Any], what: str = "") -> str:
    machine = record["machine"]
    place = machine["gpu"] or f"{machine['processor']}, {machine['threads']} thread(s)"
    commit = str(record["commit"])[:12]
    return f"{what}{place}, torch {machine['torch']}, commit {commit}, {record['date'][:10]}."
