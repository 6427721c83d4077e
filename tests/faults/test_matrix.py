"""The fault matrix: each fault on each operation of workers and coordinator, one command run per fault and side."""

import random
import time
from collections.abc import Callable

import pytest

from tests.support.faults import Action
from tests.support.proxy import (
    Answer,
    Cut,
    CutAnswer,
    Delay,
    DropAnswer,
    FlipByte,
    Forward,
    Rule,
    Stall,
    StallAnswer,
    on,
)
from tests.support.s3requests import Request

from .conftest import MakeScenario
from .harness import BIG_PARTS, Scenario

BODIES = ("PutObject", "UploadPart")
COMPLETE = Request("POST", "/bucket/key", "uploadId=1")
REFUSED_WITHOUT_A_REASON = ("request-timeout", "time-too-skewed", "expired-token")
"""A HEAD that is answered 400 or 403 tells no reason: the command ends before it begins, the next start goes on."""
DATA = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")

FAULTS: dict[str, Action] = {
    "delay": Delay(0.5),
    "delay-beyond-the-limit": Delay(2.5),
    "cut-before-body": Cut(0, reset=True),
    "cut-in-body": Cut(1000),
    "cut-after-body": Cut(None),
    "cut-in-answer": CutAnswer(),
    "reset-in-answer": CutAnswer(reset=True),
    "answer-dropped": DropAnswer(),
    "slow-down": Answer(503, "SlowDown"),
    "503-before-body": Answer(503, "ServiceUnavailable", after_body=False),
    "500": Answer(500, "InternalError"),
    "502-without-a-document": Answer(502),
    "request-timeout": Answer(400, "RequestTimeout"),
    "time-too-skewed": Answer(403, "RequestTimeTooSkewed"),
    "expired-token": Answer(400, "ExpiredToken"),
}
STALLS: dict[str, Action] = {
    "stall-before-body": Stall(0),
    "stall-in-body": Stall(1000),
    "stall-before-answer": Stall(None),
    "stall-in-answer": StallAnswer(),
}


both_transports = pytest.mark.parametrize("transport", ["lean", "aiobotocore"])


def listing_of_the_run(request: Request) -> bool:
    """Match the listing that verifies, not the one that asks for the reason of a refusal."""
    return request.operation == "ListObjectsV2" and "max-keys=1&" not in request.query + "&"


def assert_survived(scene: Scenario, rules: list[Rule], starts: int = 1) -> None:
    """Run to the end within ``starts`` starts: every fault was met, everything is there."""
    assert scene.run_until_done(starts) <= starts
    assert all(rule.taken for rule in rules), f"a fault was not met: {[rule.taken for rule in rules]}"
    scene.assert_complete()


def rules_everywhere(action: Action, times: int) -> list[Rule]:
    """Return rules for every kind of request of a run: of the workers (DATA) and of the coordinator (the others)."""
    control = [Rule(on("HeadBucket"), action, times=1), Rule(listing_of_the_run, action, times=1)]
    return [Rule(on(operation), action, times=times) for operation in DATA] + control


@both_transports
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_every_kind_of_request(scene: MakeScenario, fault: str, transport: str) -> None:
    """The workers' requests meet it up to twice, HeadBucket and the last listing once; the first start completes."""
    rules = rules_everywhere(FAULTS[fault], times=2)
    assert_survived(scene(*rules, transport=transport), rules, starts=2 if fault in REFUSED_WITHOUT_A_REASON else 1)


@both_transports
@pytest.mark.parametrize("fault", STALLS)
def test_a_stall_on_every_kind_of_request(scene: MakeScenario, fault: str, transport: str) -> None:
    """Noticed within the limit of each request; Complete has a longer limit and a test of its own."""
    rules = [rule for rule in rules_everywhere(STALLS[fault], times=1) if not rule.match(COMPLETE)]
    began = time.monotonic()
    assert_survived(scene(*rules, transport=transport), rules)
    assert time.monotonic() - began < 30, "noticed late"


@both_transports
@pytest.mark.parametrize("operation", BODIES)
def test_a_flipped_byte_is_refused_and_sent_again(scene: MakeScenario, operation: str, transport: str) -> None:
    rule = Rule(on(operation), FlipByte(100), times=2)
    mine = scene(rule, transport=transport)
    assert_survived(mine, [rule])
    refused = [seen for seen in mine.proxy.seen if seen.operation == operation and seen.status == 400]
    assert len(refused) == 2


def test_without_a_checksum_a_flipped_byte_goes_unnoticed(scene: MakeScenario) -> None:
    """What `checksum: none` gives up: the ETag is of the bytes that arrived, and nothing else is compared."""
    rule = Rule(on("PutObject", key_ends="RunInfo.xml"), FlipByte(100), times=1)
    mine = scene(rule, checksum="none", request_timeout=30)  # none that is slow is sent again, without the flip
    assert mine.run_until_done() == 1
    assert [key.rsplit("/")[-1] for key in mine.check().different] == ["RunInfo.xml"]


@pytest.mark.parametrize("harm", ["deleted", "overwritten"])
def test_objects_that_are_lost_before_the_end_are_found_by_the_listing_and_sent_again(
    scene: MakeScenario, harm: str
) -> None:
    """One that was PUT and one that went up in parts, lost in the moment before they are verified."""
    mine = scene()
    keys = [mine.key(mine.small[2]), mine.key(mine.big[0])]
    done: list[str] = []

    def harming(request: Request) -> bool:
        if listing_of_the_run(request) and not done:
            done.extend(keys)
            for key in keys:
                if harm == "deleted":
                    mine.server.client().delete_object(Bucket=mine.bucket, Key=key)
                else:
                    mine.server.client().put_object(Bucket=mine.bucket, Key=key, Body=b"something else")
        return False

    mine.proxy.rules.append(Rule(harming, Forward()))
    assert mine.run_until_done() == 1
    assert done
    assert mine.completed[-1].stderr.count("in S3 is not what was sent and is sent again") == len(keys)
    mine.assert_complete()


def test_200_with_an_error_document_is_no_success(scene: MakeScenario) -> None:
    rule = Rule(on("CompleteMultipartUpload"), Answer(200, "InternalError"), times=3)
    assert_survived(scene(rule), [rule])


def test_an_answer_to_complete_that_is_lost_is_found_out_without_sending_again(scene: MakeScenario) -> None:
    rule = Rule(on("CompleteMultipartUpload"), DropAnswer(), times=2)
    mine = scene(rule)
    assert_survived(mine, [rule])
    assert mine.proxy.count(on("UploadPart")) == len(mine.big) * BIG_PARTS
    assert mine.proxy.count(on("CreateMultipartUpload")) == len(mine.big)


def test_a_complete_that_never_answers_is_tried_again(scene: MakeScenario) -> None:
    rule = Rule(on("CompleteMultipartUpload"), Stall(None), times=1)
    began = time.monotonic()
    assert_survived(scene(rule, request_timeout=0.4), [rule])
    assert time.monotonic() - began < 30


def test_a_server_that_accepts_and_never_answers_is_no_hang(scene: MakeScenario) -> None:
    """Nothing gets through at all: each request is given up in time, the command ends by itself."""
    mine = scene(Rule(on(*DATA), Stall(None)), give_up_after_minutes=0.1)
    done = mine.run_once(timeout=40)
    assert done.exit_code == 3
    assert "nothing succeeded for 0.1 minutes" in done.stderr
    assert mine.lies() == []
    mine.proxy.rules.clear()
    assert mine.run_until_done() == 1
    mine.assert_complete()


def share_of(seed: int, share: float) -> Callable[[Request], bool]:
    """Match a seeded share of all requests."""
    draw = random.Random(seed)
    return lambda _request: draw.random() < share


@both_transports
@pytest.mark.parametrize("seed", [1])
def test_a_third_of_the_requests_answered_503_ends_complete(scene: MakeScenario, seed: int, transport: str) -> None:
    """30 % of all requests, of whatever kind: complete at the first start, requests <= 2.2 x the minimum."""
    mine = scene(Rule(share_of(seed, 0.3), Answer(503, "SlowDown")), transport=transport)
    assert mine.run_until_done() == 1
    mine.assert_complete()
    least = 2 + len(mine.small) + len(mine.big) * (BIG_PARTS + 2)
    ratio = len(mine.proxy.seen) / least
    scene.figure(
        f"30 % of requests answered 503, {transport}, seed {seed}: {ratio:.2f} x the minimum of {least} requests"
    )
    assert ratio <= 2.2
