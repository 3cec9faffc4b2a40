"""Files of the portal's land in the home or nowhere, and never on something that is there."""

from pathlib import Path

import pytest

from portal.hub_plugin.contract import HomeFile
from portal.hub_plugin.homes import UnusableHome, place, prepare


def test_home_is_made_once_for_the_hub_alone(tmp_path):
    home = prepare(tmp_path / "homes", "u-1")
    (home / "kept").write_text("yes")
    assert prepare(tmp_path / "homes", "u-1") == home
    assert (home / "kept").read_text() == "yes"
    assert oct(home.stat().st_mode & 0o777) == "0o700"


def test_home_that_is_a_link_or_a_file_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "u-1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "u-2").write_text("")
    for name in ("u-1", "u-2"):
        with pytest.raises(UnusableHome):
            prepare(tmp_path, name)


def test_files_are_written_whole_with_their_folders(tmp_path):
    files = [
        HomeFile("courses/gpu/lab-1.ipynb", b"{}"),
        HomeFile("courses/gpu/donn\u00e9es \u0628\u064a\u0627\u0646\u0627\u062a.csv", b"1,2"),
        HomeFile("empty", b""),
    ]
    assert place(tmp_path, files) == []
    assert {file.path: (tmp_path / file.path).read_bytes() for file in files} == {file.path: file.content for file in files}
    assert sorted(path.name for path in tmp_path.rglob("*") if path.name.startswith(".")) == []


def test_existing_files_links_and_folders_are_left_alone(tmp_path):
    (tmp_path / "file").write_text("theirs")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    skipped = place(tmp_path, [HomeFile(name, b"ours") for name in ("file", "dangling", "folder", "file/below", "new")])
    assert skipped == ["file", "dangling", "folder", "file/below"]
    assert (tmp_path / "file").read_text() == "theirs"
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "new").read_text() == "ours"


def test_nothing_leads_out_of_the_home(tmp_path):
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    (home / "out").symlink_to(outside)
    (home / "a").mkdir()
    (home / "a/up").symlink_to("../..")
    paths = ["out/x", "out/deep/x", "a/up/x", "a/up/outside/x", "../outside/x", "a/../../outside/x", "/etc/x", "a//x", "./x", "..", ""]
    assert place(home, [HomeFile(path, b"ours") for path in paths]) == paths
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "x").exists()
    assert not Path("/etc/x").exists()
