"""The binary under test with one rule: the word."""

import json
import os
import subprocess
import time
import urllib.request

from gate import free_address

from .case import BAD


class Gate:
    def __init__(self, binary, upstream, folder, policy=None):
        listen, admin = free_address(), free_address()
        host, port = listen.split(":")
        self.address, self.admin = (host, int(port)), f"http://{admin}"
        rule = {"id": "word", "deny": [BAD], "then": "block"}
        document = {
            "listen": listen,
            "admin": admin,
            "upstreams": {"openai": upstream, "anthropic": upstream},
            "record": "none",
            # The cases are about patterns, or about scores of the linear tier.
            "encoder": {"model": "none"},
            "policy": policy or {"name": "evasion", "mode": "enforce", "patterns": [rule]},
        }
        config, self.log_path = (os.path.join(folder, name) for name in ("gate.yaml", "gate.log"))
        with open(config, "w") as file:
            json.dump(document, file)  # JSON is YAML
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [binary, "serve", "--config", config], stdout=self.log, stderr=self.log
        )
        self.wait_ready()

    def wait_ready(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(self.admin + "/readyz", timeout=5):
                    return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise SystemExit(f"the gate did not become ready:\n{self.said()}")

    def said(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
