"""Records of running sessions survive whatever happens to the hub."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from portal.hub_plugin.processes import ProcessIdentity
from portal.hub_plugin.registry import Registry, SessionRecord, read_exit_note

AT = datetime(2026, 11, 23, 15, 5, 1, 224000, tzinfo=UTC)
RECORD = SessionRecord(
    session_id="0199",
    generation=1,
    username="u-1",
    server="s-1",
    home="u-1",
    profile="cpu-small",
    port=4711,
    process=ProcessIdentity("boot", 12, 34),
    isolation="sandbox",
    devices=("sim-0",),
    memory_limit_bytes=1 << 30,
    cpu_limit=2.0,
    held_until=AT + timedelta(minutes=15),
    stop_at_ns=99,
    last_seen_ns=5,
    last_seen_at=AT,
    api_token="private",
)


def test_record_is_found_again(tmp_path):
    Registry(tmp_path).save(RECORD)
    found = Registry(tmp_path)
    assert list(found) == [RECORD]
    assert found.find(username="u-1", server="s-1") == RECORD
    assert found.find(username="u-1", server="s-2") is None
    assert "private" not in repr(RECORD)


def test_latest_start_of_a_server_is_found(tmp_path):
    registry = Registry(tmp_path)
    registry.save(RECORD)
    later = replace(RECORD, generation=2, last_seen_at=AT + timedelta(seconds=1))
    registry.save(later)
    assert registry.find(username="u-1", server="s-1") == later


def test_last_look_survives_a_restart(tmp_path):
    registry = Registry(tmp_path)
    registry.save(RECORD)
    registry.note_seen([RECORD.key, "gone.1"], at_ns=77, at=AT + timedelta(minutes=1))
    found = Registry(tmp_path).get(RECORD.key)
    assert (found.last_seen_ns, found.last_seen_at) == (77, AT + timedelta(minutes=1))


def test_removed_record_stays_removed(tmp_path):
    registry = Registry(tmp_path)
    registry.save(RECORD)
    registry.exit_note(RECORD.key).write_text("0 1.0")
    registry.remove(RECORD.key)
    registry.remove(RECORD.key)
    assert list(Registry(tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == []
    assert registry.update(RECORD.key, stop_at_ns=1) is None


def test_unreadable_record_is_put_aside_and_hides_no_other(tmp_path):
    registry = Registry(tmp_path)
    registry.save(RECORD)
    (tmp_path / "broken.1.session").write_text(json.dumps({"session_id": "broken"}))
    (tmp_path / "seen.json").write_text("{")
    found = Registry(tmp_path)
    assert list(found) == [RECORD]
    assert [path.name for path in found.unreadable] == ["broken.1.unreadable"]


def test_exit_note_is_read_whole_or_not_at_all(tmp_path):
    note = tmp_path / "note"
    assert read_exit_note(note) is None
    for text, value in {"143 1263.76\n": (143, 1_263_760_000_000), "0 7": (0, 7_000_000_000), "": None, "143": None, "x y": None}.items():
        note.write_text(text)
        assert read_exit_note(note) == value, text
