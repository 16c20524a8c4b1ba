"Values that nobody expects in a file of settings"

import datetime

DAY = datetime.date(2015, 1, 1)
NUMBERS = [True, False, 0, 1, -1, 1.5, float("nan"), float("inf"), 10**400]
WORDS = ["", " ", "x", "a\0b", "\ud800", "x" * 10**5, b"x"]
LISTS = [[], [[]], [None], [1], ["x"], ["x", "x"], [DAY], [True], [10**400], [float("nan")], [{}]]
PAIRS = [{"a": [["x", 1]]}, {"a": [["x"]]}, {"a": [["x", DAY]]}, {"value": 10**400, "low": 1, "high": 2}]
MAPPINGS = [
    {},
    {"a": 1},
    {"a": "x"},
    {1: 2, "a": 3},
    {None: None},
    {"a": DAY},
    {"a": ["x"]},
    {"a": {"b": DAY}},
]
ODD = [
    None,
    DAY,
    datetime.datetime(2015, 1, 1, 3),
    *NUMBERS,
    *WORDS,
    *LISTS,
    *PAIRS,
    *MAPPINGS,
    {"a": 10**400},
]
