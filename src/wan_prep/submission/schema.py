"""The service's requests and responses, field for field as its page has them.

Strict on what is sent and lenient on what comes back: unknown fields are ignored; a field that is
needed and missing, or of another type, raises `ReplyInvalid`.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic import ValidationError as _Invalid

from wan_prep.addresses import split_url
from wan_prep.errors import ReplyInvalid, SubmissionError
from wan_prep.profile import Mode, Resolution, default_profile

_SEED = default_profile().submission.seed


def _splittable(url: str) -> str:
    """Raises ValueError: see `split_url`."""
    split_url(url)
    return url


HttpUrl = Annotated[
    str,
    StringConstraints(pattern=r"^(?i:https?)://[^\s/?#]+\S*$"),
    AfterValidator(_splittable),
]
Seed = Annotated[int, Field(ge=_SEED.low, le=_SEED.high)]

# Besides created and processing, which are not asked for: whatever is not here is not the end.
TERMINAL = frozenset({"completed", "failed", "cancelled", "timeout", "deleted"})


# ------------------------------------------------------------------ what is sent


def _encodable(text: str) -> str:
    """Raises ValueError: a lone surrogate, which an undecodable byte of a command line becomes."""
    text.encode()
    return text


def _given(text: object) -> object:
    """An empty prompt means the same as none to the service."""
    return None if text == "" else text


Prompt = Annotated[Annotated[str, AfterValidator(_encodable)] | None, BeforeValidator(_given)]


class Parameters(BaseModel):
    """The request's fields beside the two files."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    prompt: Prompt = None
    mode: Mode = "animate"
    resolution: Resolution = "480p"
    seed: Seed = _SEED.default


class AnimateRequest(Parameters):
    """The body of a submission."""

    image: HttpUrl
    video: HttpUrl

    def body(self) -> dict[str, Any]:
        """As sent; a prompt that was not given is left out."""
        return body(self.image, self.video, self)


def body(image: str, video: str, parameters: Parameters) -> dict[str, Any]:
    """The fields in the order of the service's own table."""
    values = parameters.model_dump(exclude_none=True, exclude={"image", "video"})
    return {"image": image, "video": video, **values}


def checked_parameters(**values: Any) -> Parameters:
    """Parameters within the service's ranges.

    Raises:
        SubmissionError: one line that names the field.
    """
    try:
        return Parameters(**values)
    except _Invalid as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise SubmissionError(f"{where}: {first['msg']}, found {first['input']!r}") from exc


# ------------------------------------------------------------------ what comes back


class _ServiceModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _text(value: object) -> object:
    """A message as text: empty for null, JSON for anything but a string."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def one_line(text: str, length: int = 300) -> str:
    """Text of the service's as one printable line of at most `length` characters."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def _listed(value: object) -> object:
    return () if value is None else value


def _flags(value: object) -> object:
    """One bool per output; empty where it is anything else."""
    is_flags = isinstance(value, list) and all(isinstance(flag, bool) for flag in value)
    return value if is_flags else ()


MessageText = Annotated[str, BeforeValidator(_text), AfterValidator(one_line)]
# It becomes part of a path.
ServiceId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}$")]
Status = Annotated[str, AfterValidator(one_line), StringConstraints(min_length=1)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[!-~]+$")]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[ -~]*$")]


class Receipt(_ServiceModel):
    """The one thing that an accepted submission must tell: its id."""

    id: ServiceId


class TaskResult(_ServiceModel):
    """A task as the result call shows it."""

    id: ServiceId | None = None
    status: Status
    outputs: Annotated[tuple[HttpUrl, ...], BeforeValidator(_listed)] = ()
    has_nsfw_contents: Annotated[tuple[bool, ...], BeforeValidator(_flags)] = ()
    error: MessageText = ""

    def nsfw(self, position: int) -> bool | None:
        """The service's flag for one output; None where it gave none."""
        flags = self.has_nsfw_contents
        return flags[position] if position < len(flags) else None


class UploadTarget(_ServiceModel):
    method: Annotated[str, StringConstraints(pattern="^(?i:put)$")]
    url: HttpUrl
    headers: Annotated[
        dict[HeaderName, HeaderValue], BeforeValidator(lambda given: given or {})
    ] = {}


class UploadTicket(_ServiceModel):
    upload: UploadTarget
    download_url: HttpUrl


class UploadDone(_ServiceModel):
    download_url: HttpUrl


class HistoryItem(_ServiceModel):
    """One of the last 7 days' tasks; `inputs` is what was submitted, where it was asked for."""

    id: ServiceId
    model: str = ""
    created_at: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)


class HistoryPage(_ServiceModel):
    items: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_listed)] = ()

    def readable(self) -> tuple[HistoryItem, ...]:
        """The items that can be read; one that cannot must not hide the others."""
        found = []
        for item in self.items:
            try:
                # The service's own client reads either name.
                inputs = item.get("inputs") or item.get("input") or {}
                found.append(HistoryItem.model_validate({**item, "inputs": inputs}))
            except _Invalid:
                continue
        return tuple(found)


class Envelope(_ServiceModel):
    """`{code, message, data}`, around every answer."""

    code: int | None = None
    message: MessageText = ""
    data: Any = None

    @property
    def is_refusal(self) -> bool:
        return self.code is not None and 400 <= self.code < 500

    @property
    def is_success(self) -> bool:
        return self.code is None or 200 <= self.code < 300


Data = TypeVar("Data", bound=_ServiceModel)


def opened(content: bytes) -> Envelope:
    """The envelope of a response.

    Raises:
        ReplyInvalid: not a JSON object, or one without an envelope's fields.
    """
    try:
        document = json.loads(content)
        # Lone surrogates cannot be written anywhere: a question mark stands for them.
        writable = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        document = json.loads(writable)
    except ValueError as exc:  # undecodable bytes are one, too
        kind = "an HTML page" if re.match(rb"\s*<", content) else "no JSON"
        raise ReplyInvalid(f"expected a JSON answer, found {kind} of {len(content)} bytes") from exc
    except RecursionError as exc:
        raise ReplyInvalid("expected a JSON answer, found one nested without end") from exc
    if not isinstance(document, dict):
        raise ReplyInvalid(f"expected a JSON object, found a {type(document).__name__}")
    return _read(Envelope, document, "answer")


def data_of(envelope: Envelope, kind: type[Data]) -> Data:
    """What an envelope holds.

    Raises:
        ReplyInvalid: `data` is missing, null or not what it must be.
    """
    if not isinstance(envelope.data, dict):
        found = "null" if envelope.data is None else f"a {type(envelope.data).__name__}"
        raise ReplyInvalid(f"expected an object in the answer's data, found {found}")
    return _read(kind, envelope.data, "answer's data")


def named_task(content: bytes) -> tuple[bool, str | None]:
    """Whether a response names a task in its `data.id`, and that id if it can be one.

    Never raises, however odd the rest is: an id may be all that is left of a payment.
    """
    data = _object(content).get("data")
    named = data.get("id") if isinstance(data, dict) else None
    if named is None or named == "":
        return False, None
    try:
        return True, Receipt(id=named).id
    except _Invalid:
        return True, None


def message_of(content: bytes) -> str:
    """The message of an error's body, as one line; empty where there is none."""
    document = _object(content)
    for name in ("message", "error", "detail"):
        value = document.get(name)
        if isinstance(value, dict):
            value = value.get("message")
        if isinstance(value, str) and value.strip():
            return one_line(value)
    return ""


def _object(content: bytes) -> dict[str, Any]:
    """A JSON object; empty where the content is none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _read(kind: type[Data], document: dict[str, Any], what: str) -> Data:
    try:
        return kind.model_validate(document)
    except _Invalid as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ReplyInvalid(f"the {what} cannot be used: {where}: {first['msg']}") from exc
