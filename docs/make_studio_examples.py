"""The example views of the studio: the photo of the repository, and views of procedural scenes no training has seen.

python docs/make_studio_examples.py
"""

from pathlib import Path

from PIL import Image

from gen3r.data.synthetic.generate import generate_clip
from gen3r.scene.export.video import write_h264

ROOT = Path(__file__).parents[1]
OUT = ROOT / "src" / "gen3r" / "apps" / "studio" / "page" / "examples"
SIZE = 320
LONGEST = 480
ROOM, GARDEN, WALK = 900000105, 900000108, 900000120


def main() -> None:
    """Write the files the studio offers."""
    OUT.mkdir(exist_ok=True)
    with Image.open(ROOT / "examples" / "photos" / "temple.jpg") as photo:
        photo.thumbnail((LONGEST, LONGEST))
        photo.save(OUT / "temple.jpg", quality=85)
    room = generate_clip(ROOM, 2, SIZE, SIZE)
    Image.fromarray(room.rgb[0].numpy()).save(OUT / "room.jpg", quality=88)
    garden = generate_clip(GARDEN, 9, SIZE, SIZE)
    for frame, name in ((0, "garden_first.jpg"), (-1, "garden_last.jpg")):
        Image.fromarray(garden.rgb[frame].numpy()).save(OUT / name, quality=88)
    walk = generate_clip(WALK, 17, SIZE, SIZE)
    write_h264(OUT / "walk.mp4", walk.rgb.numpy())


if __name__ == "__main__":
    main()
