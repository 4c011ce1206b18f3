"""A client that names files of the machine gets none of them, not a copy either, and none is deleted."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="gradio is missing; pip install 'gen3r[studio]'")

from apps.studio.media import SVG, picture
from apps.studio.page.asking_page import SESSION, AskedPage, file_data
from gen3r.apps.studio.service import Studio

SECRET = b"the secret of this machine"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    made = Studio(tmp_path_factory.mktemp("studio"), models=["tiny"], workers=0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(studio: Studio) -> AskedPage:
    return AskedPage(studio)


@pytest.fixture(scope="module")
def foreign(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Files that are none of the client's, in several spellings."""
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    secret.write_bytes(picture() + SECRET)
    beside = studio.folders.root / "page" / "beside"
    beside.mkdir(parents=True)
    return [
        "/etc/passwd",
        str(secret),
        os.path.relpath(secret),
        str(beside / ".." / ".." / "studio.sqlite"),
        str(studio.folders.database),
        "/proc/self/environ",
    ]


def kept(studio: Studio) -> set[Path]:
    """Files below the page's folder."""
    return {path for path in (studio.folders.root / "page").rglob("*") if path.is_file()}


def test_no_handler_copies_a_foreign_file(page: AskedPage, studio: Studio, foreign: list[str]) -> None:
    before = kept(studio)
    for dependency in page.config["dependencies"]:
        for path in foreign if dependency["backend_fn"] else []:
            named = file_data(path)
            asked = {
                "fn_index": dependency["id"],
                "data": [{"keys": [[named, 0, 0]], "look": "subject"} for _ in dependency["inputs"]],
                "event_data": {"job": named, "example": named, "index": named},
                "session_hash": SESSION,
            }
            for route in ("run/predict", "queue/join"):
                assert "file=" not in page.client.post(f"/gradio_api/{route}", json=asked).text
    for path in foreign:
        answer = page.use("files", "upload", [None, None, [file_data(path)]])
        assert answer.status_code == 500
        assert "file=" not in answer.text
    assert kept(studio) == before
    assert all(Path(path).exists() for path in foreign)


def test_each_input_is_checked_by_itself(page: AskedPage, studio: Studio, foreign: list[str]) -> None:
    before = kept(studio)
    form = {"kind": "generate", "prompt": "a", "path-map": None, "frames": 9, "steps": 3, "guidance": 1, "seed": 0}
    dependency = page.dependency("make", "click")
    for place, of in enumerate(dependency["inputs"]):
        values = [form.get(str(page.components[item]["props"].get("elem_id"))) for item in dependency["inputs"]]
        values[place] = {"keys": [[file_data(foreign[0]), 0, 0]], "look": "subject"}
        if page.components[of]["type"] == "state":
            continue
        asked = {"fn_index": dependency["id"], "data": values, "session_hash": SESSION}
        answer = page.client.post("/gradio_api/run/predict", json=asked)
        assert answer.status_code == 500, page.components[of]["props"]
        assert "file=" not in answer.text
    assert kept(studio) == before


def test_the_map_tells_nothing_of_what_it_was_sent(page: AskedPage, studio: Studio, foreign: list[str]) -> None:
    before = kept(studio)
    for path in foreign:
        asked = {
            "data": {"keys": [[file_data(path), 0, 0]], "look": "subject"},
            "component_id": page.named["path-map"],
            "fn_name": "path_preview",
            "session_hash": SESSION,
        }
        answer = page.client.post("/gradio_api/component_server", json=asked)
        assert answer.status_code == 200
        assert path not in answer.text
        assert "FileData" not in answer.text
    assert kept(studio) == before


def test_foreign_files_cannot_be_fetched(page: AskedPage, foreign: list[str]) -> None:
    for path in foreign:
        assert page.client.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_an_uploaded_file_becomes_a_view_and_nothing_of_it_stays_behind(page: AskedPage, studio: Studio) -> None:
    before = kept(studio)
    _, strip, problems = page.add(page.upload("photo.png", picture()))
    assert "photo.png" in strip
    assert "40 × 30" in strip
    assert problems == ""
    assert kept(studio) == before


def test_an_uploaded_svg_is_not_shown_as_a_page(page: AskedPage) -> None:
    path = page.upload("drawing.svg", SVG)
    page.use("model", "input", [file_data(path)])
    answer = page.client.get(f"/gradio_api/file={path}")
    assert answer.headers["content-disposition"].startswith("attachment")
