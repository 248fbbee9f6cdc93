"""The manifests for Kubernetes: they are valid, and what they say of the project is so."""

import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pyspark
import pytest
import yaml

from pipeline import errors
from pipeline.runs.plan import make_plan
from pipeline.spark.java import find_java
from serving.app import create_app
from serving.watch import ModelWatch

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
RESOURCES = [
    pytest.param(one, id=f"{path.stem}-{one['kind']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for one in yaml.safe_load_all(path.read_text())
]
VERSIONS = ("1.31", "1.37")  # the first with podFailurePolicy as it is now, and the newest that the checker knows


def find(kind: str) -> dict:
    return next(param.values[0] for param in RESOURCES if param.values[0]["kind"] == kind)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_manifest_is_valid(resource, version):
    kubernetes_validate.validate(resource, version, strict=True)


def test_a_misspelt_field_is_noticed():
    resource = yaml.safe_load((FOLDER / "run.yaml").read_text())
    resource["spec"]["timezone"] = resource["spec"].pop("timeZone")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)


def test_the_evening_run_is_not_repeated_where_that_mends_nothing():
    job = find("CronJob")["spec"]
    assert job["concurrencyPolicy"] == "Forbid" and job["timeZone"] == "America/New_York"
    template = job["jobTemplate"]["spec"]["template"]["spec"]
    rule = job["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][0]
    kinds = (errors.ParameterError, errors.InputError, errors.QualityError)
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [kind.exit_code for kind in kinds]
    assert rule["onExitCodes"]["containerName"] == template["containers"][0]["name"]
    assert template["restartPolicy"] == "Never"  # which a policy on exit codes needs


def test_the_run_is_one_that_run_all_takes():
    (container,) = find("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    arguments = container["args"]
    given = {name: value for name, value in zip(arguments, arguments[1:], strict=False) if name.startswith("--")}
    pairs = [(arguments[at + 1], arguments[at + 2]) for at, word in enumerate(arguments) if word == "-p"]
    plan = make_plan(ROOT / given["--params"], pairs, given["--run-dir"].replace("BUCKET", "bucket"))
    assert plan["SPARK_MASTER"].startswith("k8s://") and plan["DATA_DIR"].startswith("s3://")


def test_probes_ask_for_what_the_server_answers(tmp_path):
    routes = {rule.rule for rule in create_app(ModelWatch(tmp_path)).url_map.iter_rules()}
    (container,) = find("Deployment")["spec"]["template"]["spec"]["containers"]
    probes = {name: probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    assert probes == {"startupProbe": "/ready", "readinessProbe": "/ready", "livenessProbe": "/health"}
    assert set(probes.values()) <= routes


def test_names_point_at_each_other():
    service, deployment = find("Service")["spec"], find("Deployment")["spec"]
    assert service["selector"] == deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
    account = find("ServiceAccount")["metadata"]["name"]
    assert find("RoleBinding")["subjects"][0]["name"] == account
    assert find("RoleBinding")["roleRef"]["name"] == find("Role")["metadata"]["name"]
    run = find("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert run["serviceAccountName"] == deployment["template"]["spec"]["serviceAccountName"] == account
    assert run["volumes"][0]["configMap"]["name"] == find("ConfigMap")["metadata"]["name"]
    images = set(re.findall(r"REGISTRY/\S+", "".join(path.read_text() for path in FOLDER.glob("*.yaml"))))
    assert len(images) == 1


def test_the_image_copies_what_is_there():
    for line in re.findall(r"^COPY (.*) \S+$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE):
        assert list(ROOT.glob(line)), line


def test_an_executor_is_started_with_what_spark_passes(tmp_path):
    """The pod's script by itself: a Java that writes down how it was called stands in for the real one."""
    (tmp_path / "python").write_text(f"#!/bin/sh\necho {tmp_path}/java\n")
    (tmp_path / "java").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    for name in ("python", "java"):
        (tmp_path / name).chmod(0o755)
    script = (FOLDER / "executor.sh").read_text().replace("cd /market", "cd /")
    passed = {
        "SPARK_EXECUTOR_MEMORY": "1g",
        "SPARK_JAVA_OPT_0": "-Dspark.a=b c",
        "SPARK_JAVA_OPT_1": "-Dspark.x=y",
        "SPARK_HOME": "/spark",
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@10.0.0.1:7078",
        "SPARK_EXECUTOR_ID": "1",
        "SPARK_EXECUTOR_CORES": "2",
        "SPARK_APPLICATION_ID": "spark-1",
        "SPARK_EXECUTOR_POD_IP": "10.0.0.2",
        "SPARK_RESOURCE_PROFILE_ID": "0",
        "SPARK_EXECUTOR_POD_NAME": "market-exec-1",
    }
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", script, "sh", "executor"], env=passed | path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[:4] == ["-Xms1g", "-Xmx1g", "-Dspark.a=b c", "-Dspark.x=y"]
    assert "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend" in said
    options = dict(zip(said[7::2], said[8::2], strict=True))
    assert options["--driver-url"] == passed["SPARK_DRIVER_URL"] and options["--podName"] == "market-exec-1"
    done = subprocess.run(["sh", "-c", script, "sh", "echo", "as it is"], env=path, capture_output=True, text=True)
    assert done.stdout == "as it is\n"


def test_spark_knows_the_options_of_an_executor():
    home = Path(pyspark.__file__).parent
    program = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
    command = [str(find_java() / "bin" / "java"), "-cp", f"{home}/jars/*", program, "--nonsense"]
    usage = subprocess.run(command, capture_output=True, text=True, timeout=60).stderr
    assert "--podName" in usage
    script = (FOLDER / "executor.sh").read_text()
    assert program in script
    assert set(re.findall(r" (--[a-zA-Z-]+) \"", script)) <= set(re.findall(r"^ +(--\S+) <", usage, re.MULTILINE))
