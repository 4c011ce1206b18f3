from pathlib import Path

import pytest

from gen3r.whole_file import whole_file


def test_a_file_is_replaced_whole_or_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    for text in ("one", "two"):
        with whole_file(path) as temporary:
            temporary.write_text(text)
            assert path.exists() == (text == "two")
        assert path.read_text() == text
    with pytest.raises(UnicodeEncodeError), whole_file(path) as temporary:
        temporary.write_text("half ü", encoding="ascii")
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]
