"""A real MLflow server, which can be killed and comes back."""

import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.harness import free_port, wait_until


@dataclass
class MlflowServer:
    """A real `mlflow server` on this machine."""

    backend: str
    folder: Path
    port: int = field(default_factory=lambda: free_port())

    @property
    def uri(self) -> str:
        """What OSR_TRACKING_URI is set to."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "MlflowServer":
        self.start()
        return self

    def start(self) -> None:
        """Wait until it answers; a killed one comes back on its port."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", self.backend]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )
        wait_until(self._answers, "the MLflow server")

    def __exit__(self, *problem: object) -> None:
        self.kill()

    def kill(self) -> None:
        """End it with the processes that it has started, which would keep its port."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return True
        except OSError:
            return False
