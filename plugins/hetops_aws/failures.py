"""Edge: what boto3 raises as what it means: kind, scope, our own words, the fix. No message of AWS is passed on.

AWS repeats parts of a refused request in its messages, its security token among them; its error codes say enough.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from hetops.plugin import ErrorKind, ProviderError, Scope, invalid_setting, nearest
from hetops_aws.calls import NonsenseError
from hetops_aws.session import NoCredentialsFoundError
from hetops_aws.settings import PROVIDER, AwsSettings
from hetops_aws.signs import SIGN_IN, none_found

_CONNECTION = (boto.HTTPClientError, boto.ConnectionError, TimeoutError, OSError)
_EXPIREDSIGN_IN = (
    boto.TokenRetrievalError,
    boto.SSOTokenLoadError,
    boto.UnauthorizedSSOTokenError,
    boto.CredentialRetrievalError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What one failure means, without where it happened."""

    kind: ErrorKind
    scope: Scope
    words: str
    fix: str = ""


_RULES: tuple[tuple[frozenset[str], Meaning], ...] = (
    (
        frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}),
        Meaning(
            kind=ErrorKind.AUTH,
            scope=Scope.REGION,
            words="refused: {code} {action}",
            fix="allow {action} to this user or role: docs/providers-aws.md has the policy",
        ),
    ),
    (
        frozenset({"OptInRequired"}),
        Meaning(
            kind=ErrorKind.AUTH,
            scope=Scope.REGION,
            words="is not enabled for this account",
            fix="enable the region, or leave it out of regions",
        ),
    ),
    (
        frozenset({"ExpiredToken", "ExpiredTokenException"}),
        Meaning(
            kind=ErrorKind.AUTH,
            scope=Scope.PROVIDER,
            words="refused: {code}, the session has expired",
            fix="sign in again: aws sso login, or set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN anew",
        ),
    ),
    (
        frozenset({"RequestExpired", "RequestTimeTooSkewed", "InvalidSignatureException"}),
        Meaning(
            kind=ErrorKind.AUTH,
            scope=Scope.PROVIDER,
            words="refused: {code}, the clock of this machine or the key is wrong",
            fix="set the clock of this machine, then see to the key",
        ),
    ),
    (
        frozenset(
            {
                "AuthFailure",
                "InvalidAccessKeyId",
                "InvalidClientTokenId",
                "IncompleteSignature",
                "MissingAuthenticationToken",
                "SignatureDoesNotMatch",
                "UnrecognizedClientException",
            }
        ),
        Meaning(
            kind=ErrorKind.AUTH,
            scope=Scope.PROVIDER,
            words="refused the credentials: {code}",
            fix=f"{SIGN_IN}; where one region alone refuses them, it is not enabled for the account",
        ),
    ),
    (
        frozenset(
            {
                "BandwidthLimitExceeded",
                "EC2ThrottledException",
                "PriorRequestNotComplete",
                "RequestLimitExceeded",
                "RequestThrottled",
                "RequestThrottledException",
                "SlowDown",
                "Throttling",
                "ThrottlingException",
                "TooManyRequestsException",
            }
        ),
        Meaning(kind=ErrorKind.THROTTLED, scope=Scope.REGION, words="throttled {action} ({code})"),
    ),
    (
        frozenset({"MaxConfigLimitExceeded"}),
        Meaning(
            kind=ErrorKind.QUOTA,
            scope=Scope.PROVIDER,
            words="has answered its placement scores of today: {code}",
            fix="leave placement_scores out until tomorrow",
        ),
    ),
)
"""What AWS's error codes mean; the words take the code and the action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One request that failed. `action` is its name in an IAM policy, `region` empty where it was for the account."""

    action: str
    region: str
    meaning: Meaning


def meaning_of(fault: BaseException, action: str, settings: AwsSettings) -> Meaning:
    """What an exception of boto3 means that was raised when `action` was asked for."""
    if isinstance(fault, boto.ClientError):
        return _of_answer(fault, action)
    return _of_credentials(fault, settings) or _of_transport(fault, action)


def provider_error(meaning: Meaning, where: str = "") -> ProviderError:
    """The meaning as an error of ours; `where` stands before its words."""
    return ProviderError(
        f"{where} {meaning.words}".strip(),
        provider=PROVIDER,
        kind=meaning.kind,
        scope=meaning.scope,
        hint=meaning.fix,
    )


def told_together(failures: Iterable[Failure], regions: Sequence[str]) -> tuple[ProviderError, ...]:
    """One error for each thing that failed, which names all the regions it failed in."""
    where: dict[Meaning, list[str]] = {}
    for failure in failures:
        where.setdefault(failure.meaning, []).append(failure.region)
    return tuple(provider_error(meaning, _places(told, regions)) for meaning, told in where.items())


def unknown_region(region: str, at: int, known: Iterable[str]) -> ProviderError:
    """A region of the settings that boto3 does not know."""
    near = nearest(region, known, most=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return invalid_setting(
        PROVIDER,
        f"regions[{at}]",
        f"there is no region {region!r}",
        hint=f"{meant}a region that is newer than boto3 needs pip install --upgrade boto3",
    )


def _places(told: Sequence[str], regions: Sequence[str]) -> str:
    named = sorted({region for region in told if region})
    if not named:
        return ""
    if len(named) > 3 and len(named) == len(regions):
        return f"all {len(named)} regions"
    more = f" and {len(named) - 3} more regions" if len(named) > 4 else ""
    return ", ".join(named[:3] if more else named) + more


def _of_credentials(fault: BaseException, settings: AwsSettings) -> Meaning | None:
    """What is wrong with the credentials before anybody was asked; None where it is something else."""
    if isinstance(fault, NoCredentialsFoundError | boto.NoCredentialsError):
        return _auth(none_found(), fix=SIGN_IN)
    if isinstance(fault, boto.PartialCredentialsError):
        missing = fault.kwargs.get("cred_var", "one of them")
        return _auth(f"only half of the credentials were found: {missing} is missing", fix=SIGN_IN)
    if isinstance(fault, boto.ProfileNotFound):
        named = f"providers.{PROVIDER}.profile" if settings.profile else "AWS_PROFILE"
        words = f"{named}: there is no profile {fault.kwargs.get('profile', settings.profile)!r}"
        return _auth(words, fix="aws configure list-profiles shows those there are")
    if isinstance(fault, _EXPIREDSIGN_IN):
        profile = settings.profile or os.environ.get("AWS_PROFILE", "")
        fix = "aws sso login" + (f" --profile {profile}" if profile else "")
        return _auth(f"the sign-in has expired or cannot be read ({type(fault).__name__})", fix=fix)
    if isinstance(fault, boto.ConfigParseError):
        return _auth(
            f"{fault.kwargs.get('path', 'a file in ~/.aws')} cannot be read as AWS's tools write it",
            fix=SIGN_IN,
        )
    return None


def _of_answer(fault: boto.ClientError, action: str) -> Meaning:
    code = str(fault.response.get("Error", {}).get("Code", ""))
    status = int(fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    rule = next((rule for codes, rule in _RULES if code in codes), None)
    if rule is not None:
        return Meaning(
            kind=rule.kind,
            scope=rule.scope,
            words=rule.words.format(code=code, action=action),
            fix=rule.fix.format(action=action),
        )
    if status == 429:
        return _passing(ErrorKind.THROTTLED, f"throttled {action}")
    if status >= 500:
        return _passing(ErrorKind.TRANSIENT, f"failed: {status} {code} {action}")
    return _invalid(f"refused {action}: {code or status}")


def _of_transport(fault: BaseException, action: str) -> Meaning:
    if isinstance(fault, NonsenseError | ResponseParserError):
        words = f"answered {action} with what is no answer of AWS"
        return _passing(ErrorKind.TRANSIENT, words, fix="see whether a proxy or a login page stands between")
    if isinstance(fault, _CONNECTION):
        fix = "see whether the network reaches AWS, or leave the region out"
        return _passing(
            ErrorKind.TRANSIENT, f"could not be reached for {action} ({type(fault).__name__})", fix
        )
    if isinstance(fault, boto.BotoCoreError):
        return _invalid(f"{action} cannot be asked: {type(fault).__name__}")
    return _passing(ErrorKind.TRANSIENT, f"answered {action} in a form nobody knows ({type(fault).__name__})")


def _auth(words: str, *, fix: str) -> Meaning:
    return Meaning(kind=ErrorKind.AUTH, scope=Scope.PROVIDER, words=words, fix=fix)


def _passing(kind: ErrorKind, words: str, fix: str = "") -> Meaning:
    return Meaning(kind=kind, scope=Scope.REGION, words=words, fix=fix)


def _invalid(words: str, fix: str = "") -> Meaning:
    return Meaning(kind=ErrorKind.INVALID, scope=Scope.PROVIDER, words=words, fix=fix)
