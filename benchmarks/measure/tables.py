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


def table(record: Mapping[str, Any]) -> str:
    """One results file."""
    return {"run": _run, "train": _train}[record["kind"]](record)


def _run(record: Mapping[str, Any]) -> str:
    results = record["results"]
    stages, denoising, memory = results["stages"], results["denoising"], results["memory_gib"]
    ceiling = results["ceiling"]["flops_per_second"] / 1e12
    operations = {**results["flops"]["networks"], "transformer": denoising["tflop"] * 1e12}
    lines = ["| stage | seconds | TFLOP | TFLOP/s |", "|---|---:|---:|---:|"]
    for name, title in STAGES.items():
        if name not in stages:
            continue
        seconds = stages[name]["seconds"]
        known = name in operations and seconds > 0
        work = f"{operations[name] / 1e12:.4g}" if known else ""
        speed = f"{operations[name] / 1e12 / seconds:.3g}" if known else ""
        lines.append(f"| {title} | {seconds:.3g} | {work} | {speed} |")
    device = memory["device_allocated"]
    facts = [
        f"Whole run {results['total_seconds']:.4g} s",
        f"matrix products reach {ceiling:.3g} TFLOP/s here ({results['ceiling']['dtype']})",
        f"the transformer {100 * denoising['transformer_fraction_of_ceiling']:.0f} % of that",
        f"peak of host memory {memory['host']:.1f} GiB",
    ]
    if "seconds_per_step" in denoising:
        facts.insert(1, f"{denoising['seconds_per_step']:.3g} s per denoising step")
    if device is not None:
        facts.append(f"of device memory {device:.1f} GiB")
    return "\n".join([*lines, "", _where(record), "; ".join(facts) + "."]) + "\n"


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
    note = "In brackets: with what gradient checkpointing computes again."
    return "\n".join([*lines, "", _where(record), note]) + "\n"


def _where(record: Mapping[str, Any]) -> str:
    machine = record["machine"]
    place = machine["gpu"] or f"{machine['processor']}, {machine['threads']} threads"
    return f"{place}, torch {machine['torch']}, commit {str(record['commit'])[:12]}, {record['date'][:10]}."
