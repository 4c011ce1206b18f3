"""``gen3r models`` on a hub on loopback."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.running import Runner
from gen3r.hub.cache import repository_folder
from gen3r.hub.entries import MODELS
from gen3r.scene.scene import Scene
from hub.hub_server import HubServer, point_to, use_cache
from hub.standin import FRAMES, SIDE, build_standin, build_standin_vggt

GEN3R, VGGT, OTHER = "JaceyH919/Gen3R", "facebook/VGGT-1B", "somebody/small-gen3r"


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The official repository without its vggt folder, VGGT, and a whole one of somebody's, all at small size."""
    root = tmp_path_factory.mktemp("repositories")
    return {
        GEN3R: build_standin(root / "gen3r", vggt=False),
        VGGT: build_standin_vggt(root / "vggt", track_head=True),
        OTHER: build_standin(root / "other"),
    }


@pytest.fixture
def hub(repositories: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    use_cache(tmp_path / "hub", monkeypatch)
    with HubServer(dict(repositories)) as server:
        server.commits[VGGT] = str(MODELS["vggt-1b"].revision)
        point_to(server.endpoint, monkeypatch)
        yield server


def states(gen3r: Runner) -> dict[str, str]:
    """What ``models list --json`` says of each model."""
    outcome = gen3r("models", "list", "--json")
    assert outcome.code == 0
    return {model["name"]: model["state"] for model in json.loads(outcome.stdout)}


def test_before_any_download_nothing_but_tiny_is_here(gen3r: Runner, hub: HubServer) -> None:
    expected = dict.fromkeys(MODELS, "not here") | {"tiny": "shipped", "small": "not released"}
    assert states(gen3r) == expected
    table = gen3r("models", "list").stdout.splitlines()
    assert [line.split()[0] for line in table[1:]] == list(MODELS)
    assert hub.requests == []


def test_the_life_of_a_model(gen3r: Runner, hub: HubServer) -> None:
    fetched = gen3r("models", "download", "gen3r")
    assert (fetched.code, fetched.stdout.splitlines()[0][:20]) == (0, "gen3r is complete in")
    said = fetched.stderr.splitlines()
    assert [line for line in said if line.startswith("Fetching ")] == [
        f"Fetching {GEN3R} at commit {hub.commit(GEN3R)}",
        f"Fetching {VGGT} at commit {hub.commit(VGGT)}",
    ]
    assert sum(line.startswith("  licence ") for line in said) == sum(line.startswith("  disk ") for line in said) == 2
    assert states(gen3r) | {"gen3r": "complete", "vggt-1b": "complete"} == states(gen3r)

    requests = len(hub.requests)
    again = gen3r("models", "download", GEN3R)
    assert (again.code, again.stderr) == (0, "")
    assert len(hub.requests) == requests

    shown = json.loads(gen3r("models", "show", "gen3r", "--json").stdout)
    assert (shown["commit"], shown["state"]) == (hub.commit(GEN3R), "complete")
    size = sum(path.stat().st_size for path in hub.repositories[GEN3R].rglob("*") if path.is_file())
    assert size <= shown["bytes_on_disk"] <= size + 20_000

    removed = gen3r("models", "remove", "gen3r")
    assert (removed.code, removed.stdout.splitlines()[0]) == (
        0,
        f"Removed gen3r: {shown['bytes_on_disk'] / 1e6:.0f} MB freed",
    )
    assert "vggt-1b stays" in removed.stdout
    assert states(gen3r) | {"gen3r": "not here", "vggt-1b": "complete"} == states(gen3r)
    assert not Path(shown["folder"]).exists()


def test_without_its_companion_a_model_is_not_complete(gen3r: Runner, hub: HubServer) -> None:
    assert gen3r("models", "download", "gen3r").code == 0
    assert gen3r("models", "remove", "vggt-1b").code == 0
    assert states(gen3r)["gen3r"] == "incomplete"
    assert "incomplete, needs vggt-1b" in gen3r("models", "list").stdout
    assert gen3r("models", "download", "gen3r").code == 0
    assert states(gen3r)["gen3r"] == "complete"


def test_the_start_of_training_tells_how_it_is_used(gen3r: Runner, hub: HubServer) -> None:
    outcome = gen3r("models", "show", "wan2.1-fun-1.3b-camera")
    assert outcome.code == 0
    (line,) = (line for line in outcome.stdout.splitlines() if line.startswith("use "))
    assert 'gen3r.hub.base.open_base_model(folder)["transformer"].load()' in line
    assert "docs/models.md" in line


def test_what_a_killed_download_left_can_be_removed(gen3r: Runner, hub: HubServer) -> None:
    folder = repository_folder(GEN3R)
    for part in ("blobs", "refs"):
        (folder / part).mkdir(parents=True)
    (folder / "blobs" / f"{'0' * 64}.1234abcd.incomplete").write_bytes(bytes(2_000_000))
    assert states(gen3r)["gen3r"] == "incomplete"
    removed = gen3r("models", "remove", "gen3r")
    assert (removed.code, removed.stdout) == (0, "Removed gen3r: 2 MB freed\n")
    assert not folder.exists()
    assert states(gen3r)["gen3r"] == "not here"
    assert gen3r("models", "download", "gen3r").code == 0


def test_damage_is_named_deleted_and_mended(gen3r: Runner, hub: HubServer) -> None:
    assert gen3r("models", "download", OTHER).code == 0
    good = gen3r("models", "verify", OTHER)
    assert (good.code, good.stderr) == (0, "")
    assert good.stdout.splitlines()[-1].endswith(f"files of {OTHER} are good.")

    folder = Path(json.loads(gen3r("models", "show", OTHER, "--json").stdout)["folder"])
    damaged = folder / "vggt/model.safetensors"
    damaged.resolve().write_bytes(damaged.read_bytes()[:-1] + b"?")
    outcome = gen3r("models", "verify", OTHER, "--json")
    assert outcome.code == 2
    wrong = [report for report in json.loads(outcome.stdout) if report["problem"] is not None]
    assert [report["file"] for report in wrong] == ["vggt/model.safetensors"]
    assert f"gen3r models download {OTHER} fetches them again" in outcome.stderr
    assert not damaged.exists()
    assert states(gen3r)[OTHER] == "incomplete"

    before = hub.downloads("*")
    assert gen3r("models", "download", OTHER).code == 0
    assert hub.downloads("*") == before + 1
    assert gen3r("models", "verify", OTHER).code == 0


def test_verify_tells_networks_that_are_not_the_official_ones(gen3r: Runner, hub: HubServer) -> None:
    assert gen3r("models", "download", "vggt-1b").code == 0
    outcome = gen3r("models", "verify", "vggt-1b")
    assert outcome.code == 2
    assert "expected 1403 tensors of 1190596120 numbers in all, got" in outcome.stdout


def test_verify_reads_any_folder(gen3r: Runner, hub: HubServer, tmp_path: Path) -> None:
    folder = shutil.copytree(hub.repositories[OTHER], tmp_path / "mine")
    assert gen3r("models", "verify", folder).code == gen3r("models", "verify", "tiny").code == 0
    (folder / "wan_vae/diffusion_pytorch_model.safetensors").write_bytes(b"short")
    outcome = gen3r("models", "verify", folder)
    assert outcome.code == 2
    assert "got 5 bytes that end inside its header" in outcome.stdout


def test_a_revision_can_be_asked_for(gen3r: Runner, hub: HubServer) -> None:
    commit = hub.commit(OTHER)
    assert gen3r("models", "download", OTHER, "--revision", commit).code == 0
    shown = json.loads(gen3r("models", "show", OTHER, "--json").stdout)
    assert (shown["commit"], shown["state"]) == (commit, "complete")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nobody"), "expected a model name .* got 'nobody'"),
        (("download", "small"), "not published yet"),
        (("download", "tiny", "--revision", "v9"), "the folder .*, which has no revisions"),
        (("download", "nobody/nothing"), "there is no repository nobody/nothing"),
        (("download", OTHER, "--revision", "v9"), "has no revision v9"),
        (("verify", "gen3r"), "gen3r is not here"),
        (("verify", "small"), "small is not here"),
        (("remove", "gen3r"), "gen3r is not here"),
        (("remove", "tiny"), "travels inside the package"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_one_line(gen3r: Runner, hub: HubServer, arguments: tuple[str, ...], said: str) -> None:
    outcome = gen3r("models", *arguments)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.startswith("gen3r: error: ")
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(outcome.stderr)


@pytest.mark.slow
def test_a_scene_is_generated_by_name(gen3r: Runner, hub: HubServer, photo: Path, tmp_path: Path) -> None:
    options = ("--model", "gen3r", "--frames", FRAMES, "--size", f"{SIDE}x{SIDE}", "--steps", 1)
    outcome = gen3r("generate", photo, *options, "--out", tmp_path / "scene")
    assert outcome.code == 0, outcome.stderr
    assert f"Fetching {GEN3R} at commit" in outcome.stderr
    assert Scene.load(tmp_path / "scene").frames == FRAMES


def test_doctor_lists_what_was_downloaded(gen3r: Runner, hub: HubServer) -> None:
    assert gen3r("models", "download", "gen3r").code == 0
    lines = gen3r("doctor").stdout.splitlines()
    assert any(line.startswith("  gen3r ") and "snapshots" in line for line in lines)
