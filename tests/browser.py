"A real browser, for tests that look at a page"

import re
import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=5000",
]
# what Chromium asks of its maker, whatever the page
OWN = re.compile(r"https?://([\w-]+\.)*(google|googleapis|gstatic)\.com[/:]")


def opened(path, folder):
    "A page after its scripts have run, and the addresses that it asked for"
    log = folder / "net.json"
    done = subprocess.run(
        [
            CHROMIUM,
            *FLAGS,
            f"--user-data-dir={folder / 'profile'}",
            f"--log-net-log={log}",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, {
        url
        for url in re.findall(r'"url":"(https?://[^"]+)"', log.read_text(errors="replace"))
        if not OWN.match(url)
    }
