"""docs/asyncapi.yaml: valid, and true of each event of a stream and each message on NATS."""
import asyncio
import base64
import json
import threading
import time
import unittest
import urllib.request

import msgpack
import nats
from installation import DOCS, Installation, document
from jsonschema import Draft7Validator
from paths import ROOT
from processes import get, program, run, until
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

STREAM = "/api/v1/metrics/stream"
# Which message of the description a subject carries.
SUBJECTS = {"job": "job", "in": "update", "out": "update", "ask": "ask", "ctl": "control"}
GOLDEN = {"job": "job", "update": "update", "ask": "ask", "answer": "answer", "control": "control", "reply": "reply"}


class Description:
    """Judges payloads by the messages of the description."""

    def __init__(self):
        self.whole = document("asyncapi.yaml")
        self.registry = Registry().with_resource("urn:asyncapi", Resource(contents=self.whole, specification=DRAFT7))

    def complaints(self, message, payload, part="payload"):
        """What is wrong with a payload."""
        assert message in self.whole["components"]["messages"], f"there is no message {message}"
        schema = {"$ref": f"urn:asyncapi#/components/messages/{message}/{part}"}
        found = Draft7Validator(schema, registry=self.registry).iter_errors(payload)
        return [f"{error.json_path}: {error.message[:300]}" for error in found]


class Events(list):
    """(name, data) of each event that a stream sent until it ended, or was left."""

    def __init__(self, request, seconds, enough=None):
        super().__init__()
        self.fields = set()
        end, name = time.monotonic() + seconds, None
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            for line in answer:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                self.fields.add(field)
                if field == "event":
                    name = value
                elif field == "data":
                    self.append((name, json.loads(value)))
                elif not field and (time.monotonic() > end or enough and enough(self)):
                    return


def kind(subject):
    """Its first token."""
    return subject.split(".")[0]


def plain(value):
    """MessagePack as the JSON of the same shape: bytes in base 64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value


class AsyncApi(Installation):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.description = Description()
        cls.bus_url = cls.bus()
        cls.heard = Listener(cls.bus_url)
        cls.addClassCleanup(cls.heard.stop)
        flags = ["--admin-listen", "127.0.0.1:0", "--log-format", "json", "--bus-url", cls.bus_url]
        cls.processes.start("poller", ["promcast-poller", "--prometheus-url", cls.prometheus, *flags], {})
        over_nats = ["--bus-url", cls.bus_url, "--datasources", "default", "--stream-heartbeat", "2s"]
        cls.gateways = [cls.gateway(f"gateway-{number}", *over_nats) for number in range(2)]
        cls.short = cls.gateway("short", *over_nats, "--stream-max-lifetime", "8s")
        for name in ("poller", "gateway-0", "gateway-1", "short"):
            admin = cls.processes.said(name, r'"listener":"admin","address":"([0-9.:]+)"')
            until(f"{name} is ready", lambda admin=admin: get(f"http://{admin}/-/ready")[0] == 200)

    def judge(self, events):
        """Each event is as described; gives the names of those that came."""
        for name, data in events:
            with self.subTest(event=name):
                self.assertEqual(self.description.complaints(name, data), [], data)
        return {name for name, _ in events}

    def test_1_it_is_valid(self):
        script = ROOT / "tests/clients/node/asyncapi.mjs"
        code, output = run([program("node"), script, DOCS / "asyncapi.yaml"])
        self.assertEqual((code, output.strip()), (0, "valid"), output)

    def test_2_each_event_of_each_format_is_described(self):
        seen = set()
        queries = "&".join(f"query={query}" for query in (
            "DCGM_FI_DEV_GPU_UTIL", "sum(DCGM_FI_DEV_POWER_USAGE)%2F0", "42", "nothing", "up%2Bon()up", "DCGM_FI_DEV_GPU_TEMP[20s]"))
        for form in ("prometheus", "compact", "grafana"):
            events = Events(f"{self.short}{STREAM}?{queries}&interval=5&backfill=20s&format={form}&trace=1", 20)
            seen |= self.judge(events)
            self.assertEqual(events[-1][0], "shutdown")
        self.assertLessEqual({"connected", "metric-update", "schema", "backfill", "error", "heartbeat", "shutdown"}, seen)

    def test_3_a_change_and_a_gap_are_described(self):
        body = {"subscriptions": [{"id": "a", "query": "up", "interval": 5, "after": 1_764_000_000_000}]}
        request = urllib.request.Request(
            self.gateways[0] + STREAM, json.dumps(body).encode(), {"Content-Type": "application/json"})
        changed = []

        def enough(events):
            names = {name for name, _ in events}
            if "connected" in names and not changed:
                changed.append(self.change(events[0][1]["connection_id"]))
            return {"gap", "subscriptions"} <= names

        events = Events(request, 30, enough)
        self.assertLessEqual({"gap", "subscriptions"}, self.judge(events))
        self.assertEqual([one["id"] for one in changed[0]["added"]], ["b"])

    def change(self, connection):
        """Changes a connection on the gateway that does not hold it."""
        body = json.dumps({"add": [{"id": "b", "query": "1", "interval": 5}], "remove": ["a"]}).encode()
        request = urllib.request.Request(
            f"{self.gateways[1]}{STREAM}/{connection}", body, {"Content-Type": "application/json"}, method="PATCH")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def test_4_each_message_on_nats_is_described(self):
        self.assertEqual(get(f"{self.gateways[0]}/api/v1/labels")[0], 200)
        self.assertEqual(get(f"{self.gateways[0]}{STREAM}/status")[0], 200)
        until("messages of each kind", lambda: set(SUBJECTS) <= {kind(subject) for subject, *_ in self.heard.messages})
        for subject, headers, payload in [one for one in self.heard.messages if kind(one[0]) in SUBJECTS]:
            message = SUBJECTS[kind(subject)]
            with self.subTest(subject=subject):
                self.assertEqual(self.description.complaints(message, payload), [], payload)
                if message in ("job", "update"):
                    self.assertEqual(self.description.complaints(message, headers, "headers"), [], headers)
                self.assertTrue(any(self.matches(subject, channel) for channel in self.description.whole["channels"].values()))

    def test_6_each_answer_on_nats_is_described(self):
        def answers():
            return [payload for subject, _, payload in self.heard.messages if subject.startswith("_INBOX")]

        def kinds():
            return {kind for payload in answers() if isinstance(payload["m"], dict) for kind in payload["m"]}

        until("an answer of a poller and one of a gateway", lambda: {"status", "result"} <= kinds())
        for payload in answers():
            complaints = [self.description.complaints(message, payload) for message in ("answer", "reply")]
            self.assertIn([], complaints, payload)

    def matches(self, subject, channel):
        pattern = (channel["address"] or "").split(".")
        parts = subject.split(".")
        return len(pattern) == len(parts) and all(one == other or one.startswith("{") for one, other in zip(pattern, parts))

    def test_5_the_golden_files_of_the_wire_are_described(self):
        files = sorted((ROOT / "proto/tests/golden").glob("*.msgpack"))
        self.assertGreater(len(files), 20)
        for path in files:
            with self.subTest(file=path.name):
                message = GOLDEN[path.stem.split("_")[0]]
                payload = plain(msgpack.unpackb(path.read_bytes()))
                self.assertEqual(self.description.complaints(message, payload), [], payload)
                # The schema can say no: without its version nothing is a message.
                self.assertTrue(self.description.complaints(message, {**payload, "v": 2}))


class Listener:
    """All that is said on NATS, from a thread of its own."""

    def __init__(self, url):
        self.messages = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.client = self.call(self.listen(url))

    def call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def listen(self, url):
        client = await nats.connect(url)

        async def note(message):
            # Envelopes are maps of two; JetStream speaks JSON, and a sign of life is empty.
            if message.data[:1] == b"\x82":
                payload = plain(msgpack.unpackb(message.data))
                self.messages.append((message.subject, dict(message.headers or {}), payload))

        await client.subscribe(">", cb=note)
        await client.flush()
        return client

    def stop(self):
        self.call(self.client.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


if __name__ == "__main__":
    unittest.main()
