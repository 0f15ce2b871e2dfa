"""Encoders outside the cluster, and what workers count of each of them."""

import json
import subprocess
import threading
import time

import lab
from lab import Failure

# Between two looks at what workers count.
LOOK = 0.5
# A look that took longer does not tell when it counted: a gateway that ends in this moment, a machine with other work.
PROMPT = 0.8


class Encoders:
    """So many of `whipcord publish`, each with a stream of its own, for so many seconds of media."""

    def __init__(self, count, seconds, token, node="node1", prefix="live"):
        self.streams = [f"{prefix}/{number}" for number in range(count)]
        environment = f"WHIPCORD_TOKEN={token}"
        url = f"http://{lab.NODES[node]}:{lab.HTTP_PORT}/whip"
        self.running = {
            stream: subprocess.Popen(
                lab.outside("env", environment, lab.BINARY, "publish", f"{url}/{stream}", "test", "--duration", f"{seconds}s", "--json"),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for stream in self.streams
        }

    def end(self, patience):
        """Waits for all; what those said that failed, by stream."""
        failed = {}
        for stream, process in self.running.items():
            try:
                _, said = process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                process.terminate()
                _, said = process.communicate()
                said += f" (and went on for {patience} s)"
            if process.returncode != 0:
                failed[stream] = said.strip().splitlines()[-1:]
        return failed

    def stop(self):
        """Whatever happens, none outlives its row."""
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
                process.wait()


class Counted:
    """What workers count, asked of any gateway twice a second: of each stream its session now, and how its packets grew."""

    def __init__(self, token):
        self.token = token
        self.now = {}
        self.grown = {}
        self.refused = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()

    def _watch(self):
        while not self.stopped.wait(LOOK):
            asked = time.monotonic()
            try:
                found = sessions(self.token)
            except (Failure, subprocess.TimeoutExpired, ValueError, IndexError) as failure:
                # A gateway that ends in this moment; the next look asks another.
                self.refused.append(str(failure))
                continue
            # Counted somewhere between question and answer.
            at = (asked + time.monotonic()) / 2
            is_prompt = time.monotonic() - asked < PROMPT
            for session in found:
                self.now[session["stream"]] = session
                if is_prompt:
                    self.grown.setdefault(session["sid"], []).append((at, session["packets_received"]))

    def gaps(self, streams):
        """Of each of these streams the longest time between two looks for which no packets came, at the stream's own rate; in seconds, sorted."""
        return sorted(longest_gap(self.grown.get(session["sid"], [])) for session in self.of(streams).values())

    def of(self, streams):
        """Those of these streams that are counted."""
        return {stream: self.now[stream] for stream in streams if stream in self.now}

    def sending(self, streams, packets=50):
        """Waits until each has been counted with so many packets more than now."""
        before = {stream: session["packets_received"] for stream, session in self.of(streams).items()}

        def all_do():
            now = self.of(streams)
            return len(now) == len(streams) and all(now[s]["packets_received"] >= before.get(s, 0) + packets for s in streams)

        lab.until(f"{packets} more packets of each of {len(streams)} streams (counted are {len(self.of(streams))})", all_do)


def longest_gap(looks):
    """Packets come evenly: those that are missing between two looks are time without media. What a look's own time may err by is in it."""
    if len(looks) < 10:
        raise Failure(f"only {len(looks)} looks were prompt: this machine is too slow to tell gaps")
    (first, none), (last, all_of_them) = looks[0], looks[-1]
    rate = (all_of_them - none) / (last - first)
    between = zip(looks, looks[1:])
    return max(max(0.0, (b - a) - (came - had) / rate) for (a, had), (b, came) in between)


def sessions(token):
    """All live ones, with their figures, as some gateway tells them."""
    ready = [pod for pod in lab.pods("gateway") if pod["status"].get("podIP")]
    address = ready[0]["status"]["podIP"]
    asked = lab.run(lab.LAB / "on.sh", "node1", "curl", "-sS", "-m", "5", "-H", f"Authorization: Bearer {token}", f"http://{address}:9090/api/sessions")
    return json.loads(asked.stdout)["sessions"]
