"""Runs of instruments that write no RunInfo.xml: how they are recognised, and when they have ended.

- Element AVITI: RunParameters.json; RunUploaded.json is the last file, also of failed runs, whose ``outcome`` it says
  (wtsi-npg/npg_tracking, NationalGenomicsInfrastructure/TACA).
- Oxford Nanopore: ``{start}_{device}_{flow cell}_{id}``; final_summary_*.txt (once final_summary.txt) at the end
  (nanoporetech.github.io/ont-output-specifications, MinKNOW, output structure).
- PacBio: ``r84028_20230214_022129`` with a folder for each cell, ``1_A01``; a ``.transferdone`` of each, in the cell's
  folder (Sequel, Sequel II) or in its ``metadata`` (Revio), also as a hidden file (miso-lims/runscanner). The next
  cell's folder appears while the one before is copied; to be sure of it, the last such file has to be there for a
  while.
- Singular G4: ``220622_G4X1234_0057_2_FC000007A`` with run_config.json; transfer_complete.txt
  (knowledge.singulargenomics.com, g4-ug-run-folder).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from async_s3_upload.runs.completion.listing import Listing, files_like
from async_s3_upload.runs.completion.verdict import Verdict
from async_s3_upload.runs.instrument import AVITI, G4, NANOPORE, PACBIO, Instrument
from async_s3_upload.runs.instrument_files import aviti_instrument, json_object
from async_s3_upload.text import one_line, plural

_AVITI_PARAMETERS = "RunParameters.json"
_AVITI_UPLOADED = "RunUploaded.json"
_NANOPORE_RUN = re.compile(r"\d{8}_\d{4}_([^_]+)_[^_]*_[0-9a-f]{6,8}", re.IGNORECASE | re.ASCII)
_NANOPORE_READS = re.compile(r"(pod5|fast5|fastq|bam)(_(pass|fail|skip))?")
_FINAL_SUMMARY = re.compile(r"final_summary(_.*)?\.txt", re.DOTALL)
_PACBIO_RUN = re.compile(r"r(\d{5}e?)_\d{8}_\d{6}", re.IGNORECASE | re.ASCII)
_PACBIO_MODELS = {"84": "PacBio Revio", "64": "PacBio Sequel II", "54": "PacBio Sequel"}
"""By the first digits of the serial number."""
_CELL = re.compile(r"\d+_[a-z]\d{2}", re.ASCII)
_G4_RUN = re.compile(r"\d{6}_([^_]+)_\d+_[1-4]_[^_]+", re.ASCII)
_G4_CONFIG = "run_config.json"
_G4_TRANSFERRED = "transfer_complete.txt"


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose run a folder holds, and the file that says so (None: the folder's name)."""

    instrument: Instrument
    file: str | None


def recognise(listing: Listing) -> Origin | None:
    """Return whose run the folder holds; None if it is none of these instruments'."""
    name = os.path.basename(listing.path)
    if (parameters := listing.file(_AVITI_PARAMETERS)) is not None:
        return Origin(aviti_instrument(listing.at(parameters), name), parameters)
    if (pacbio := _PACBIO_RUN.fullmatch(name)) is not None:
        return Origin(Instrument(_PACBIO_MODELS.get(pacbio[1][:2], PACBIO), pacbio[1]), None)
    if (nanopore := _NANOPORE_RUN.fullmatch(name)) is not None:
        return Origin(Instrument(NANOPORE, nanopore[1]), None)
    if (summaries := listing.matching(_FINAL_SUMMARY)) and listing.matching(_NANOPORE_READS, folders=True):
        return Origin(Instrument(NANOPORE), summaries[0])
    if (g4 := _G4_RUN.fullmatch(name)) is not None and (config := listing.file(_G4_CONFIG)) is not None:
        return Origin(Instrument(G4, g4[1]), config)
    return None


def judge(listing: Listing, instrument: Instrument, grace_s: float, now: float) -> Verdict:
    """Say how far a run is that ``recognise`` knows; ``now`` in seconds since the epoch.

    Raises:
        OSError: a file or folder that matters cannot be looked at.
    """
    if instrument.platform == AVITI:
        return _aviti(listing, instrument)
    if instrument.platform.startswith(PACBIO):
        return _pacbio(listing, instrument, grace_s, now)
    if instrument.platform == NANOPORE:
        return _by_file(instrument, listing.matching(_FINAL_SUMMARY), "final_summary_*.txt")
    return _by_file(instrument, listing.files((_G4_TRANSFERRED,)), _G4_TRANSFERRED)


def _by_file(instrument: Instrument, found: tuple[str, ...] | list[str], wanted: str) -> Verdict:
    rule = f"{instrument.name}: {wanted} ends a run"
    if not found:
        return Verdict("running", rule, f"{wanted} is not there yet")
    return Verdict("complete", rule, f"complete by {found[0]}", tuple(found), ended=True)


def _aviti(listing: Listing, instrument: Instrument) -> Verdict:
    rule = f"{instrument.name}: {_AVITI_UPLOADED} ends a run"
    name = listing.file(_AVITI_UPLOADED)
    if name is None:
        return Verdict("running", rule, f"{_AVITI_UPLOADED} is not there yet")
    outcome = (json_object(listing.at(name)) or {}).get("outcome")
    if not isinstance(outcome, str) or not outcome.strip():
        return Verdict("running", rule, f"{name} does not say the outcome yet", (name,))
    if outcome.strip().lower() in ("outcomecompleted", "completed"):
        return Verdict("complete", rule, f"complete by {name}", (name,), ended=True)
    detail = f"the instrument says that it failed: {one_line(' '.join(outcome[:300].split()))}"
    return Verdict("failed", rule, detail, (name,), ended=True)


def _pacbio(listing: Listing, instrument: Instrument, grace_s: float, now: float) -> Verdict:
    rule = f"{instrument.name}: a .transferdone of each cell ends a run, {grace_s / 60:g} min after the last"
    cells = listing.matching(_CELL, folders=True)
    done: list[str] = []
    missing: list[str] = []
    for cell in cells:
        inner = Listing(listing.at(cell))
        found = files_like(inner, "*.transferdone") or files_like(inner, "metadata/*.transferdone")
        done += [f"{cell}/{name}" for name in found]
        if not found:
            missing.append(cell)
    if not cells:
        return Verdict("running", rule, "there is no cell's folder yet")
    if missing:
        detail = f"no .transferdone of {', '.join(missing)} yet ({plural(len(cells), 'cell')})"
        return Verdict("running", rule, detail, tuple(done))
    age_s = now - max(listing.mtime(name) for name in done)
    if age_s < grace_s:
        age = f"{max(age_s, 0) / 60:.0f} min old"
        detail = f"the last .transferdone is {age}, another cell may follow for {grace_s / 60:g} min"
        return Verdict("running", rule, detail, tuple(done))
    return Verdict("complete", rule, f"complete by {plural(len(done), '.transferdone file')}", tuple(done), ended=True)
