"""docker-compose.yml run natively: the commands, configuration, environment and health checks of its services, on loopback.

Every service runs as it stands there, but for addresses, and but for those that no registry of packages has: Grafana, Jaeger,
the collector and NVIDIA's exporter. Replicas have an address of 127.0.0.0/8 each, and a name server stands for Docker's.
"""
import json
import tempfile
import threading
import unittest
import urllib.request
from pathlib import Path

import compose
import images
import yaml
from nameserver import Nameserver
from paths import DEPLOY
from processes import PATIENCE, Processes, free_port, get, query, run, until
from promql import metrics as metrics_of, parsed

HOSTS = [f"127.0.77.{number}" for number in range(1, 4)]
NOBODY = "127.0.78.1"


class Running(unittest.TestCase):
    """One installation for all of the tests, in the order of docker-compose's depends_on."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.processes = Processes(Path(cls.folder.name))
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.processes.stop)
        # What stands in docker-compose.yml, and what it is here.
        cls.places = {}
        cls.start_nats()
        cls.start_metrics()
        code, output = run(["promcast-gateway", *compose.words("init")], cls.environment("init"))
        assert code == 0, output
        cls.ports = {name: free_port(HOSTS[0]) for name in ("http", "admin", "poller")}
        for host in HOSTS:
            cls.start_replica("gateway", host)
            cls.start_replica("poller", host)
        cls.start_load_balancer()

    @classmethod
    def environment(cls, name, **changes):
        """A service's environment with the image's, with addresses as they are here."""
        service = compose.service(name)
        stage = images.stage_of(service["image"])
        environment = (images.environment(stage) if stage else {}) | (service.get("environment") or {})
        for name, value in environment.items():
            for there, here in cls.places.items():
                value = value.replace(there, here)
            environment[name] = value
        return environment | changes

    @classmethod
    def start_nats(cls):
        data = Path(cls.folder.name)
        changes = {"NATS_HOST": "127.0.0.1", "NATS_PORT": "-1", "NATS_HTTP_PORT": "-1", "NATS_STORE_DIR": f"{data}/nats"}
        command = [*compose.words("nats"), "--ports_file_dir", str(data)]
        cls.processes.start("nats", command, cls.environment("nats", **changes))
        ports = until("NATS writes its ports", lambda: next(data.glob("*.ports"), None))
        found = until("NATS has its ports", lambda: ports.read_text().strip())
        found = json.loads(found)
        cls.places |= {"nats://nats:4222": found["nats"][0].replace("0.0.0.0", "127.0.0.1")}
        cls.places |= {"http://127.0.0.1:8222": found["monitoring"][0]}
        cls.check_by_url("nats")

    @classmethod
    def start_metrics(cls):
        cls.processes.start("dcgm-sim", ["dcgm-sim"], cls.environment("dcgm-sim", DCGM_SIM_LISTEN="127.0.0.1:0"))
        exporter = cls.processes.said("dcgm-sim", r"listening on http://([0-9.:]+)/")
        # The folder that is mounted, and the addresses that Docker's name server would give.
        cls.config = Path(cls.folder.name) / "prometheus"
        (cls.config / "targets").mkdir(parents=True)
        (cls.config / "rules").symlink_to(DEPLOY / "prometheus/rules")
        (cls.config / "local.yml").symlink_to(DEPLOY / "prometheus/local.yml")
        cls.scrape("dcgm-exporter", [exporter])
        port = free_port("127.0.0.1")
        there = {"/etc/prometheus": str(cls.config), "path=/prometheus": f"path={cls.folder.name}/tsdb", "0.0.0.0:9090": f"127.0.0.1:{port}"}
        command = ["prometheus"]
        for word in compose.service("prometheus")["command"]:
            for place, here in there.items():
                word = word.replace(place, here)
            command.append(word)
        cls.processes.start("prometheus", command, {})
        cls.prometheus = f"http://127.0.0.1:{port}"
        cls.places |= {"http://prometheus:9090": cls.prometheus, "http://127.0.0.1:9090": cls.prometheus}
        cls.check_by_url("prometheus")
        # The first tick of a stream may lie as far back as the shortest interval.
        until("Prometheus has the GPUs", lambda: query(cls.prometheus, "DCGM_FI_DEV_GPU_UTIL offset 6s"))

    @classmethod
    def scrape(cls, job, addresses):
        (cls.config / f"targets/{job}.yml").write_text(yaml.safe_dump([{"targets": addresses}]))

    @classmethod
    def start_replica(cls, kind, host):
        admin = f"{host}:{cls.ports['admin' if kind == 'gateway' else 'poller']}"
        changes = {"PROMCAST_ADMIN_LISTEN": admin}
        if kind == "gateway":
            changes["PROMCAST_HTTP_LISTEN"] = f"{host}:{cls.ports['http']}"
            changes["PROMCAST_HTTP_TRUSTED_PROXIES"] = "127.0.0.0/8"
        environment = cls.environment(kind, **changes)
        # Nobody takes traces here.
        environment["OTEL_SDK_DISABLED"] = "true"
        name = f"{kind}-{host}"
        cls.processes.start(name, [f"promcast-{kind}", *compose.words(kind)], environment)
        program, *check = compose.service(kind)["healthcheck"]["test"][1:]
        program = program.rpartition("/")[2]
        until(f"{name} says that it is well", lambda: run([program, *check], environment)[0] == 0)

    @classmethod
    def start_load_balancer(cls):
        cls.names = Nameserver()
        cls.addClassCleanup(cls.names.close)
        cls.names.addresses = HOSTS[:2]
        port = free_port("127.0.0.1")
        changes = {"LOAD_BALANCER_ADDRESS": f"127.0.0.1:{port}", "GATEWAYS": f"gateway.promcast.internal:{cls.ports['http']}",
                   "GATEWAY_ADMIN_PORT": str(cls.ports["admin"]), "DNS_ADDRESS": cls.names.address}
        cls.processes.start("load-balancer", compose.words("load-balancer"), cls.environment("load-balancer", **changes))
        cls.front = f"http://127.0.0.1:{port}"
        cls.places |= {"http://127.0.0.1:8080": cls.front}
        cls.check_by_url("load-balancer")

    @classmethod
    def check_by_url(cls, name):
        """Waits for what a health check by wget would ask: no container has our wget, so the URL is asked for."""
        *command, url = compose.service(name)["healthcheck"]["test"]
        assert command == ["CMD", "wget", "-q", "-O", "/dev/null"], command
        for there, here in cls.places.items():
            url = url.replace(there, here)
        until(f"{name} is well at {url}", lambda: get(url)[0] == 200)

    def stream(self, count, seconds=PATIENCE):
        """What this many new streams say of themselves: each one's `connected` and first `metric-update`."""
        found, failed = [], []

        def one():
            try:
                found.append(first_events(f"{self.front}/api/v1/metrics/stream?query=DCGM_FI_DEV_GPU_UTIL&interval=5", seconds))
            except (OSError, AssertionError) as error:
                failed.append(error)
        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertFalse(failed)
        return found

    def test_1_streams_come_through_the_load_balancer_from_all_replicas(self):
        streams = self.stream(6)
        self.assertEqual(len({one["connected"]["replica"] for one in streams}), 2)
        for one in streams:
            self.assertEqual(len(one["metric-update"]["data"]["result"]), 8, one["metric-update"])

    def test_2_a_gateway_that_is_added_gets_streams(self):
        self.names.addresses = HOSTS
        seen = set()

        def spread():
            seen.update(one["connected"]["replica"] for one in self.stream(6))
            return len(seen) == 3
        # No faster, for an address may not open more than `stream.open_rate` streams a second.
        until("the third gateway has a stream", spread, pause=1)

    def test_3_prometheus_reaches_all_replicas_and_has_the_rules(self):
        admin = {"promcast-gateway": "admin", "promcast-poller": "poller"}
        for job, port in admin.items():
            self.scrape(job, [f"{host}:{self.ports[port]}" for host in HOSTS])
        for job, count in {"promcast-gateway": 3, "promcast-poller": 3, "dcgm-exporter": 1}.items():
            until(f"Prometheus reaches {job}", lambda job=job, count=count: self.up(job) == count)
        groups = json.loads(get(f"{self.prometheus}/api/v1/rules")[1])["data"]["groups"]
        wanted = {yaml.safe_load(path.read_text())["groups"][0]["name"] for path in (DEPLOY / "prometheus/rules").glob("*.yml")}
        self.assertEqual({group["name"] for group in groups}, wanted)

    def up(self, job):
        found = query(self.prometheus, f'sum(up{{job="{job}"}})')
        return int(found[0]["value"][1]) if found else 0

    def test_4_every_metric_of_dashboards_and_alerts_is_there(self):
        exposed = self.exposed()
        missing = {}
        for where, expression in all_expressions():
            for name in metrics_of(expression) - exposed - {"up"}:
                missing.setdefault(name, []).append(where)
        self.assertFalse(missing, "no program exposes these")

    def exposed(self):
        """Names of series, of programs in each of the modes of `auth`, and of the simulator."""
        self.stream(1)
        pages = [f"{HOSTS[0]}:{self.ports['admin']}", f"{HOSTS[0]}:{self.ports['poller']}"]
        pages += [self.processes.said("dcgm-sim", r"listening on http://([0-9.:]+)/")]
        pages += [self.start_other_mode("jwt"), self.start_other_mode("kubernetes")]
        names = set()
        for page in pages:
            status, text = get(f"http://{page}/metrics")
            self.assertEqual(status, 200, text)
            names |= {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line and line[0] != "#"}
        # A poller answers whichever job it gets, so these may be on another one. They have no series before the first.
        for host in HOSTS[1:]:
            text = get(f"http://{host}:{self.ports['poller']}/metrics")[1]
            names |= {line.split("{")[0] for line in text.splitlines() if line.startswith("promcast_poller_")}
        return names

    def start_other_mode(self, mode):
        folder = Path(self.folder.name)
        flags = ["--auth-mode", mode, "--prometheus-url", self.prometheus, "--http-listen", "127.0.0.1:0",
                 "--admin-listen", "127.0.0.1:0", "--log-format", "json"]
        if mode == "jwt":
            (folder / "keys.json").write_text(json.dumps(KEYS))
            flags += ["--auth-jwt-issuer", "https://issuer.test", "--auth-jwt-audience", "promcast",
                      "--auth-jwt-keys-file", str(folder / "keys.json"), "--auth-jwt-admin-groups", "ops"]
        else:
            (folder / "kubeconfig").write_text(yaml.safe_dump(KUBECONFIG))
            flags += ["--auth-kubernetes-kubeconfig", str(folder / "kubeconfig")]
        self.processes.start(f"gateway-{mode}", ["promcast-gateway", *flags], {})
        return self.processes.said(f"gateway-{mode}", r'"listener":"admin","address":"([0-9.:]+)"')

    def test_5_prometheus_answers_every_query_of_the_dashboards(self):
        # These have nothing to show while all is well, or in another mode of `auth`.
        quiet = {"Age of the issuer's keys", "Reviews by the API server", "Time of a review", "Last XID error",
                 "Left alone and not published"}
        asked = [(where, parsed(expression).prettify()) for where, expression in all_expressions()
                 if where not in quiet and not where.startswith("alert")]
        self.stream(1)

        def answered():
            # A rate needs two samples, so what has no answer now is asked again.
            asked[:] = [(where, expression) for where, expression in asked if not query(self.prometheus, expression)]
            return not asked
        try:
            until("each query has an answer", answered, pause=1)
        except AssertionError:
            self.fail(f"these have no answer: {asked}")


class Events(dict):
    """The first event of each kind."""


def first_events(url, seconds):
    """`connected` and the first `metric-update` of a stream."""
    found, kind = Events(), None
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        for line in answer:
            line = line.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: ") and kind:
                found.setdefault(kind, json.loads(line[6:]))
                if {"connected", "metric-update"} <= set(found):
                    return found
    raise AssertionError(f"the stream ended after {list(found)}")


def all_expressions():
    """Those of dashboards, by panel, and of alerts."""
    for path in (DEPLOY / "dashboards").glob("*.yml"):
        source = yaml.safe_load(path.read_text())
        for row in source["rows"]:
            for panel in row["panels"]:
                yield from ((panel["title"], one["expr"]) for one in panel["queries"])
        yield from ((f"variable {one['name']}", one["metric"]) for one in source["variables"])
    for path in (DEPLOY / "prometheus/rules").glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from ((f"alert {one['alert']}", one["expr"]) for one in group["rules"])


# The public key of RFC 8037, appendix A.2.
KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "use": "sig", "alg": "EdDSA",
                  "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}
KUBECONFIG = {
    "apiVersion": "v1", "kind": "Config", "current-context": "c",
    "clusters": [{"name": "c", "cluster": {"server": f"https://{NOBODY}:1"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
}
