"""Conversion of one model to the precisions asked for: each passes through the doctor.

The one way in which runs that measure and runs that only convert come by their files.
"""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import onnx
from msgspec.structs import replace

from edgelab.conversion import REPORT_VERSION, ConversionReport, Trial
from edgelab.environment import processor
from edgelab.home import Home
from edgelab.problem import Problem
from edgelab.records import Converted
from edgelab.settings.common import Precision
from edgelab.settings.convert import Activations, Calibration
from runners.conversion_kinds import kind_of
from runners.converted import Conversion, ConvertedModels, Recipe
from runners.datasets.dataset import Dataset, Sample, evenly
from runners.datasets.source import Source
from runners.images import read_regular_file
from runners.memory import is_out_of_memory
from runners.model_file import load_graph
from runners.model_folder import CarriedFiles, Convertible
from runners.quantisation_doctor import Examination, compare_latency
from runners.quantise import Integers, signed, to_half, to_integer
from runners.session import RUNTIME
from runners.step import RunningStep, now

CHECKED_IMAGES = 20
CHECKED_SHARE = 5
"""Of a small pool every fifth image is held out."""

CHECKED_ON_EVALUATED = (
    "checked on images that a run evaluates, for the source finds nothing on the others"
)

TRIAL_LIMIT_BYTES = 100_000_000
"""Of larger models no second INT8 file is made for a trial."""


@dataclass(frozen=True)
class Pool:
    """Images to calibrate on, and others to check the outcome on.

    `spare`: to check on where the source finds nothing on those; they calibrate nothing either.
    """

    calibrate: tuple[Path, ...]
    check: tuple[Path, ...]
    remark: str | None = None
    spare: tuple[Path, ...] = ()

    @classmethod
    def of(
        cls,
        images: Sequence[Path],
        calibrate: int,
        remark: str | None = None,
        most: int = CHECKED_IMAGES,
    ) -> Pool:
        """Hold out up to `most`: what is over, but never more than a fifth of the images."""
        images = list(dict.fromkeys(images))
        held = min(most, len(images) // CHECKED_SHARE or len(images) // 2)
        check = evenly(images, held)
        others = [image for image in images if image not in set(check)]
        return cls(tuple(evenly(others, calibrate)), tuple(check), remark)


def pool_beside(source: Source, evaluated: Dataset, calibrate: int) -> Pool:
    """Images of the data of a run that it does not evaluate, as far as there are such."""
    samples, remark = source.calibration(evaluated, calibrate + CHECKED_IMAGES)
    pool = Pool.of(_paths(samples), calibrate, remark)
    spare = [path for path in _paths(evaluated.samples) if path not in set(pool.calibrate)]
    return dataclasses.replace(pool, spare=tuple(evenly(spare, CHECKED_IMAGES)))


def pool_of(dataset: Dataset, calibrate: int) -> Pool:
    """Images of this split, whatever else it is for."""
    paths = _paths(dataset.samples)
    return Pool.of(evenly(paths, calibrate + CHECKED_IMAGES), calibrate)


def _paths(samples: Iterable[Sample]) -> list[Path]:
    return [sample.path for sample in samples if sample.path is not None]


@dataclass(frozen=True)
class Wishes:
    """How to quantise."""

    calibration: Calibration = Calibration.MINMAX
    activations: Activations = Activations.AUTO
    threads: int = 1


class Refused(Problem):
    """The quantisation doctor refuses a conversion; `report` says why."""

    def __init__(self, report: ConversionReport) -> None:
        super().__init__(f"{report.precision} refused by the quantisation doctor: {report.refusal}")
        self.report = report


class Converter:
    """Makes the model file of each precision; one that fails leaves the others alone.

    `open_pool` is called once, when images are first needed. `carried`: files that are there
    already.
    """

    def __init__(
        self,
        step: RunningStep,
        home: Home,
        model: Convertible,
        wishes: Wishes,
        open_pool: Callable[[], Pool],
        carried: CarriedFiles | None = None,
    ) -> None:
        self.step = step
        self.cache = ConvertedModels(home.converted)
        self.model = model
        self.kind = kind_of(model)
        self.wishes = wishes
        self._open_pool = open_pool
        self._carried = carried

    def convert_all(
        self, precisions: Iterable[Precision]
    ) -> tuple[dict[Precision, Conversion], dict[Precision, str]]:
        """The models, and why others could not be made. Raises Problem where none is usable."""
        models: dict[Precision, Conversion] = {}
        problems: dict[Precision, str] = {}
        for precision in precisions:
            try:
                models[precision] = self.convert(precision)
            except Problem as problem:
                problems[precision] = str(problem)
            except Exception as error:
                if isinstance(error, OSError) or is_out_of_memory(error):
                    raise
                traceback.print_exception(error)
                problems[precision] = _conversion_problem(precision, error)
        if not models:
            raise Problem(next(iter(problems.values())))
        return models, problems

    def convert(self, precision: Precision) -> Conversion:
        """The file of that precision; raises Problem where it cannot be made, Refused where it is
        no good."""
        model = self.model
        self.step.phase(f"{precision} model", unit="")
        if precision is model.held:
            return Conversion(model.path.absolute(), model.sha256, model.size_bytes)
        if model.held is not Precision.FP32:
            raise Problem(
                f"{model.path}: the file holds {model.held} weights: {precision} can only be made "
                "from an fp32 file"
            )
        made = (self._carried and self._carried.find(precision)) or self._make(precision)
        if (report := made.report) is not None:
            refused = report.refusal is not None
            self.step.event(Converted(now(), report, "" if refused else str(made.path)))
            if refused:
                raise Refused(report)
        return made

    def _make(self, precision: Precision) -> Conversion:
        return self._half() if precision is Precision.FP16 else self._integer()

    def _half(self) -> Conversion:
        recipe = Recipe(self.model.sha256, Precision.FP16, self.model.input_size)

        def make(path: Path) -> ConversionReport:
            onnx.save(to_half(self._graph()), path)
            return self._report(path, Precision.FP16)

        return self.cache.get(recipe, make)

    def _integer(self) -> Conversion:
        wishes, pool = self.wishes, self._pool
        if pool.remark is not None:
            self.step.warning(pool.remark)
        automatic = wishes.activations is Activations.AUTO
        recipe = Recipe(
            self.model.sha256,
            Precision.INT8,
            self.model.input_size,
            calibration_sha256=_content_hash(pool.calibrate),
            calibration_images=len(pool.calibrate),
            calibration=wishes.calibration,
            activations=wishes.activations,
            machine=processor() if automatic else "",
        )
        return self.cache.get(recipe, self._make_automatic if automatic else self._make_integer)

    def _make_automatic(self, path: Path) -> ConversionReport:
        """The faster activations; the others where the doctor refuses them."""
        made = self._quantised()
        variants = {Activations.U8: made.model}
        trials: tuple[Trial, ...] = ()
        if self.model.size_bytes <= TRIAL_LIMIT_BYTES:
            variants[Activations.S8] = signed(made.model)
            trials = self._trials(variants)
        order = [trial.activations for trial in trials] or [*variants]

        def report(activations: Activations) -> ConversionReport:
            return self._integer_report(
                path, variants[activations], made.kept_float, activations, trials
            )

        first = report(order[0])
        if first.refusal is None or len(order) == 1:
            return first
        other = report(order[1])
        if other.refusal is not None and first.executed.integer:
            return replace(
                first, remarks=(*first.remarks, f"{order[1]} activations: {other.refusal}")
            )
        remark = f"{order[0]} activations are faster here, but refused: {first.refusal}"
        return replace(other, remarks=(*other.remarks, remark))

    def _make_integer(self, path: Path) -> ConversionReport:
        made, activations = self._quantised(), self.wishes.activations
        model = signed(made.model) if activations is Activations.S8 else made.model
        return self._integer_report(path, model, made.kept_float, activations, ())

    def _quantised(self) -> Integers:
        """With unsigned activations, of which signed ones can be made."""
        pool = self._pool
        self.step.phase("int8 model: calibrate", len(pool.calibrate))
        return to_integer(
            self._graph(),
            self.model.input_size,
            pool.calibrate,
            self.step.progress,
            method=self.wishes.calibration,
            on_quantise=partial(self.step.phase, "int8 model: quantise", unit=""),
        )

    def _trials(self, variants: Mapping[Activations, Any]) -> tuple[Trial, ...]:
        """Both timed in turns, the faster first."""
        self.step.phase("int8 model: time u8 and s8 activations", unit="")
        with tempfile.TemporaryDirectory(prefix="edgelab-trial-") as folder:
            opened = []
            for activations, model in variants.items():
                path = Path(folder) / f"{activations}.onnx"
                onnx.save(model, path)
                opened.append(self.kind.open(path, self.wishes.threads))
            times = compare_latency(*opened)
        taken = (times.source_ms, times.outcome_ms)
        return tuple(
            Trial(activations, ms) for ms, activations in sorted(zip(taken, variants, strict=True))
        )

    def _integer_report(
        self,
        path: Path,
        model: Any,
        kept_float: int,
        activations: Activations,
        trials: tuple[Trial, ...],
    ) -> ConversionReport:
        onnx.save(model, path)
        return self._report(
            path,
            Precision.INT8,
            calibrated=len(self._pool.calibrate),
            method=self.wishes.calibration,
            activations=activations,
            kept_float=kept_float,
            trials=trials,
        )

    def _report(self, path: Path, precision: Precision, **more: Any) -> ConversionReport:
        model, data = self.model, path.read_bytes()
        found = self._examined(path, precision, self._pool.check)
        remarks = found.remarks()
        if not found.telling and self._pool.spare:
            found = self._examined(path, precision, self._pool.spare)
            remarks = (*found.remarks(), CHECKED_ON_EVALUATED)
        return ConversionReport(
            version=REPORT_VERSION,
            model=model.name,
            precision=precision,
            source_sha256=model.sha256,
            source_bytes=model.size_bytes,
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            input_size=model.input_size,
            runtime=RUNTIME,
            cpu=processor(),
            threads=self.wishes.threads,
            executed=found.executed,
            refusal=found.refusal(precision),
            latency=found.latency,
            nodes=found.nodes,
            checked=found.checked,
            remarks=remarks,
            **found.findings(),
            **more,
        )

    def _examined(self, path: Path, precision: Precision, images: Sequence[Path]) -> Examination:
        self.step.phase(f"{precision} model: check", len(images))
        return self.kind.examine(path, images, self.wishes.threads, self.step.progress)

    @cached_property
    def _pool(self) -> Pool:
        return self._open_pool()

    def _graph(self) -> object:
        return load_graph(self.model.path.read_bytes(), self.model.path)


def _conversion_problem(precision: Precision, error: Exception) -> str:
    reason = " ".join(str(error).split())
    return f"{precision} could not be made: {type(error).__name__}: {reason}"


def _content_hash(paths: Sequence[Path]) -> str:
    """SHA-256 over the files' contents, in order; one that cannot be read counts by its name."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(hashlib.sha256(read_regular_file(path)).digest())
        except OSError:
            digest.update(str(path).encode(errors="surrogateescape"))
    return digest.hexdigest()
