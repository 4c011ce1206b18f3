"""Pictures and clips to try the studio with; they travel inside the package."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

from gen3r.apps.studio.page.assets import asset
from gen3r.apps.studio.page.pictures import data_url

_FOLDER = Path(__file__).parent / "examples"
_THUMBNAIL = 160
_WELCOME = 640

EXAMPLES_SCRIPT = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-example]");
  if (button) trigger("select", { example: button.dataset.example });
});
"""


@dataclass(frozen=True, kw_only=True)
class Example:
    """Files, and the settings that suit them."""

    title: str
    """What the button says."""
    files: tuple[str, ...]
    """Names in the folder of examples."""
    prompt: str
    """What to see."""
    trajectory: str = "orbit_right"
    """A camera path; for views of several places the model's own."""
    kind: str = "generate"
    """generate or reconstruct."""

    @property
    def paths(self) -> list[Path]:
        return [_FOLDER / name for name in self.files]

    @property
    def picture(self) -> str:
        """A data URL."""
        return data_url(self.paths[0], _THUMBNAIL, video=self.paths[0].suffix == ".mp4")


EXAMPLES = {
    "temple": Example(
        title="Temple: one photo", files=("temple.jpg",), prompt="a building with trees under a cloudy sky"
    ),
    "room": Example(title="Room: one view", files=("room.jpg",), prompt="a room", trajectory="dolly_in"),
    "garden": Example(
        title="Garden: first and last view",
        files=("garden_first.jpg", "garden_last.jpg"),
        prompt="a garden with a tower and a tree",
        trajectory="free",
    ),
    "walk": Example(title="Walk: a video", files=("walk.mp4",), prompt="", trajectory="free", kind="reconstruct"),
}


def welcome_html() -> str:
    """What the page says before the first scene, with a picture of one."""
    return asset("welcome.html").replace("PICTURE", data_url(_FOLDER / "welcome.jpg", _WELCOME))


def examples_html() -> str:
    """A button with a picture for each example."""
    items = "".join(
        f'<li><button type="button" data-example="{escape(name)}">'
        f'<img src="{item.picture}" alt=""><span>{escape(item.title)}</span></button></li>'
        for name, item in EXAMPLES.items()
    )
    head = '<p class="examples-head" id="examples-head">Or try an example</p>'
    return f'{head}<ul class="examples" aria-labelledby="examples-head">{items}</ul>'
