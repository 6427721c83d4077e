"""Links are followed and end; what is no file is named and left."""

import os
import socket

from .lab import MARKERS, RUN_FILES, Lab, files_below, write_files


def test_links_to_files_are_followed(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run()
    write_files(lab.folder, {"elsewhere/target.bin": b"target", "elsewhere/second": b"2"})
    (run / "link.bin").symlink_to(lab.folder / "elsewhere" / "target.bin")
    (run / "Data" / "relative").symlink_to("../RunInfo.xml")

    done = lab.upload(run, bucket)

    assert done.exit_code == 0, done.stderr
    objects = lab.server.objects(bucket)
    assert len(objects) == RUN_FILES + 2
    assert lab.server.body(bucket, f"{run.name}/link.bin") == b"target"
    assert lab.server.body(bucket, f"{run.name}/Data/relative") == (run / "RunInfo.xml").read_bytes()


def test_links_to_folders_are_followed_each_real_folder_once_and_cycles_end(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    write_files(moto_lab.folder, {"outside/a": b"a", "outside/sub/b": b"b"})
    (moto_lab.folder / "outside" / "sub" / "back").symlink_to(moto_lab.folder / "outside")
    expected = {f"{run.name}/{name}" for name in files_below(run)}
    (run / "Data" / "up").symlink_to(run)
    (run / "data again").symlink_to("Data")
    (run / "above").symlink_to(run.parent)
    (run / "out").symlink_to(moto_lab.folder / "outside")

    done = moto_lab.upload(run, bucket)

    assert done.exit_code == 0, done.stderr
    assert set(moto_lab.server.objects(bucket)) == expected | {f"{run.name}/out/a", f"{run.name}/out/sub/b"}


def test_broken_links_and_links_in_circles_are_failed_files(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    (run / "broken").symlink_to("nowhere")
    (run / "circle").symlink_to("circle")

    done = moto_lab.upload(run, bucket, "--json")

    assert done.exit_code == 3
    (row,) = done.json["runs"]
    assert {failed["path"] for failed in row["failed_files"]} == {str(run / "broken"), str(run / "circle")}
    assert all("link" in failed["error"] for failed in row["failed_files"])
    assert len(moto_lab.server.objects(bucket)) == RUN_FILES - len(MARKERS)
    assert set(moto_lab.run_log(run)["failed_upload_files"]) == {str(run / "broken"), str(run / "circle")}


def test_fifos_and_sockets_are_named_in_a_warning_and_left(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    expected = {f"{run.name}/{name}" for name in files_below(run)}
    os.mkfifo(run / "a fifo")
    (run / "link to fifo").symlink_to("a fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(run)  # the path of a socket has to be short
        try:
            listener.bind("a socket")
        finally:
            os.chdir(here)

        done = moto_lab.upload(run, bucket)

    assert done.exit_code == 0, done.stderr
    assert set(moto_lab.server.objects(bucket)) == expected
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line]
    assert any(str(run / "a fifo") in line for line in warnings)
    assert any(str(run / "a socket") in line for line in warnings)
    assert moto_lab.run_log(run)["completed"]
