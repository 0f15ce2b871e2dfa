#!/usr/bin/env python3
"""Makes the chart's README.md of values.yaml: a row for each value, with its `# --` comment.

    helm/readme.py            writes it
    helm/readme.py --check    fails if it is not what it would write
"""

import pathlib
import re
import sys

CHART = pathlib.Path(__file__).parent / "whipcord"

HEAD = """\
# The chart of Whipcord

    helm install whipcord oci://ghcr.io/whipcord/charts/whipcord --namespace whipcord --create-namespace

[docs/kubernetes.md](../../docs/kubernetes.md) leads through kind, k3s, EKS and machines of your own; [UPGRADING.md](UPGRADING.md) through upgrades. `ci/` has
values for each way by which media reaches workers, and the tests install them.

`gateway`, `worker`, `controller` and `redis` have the same keys for what all pods have. Values that are no key of this table are refused.

| value | default | |
|---|---|---|
"""

KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z]+):(?P<rest>.*)$")


# Objects of Kubernetes's, in one row each.
WHOLE = {"resources", "lifecycle", "podSecurityContext", "securityContext", "startupProbe", "livenessProbe", "readinessProbe"}


def rows(lines):
    """Of each value: its path, default and comment."""
    path, comment = [], ""
    for line, following in zip(lines, [*lines[1:], ""]):
        if line.strip().startswith("# -- "):
            comment = line.strip().removeprefix("# -- ")
        match = KEY.match(line)
        if match is None:
            continue
        path = [*path[: len(match["indent"]) // 2], match["key"]]
        default = re.sub(r"&\w+", "", match["rest"]).strip()
        is_inside = any(key in WHOLE for key in path[:-1])
        is_object = not default and not following.strip().startswith("- ") and path[-1] not in WHOLE
        if not is_inside and not is_object:
            yield ".".join(path), default, comment
            comment = ""


def text():
    """The whole README.md."""
    table = ""
    for path, default, comment in rows((CHART / "values.yaml").read_text().splitlines()):
        shown = "see values.yaml" if default == "" or default.startswith("*") else f"`{default}`"
        table += f"| `{path}` | {shown} | {comment} |\n"
    return HEAD + table


def main():
    readme = CHART / "README.md"
    if "--check" not in sys.argv:
        readme.write_text(text())
    elif not readme.exists() or readme.read_text() != text():
        sys.exit(f"{readme} is not what values.yaml says: run helm/readme.py")


if __name__ == "__main__":
    main()
