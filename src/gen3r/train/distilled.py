"""The student for few steps among finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gen3r.hub.few_steps import STUDENT, STUDENT_FILE, open_student
from gen3r.hub.files import read_json_object
from gen3r.hub.folder import config_from_dict
from gen3r.hub.layout import PIPELINE_FILE, RUN_EXPORT
from gen3r.hub.networks import Part
from gen3r.pipeline.few_steps import FewSteps
from gen3r.train.earlier import folder_of


def student_in(places: Sequence[str | Path], teacher: Part) -> tuple[FewSteps | None, Part | None]:
    """How the student of the first run or model folder that has one is sampled, and its weights; none if none has.

    Args:
        places: runs of the stage ``distill`` or their exports, and model folders.
        teacher: the transformer that low-rank updates are added to.

    Raises:
        ModelFolderError: for a student that is damaged, or of another transformer.
    """
    for folder in map(folder_of, places):
        for place in (folder, folder / RUN_EXPORT):
            if (place / STUDENT_FILE).is_file():
                path = place / STUDENT_FILE
                few = config_from_dict(FewSteps, read_json_object(path), str(path))
                return few, open_student(place / STUDENT, teacher)
        known = read_json_object(folder / PIPELINE_FILE) if (folder / PIPELINE_FILE).is_file() else {}
        if isinstance(known.get("few_steps"), dict):
            few = config_from_dict(FewSteps, known["few_steps"], str(folder / PIPELINE_FILE))
            return few, None if few.folder is None else open_student(folder / few.folder, teacher)
    return None, None
