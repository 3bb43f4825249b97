"""The Helm chart, rendered by helm itself: valid for Kubernetes, and about things that exist."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from core.settings import STAGES, Settings
from tests.cli.command import ROOT
from tests.cli.test_compose import parse
from tests.deadlines import HANG_SECONDS
from topics.topology import topics_read

CHART = ROOT / "deploy" / "helm" / "darkroom"
REQUIRED = {
    "kafka.brokers": "kafka:9092",
    "qdrant.url": "http://qdrant:6333",
    "apiKey.secret": "key",
    "photos.claim": "photographs",
}


def render(**values: object) -> subprocess.CompletedProcess[str]:
    given = [f"--set={name}={value}" for name, value in (REQUIRED | values).items() if value is not None]
    helm = Path(sys.executable).with_name("helm")
    command: list[str | Path] = [helm, "template", "photos", CHART, *given]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=HANG_SECONDS)


def objects(**values: object) -> dict[tuple[str, str], dict[str, Any]]:
    rendered = render(**values)
    assert rendered.returncode == 0, rendered.stderr
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(rendered.stdout) if each}


def container(workload: dict[str, Any]) -> dict[str, Any]:
    (found,) = workload["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"ml.url": "http://clip:8001", "ml.tokenSecret": "token", "uploads.claim": "uploads"},
        {"ml.model": "small", "ml.environment.HF_ENDPOINT": "http://mirror", "ml.storage": "2Gi"},
        {"autoscaling.enabled": "false", "settingsSecrets[0]": "kafka-login", "settings.CPU_PROCESSES": "4"},
    ],
    ids=["plain", "with an ML service and uploads", "with a model", "without KEDA"],
)
def test_it_is_valid_for_kubernetes(values: dict[str, str]) -> None:
    found = objects(**values)
    for each in found.values():
        if not each["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(each, "1.37", strict=True)
    assert (("Deployment", "photos-ml") in found) == ("ml.url" not in values)
    assert (("ScaledObject", "photos-hash") in found) == ("autoscaling.enabled" not in values)


def test_every_stage_has_workers_that_scale_on_the_lag_of_its_group() -> None:
    found = objects()
    for stage in STAGES:
        workload = found["StatefulSet", f"photos-{stage}"]
        assert container(workload)["command"] == ["darkroom", "worker", "--stages", stage]
        scaler = found["ScaledObject", f"photos-{stage}"]["spec"]
        assert scaler["scaleTargetRef"] == {"kind": "StatefulSet", "name": f"photos-{stage}"}
        triggers = [trigger["metadata"] for trigger in scaler["triggers"]]
        assert {trigger["topic"] for trigger in triggers} == set(topics_read(stage))
        assert {trigger["consumerGroup"] for trigger in triggers} == {f"{Settings().kafka_group_prefix}-{stage}"}


def test_models_of_the_ml_service_outlive_its_pod() -> None:
    found = objects(**{"ml.model": "small", "ml.environment.HF_ENDPOINT": "http://mirror"})
    pod = found["Deployment", "photos-ml"]["spec"]["template"]["spec"]
    (fetching,), (service,) = pod["initContainers"], pod["containers"]
    parse(fetching["command"])
    assert fetching["command"] == ["darkroom", "models", "get", "small"]
    for one in (fetching, service):
        environment = {each["name"]: each["value"] for each in one["env"]}
        assert environment["ML_MODEL"] == "small"
        assert environment["HF_ENDPOINT"] == "http://mirror"
        assert {"name": "models", "mountPath": environment["DARKROOM_DATA"]} in one["volumeMounts"]
    claims = [each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"] if each["name"] == "models"]
    assert [("PersistentVolumeClaim", name) in found for name in claims] == [True]
    assert found["Deployment", "photos-ml"]["spec"]["strategy"] == {"type": "Recreate"}


def test_without_a_model_nothing_is_fetched() -> None:
    pod = objects()["Deployment", "photos-ml"]["spec"]["template"]["spec"]
    assert "initContainers" not in pod
    assert "ML_MODEL" not in {each["name"] for each in pod["containers"][0]["env"]}
    assert ("PersistentVolumeClaim", "photos-ml") not in objects(**{"ml.url": "http://clip:8001"})


def test_prometheus_finds_the_metrics_of_every_worker() -> None:
    found = objects()
    port = found["ConfigMap", "photos-settings"]["data"]["METRICS_PORT"]
    for stage in STAGES:
        workload = found["StatefulSet", f"photos-{stage}"]
        annotations = workload["spec"]["template"]["metadata"]["annotations"]
        assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": port}
        assert [str(each["containerPort"]) for each in container(workload)["ports"]] == [port]


def test_commands_and_settings_exist() -> None:
    found = objects()
    for kind, name in found:
        if kind in {"Deployment", "StatefulSet"}:
            parse(container(found[kind, name])["command"])
            probe = container(found[kind, name]).get("livenessProbe", {})
            if "exec" in probe:
                parse(probe["exec"]["command"])
    given = found["ConfigMap", "photos-settings"]["data"]
    assert {name.lower() for name in given} <= set(Settings.model_fields)
    Settings.model_validate({name.lower(): value for name, value in given.items() if name != "INGEST_ROOTS"})


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_value_that_is_missing_is_named(missing: str) -> None:
    answer = render(**{missing: None})
    assert answer.returncode != 0
    assert f"{missing}:" in answer.stderr


def test_more_workers_than_partitions_are_refused() -> None:
    answer = render(**{"stages.prepare.max": 9})
    assert answer.returncode != 0
    assert "stages.prepare.max is 9: more workers than the 8 partitions" in answer.stderr
