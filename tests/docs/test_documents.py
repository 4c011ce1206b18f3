"""What the documents and the example tell people to run."""

import re
import runpy
import shutil
from pathlib import Path

import pytest

from gen3r.scene.scene import Scene

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "examples" / "photos" / "temple.jpg"
EXAMPLE = ROOT / "examples" / "01_photo_to_scene.py"


DOCUMENTS = (
    "README.md",
    "docs/cameras.md",
    "docs/conventions.md",
    "docs/datasets_format.md",
    "docs/first_scene.md",
    "docs/performance.md",
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_of_the_documents_runs(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert snippets
    shutil.copy(PHOTO, tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    for snippet in snippets:
        exec(compile(snippet, document, "exec"), {})


def test_the_example_makes_a_scene_and_refuses_to_overwrite_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scene"
    monkeypatch.setattr("sys.argv", [str(EXAMPLE), str(PHOTO), str(out)])
    codes = []
    for _ in range(2):
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(EXAMPLE), run_name="__main__")
        codes.append(stop.value.code)
    assert codes == [0, 2]
    assert Scene.load(out).frames > 1
    said = capsys.readouterr()
    assert said.out.count("temple.jpg -> ") == 1
    assert (
        said.err == f"gen3r: error: the output folder {out} is not empty; choose a new one, nothing is overwritten.\n"
    )
