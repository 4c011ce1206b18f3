"""The lines that repeat a job are understood by the command line and by Python."""

import ast
import shlex

import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st

from apps.studio.test_requests import IDS, PATH
from gen3r.apps.studio.jobs import JobRequest
from gen3r.apps.studio.repeat import repeat_lines
from gen3r.cli.generate import Generate
from gen3r.cli.main import MARKERS
from gen3r.cli.reconstruct import Reconstruct

PARSERS = {"generate": Generate, "reconstruct": Reconstruct}


def parse(command: str) -> Generate | Reconstruct:
    words = shlex.split(command)
    assert words[0] == "gen3r"
    return tyro.cli(PARSERS[words[1]], args=words[2:], config=MARKERS)


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        ({"prompt": "a room"}, []),
        ({"prompt": '-- it\'s a "trap"; rm -rf / $(true)\nline two'}, []),
        ({"uploads": IDS[:2], "at": [0, 4], "frames": 5, "seed": 7}, ["a.png", "a.png"]),
        ({"uploads": IDS[:1], "steps": 2, "guidance": 1.5, "size": [112, 224]}, ["a.jpg"]),
        ({"uploads": IDS[:1], "camera_path": PATH, "camera_scale": 2.5, "scene_cameras": "predicted"}, ["a.jpg"]),
        ({"uploads": IDS[:1], "trajectory": "orbit_right"}, ["walk.mp4"]),
        ({"kind": "reconstruct", "uploads": IDS[:1], "frames": 4}, ["walk.mkv"]),
        ({"kind": "reconstruct", "uploads": IDS[:2], "size": [112, 112]}, ["a.png", "b.webp"]),
    ],
    ids=str,
)
def test_the_command_line_says_what_was_asked_for(fields: dict[str, object], files: list[str]) -> None:
    request = JobRequest(**fields)
    lines = repeat_lines(request, files, "tiny")
    command = parse(lines.command)
    compile(lines.python, "repeat", "exec")
    assert command.loading.model == "tiny"
    assert command.frames == request.frames
    assert command.size == (None if request.size is None else "x".join(map(str, request.size)))
    if isinstance(command, Reconstruct):
        assert list(command.images) == files
        return
    assert command.views == ("a.png", "a-2.png") if files == ["a.png", "a.png"] else list(command.views) == files
    assert command.cameras == ("cameras.json" if request.camera_path is not None else request.trajectory)
    for name in ("prompt", "camera_scale", "scene_cameras", "steps", "guidance", "seed"):
        assert getattr(command, name) == getattr(request, name)
    assert list(command.at) == request.at


@given(prompt=st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text and text.isprintable()))
def test_any_prompt_survives_shell_and_python(prompt: str) -> None:
    lines = repeat_lines(JobRequest(prompt=prompt), [], "tiny")
    command = parse(lines.command)
    assert isinstance(command, Generate)
    assert command.prompt == prompt
    strings = [node.value for node in ast.walk(ast.parse(lines.python)) if isinstance(node, ast.Constant)]
    assert prompt in strings
