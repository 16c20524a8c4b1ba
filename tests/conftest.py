"What all tests share"
from assay.engine import import_nbformat

import_nbformat()  # before a test imports it as it comes
