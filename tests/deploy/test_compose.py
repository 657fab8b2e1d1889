"""docker-compose.yml: valid, each program takes its environment, any number of gateways and pollers, nothing open to a network."""
import ipaddress
import unittest
from pathlib import Path

import compose
import images
import yaml
from paths import DEPLOY, ROOT, TOOLS, seconds
from processes import run

SCALED = ("gateway", "poller")


class Compose(unittest.TestCase):
    def test_it_is_valid_by_the_schema_of_the_specification(self):
        code, output = run([TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"])
        self.assertEqual(code, 0, output)

    def test_docker_compose_takes_it_and_every_service_is_there(self):
        self.assertEqual(set(compose.config()["services"]), {
            "nats", "init", "gateway", "poller", "load-balancer", "prometheus", "dcgm-sim", "dcgm-exporter",
            "otel-collector", "jaeger", "grafana"})
        self.assertEqual(compose.service("dcgm-exporter")["profiles"], ["gpu"])

    def test_gateways_and_pollers_can_be_any_number(self):
        for name in SCALED:
            service = compose.service(name)
            self.assertGreaterEqual(service["deploy"]["replicas"], 2)
            self.assertNotIn("container_name", service)
            self.assertNotIn("ports", service)
            self.assertNotIn("hostname", service)

    def test_programs_take_the_environment_that_they_are_given(self):
        for name, service in compose.config()["services"].items():
            stage = images.stage_of(service["image"])
            if stage not in SCALED:
                continue
            with self.subTest(service=name):
                environment = images.environment(stage) | service["environment"]
                code, output = run([images.program(stage), "config", "check"], environment)
                self.assertEqual(code, 0, output)

    def test_a_program_has_the_time_that_it_takes_to_end(self):
        # `stream.drain` is 20 s unless said; a poller ends within 20 s.
        for name in SCALED:
            drain = compose.service(name)["environment"].get("PROMCAST_STREAM_DRAIN", "20s")
            self.assertGreaterEqual(seconds(compose.service(name)["stop_grace_period"]), seconds(drain) + 10)

    def test_health_is_checked_by_the_binary_itself(self):
        for name in SCALED:
            check = compose.service(name)["healthcheck"]
            self.assertEqual(check["test"], ["CMD", f"/usr/local/bin/promcast-{name}", "healthcheck"])
            self.assertGreater(seconds(check["timeout"]), 2)

    def test_images_are_pinned_and_programs_may_write_nothing(self):
        for name, service in compose.config()["services"].items():
            with self.subTest(service=name):
                if images.stage_of(service["image"]) is None:
                    self.assertRegex(service["image"], r":v?\d+\.\d+\.\d+")
                else:
                    self.assertEqual(service["build"]["target"], images.stage_of(service["image"]))
                    self.assertTrue(service["read_only"])
                    self.assertEqual(service["cap_drop"], ["ALL"])
                self.assertIn("no-new-privileges:true", service["security_opt"])

    def test_nothing_listens_but_on_the_loopback_interface_and_nats_has_no_way_out(self):
        for name, service in compose.config()["services"].items():
            for port in service.get("ports", []):
                self.assertTrue(ipaddress.ip_address(port["host_ip"]).is_loopback, name)
        self.assertTrue(compose.config()["networks"]["bus"]["internal"])
        self.assertEqual(list(compose.service("nats")["networks"]), ["bus"])

    def test_gateways_believe_the_network_of_the_load_balancer_and_no_other(self):
        subnet = compose.config()["networks"]["front"]["ipam"]["config"][0]["subnet"]
        self.assertEqual(compose.service("gateway")["environment"]["PROMCAST_HTTP_TRUSTED_PROXIES"], subnet)
        self.assertEqual(list(compose.service("load-balancer")["networks"]), ["front"])

    def test_names_that_stand_for_all_replicas_are_known_where_they_are_asked_for(self):
        def aliases(name, network):
            return compose.service(name)["networks"][network]["aliases"]
        gateways, _, port = compose.service("load-balancer")["environment"]["GATEWAYS"].partition(":")
        self.assertIn(gateways, aliases("gateway", "front"))
        self.assertEqual(port, images.environment("gateway")["PROMCAST_HTTP_LISTEN"].rpartition(":")[2])
        scraped = {}
        for job in yaml.safe_load((DEPLOY / "prometheus/local.yml").read_text())["scrape_configs"]:
            found = job["dns_sd_configs"][0]
            scraped[found["names"][0].rstrip(".")] = (found["port"], found["type"])
        listens = {"gateway": images.environment("gateway")["PROMCAST_ADMIN_LISTEN"],
                   "poller": images.environment("poller")["PROMCAST_ADMIN_LISTEN"],
                   "dcgm-sim": images.environment("dcgm-sim")["DCGM_SIM_LISTEN"], "dcgm-exporter": "0.0.0.0:9400"}
        for name, listen in listens.items():
            alias = aliases(name, "metrics")[0]
            self.assertEqual(scraped[alias], (int(listen.rpartition(":")[2]), "A"), name)
        self.assertIn("metrics", compose.service("prometheus")["networks"])

    def test_what_is_mounted_is_in_the_repository_and_read_only(self):
        for name, service in compose.config()["services"].items():
            for volume in service.get("volumes", []):
                if volume["type"] == "bind":
                    self.assertTrue(Path(volume["source"]).exists(), volume["source"])
                    self.assertTrue(volume["read_only"], f"{name}: {volume['target']}")

    def test_grafana_and_the_collector_know_the_others_by_the_variables_that_their_files_name(self):
        datasources = (DEPLOY / "grafana/provisioning/datasources/promcast.yml").read_text()
        for variable in ("PROMETHEUS_URL", "PROMCAST_URL", "JAEGER_URL"):
            self.assertIn(f"${variable}", datasources)
            host = compose.service("grafana")["environment"][variable].split("//")[1].split(":")[0]
            self.assertTrue(set(compose.service(host)["networks"]) & set(compose.service("grafana")["networks"]), host)
        collector = (DEPLOY / "otel/collector.yml").read_text()
        for variable in compose.service("otel-collector")["environment"]:
            self.assertIn(f"${{env:{variable}}}", collector)

    def test_the_collectors_pipelines_are_made_of_what_is_configured(self):
        collector = yaml.safe_load((DEPLOY / "otel/collector.yml").read_text())
        self.assertEqual(set(collector["service"]["extensions"]), set(collector["extensions"]))
        for pipeline in collector["service"]["pipelines"].values():
            for kind in ("receivers", "processors", "exporters"):
                self.assertEqual(set(pipeline[kind]), set(collector[kind]))
        for name in SCALED:
            port = compose.service(name)["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"].rpartition(":")[2]
            self.assertIn(f":{port}", collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"])
