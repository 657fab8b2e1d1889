"""Programs under test: GPUs that do not exist, a Prometheus that scrapes them, and gateways before it."""
import json
import tempfile
import unittest
from pathlib import Path

import yaml
from paths import ROOT
from processes import Processes, get, query, run, until

DOCS = ROOT / "docs"


def document(name):
    """A description as it stands in docs/."""
    return yaml.safe_load((DOCS / name).read_text())


class Installation(unittest.TestCase):
    """Starts GPUs and Prometheus for the tests of a class."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.folder = Path(folder.name)
        cls.processes = Processes(cls.folder)
        cls.addClassCleanup(folder.cleanup)
        cls.addClassCleanup(cls.processes.stop)
        cls.processes.start("dcgm-sim", ["dcgm-sim", "--listen", "127.0.0.1:0", "--collect-interval", "1s"], {})
        exporter = cls.processes.said("dcgm-sim", r"listening on http://([0-9.:]+)/")
        scrape = {"job_name": "dcgm", "static_configs": [{"targets": [exporter]}]}
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [scrape]}
        (cls.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        cls.processes.start("prometheus", [
            "prometheus", f"--config.file={cls.folder}/prometheus.yml", f"--storage.tsdb.path={cls.folder}/tsdb",
            "--web.listen-address=127.0.0.1:0"], {})
        cls.prometheus = f"http://{cls.processes.said('prometheus', 'Listening on.*address=([0-9.:]+)')}"
        until("Prometheus is ready", lambda: get(f"{cls.prometheus}/-/ready")[0] == 200)
        until("Prometheus has the GPUs", lambda: query(cls.prometheus, "DCGM_FI_DEV_GPU_UTIL offset 6s"))

    @classmethod
    def gateway(cls, name, *flags):
        """Starts a gateway that lets everybody in, and gives its URL."""
        cls.processes.start(name, [
            "promcast-gateway", "--auth-mode", "none", "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
            "--log-format", "json", *flags], {})
        return f"http://{cls.processes.said(name, LISTENING)}"

    @classmethod
    def bus(cls):
        """Starts NATS with its streams, and gives its URL."""
        cls.processes.start("nats", [
            "nats-server", "--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir", f"{cls.folder}/nats",
            "--ports_file_dir", str(cls.folder)], {})
        ports = until("NATS writes its ports", lambda: next(cls.folder.glob("*.ports"), None))
        url = json.loads(until("NATS has its ports", lambda: ports.read_text().strip()))["nats"][0]
        code, output = run(["promcast-gateway", "init", "--auth-mode", "none", "--bus-url", url])
        assert code == 0, output
        return url


LISTENING = r'"listener":"http","address":"([0-9.:]+)"'
