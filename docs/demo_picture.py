"""Draws docs/pictures/demo.jpg: the preview that `make demo` writes.

python docs/demo_picture.py
"""

import runpy
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parent
WIDTH = 1025


def main() -> None:
    """Run the example and keep its picture."""
    demo = runpy.run_path(str(DOCS.parent / "examples" / "01_photo_to_scene.py"))["main"]
    with tempfile.TemporaryDirectory() as folder:
        demo(out=Path(folder) / "scene")
        page = Image.open(Path(folder) / "scene" / "preview.png").convert("RGB")
        page.thumbnail((WIDTH, page.height), Image.Resampling.LANCZOS)
        page.save(DOCS / "pictures" / "demo.jpg", quality=88)


if __name__ == "__main__":
    main()
