"""Tables of signals as spreadsheets save them."""

import numpy as np
import pytest

from lokitalk_jax.avatar import signal_table

ROWS = "eye0,eye1,lip0\n0.5,1,-2.25\n0.25,0,1e-3\n"
VALUES = [[0.5, 1], [0.25, 0]]


def read(path):
    return list(signal_table.read(path, "eye", 2))


def semicolons(text):
    return text.replace(",", ";").replace(".", ",")


@pytest.mark.parametrize(
    "contents",
    [
        ROWS.encode(),
        ROWS.encode("utf-8-sig"),
        ROWS.encode("utf-16"),
        ROWS.replace("\n", "\r\n").encode(),
        semicolons(ROWS).encode("utf-8-sig"),
        ROWS.replace(",", ";").encode(),
        ROWS.replace(",", "\t").encode("utf-16"),
        f"{ROWS},,\n,,\n".encode(),
        f"{semicolons(ROWS)};;\r\n".encode(),
        f"{ROWS}\n\n".encode(),
        ROWS.replace("eye1", '"eye1"').encode(),
    ],
)
def test_tables_of_spreadsheets_are_read(tmp_path, contents):
    path = tmp_path / "50%: Tabelle ü.csv"
    path.write_bytes(contents)
    np.testing.assert_allclose(read(path), VALUES)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "a.csv has no column eye0, eye1; .* semicolons or tabs"),
        (b"eye0,eye1\n1,1\n,\n1,1\n", "a.csv, line 3 is empty"),
        (b"eye0,eye1\n1,1\n1\n", "a.csv, line 3: could not convert"),
        (b"eye0,eye1\n1,nan\n", "a.csv, line 2: a value is not finite"),
        (
            b"eye0,eye1\n1,\xff\n",
            r"a.csv is no table \('utf-8' codec .* save it as CSV",
        ),
        (b"\x00\x01\x02", "a.csv has no column"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(tmp_path, contents, message):
    path = tmp_path / "a.csv"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=message):
        read(path)
