"""Prompts by a tiny random model through the real code path, and from labels."""

import dataclasses
from pathlib import Path

import pytest
import torch

from gen3r.data.schema.record import RECORD_FILE
from gen3r.data.schema.stored import StoredClip
from gen3r.prepare.captioning import CaptionClips, CaptionConfig, list_items, plan_captions
from gen3r.prepare.captioning.answers import problem_of, tidied
from gen3r.prepare.captioning.instructions import INSTRUCTION_TEXT, INSTRUCTIONS, question
from gen3r.prepare.captioning.model import Describer
from gen3r.prepare.captioning.work import pictures_of
from gen3r.prepare.captioning.writing import write_captions
from prepare.captioning.tiny_vlm import WORDS, write_vlm
from prepare.clip_folders import write_dataset


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vlm(tmp_path_factory.mktemp("models") / "words")


def config_of(dataset: Path, model: Path | None, **changes: object) -> CaptionConfig:
    values: dict = {"frames": 2, "side": 28, "batch": 2, "max_tokens": 12, "attempts": 8} | changes
    return CaptionConfig(dataset=str(dataset), model=str(model), **values)


def caption(config: CaptionConfig) -> dict[str, str]:
    """Everything, in this process, through the unit of work; reasons of clips without captions."""
    unit = CaptionClips(config.settings())
    failed: dict[str, str] = {}
    for item in plan_captions(config):
        failed |= unit(item)["failed"]
    return failed


def test_every_clip_gets_several_prompts(model: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "clips", captions=0)
    config = config_of(dataset, model)
    assert [item["clips"] for item in list_items(config.settings())] == [["clip0", "clip1"], ["clip2"]]
    assert caption(config) == {}
    for number in range(3):
        clip = StoredClip.open(dataset / f"clip{number}")
        assert clip.record.caption_kind == "model"
        assert len(clip.captions) == len(set(clip.captions)) == 3
        assert {word for line in clip.captions for word in line.split()} <= set(WORDS)
        assert clip.rgb([0]).shape == (1, 112, 126, 3)
    assert plan_captions(config) == []


def test_a_stopped_run_goes_on_with_the_clips_that_are_left(model: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "clips", captions=0)
    config = config_of(dataset, model, prompts=1, batch=1)
    first, *_ = plan_captions(config)
    unit = CaptionClips(config.settings())
    unit(first)
    before = (dataset / "clip0" / RECORD_FILE).stat().st_mtime_ns
    assert [item["clips"] for item in plan_captions(config)] == [["clip1"], ["clip2"]]
    assert unit(first) == {"captioned": 0, "failed": {}}
    assert (dataset / "clip0" / RECORD_FILE).stat().st_mtime_ns == before


def test_an_empty_answer_is_asked_for_again(tmp_path: Path) -> None:
    silent = write_vlm(tmp_path / "silent", silent=True)
    dataset = write_dataset(tmp_path / "clips", count=1, captions=0)
    once = caption(config_of(dataset, silent, attempts=1, prompts=1))
    assert once == {"clip0": "prompt 1: empty, after 1 attempts"}
    assert StoredClip.open(dataset / "clip0").captions == ()
    assert caption(config_of(dataset, silent, attempts=8, prompts=1)) == {}
    assert len(StoredClip.open(dataset / "clip0").captions) == 1


def test_bad_answers_are_listed_and_never_written(tmp_path: Path) -> None:
    stammering = write_vlm(tmp_path / "stammering", ("room",))
    dataset = write_dataset(tmp_path / "clips", count=2, captions=0)
    (dataset / "clip1" / "frames" / "frame00002.png").write_bytes(b"no picture")
    failed = caption(config_of(dataset, stammering, attempts=2, prompts=2))
    assert "over and over" in failed["clip0"] or "fewer than" in failed["clip0"] or "empty" in failed["clip0"]
    assert "frame00002.png" in failed["clip1"]
    for name in ("clip0", "clip1"):
        assert StoredClip.open(dataset / name).record.caption_kind == "none"
        assert (dataset / name / "captions.txt").read_text() == ""


def test_given_captions_are_kept_unless_asked(model: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "clips", count=1)
    assert plan_captions(config_of(dataset, model)) == []
    assert len(plan_captions(config_of(dataset, model, replace_given=True))) == 1


def test_labels_make_captions_without_a_model(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "clips", count=2, captions=0)
    path = dataset / "clip0" / RECORD_FILE
    record = dataclasses.replace(StoredClip.open(dataset / "clip0").record, labels={"category": "tea pot"})
    path.write_text(record.to_json())
    config = config_of(dataset, None, source="labels", prompts=1)
    assert caption(config) == {"clip1": "the dataset says nothing of it"}
    clip = StoredClip.open(dataset / "clip0")
    assert (clip.captions, clip.record.caption_kind) == (("A tea pot.",), "template")
    assert [item["clips"] for item in plan_captions(config)] == [["clip1"]]
    assert plan_captions(dataclasses.replace(config, source="model"))[0]["clips"] == ["clip0", "clip1"]


def test_damaged_clips_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = write_dataset(tmp_path / "clips", count=2, captions=0)
    (dataset / "clip0" / RECORD_FILE).write_text("{")
    assert plan_captions(config_of(dataset, None)) == [{"clips": ["clip1"]}]
    assert "clip0 is left out" in caplog.text


def test_shards_are_to_be_captioned_before(tmp_path: Path) -> None:
    (tmp_path / "train-00000.tar").touch()
    with pytest.raises(ValueError, match="caption the clip folders, then pack"):
        plan_captions(config_of(tmp_path, None))


def test_what_is_no_such_model_is_refused(tmp_path: Path, model: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "umt5"}')
    with pytest.raises(ValueError, match="expected an image-text-to-text model"):
        Describer(str(tmp_path), dtype=torch.float32)
    mute = tmp_path / "mute"
    write_vlm(mute)
    (mute / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="no chat template"):
        Describer(str(mute), dtype=torch.float32)


def test_without_a_network_the_ways_without_a_model_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"somebody/no-such-model .* failed.*captions\.txt.*--source labels"):
        Describer("somebody/no-such-model", dtype=torch.float32)


def test_sampled_answers_follow_their_seed(model: Path, tmp_path: Path) -> None:
    clip = StoredClip.open(write_dataset(tmp_path / "clips", count=1) / "clip0")
    pictures = [pictures_of(clip, 2, 28)]
    assert [max(picture.size) for picture in pictures[0]] == [28, 28]
    describer = Describer(str(model), dtype=torch.float32)
    state = torch.get_rng_state()
    first, again, other = (describer.describe(pictures, question(0), max_tokens=8, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), state)


def test_captions_are_written_whole(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "clips", count=1) / "clip0"
    before = StoredClip.open(folder).record
    write_captions(folder, [" two\nlines ", "two lines", "another"], "model")
    after = StoredClip.open(folder)
    assert after.captions == ("two lines", "another")
    assert after.record == dataclasses.replace(before, caption_kind="model")
    for bad in ([], [" "]):
        with pytest.raises(ValueError, match="expected captions"):
            write_captions(folder, bad, "model")
    assert StoredClip.open(folder).captions == ("two lines", "another")


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("  A room,\n with a chair. ", "A room, with a chair."),
        ('"A small room with a chair."', "A small room with a chair."),
        ("**Description:** A small room.", "A small room."),
        ("- A small room", "A small room"),
        ("<think>what is it?</think>A small room.", "A small room."),
        ("A small room. It has a win", "A small room."),
        ("", ""),
    ],
)
def test_answers_are_tidied(answer: str, caption: str) -> None:
    assert tidied(answer) == caption


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("A room.", "fewer than"),
        ("room " * 300, "longer than"),
        ("A small room with a \ufffd chair", "broken"),
        ("I'm sorry, I cannot see any picture here.", "refusal"),
        ("a red chair in a red chair in a red chair in a red chair", "over and over"),
        ("chair chair chair chair chair", "over and over"),
    ],
)
def test_bad_answers_are_known(text: str, problem: str) -> None:
    assert problem in (problem_of(text) or "")
    assert problem_of("A small room with a red chair by the window.") is None


def test_the_instruction_is_what_the_documentation_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "captions.md").read_text(encoding="utf-8")
    assert INSTRUCTION_TEXT in page
    assert all(question(number).endswith(text) for number, text in enumerate(INSTRUCTIONS))
    assert question(len(INSTRUCTIONS)) == question(0)
