"""The lines of a run's journals: typed, versioned, one writer a file.

| file | writer | lines |
|---|---|---|
| life.jsonl | supervisor | how the run lived and died |
| events.jsonl | runner | what it is doing, facts it found |
| items.jsonl | runner | one record an image or a training step |
| telemetry.jsonl | supervisor | one sample of the board a tick |

Every file begins with a `Header`. Every other record carries `t`: seconds of the system's
monotonic clock, which all processes of one boot share and which no wall-clock jump can move. The
clock of a run that is resumed goes on behind its newest record (`edgelab.resume`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edgelab.conversion import ConversionReport
from edgelab.executed import ExecutedPrecision
from edgelab.graph_cost import GraphCost
from edgelab.settings.common import Precision

JOURNAL_VERSION = 1

Count = Annotated[int, Meta(ge=0)]


class Record(msgspec.Struct, frozen=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """A line of a journal. Unknown fields are ignored, so that older readers read newer runs."""


def moved(record: Record, seconds: float) -> Record:
    """The record with its clock readings moved."""
    readings = {
        name: getattr(record, name) + seconds for name in ("t", "since") if hasattr(record, name)
    }
    return msgspec.structs.replace(record, **readings) if readings else record


class Header(Record, frozen=True):
    """The first line of each journal."""

    journal: str
    version: int


class Outcome(StrEnum):
    """How a run, or one step of it, ended; the first two before it has."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    OUT_OF_MEMORY = "out of memory"
    OUT_OF_MEMORY_LIKELY = "out of memory (likely)"
    KILLED = "killed"
    TIMED_OUT = "timed out"
    INTERRUPTED = "interrupted"
    NOT_RUN = "not run"  # a pass whose run ended before its turn

    @property
    def over(self) -> bool:
        """True once nothing more will happen."""
        return self not in (Outcome.QUEUED, Outcome.RUNNING)


class Warning(Record, frozen=True):  # noqa: A001 - the word that a person reads
    """Something that did not stop the run but that its reader must know."""

    t: float
    text: str


# life.jsonl ---------------------------------------------------------------------------------


class Started(Record, frozen=True):
    """The supervisor took the run from the queue. `wall` is Unix time, s."""

    t: float
    wall: float
    boot_id: str
    supervisor_pid: int
    environment: dict[str, str]


class Resumed(Record, frozen=True):
    """The run, over before its time, is to go on: it waits in the queue for its next attempt."""

    t: float
    wall: float


class Waiting(Record, frozen=True):
    """The supervisor waits before it goes on: `text` says what for, `limit_s` how long at most."""

    t: float
    text: str
    limit_s: float


class StepStarted(Record, frozen=True):
    """A runner process was started."""

    t: float
    step: str
    pid: int


class StepEnded(Record, frozen=True):
    """A runner process is gone; `reason` is one sentence for a person."""

    t: float
    step: str
    outcome: Outcome
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None


class Ended(Record, frozen=True):
    """The run is over; `duration_s` by the monotonic clock."""

    t: float
    wall: float
    outcome: Outcome
    reason: str = ""
    duration_s: float | None = None


Life = Header | Started | Resumed | Waiting | Warning | StepStarted | StepEnded | Ended


# events.jsonl -------------------------------------------------------------------------------


MEASURE = "measure"
"""The phase whose progress is its items."""

TRAIN = "train"
"""The phase whose progress is its training steps."""


class Phase(Record, frozen=True):
    """The runner begins something; `total` counts its units where it is known."""

    t: float
    step: str
    name: str
    total: int | None = None
    unit: str = "images"


class Progress(Record, frozen=True):
    """How far the phase has come. The measure phase has none: its items are its progress."""

    t: float
    step: str
    done: Count


class DatasetFacts(Record, frozen=True):
    """The data as found. `sha256` covers annotations, file names and file sizes.

    `questions`: how many are asked about the images, where an item is not an image.
    """

    t: float
    name: str
    split: str
    images: Count
    classes: tuple[str, ...]
    has_truth: bool
    sha256: str
    objects: Count | None = None
    questions: Count | None = None

    @property
    def items(self) -> int:
        """What is measured once in each repetition of a pass."""
        return self.images if self.questions is None else self.questions


class ModelFacts(Record, frozen=True):
    """The model file of one precision, as it is executed.

    `size_bytes`: of the file; where one checkpoint is loaded in any precision, of its weights then.

    `input_size`: height, width, px, where it is fixed; `iou`: of a detector's NMS.
    """

    t: float
    precision: Precision
    name: str
    sha256: str
    size_bytes: Count
    executed: ExecutedPrecision
    runtime: str
    input_size: tuple[int, int] | None = None
    classes: tuple[str, ...] = ()
    iou: float | None = None
    cost: GraphCost | None = None


class Converted(Record, frozen=True):
    """A model was converted; `path`: where it lies, empty where it was refused."""

    t: float
    report: ConversionReport
    path: str = ""


class Forecasted(Record, frozen=True):
    """What a pass is expected to take at its peak, by arithmetic, before its model is loaded.

    `libraries_bytes`: what the process had resident at that moment, its libraries imported.
    """

    t: float
    precision: Precision
    peak_bytes: Count
    libraries_bytes: Count


class PassStarted(Record, frozen=True):
    """The measured window of one precision opens: `images` x `repetitions` items will follow.

    Where questions are asked about images, these are the questions.
    """

    t: float
    precision: Precision
    images: Count
    repetitions: int
    load_s: float
    warmup: Count


class Asking(Record, frozen=True):
    """A question is put to the model; told of some of them, once a second at most.

    `path`: the image's file; `truth`: the true count, where there is one.
    """

    t: float
    index: Count
    image: str
    path: str
    question: str
    truth: Count | None = None


class Answering(Record, frozen=True):
    """The answer to the question that was last told of grew by `text`."""

    t: float
    text: str


class PassEnded(Record, frozen=True):
    """The measured window closes. Peak memory is the process's own (VmHWM), load included."""

    t: float
    precision: Precision
    elapsed_s: float
    peak_memory_bytes: Count
    overhead_share: float | None = None


class SplitFacts(Record, frozen=True):
    """A split of labelled images: how many of each class, in the order of the dataset's classes."""

    t: float
    split: str
    by_class: tuple[Count, ...]


class LearningStarted(Record, frozen=True):
    """Training begins, or goes on behind step `resumed_at` of an earlier attempt.

    One step of the optimiser sees `batch` x `accumulate` examples. `number_format`: what forward
    and backward compute in. `metric`: the name of the one among an epoch's that the best is chosen
    by.
    """

    t: float
    device: str
    number_format: str
    parameters: Count
    trainable: Count
    epochs: Count
    steps_per_epoch: Count
    batch: Count
    accumulate: Count
    metric: str
    resumed_at: Count = 0


class EpochEnded(Record, frozen=True):
    """An epoch, counted from 1, and what held-out data say after it. `best`: so far."""

    t: float
    epoch: Count
    train_loss: float
    val_loss: float | None
    learning_rate: float
    metrics: dict[str, float]
    best: bool


class LearningEnded(Record, frozen=True):
    """No more steps will follow. `why` is one phrase: all epochs done, no better since..."""

    t: float
    why: str
    peak_memory_bytes: Count


class Interval(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval: how far other images of the same kind would move it."""

    value: float
    low: float
    high: float


class ClassScore(msgspec.Struct, frozen=True):
    """One class: images of it, and one against all others. Precision of nothing found is 0."""

    name: str
    images: Count
    precision: float
    recall: float
    f1: float


class ClassificationScores(Record, frozen=True):
    """How well images were classified. `subject`: by what (a precision, a prompt, a checkpoint).

    `confusion`: a row a true class, a column an answered one. `off_list`: answers that name no
    class; they are wrong, and in no column, as are the `unanswered`: empty, or saying that there is
    no answer. `ece`: expected calibration error, None without confidences. `top5`: the share whose
    class is among the five most probable ones, None where there are no more classes.
    """

    t: float
    subject: str
    split: str
    images: Count
    accuracy: Interval
    precision: Interval
    recall: Interval
    f1: Interval
    ece: Interval | None
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[Count, ...], ...]
    off_list: Count = 0
    unanswered: Count = 0
    top5: Interval | None = None


class AnswerScores(Record, frozen=True):
    """How well free questions were answered, as shares of them. `subject`: by what.

    `exact`: but for case, punctuation and articles; `relaxed`: or a number within 5 %;
    `contains`: or the true words among others. `by_kind`: the relaxed share of each kind of
    question. `unanswered`: empty answers, and those that say there is none.
    """

    t: float
    subject: str
    split: str
    questions: Count
    exact: Interval
    relaxed: Interval
    contains: Interval
    unanswered: Count = 0
    by_kind: dict[str, float] = msgspec.field(default_factory=dict)


class Bounds(msgspec.Struct, frozen=True, array_like=True):
    """The 95 % bootstrap interval, over the images, of a figure that stands elsewhere."""

    low: float
    high: float


class CountBounds(msgspec.Struct, frozen=True, omit_defaults=True):
    """How sure the errors of counts are; None: of fewer than two images."""

    mae: Bounds | None = None
    rmse: Bounds | None = None
    bias: Bounds | None = None
    exact: Bounds | None = None


class ThresholdBounds(msgspec.Struct, frozen=True, omit_defaults=True):
    """At one threshold: of the means over the sub-datasets, and of each class of the dataset."""

    threshold: float | None
    means: CountBounds = CountBounds()
    classes: tuple[CountBounds, ...] = ()


class ClassPrecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """Average precision of one class at IoU 0.5, and from 0.5 to 0.95; None: it has no object."""

    ap50: Interval | None = None
    ap50_95: Interval | None = None


class PassScores(Record, frozen=True):
    """What is computed of a pass when it is over. `counts`: a threshold of the spec each.

    mAP is that of COCO over the classes that have objects, None where objects have no boxes.
    """

    t: float
    precision: Precision
    counts: tuple[ThresholdBounds, ...]
    map50: Interval | None = None
    map50_95: Interval | None = None
    classes: tuple[ClassPrecision, ...] = ()

    def bounds_at(self, threshold: float | None) -> ThresholdBounds | None:
        """What is known at that threshold."""
        return next((each for each in self.counts if each.threshold == threshold), None)

    def without_classes(self) -> PassScores:
        """The means only, and of these what result tables show."""
        counts = tuple(
            ThresholdBounds(each.threshold, CountBounds(mae=each.means.mae)) for each in self.counts
        )
        return msgspec.structs.replace(self, counts=counts, classes=())


class Failure(Record, frozen=True):
    """Why the runner gives up, in one sentence."""

    t: float
    step: str
    text: str


Event = (
    Header
    | Phase
    | Progress
    | DatasetFacts
    | ModelFacts
    | Converted
    | Forecasted
    | PassStarted
    | Asking
    | Answering
    | PassEnded
    | SplitFacts
    | LearningStarted
    | EpochEnded
    | LearningEnded
    | ClassificationScores
    | AnswerScores
    | PassScores
    | Warning
    | Failure
)


# items.jsonl --------------------------------------------------------------------------------


Verdict = Literal["right", "wrong", "off-list", "unanswered"]
"""What an answer in words is worth; "off-list": it names no class of the data."""

Agreement = Literal["exact", "number", "contains", "none"]
"""How an answer meets the true one: but for case, punctuation and articles; as a number within 5 %;
as words among others; not at all. Each holds where one before it does."""


class StageTimes(msgspec.Struct, frozen=True):
    """Milliseconds an image spent in each stage."""

    decode: float
    preprocess: float
    infer: float
    postprocess: float

    @property
    def latency(self) -> float:
        """From the decoded image in memory to its detections, ms. Decoding is apart."""
        return self.preprocess + self.infer + self.postprocess


class Item(Record, frozen=True):
    """One image of one pass, or one question about it.

    `truth`: ground-truth objects by class index, None without annotations. `counts`: for each
    threshold of the spec, in its order, counted objects by class index; a task without thresholds
    has one entry. `evaluated`: the class indices it counts for, None: all; other classes are in no
    figure of it. `unanswered`: why there was an answer but no count in it; its times are good, it
    is counted apart and is in no error. `error`: why there was no answer at all; all else is empty.
    """

    t: float
    precision: Precision
    index: Count
    image: str
    repetition: Count = 0
    times: StageTimes | None = None
    truth: dict[int, int] | None = None
    counts: tuple[dict[int, int], ...] = ()
    evaluated: tuple[Count, ...] | None = None
    unanswered: str | None = None
    error: str | None = None

    def total(self, counts: dict[int, int]) -> int:
        """Objects of the classes that the item counts for."""
        if self.evaluated is None:
            return sum(counts.values())
        return sum(counts.get(index, 0) for index in self.evaluated)

    def count_errors(self, position: int) -> dict[int, int] | None:
        """Counted minus true, by class that the item counts for; classes without any left out.

        `position`: of the threshold in the spec. None without annotations or without a count.
        """
        if self.truth is None or self.unanswered is not None or position >= len(self.counts):
            return None
        counts, truth = self.counts[position], self.truth
        found = counts.keys() | truth.keys()
        classes = found if self.evaluated is None else found & set(self.evaluated)
        return {index: counts.get(index, 0) - truth.get(index, 0) for index in classes}


class AskStages(msgspec.Struct, frozen=True):
    """Milliseconds a question spent in each stage behind the decoding of its image.

    `prefill`: the prompt through the language model, up to the first token; `first_token`: from
    the decoded image in memory to the first token; `decode`: all further tokens. `vision_shared`:
    the image's encoding was that of the question before.
    """

    preprocess: float
    vision: float
    prefill: float
    first_token: float
    decode: float
    vision_shared: bool = False


class DetectedItem(Item, frozen=True, tag="item"):
    """An `Item` with its boxes: rows of x1, y1, x2, y2 (px of the image), score, class index.

    `image_size`: height, width, px.
    """

    detections: tuple[tuple[float, float, float, float, float, int], ...] = ()
    image_size: tuple[int, int] | None = None


class AskedItem(Item, frozen=True, tag="asked"):
    """An `Item` that is one question about an image, with the model's own words.

    `tokens`: of the answer; `prompt_tokens`: of the whole prompt, those of the image included.
    `cut`: the answer ended at the limit of new tokens, not by itself. `expected`: the true answer
    in words, where there is one; `verdict` on it, and of a free answer the `agreement`. `label` and
    `true_label`: the class that the answer names, and the right one.
    """

    question: str = ""
    answer: str = ""
    stages: AskStages | None = None
    tokens: Count = 0
    prompt_tokens: Count = 0
    image_tokens: Count = 0
    cut: bool = False
    expected: str | None = None
    verdict: Verdict | None = None
    agreement: Agreement | None = None
    label: int | None = None
    true_label: Count | None = None


class ClassifiedItem(Item, frozen=True, tag="classified"):
    """An `Item` of a classifier: nothing is counted in it.

    `label`: the true class. `top`: class indices of the dataset with their probabilities, the most
    probable first; -1 is a class of the model that the dataset does not have.
    """

    label: Count | None = None
    top: tuple[tuple[int, float], ...] = ()


class TrainStep(Record, frozen=True):
    """One step of the optimiser, counted from 1, on so many `examples`. `loss`: their mean."""

    t: float
    step: Count
    epoch: Count
    loss: float
    learning_rate: float
    examples: Count


class Answered(Record, frozen=True):
    """A model's own words on one question about one image, and what they are worth.

    `subject`: who was asked, and by which prompt. `label`: the class that the answer names.
    `error`: why there is no answer. `elapsed_s`: from the decoded image to the answer.
    """

    t: float
    subject: str
    index: Count
    image: str
    question: str
    truth: str
    answer: str = ""
    verdict: Verdict = "wrong"
    label: int | None = None
    elapsed_s: float | None = None
    error: str | None = None


MeasuredLine = Header | Item | AskedItem | ClassifiedItem
"""The lines of a task that measures."""

ItemLine = MeasuredLine | TrainStep | Answered


# telemetry.jsonl ----------------------------------------------------------------------------


class CoolingZone(msgspec.Struct, frozen=True):
    """A thermal zone and its own trip points, degrees C by kind (passive, hot, critical...)."""

    name: str
    trips: dict[str, float] = msgspec.field(default_factory=dict)

    @property
    def throttles_at(self) -> float | None:
        """Where the kernel begins to slow the board down, as far as the zone tells."""
        return self.trips.get("passive", self.trips.get("hot", self.trips.get("critical")))


class FrequencyPolicy(msgspec.Struct, frozen=True):
    """A cpufreq policy: the cores that change their frequency together."""

    name: str
    governor: str
    cores: str = ""
    hardware_max_mhz: float | None = None


class BoardFacts(Record, frozen=True):
    """What does not change while a run lasts. `absent`: sensors that are not there, and why."""

    t: float
    zones: tuple[CoolingZone, ...] = ()
    policies: tuple[FrequencyPolicy, ...] = ()
    absent: dict[str, str] = msgspec.field(default_factory=dict)


class Sample(Record, frozen=True):
    """One reading of the board. None or empty: the board does not tell.

    CPU shares are % of one core since the last sample; memory is in bytes.
    """

    t: float
    cpu: tuple[float, ...] = ()  # a core
    stolen: float = 0.0  # by the hypervisor, all cores together
    frequency_mhz: tuple[float, ...] = ()  # now, a policy
    frequency_cap_mhz: tuple[float, ...] = ()  # the most it may have now
    temperatures: dict[str, float] = msgspec.field(default_factory=dict)  # degrees C by zone
    cooling: dict[str, int] = msgspec.field(default_factory=dict)  # what slows the board now
    fan_rpm: int | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    swap_used: int | None = None
    zram_used: int | None = None
    swapped_pages: int | None = None  # in and out since boot
    pressure: dict[str, float] = msgspec.field(default_factory=dict)  # PSI some avg10, %
    disk_free: int | None = None
    npu_load: float | None = None  # %
    gpu_load: float | None = None  # %
    runner_cpu: float | None = None  # whole process tree
    runner_memory: int | None = None
    runner_major_faults: int | None = None  # since it started
    supervisor_cpu: float | None = None
    supervisor_memory: int | None = None
    console_cpu: float | None = None  # all consoles together

    @property
    def hottest(self) -> float | None:
        """The highest temperature of all zones."""
        return max(self.temperatures.values(), default=None)

    @property
    def others_cpu(self) -> float | None:
        """CPU that neither this run nor its observers used, hypervisor included."""
        if not self.cpu:
            return None
        known = (self.runner_cpu or 0) + (self.supervisor_cpu or 0) + (self.console_cpu or 0)
        return max(0.0, sum(self.cpu) - known) + self.stolen


Method = Literal["measured", "counter", "estimated", "manual"]
Scope = Literal["board input", "wall", "battery", "rails", "package"]


class PowerSource(Record, frozen=True):
    """Where watts come from; written once before the first reading of the source.

    `method`: how they are known: "measured" (an instrument), "counter" (a chip's own energy
    counter), "estimated" (a model), "manual" (an imported file). `scope`: what they cover: "board
    input", "wall", "battery", "rails", "package". `accuracy`: relative standard uncertainty.
    """

    t: float
    source: str
    method: Method
    scope: Scope
    accuracy: float
    period_s: float = 1.0


class PowerReading(Record, frozen=True):
    """One reading of one power source: watts now, or joules since the source was opened."""

    t: float
    source: str
    watts: float | None = None
    joules: float | None = None


class BaselineEnded(Record, frozen=True):
    """The idle baseline, begun at `since`, is over: nothing of the run was at work in between."""

    t: float
    since: float


TelemetryLine = Header | BoardFacts | Sample | PowerSource | PowerReading | BaselineEnded
