"""What the page says of a run, and that nothing a client wrote becomes HTML."""

import pytest

from gen3r.apps.studio.errors import QueueFull, WrongType
from gen3r.apps.studio.jobs import ENDED, Job, JobRequest, State
from gen3r.apps.studio.limits import Limits
from gen3r.apps.studio.page.actions import Wishes, job_request
from gen3r.apps.studio.page.model_settings import ModelSettings, most_of, settings_of
from gen3r.apps.studio.page.progress import announcement, error_card, progress_card
from gen3r.apps.studio.page.words import ago, details, duration, title

NASTY = '<img src=x onerror="alert(1)">'
VIEWLESS = Wishes(
    kind="generate", prompt="a room", trajectory="spiral", drawn=None,
    frames=9.0, steps=3, guidance=1, seed=4.0, model="tiny",
)  # fmt: skip


def job(state: State = "running", **changes: object) -> Job:
    fields = {
        "id": "0" * 32, "state": state, "done": 1, "total": 4, "eta_seconds": 65.0, "queue_position": 2, "message": "",
        "has_preview": False, "created": 0.0, "started": 1.0, "finished": 9.0, "request": JobRequest(prompt=NASTY),
        "results": [], "error": NASTY,
    }  # fmt: skip
    return Job(**(fields | changes))


@pytest.mark.parametrize("state", ["queued", "running", *ENDED])
def test_every_state_has_a_card_and_words(state: State) -> None:
    card = progress_card(job(state), None)
    assert "<h2>" in card
    assert "<img" not in card
    assert announcement(job(state))


def test_progress_tells_steps_and_time_left() -> None:
    card = progress_card(job(), None)
    assert "Step 1 of 4" in card
    assert "about 1 min 5 s left." in card
    assert '<progress aria-label="Progress" max="4" value="1">' in card
    assert "Number 2 in the queue" in progress_card(job("queued"), None)


def test_screen_readers_hear_of_quarters_only() -> None:
    said = [announcement(job(done=done, total=40)) for done in range(40)]
    assert len(set(said)) == 4


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125.0, "2 min 5 s"), (4320.0, "1 h 12 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_ago() -> None:
    assert [ago(1000.0, now) for now in (1010.0, 1300.0, 9000.0)] == ["just now", "5 min ago", "2 h ago"]


def test_runs_without_words_are_told_by_their_views() -> None:
    assert (
        title(job(request=JobRequest(kind="reconstruct", uploads=["0" * 32, "1" * 32])))
        == "Reconstruction from 2 uploads"
    )
    assert details(job(request=JobRequest(trajectory="dolly_in", seed=3))) == "dolly in, seed 3"


def test_errors_say_what_to_do() -> None:
    assert "send a picture" in error_card(WrongType("no", "send a picture")).lower()
    assert "The studio is busy" in error_card(QueueFull("full", "wait"))
    assert "<img" not in error_card(ValueError(NASTY))


def test_the_form_becomes_a_request() -> None:
    request = job_request([], VIEWLESS)
    assert (request.frames, request.seed, request.guidance, request.trajectory) == (9, 4, 1.0, "spiral")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": "  "}, "pick an example"),
        ({"prompt": None}, "pick an example"),
        ({"kind": "reconstruct"}, "photos or a video"),
        ({"frames": 2.5}, "Frames: expected a whole number"),
        ({"steps": "many"}, "Steps: expected a number"),
        ({"seed": -1}, "seed: "),
        ({"kind": ["generate"]}, "kind: "),
        ({"guidance": "x"}, "Guidance: "),
        ({"trajectory": "../etc"}, "trajectory: "),
        ({"trajectory": "drawn"}, "click on the map"),
    ],
)
def test_what_the_form_cannot_mean_is_told(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        job_request([], Wishes(**(vars(VIEWLESS) | changes)))


def test_the_page_starts_with_the_settings_of_the_model() -> None:
    from gen3r.pipeline.config import PipelineConfig

    official, tiny = settings_of("a model that is not here"), settings_of("tiny")
    trained = PipelineConfig(name="gen3r")
    assert official == ModelSettings(frames=trained.frames, steps=trained.steps, guidance=trained.guidance)
    assert tiny == ModelSettings(frames=9, steps=3, guidance=1.0)
    assert most_of(tiny, Limits()) == (33, 20)
    assert most_of(official, Limits(frames=50, steps=60)) == (49, 60)
