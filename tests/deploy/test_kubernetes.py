"""The manifests: valid by the schema of Kubernetes, and in step with the programs that they run."""
import functools
import tempfile
import tomllib
import unittest
from pathlib import Path

import images
import yaml
from paths import DEPLOY, TOOLS, documents, seconds
from processes import run

KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("openshift", "gpu-operator", "dev")
# The oldest release with a preStop `sleep` that is on by default, and the newest that the validator knows.
VERSIONS = ("1.30.0", "1.37.0")
# Kinds of others, which the validator does not know. Each has what its API requires.
FOREIGN = {
    "ServiceMonitor": ("monitoring.coreos.com/v1", {"jobLabel", "selector", "endpoints"}, {"selector", "endpoints"}),
    "PrometheusRule": ("monitoring.coreos.com/v1", {"groups"}, {"groups"}),
    "Route": ("route.openshift.io/v1", {"to", "port", "tls"}, {"to"}),
    "PersesDashboard": ("perses.dev/v1alpha2", {"config"}, {"config"}),
}


@functools.cache
def manifests(overlay):
    """What `kubectl apply -k` would send, as text."""
    code, output = run([TOOLS / "kubectl", "kustomize", KUBERNETES / "overlays" / overlay])
    assert code == 0, output
    return output


def objects(overlay, kind=None):
    """Objects of an overlay, by name where a kind is asked for."""
    found = documents(manifests(overlay))
    return found if kind is None else {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def workloads(overlay):
    """Name and pod of everything that runs."""
    for kind in ("Deployment", "StatefulSet", "Job"):
        for name, one in objects(overlay, kind).items():
            yield name, one["spec"]["template"]


def programs(overlay):
    """Containers that run a program of ours: name of the workload, pod and container."""
    for name, template in workloads(overlay):
        for container in template["spec"]["containers"]:
            if images.stage_of(container["image"]) in ("gateway", "poller"):
                yield name, template["spec"], container


def environment(container):
    """Its environment with the image's; what only a cluster knows is a word."""
    said = {one["name"]: one.get("value", "pod-0") for one in container.get("env", [])}
    return images.environment(images.stage_of(container["image"])) | said


def matches(labels, selector):
    """Whether an object of these labels is selected."""
    return all(labels.get(key) == value for key, value in selector.items())


class Manifests(unittest.TestCase):
    def test_they_are_valid_by_the_schema_of_kubernetes(self):
        for overlay in OVERLAYS:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "manifests.yaml"
                known = [one for one in objects(overlay) if one["kind"] not in FOREIGN]
                path.write_text(yaml.safe_dump_all(known))
                for version in VERSIONS:
                    code, output = run([TOOLS / "kubernetes-validate", "--strict", "-k", version, path])
                    self.assertEqual(code, 0, output)
                    self.assertNotIn("WARN", output)

    def test_kinds_of_others_have_what_their_api_requires(self):
        for overlay in OVERLAYS:
            for one in objects(overlay):
                if one["kind"] in FOREIGN:
                    version, known, required = FOREIGN[one["kind"]]
                    self.assertEqual(one["apiVersion"], version)
                    self.assertLessEqual(set(one["spec"]), known)
                    self.assertLessEqual(required, set(one["spec"]))

    def test_the_dashboards_of_perses_are_resources_that_kustomize_takes(self):
        code, output = run([TOOLS / "kubectl", "kustomize", KUBERNETES / "components/perses"])
        self.assertEqual(code, 0, output)
        self.assertEqual([one["kind"] for one in documents(output)], ["PersesDashboard"] * 2)

    def test_programs_take_the_environment_and_the_files_that_they_are_given(self):
        for overlay in OVERLAYS:
            with tempfile.TemporaryDirectory() as folder:
                for name, pod, container in programs(overlay):
                    mounted = self.lay_out(overlay, pod, container, Path(folder) / name)
                    variables = environment(container)
                    for variable, value in variables.items():
                        for target, source in mounted.items():
                            value = value.replace(target, str(source))
                        variables[variable] = value
                    # In a pod these are there; the gateway takes the API server's address from them.
                    variables |= {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
                    code, output = run([images.program(images.stage_of(container["image"])), "config", "check"], variables)
                    self.assertEqual(code, 0, f"{name}: {output}")

    def lay_out(self, overlay, pod, container, folder):
        """Writes the volumes of a container into a folder: where each is in the pod, and where it is here."""
        volumes, mounted = {one["name"]: one for one in pod.get("volumes", [])}, {}
        for mount in container.get("volumeMounts", []):
            here = folder / mount["name"]
            here.mkdir(parents=True)
            mounted[mount["mountPath"]] = here
            volume = volumes[mount["name"]]
            if "configMap" in volume:
                for file, text in objects(overlay, "ConfigMap")[volume["configMap"]["name"]]["data"].items():
                    # The service account's files are the cluster's, and are not read by a check that must not need them.
                    (here / file).write_text(self.without_files(text) if file.endswith(".toml") else text)
            else:
                for item in volume["secret"]["items"]:
                    (here / item["path"]).write_text("p" * 40)
        return mounted

    def without_files(self, text):
        self.assertTrue(tomllib.loads(text)["datasource"]["default"]["url"])
        return "\n".join(line for line in text.splitlines() if "_file" not in line)

    def test_probes_and_services_go_to_ports_where_the_program_listens(self):
        for overlay in OVERLAYS:
            for name, _, container in programs(overlay):
                if name == "promcast-init":
                    continue
                ports = {one["name"]: one["containerPort"] for one in container["ports"]}
                listens = {variable.split("_")[1].lower(): int(value.rpartition(":")[2])
                           for variable, value in environment(container).items() if variable.endswith("_LISTEN")}
                self.assertEqual(ports, listens, name)
                ready, alive = container["readinessProbe"]["httpGet"], container["livenessProbe"]["httpGet"]
                self.assertEqual((ready["path"], ready["port"]), ("/-/ready", "admin"))
                self.assertEqual((alive["path"], alive["port"]), ("/-/healthy", "admin"))

    def test_services_select_pods_that_have_their_ports(self):
        for overlay in OVERLAYS:
            pods = [template for _, template in workloads(overlay)]
            for name, service in objects(overlay, "Service").items():
                chosen = [pod for pod in pods if matches(pod["metadata"]["labels"], service["spec"]["selector"])]
                self.assertEqual(len(chosen), 1, name)
                known = {port["name"] for one in chosen[0]["spec"]["containers"] for port in one["ports"]}
                self.assertLessEqual({port["targetPort"] for port in service["spec"]["ports"]}, known, name)

    def test_a_gateway_has_the_time_that_a_drain_takes(self):
        for overlay in OVERLAYS:
            for name, pod, container in programs(overlay):
                if name != "promcast-gateway":
                    continue
                pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
                drain = seconds(environment(container)["PROMCAST_STREAM_DRAIN"])
                self.assertGreaterEqual(pod["terminationGracePeriodSeconds"], pause + drain + 10)
                # It must be out of the endpoints before the drain begins.
                probe = container["readinessProbe"]
                self.assertGreater(pause, probe["periodSeconds"] * probe["failureThreshold"])

    def test_a_poller_has_the_time_that_a_query_takes(self):
        for overlay in OVERLAYS:
            grace = objects(overlay, "Deployment")["promcast-poller"]["spec"]["template"]["spec"]
            self.assertGreaterEqual(grace["terminationGracePeriodSeconds"], 20 + 10)

    def test_pods_are_restricted(self):
        for overlay in OVERLAYS:
            for name, template in workloads(overlay):
                pod = template["spec"]
                self.assertTrue(pod["securityContext"]["runAsNonRoot"], name)
                self.assertEqual(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault")
                self.assertFalse(pod.get("enableServiceLinks", True), name)
                for container in pod["containers"]:
                    context = container["securityContext"]
                    self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                    self.assertFalse(context["allowPrivilegeEscalation"])
                    self.assertTrue(context["readOnlyRootFilesystem"])
                    self.assertIn("memory", container["resources"]["limits"])

    def test_openshift_chooses_users_by_itself(self):
        for name, template in workloads("openshift"):
            for context in [template["spec"]["securityContext"], *(one["securityContext"] for one in template["spec"]["containers"])]:
                self.assertFalse({"runAsUser", "runAsGroup", "fsGroup"} & set(context), name)

    def test_only_who_asks_the_api_server_has_a_token_for_it(self):
        for name, template in workloads("gpu-operator"):
            has = template["spec"].get("automountServiceAccountToken", True)
            self.assertEqual(has, name == "promcast-gateway", name)
        poller = dict(workloads("openshift"))["promcast-poller"]["spec"]
        self.assertTrue(poller["automountServiceAccountToken"], "thanos-querier asks for one")

    def test_what_is_referred_to_is_there(self):
        for overlay in OVERLAYS:
            configs, secrets = objects(overlay, "ConfigMap"), objects(overlay, "Secret")
            accounts = set(objects(overlay, "ServiceAccount")) | {"default"}
            for name, template in workloads(overlay):
                self.assertIn(template["spec"].get("serviceAccountName", "default"), accounts, name)
                for volume in template["spec"].get("volumes", []):
                    if "configMap" in volume:
                        self.assertIn(volume["configMap"]["name"], configs, name)
                    if "secret" in volume and secrets:
                        self.assertIn(volume["secret"]["secretName"], secrets, name)

    def test_the_secret_that_is_made_by_hand_has_the_keys_that_are_used(self):
        used = set()
        for _, template in workloads("gpu-operator"):
            for volume in template["spec"].get("volumes", []):
                used |= {item["key"] for item in volume.get("secret", {}).get("items", [])}
            for container in template["spec"]["containers"]:
                used |= {one["valueFrom"]["secretKeyRef"]["key"] for one in container.get("env", [])
                         if "secretKeyRef" in one.get("valueFrom", {})}
        (secret,) = objects("dev", "Secret").values()
        self.assertEqual(used, set(secret["data"]))
        documented = (DEPLOY.parent / "docs/operations.md").read_text()
        for key in used:
            self.assertIn(f"--from-literal={key}=", documented)

    def test_each_pod_that_must_not_go_alone_has_a_budget_and_is_spread(self):
        for overlay in OVERLAYS:
            budgets = objects(overlay, "PodDisruptionBudget")
            self.assertEqual(set(budgets), {"promcast-gateway", "promcast-poller", "promcast-nats"})
            for name, template in workloads(overlay):
                if name not in budgets:
                    continue
                selector = budgets[name]["spec"]["selector"]["matchLabels"]
                self.assertTrue(matches(template["metadata"]["labels"], selector), name)
                keys = {one["topologyKey"] for one in template["spec"]["topologySpreadConstraints"]}
                self.assertEqual(keys, {"kubernetes.io/hostname", "topology.kubernetes.io/zone"})

    def test_gateways_are_scaled_by_the_metric_that_the_adapter_makes(self):
        values = yaml.safe_load((KUBERNETES / "prometheus-adapter/values.yaml").read_text())
        for overlay in ("openshift", "gpu-operator"):
            (scaler,) = objects(overlay, "HorizontalPodAutoscaler").values()
            metric = scaler["spec"]["metrics"][0]["pods"]
            self.assertEqual(values["rules"]["custom"][0]["name"]["matches"], f"^{metric['metric']['name']}$")
            self.assertIn(metric["metric"]["name"], values["rules"]["custom"][0]["seriesQuery"])
            self.assertEqual(scaler["spec"]["scaleTargetRef"]["name"], "promcast-gateway")
            self.assertNotIn("replicas", objects(overlay, "Deployment")["promcast-gateway"]["spec"])
            # Below what a gateway holds, so that there is one more before all are full.
            self.assertLess(int(metric["target"]["averageValue"]), 100)

    def test_monitors_find_the_admin_listeners_and_name_the_jobs_of_the_rules(self):
        for overlay in ("openshift", "gpu-operator"):
            services = objects(overlay, "Service").values()
            for name, monitor in objects(overlay, "ServiceMonitor").items():
                chosen = [one for one in services if matches(one["metadata"]["labels"], monitor["spec"]["selector"]["matchLabels"])]
                self.assertEqual(len(chosen), 1, name)
                self.assertEqual(chosen[0]["metadata"]["labels"][monitor["spec"]["jobLabel"]], name)
                self.assertEqual({one["port"] for one in monitor["spec"]["endpoints"]}, {one["name"] for one in chosen[0]["spec"]["ports"]})

    def test_whoever_comes_from_outside_reaches_gateways_and_nothing_else(self):
        for overlay in ("openshift", "gpu-operator"):
            policies = objects(overlay, "NetworkPolicy")
            self.assertEqual(policies["promcast-default-deny"]["spec"]["podSelector"], {})
            for name, policy in policies.items():
                for rule in policy["spec"].get("ingress", []):
                    ports = {one["port"] for one in rule["ports"]}
                    if any("namespaceSelector" in peer for peer in rule["from"]):
                        self.assertLessEqual(ports, {8080, 8081, 8082}, name)
                    self.assertTrue(rule["from"], name)

    def test_a_silent_stream_is_not_cut_on_its_way_in(self):
        # A comment comes after 15 s of silence, a heartbeat each 30 s; three lost ones are a dead peer.
        route = objects("openshift", "Route")["promcast"]["metadata"]["annotations"]
        self.assertGreater(seconds(route["haproxy.router.openshift.io/timeout"]), 3 * 30)
        self.assertEqual(route["haproxy.router.openshift.io/balance"], "leastconn")
        ingress = objects("gpu-operator", "Ingress")["promcast"]["metadata"]["annotations"]
        self.assertGreater(int(ingress["nginx.ingress.kubernetes.io/proxy-read-timeout"]), 3 * 30)
        self.assertEqual(ingress["nginx.ingress.kubernetes.io/proxy-buffering"], "off")

    def test_nats_is_named_alike_wherever_it_is_named(self):
        for overlay in ("openshift", "gpu-operator"):
            stateful = objects(overlay, "StatefulSet")["promcast-nats"]["spec"]
            names = [f"promcast-nats-{number}.{stateful['serviceName']}" for number in range(stateful["replicas"])]
            (nats,) = stateful["template"]["spec"]["containers"]
            routes = yaml.safe_load(next(one["value"] for one in nats["env"] if one["name"] == "NATS_ROUTES"))
            self.assertEqual([route.split("@")[1] for route in routes], [f"{name}:6222" for name in names])
            for name, _, container in programs(overlay):
                self.assertEqual(environment(container)["PROMCAST_BUS_URL"], ",".join(f"nats://{one}:4222" for one in names), name)
