"""The laboratory's cluster, the chart in it, and a host outside that encoders run on. Every wait has a deadline and says what it waited for."""

import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "whipcord"
LAB = pathlib.Path(os.environ["K8S_LAB"])
BINARY = pathlib.Path(os.environ["WHIPCORD_BINARY"])
NAMESPACE = "whipcord"
RELEASE = "whipcord"
# Of nodes 1 and 2, as the laboratory gives them.
NODES = {"node1": "10.88.0.11", "node2": "10.88.0.12"}
HTTP_PORT = 30080
# A machine that does other work as well: a pod that is started, an object that is gone.
PATIENCE = 180

# No image of Valkey can be had here: Debian's Redis, with a busybox for the script of `helm test`.
IMAGES = ["redis.image.repository=localhost/redis", "redis.image.tag=test", "redis.command={redis-server}"]
# What the laboratory's two small nodes have room for.
SMALL = ["worker.resources.requests.cpu=50m", "worker.resources.requests.memory=64Mi", "gateway.resources.requests.cpu=50m"]
REACHED = ["gateway.service.type=NodePort", f"gateway.service.nodePort={HTTP_PORT}"]


class Failure(Exception):
    """What did not hold, in a sentence."""


def run(*command, check=True, timeout=PATIENCE, **more):
    """The command's outcome; its text is in `stdout` and `stderr`."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout, check=False, **more)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def kubectl(*command, namespace=NAMESPACE, **more):
    return run("kubectl", "--namespace", namespace, *command, **more)


def objects(kind, selector="", namespace=NAMESPACE):
    return json.loads(kubectl("get", kind, "-o", "json", *(["-l", selector] if selector else []), namespace=namespace).stdout)["items"]


def pods(component):
    """Those of a role that are not about to end."""
    found = objects("pods", f"app.kubernetes.io/component={component}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def outside(*command):
    """A command line that runs outside the cluster."""
    return [str(LAB / "on.sh"), "client", *map(str, command)]


def until(what, holds, patience=PATIENCE):
    """What `holds` returns as soon as it is not nothing."""
    end = time.monotonic() + patience
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"not within {patience} s: {what}")
        time.sleep(0.2)


def namespace(name=NAMESPACE, level=None):
    """An empty one."""
    run("kubectl", "delete", "namespace", name, "--ignore-not-found", "--timeout", f"{PATIENCE}s", timeout=2 * PATIENCE)
    run("kubectl", "create", "namespace", name)
    if level:
        run("kubectl", "label", "namespace", name, f"pod-security.kubernetes.io/enforce={level}")


def helm(action, settings, patience=PATIENCE, flags=()):
    """Installs or upgrades with these settings besides those of the laboratory; waits until all pods are ready."""
    values = [flag for setting in [*IMAGES, *SMALL, *REACHED, *settings] for flag in ("--set", setting)]
    command = ("helm", action, RELEASE, CHART, "--namespace", NAMESPACE, "--wait", "--timeout", f"{patience}s")
    return run(*command, *values, *flags, timeout=patience + PATIENCE)


def uninstall():
    run("helm", "uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", f"{PATIENCE}s", timeout=2 * PATIENCE)


def token():
    """One that may do everything."""
    made = kubectl("exec", f"deploy/{RELEASE}-gateway", "--", "whipcord", "token", "make", "--stream", "*", "--admin")
    return made.stdout.strip()


def images():
    """Makes the two images, and loads them into the nodes."""
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        image = LAB / "image.sh"
        run("cp", BINARY, work / "whipcord")
        # Its symbols are most of its size.
        run("strip", work / "whipcord")
        run(image, "libs", work / "program", work / "whipcord")
        authorities = pathlib.Path("etc/ssl/certs/ca-certificates.crt")
        run("install", "-D", "/" / authorities, work / "program" / authorities)
        run(image, "libs", work / "redis", "/usr/bin/redis-server", "/bin/busybox")
        (work / "redis/tmp").mkdir()
        for applet in ("sh", "wget", "grep", "head", "cut", "cat", "sleep", "echo"):
            (work / "redis/usr/bin" / applet).symlink_to("busybox")
        version = next(line.split()[1] for line in (CHART / "Chart.yaml").read_text().splitlines() if line.startswith("appVersion:"))
        made = {"program": f"ghcr.io/whipcord/whipcord:{version}", "redis": "localhost/redis:test"}
        for folder, name in made.items():
            with open(work / f"{folder}.tar", "wb") as tar:
                entry = "/usr/bin/whipcord" if folder == "program" else "/usr/bin/redis-server"
                subprocess.run([image, "make", name, work / folder, entry], stdout=tar, check=True)
            run(image, "load", work / f"{folder}.tar")
