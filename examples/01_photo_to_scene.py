"""One photo to a scene folder: video, depth, cameras and a point cloud that belong together.

    python examples/01_photo_to_scene.py [PHOTO] [OUT]

The shipped model is small and learned from procedural scenes, so expect the layout of the photo rather than its detail.
Open ``preview.png`` in the output folder first.
"""

import sys
import time
from pathlib import Path

from gen3r import Gen3RPipeline, read_image, write_scene_folder
from gen3r.cli.errors import report_user_errors
from gen3r.scene.export.output_folder import check_output_folder

HERE = Path(__file__).parent


def main(photo: Path = HERE / "photos" / "temple.jpg", out: Path = Path("demo_scene")) -> None:
    """Turn ``photo`` into the new folder ``out``."""
    started = time.perf_counter()
    check_output_folder(out)
    views = [read_image(photo)]
    pipeline = Gen3RPipeline.from_pretrained("tiny")
    scene = pipeline(views, "a building with trees under a cloudy sky", cameras="orbit_right", generator=0)
    write_scene_folder(scene, out, views=views)
    print(f"{photo.name} -> {out}/ in {time.perf_counter() - started:.1f} s; look at {out / 'preview.png'} first.")


if __name__ == "__main__":
    raise SystemExit(report_user_errors(lambda: main(*map(Path, sys.argv[1:]))))
