"""What scores have in common that are fitted to a trained classifier's embeddings.

A subclass says what it takes from the embeddings of the known training images (`fit_to`), and how
it scores an image by its embedding and logits (`score_at`). The classifier is the softmax row's own
fit; a `calibrate` stage on top of it leaves what scoring needs, so `score` sees no training image.
"""

from abc import abstractmethod

import torch
from torch import Tensor

from osr_core.data.batches import Batches
from osr_core.kinds import CALIBRATE
from osr_core.methods.base import Prediction
from osr_core.methods.softmax import Softmax
from osr_core.stage import Stage
from osr_core.trial import Trial


class PostHoc(Softmax):
    """Softmax's classifier, scored by where its embeddings lie."""

    @abstractmethod
    def fit_to(self, embedding: Tensor, label: Tensor) -> None:
        """Fill the buffers from all training embeddings (N, D) and their labels (N,)."""

    @abstractmethod
    def score_at(self, embedding: Tensor, logits: Tensor) -> Tensor:
        """(B,) larger = more unknown, from embeddings (B, D) and logits (B, K)."""

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        return trial.stage(CALIBRATE, "calibrate", inputs={"classifier": trial.fit(Softmax)})

    def calibrate(self, train: Batches) -> None:
        """Embed every training image as it is, in eval mode."""
        embedded = [(self.embed(batch.images), batch.label) for batch in train.ordered()]
        embedding, label = (torch.cat(parts) for parts in zip(*embedded, strict=True))
        self.check_labels(label)
        self.fit_to(embedding, label)

    def predict(self, embedding: Tensor) -> Prediction:
        logits = self.head(embedding)
        return Prediction(logits, self.score_at(embedding, logits).float(), embedding)
