"""Downloads through a hub on loopback: whatever goes wrong, a correct model or a clear error, and a good next run."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants, scan_cache_dir, snapshot_download

from gen3r.hub.cache import read_record, repository_folder, write_record
from gen3r.hub.entries import MODELS
from gen3r.hub.fetch import fetch
from gen3r.hub.fetch_errors import ModelFetchError
from gen3r.hub.registry import resolve_model, source_of
from gen3r.hub.source import DownloadPlan, Source
from gen3r.pipeline import Gen3RPipeline
from hub.conftest import Serve
from hub.hub_server import Faults, HubServer, point_to

REPOSITORY, VGGT = "JaceyH919/Gen3R", "facebook/VGGT-1B"
SHARD = "transformer/diffusion_pytorch_model-00002-of-00003.safetensors"
INDEX = "transformer/diffusion_pytorch_model.safetensors.index.json"
NO_PAUSES = (0.0, 0.0, 0.0)


@pytest.fixture
def source() -> Source:
    return source_of("gen3r")


def content(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def leftovers(cache: Path) -> list[Path]:
    """Files of transfers that were begun and not ended."""
    return list(cache.rglob("*.incomplete"))


def test_a_download_is_the_repository_and_later_ones_need_no_network(
    serve: Serve, standin: Path, source: Source, cache: Path
) -> None:
    hub = serve({REPOSITORY: standin})
    plans: list[DownloadPlan] = []
    folder = fetch(source, announce=plans.append)
    assert content(folder) == content(standin)
    assert leftovers(cache) == []
    assert plans[0].missing_bytes == sum(path.stat().st_size for path in standin.rglob("*") if path.is_file())
    before = len(hub.requests)
    assert fetch(source, announce=plans.append) == folder
    assert (len(hub.requests), len(plans)) == (before, 1)


def test_only_wanted_files_are_fetched(serve: Serve, standin: Path, tmp_path: Path) -> None:
    theirs = shutil.copytree(standin, tmp_path / "theirs")
    for name in ("train.py", "transformer/pytorch_model.bin", "README.md"):
        (theirs / name).write_text("no weights")
    serve({"somebody/Gen3R-like": theirs})
    assert content(fetch(source_of("somebody/Gen3R-like"))) == content(standin)


def test_the_first_commit_is_kept_until_another_is_asked_for(
    serve: Serve, standin: Path, source: Source, tmp_path: Path
) -> None:
    theirs = shutil.copytree(standin, tmp_path / "theirs")
    hub = serve({REPOSITORY: theirs})
    folder, first = fetch(source), hub.commit(REPOSITORY)
    (theirs / "scheduler/scheduler_config.json").write_text('{"shift": 3.0}')
    second = hub.commit(REPOSITORY)
    assert fetch(source) == folder
    newer = fetch(source, revision="main")
    assert (folder.name, newer.name) == (first, second)
    assert read_record(REPOSITORY).pinned == first
    for revision in (second, "main"):
        assert fetch(source, revision=revision, local_files_only=True) == newer
    assert fetch(source, local_files_only=True) == folder


@pytest.mark.parametrize("fault", ["drops", "resets", "errors"])
def test_dropped_connections_end_in_the_whole_file(
    serve: Serve, standin: Path, source: Source, cache: Path, fault: str
) -> None:
    hub = serve({REPOSITORY: standin})
    setattr(hub.faults, fault, {SHARD: 1, "vggt/config.json": 1})
    assert content(fetch(source, pauses=NO_PAUSES)) == content(standin)
    assert leftovers(cache) == []


def test_a_dropped_connection_goes_on_where_it_stopped(
    serve: Serve, standin: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = serve({REPOSITORY: standin})
    hub.faults.drops = {SHARD: 1}
    block = 1000
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", block)
    fetch(source)
    arrived = (standin / SHARD).stat().st_size // 2 // block * block
    ranges = [where for method, path, where in hub.requests if method == "GET" and path.endswith(SHARD)]
    assert ranges == ["", f"bytes={arrived}-"]


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (Faults(corrupt=(SHARD,)), f"arrived damaged.*{SHARD}.*expected the hash"),
        (Faults(corrupt=(INDEX,)), f"arrived damaged.*{INDEX}.*expected the hash"),
        (Faults(truncated=(SHARD,)), "fetching JaceyH919/Gen3R .* failed.*Consistency check"),
        (Faults(not_served=(SHARD,)), f"lists a file that .* does not have.*{SHARD}"),
        (Faults(resets={SHARD: 100}), "fetching JaceyH919/Gen3R .* failed"),
        (Faults(gated=(REPOSITORY,)), "is gated: accept its terms"),
        (Faults(locked=(REPOSITORY,)), "refuses access to JaceyH919/Gen3R: log in"),
        (Faults(astray=("transformer/../../../../stolen.json",)), "expected files inside .*stolen.json"),
        (Faults(without_sizes=True), "expected .* to state size and hash"),
    ],
    ids=lambda value: next(name for name, seen in vars(value).items() if seen) if isinstance(value, Faults) else "",
)
def test_faults_are_told_and_do_not_poison_the_next_run(
    serve: Serve, standin: Path, source: Source, cache: Path, faults: Faults, said: str
) -> None:
    hub = serve({REPOSITORY: standin})
    hub.faults = faults
    with pytest.raises(ModelFetchError, match=said):
        fetch(source, pauses=NO_PAUSES)
    with pytest.raises(ModelFetchError, match=r"not (complete )?in the cache"):
        fetch(source, local_files_only=True)
    assert leftovers(cache) == []
    hub.faults = Faults()
    assert content(fetch(source)) == content(standin)


def test_only_the_damaged_file_is_fetched_again(serve: Serve, standin: Path, source: Source) -> None:
    hub = serve({REPOSITORY: standin})
    hub.faults.corrupt = (SHARD,)
    with pytest.raises(ModelFetchError, match="deleted"):
        fetch(source)
    hub.faults, before = Faults(), hub.downloads("*.safetensors")
    fetch(source)
    again = hub.downloads("*.safetensors") - before
    assert again == hub.downloads(f"*{SHARD}") - 1 == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / SHARD).unlink(), f"incomplete: {INDEX} names {SHARD}"),
        (
            lambda folder: os.truncate(folder / SHARD, 5000),
            f"damaged as published: {SHARD} .*by its safetensors header",
        ),
        (lambda folder: (folder / INDEX).write_text("{}"), f"damaged as published: {INDEX} .*weight_map"),
        (lambda folder: shutil.rmtree(folder / "wan_vae"), "expected wan_vae/config.json, .*found none"),
    ],
    ids=["shard not there", "shard cut off", "no index", "folder not there"],
)
def test_a_repository_that_is_not_whole_is_refused_until_it_is(
    serve: Serve, standin: Path, source: Source, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    theirs = shutil.copytree(standin, tmp_path / "theirs")
    hub = serve({REPOSITORY: theirs})
    spoil(theirs)
    with pytest.raises(ModelFetchError, match=said):
        fetch(source)
    with pytest.raises(ModelFetchError, match=r"not (complete )?in the cache|damaged as published|names shards"):
        fetch(source, local_files_only=True)
    hub.repositories[REPOSITORY] = standin
    assert content(fetch(source)) == content(standin)


def test_missing_shards_are_noticed_before_any_weights_are_fetched(
    serve: Serve, standin: Path, source: Source, tmp_path: Path
) -> None:
    theirs = shutil.copytree(standin, tmp_path / "theirs")
    (theirs / SHARD).unlink()
    hub = serve({REPOSITORY: theirs})
    with pytest.raises(ModelFetchError, match="is incomplete"):
        fetch(source)
    assert hub.downloads("*.safetensors") == 0


@pytest.mark.parametrize("revision", ["nonsense", "0" * 40])
def test_unknown_revisions_are_told(serve: Serve, standin: Path, source: Source, revision: str) -> None:
    serve({REPOSITORY: standin})
    with pytest.raises(ModelFetchError, match=f"has no revision {revision}"):
        fetch(source, revision=revision)
    assert content(fetch(source)) == content(standin)


def test_unknown_repositories_are_told(serve: Serve, standin: Path) -> None:
    serve({REPOSITORY: standin})
    with pytest.raises(ModelFetchError, match="there is no repository nobody/nothing"):
        fetch(source_of("nobody/nothing"))


def test_nobody_at_the_address_is_told(
    cache: Path, source: Source, monkeypatch: pytest.MonkeyPatch, standin: Path
) -> None:
    with HubServer({}) as hub:
        endpoint = hub.endpoint
    point_to(endpoint, monkeypatch)
    with pytest.raises(ModelFetchError, match=f"from {endpoint} failed: check the network"):
        fetch(source, pauses=NO_PAUSES)


def test_without_a_hub_what_another_program_fetched_is_used(
    serve: Serve, standin: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve({REPOSITORY: standin})
    theirs = Path(snapshot_download(REPOSITORY))
    with HubServer({}) as other:
        nowhere = other.endpoint
    point_to(nowhere, monkeypatch)
    assert fetch(source, pauses=NO_PAUSES) == theirs
    with pytest.raises(ModelFetchError, match=f"{VGGT} from {nowhere} failed: check the network"):
        fetch(source_of("vggt-1b"), pauses=NO_PAUSES)


def test_slow_answers_are_waited_for(serve: Serve, standin: Path) -> None:
    serve({REPOSITORY: standin}).faults.seconds = 0.3
    folder = fetch(Source(repository=REPOSITORY, wanted=("scheduler/*",)))
    assert content(folder / "scheduler") == content(standin / "scheduler")


def test_answers_that_never_come_are_told(serve: Serve, standin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve({REPOSITORY: standin}).faults.seconds = 1.0
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    with pytest.raises(ModelFetchError, match="check the network"):
        fetch(Source(repository=REPOSITORY, wanted=("scheduler/*",)), pauses=())


def test_offline_uses_what_is_there_and_says_what_is_not(
    serve: Serve, standin: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = serve({REPOSITORY: standin})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelFetchError, match=r"is not in the cache .*gen3r models download"):
        fetch(source)
    assert hub.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    folder = fetch(source)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(source) == folder


def test_what_another_program_fetched_is_used_once_it_is_checked(
    serve: Serve, standin: Path, source: Source, cache: Path
) -> None:
    serve({REPOSITORY: standin})
    theirs = Path(snapshot_download(REPOSITORY))
    assert fetch(source, local_files_only=True) == theirs
    assert read_record(REPOSITORY).pinned == theirs.name
    repository_folder(REPOSITORY).joinpath("gen3r.json").unlink()
    spoilt = (theirs / SHARD).resolve()
    spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelFetchError, match=SHARD):
        fetch(source, local_files_only=True)
    assert content(fetch(source)) == content(standin)


def test_files_that_lost_their_size_are_fetched_again(serve: Serve, standin: Path, source: Source) -> None:
    serve({REPOSITORY: standin})
    folder = fetch(source)
    os.truncate((folder / SHARD).resolve(), 10)
    with pytest.raises(ModelFetchError, match=SHARD):
        fetch(source, local_files_only=True)
    (folder / INDEX).unlink()
    assert content(fetch(source)) == content(standin)


def test_a_record_that_cannot_be_read_is_written_anew(serve: Serve, standin: Path, source: Source) -> None:
    serve({REPOSITORY: standin})
    folder = fetch(source)
    record = read_record(REPOSITORY)
    (repository_folder(REPOSITORY) / "gen3r.json").write_text('{"format": 1, "snap')
    assert fetch(source) == folder
    assert read_record(REPOSITORY) == record
    write_record(REPOSITORY, record)
    assert read_record(REPOSITORY) == record


def test_a_download_that_cannot_fit_is_refused_before_it_begins(
    serve: Serve, standin: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = serve({REPOSITORY: standin})
    usage = shutil.disk_usage(standin)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=3_000_000))
    with pytest.raises(ModelFetchError, match=r"needs 17 MB more, but only 3 MB are free at .*hub; make room"):
        fetch(source)
    assert hub.downloads("*") == 0


def in_process(hub: HubServer, cache: Path, code: str, *, within: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start Python, ``within`` another command, with the settings a user would make."""
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1"}
    return subprocess.Popen(
        [*within, sys.executable, "-c", code],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


FETCH = "from gen3r.hub.registry import resolve_model\nprint(resolve_model('gen3r').path)"
SMALL_DISK = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
from gen3r.hub.fetch_errors import ModelFetchError
try:
    {FETCH.replace(chr(10), chr(10) + "    ")}
except ModelFetchError as error:
    print(error)
"""


def test_two_processes_at_once_end_with_one_model(serve: Serve, standin: Path, cache: Path) -> None:
    hub = serve({REPOSITORY: standin})
    hub.faults.seconds = 0.02
    both = [in_process(hub, cache, FETCH) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    folders = {Path(out.strip()) for out, _ in said}
    assert len(folders) == 1
    assert content(folders.pop()) == content(standin)
    assert leftovers(cache) == []
    files = sum(path.is_file() for path in standin.rglob("*"))
    assert hub.downloads("*") == files, "each file once"


def test_a_disk_that_fills_up_is_told_and_can_be_gone_on_with(serve: Serve, standin: Path, cache: Path) -> None:
    hub = serve({REPOSITORY: standin})
    process = in_process(hub, cache, SMALL_DISK)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "is full, or refuses more, while fetching JaceyH919/Gen3R: make room or set HF_HOME" in out
    assert leftovers(cache) == []
    process = in_process(hub, cache, FETCH)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert content(Path(out.strip())) == content(standin)


NEW_DISK = ("unshare", "--user", "--map-root-user", "--mount")
FULL_TMPFS = """
import os, subprocess, threading, time
from pathlib import Path
cache = Path(os.environ["HF_HUB_CACHE"])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=SIZE", "tmpfs", cache], check=True)
filler = cache / "filler"

def fill() -> None:
    while not any(cache.rglob("*.safetensors")):
        time.sleep(0.005)
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            pass

from gen3r.hub.fetch_errors import ModelFetchError
from gen3r.hub.registry import resolve_model
threading.Thread(target=fill, daemon=True).start()
try:
    resolve_model("gen3r")
except ModelFetchError as error:
    print(error)
assert not list(cache.rglob("*.incomplete"))
if filler.exists():
    filler.unlink()
    from gen3r.hub.inventory import verify_model
    resolve_model("gen3r")
    print({report.problem for report in verify_model("JaceyH919/Gen3R") if report.hashed})
"""


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("3m", ["JaceyH919/Gen3R needs 17 MB more, but only 3 MB are free at .*"]),
        ("18m", ["the disk of .* is full, or refuses more, .*", "{None}"]),
    ],
    ids=["too small", "filled by another"],
)
def test_a_small_disk_is_told(serve: Serve, standin: Path, cache: Path, size: str, said: list[str]) -> None:
    cache.mkdir()
    probe = subprocess.run([*NEW_DISK, "mount", "-t", "tmpfs", "tmpfs", cache], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"no disk of its own for a process here: {probe.stderr.decode().strip()}")
    hub = serve({REPOSITORY: standin})
    hub.faults.seconds = 0.1
    process = in_process(hub, cache, FULL_TMPFS.replace("SIZE", size), within=NEW_DISK)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert re.fullmatch("\n".join(said), out.strip()), out


def test_a_killed_download_is_gone_on_with(serve: Serve, standin: Path, cache: Path) -> None:
    hub = serve({REPOSITORY: standin})
    hub.faults.seconds = 0.05
    process = in_process(hub, cache, FETCH)
    weights = sum(1 for _ in standin.rglob("*.safetensors"))
    while hub.downloads("*.safetensors") < weights - 3:  # eight at a time, so some are whole and some are not
        assert process.poll() is None, process.communicate()
    process.kill()
    process.communicate(timeout=60)
    hub.faults.seconds = 0.0
    before = hub.downloads("*.safetensors")
    out, error = (second := in_process(hub, cache, FETCH)).communicate(timeout=60)
    assert second.returncode == 0, error
    assert content(Path(out.strip())) == content(standin)
    assert hub.downloads("*.safetensors") - before < weights


def test_the_cache_of_huggingface_hub_stays_in_order(serve: Serve, standin: Path, source: Source, cache: Path) -> None:
    serve({REPOSITORY: standin})
    fetch(source)
    scan = scan_cache_dir(cache)
    assert scan.warnings == []
    assert [repository.repo_id for repository in scan.repos] == [REPOSITORY]


def test_gen3r_loads_by_name_as_it_does_from_its_folder(serve: Serve, standin: Path) -> None:
    serve({REPOSITORY: standin})
    by_name, by_folder = Gen3RPipeline.from_pretrained(REPOSITORY), Gen3RPipeline.from_pretrained(standin)
    assert by_name.config == by_folder.config
    for here, there in zip(by_name.networks.modules(), by_folder.networks.modules(), strict=True):
        tensors = there.state_dict()
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in here.state_dict().items())


def test_a_missing_folder_comes_from_its_companion(
    serve: Serve, standin: Path, standin_vggt: Path, tmp_path: Path
) -> None:
    theirs = shutil.copytree(standin, tmp_path / "theirs", ignore=shutil.ignore_patterns("vggt"))
    hub = serve({REPOSITORY: theirs, VGGT: standin_vggt})
    hub.commits[VGGT] = str(MODELS["vggt-1b"].revision)
    model = resolve_model("gen3r")
    assert (model.layout, list(model.companions)) == ("official", ["vggt"])
    assert content(model.companions["vggt"]) == content(standin_vggt)
    assert resolve_model(model.path) == resolve_model("gen3r", local_files_only=True) == model
    pipeline, whole = Gen3RPipeline.from_pretrained(model), Gen3RPipeline.from_pretrained(standin)
    tensors = whole.geometry.vggt.state_dict()
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in pipeline.geometry.vggt.state_dict().items())


def test_a_companion_that_cannot_be_had_is_told(serve: Serve, standin: Path, tmp_path: Path) -> None:
    theirs = shutil.copytree(standin, tmp_path / "theirs", ignore=shutil.ignore_patterns("vggt"))
    serve({REPOSITORY: theirs})
    with pytest.raises(ModelFetchError, match=f"there is no repository {VGGT}"):
        resolve_model("gen3r")
