"""Files that start a cluster: those that are shipped, and what is said of a user's."""

import re
from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from sweeps.clusters import settings
from sweeps.clusters.check import check
from sweeps.environment import PROMISED

ROOT = Path(__file__).parents[3]
STARTS = {
    "cluster.yaml": "cluster osr on aws: head m7i.xlarge (0 CPU), gpu 0 to 2 x g6.2xlarge (8 CPU, "
    "1 GPU), gpu_spot 0 to 8 x g6.2xlarge (8 CPU, 1 GPU); at most 8 workers at once",
    "deploy/hosts.yaml": "cluster osr: head 192.0.2.1, workers 192.0.2.2, 192.0.2.3",
    "deploy/raycluster.yaml": "RayCluster osr: a head, gpu-spot 0 to 8 pods, gpu 0 to 2 pods",
    "deploy/rayjob.yaml": "RayJob osr-sweep: a head, gpu-spot 0 to 8 pods, gpu 0 to 2 pods, which "
    "go when the job has ended",
    "deploy/sweep.slurm": "a job of Slurm: nodes 2, gpus-per-node 4, cpus-per-task 32, time "
    "12:00:00",
}
HEALTH = r'RAY_health_check_timeout_ms(?:=|, value: ")(\d+)'
# The file, a text of it, what stands there in its place, and what is said of that.
PLANTED = [
    ("rayjob.yaml", "backoffLimit", "backofLimit", "spec: the field 'backofLimit' does not exist."),
    (
        "rayjob.yaml",
        "kind: RayJob",
        "kind: RayJobs",
        "'RayJobs' does not exist. Did you mean 'RayJ",
    ),
    ("rayjob.yaml", "version: v2", "version: v3", "the value 'v3' does not exist. Did you mean 'v"),
    ("rayjob.yaml", 'num-cpus: "0"', "num-cpus: 0", "num-cpus must be a text (quote it), not 0."),
    ("rayjob.yaml", "env: &env", "envv: &env", "containers[0]: the field 'envv' does not exist."),
    ("rayjob.yaml", "num-cpus", "num-cpu", "headGroupSpec.rayStartParams: `ray start --num-cpu=0"),
    ("rayjob.yaml", 'num-gpus: "1"', 'num-gpus: "one"', "'one' is not a valid integer."),
    (
        "rayjob.yaml",
        "mode: token",
        "mode: disabled",
        "mode is 'disabled'; it must be 'token', else",
    ),
    (
        "rayjob.yaml",
        "OSR_STORE",
        "OSR_STOER",
        "the setting 'OSR_STOER' does not exist. Did you mean",
    ),
    (
        "rayjob.yaml",
        "/home/ray/osr-home",
        "osr-home",
        "OSR_HOME is 'osr-home'; it must begin with / or ~",
    ),
    (
        "raycluster.yaml",
        "minReplicas: 0",
        "minReplicas: 9",
        "minReplicas 9, replicas 0 and maxReplic",
    ),
    (
        "raycluster.yaml",
        "ray.io/v1",
        "ray.io/v2",
        "apiVersion: the value 'ray.io/v2' does not exist",
    ),
    (
        "sweep.slurm",
        "--gpus-per-node",
        "--gpu-per-node",
        "line 12: the option '--gpu-per-node' does",
    ),
    ("sweep.slurm", "--time=", "--tim=", "the option --time is missing; without it"),
    ("sweep.slurm", "ntasks-per-node=1", "ntasks-per-node=4", "Ray starts once a machine: 1."),
    ("sweep.slurm", "--min-nodes", "--min-node", "No such option '--min-node'."),
    (
        "sweep.slurm",
        "--num-cpus=",
        "--port=",
        "`ray symmetric-run` sets --port of `ray start` itself",
    ),
    ("sweep.slurm", " -- \\\n", " \\\n", "takes its command after ' -- ', and there is none."),
    ("sweep.slurm", "symmetric-run", "symmetric_run", "there is no `srun ray symmetric-run"),
    ("sweep.slurm", "\n", "\r\n", "its lines end as on Windows, and sbatch refuses it"),
    ("sweep.slurm", "node/osr.env", "nodes/osr.env", "there is no deploy/nodes/osr.env (from "),
]


@pytest.mark.parametrize("name", STARTS)
def test_shipped_file_passes_and_says_what_it_starts(name: str):
    """Every field of it is one that its reader knows."""
    assert check(Path(name)) == STARTS[name]


@pytest.mark.parametrize(("name", "text", "typo", "said"), PLANTED, ids=[row[2] for row in PLANTED])
def test_planted_typo_is_found(name: str, text: str, typo: str, said: str, tmp_path: Path):
    """Kubernetes drops what it does not know, and Slurm says so only on the cluster."""
    whole = (ROOT / "deploy" / name).read_text()
    assert text in whole
    path = tmp_path / name
    path.write_text(whole.replace(text, typo))
    with pytest.raises(ConfigError) as raised:
        check(path)
    assert any(said in problem for problem in raised.value.problems), raised.value.problems
    assert all(problem.startswith(f"{path}: ") for problem in raised.value.problems)


def test_settings_of_machines_are_those_that_the_product_reads():
    """A setting that is misspelt is one that no machine gets."""
    read = {
        name
        for package in ("sweeps", "osr_core")
        for path in (ROOT / package).rglob("*.py")
        if path.parent.name != "clusters"
        for name in re.findall(r'"(OSR_[A-Z_]+)"', path.read_text())
    }
    for_hooks = {"OSR_TEXT", "OSR_SWEEP", "OSR_EXIT_CODE"}  # which the product writes
    on_server = {"OSR_TRACKING_DATABASE"}  # which `osr ui` reads
    for_jobs = {"OSR_BY"}  # which `osr submit` sets
    for_reaper = {"OSR_REAPER"}  # by which it knows what its driver has started
    assert set(settings.OWN) == read - for_hooks - on_server - for_jobs - for_reaper


def test_a_silent_machine_is_said_to_be_gone_within_30_seconds_with_some_to_spare():
    """By the settings as they are shipped: Ray asks a machine every 3 s, and misses it at the fifth
    answer that does not come; a launch looks once a second.
    """
    told = [(ROOT / "deploy" / name).read_text() for name in ("raycluster.yaml", "rayjob.yaml")]
    told.append((ROOT / "deploy" / "node" / "osr.env").read_text())
    (timeout_ms,) = {found for text in told for found in re.findall(HEALTH, text)}
    assert 5 * (3 + int(timeout_ms) / 1000) + 1 <= 30 - 3


def test_promises_that_only_a_cluster_can_keep_are_asked_of_it():
    """What Ray reads where it starts; the rest is set by the driver."""
    for_ray = {name: value for name, value in PROMISED.items() if name.startswith("RAY_")}
    assert for_ray.items() <= {name: value for name, (value, _) in settings.WHY.items()}.items()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "OSR_STORE=s3://b/osr?region=a&endpoint=b",
            "put the value of OSR_STORE in quotation marks",
        ),
        ("OSR_HOME=/results\r", "its lines end as on Windows, which become part of its values"),
        ("OSR_HOME=/my results", "put the value of OSR_HOME in quotation marks"),
        ('OSR_STORE="s3://b', "a quotation mark is not closed"),
        ("OSR_STORE: s3://b", "a setting is NAME=value, not 'OSR_STORE:'"),
        ("OSR_STORE", "a setting is NAME=value, not 'OSR_STORE'"),
        ('OSR_STORE="s3://bb/osr?regoin=a"', "OSR_STORE's option 'regoin' does not exist."),
        ("OSR_TRACKING_URI=http://a:b@host", "OSR_TRACKING_URI holds a secret"),
        ("OSR_TRACKING_URI=mlflow:5000", "Did you mean 'http://mlflow:5000'?"),
        ("OSR_GRAPHS=on", "OSR_GRAPHS is 'on'; write 1 for training by CUDA graphs, 0 for none"),
        ("RAY_JOB_STOP_WAIT_TIME_S=3", "it must be 15 or more, else a stopped job is killed"),
        ("RAY_memory_monitor_refresh_ms=250", "it must be '0', else Ray's own killer"),
    ],
)
def test_mistaken_setting_is_named(line: str, said: str, tmp_path: Path):
    """A shell would read another value in silence."""
    path = tmp_path / "osr.env"
    path.write_text((ROOT / "deploy" / "node" / "osr.env").read_text() + line + "\n")
    told, wrong = settings.read(path)
    found = [*wrong, *settings.problems(told, str(path))]
    assert len(found) == 1
    assert said in found[0]


def test_key_that_stands_twice_is_refused(tmp_path: Path):
    """Ray would take the last one without a word."""
    path = tmp_path / "twice.yaml"
    path.write_text((ROOT / "cluster.yaml").read_text() + "max_workers: 4\n")
    with pytest.raises(ConfigError, match="key 'max_workers' stands twice"):
        check(path)


def test_what_is_not_checked_is_said(tmp_path: Path):
    """Of a cloud whose machines' fields are not known here, "ok" alone would promise too much."""
    path = tmp_path / "azure.yaml"
    path.write_text((ROOT / "cluster.yaml").read_text().replace("type: aws", "type: azure"))
    assert check(path).endswith("at once; what azure takes as node_config is not checked")


def test_file_of_no_known_kind_is_refused(tmp_path: Path):
    """With what marks those that are known."""
    path = tmp_path / "spec.yaml"
    path.write_text("name: digits\n")
    with pytest.raises(ConfigError, match="starts no cluster that is known here"):
        check(path)


def test_what_ray_alone_refuses_is_said_in_one_line(tmp_path: Path):
    """Its own check runs after ours."""
    path = tmp_path / "docker.yaml"
    path.write_text((ROOT / "cluster.yaml").read_text() + "docker: {image: a}\n")
    with pytest.raises(
        ConfigError, match="Ray refuses the file: Must provide a container"
    ) as raised:
        check(path)
    assert len(raised.value.problems) == 1
