"""Where the file of a model lies: beside its profile, or as weights in the lab's own folder."""

from __future__ import annotations

from pathlib import Path

from edgelab.catalogue import DetectorProfile, Entry, ModelProfile
from edgelab.home import Home

NOT_HERE = "weights not here yet"


def model_file(entry: Entry[ModelProfile], home: Home) -> Path | None:
    """The file that a run begins with; None where weights are still to be fetched.

    An .onnx of the model's name comes before the weights that it can be exported from: it needs no
    torch. Raises Problem where the profile is broken.
    """
    profile = entry.require()
    if not isinstance(profile, DetectorProfile) or profile.weights is None:
        return entry.path.parent / (profile.file or "")
    places = [home.models / f"{entry.name}.onnx", home.models / profile.weights.file]
    return next((place for place in places if place.is_file()), None)
