"""A finished run's detector, for use: found, run on images, exported, with a card."""

from synthdata.delivery.card import model_card, write_card
from synthdata.delivery.card_text import render_card
from synthdata.delivery.choice import TrainedDetector, delivered_arm, find_run, open_detector
from synthdata.delivery.export import export_detector
from synthdata.delivery.outputs import fresh_folder
from synthdata.delivery.predict import predict

__all__ = [
    "TrainedDetector",
    "delivered_arm",
    "export_detector",
    "find_run",
    "fresh_folder",
    "model_card",
    "open_detector",
    "predict",
    "render_card",
    "write_card",
]
