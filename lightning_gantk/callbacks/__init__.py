"""What happens around training: checkpoints, pictures, reports."""

from lightning_gantk.callbacks.budget import Budget
from lightning_gantk.callbacks.changed_settings import ChangedSettings
from lightning_gantk.callbacks.checked import CheckedCallback
from lightning_gantk.callbacks.checkpoints import BestCheckpoint, LastCheckpoint
from lightning_gantk.callbacks.diversity import SampleDiversity
from lightning_gantk.callbacks.hyperparameters import LogHyperparameters
from lightning_gantk.callbacks.last_validation import LastValidation
from lightning_gantk.callbacks.logged_points import KeepLoggedPoints
from lightning_gantk.callbacks.monitor import Monitor
from lightning_gantk.callbacks.monitored_names import MonitoredNames
from lightning_gantk.callbacks.nearest_real import NearestReal
from lightning_gantk.callbacks.pictures import ScorePictures
from lightning_gantk.callbacks.predictions import SavePredictions
from lightning_gantk.callbacks.progress import StepProgressBar
from lightning_gantk.callbacks.samples import SampleGrid
from lightning_gantk.callbacks.signals import StopOnSignal, StoppedBySignal
from lightning_gantk.callbacks.spectrum import KernelSpectrum
from lightning_gantk.callbacks.store_flow import StoreFlow
from lightning_gantk.callbacks.summary import RunSummary
from lightning_gantk.training.exact_resume import ExactResume

__all__ = [
    "BestCheckpoint",
    "Budget",
    "ChangedSettings",
    "CheckedCallback",
    "ExactResume",
    "KeepLoggedPoints",
    "KernelSpectrum",
    "LastCheckpoint",
    "LastValidation",
    "LogHyperparameters",
    "Monitor",
    "MonitoredNames",
    "NearestReal",
    "RunSummary",
    "SampleDiversity",
    "SampleGrid",
    "SavePredictions",
    "ScorePictures",
    "StepProgressBar",
    "StopOnSignal",
    "StoppedBySignal",
    "StoreFlow",
]
