"""Packing as the command line does it, in this process."""

from pathlib import Path
from typing import Any

from gen3r.data.shards.packing import PackConfig, PackShard, finish_packing, plan_packing


def packed(source: Path, target: Path, **options: Any) -> Path:
    config = PackConfig(source=source, target=target, **options)
    pack = PackShard({"source": str(source), "target": str(target)})
    for item in plan_packing(config):
        pack(item)
    finish_packing(config)
    return target
