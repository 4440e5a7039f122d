"""What the attack sends: requests and files, good and damaged."""

import json
import random
import tempfile
from pathlib import Path

import numpy as np

INFER = "/v2/models/tiny/infer"
WORDS = (
    b"null",
    b"[]",
    b"{}",
    b"1e400",
    b"-1",
    b"NaN",
    b'"\\ud800"',
    b"true",
    b"[[[",
    b"1e30",
    b'""',
)


def drawing(seed: int) -> random.Random:
    """Return the source of all random choices."""
    return random.Random(seed)  # noqa: S311


def good_body(draw: random.Random) -> bytes:
    points = draw.randint(2, 40)
    data = [round(draw.uniform(-9, 9), 3) for _ in range(points * 3)]
    tensor = {"name": "points", "datatype": "FP32", "shape": [points, 3], "data": data}
    return json.dumps({"inputs": [tensor], "outputs": [{"name": "labels"}]}).encode()


def post(body: bytes, *headers: str, path: str = INFER) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def damaged(text: bytes, draw: random.Random, times: int) -> bytes:
    """Change, drop, repeat or insert at random places."""
    found = bytearray(text)
    for _ in range(times):
        at = draw.randrange(len(found) + 1)
        kind = draw.randrange(5)
        if kind == 0:
            found[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            del found[at : at + draw.randint(1, 30)]
        elif kind == 2:
            found[at:at] = found[max(0, at - 20) : at]
        elif kind == 3:
            found[at:at] = draw.choice(WORDS)
        else:
            found[at:at] = draw.choice((b"\r\n", b"\r\n\r\n", b":", b" ", b"\0", b","))
    return bytes(found)


def hostile_request(draw: random.Random) -> bytes:
    body = good_body(draw)
    kind = draw.randrange(5)
    if kind == 0:
        return post(damaged(body, draw, draw.randint(1, 4)))
    if kind == 1:
        return damaged(post(body), draw, draw.randint(1, 3))
    if kind == 2:
        extra = draw.choice(
            ("Transfer-Encoding: chunked", "Content-Length: 3", "Content-Encoding: gzip",
             "Expect: 100-continue", "Inference-Header-Content-Length: 99999", "Connection: close",
             "X-Request-Timeout: -1", "Accept-Encoding: gzip", "Content-Encoding: deflate")
        )  # fmt: skip
        return post(body, extra)
    if kind == 3:
        value = json.loads(body)
        tensor = value["inputs"][0]
        tensor[draw.choice(list(tensor))] = draw.choice(
            [None, [], {}, "x", -1, 1e30, True, [[]], [1e30, 0, 3], ["a"] * 9, 2**70]
        )
        return post(json.dumps(value).encode())
    raw = draw.randbytes(draw.randint(0, 200))
    tensor = {"name": "points", "datatype": draw.choice(("FP16", "FP32", "FP64", "INT8", ""))}
    tensor |= {"shape": [draw.randint(0, 9), 3], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    return post(head + raw, f"Inference-Header-Content-Length: {len(head)}")


def seeds() -> dict[str, bytes]:
    """Return a small good file of several formats."""
    cloud = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    rows = "".join("{:.4f} {:.4f} {:.4f}\n".format(*row) for row in cloud)
    with tempfile.TemporaryDirectory() as room:
        np.save(Path(room) / "a.npy", cloud)
        np.savez_compressed(Path(room) / "a.npz", points=cloud)
        npy, npz = ((Path(room) / f"a.{kind}").read_bytes() for kind in ("npy", "npz"))
    ply = "ply\nformat ascii 1.0\nelement vertex 12\n"
    ply += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n" + rows
    pcd = "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 12\nHEIGHT 1\n"
    pcd += "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 12\nDATA ascii\n" + rows
    off = "OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n"
    obj = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    texts = {"xyz": rows, "ply": ply, "pcd": pcd, "off": off, "obj": obj}
    return {"npy": npy, "npz": npz} | {kind: text.encode() for kind, text in texts.items()}


def upload(draw: random.Random, files: dict[str, bytes]) -> bytes:
    kind = draw.choice(list(files))
    content = damaged(files[kind], draw, draw.randint(0, 4))
    part = f'--b\r\nContent-Disposition: form-data; name="file"; filename="a.{kind}"\r\n\r\n'
    body = part.encode() + content + b"\r\n--b--\r\n"
    return post(body, "Content-Type: multipart/form-data; boundary=b", path="/classify")
