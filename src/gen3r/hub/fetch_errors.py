"""What can be in the way of a download, told so that the reader knows what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from gen3r.hub.files import DISK_FULL

HTTPError: type[Exception] = HfHubHTTPError.__bases__[0]
"""Root of what the HTTP client of this huggingface_hub raises; which client that is depends on its version."""

FORBIDDEN = (401, 403)


class ModelFetchError(ValueError):
    """A model cannot be had from the hub or from the cache; the message says why and what to do."""


class BrokenTransferError(ModelFetchError):
    """The hub could not be reached, or a transfer broke off: the same request may succeed a moment later."""


@contextmanager
def explained(repository: str, revision: str = "main") -> Iterator[None]:
    """Turn what huggingface_hub, its HTTP client and hf_xet (RuntimeErrors) raise into a ``ModelFetchError``; missing
    permissions on this machine stay a ``PermissionError``."""
    try:
        yield
    except (OSError, HTTPError, RuntimeError) as error:
        if isinstance(error, PermissionError) and error.filename is not None:
            raise
        cause = next(explanation for explanation in EXPLANATIONS if explanation.recognises(error))
        raise cause.kind(
            cause.message.format(
                repository=repository,
                revision=revision,
                endpoint=constants.ENDPOINT,
                cache=constants.HF_HUB_CACHE,
                error=f"{type(error).__name__}: {' '.join(str(error).split()) or 'no details'}",
            )
        ) from error


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One thing that can go wrong."""

    recognises: Callable[[BaseException], bool]
    """Whether an exception means this."""
    message: str
    """What to tell, with fields for repository, revision, endpoint, cache and error."""
    kind: type[ModelFetchError] = ModelFetchError
    """What to raise."""


def _is(*kinds: type[BaseException]) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, kinds)


def _offline(error: BaseException) -> bool:
    return isinstance(error, OfflineModeIsEnabled) or isinstance(error.__cause__, OfflineModeIsEnabled)


def _forbidden(error: BaseException) -> bool:
    by_status = isinstance(error, HfHubHTTPError) and error.response.status_code in FORBIDDEN
    return by_status or isinstance(error, PermissionError)  # hf_xet's, which names no file


def _not_served(error: BaseException) -> bool:
    return isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError)


def _disk_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in DISK_FULL


EXPLANATIONS = (
    Explanation(
        recognises=_offline,
        message="{repository} is not in the cache {cache}, and HF_HUB_OFFLINE forbids to fetch it; unset it.",
    ),
    Explanation(
        recognises=_is(GatedRepoError),
        message="{repository} is gated: accept its terms at {endpoint}/{repository}, then log in with hf auth login "
        "or set HF_TOKEN.",
    ),
    Explanation(
        recognises=_is(RepositoryNotFoundError),
        message="there is no repository {repository} at {endpoint}, or it is private; check the name (gen3r models "
        "list shows known ones), or log in with hf auth login or HF_TOKEN.",
    ),
    Explanation(
        recognises=_is(RevisionNotFoundError),
        message="{repository} at {endpoint} has no revision {revision}; name a branch, tag or commit that exists "
        "with --revision, or free the name of the commit it was pinned to with gen3r models remove {repository}.",
    ),
    Explanation(
        recognises=_forbidden,
        message="{endpoint} refuses access to {repository}: log in with hf auth login or set HF_TOKEN ({error}).",
    ),
    Explanation(
        recognises=_not_served,
        message="{repository} at {revision} lists a file that {endpoint} does not have; try again later or name "
        "another commit with --revision ({error}).",
    ),
    Explanation(
        recognises=_disk_full,
        message="the disk of {cache} is full, or refuses more, while fetching {repository}: make room or set HF_HOME "
        "to another disk; what arrived whole is kept ({error}).",
    ),
    Explanation(
        recognises=lambda error: True,
        message="fetching {repository} from {endpoint} failed: check the network (a proxy, HF_ENDPOINT) and try again; "
        "what arrived whole is kept, and a model in the cache is used without a network if HF_HUB_OFFLINE=1 "
        "({error}).",
        kind=BrokenTransferError,
    ),
)
"""The first that recognises an exception explains it; the last recognises them all."""
