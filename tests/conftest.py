"What all tests share"
import sys

sys.modules.setdefault("rfc3987_syntax", None)  # an optional import of jsonschema that costs more than most tests
