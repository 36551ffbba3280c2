"""The built binary under test: its configuration, its start, what it wrote."""

import json
import os
import socket
import subprocess
import time
import urllib.request

#: What the test policy refuses, whatever the classifiers think of it.
SECRET = "project nightfall"
CLAUSE = "Acceptable use 4.2"
CARD = "4111 1111 1111 1111"
BODY_LIMIT = 64 * 1024

POLICY = {
    "name": "e2e",
    "mode": "enforce",
    "patterns": [
        {"id": "codename", "deny": [SECRET], "then": "block", "cite": CLAUSE},
        {"id": "card", "deny": ["4111 1111 1111 1111"], "then": "redact"},
    ],
}


class Gate:
    def __init__(self, binary, upstream_url, folder):
        self.url, self.admin = f"http://{free_address()}", f"http://{free_address()}"
        self.records_path = os.path.join(folder, "records.jsonl")
        self.log_path = os.path.join(folder, "gate.log")
        config = os.path.join(folder, "portcullis.yaml")
        document = {
            "listen": self.url.removeprefix("http://"),
            "admin": self.admin.removeprefix("http://"),
            "upstreams": {"openai": upstream_url, "anthropic": upstream_url},
            "limits": {"body": f"{BODY_LIMIT // 1024}KiB"},
            "record": {"file": self.records_path},
            "policy": POLICY,
        }
        with open(config, "w") as file:
            json.dump(document, file, indent=1)  # JSON is YAML
        self.log = open(self.log_path, "wb")
        command = [binary, "serve", "--config", config]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        self.wait_ready()

    def wait_ready(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if self.get("/readyz"):
                    return
            except OSError:
                time.sleep(0.05)
        with open(self.log_path, errors="replace") as log:
            raise SystemExit(f"the gate did not become ready:\n{log.read()}")

    def get(self, path):
        """A page of the admin plane."""
        with urllib.request.urlopen(self.admin + path, timeout=5) as answer:
            return answer.read().decode()

    def decision(self, decision_id, key):
        """The final receipt of a decision, asked for with the key that made the exchange."""
        request = urllib.request.Request(
            f"{self.url}/v1/guard/decisions/{decision_id}",
            headers={"authorization": f"Bearer {key}", "x-api-key": key},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def stop(self):
        """SIGTERM; returns the exit code, `None` when it had to be killed."""
        self.process.terminate()
        try:
            return self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None
        finally:
            self.log.close()

    def records(self):
        with open(self.records_path) as file:
            return [json.loads(line) for line in file]

    def written(self):
        """Everything that the gate wrote to disk."""
        pages = []
        for path in (self.records_path, self.log_path):
            with open(path, errors="replace") as file:
                pages.append(file.read())
        return "\n".join(pages)


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % probe.getsockname()[1]
