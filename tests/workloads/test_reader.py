"""Traces of several publishers read alike; every impossible file is an error that names file and line."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetops.errors import TraceError
from hetops.workloads.reader import read_trace

TRACES = Path(__file__).parents[2] / "examples" / "traces"


def written(folder: Path, text: str | bytes, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_shipped_traces_read_whole() -> None:
    conv = read_trace(TRACES / "azure_llm_2023_conv.csv")
    assert len(conv) == 19_366
    assert conv.input_tokens.mean() == pytest.approx(1155, rel=0.01)
    assert conv.requests_per_second == pytest.approx(5.5, rel=0.02)


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,input_tokens,output_tokens\n0,10,5\n2.5,20,6\n",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,10,5\n2023-11-16 18:15:49.1805900,20,6\n",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,10,5\n2024-05-10 00:00:02.509930+00:00,20,6\n",
        "Timestamp,Session ID,Request tokens,Response tokens\n5,a,10,5\n6,a,9,0\n7.5,b,20,6\n",
        '{"timestamp": 1000, "input_length": 10, "output_length": 5, "hash_ids": [1]}\n'
        '{"timestamp": 3500, "input_length": 20, "output_length": 6}\n',
        '{"at_seconds": 0, "input_tokens": 10, "output_tokens": 5}\n\n{"at_seconds": 2.5, "input_tokens": 20, "output_tokens": 6}',
    ],
    ids=["own CSV", "Azure", "Azure 2024", "BurstGPT with a failed request", "Mooncake", "own JSON lines"],
)
def test_each_publishers_format_gives_the_same_trace(tmp_path: Path, text: str) -> None:
    for content in (text.encode(), gzip.compress(text.encode())):
        trace = read_trace(written(tmp_path, content))
        assert trace.at_seconds.tolist() == pytest.approx([0.0, 2.5])
        assert trace.input_tokens.tolist() == [10, 20]
        assert trace.output_tokens.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("timestamp,input_tokens\n0,1\n", ":1: no column 'output_tokens'"),
        ("timestamp,input_tokens,output_tokens\n0,1,1\n1,-4,1\n", ":3: input_tokens is -4"),
        (
            "timestamp,input_tokens,output_tokens\n0,1,1\n1,3,0\n",
            ":3: output_tokens is 0: a request has at least 1",
        ),
        ("timestamp,input_tokens,output_tokens\n0,1,1\n1,inf,1\n", ":3: input_tokens is inf"),
        ("timestamp,input_tokens,output_tokens\ninf,1,1\n", ":2: timestamp 'inf' is no time"),
        ("timestamp,input_tokens,output_tokens\n", "no request, only a header"),
        ('{"timestamp": [1], "input_length": 3, "output_length": 3}\n', ":1: timestamp [1] is no time"),
        (
            '{"timestamp": 1, "input_length": null, "output_length": 3}\n',
            ":1: input_length None is no number",
        ),
        ('{"timestamp": 1, "input_length": 3, "output_length": 3}\n[1]\n', ":2: expected one JSON object"),
        ('[{"timestamp": 1}]', ":1: no column"),
        ("timestamp,input_tokens,output_tokens\n0,1,1\n1,nan,1\n", ":3: input_tokens is nan"),
        ("timestamp,input_tokens,output_tokens\n0,1,1\n1,x,1\n", ":3: input_tokens 'x' is no number"),
        ("timestamp,input_tokens,output_tokens\n5,1,1\n1,1,1\n", ":3: the time goes back from 5 to 1"),
        ("timestamp,input_tokens,output_tokens\nsoon,1,1\n", ":2: timestamp 'soon' is no time"),
        ("timestamp,input_tokens,output_tokens\n,1,1\n", ":2: no time: lengths alone make no rates"),
        ("timestamp,input_tokens,output_tokens\n0,1\n", ":2: 2 columns"),
        ("timestamp,input_tokens,output_tokens\n0,1,1\n", "a single request makes no rate"),
        ("timestamp,input_tokens,output_tokens\n3,1,1\n3,1,1\n", "make no rate"),
        ('{"timestamp": 1, "input_length": 3}\n', ":1: no column 'output_length'"),
        ('{"timestamp": 1, "input_length": 3, "output_length": 3}\n{broken\n', ":2: not JSON"),
        ("timestamp,input_tokens,output_tokens,model\n0,1,1,a\n1,1,1\r,a\n", ":3: not CSV: new-line"),
    ],
)
def test_an_impossible_file_is_an_error_that_names_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TraceError) as caught:
        read_trace(written(tmp_path, text))
    assert said in caught.value.message
    assert caught.value.hint


def test_a_binary_or_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="not text in UTF-8"):
        read_trace(written(tmp_path, b"\x00\xff\xfe\x80"))
    with pytest.raises(TraceError, match="No such file"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(TraceError, match="Is a directory"):
        read_trace(tmp_path)


@pytest.mark.parametrize(
    "spoil", [lambda b: b[:-12], lambda b: b[:20] + bytes(20) + b[40:], lambda b: b[:2] + b"no"]
)
def test_a_broken_gzip_file_is_an_error(tmp_path: Path, spoil) -> None:
    whole = gzip.compress(b"timestamp,input_tokens,output_tokens\n" + b"1,20,3\n" * 50, mtime=0)
    with pytest.raises(TraceError, match="a broken gzip file"):
        read_trace(written(tmp_path, spoil(whole)))


def test_a_field_beyond_any_size_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="not CSV"):
        read_trace(written(tmp_path, "timestamp,input_tokens,output_tokens\n0,1," + "9" * 200_000))


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=80)
    | st.text(alphabet='0123456789,\n"{}:.e- timesapnu_ok', max_size=80).map(str.encode)
)
def test_no_content_whatever_ends_in_anything_but_a_trace_or_our_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for head in (
            b"",
            b"timestamp,input_tokens,output_tokens\n",
            b'{"at_seconds":0,"input_tokens":1,"output_tokens":1}\n',
        ):
            try:
                read = len(read_trace(written(Path(folder), head + content)))
            except TraceError:
                continue
            assert read >= 2


def test_failed_requests_are_left_out_and_told(tmp_path: Path) -> None:
    text = "Timestamp,Request tokens,Response tokens\n5,10,5\n6,9,0\n7,8,0\n7.5,20,6\n"
    trace = read_trace(written(tmp_path, text))
    assert (len(trace), trace.notes) == (2, ("2 failed requests left out",))
