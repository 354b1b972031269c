"""AWS as a real HTTP server: EC2, STS, price list and quotas of one account, over all its regions, at one address.

python -m tests.doubles.aws --scenario traps

With the address of a moto server (`aws_moto`), what moto knows well is answered by moto; the rest, and everything
without one, by this double: moto has no price list, spot history, quotas, placement scores or capacity blocks.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.doubles import aws_account, aws_wire
from tests.doubles.aws_account import AwsFault, AwsScenario, Denied
from tests.doubles.aws_prices import price_row
from tests.doubles.aws_wire import Asked
from tests.doubles.fake_api import LOGIN_PAGE, FaultKind

ACCOUNT = "123456789012"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

OF_MOTO = frozenset(
    {"DescribeInstanceTypes", "DescribeInstanceTypeOfferings", "DescribeInstances", "GetCallerIdentity"}
)

_JSON_CODES = {"throttled": "ThrottlingException", "denied": "AccessDeniedException"}
_XML_CODES = {"throttled": "RequestLimitExceeded", "denied": "UnauthorizedOperation"}


class RefusedError(Exception):
    """An error that AWS answers with."""

    def __init__(self, status: int, code: str, message: str = "", **headers: str) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers


class AwsCloud(ThreadingHTTPServer):
    """The account. `asked` holds every request as it came."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, scenario: AwsScenario, *, moto: str = "", port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.scenario = scenario
        self.moto = moto
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self.described = scenario.described()
        self._lock = threading.Lock()
        self._faults = [[fault, fault.times] for fault in scenario.faults]

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def environment(self) -> dict[str, str]:
        """What boto3 finds the double by, with credentials that it takes."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": aws_account.KEY,
            "AWS_SECRET_ACCESS_KEY": aws_account.SECRET,
            "AWS_SESSION_TOKEN": aws_account.TOKEN,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent/config",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
        }

    def actions(self) -> list[str]:
        """The actions that were asked, in order."""
        return [asked.action for asked in self.asked]

    def fault_of(self, asked: Asked) -> AwsFault | None:
        """The fault that this request meets."""
        with self._lock:
            self.asked.append(asked)
            for entry in self._faults:
                fault = entry[0]
                if fault.action in ("", asked.action) and fault.region in ("", asked.region) and entry[1]:
                    entry[1] -= 1
                    return fault
        return None

    def tell(self, asked: Asked) -> dict[str, Any]:
        """The answer, or RefusedError."""
        if asked.key != aws_account.KEY:
            raise _bad_key(asked)
        for denied in self.scenario.denied:
            if denied.action == asked.action and (not denied.regions or asked.region in denied.regions):
                raise _denied(asked, denied)
        if asked.field("DryRun") == "true":
            raise RefusedError(
                412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set."
            )
        answer: dict[str, Any] = getattr(self, f"_{asked.operation}")(asked)
        return answer

    def close(self) -> None:
        """Ends the server and whoever hangs on it."""
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are part of the game."""

    def _GetCallerIdentity(self, _asked: Asked) -> dict[str, Any]:  # noqa: N802
        return {"UserId": "AIDAFAKE", "Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/planner"}

    def _DescribeRegions(self, _asked: Asked) -> dict[str, Any]:  # noqa: N802
        named = [
            {"RegionName": r, "Endpoint": f"ec2.{r}.amazonaws.com", "OptInStatus": "opt-in-not-required"}
            for r in self.scenario.regions
        ]
        return {"Regions": named}

    def _DescribeInstanceTypeOfferings(self, asked: Asked) -> dict[str, Any]:  # noqa: N802
        wanted = asked.filters().get("instance-type", ("*",))
        names = [n for n in self.offered(asked.region) if any(fnmatch.fnmatchcase(n, w) for w in wanted)]
        zones = (*self.scenario.zones(asked.region), *self.scenario.extra_zones.get(asked.region, ()))
        rows = [
            {"InstanceType": name, "LocationType": "availability-zone-id", "Location": zone}
            for name in names
            for zone in zones
        ]
        return self._page(asked, "InstanceTypeOfferings", rows)

    def _DescribeInstanceTypes(self, asked: Asked) -> dict[str, Any]:  # noqa: N802
        offered = self.offered(asked.region)
        unknown = set(asked.listed("InstanceType")) - set(offered)
        if unknown:
            raise RefusedError(
                400, "InvalidInstanceType", f"The following supplied types do not exist: {unknown}"
            )
        return {"InstanceTypes": [self.described[name] for name in asked.listed("InstanceType")]}

    def _DescribeInstances(self, asked: Asked) -> dict[str, Any]:  # noqa: N802
        return self._page(asked, "Reservations", [{"Instances": list(self.scenario.running)}])

    def _DescribeSpotPriceHistory(self, asked: Asked) -> dict[str, Any]:  # noqa: N802
        rows = [row for name in asked.listed("InstanceType") for row in self._spot_rows(asked.region, name)]
        mine = [r for r in self.scenario.spot_rows if r["AvailabilityZone"].startswith(asked.region)]
        return self._page(asked, "SpotPriceHistory", [*rows, *mine])

    def _GetSpotPlacementScores(self, asked: Asked) -> dict[str, Any]:  # noqa: N802
        regions = asked.listed("RegionName")
        if len(regions) > 10:
            raise RefusedError(400, "InvalidParameterValue", "at most 10 regions")
        rows = [
            {"Region": region, "AvailabilityZoneId": zone, "Score": self.scenario.scores[zone]}
            for region in regions
            for zone in self.scenario.zones(region)
            if zone in self.scenario.scores
        ]
        return self._page(asked, "SpotPlacementScores", rows)

    def _DescribeCapacityBlockOfferings(self, asked: Asked) -> dict[str, Any]:  # noqa: N802
        rows = [
            row
            for row in self.scenario.blocks
            if row["InstanceType"] == asked.field("InstanceType")
            and row["AvailabilityZone"].startswith(asked.region)
        ]
        return self._page(asked, "CapacityBlockOfferings", rows)

    def _GetProducts(self, asked: Asked) -> dict[str, Any]:  # noqa: N802
        wanted = {f["Field"]: f for f in asked.body.get("Filters", ())}
        region = wanted.get("regionCode", {}).get("Value", self.scenario.regions[0])
        if "instanceType" in wanted and len(wanted["instanceType"]["Value"]) > 1024:
            raise RefusedError(400, "InvalidParameterException", "Value is too long")
        names = wanted.get("instanceType", {}).get("Value", "").split(",")
        rows: list[Any] = [
            price_row(region, name, self.scenario.price(name) or "", reserved=self.scenario.reserved_terms)
            for name in names
            if self.scenario.price(name) is not None
        ]
        mine = [r for r in self.scenario.price_rows if _is_of(r, region)]
        strings = [row if isinstance(row, str) else json.dumps(row) for row in (*rows, *mine)]
        return {"FormatVersion": "aws_v1", **self._page(asked, "PriceList", strings)}

    def _ListServiceQuotas(self, asked: Asked) -> dict[str, Any]:  # noqa: N802
        rows = [
            {
                "ServiceCode": "ec2",
                "QuotaCode": f"L-{n:08X}",
                "QuotaName": name,
                "Value": value,
                "Unit": "None",
            }
            for n, (name, value) in enumerate(self.scenario.quotas.items())
        ]
        return self._page(asked, "Quotas", rows)

    def offered(self, region: str) -> tuple[str, ...]:
        """The instance types of a region."""
        missing = self.scenario.not_offered.get(region, ())
        return tuple(sorted(name for name in self.described if name not in missing))

    def _spot_rows(self, region: str, name: str) -> Iterator[dict[str, Any]]:
        price = self.scenario.price(name)
        if not price or Decimal(price) <= 0:
            return
        for n, zone in enumerate(self.scenario.zones(region)):
            share = Decimal(str(self.scenario.spot_share)) * (1 + Decimal(n) / 10)
            yield {
                "AvailabilityZone": f"{region}{'abcdef'[n]}",
                "AvailabilityZoneId": zone,
                "InstanceType": name,
                "ProductDescription": "Linux/UNIX",
                "SpotPrice": f"{Decimal(price) * share:.6f}",
                "Timestamp": f"{NOW - timedelta(hours=3):%Y-%m-%dT%H:%M:%S.000Z}",
            }

    def _page(self, asked: Asked, key: str, rows: Sequence[Any]) -> dict[str, Any]:
        """One page: at most what is asked and what the scenario allows."""
        token = asked.body.get("NextToken") or asked.field("NextToken") or "0"
        most = int(asked.body.get("MaxResults") or asked.field("MaxResults") or self.scenario.page)
        start, size = int(token), min(most, self.scenario.page)
        more = {"NextToken": str(start + size)} if start + size < len(rows) else {}
        return {key: list(rows[start : start + size]), **more}


def _is_of(row: Any, region: str) -> bool:
    return isinstance(row, str) or row["product"]["attributes"].get("regionCode", region) == region


def _bad_key(asked: Asked) -> RefusedError:
    code = {"ec2": "AuthFailure", "sts": "InvalidClientTokenId"}.get(
        asked.service, "UnrecognizedClientException"
    )
    return RefusedError(401 if asked.service == "ec2" else 403, code, "The security token is invalid")


def _denied(asked: Asked, denied: Denied) -> RefusedError:
    codes = _JSON_CODES if asked.body else _XML_CODES
    who = f"arn:aws:iam::{ACCOUNT}:user/planner"
    message = f"User: {who} is not authorized to perform: {asked.action}; token {aws_account.TOKEN}"
    return RefusedError(403, denied.code or codes["denied"], message)


class _Handler(BaseHTTPRequestHandler):
    server: AwsCloud
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Any request: all of AWS's are posts here."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = aws_wire.read(dict(self.headers.items()), content)
        fault = self.server.fault_of(asked)
        if fault is not None:
            self._fail(fault, asked)
        elif self.server.moto and asked.operation in OF_MOTO and asked.field("DryRun") != "true":
            self._forward(asked, content)
        else:
            self._send(*self._answered(asked))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

    def _answered(self, asked: Asked) -> tuple[int, bytes, dict[str, str]]:
        try:
            content, kind = aws_wire.answer(asked, self.server.tell(asked))
        except RefusedError as refused:
            content, kind = aws_wire.error(asked, refused.code, refused.message)
            return refused.status, content, {"Content-Type": kind, **refused.headers}
        return 200, content, {"Content-Type": kind}

    def _send(
        self, status: int, content: bytes, headers: Mapping[str, str], length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"x-amzn-RequestId": aws_wire.REQUEST_ID, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def _forward(self, asked: Asked, content: bytes) -> None:
        """To moto, whose filters on instance types know no patterns."""
        form = parse_qsl(content.decode())
        wanted = asked.filters().get("instance-type")
        if wanted:
            number = next(k.split(".")[1] for k, v in form if v == "instance-type")
            form = [(k, v) for k, v in form if not k.startswith(f"Filter.{number}.Value.")]
            names = [n for n in self.server.described if any(fnmatch.fnmatchcase(n, w) for w in wanted)]
            form += [(f"Filter.{number}.Value.{n}", name) for n, name in enumerate(names, start=1)]
        address = urlsplit(self.server.moto)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        passed = ("Authorization", "X-Amz-Date", "Content-Type", "X-Amz-Security-Token")
        headers = {k: v for k, v in self.headers.items() if k in passed}
        headers["Host"] = f"{asked.service}.{asked.region}.amazonaws.com"
        connection.request("POST", "/", urlencode(form), headers)
        response = connection.getresponse()
        said = response.read()
        connection.close()
        self._send(response.status, said, {"Content-Type": response.getheader("Content-Type", "text/xml")})

    def _fail(self, fault: AwsFault, asked: Asked) -> None:
        kind = fault.kind
        codes = _JSON_CODES if asked.body else _XML_CODES
        match kind:
            case FaultKind.THROTTLED | FaultKind.THROTTLED_BARE:
                content, as_type = aws_wire.error(asked, codes["throttled"], "Rate exceeded")
                after = {"Retry-After": f"{fault.seconds:g}"} if kind is FaultKind.THROTTLED else {}
                self._send(429 if asked.body else 503, content, {"Content-Type": as_type, **after})
            case FaultKind.ERROR_500:
                self._send(500, b"<html>upstream error</html>", {"Content-Type": "text/html"})
            case FaultKind.LOGIN_PAGE:
                self._plain(200, LOGIN_PAGE)
            case FaultKind.CLOCK_SKEW:
                content, as_type = aws_wire.error(asked, "RequestExpired", "Request has expired.")
                self._send(400, content, {"Content-Type": as_type})
            case FaultKind.RESET | FaultKind.LOST_ANSWER:
                self._reset()
            case FaultKind.DEAD | FaultKind.SILENT_SUCCESS:
                self.server.closing.wait(60)
                self._reset()
            case _:
                self._spoil(fault, asked)

    def _spoil(self, fault: AwsFault, asked: Asked) -> None:
        """The right answer, which does not arrive as it should."""
        status, content, headers = self._answered(asked)
        half = content[: len(content) // 2]
        match fault.kind:
            case FaultKind.TRUNCATED_JSON:
                self._send(status, half, headers)
            case FaultKind.WRONG_CONTENT_TYPE:
                self._send(status, content, {**headers, "Content-Type": "text/plain"})
            case FaultKind.REDIRECT:
                self._plain(302, b"", Location=f"{self.server.url}/login")
            case _:
                self._send(status, half, headers, length=len(content))
                if fault.kind is FaultKind.SLOW_BODY:
                    self.server.closing.wait(60)
                self._reset()

    def _plain(self, status: int, content: bytes, **headers: str) -> None:
        """What somebody else answers, without AWS's headers."""
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


@contextlib.contextmanager
def running(scenario: AwsScenario | None = None, *, moto: str = "") -> Iterator[AwsCloud]:
    """The double, answering until the block ends."""
    cloud = AwsCloud(scenario or AwsScenario(), moto=moto)
    threading.Thread(target=cloud.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield cloud
    finally:
        cloud.close()


def main() -> None:
    """The double by itself: says how to reach it, and answers until it is interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenario", default="plain", help="plain, a name in aws_scenarios/, or a JSON file")
    parser.add_argument("--moto", default="", help="address of a moto server, as aws_moto prints it")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    cloud = AwsCloud(aws_account.scenario(options.scenario), moto=options.moto, port=options.port)
    for name, value in cloud.environment().items():
        print(f"export {name}={value}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        cloud.serve_forever()
    cloud.server_close()


if __name__ == "__main__":
    main()
