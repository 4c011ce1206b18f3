"""What a click on the page does: room is made again, and what goes wrong is said on the card."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("gradio", reason="gradio is missing; pip install 'gen3r[studio]'")

from apps.studio.media import picture
from apps.studio.page.asking_page import AskedPage
from gen3r.apps.studio.errors import QueueFull
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.page.actions import Wishes, job_request
from gen3r.apps.studio.service import Studio

FORM: dict[str | None, Any] = {
    "kind": "generate", "prompt": "a", "trajectory": "free", "path-map": None, "frames": 9, "steps": 3, "guidance": 1,
    "seed": 0, "model": "tiny",
}  # fmt: skip


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    limits = Limits(files_per_session=2, sessions=6)
    made = Studio(tmp_path_factory.mktemp("studio"), models=["tiny"], workers=0, limits=limits)
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(studio: Studio) -> AskedPage:
    return AskedPage(studio)


@pytest.fixture(scope="module")
def key(studio: Studio) -> str:
    return studio.new_session()


def test_a_removed_view_makes_room(page: AskedPage, studio: Studio) -> None:
    key, _, _ = page.add(page.upload("a.png", picture()), page.upload("b.png", picture(seed=1)))
    assert "at most 2 uploads" in page.add(page.upload("c.png", picture(seed=2)), key=key)[2]
    page.use("views", "select", [key, None], {"action": "remove", "index": 0})
    assert [upload.name for upload in studio.uploads(key)] == ["b.png"]
    assert page.add(page.upload("c.png", picture(seed=2)), key=key)[2] == ""


def test_an_example_is_taken_in_once(page: AskedPage, studio: Studio) -> None:
    key = studio.new_session()
    for _ in range(3):
        answer = page.use("examples", "select", [key], {"example": "garden"}).json()["data"]
        assert answer[2].count("<li>") == 2
        assert answer[3] == ""
    assert len(studio.uploads(key)) == 2


@pytest.mark.parametrize("event_data", [None, [], {"job": {}}])
@pytest.mark.parametrize("target", ["history", "views", "examples"])
def test_events_of_others_do_nothing(page: AskedPage, key: str, target: str, event_data: Any) -> None:
    count = len(page.dependency(target, "select")["inputs"])
    answer = page.use(target, "select", [key] + [None] * (count - 1), event_data)
    assert answer.status_code == 200


@pytest.mark.parametrize("gone", [None, {}, "cleared away"])
@pytest.mark.parametrize(("target", "event"), [("history", "select"), ("cancel", "click")])
def test_a_session_that_is_gone_is_said(page: AskedPage, gone: Any, target: str, event: str) -> None:
    count = len(page.dependency(target, event)["inputs"])
    answer = page.use(target, event, [gone] + [None] * (count - 1), {"job": "x"})
    assert answer.status_code == 200
    assert "session" in answer.text
    assert "problem" in answer.text


def test_packing_nothing_is_said(page: AskedPage, studio: Studio) -> None:
    answer = page.use("pack", "click", [None, None, []])
    assert answer.status_code == 200
    assert "problem" in answer.text


def test_an_emptied_field_is_the_models_choice() -> None:
    empty = dict.fromkeys(("drawn", "frames", "steps", "guidance", "seed"))
    request = job_request([], Wishes(kind="generate", prompt="a", trajectory="free", model="tiny", **empty))
    assert (request.frames, request.steps, request.guidance, request.seed) == (None, None, None, 0)


@pytest.mark.parametrize("frames", [None, "", 0, 10**9, "many", {}, float("nan"), float("inf")])
def test_frames_of_a_drawn_path_are_checked_before_it_is_made(frames: Any) -> None:
    drawn = {"keys": [[0.1, 0.0, 0.2]], "look": "subject"}
    wishes = Wishes(
        kind="generate", prompt="a", trajectory="drawn", drawn=drawn, frames=frames, steps=3, guidance=1, seed=0,
        model="tiny",
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"^Frames"):
        job_request([], wishes)


@pytest.mark.parametrize(("field", "value"), [("frames", None), ("steps", "x"), ("guidance", {}), ("seed", -1)])
def test_no_value_of_the_form_ends_in_a_bare_error(page: AskedPage, field: str, value: Any) -> None:
    inputs = page.dependency("make", "click")["inputs"]
    names = [page.components[item]["props"].get("elem_id") for item in inputs]
    answer = page.use("make", "click", [(FORM | {field: value}).get(name) for name in names])
    assert answer.status_code == 200
    assert "problem" in answer.text  # nothing runs here that would take it


def test_too_many_sessions_are_said(page: AskedPage, studio: Studio) -> None:
    with suppress(QueueFull):
        for _ in range(7):
            studio.new_session()
    answer = page.use(None, "load", [None])
    assert answer.status_code == 200
    assert "The studio is busy" in answer.text
