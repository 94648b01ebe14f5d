"""What happens around training: checkpoints, pictures, reports."""

from lightning_gantk.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from lightning_gantk.callbacks.diversity import SampleDiversity
from lightning_gantk.callbacks.exact_resume import ExactResume
from lightning_gantk.callbacks.hyperparameters import LogHyperparameters
from lightning_gantk.callbacks.monitor import Monitor
from lightning_gantk.callbacks.nearest_real import NearestReal
from lightning_gantk.callbacks.pictures import ScorePictures
from lightning_gantk.callbacks.predictions import SavePredictions
from lightning_gantk.callbacks.progress import StepProgressBar
from lightning_gantk.callbacks.samples import SampleGrid
from lightning_gantk.callbacks.signals import StopOnSignal, StoppedBySignal
from lightning_gantk.callbacks.spectrum import KernelSpectrum
from lightning_gantk.callbacks.summary import RunSummary

__all__ = [
    "BestCheckpoint",
    "ExactResume",
    "KernelSpectrum",
    "LastCheckpoint",
    "LogHyperparameters",
    "Monitor",
    "NearestReal",
    "RunSummary",
    "SampleDiversity",
    "SampleGrid",
    "SavePredictions",
    "ScorePictures",
    "StepProgressBar",
    "StopOnSignal",
    "StoppedBySignal",
]
