# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Headless Chromium, driven by the DevTools protocol over its pipe; standard library only."""
import base64
import json
import os
import select
import subprocess
import tempfile
import time

KEYS = {"Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40, "Tab": 9, "Home": 36, "End": 35}


class BrowserError(Exception):
    """What a page did not do."""


class Browser:
    """One page. `complaints`: its console errors; `requests`: every URL it asked for."""

    def __init__(self, program="chromium"):
        self.complaints, self.requests = [], []
        self.number, self.rest, self.replies = 0, b"", {}
        self.profile = tempfile.TemporaryDirectory(prefix="shunt-chromium-")
        to_read, self.to = os.pipe()
        self.source, from_write = os.pipe()
        # The protocol's pipes are descriptors 3 and 4.
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" 3<&{to_read} 4>&{from_write}', "sh", program,
             "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--hide-scrollbars", "--remote-debugging-pipe",
             f"--user-data-dir={self.profile.name}", "about:blank"],
            pass_fds=(to_read, from_write), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, HOME=self.profile.name))
        os.close(to_read)
        os.close(from_write)
        self.session = None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"],
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def close(self):
        """End it, and remove what it kept."""
        try:
            self.session = None
            self.call("Browser.close")
        except (BrowserError, OSError):
            self.process.kill()
        self.process.wait()
        for _ in range(20):
            try:
                self.profile.cleanup()
                return
            except OSError:  # its children are still writing
                time.sleep(0.1)

    def _event(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description",
                                                                    details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f'{params["entry"]["text"]} {params["entry"].get("url", "")}')
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.complaints.append(str(params["args"]))

    def _read(self, deadline):
        ready, _, _ = select.select([self.source], [], [], max(0, deadline - time.monotonic()))
        data = os.read(self.source, 1 << 20) if ready else b""
        if not data:
            raise BrowserError("Chromium says nothing (any more)")
        *messages, self.rest = (self.rest + data).split(b"\0")
        for text in messages:
            message = json.loads(text)
            if "id" in message:
                self.replies[message["id"]] = message
            else:
                self._event(message)

    def call(self, method, **params):
        """A command, and its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while self.number not in self.replies:
            self._read(deadline)
        reply = self.replies.pop(self.number)
        if "error" in reply:
            raise BrowserError(f'{method}: {reply["error"]["message"]}')
        return reply["result"]

    def js(self, expression):
        """What an expression is, in the page."""
        reply = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                          awaitPromise=True)
        if "exceptionDetails" in reply:
            raise BrowserError(f'{expression}: {reply["exceptionDetails"]}')
        return reply["result"].get("value")

    def wait(self, expression, seconds=20):
        """Until an expression is true. @return what it is"""
        deadline = time.monotonic() + seconds
        while True:
            value = self.js(expression)
            if value:
                return value
            if time.monotonic() > deadline:
                raise BrowserError(f"not within {seconds} s: {expression}")
            time.sleep(0.1)

    def go(self, url):
        """Open a page."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def key(self, name):
        """Press a key: one of KEYS, or a character."""
        if name in KEYS:
            what = {"key": name, "code": name, "windowsVirtualKeyCode": KEYS[name]}
            if name == "Enter":
                what["text"] = "\r"
        else:
            what = {"key": name, "text": name}
        self.call("Input.dispatchKeyEvent", type="keyDown", **what)
        self.call("Input.dispatchKeyEvent", type="keyUp",
                  **{key: value for key, value in what.items() if key != "text"})

    def type(self, text):
        """Into what has the focus."""
        for character in text:
            self.key(character)

    def size(self, width, height):
        """Of the window."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)

    def media(self, **features):
        """prefers_color_scheme="dark" and the like."""
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def shot(self, path):
        """A PNG of what is in the window."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
