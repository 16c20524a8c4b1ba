"""Did a change of the code change what is computed? Compare two versions of the evidence, value by value.

    python tests/compare.py main~3       # the reports of a revision with those of the working tree
    python tests/compare.py main~3 HEAD
    python tests/compare.py main~3 --tables before after  # and the data frames that the reports show

A data frame is kept before it is rendered where the environment variable ASSAY_KEEP_TABLES names a folder.
Hashes and names of source files may differ; every other value that differs is listed,
and the exit code is then 1.
The text of a page that differs is listed too, and changes no exit code: a sentence may be reworded.
"""

import argparse
import difflib
import html
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HASH = re.compile(r"\b[0-9a-f]{12,64}\b")
SOURCE = re.compile(r"\b(?:assay|nbs)/[\w/]+\.(?:py|ipynb)\b")
# parts of the evidence that hold hashes only
BOUND = {
    "inputs",
    "code",
    "environment",
    "agreement",
    "waivers",
}


def values(found, where=""):
    "Each value of a nested structure with its place; hashes and names of source files as marks"
    if isinstance(found, dict):
        return {
            w: v
            for k, x in found.items()
            if k not in BOUND
            for w, v in values(x, f"{where}.{k}".lstrip(".")).items()
        }
    if isinstance(found, list):
        return {w: v for i, x in enumerate(found) for w, v in values(x, f"{where}[{i}]").items()}
    if isinstance(found, str):
        found = SOURCE.sub("<source>", HASH.sub("<hash>", found))
    return {where: found}


def differences(before, after):
    "`(place, before, after)` of each value that differs; a value that one side lacks is shown as `-`"
    a, b = values(before), values(after)
    pairs = ((w, a.get(w, "-"), b.get(w, "-")) for w in sorted({*a, *b}))
    # the text tells 1 from 1.0, and takes nan for nan
    return [(w, x, y) for w, x, y in pairs if repr(x) != repr(y)]


def json_files(folder):
    "Name to content of the JSON files below a folder"
    return {
        p.relative_to(folder).as_posix(): json.loads(p.read_text())
        for p in sorted(Path(folder).rglob("*.json"))
    }


def page_lines(path):
    "The words of a page, one block a line"
    text = re.sub(r"<(script|style)\b.*?</\1>", "", path.read_text(), flags=re.S)
    text = html.unescape(re.sub(r"<[^>]+>", "\n", text))
    lines = (SOURCE.sub("<source>", HASH.sub("<hash>", " ".join(line.split()))) for line in text.splitlines())
    return [line for line in lines if line]


def reworded(before, after):
    "Lines of the pages that differ, as a diff"
    res = []
    for path in sorted(p.relative_to(before) for p in Path(before).rglob("*.html")):
        if not (Path(after) / path).is_file():
            res.append(f"{path}: the page is gone")
            continue
        a = page_lines(Path(before) / path)
        b = page_lines(Path(after) / path)
        res += [
            f"{path}: {line}"
            for line in difflib.unified_diff(a, b, lineterm="", n=0)
            if line[:1] in "+-" and line[:3] not in ("+++", "---")
        ]
    return res


def reports_of(revision, folder):
    "The reports of a revision, unpacked into a folder; without a revision those of the working tree"
    if revision is None:
        return Path("reports")
    archive = subprocess.run(["git", "archive", revision, "reports"], capture_output=True, check=True).stdout
    tarfile.open(fileobj=io.BytesIO(archive)).extractall(folder, filter="data")
    return Path(folder, "reports")


def main(argv=None):
    "List what differs; 0 where nothing that is computed does"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", help="revision of git")
    parser.add_argument("after", nargs="?", help="revision of git; the working tree by default")
    parser.add_argument(
        "--tables", nargs=2, metavar=("BEFORE", "AFTER"), help="two folders of kept data frames"
    )
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        before = reports_of(args.before, one)
        after = reports_of(args.after, two)
        pairs = [(json_files(before), json_files(after))] + (
            [tuple(map(json_files, args.tables))] if args.tables else []
        )
        found = [d for a, b in pairs for d in differences(a, b)]
        words = reworded(before, after)
    for place, a, b in found:
        print(f"{place}: {a!r} -> {b!r}")
    print(f"{sum(len(values(a)) for a, _ in pairs)} values compared, {len(found)} differ")
    for line in words:
        print(line)
    print(f"{len(words)} lines of the pages differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
