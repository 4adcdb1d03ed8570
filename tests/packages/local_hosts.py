"""A provider for Ray's autoscaler, by Ray's public interface: its hosts are Ray's processes on the head's machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from threading import RLock
from typing import Any

from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_HEAD,
    NODE_KIND_WORKER,
    STATUS_UP_TO_DATE,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_NAME,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)

_APART_S = 5.0
"""Of two nodes that start on one machine at the same moment, one may take the other's sockets for its own."""


class LocalHosts(NodeProvider):  # type: ignore[misc]  # publishes no types
    """Started by `ray start` and known by the ids that Ray is told to give them. Their resources are processors."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self._lock = RLock()  # the autoscaler has several threads
        self._started, self._next_at = 0, 0.0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        head = provider_config["head_node_id"]
        self._tags = {head: _tags(head, NODE_KIND_HEAD, provider_config["head_node_type"])}

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        with self._lock:
            return [node for node, tags in self._tags.items() if tag_filters.items() <= tags.items()]

    def is_running(self, node_id: str) -> bool:
        with self._lock:
            return node_id in self._tags

    def is_terminated(self, node_id: str) -> bool:
        return not self.is_running(node_id)

    def node_tags(self, node_id: str) -> dict[str, str]:
        with self._lock:
            return self._tags[node_id]

    def external_ip(self, node_id: str) -> str:
        return node_id

    def internal_ip(self, node_id: str) -> str:
        return node_id

    def create_node_with_resources_and_labels(
        self, node_config: dict[str, Any], tags: dict[str, str], count: int, resources: dict[str, float], labels: Any
    ) -> None:
        with self._lock:
            for _ in range(count):
                self._start(tags, resources["CPU"])

    def _start(self, tags: dict[str, str], cpus: float) -> None:
        self._started += 1
        address: str = self.provider_config["gcs_address"]
        kind = tags[TAG_RAY_USER_NODE_TYPE]
        node_id = f"{'f' * 51}{self._started:05}"
        ids = dict.fromkeys(("RAY_OVERRIDE_NODE_ID_FOR_TESTING", "RAY_CLOUD_INSTANCE_ID"), node_id)
        wait_s = max(0.0, self._next_at - time.monotonic())
        self._next_at = time.monotonic() + wait_s + _APART_S
        self._processes[node_id] = subprocess.Popen(
            [
                "sh", "-c", f'sleep {wait_s:.1f}; exec "$0" "$@"',
                sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--address={address}",
                f"--node-ip-address={address.rpartition(':')[0]}", f"--num-cpus={cpus:g}", "--disable-usage-stats",
                "--object-store-memory=100000000", "--dashboard-agent-listen-port=0",
            ],
            stdin=subprocess.DEVNULL, env={**os.environ, **ids, "RAY_NODE_TYPE_NAME": kind},
        )  # fmt: skip
        self._tags[node_id] = {**_tags(node_id, NODE_KIND_WORKER, kind), **tags}

    def terminate_node(self, node_id: str) -> None:
        with self._lock:
            del self._tags[node_id]
            self._processes.pop(node_id).terminate()

    @staticmethod
    def bootstrap_config(cluster_config: dict[str, Any]) -> dict[str, Any]:
        return cluster_config


def _tags(node_id: str, kind: str, node_type: str) -> dict[str, str]:
    return {
        TAG_RAY_NODE_KIND: kind,
        TAG_RAY_USER_NODE_TYPE: node_type,
        TAG_RAY_NODE_NAME: node_id,
        TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE,
    }
