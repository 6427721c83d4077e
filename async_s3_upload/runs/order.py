"""The order in which the files of a run go up: those that describe it first, those that say it is finished last.

Who waits for a run in S3 is told by the appearance of its marker, so a marker must not be there before anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from async_s3_upload.runs.file_table import FileTable, LocalFile
from async_s3_upload.runs.name_patterns import PathPattern

_SHARED_NAMES = 65_536
_ENDS_RUN = 2
_MARKERS: tuple[tuple[int, str], ...] = (
    # Illumina: CopyComplete.txt is the last word where there is one, RTAComplete before it
    (_ENDS_RUN, r"copycomplete\.txt"),
    (1, r"rtacomplete\.(?:txt|xml)"),
    (0, r"runcompletionstatus\.xml|sequenc(?:e|ing)complete\.txt|rtaexited\.txt|completedjobinfo\.xml"),
    (0, r"basecalling_netcopy_complete.*\.txt|imageanalysis_netcopy_complete.*\.txt"),
    (_ENDS_RUN, r"secondary_analysis_complete\.txt"),  # NovaSeq X, of an analysis on the instrument
    (_ENDS_RUN, r"runuploaded\.json"),  # Element
    (_ENDS_RUN, r"final_summary.*\.txt"),  # Oxford Nanopore
    (_ENDS_RUN, r".*\.transferdone.*"),  # PacBio
    (_ENDS_RUN, r"transfer_complete\.txt"),  # Singular
)
_RANKS = [(rank, re.compile(pattern, re.IGNORECASE)) for rank, pattern in _MARKERS]
_ANY = re.compile("|".join(f"(?:{pattern})" for _, pattern in _MARKERS), re.IGNORECASE)
_FIRST = re.compile(
    r"runinfo\.xml|runparameters\.(?:xml|json)|runmanifest\.(?:csv|json)|uploadlist\.csv|.*sample[-_ ]?sheet.*\.csv",
    re.IGNORECASE,
)


class Markers:
    """Tells the files that say a run is finished, in whatever folder of the run they lie.

    Known are those of the instruments; ``further`` are patterns of the shell, relative to the run folder, in upper
    or lower case (the ``completion_markers`` of a config).
    """

    def __init__(self, further: Sequence[str] = ()) -> None:
        self._further = tuple(PathPattern(text) for text in further)
        self._known: dict[str, bool] = {}

    def include(self, name: str) -> bool:
        """Tell whether the file of this name, relative to the run folder, is a marker."""
        return self._is_known(name[name.rfind("/") + 1 :]) or self._is_further(name)

    def _is_known(self, base: str) -> bool:
        found = self._known.get(base)
        if found is None:  # a run of a million files has few names, in many folders
            if len(self._known) > _SHARED_NAMES:
                self._known.clear()
            found = self._known[base] = _ANY.fullmatch(base) is not None
        return found

    def _is_further(self, name: str) -> bool:
        return any(pattern.fits(name) for pattern in self._further)

    def _rank(self, name: str) -> int:
        if self._is_further(name):
            return _ENDS_RUN
        base = name[name.rfind("/") + 1 :]
        return next(rank for rank, pattern in _RANKS if pattern.fullmatch(base))

    def rows(self, files: FileTable) -> Iterator[int]:
        """Yield the rows of the markers in a table, in its order."""
        further = self._further
        for block in files.blocks():
            for row, base in enumerate(block.bases, block.first):
                if self._is_known(base) or (further and self._is_further(block.folder + base)):
                    yield row

    def in_turn(self, markers: Iterable[LocalFile]) -> list[list[LocalFile]]:
        """Return the markers in groups of which each has to be in S3 before the next one is sent.

        Two at most: the last one holds those that speak the last word of the run.
        """
        ranked = [(self._rank(file.name), file) for file in markers]
        last = max((rank for rank, _ in ranked), default=0)
        groups = [[file for rank, file in ranked if rank < last], [file for rank, file in ranked if rank == last]]
        return [group for group in groups if group]


def goes_first(name: str) -> bool:
    """Tell whether the file describes the run: RunInfo.xml, parameters and sample sheets, at the top of the folder."""
    return "/" not in name and _FIRST.fullmatch(name) is not None
