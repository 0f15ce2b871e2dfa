#!/usr/bin/env python3
"""The chart on a real cluster of two nodes, with encoders outside of it: tests/k8s/run cluster starts this. For some rows: cluster.py ROW..."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import lab
from encoders import Counted, Encoders
from lab import Failure

ENCODERS = 20
# Of the rollouts: longer than they take, and than what is looked at afterwards.
DEADLINE = 120
# Of the drained node: passes while the encoders still send, so that the end by the deadline is seen.
SHORT_DEADLINE = 20


def publish(node="node1"):
    """A real encoder, if one is there, and ours: outside, through a node's address."""
    token = lab.token()
    url = f"http://{lab.NODES[node]}:{lab.HTTP_PORT}/whip/one"
    environment = f"WHIPCORD_TOKEN={token}"
    lab.run(*lab.outside("env", environment, lab.BINARY, "doctor", url))
    with Counted(token) as counted:
        encoders = Encoders(1, 8, token, node, prefix="whipcord")
        try:
            counted.sending(encoders.streams, 100)
            failed = encoders.end(60)
        finally:
            encoders.stop()
        if failed:
            raise Failure(f"whipcord publish: {failed}")
        said = "whipcord publish"
        if ffmpeg := real_encoder():
            arguments = "-re -f lavfi -i testsrc=size=640x360:rate=30 -f lavfi -i sine -t 8 -c:v libx264 -preset ultrafast -tune zerolatency"
            arguments += f" -pix_fmt yuv420p -bf 0 -g 30 -c:a libopus -ar 48000 -ac 2 -f whip -authorization {token} {url}"
            process = subprocess.Popen(lab.outside(ffmpeg, "-loglevel", "error", *arguments.split()), stderr=subprocess.DEVNULL)
            try:
                counted.sending(["one"], 100)
            finally:
                process.terminate()
                process.wait()
            said += f" and FFmpeg ({counted.now['one']['packets_received']} packets)"
    return said


def real_encoder():
    """An FFmpeg that can publish: the one named, the interoperability tests' own, or the machine's."""
    unpacked = lab.ROOT / ".cache/interop/bin/ffmpeg"
    for candidate in (os.environ.get("FFMPEG"), unpacked, shutil.which("ffmpeg")):
        if candidate and pathlib.Path(candidate).exists():
            if " whip " in lab.run(candidate, "-hide_banner", "-muxers").stdout:
                return candidate
    return None


def mode(settings, level=None):
    """Installs in a mode, publishes, tests, uninstalls: nothing is left."""
    lab.namespace(level=level)
    before = everything()
    began = time.monotonic()
    lab.helm("install", settings)
    took = time.monotonic() - began
    said = publish()
    told = lab.run("helm", "test", lab.RELEASE, "--namespace", lab.NAMESPACE, "--logs", "--timeout", f"{lab.PATIENCE}s", timeout=2 * lab.PATIENCE).stdout
    if "A worker counted" not in told or "whipcord doctor URL" not in told:
        raise Failure(f"helm test says nothing of media: {told}")
    lab.uninstall()
    lab.until("nothing is left of the release", lambda: everything() == before)
    return f"whole after {took:.0f} s; {said}; helm test; nothing left"


def routed():
    """Exposure `none`: encoders that have a route to pods."""
    ways = [("10.244.1.0/24", lab.NODES["node1"]), ("10.244.2.0/24", lab.NODES["node2"])]
    for network, node in ways:
        lab.run(*lab.outside("ip", "route", "replace", network, "via", node))
    try:
        return mode(["worker.media.exposure=none", "worker.media.advertise.from=podIP"])
    finally:
        for network, _ in ways:
            lab.run(*lab.outside("ip", "route", "del", network))


def everything():
    """All objects of the namespace, but for events and what others keep for themselves."""
    kinds = lab.run("kubectl", "api-resources", "--verbs=list", "--namespaced", "-o", "name").stdout.split()
    kinds = ",".join(kind for kind in kinds if not kind.startswith("events") and "metrics" not in kind)
    listed = lab.kubectl("get", kinds, "-o", "name", "--ignore-not-found").stdout.split()
    return sorted(listed)


def rollout(count=ENCODERS, mode=(), broken=(), level=None):
    """An upgrade of everything while encoders send: none notices, and new ones come to the new workers."""
    lab.namespace(level=level)
    installed = [f"worker.drainDeadline={DEADLINE}", *mode]
    lab.helm("install", installed)
    token = lab.token()
    before = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in lab.pods("worker")}
    encoders = Encoders(count, 75, token)
    later = None
    try:
        with Counted(token) as counted:
            counted.sending(encoders.streams)
            changed = [*installed, "worker.podAnnotations.version=two", "gateway.podAnnotations.version=two", *broken]
            began = time.monotonic()
            # No longer than the encoders send: an upgrade that waits for their end is none that they do not notice.
            lab.helm("upgrade", changed, patience=45)
            took = time.monotonic() - began
            after = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in lab.pods("worker")}
            if set(before) & set(after):
                raise Failure(f"workers are the same as before: {after}")
            if "worker.media.exposure=nodePort" in mode:
                still_routed()
            counted.sending(encoders.streams, 300)
            strays = {s: v["worker"] for s, v in counted.of(encoders.streams).items() if v["worker"] not in before.values()}
            if strays:
                raise Failure(f"not on the worker where they began: {strays}")
            later = Encoders(4, 5, token, prefix="later")
            counted.sending(later.streams)
            strays = {s: v["worker"] for s, v in counted.of(later.streams).items() if v["worker"] not in after.values()}
            if strays:
                raise Failure(f"new streams came to old workers: {strays}")
            failed = {**later.end(60), **encoders.end(DEADLINE)}
            if failed:
                raise Failure(f"ended badly: {failed}")
            gaps = counted.gaps(encoders.streams)
    finally:
        encoders.stop()
        if later:
            later.stop()
    lab.until("the old workers are gone", lambda: len(lab.objects("pods", "app.kubernetes.io/component=worker")) == len(after))
    lab.uninstall()
    return f"{count} encoders, upgraded in {took:.0f} s, 0 lost, without media at most {gaps[len(gaps) // 2]:.2f} s (median), {gaps[-1]:.2f} s (longest)"


def still_routed():
    """Services lead to workers that drain: kube-proxy keeps flows that are there, but an encoder's way may change."""
    slices = [found for found in lab.objects("endpointslices") if found["metadata"]["name"].startswith(f"{lab.RELEASE}-media")]
    routed = {address for found in slices for to in found["endpoints"] or [] if to["conditions"]["ready"] for address in to["addresses"]}
    draining = [pod for pod in lab.objects("pods", "app.kubernetes.io/component=worker") if "deletionTimestamp" in pod["metadata"]]
    lost = [pod["metadata"]["name"] for pod in draining if pod["status"]["podIP"] not in routed]
    if lost or not draining:
        raise Failure(f"of {len(draining)} workers that drain nothing leads to {lost}")


def broken_rollout():
    """The same, where new workers never become ready, must fail; and live sessions must not notice that either."""
    try:
        said = rollout(broken=["worker.readinessProbe.httpGet.path=/nothing"])
    except Failure as failure:
        if "helm upgrade" not in str(failure):
            raise
        # The old ones serve: none of them was told to end before a new one was ready.
        serving = lab.objects("deployments", "app.kubernetes.io/component=worker")[0]["status"].get("readyReplicas", 0)
        if serving != 2:
            raise Failure(f"{serving} workers are left of 2") from failure
        lab.uninstall()
        return "helm upgrade fails, and both old workers serve on"
    raise Failure(f"a rollout whose pods are never ready is said to be whole: {said}")


def scaled():
    """Whoever sets the number of workers is not overruled by an upgrade: neither the one by which that begins, nor the next."""
    lab.namespace()
    lab.helm("install", [])

    def wanted():
        return lab.objects("deployments", "app.kubernetes.io/component=worker")[0]["spec"]["replicas"]

    elsewhere = ["worker.autoscaling.mode=external", "worker.autoscaling.minReplicas=1"]
    lab.helm("upgrade", elsewhere)
    if wanted() != 2:
        raise Failure(f"{wanted()} workers of 2 after the upgrade that hands them over")
    lab.kubectl("scale", "deployment", f"{lab.RELEASE}-worker", "--replicas=1")
    lab.helm("upgrade", [*elsewhere, "worker.podAnnotations.version=two"])
    if wanted() != 1:
        raise Failure(f"{wanted()} workers, where 1 was set")
    lab.uninstall()
    return "2 stay 2, and 1 stays 1"


def full_disk():
    """A full volume of recordings stops recording, and neither the session nor the pod."""
    lab.namespace()
    # A second of the test picture is 100 kB.
    lab.helm("install", ["worker.replicas=1", "worker.recordings.mode=emptyDir", "worker.recordings.size=1Mi"])
    token = lab.token()
    worker = lab.pods("worker")[0]
    encoders = Encoders(1, 30, token)
    try:
        failed = encoders.end(120)
    finally:
        encoders.stop()
    if failed:
        raise Failure(f"the session ended with the disk: {failed}")
    told = lab.run(lab.LAB / "on.sh", "node1", "curl", "-sS", "-m", "5", f"http://{worker['status']['podIP']}:9091/metrics").stdout
    refused = [line for line in told.splitlines() if line.startswith("whipcord_recording_errors_total") and not line.endswith(" 0")]
    after = lab.pods("worker")[0]
    if not refused:
        raise Failure("nothing is said of a disk that is full")
    if after["metadata"]["uid"] != worker["metadata"]["uid"] or after["status"]["containerStatuses"][0]["restartCount"]:
        raise Failure(f"the worker did not outlive it: {after['status']}")
    lab.uninstall()
    return f"30 s of media to the end, {refused[0].split()[-1]} refused write counted"


def drained_node():
    """kubectl drain: the node's sessions go on until the deadline, the other node's do not notice, and no eviction is an error."""
    lab.namespace()
    lab.helm("install", [f"worker.drainDeadline={SHORT_DEADLINE}"])
    token = lab.token()
    encoders = Encoders(6, 60, token, node="node2")
    try:
        with Counted(token) as counted:
            counted.sending(encoders.streams)
            of_node = {pod["metadata"]["name"] for pod in lab.pods("worker") if pod["spec"]["nodeName"] == "node1"}
            moved = [s for s, v in counted.of(encoders.streams).items() if v["worker"] in of_node]
            stay = [s for s in encoders.streams if s not in moved]
            if not moved or not stay:
                raise Failure(f"not on both nodes: {moved} and {stay}")
            began = time.monotonic()
            drain = lab.run("kubectl", "drain", "node1", "--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={SHORT_DEADLINE + 30}s",
                            check=False, timeout=2 * lab.PATIENCE)
            took = time.monotonic() - began
            said = drain.stdout + drain.stderr
            if drain.returncode != 0 or "InternalError" in said or "500" in said:
                raise Failure(f"kubectl drain: {said}")
            counted.sending(stay)
            fresh = Encoders(2, 4, token, node="node2", prefix="fresh")
            failed = fresh.end(60)
            if failed:
                raise Failure(f"published after the drain: {failed}")
            failed = {s: v for s, v in encoders.end(120).items() if s in stay}
            if failed:
                raise Failure(f"on the other node, and ended badly: {failed}")
    finally:
        encoders.stop()
        lab.run("kubectl", "uncordon", "node1")
    lab.uninstall()
    return f"{took:.0f} s with a deadline of {SHORT_DEADLINE}; {len(stay)} sessions of the other node went on"


def own_keys():
    """Keys of whipcord keygen, and a password for Redis, as where the chart cannot look; without the chart's own there is no `helm test`."""
    lab.namespace()
    with tempfile.TemporaryDirectory() as work:
        keys = pathlib.Path(work) / "keys"
        lab.run(lab.BINARY, "keygen", "--cluster-id", "studio", keys)
        (keys / "ca.key").unlink()
        lab.kubectl("create", "secret", "generic", "whipcord-keys", f"--from-file={keys}/")
    lab.kubectl("create", "secret", "generic", "whipcord-redis", "--from-literal=password=example-of-a-password")
    lab.helm("install", ["existingSecret=whipcord-keys", "redis.existingSecret=whipcord-redis", "clusterId=studio"])
    said = publish()
    secrets = [secret["metadata"]["name"] for secret in lab.objects("secrets", "app.kubernetes.io/name=whipcord")]
    if secrets:
        raise Failure(f"the chart made secrets of its own: {secrets}")
    lab.uninstall()
    return said


def unreachable():
    """An address that leads to nobody: `helm test` must say so."""
    lab.namespace()
    nowhere = ["worker.replicas=1", "worker.media.advertise.from=addresses", "worker.media.advertise.addresses={10.88.0.99}"]
    lab.helm("install", nowhere)
    tested = lab.run("helm", "test", lab.RELEASE, "--namespace", lab.NAMESPACE, "--logs", "--timeout", f"{lab.PATIENCE}s", check=False, timeout=2 * lab.PATIENCE)
    if tested.returncode == 0 or "No worker counted 100 packets" not in tested.stdout:
        raise Failure(f"helm test passes where media cannot: {tested.stdout}")
    lab.uninstall()
    # As its logs are wanted; the next test would delete it.
    lab.kubectl("delete", "pod", f"{lab.RELEASE}-test")
    return "helm test fails"


def kept_keys():
    """An upgrade keeps what the first install made; after a year it signs other certificates, by the same authority."""
    lab.namespace()
    lab.helm("install", [])

    def secret():
        return lab.objects("secrets", "app.kubernetes.io/name=whipcord")[0]["data"]

    before = secret()
    lab.helm("upgrade", ["log.level=debug"])
    if secret() != before:
        raise Failure("the upgrade made other keys")
    lab.kubectl("annotate", "--overwrite", "secret", f"{lab.RELEASE}-keys", "whipcord.internal/signed=0")
    # Other pods, which start with the new files: the gateways' certificate is then of the one signing and the workers' of the other, for a while.
    lab.helm("upgrade", ["log.level=debug", "worker.podAnnotations.version=two"], flags=["--force-conflicts"])
    now = secret()
    changed = {file for file in now if now[file] != before[file]}
    if changed != {"gateway.pem", "gateway.key", "worker.pem", "worker.key"}:
        raise Failure(f"after a year other files are {changed}")
    publish()
    lab.uninstall()
    return f"{len(before)} files the same, and after a year 4 others, which do"


ROWS = {
    "hostPort": lambda: mode([]),
    "hostNetwork": lambda: mode(["worker.media.exposure=hostNetwork"]),
    "nodePort": lambda: mode(["worker.media.exposure=nodePort"], level="restricted"),
    "none": routed,
    "own_keys": own_keys,
    "unreachable": unreachable,
    "kept_keys": kept_keys,
    "scaled": scaled,
    "full_disk": full_disk,
    "rollout": rollout,
    "rollout_hostNetwork": lambda: rollout(6, ["worker.media.exposure=hostNetwork"]),
    "rollout_nodePort": lambda: rollout(6, ["worker.media.exposure=nodePort"], level="restricted"),
    "broken_rollout": broken_rollout,
    "drained_node": drained_node,
}


def main():
    lab.images()
    failed = 0
    for name in sys.argv[1:] or ROWS:
        began = time.monotonic()
        try:
            outcome, said = "ok", ROWS[name]()
        except Failure as failure:
            outcome, said, failed = "FAILED", str(failure), failed + 1
        print(f"{outcome:8} {time.monotonic() - began:5.0f} s  {name}: {said}", flush=True)
    lab.run("kubectl", "delete", "namespace", lab.NAMESPACE, "--ignore-not-found", timeout=2 * lab.PATIENCE)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
