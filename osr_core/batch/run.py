"""Runs the stages of a plan one after the other in this process, from a folder to the folder."""

import logging
import os
import socket
import time
import traceback
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from osr_core.batch.ending import MARGIN, Ending, FolderCheckpoint, OutOfTime
from osr_core.batch.folder import FolderError, ResultFolder
from osr_core.batch.plan import StagePlan
from osr_core.context import Context
from osr_core.errors import OsrError
from osr_core.execution import check_code, run_stage
from osr_core.kinds import epochs_of
from osr_core.machine import forget_peak, machine_facts
from osr_core.results.commit import Commit, facts_of
from osr_core.source import source_of

log = logging.getLogger(__name__)


class Run:
    """One process's way through a plan; others may go through it beside this one."""

    def __init__(
        self, plan: StagePlan, folder: ResultFolder, data_root: Path | None, ending: Ending
    ) -> None:
        self.plan, self.folder, self.data_root, self.ending = plan, folder, data_root, ending
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.made: list[str] = []
        self.failed: dict[str, str] = {}  # why, by stage id
        self.is_out_of_time = False
        self._needs: dict[str, float] = defaultdict(float)  # s until a stage of a kind can be saved

    def go(self, wanted: Collection[str]) -> None:
        """Make these stages, inputs before users, as far as there are time and inputs."""
        try:
            while self._pass(wanted):  # others may have made an input meanwhile
                pass
        except OutOfTime:
            self.is_out_of_time = True

    def _pass(self, wanted: Collection[str]) -> bool:
        """Go once through what is not done; whether a stage was tried.

        Raises:
            OutOfTime: no more is to begin.
        """
        tried = False
        for stage_id in wanted:
            identity = self.plan.identities[stage_id]
            inputs = set(identity["inputs"].values())
            if stage_id in self.failed or self.folder.done({stage_id, *inputs}) != inputs:
                continue
            if self.ending.within(MARGIN * self._needs[identity["kind"]]):
                raise OutOfTime
            with self.folder.held(stage_id) as is_ours:
                if is_ours and not self.folder.done([stage_id]):
                    tried = True
                    self._try(stage_id, identity)
        return tried

    def _try(self, stage_id: str, identity: Mapping[str, Any]) -> None:
        """Make a stage; what it raises is told, and the others go on."""
        label, began = self.plan.labels[stage_id], time.monotonic()
        log.info("begins %s %s", stage_id[:8], label)
        try:
            self._make(stage_id, identity)
        except OutOfTime:
            log.info("paused %s %s", stage_id[:8], label)
            raise
        except (FolderError, OSError, torch.AcceleratorError):
            raise  # of the folder, a disk or a GPU: no other stage would fare better
        except Exception as error:
            known = isinstance(error, OsrError)
            self.failed[stage_id] = str(error) if known else traceback.format_exc()
            log.info("failed %s %s: %s", stage_id[:8], label, self.failed[stage_id])
        else:
            self.made.append(stage_id)
            wall_s = time.monotonic() - began
            log.info("done   %s %s wall_s=%.1f", stage_id[:8], label, wall_s)

    def _make(self, stage_id: str, identity: Mapping[str, Any]) -> None:
        """Run a stage and leave its result."""
        check_code(identity)
        # A process of other code may have left an input since this run began.
        self.folder.check_source(self.plan.needed([stage_id]))
        torch.set_num_threads(self.plan.cpus[stage_id])
        forget_peak()
        config, started_at, began = identity["config"], time.time(), time.monotonic()
        source = source_of(identity)
        checkpoint = FolderCheckpoint(self.folder, stage_id, source, self.ending)
        ended_at: dict[int, float] = {}
        context = Context(
            inputs={role: self.folder.tensors(up) for role, up in identity["inputs"].items()},
            data_root=self.data_root,
            device=self.device,
            checkpoint=checkpoint,
            report=lambda epoch, row: ended_at.update({epoch: time.time()}),
        )
        try:
            result = run_stage(identity["kind"], config, context)
        finally:
            longest = max(self._needs[identity["kind"]], checkpoint.longest_s)
            self._needs[identity["kind"]] = longest
        wall_s = time.monotonic() - began
        num_epochs = epochs_of(config).stop if "training" in config else 0
        commit = Commit(
            stage=identity,
            artifacts=facts_of(result.artifacts),
            metrics=result.metrics,
            started_at=started_at,
            wall_s=wall_s,
            host=f"{socket.gethostname()}:{os.getpid()}",
            code=self.plan.code,
            source=checkpoint.source,
            machine=machine_facts(self.device, float(self.device.type == "cuda"), wall_s),
            epochs_at=[ended_at.get(epoch) for epoch in range(1, num_epochs + 1)],
        )
        self.folder.leave(stage_id, commit, result.artifacts)
