"""What test-kubernetes holds the manifests to."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent / "kubernetes"
VERSIONS = [f"1.{minor}" for minor in range(28, 36)]
WAYS = {"daemon": ["Deployment"], "cronjob": ["CronJob", "CronJob"]}
# Argon2id takes 64 MiB of it for every password; see test-image, which runs the program in so much.
LEAST_MEMORY = 96 << 20
COPIES = tempfile.TemporaryDirectory()
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def built(way, root=HERE):
    """The objects that `kubectl apply -k` of this directory makes."""
    text = subprocess.run([os.environ["KUBECTL"], "kustomize", root / way], check=True, stdout=subprocess.PIPE).stdout
    return list(yaml.safe_load_all(text))


def changed(*edits):
    """A copy of the manifests in which patterns of files were replaced."""
    root = Path(tempfile.mkdtemp(dir=COPIES.name))
    shutil.copytree(HERE, root, dirs_exist_ok=True)
    for name, pattern, text in edits:
        file = root / name
        content, count = re.subn(pattern, text, file.read_text(), flags=re.M)
        assert count, f"{name} holds no {pattern}"
        file.write_text(content)
    return root


def of_kind(objects, kind):
    return [found for found in objects if found["kind"] == kind]


def pod_of(workload):
    spec = workload["spec"]
    return (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]


def pods(objects):
    return [pod_of(found) for found in objects if found["kind"] in ("Deployment", "CronJob")]


def size(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]i)", text).groups()
    return int(number) * UNITS[unit]


def valid(objects, what):
    for found in objects:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(found, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                raise AssertionError(f"{what}: {found['kind']} in Kubernetes {version}: {error.message}") from error


def every_version_takes_what_is_made():
    for way, kinds in WAYS.items():
        objects = built(way)
        valid(objects, way)
        workloads = [found["kind"] for found in objects if found["kind"] not in ("ConfigMap", "Secret", "NetworkPolicy")]
        assert workloads == kinds, f"{way} runs {workloads}"


def no_command_starts_both_ways():
    # `kubectl apply -f DIRECTORY` takes these, and none of what lies deeper
    directly = [file.name for file in HERE.iterdir() if file.suffix in (".yaml", ".yml", ".json")]
    assert not directly, f"apply -f starts {directly}"
    # with -R it takes each file as it lies there: no pod of these starts, for nothing has the names that they wait for
    taken = [found for file in HERE.rglob("*.yaml") for found in yaml.safe_load_all(file.read_text())]
    plain = [found for found in taken if found.get("kind") in ("ConfigMap", "Secret")]
    assert not plain, "a ConfigMap or Secret has a name without -k"
    for pod in pods([found for found in taken if "kind" in found]):
        assert any("configMap" in volume for volume in pod["spec"]["volumes"])
    # none of the two brings the other along
    for way, kinds in WAYS.items():
        other = {"Deployment", "CronJob"} - set(kinds)
        assert not [found for found in built(way) if found["kind"] in other], way


def a_change_of_configuration_or_secrets_restarts_the_daemon():
    before = pods(built("daemon"))
    for name, pattern in [("common/config.yaml", "my-backups"), ("common/secrets.env", "^db_password=.*")]:
        after = pods(built("daemon", changed((name, pattern, "db_password=other"))))
        assert before != after, f"{name} changes and no pod does"
    assert before == pods(built("daemon", changed())), "a pod changes by itself"


def each_pod_has_what_it_needs():
    for way in WAYS:
        objects = built(way)
        names = {found["metadata"]["name"] for found in objects if found["kind"] in ("ConfigMap", "Secret")}
        keys = set().union(*(found["data"] for found in of_kind(objects, "Secret")))
        (policy,) = of_kind(objects, "NetworkPolicy")
        wanted = policy["spec"]["podSelector"]["matchLabels"].items()
        for pod in pods(objects):
            assert wanted <= pod["metadata"]["labels"].items(), "the network policy is of no pod"
            spec = pod["spec"]
            (container,) = spec["containers"]
            volumes = {volume["name"]: volume for volume in spec["volumes"]}
            mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
            assert mounts["/etc/backupkit"]["configMap"]["name"] in names
            assert mounts["/run/secrets/backupkit"]["secret"]["secretName"] in names
            for variable in container["env"]:
                file = Path(variable["value"])
                assert str(file.parent) == "/run/secrets/backupkit" and file.name in keys, variable
            # what restore --jobs keeps there may be as large as the database, and a node's memory is not
            room = mounts["/var/tmp"]["emptyDir"]
            assert "medium" not in room and size(room["sizeLimit"]) >= 1 << 30, room
            memory = container["resources"]["requests"]["memory"], container["resources"]["limits"]["memory"]
            assert LEAST_MEMORY <= size(memory[0]) <= size(memory[1]), memory
            # a name that exists nowhere, with a version, for an architecture
            assert re.fullmatch(r"registry\.invalid/backupkit:\d+\.\d+\.\d+", container["image"]), container["image"]
            assert spec["nodeSelector"]["kubernetes.io/arch"] == "amd64"


def the_registry_is_named_in_one_place():
    root = changed(("common/kustomization.yaml", "newName: .*", "newName: registry.example.com/pg/backupkit"))
    images = {pod["spec"]["containers"][0]["image"] for way in WAYS for pod in pods(built(way, root))}
    assert len(images) == 1, images
    assert images.pop().startswith("registry.example.com/pg/backupkit:"), "the name is not taken over"


def the_daemon_is_probed_and_jobs_fail_by_their_exit_status():
    (daemon,) = of_kind(built("daemon"), "Deployment")
    assert daemon["spec"]["replicas"] == 1 and daemon["spec"]["strategy"]["type"] == "Recreate"
    (container,) = pod_of(daemon)["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe"):
        # no shell in the image; that the program takes it is a test of cargo's
        assert container[probe]["exec"]["command"][0] == "/usr/bin/backupkit", probe
    for job in of_kind(built("cronjob"), "CronJob"):
        spec = job["spec"]["jobTemplate"]["spec"]
        # without it Kubernetes refuses a policy
        assert spec["template"]["spec"]["restartPolicy"] == "Never"
        actions = {}
        for rule in spec["podFailurePolicy"]["rules"]:
            for status in rule.get("onExitCodes", {}).get("values", []):
                actions[status] = rule["action"]
                assert rule["onExitCodes"]["containerName"] == spec["template"]["spec"]["containers"][0]["name"]
        assert actions == {11: "Ignore"} | dict.fromkeys((2, 10, 12, 13, 15), "FailJob"), actions


def lines_to_uncomment_are_valid():
    policy = ("common/network-policy.yaml", r"^( *)#(?=\S)", r"\1")
    account = [(f"{file}.yaml", r"^( *)#(?=service)", r"\1") for file in ("daemon/deployment", "cronjob/backup", "cronjob/verify")]
    volume = [(f"{way}/kustomization.yaml", r"#(?=- )", "") for way in WAYS]
    root = changed(policy, *account, *volume)
    for way in WAYS:
        objects = built(way, root)
        valid(objects, f"{way} with all lines")
        (claim,) = of_kind(objects, "PersistentVolumeClaim")
        for pod in pods(objects):
            assert pod["spec"].get("serviceAccountName") == "backupkit"
            named = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["spec"]["volumes"] if "persistentVolumeClaim" in volume]
            assert named == [claim["metadata"]["name"]], "no pod has the volume"
            paths = [mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]]
            assert "/var/backups/backupkit" in paths, paths
        (found,) = of_kind(objects, "NetworkPolicy")
        rules = found["spec"]["egress"]
        blocks = [to["ipBlock"]["cidr"] for rule in rules for to in rule.get("to", []) if "ipBlock" in to]
        ports = {port["port"] for rule in rules for port in rule["ports"]}
        for address in ("169.254.20.10/32", "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "10.0.0.0/16"):
            assert address in blocks, f"{address} of {blocks}"
        assert {53, 80, 443, 465, 587, 5432, 9000} <= ports, ports
    # and as it comes nothing leads to the role of the node
    (found,) = of_kind(built("daemon"), "NetworkPolicy")
    assert "169.254.169.254" not in str(found)


def main():
    failed = False
    for check in (
        every_version_takes_what_is_made,
        no_command_starts_both_ways,
        a_change_of_configuration_or_secrets_restarts_the_daemon,
        each_pod_has_what_it_needs,
        the_registry_is_named_in_one_place,
        the_daemon_is_probed_and_jobs_fail_by_their_exit_status,
        lines_to_uncomment_are_valid,
    ):
        what = check.__name__.replace("_", " ")
        try:
            check()
            print(f"  ok  {what}")
        except AssertionError as error:
            print(f"FAILED: {what}: {error}", file=sys.stderr)
            failed = True
    return failed


sys.exit(main())
