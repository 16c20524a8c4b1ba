"What a report shows that another run would not: random ids in each spelling, and in pictures"

import hashlib
import uuid

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from assay.pipeline.normalise import leaks, normalise

ID = uuid.UUID("3f2b8c1e-9d47-4a6b-8c3d-5e7f90a1b2c3")
MOMENT = "c232ab00-9414-11ec-b3c8-9f6bdeced846"  # version 1: the moment and the machine
LATER = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"  # version 7: the moment and chance
SHOWN = dict(
    dashed=str(ID),
    upper=str(ID).upper(),
    hex=ID.hex,
    upper_hex=ID.hex.upper(),
    urn=ID.urn,
    braces=f"{{{ID}}}",
    moment=MOMENT,
    later=LATER,
    field=f"id={ID.hex};",
)


def showing(text, kind="text/plain"):
    return new_notebook(
        cells=[new_code_cell("1", id="c", outputs=[new_output("display_data", data={kind: text})])]
    )


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "image/svg+xml"])
@pytest.mark.parametrize("spelling", SHOWN)
def test_a_random_id_is_found_in_each_spelling(spelling, kind):
    found = leaks(showing(f"<g>run {SHOWN[spelling]} done</g>", kind))
    assert len(found) == 1 and found[0].startswith("cell c shows a random id: ")


def without_hyphens(s):
    return s.replace("-", "")


@pytest.mark.parametrize("spelling", SHOWN)
def test_an_id_of_the_table_is_no_leak_in_any_spelling(tmp_path, spelling):
    for stored in (str.lower, str.upper, without_hyphens):
        (tmp_path / "t.csv").write_text(f"id\n{stored(str(ID))}\n{stored(MOMENT)}\n{stored(LATER)}\n")
        assert leaks(showing(SHOWN[spelling]), [tmp_path]) == []
    # control: another id explains nothing
    (tmp_path / "t.csv").write_text(f"id\n{uuid.UUID(int=ID.int ^ 1)}\n")
    assert len(leaks(showing(SHOWN[spelling]), [tmp_path])) == 1


def test_hashes_and_names_are_no_random_ids():
    by_name = str(uuid.uuid5(uuid.NAMESPACE_DNS, "example.org"))  # the same on each machine
    hashes = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(200)]
    assert (
        leaks(
            showing(
                " ".join([by_name, *hashes, *(h[:16] for h in hashes), "0" * 32, "x" + ID.hex, ID.hex + "0"])
            )
        )
        == []
    )
    # no library writes half of it in capitals
    assert leaks(showing(str(ID)[:20].upper() + str(ID)[20:])) == []


def picture(salt):
    "A small figure as matplotlib writes it, its ids drawn anew, or from a salt"
    import io

    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": salt}):
        fig = Figure((2, 2))
        ax = fig.subplots()
        ax.plot([1, 2], marker="o")
        ax.scatter([1, 2], [2, 1])
        fig.savefig(f := io.StringIO(), format="svg", metadata=dict(Date=None))
    return f.getvalue()


def test_ids_in_a_picture_are_numbered_and_still_lead_where_they_led():
    import re

    raw = [picture(None) for _ in range(2)]
    assert raw[0] != raw[1]  # control: two runs differ
    shown = [
        normalise(showing(svg, "image/svg+xml")).cells[0].outputs[0].data["image/svg+xml"] for svg in raw
    ]
    assert shown[0] == shown[1]

    def targets(svg):
        ids = re.findall(r'\bid="([^"]+)"', svg)
        used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
        return [ids.index(a or b) for a, b in used], len(set(ids))

    assert targets(shown[0]) == targets(raw[0])
    assert len(targets(raw[0])[0]) > 5
    assert re.findall(r"#[0-9a-f]{6}\b", shown[0]) == re.findall(r"#[0-9a-f]{6}\b", raw[0])  # colours stay
