import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest

from gen3r.hub.entries import MODELS, ModelEntry
from gen3r.hub.fetch_errors import ModelFetchError
from gen3r.hub.layout import ModelFolder
from gen3r.hub.registry import find_entry, present_models, resolve_model, source_of
from hub.conftest import Serve

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"
FETCHED = [entry for entry in MODELS.values() if entry.repository is not None]


@pytest.mark.parametrize("entry", MODELS.values(), ids=lambda entry: entry.name)
def test_every_model_has_terms_and_a_source_or_says_why_not(entry: ModelEntry) -> None:
    assert entry.licence
    assert entry.summary
    places = [entry.name in present_models(), entry.repository is not None, entry.unreleased is not None]
    assert sum(places) == 1
    assert entry.revision is None or re.fullmatch("[0-9a-f]{40}", entry.revision)


@pytest.mark.parametrize("entry", MODELS.values(), ids=lambda entry: entry.name)
def test_every_model_is_in_the_document(entry: ModelEntry) -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{entry.name}` ")]
    assert len(rows) == 1
    assert entry.repository is None or f"`{entry.repository}`" in rows[0]
    assert entry.revision is None or entry.revision in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("entry", FETCHED, ids=lambda entry: entry.name)
def test_every_model_of_the_hub_states_files_sizes_and_companions(entry: ModelEntry) -> None:
    source = source_of(entry.name)
    assert source == source_of(str(entry.repository).upper())
    assert set(source.required) <= set(source.wanted)
    for part in entry.parts.values():
        assert part.approximate_bytes > 0
        assert part.companion is None or find_entry(part.companion) in FETCHED
        if part.manifest is not None:  # between eight bits and float32
            assert 1 <= part.approximate_bytes / part.manifest.parameters <= 4.3


@pytest.mark.parametrize("entry", FETCHED, ids=lambda entry: entry.name)
@pytest.mark.parametrize(
    "name", ["model.pt", "transformer/model.bin", "modeling.py", "tokenizer/load.py", "vggt/model.pt"]
)
def test_nothing_that_runs_is_fetched(entry: ModelEntry, name: str) -> None:
    assert not any(fnmatch(name, pattern) for pattern in source_of(entry.name).wanted)
    assert not any(fnmatch(name, pattern) for pattern in source_of("some/body").wanted)


def test_sizes_of_the_official_checkpoint_agree_with_the_counts_of_its_networks() -> None:
    parts = MODELS["gen3r"].parts
    counts = {name: part.manifest.parameters for name, part in parts.items() if part.manifest is not None}
    assert len(counts) == 6
    assert all(parts[name].approximate_bytes == 2 * count for name, count in counts.items())


def test_what_is_shipped_is_found_by_name_and_by_folder() -> None:
    model = resolve_model("tiny")
    assert model == resolve_model(model.path) == resolve_model(model)
    assert (model.layout, dict(model.companions)) == ("gen3r", {})


def test_the_official_folder_is_found_by_its_path(standin: Path) -> None:
    assert resolve_model(standin) == resolve_model(str(standin)) == ModelFolder(path=standin, layout="official")


def test_a_folder_wins_over_a_repository(
    serve: Serve, standin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = serve({"some/model": standin})
    assert resolve_model("some/model").path.parent.name == "snapshots"
    monkeypatch.chdir(tmp_path)
    shutil.copytree(standin, tmp_path / "some/model")
    before = len(hub.requests)
    assert resolve_model("some/model").path == Path("some/model")
    assert len(hub.requests) == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("enormous", "expected a model name .*gen3r.*no such folder"),
        ("/nowhere/at/all", "no such folder"),
        ("small", "not published yet; train it with"),
        ("vggt-1b", "expected a model that generates scenes: tiny, small, gen3r"),
        ("alibaba-pai/Wan2.1-Fun-V1.1-1.3B-Control-Camera", "expected a model that generates scenes"),
    ],
)
def test_what_is_no_model_is_told_without_a_network(name: str, said: str, cache: Path) -> None:
    with pytest.raises(ValueError, match=said):
        resolve_model(name)


def test_folders_have_no_revisions(standin: Path) -> None:
    folder = ModelFolder(path=standin, layout="official")
    for name in ("tiny", standin, str(standin), folder):
        with pytest.raises(ValueError, match=r"revision 'v2', got the folder .*, which has no revisions"):
            resolve_model(name, revision="v2")


def test_folders_that_are_no_model_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pipeline\.json"):
        resolve_model(tmp_path)


def test_repositories_that_are_no_model_are_told(serve: Serve, standin: Path) -> None:
    serve({"some/tokenizer": standin / "tokenizer"})
    with pytest.raises(ValueError, match=r"pipeline\.json .*model_index\.json"):
        resolve_model("some/tokenizer")


def test_a_mistyped_folder_is_told_beside_the_repository(cache: Path) -> None:
    with pytest.raises(ModelFetchError, match="there is no folder no/folder, so it was taken for a repository: "):
        resolve_model("no/folder", local_files_only=True)
