"""Files of `ray up`: machines of a cloud, or a list of hosts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweeps.clusters import fields, ray_rules, settings

HERE = (  # what a provider of machines that are there already has
    *("type", "head_ip", "worker_ips", "external_head_ip", "use_internal_ips"),
    "coordinator_address",
)
LET_PASS = ("aws_credentials", "external_head_ip", "key_pair", "coordinator_address")
RESOURCES = ("CPU", "GPU", "memory", "object_store_memory")
MOST_WORKERS = 2  # Ray's default
NODES = {"aws": "RunInstancesRequest", "gcp": "Instance"}  # in the list of that name
AWS_NEEDS = {
    "ImageId": "Ray's default is Ubuntu 18.04, which is too old for torch",
    "IamInstanceProfile": "without one, workers do not reach the bucket",
    "SecurityGroupIds": "Ray's own group opens port 22 to everybody",
    "SubnetIds": "else Ray takes any",
}
START = {"head_start_ray_commands": "--head", "worker_start_ray_commands": "--address"}


def schema(provider: str) -> dict[str, Any]:
    """Ray's list of fields without the gaps that it has, and with the cloud's own."""
    whole = ray_rules.launcher_schema()
    known = whole["properties"]["provider"]
    known["additionalProperties"] = False
    known["properties"] |= {name: {} for name in LET_PASS}
    known["properties"]["worker_ips"] = {"type": "array", "items": {"type": "string"}}
    if provider == "local":
        known["properties"] = {name: known["properties"].get(name, {}) for name in HERE}
        del whole["properties"]["available_node_types"], whole["properties"]["head_node_type"]
        return whole
    kind = whole["properties"]["available_node_types"]["patternProperties"][".*"]
    amount = {"type": "integer", "minimum": 0}
    kind["properties"]["resources"] = {
        "type": "object",
        "properties": dict.fromkeys(RESOURCES, amount),
        "patternProperties": {"^accelerator_type:": amount},
        "additionalProperties": False,
    }
    if provider in NODES:
        whole["$defs"] = fields.packaged(provider)["$defs"]
        kind["properties"]["node_config"] = {"$ref": f"#/$defs/{NODES[provider]}"}
    return whole


def problems(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with a launcher's file; paths in it are seen from the working folder."""
    allowed = schema(provider_of(config))
    found = fields.problems(config, allowed)
    if fields.has_shape(config, allowed):
        found += [*_types(config), *_mounts(config), *_starts_ray(config)]
    if not found and (refusal := ray_rules.refusal(dict(config))):
        found.append(refusal)
    return found


def provider_of(config: Mapping[str, Any]) -> str:
    """Such as "aws"; "" where none is named."""
    provider = config.get("provider")
    return str(provider.get("type", "")) if isinstance(provider, dict) else ""


def starts(config: Mapping[str, Any]) -> str:
    """What `ray up` would start, in words."""
    provider = config["provider"]
    name = f"cluster {config['cluster_name']}"
    if provider["type"] == "local":
        return f"{name}: head {provider['head_ip']}, workers {', '.join(provider['worker_ips'])}"
    parts, most = [], config.get("max_workers", MOST_WORKERS)
    for kind, node in config["available_node_types"].items():
        own = node["node_config"]
        machine = own.get("InstanceType") or own.get("machineType") or "machines"
        count = f" {node.get('min_workers', 0)} to {node.get('max_workers', most)} x"
        amounts = ", ".join(f"{amount} {name}" for name, amount in node["resources"].items())
        is_head = kind == config["head_node_type"]
        parts.append(f"{kind}{'' if is_head else count} {machine} ({amounts})")
    known = provider["type"] in NODES
    besides = "" if known else f"; what {provider['type']} takes as node_config is not checked"
    return (
        f"{name} on {provider['type']}: {', '.join(parts)}; at most {most} workers at once{besides}"
    )


def _types(config: Mapping[str, Any]) -> Iterator[str]:
    """Numbers of machines, and what each machine of a cloud has to have."""
    types, fewest = config.get("available_node_types", {}), 0
    if provider_of(config) == "local":
        return  # which has none
    if config.get("head_node_type") not in types:
        yield fields.unknown("head_node_type: the type", config.get("head_node_type"), types)
    for name, node in types.items():
        place = f"available_node_types.{name}"
        least, most = node.get("min_workers", 0), node.get("max_workers")
        fewest += least
        if most is not None and least > most:
            yield f"{place}: min_workers is {least}; it must be at most max_workers, {most}."
        if provider_of(config) == "aws":
            yield from _aws(node["node_config"], f"{place}.node_config")
    if fewest > config.get("max_workers", fewest):
        yield (
            f"max_workers is {config['max_workers']}; it must be at least {fewest}, the sum of "
            "all types' min_workers."
        )


def _aws(node: Mapping[str, Any], place: str) -> Iterator[str]:
    for name, why in AWS_NEEDS.items():
        if name not in node:
            yield f"{place}: the field '{name}' is missing; {why}."
    tokens = node.get("MetadataOptions", {}).get("HttpTokens")
    if tokens != "required":
        yield (
            f"{place}.MetadataOptions.HttpTokens is {tokens!r}; it must be 'required', else what "
            "runs there can be tricked into giving away the machine's rights."
        )


def _mounts(config: Mapping[str, Any]) -> Iterator[str]:
    """Files that are to be copied there, and the settings among them."""
    told: dict[str, str | None] = {}
    for target, source in config.get("file_mounts", {}).items():
        path = Path(str(source)).expanduser()
        if not path.exists():
            hint = " Make it: ray get-auth-token --generate" if "auth_token" in target else ""
            yield f"file_mounts.{target}: there is no {source} (from {Path.cwd()}).{hint}"
        file = path / settings.NAME if path.is_dir() else path
        if file.name == settings.NAME and file.exists():
            found, wrong = settings.read(file)
            told |= found
            yield from wrong
    besides = str([config.get(name, "") for name in ("initialization_commands", *START)])
    yield from settings.problems(told, f"{settings.NAME} (in file_mounts)", besides)


def _starts_ray(config: Mapping[str, Any]) -> Iterator[str]:
    """Whether the commands start Ray, as head and as worker, with options that it has."""
    for name, needed in START.items():
        found = []
        for number, line in enumerate(config.get(name, [])):
            for words in ray_rules.commands(line, "ray", "start"):
                found.append(words)
                yield from (f"{name}[{number}]: {say}" for say in ray_rules.start_problems(words))
        if not any(word.partition("=")[0] == needed for words in found for word in words):
            yield f"{name}: there is no `ray start {needed}` among them."
