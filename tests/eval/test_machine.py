"""A model is known by what it computes with."""

from pathlib import Path

from gen3r.eval.machine import folder_hash


def test_a_model_keeps_its_hash_when_its_card_is_written_and_loses_it_when_weights_change(tmp_path: Path) -> None:
    (tmp_path / "vae").mkdir()
    weights = tmp_path / "vae" / "model.safetensors"
    weights.write_bytes(b"1")
    before = folder_hash(tmp_path)
    (tmp_path / "README.md").write_text("a card")
    (tmp_path / "curves.png").write_bytes(b"a picture")
    assert folder_hash(tmp_path) == before
    weights.write_bytes(b"2")
    assert folder_hash(tmp_path) != before


def test_a_file_of_another_name_is_another_model(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.json").write_text("{}")
    assert folder_hash(tmp_path / "one") != folder_hash(tmp_path / "two")
