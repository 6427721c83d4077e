"""Reads the few values that matter from the small files of an instrument; no content of them raises.

Files may be half-written, huge or hostile: at most ``LIMIT`` bytes are read. XML is parsed by expat as a stream, which
keeps no tree; a document type declaration ends the reading, so that no entity is ever declared or expanded.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from typing import Any
from xml.parsers import expat

from async_s3_upload.runs.instrument import AVITI, Hints, Instrument

LIMIT = 1024 * 1024
"""Bytes; the largest real file seen (RunInfo.xml of a NovaSeq X) has 80 kB."""
_CHUNK = 16 * 1024
_LONGEST = 1000
"""Characters of a value that are kept."""

_RUN_INFO = frozenset(("instrument", "flowcell"))
_APPLICATIONS = ("instrumenttype", "application", "applicationname")
_SERIALS = ("instrumentserialnumber", "instrumentname", "instrumentid", "scannerid")
_SOFTWARE = ("applicationversion", "mcsversion", "systemsuiteversion")
_COPY_SERVICE = ("copyservicerunid", "copyserviceversion", "ucsrunid", "ucsversion")
_RUN_PARAMETERS = frozenset((*_APPLICATIONS, *_SERIALS, *_SOFTWARE, *_COPY_SERVICE, "runid", "flowcell"))


class _Enough(Exception):
    """Nothing more of the file is wanted."""


class _Collector:
    """Keeps the first text of each wanted element, by its name in small letters.

    An element counts once it has ended, so that half a value never does.
    """

    def __init__(self, wanted: Collection[str], last: str | None) -> None:
        self.values: dict[str, str] = {}
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.StartDoctypeDeclHandler = self.doctype
        self._wanted = wanted
        self._last = last
        self._open: str | None = None
        self._text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = _local(name)
        if self._open is not None:
            self._close()
        if local in self._wanted:
            # only now: most elements are none of ours, and their text would cost a call each
            self._open, self.parser.CharacterDataHandler = local, self.data
        elif local == "run" and "Id" in attributes:
            self.values.setdefault("@run", attributes["Id"][:_LONGEST])

    def data(self, text: str) -> None:
        if len(self._text) < _LONGEST:
            self._text += text

    def end(self, name: str) -> None:
        if self._open is not None:
            if value := " ".join(self._text[:_LONGEST].split()):
                self.values.setdefault(self._open, value)
            self._close()
        if self._last is not None and _local(name) == self._last:
            raise _Enough

    def _close(self) -> None:
        self._open, self._text, self.parser.CharacterDataHandler = None, "", None

    def doctype(self, *_declaration: object) -> None:
        raise _Enough


def _local(name: str) -> str:
    return name.rpartition(":")[2].lower() if ":" in name else name.lower()


def xml_values(path: str, wanted: Collection[str], last: str | None = None) -> dict[str, str]:
    """Return the first text of each wanted element that the file holds, as far as it can be read and parsed.

    Names are compared in small letters and without prefixes; ``@run`` is the attribute Id of the element Run. Reading
    ends with the element ``last``. A file that cannot be opened holds nothing.
    """
    collector = _Collector(wanted, last)
    # what was read before counts; the last two: an encoding that expat does not know
    with contextlib.suppress(_Enough, OSError, expat.ExpatError, ValueError, LookupError), open(path, "rb") as file:
        left = LIMIT
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            collector.parser.Parse(chunk, False)
    return collector.values


def json_object(path: str) -> dict[str, Any] | None:
    """Return the JSON object in a file; None where there is none, or not yet as a whole."""
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def illumina_hints(run_info: str, run_parameters: str | None, folder_name: str) -> Hints:
    """Return what RunInfo.xml, RunParameters.xml (None where it is not there) and the folder's name tell."""
    # no instrument's RunInfo.xml has either of these behind its list of reads, and the tiles that follow are long
    info = xml_values(run_info, _RUN_INFO, "reads")
    found = {} if run_parameters is None else xml_values(run_parameters, _RUN_PARAMETERS)
    flow_cell = found.get("flowcell", "")
    return Hints(
        applications=(*(found.get(name, "") for name in _APPLICATIONS), flow_cell),
        serials=(info.get("instrument", ""), *(found.get(name, "") for name in _SERIALS)),
        flow_cells=(info.get("flowcell", ""), flow_cell),
        ids=(info.get("@run", ""), found.get("runid", ""), folder_name),
        software=next((found[name] for name in _SOFTWARE if name in found), ""),
        copy_service=any(name in found for name in _COPY_SERVICE),
    )


def aviti_instrument(run_parameters: str, folder_name: str) -> Instrument:
    """Return the AVITI that RunParameters.json and the folder's name (``20250127_AV244103_...``) tell."""
    found = json_object(run_parameters) or {}
    in_name = next((part for part in folder_name.split("_")[1:2] if part.upper().startswith("AV")), None)
    return Instrument(AVITI, _text(found.get("InstrumentName")) or in_name, _text(found.get("PlatformVersion")))


def _text(value: object) -> str | None:
    return " ".join(value[:_LONGEST].split()) or None if isinstance(value, str) else None
