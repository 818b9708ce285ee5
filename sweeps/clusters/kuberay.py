"""Files for KubeRay, the operator of Ray on Kubernetes: RayCluster and RayJob."""

from collections.abc import Iterator, Mapping
from typing import Any

from sweeps.clusters import fields, ray_rules, settings

KINDS = ("RayCluster", "RayJob")


def schema(kind: str) -> dict[str, Any]:
    """KubeRay's fields of a kind, with a Kubernetes pod's."""
    return {"$ref": f"#/$defs/{kind}", "$defs": fields.packaged("kuberay")["$defs"]}


def problems(resource: Mapping[str, Any]) -> list[str]:
    """What is wrong with a resource; Kubernetes would drop unknown fields without a word."""
    if resource["kind"] not in KINDS:
        return [fields.unknown("kind: the resource", resource["kind"], KINDS)]
    allowed = schema(resource["kind"])
    found = fields.problems(resource, allowed)
    if fields.has_shape(resource, allowed):
        found += [*_cluster(resource)]
    return found


def starts(resource: Mapping[str, Any]) -> str:
    """What `kubectl apply` would start, in words."""
    _, cluster = _cluster_of(resource)
    groups = [
        f"{group['groupName']} {group.get('minReplicas', 0)} to {group.get('maxReplicas')} pods"
        for group in cluster.get("workerGroupSpecs", [])
    ]
    ends = resource["spec"].get("shutdownAfterJobFinishes")
    then = ", which go when the job has ended" if ends else ""
    return f"{resource['kind']} {resource['metadata']['name']}: a head, {', '.join(groups)}{then}"


def _cluster_of(resource: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if resource["kind"] == "RayCluster":
        return "spec", resource["spec"]
    return "spec.rayClusterSpec", resource["spec"].get("rayClusterSpec", {})


def _cluster(resource: Mapping[str, Any]) -> Iterator[str]:
    """What no list of fields says: numbers of pods, Ray's options, the environment."""
    place, cluster = _cluster_of(resource)
    mode = cluster.get("authOptions", {}).get("mode")
    if mode != "token":
        why = settings.WHY[settings.MODE][1]
        yield f"{place}.authOptions.mode is {mode!r}; it must be 'token', {why}."
    yield from _pods(cluster.get("headGroupSpec", {}), f"{place}.headGroupSpec")
    for number, group in enumerate(cluster.get("workerGroupSpecs", [])):
        at = f"{place}.workerGroupSpecs[{number}]"
        least, wanted = group.get("minReplicas", 0), group.get("replicas", 0)
        most = group.get("maxReplicas", wanted)
        if not least <= wanted <= most:
            yield (
                f"{at}: minReplicas {least}, replicas {wanted} and maxReplicas {most} must not "
                "fall in this order."
            )
        yield from _pods(group, at)


def _pods(group: Mapping[str, Any], place: str) -> Iterator[str]:
    """Ray's options and the environment of one group's pods."""
    words = []
    for option, value in group.get("rayStartParams", {}).items():
        if ray_rules.is_flag(option):
            words += [f"--{option}"] if value == "true" else []
        else:
            words.append(f"--{option}={value}")
    yield from (f"{place}.rayStartParams: {say}" for say in ray_rules.start_problems(words))
    containers = group.get("template", {}).get("spec", {}).get("containers", [])
    for container in containers[:1]:  # the one that runs Ray
        told = {each["name"]: each.get("value") for each in container.get("env", [])}
        told |= {settings.MODE: "token"}  # which KubeRay sets, of authOptions
        yield from settings.problems(told, f"{place}.template.spec.containers[0].env")
