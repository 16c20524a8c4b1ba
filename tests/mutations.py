"Mutations of an approved bundle, its chain and its keys, none of which may be served"

import base64
import json
import shutil
from functools import partial

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tiny import make_tiny

from assay.core.manifest import write_manifest
from assay.core.signed_lines import _sign
from assay.package.identity import FILES
from assay.release.approval import approve, reject
from assay.release.chain import chain_head, load_keys, read_chain

CHAIN, BUNDLE = "approvals/approvals.jsonl", "data/bundle"


def key_of(repo, name="ann"):
    return repo.parent / f"{repo.name}-{name}.pem"


def lines(repo):
    return (repo / CHAIN).read_text().splitlines(keepends=True)


def set_lines(repo, new):
    (repo / CHAIN).write_text("".join(new))


def flip(path, where):
    raw = bytearray(path.read_bytes())
    raw[int(where * (len(raw) - 1))] ^= 1
    path.write_bytes(raw)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


MUTATIONS = {}


def mutation(name):
    "A change of bundle, chain or keys; it takes the repository"

    def keep(change):
        MUTATIONS[name] = change
        return change

    return keep


# Files of the bundle


def bundle_file(repo, name):
    return repo / BUNDLE / name


def flip_file(name, where, repo):
    flip(bundle_file(repo, name), where)


def remove_file(name, repo):
    bundle_file(repo, name).unlink()


def empty_file(name, repo):
    bundle_file(repo, name).write_bytes(b"")


def relink(name, repo):
    bundle_file(repo, name).rename(repo.parent / name)
    bundle_file(repo, name).symlink_to(repo.parent / name)


for _name in (*FILES, "manifest.json"):
    for _where in (0.1, 0.5, 0.9):
        MUTATIONS[f"one bit of {_name} at {_where}"] = partial(flip_file, _name, _where)
    MUTATIONS[f"{_name} removed"] = partial(remove_file, _name)
for _name in FILES:
    MUTATIONS[f"{_name} emptied"] = partial(empty_file, _name)
for _name in ("model.onnx", "manifest.json"):
    MUTATIONS[f"{_name} a link"] = partial(relink, _name)


@mutation("an extra file")
def extra_file(repo):
    bundle_file(repo, "extra").write_text("")


@mutation("an extra folder")
def extra_folder(repo):
    bundle_file(repo, ".git").mkdir()


@mutation("a file in other case")
def other_case(repo):
    bundle_file(repo, "MODEL.ONNX").write_bytes(bundle_file(repo, "model.onnx").read_bytes())


@mutation("two files swapped")
def files_swapped(repo):
    for a, b in (("golden.json", "x"), ("schema.json", "golden.json"), ("x", "schema.json")):
        bundle_file(repo, a).rename(bundle_file(repo, b))


@mutation("another model")
def other_model(repo):
    "Another model in the place of the approved one, its manifest made to fit"
    other = repo.parent / "other"
    make_tiny(other, seed=3)
    shutil.rmtree(repo / BUNDLE)
    shutil.copytree(other / BUNDLE, repo / BUNDLE)


@mutation("another threshold, the manifest made again")
def other_threshold(repo):
    provenance = bundle_file(repo, "provenance.json")
    provenance.write_text(json.dumps(json.loads(provenance.read_text()) | dict(threshold=0.01)))
    bundle_file(repo, "manifest.json").unlink()
    write_manifest(repo / BUNDLE)


# Lines of the chain


def flip_line(i, where, repo):
    all_lines, at = lines(repo), int(where * 600)
    line = all_lines[i]
    all_lines[i] = line[:at] + chr(ord(line[at]) ^ 1) + line[at + 1 :]
    set_lines(repo, all_lines)


def remove_line(i, repo):
    all_lines = lines(repo)
    del all_lines[i]
    set_lines(repo, all_lines)


def swap_lines(i, repo):
    all_lines = lines(repo)
    all_lines[i], all_lines[i + 1] = all_lines[i + 1], all_lines[i]
    set_lines(repo, all_lines)


for _i in range(7):
    for _where in (0.05, 0.5, 0.95):
        MUTATIONS[f"one bit of line {_i} of the chain at {_where}"] = partial(flip_line, _i, _where)
for _i in range(6):
    MUTATIONS[f"line {_i} removed"] = partial(remove_line, _i)
    MUTATIONS[f"lines {_i} and {_i + 1} swapped"] = partial(swap_lines, _i)


@mutation("no chain")
def no_chain(repo):
    (repo / CHAIN).unlink()


@mutation("an empty chain")
def empty_chain(repo):
    set_lines(repo, [])


@mutation("the last line repeated")
def last_repeated(repo):
    set_lines(repo, [*lines(repo), lines(repo)[-1]])


@mutation("an old line replayed")
def old_replayed(repo):
    set_lines(repo, [*lines(repo), lines(repo)[3]])


@mutation("a torn last line")
def torn(repo):
    *before, last = lines(repo)
    set_lines(repo, [*before, last[:-9]])


@mutation("an empty line at the end")
def empty_line(repo):
    set_lines(repo, [*lines(repo), "\n"])


@mutation("spaces in a line")
def spaces(repo):
    *before, last = lines(repo)
    set_lines(repo, [*before, last.replace('","', '", "', 1)])


@mutation("other line ends")
def other_line_ends(repo):
    (repo / CHAIN).write_bytes((repo / CHAIN).read_bytes().replace(b"\n", b"\r\n"))


# What a line says, its signature kept: line, path of the changed value, value

EDITS = {
    "a rejection made an approval": (4, ("predicate", "decision"), "approve"),
    "an approval of another bundle": (5, ("predicate", "bundle"), "a" * 64),
    "an expiry taken out": (5, ("predicate", "expires"), "2999-01-01"),
    "a report swapped in the subjects": (5, ("subject", -1, "digest", "sha256"), "b" * 64),
    "another role in an enrolment": (1, ("predicate", "about", "role"), "product owner"),
    "a key with a field too many": (1, ("predicate", "about", "admin"), True),
    "a revocation made an enrolment": (6, ("predicate", "decision"), "enrol"),
}


def edit_payload(i, path, value, repo):
    "Change what line `i` says at `path`, and keep its signature"
    all_lines = lines(repo)
    envelope = json.loads(all_lines[i])
    statement = json.loads(base64.b64decode(envelope["payload"]))
    *above, last = path
    part = statement
    for key in above:
        part = part[key]
    part[last] = value
    envelope["payload"] = base64.b64encode(canonical(statement).encode()).decode()
    all_lines[i] = canonical(envelope) + "\n"
    set_lines(repo, all_lines)


for _name, _edit in EDITS.items():
    MUTATIONS[_name] = partial(edit_payload, *_edit)


@mutation("another public half under the same id")
def other_public_half(repo):
    public = load_keys()[read_chain()[0]["keyid"]]["public"]
    edit_payload(1, ("predicate", "about", "public"), public, repo)


@mutation("a revocation of another key")
def other_key_revoked(repo):
    edit_payload(6, ("predicate", "about", "id"), read_chain()[1]["about"]["id"], repo)


# Who signed


def set_signatures(repo, copies):
    "The last line with its signature this many times"
    *before, last = lines(repo)
    envelope = json.loads(last)
    envelope["signatures"] *= copies
    set_lines(repo, [*before, canonical(envelope) + "\n"])


@mutation("an unsigned line")
def unsigned(repo):
    set_signatures(repo, 0)


@mutation("a line with the same signature twice")
def signed_twice(repo):
    set_signatures(repo, 2)


def forge(repo, claimed):
    "Add a line that approves the bundle, signed by a stranger; `claimed` is the key id that it names"
    stranger = Ed25519PrivateKey.generate()
    last = read_chain()[5]
    predicate = {k: v for k, v in last.items() if k not in ("subjects", "root", "hash")}
    predicate |= dict(seq=len(read_chain()), prev=chain_head(), keyid=claimed)
    set_lines(repo, [*lines(repo), _sign(stranger, claimed, last["subjects"], predicate) + "\n"])


@mutation("a stranger's line")
def forged(repo):
    forge(repo, "0" * 16)


@mutation("a stranger's line in another's name")
def forged_in_a_name(repo):
    forge(repo, read_chain()[0]["keyid"])


@mutation("a rejection, properly signed")
def rejected(repo):
    reject(key_of(repo, "bob"), "wrong alarms again")


@mutation("an approval that has ended")
def expired(repo):
    approve(key_of(repo), "for a week", expires="2013-11-10", today="2013-11-03")
