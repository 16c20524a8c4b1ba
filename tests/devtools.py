"""One page of a headless Chromium, driven by its DevTools protocol

For example, `with Tab(folder) as tab: tab.open(path); tab.ask("document.title")`.
A script that a test asks for runs beside the page, so the policy of the page stays as it is.
"""

import json
import os
import subprocess
import time
from select import select

from browser import CHROMIUM, FLAGS

# The protocol comes and goes by the file descriptors 3 and 4, so no port is open
PIPED = 'exec "$0" "$@" 3<&{0} 4>&{1}'
AWAKE = [  # a page that nobody looks at would run its timers once a second
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]
PATIENCE = 600  # seconds for one answer; the machine may be busy
END = b"\0"  # of a message
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38}  # to their codes


class Refused(RuntimeError):
    "Chromium refused a command, or a script raised an error"


class Tab:
    "A page of a browser of its own"

    def __init__(self, folder):
        self.profile, self.sent, self.told, self.rest = folder / "profile", 0, [], b""
        self.session = {}  # names the page in each command, once it is there

    def __enter__(self):
        theirs, write = os.pipe()
        self.read, written = os.pipe()
        flags = [f for f in FLAGS if "virtual-time" not in f]
        flags += [*AWAKE, "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "about:blank"]
        self.browser = subprocess.Popen(
            ["bash", "-c", PIPED.format(theirs, written), CHROMIUM, *flags],
            pass_fds=(theirs, written),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(written)
        self.write = os.fdopen(write, "wb")
        self._attach()
        return self

    def __exit__(self, *error):
        self.browser.terminate()
        self.browser.wait(PATIENCE)
        self.write.close()
        os.close(self.read)

    def _attach(self):
        "Make the page, and ask to be told what it says"
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self.session = dict(sessionId=attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def _message(self):
        "The next message of the browser"
        until = time.monotonic() + PATIENCE
        while END not in self.rest:
            ready = select([self.read], [], [], max(0, until - time.monotonic()))[0]
            read = os.read(self.read, 1 << 20) if ready else b""
            if not read:
                raise Refused(f"Chromium said nothing for {PATIENCE} s, or ended ({self.browser.poll()})")
            self.rest += read
        message, self.rest = self.rest.split(END, 1)
        return json.loads(message)

    def _until(self, key, value):
        "The first message with this value; the events before it are kept in `told`"
        while (message := self._message()).get(key) != value:
            self.told.append(message)
        return message

    def send(self, method, **parameters):
        "Give a command; what Chromium answers"
        self.sent += 1
        number = self.sent
        command = dict(id=number, method=method, params=parameters) | self.session
        self.write.write(json.dumps(command).encode() + END)
        self.write.flush()
        answer = self._until("id", number)
        if "error" in answer:
            raise Refused(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, path):
        "Open a file, and wait until it is loaded"
        self.visit(path.as_uri())

    def visit(self, url):
        "Open an address, and wait until it is loaded"
        self.told.clear()
        self.send("Page.navigate", url=url)
        loaded = "Page.loadEventFired"
        if not any(event.get("method") == loaded for event in self.told):
            self.told.append(self._until("method", loaded))

    def look(self, width, dark=False, height=900):
        "Set the width in pixels, and the theme that the reader prefers"
        size = dict(width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setDeviceMetricsOverride", **size)
        theme = dict(name="prefers-color-scheme", value="dark" if dark else "light")
        self.send("Emulation.setEmulatedMedia", features=[theme])

    def ask(self, script):
        "The value of an expression in the page; of a promise, what it gives"
        asked = dict(expression=script, awaitPromise=True, returnByValue=True)
        answer = self.send("Runtime.evaluate", **asked)
        if "exceptionDetails" in answer:
            raise Refused(str(answer["exceptionDetails"])[:500])
        return answer["result"].get("value")

    def press(self, key):
        "Press a key of `KEYS`"
        named = dict(key=key, code=key, windowsVirtualKeyCode=KEYS[key])
        if key == "Enter":
            named["text"] = "\r"
        self.send("Input.dispatchKeyEvent", type="keyDown", **named)
        self.send("Input.dispatchKeyEvent", type="keyUp", **named)

    def type(self, text):
        "Write a text into what has the focus"
        self.send("Input.insertText", text=text)

    def said(self):
        "What the page wrote to the console, and its errors, since it was opened"
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in self.told if event.get("method") in kinds]
