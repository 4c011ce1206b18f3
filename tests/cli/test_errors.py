"""What users get wrong: one line on stderr, exit code 2, nothing written."""

import json
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from cli.conftest import FRAMES, write_photo
from cli.running import Runner
from gen3r.cameras.cameras import Cameras
from gen3r.cli.errors import report_user_errors
from gen3r.scene.camera_files import write_cameras

Arguments = list[object]
Case = Callable[[Path, Path], Arguments]
CASES: dict[str, tuple[Case, str]] = {}


def case(message: str) -> Callable[[Case], Case]:
    """Register a mistake: a function of (folder, photo) returning the arguments, and what the error has to say."""

    def register(build: Case) -> Case:
        CASES[build.__name__] = (build, message)
        return build

    return register


def png(pixels: bytes, *, width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def cameras_file(folder: Path, frames: int = FRAMES) -> Path:
    path = folder / "cameras.json"
    write_cameras(path, Cameras.from_fov(torch.eye(4).repeat(frames, 1, 1), 1.0, 120, 150))
    return path


def edited_cameras(folder: Path, edit: Callable[[dict], None]) -> Path:
    path = cameras_file(folder)
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))
    return path


@case("nothing at .*absent.png")
def missing_file(folder: Path, photo: Path) -> Arguments:
    return ["generate", folder / "absent.png"]


@case("truncated or damaged")
def truncated_file(folder: Path, photo: Path) -> Arguments:
    whole = photo.read_bytes()
    photo.write_bytes(whole[: len(whole) // 2])
    return ["generate", photo]


@case("has zero size \\(0x10\\)")
def zero_size(folder: Path, photo: Path) -> Arguments:
    photo.write_bytes(png(b"", width=10, height=0))
    return ["generate", photo]


@case("empty")
def zero_bytes(folder: Path, photo: Path) -> Arguments:
    photo.write_bytes(b"")
    return ["generate", photo]


@case("too many pixels|million pixels")
def image_bomb(folder: Path, photo: Path) -> Arguments:
    photo.write_bytes(png(b"", width=40_000, height=40_000))
    return ["generate", photo]


@case("100.01 million pixels, at most 100 million are read")
def picture_just_too_large(folder: Path, photo: Path) -> Arguments:
    Image.new("1", (10_001, 10_000)).save(photo)
    return ["generate", photo]


@case("no picture")
def folder_without_pictures(folder: Path, photo: Path) -> Arguments:
    (folder / "empty").mkdir()
    return ["generate", folder / "empty"]


@case("not a readable video|truncated")
def video_that_is_none(folder: Path, photo: Path) -> Arguments:
    (folder / "video.mp4").write_bytes(b"no video" * 100)
    return ["reconstruct", folder / "video.mp4"]


@case("only input")
def video_beside_pictures(folder: Path, photo: Path) -> Arguments:
    (folder / "frames").mkdir()
    write_photo(folder / "frames" / "1.png", seed=1)
    return ["generate", photo, folder / "frames"]


@case("NaN or infinity")
def nan_cameras(folder: Path, photo: Path) -> Arguments:
    return [
        "generate",
        photo,
        "--cameras",
        edited_cameras(folder, lambda r: r["extrinsics"][1][0].__setitem__(3, float("nan"))),
    ]


@case("rotation")
def cameras_that_do_not_rotate(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--cameras", edited_cameras(folder, lambda r: r["extrinsics"][1][0].__setitem__(0, 2.0))]


@case("not valid JSON")
def cameras_that_are_no_json(folder: Path, photo: Path) -> Arguments:
    (folder / "cameras.json").write_text("{extrinsics")
    return ["generate", photo, "--cameras", folder / "cameras.json"]


@case("horizontal one of frame 2 is 180; focal lengths are in pixels")
def cameras_without_focal_length(folder: Path, photo: Path) -> Arguments:
    path = edited_cameras(folder, lambda r: r["intrinsics"][2][0].__setitem__(0, 1e-9))
    return ["generate", photo, "--cameras", path]


@case("--camera-scale expects --cameras FILE.*got --cameras orbit_right")
def camera_scale_without_a_file(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--cameras", "orbit_right", "--camera-scale", 2.0]


@case("3 cameras for 5 frames.*--frames 1")
def too_few_cameras(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--cameras", cameras_file(folder, frames=3)]


@case("neither a file nor a trajectory.*orbit_right")
def unknown_trajectory(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--cameras", "loop_the_loop"]


@case("3 views")
def number_of_views(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, photo, photo]


@case("one frame index per view: 1, got 2")
def number_of_indices(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--at", 0, 1]


@case("one frame index per view: 2, got 3")
def number_of_indices_for_a_folder(folder: Path, photo: Path) -> Arguments:
    (folder / "frames").mkdir()
    for index in range(2):
        write_photo(folder / "frames" / f"{index}.png", seed=index)
    return ["generate", folder / "frames", "--at", 0, 2, 4]


@case("within 0..4")
def index_beyond_the_clip(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--at", FRAMES]


@case("distinct")
def index_twice(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, photo, "--at", 2, 2]


@case("4k\\+1.*use 5 or 9")
def frames_off_the_grid(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--frames", 7]


@case("multiple of 112.*use 112 or 224")
def size_off_the_grid(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--size", "112x120"]


@case("HEIGHTxWIDTH")
def size_that_is_none(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--size", "big"]


@case("--seed expects a whole number from 0 to 9223372036854775807, got 99999999999999999999")
def seed_beyond_the_generator(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--seed", 99999999999999999999]


@case("--seed expects a whole number from 0 to 9223372036854775804, got 9223372036854775807")
def seeds_of_clips_beyond_the_generator(folder: Path, photo: Path) -> Arguments:
    return ["synth", "--seed", 2**63 - 1, "--count", 4, "--out", folder / "clips"]


@case("--seed expects a whole number")
def seed_of_training_beyond_the_generator(folder: Path, photo: Path) -> Arguments:
    return ["train", "vae", "--preset", "tiny", "--seed", 2**63, "--out", folder / "run"]


@case("--seed-start expects a whole number")
def seeds_of_measuring_beyond_the_generator(folder: Path, photo: Path) -> Arguments:
    return ["eval", "synthetic", "--seed-start", 2**63, "--out", folder / "results.json"]


@case("denoising step")
def no_steps(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--steps", 0]


@case("VIEW or a --prompt")
def nothing_to_go_by(folder: Path, photo: Path) -> Arguments:
    return ["generate"]


@case("model name.*nobody")
def unknown_model(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--model", "nobody"]


@case("--device expects one of auto, cpu")
def unknown_device(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--device", "abacus"]


@case("is a file")
def output_is_a_file(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--out", photo]


@case("not empty")
def output_not_empty(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--out", folder]


@case("cannot be made: .*photo.png is a file")
def output_below_a_file(folder: Path, photo: Path) -> Arguments:
    return ["generate", photo, "--out", photo / "scene"]


@case("no scene|there is none")
def export_of_nothing(folder: Path, photo: Path) -> Arguments:
    return ["export", folder / "nowhere", "--format", "ply"]


@case("unknown export format 'fbx'.*, ply, glb,")
def unknown_format(folder: Path, photo: Path) -> Arguments:
    return ["export", folder, "--format", "fbx"]


@case("held-out seeds start at 900000000")
def seeds_of_training(folder: Path, photo: Path) -> Arguments:
    return ["eval", "synthetic", "--seed-start", 5, "--out", folder / "results.json"]


@case("from train into validation|two splits|cross a split")
def seeds_of_two_splits(folder: Path, photo: Path) -> Arguments:
    return ["synth", "--seed", 799_999_999, "--count", 2, "--out", folder / "clips"]


@case("HEIGHTxWIDTH")
def clips_of_no_size(folder: Path, photo: Path) -> Arguments:
    return ["synth", "--size", "0x0", "--out", folder / "clips"]


@case("builds on .*--networks")
def stage_without_the_earlier_ones(folder: Path, photo: Path) -> Arguments:
    return ["train", "adapter", "--preset", "tiny", "--clips", 1, "--out", folder / "run"]


@case("is a file")
def run_folder_is_a_file(folder: Path, photo: Path) -> Arguments:
    return ["train", "vae", "--preset", "tiny", "--out", photo]


@case("results file")
def table_of_nothing(folder: Path, photo: Path) -> Arguments:
    return ["eval", "table", folder / "results.json"]


def listing(folder: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("name", CASES)
def test_mistakes_are_told_in_one_line_and_nothing_is_written(
    tmp_path: Path, gen3r: Runner, model: Path, photo: Path, name: str
) -> None:
    build, message = CASES[name]
    arguments = build(tmp_path, photo)
    if arguments[0] in ("generate", "reconstruct"):
        defaults = {"--model": model, "--device": "cpu", "--out": tmp_path / "out"}
        arguments += [word for option, value in defaults.items() if option not in arguments for word in (option, value)]
    before = listing(tmp_path)
    outcome = gen3r(*arguments)
    assert outcome.code == 2, outcome
    assert outcome.stderr.startswith("gen3r: error: ")
    assert outcome.stderr.count("\n") == 1
    assert re.search(message, outcome.stderr), outcome.stderr
    assert listing(tmp_path) == before


def test_the_process_exits_with_two_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gen3r.cli", "generate", "absent.png", "--out", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("gen3r: error: ")
    assert result.stderr.count("\n") == 1


def test_defects_keep_their_traceback() -> None:
    def library_refuses() -> None:
        json.loads("{")

    def programmer_slips() -> None:
        raise KeyError("name")

    for defect, kind in ((library_refuses, ValueError), (programmer_slips, KeyError)):
        with pytest.raises(kind):
            report_user_errors(defect)


def called_by_the_package(code: str) -> Callable[[], None]:
    """A function that runs ``code`` as a module of gen3r would."""
    compiled = compile(code, "module.py", "exec")
    return lambda: exec(compiled, {"__name__": "gen3r.module"})


@pytest.mark.parametrize(
    "code", ["int('nine')", "import json; json.loads('{')", "try: int('x')\nexcept ValueError: raise"]
)
def test_errors_of_functions_the_package_calls_are_defects(code: str) -> None:
    with pytest.raises(ValueError, match=r"nine|property name|'x'"):
        report_user_errors(called_by_the_package(code))


@pytest.mark.parametrize(
    "code",
    [
        "raise ValueError('use nine')",
        "try: int('x')\nexcept ValueError as error: raise ValueError('use nine') from error",
    ],
)
def test_errors_the_package_raises_are_told(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report_user_errors(called_by_the_package(code)) == 2
    assert capsys.readouterr().err == "gen3r: error: use nine\n"


def test_what_the_system_forbids_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        raise PermissionError(13, "Permission denied", "scene/notes.txt")

    assert report_user_errors(write) == 2
    assert capsys.readouterr().err.startswith("gen3r: error: no permission for scene/notes.txt; ")


def test_a_full_device_is_told_with_what_takes_less(capsys: pytest.CaptureFixture[str]) -> None:
    def fill() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore on allocation: see ...")

    assert report_user_errors(fill) == 2
    told = capsys.readouterr().err
    assert told.startswith("gen3r: error: out of device memory: CUDA out of memory. Tried to allocate 2.00 GiB. Name ")
    assert all(option in told for option in ("--vram", "--frames", "--size"))
    assert told.count("\n") == 1


def test_other_runtime_errors_keep_their_traceback() -> None:
    def fail() -> None:
        raise RuntimeError("out of memory, says somebody else")

    with pytest.raises(RuntimeError, match="somebody else"):
        report_user_errors(fail)
