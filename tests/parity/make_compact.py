"""Makes the compact set of goldens in ``goldens/`` from a full one: ``python tests/parity/make_compact.py FULL``.

Nothing is computed anew. Large outputs are kept as evenly spaced slices together with the statistics of the whole;
where independent samples of a batch were recorded, the first is kept; entries that need much room and that no other
entry stands in for are left out and listed in ``LEFT_OUT``. A kind with several entries gives up the largest ones until
the set fits.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

LIMIT = 3_900_000
"""Bytes, all files together."""
LARGEST_OUTPUT = 4096
"""Elements of an output that is kept whole."""
LEFT_OUT = {"train_step", "pipeline_e2e", "clip_visual", "umt5"}
"""Kinds of the wan index that only the full set proves."""
OUTPUTS = {
    "cameras": {"plucker", "resize_out", "crop_out"},
    "pipeline_packing": {"y_camera"},
    "wan_vae": {"decode", "decode_unclamped"},
}
"""Large outputs by kind: the wan index does not tell outputs from inputs."""
PER_SAMPLE = ("x", "y", "t", "clip_fea", "y_camera", "out_camera", "out_no_camera", "out_zero_camera")
"""Tensors of a wan_transformer_forward entry with a batch axis, besides its ``tap_`` ones."""

Entry = dict[str, Any]
Tensors = dict[str, Tensor]


def keep_slice(tensor: Tensor, record: Entry) -> Tensor:
    """An evenly spaced part of an output of at most LARGEST_OUTPUT elements; the record is changed to say so."""
    before = record.get("slice") or [[None, None, None]] * tensor.ndim
    if "stats" not in record:
        whole = tensor.double()
        record["stats"] = {
            "mean": whole.mean().item(),
            "std": whole.std(correction=0).item(),
            "l2": whole.norm().item(),
            "min": whole.min().item(),
            "max": whole.max().item(),
        }
    record.setdefault("full_shape", list(tensor.shape))
    steps = [1] * tensor.ndim
    part = tensor
    while part.numel() > LARGEST_OUTPUT:
        steps[max(range(part.ndim), key=lambda axis: part.shape[axis])] += 1
        part = tensor[tuple(slice(None, None, step) for step in steps)]
    record["slice"] = [[start, stop, (old or 1) * step] for (start, stop, old), step in zip(before, steps, strict=True)]
    record["shape"] = list(part.shape)
    return part.contiguous()


def first_sample(tensors: Tensors, records: dict[str, Entry]) -> None:
    """Keep sample 0 of a transformer entry: its samples do not see each other."""
    for key in list(tensors):
        if key in PER_SAMPLE or key.startswith("tap_"):
            tensors[key] = tensors[key][:1].contiguous()
            records[key]["shape"] = list(tensors[key].shape)
        elif key.startswith("context_") and key != "context_0":
            del tensors[key], records[key]


def is_large_output(entry: Entry, key: str, tensor: Tensor) -> bool:
    record = entry["tensors"][key]
    named = record.get("role") == "output" or ("role" not in record and key in OUTPUTS.get(entry["kind"], ()))
    return named and tensor.is_floating_point() and tensor.numel() > LARGEST_OUTPUT


def compact_entry(entry: Entry, source: Path, target: Path) -> int:
    """Write the tensors of an entry, shortened; the bytes they take."""
    tensors = load_file(source / entry["file"])
    if entry["kind"] == "wan_transformer_forward":
        first_sample(tensors, entry["tensors"])
    for key in tensors:
        if is_large_output(entry, key, tensors[key]):
            tensors[key] = keep_slice(tensors[key], entry["tensors"][key])
    save_file(tensors, target / entry["file"])
    return (target / entry["file"]).stat().st_size


def with_own_weights(entry: Entry, entries: dict[str, Entry]) -> Entry:
    """Replace names of entries under ``uses`` by what says how to regenerate their weights."""
    fields = ("constructor", "manifest", "seed")
    uses = {
        role: used if isinstance(used, dict) else {field: entries[used][field] for field in fields}
        for role, used in entry.get("uses", {}).items()
    }
    return {**entry, "uses": uses} if uses else entry


def write_json(path: Path, content: Any) -> int:
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    return path.stat().st_size


def make_compact(source: Path, target: Path) -> int:
    """Write the compact set and give its size in bytes."""
    shutil.rmtree(target, ignore_errors=True)
    for folder in ("geometry", "manifests"):
        (target / folder).mkdir(parents=True)
    wan = json.loads((source / "index_wan.json").read_text())
    geometry = json.loads((source / "geometry" / "index.json").read_text())
    wan["goldens"] = {
        name: with_own_weights(entry, wan["goldens"])
        for name, entry in wan["goldens"].items()
        if entry["kind"] not in LEFT_OUT
    }
    groups = [(wan["goldens"], Path()), (geometry, Path("geometry"))]
    sizes = {
        (folder, name): compact_entry(entry, source / folder, target / folder)
        for entries, folder in groups
        for name, entry in entries.items()
    }
    used = " ".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py")) + json.dumps([wan, geometry])
    total = sum(
        write_json(target / "manifests" / path.name, json.loads(path.read_text()))
        for path in (source / "manifests").glob("*.json")
        if path.name in used
    )
    total += len(json.dumps([wan, geometry], separators=(",", ":"))) + sum(sizes.values())
    index_of = {folder: entries for entries, folder in groups}
    for folder, name in sorted(sizes, key=lambda item: -sizes[item]):
        entries = index_of[folder]
        kind = entries[name]["kind"]
        if total > LIMIT and sum(entry["kind"] == kind for entry in entries.values()) > 1:
            (target / folder / entries.pop(name)["file"]).unlink()
            total -= sizes[folder, name]
    write_json(target / "index_wan.json", wan)
    write_json(target / "geometry" / "index.json", geometry)
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("full", type=Path, help="folder with index_wan.json and geometry/index.json")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "goldens")
    arguments = parser.parse_args()
    size = make_compact(arguments.full, arguments.out)
    if size > LIMIT:
        raise SystemExit(f"the compact set takes {size} bytes, more than {LIMIT}: shorten more outputs.")
