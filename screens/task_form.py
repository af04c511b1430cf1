"""The form of a task that is no measuring: its settings, one line a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Generic, NamedTuple, TypeVar

from edgelab.catalogue import Catalogue
from edgelab.naming import checkpoint_named, dataset_named, model_named, prompts_named
from edgelab.settings.base import TaskSettings
from edgelab.settings.convert import ConvertSettings
from edgelab.settings.finetune import FinetuneSettings
from edgelab.settings.train import ARCHITECTURES, TrainSettings
from edgelab.task_editing import choices_of, path_or_name, settings_from, texts_of
from screens.dialogs import quiet_input
from screens.face import Face
from screens.form import Choice, Form, Line

S = TypeVar("S", bound=TaskSettings)


class Words(NamedTuple):
    """What a key is called on screen, and its hint."""

    name: str
    hint: str = ""


class TaskForm(Form[S], Generic[S]):
    """Enter is accepted only where the settings are possible. A value that can only be one of a few
    is chosen, any other typed; of a name that is known, its beginning."""

    enter: ClassVar[str] = "begin"
    heading: ClassVar[str]
    keys: ClassVar[Mapping[str, Words]]
    """What can be changed, by its key in the settings; all else stays as it is."""

    def __init__(self, face: Face, settings: S, catalogue: Catalogue) -> None:
        self._settings = settings
        self.catalogue = catalogue
        super().__init__(face, self.heading)

    def lines(self) -> Iterator[Line]:
        """A line a key."""
        known = self.known()
        for key, text in texts_of(self._settings, self.keys).items():
            name, hint = self.keys[key]
            choices = choices_of(self._settings, key)
            field = (
                Choice(self.face, choices, text, "no")
                if choices
                else quiet_input(text, known=known.get(key, ()))
            )
            yield Line(name, field, hint)

    def taken(self) -> S:
        """The settings as they were typed; raises Problem naming the key."""
        typed = self.typed
        texts = {key: typed[words.name].strip() for key, words in self.keys.items()}
        return self.located(settings_from(self._settings, texts))

    def known(self) -> Mapping[str, Sequence[str]]:
        """Names that can stand in the line of a key."""
        return {"dataset": [entry.name for entry in self.catalogue.datasets()]}

    def located(self, settings: S) -> S:
        """With paths made absolute, for a run is carried out elsewhere; may raise Problem."""
        raise NotImplementedError


class ConversionForm(TaskForm[ConvertSettings]):
    """Make a model's other precisions."""

    heading = "Convert a model"
    keys: ClassVar = {
        "model": Words("model", "name or file"),
        "name": Words("called", "in the list of models"),
        "precisions": Words("precisions", "fp16 int8"),
        "dataset": Words("dataset", "calibrates int8, checks both"),
        "images": Words("images", "the folder of a COCO .json"),
        "split": Words("split", "empty: what runs leave over"),
        "method": Words("ranges", "how int8 gets them"),
        "activations": Words("activations", "auto: the faster here"),
        "calibration_images": Words("calibrate on", "images at most"),
        "image_size": Words("image size", "px, of models of any size"),
        "threads": Words("threads", "of the check"),
    }

    def known(self) -> Mapping[str, Sequence[str]]:
        """Models and datasets."""
        models = [entry.name for entry in self.catalogue.models()]
        return {**super().known(), "model": models}

    def located(self, settings: ConvertSettings) -> ConvertSettings:
        """As the command line does."""
        texts = {
            "model": model_named(settings.model, self.catalogue),
            "dataset": dataset_named(settings.dataset, self.catalogue),
        }
        if settings.images is not None:
            texts["images"] = path_or_name(settings.images, ())
        return settings_from(settings, texts)


class TrainingForm(TaskForm[TrainSettings]):
    """Teach a classifier."""

    heading = "Train a classifier"
    keys: ClassVar = {
        "model": Words("model", "or hybrid, timm:NAME"),
        "dataset": Words("dataset", "name, digits, folder, .csv"),
        "images": Words("images", "the folder of a COCO .json"),
        "image_size": Words("image size", "px a side"),
        "patch_size": Words("patch size", "px a side, of transformers"),
        "epochs": Words("epochs", "at most"),
        "patience": Words("patience", "end after N without a best"),
        "batch": Words("batch", "images at once"),
        "accumulate": Words("accumulate", "batches a step"),
        "learning_rate": Words("learning rate", "at the start"),
        "weight_decay": Words("weight decay", "of AdamW"),
        "class_weights": Words("class weights", "rare classes weigh more"),
        "pretrained": Words("pretrained", "fetch weights to begin with"),
        "freeze_backbone": Words("freeze backbone", "train the head only"),
        "mixed_precision": Words("mixed precision", "on CUDA"),
        "device": Words("device", "auto: CUDA where there is one"),
        "augmentation.flip": Words("flip", "share of images, left-right"),
        "augmentation.flip_vertical": Words("flip vertically", "share of images"),
        "augmentation.rotation": Words("rotation", "degrees at most"),
        "augmentation.jitter": Words("colour jitter", "largest change, of 1"),
        "augmentation.noise": Words("noise", "standard deviation, of 1"),
        "tensorboard": Words("tensorboard", "write event files, too"),
        "limit": Words("limit", "a split's images; empty: all"),
        "threads": Words("threads", "of the processor"),
        "seed": Words("seed", "of weights, order, changes"),
    }

    def known(self) -> Mapping[str, Sequence[str]]:
        """Architectures and datasets."""
        return {**super().known(), "model": ARCHITECTURES}

    def located(self, settings: TrainSettings) -> TrainSettings:
        """The runner knows more names of data than the catalogue."""
        names = {entry.name for entry in self.catalogue.datasets()}
        texts = {"dataset": path_or_name(settings.dataset, names)}
        if settings.images is not None:
            texts["images"] = path_or_name(settings.images, ())
        return settings_from(settings, texts)


class FinetuningForm(TaskForm[FinetuneSettings]):
    """Teach a vision-language model."""

    heading = "Fine-tune a vision-language model"
    keys: ClassVar = {
        "model": Words("model", "name, hub id or folder"),
        "dataset": Words("dataset", "name, folder, .csv"),
        "images": Words("images", "where paths in a file begin"),
        "prompts": Words("prompts", "or chart-questions, a .toml"),
        "prompt": Words("prompt", "learned: first, second ..."),
        "lora.parts": Words("adapters in", "each part alone, or together"),
        "lora.rank": Words("rank", "of an adapter"),
        "lora.alpha": Words("alpha", "changes count alpha / rank"),
        "lora.dropout": Words("dropout", "share, in training"),
        "precision": Words("base", "frozen weights; nf4: 4-bit"),
        "schedule.epochs": Words("epochs"),
        "schedule.batch": Words("batch", "examples at once"),
        "schedule.accumulate": Words("accumulate", "batches a step"),
        "schedule.learning_rate": Words("learning rate", "after the warm-up"),
        "schedule.weight_decay": Words("weight decay", "of AdamW"),
        "schedule.gradient_checkpointing": Words("checkpointing", "less memory, more time"),
        "zero_shot": Words("zero-shot first", "ask by all prompts before"),
        "max_new_tokens": Words("max tokens", "of an answer"),
        "max_pixels": Words("max pixels", "of an image, for Qwen2-VL"),
        "merge": Words("merge", "write the whole model, too"),
        "tensorboard": Words("tensorboard", "write event files, too"),
        "limit": Words("limit", "a split's images; empty: all"),
        "threads": Words("threads", "of the processor"),
        "schedule.seed": Words("seed", "of splits, order, adapters"),
    }

    def known(self) -> Mapping[str, Sequence[str]]:
        """Models of hubs, datasets, and the shipped prompts."""
        models = [entry.name for entry in self.catalogue.hub_models()]
        prompts = ("chart-classification", "chart-questions")
        return {**super().known(), "model": models, "prompts": prompts}

    def located(self, settings: FinetuneSettings) -> FinetuneSettings:
        """As the command line does."""
        texts = {
            "model": checkpoint_named(settings.model, self.catalogue),
            "dataset": dataset_named(settings.dataset, self.catalogue),
            "prompts": prompts_named(settings.prompts),
        }
        if settings.images is not None:
            texts["images"] = path_or_name(settings.images, ())
        return settings_from(settings, texts)
