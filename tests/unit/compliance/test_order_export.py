"""Order events of a small journal as an export, and every way of tampering with the file."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aegis.compliance.export_files import manifest_path, read_export, read_manifest, write_export
from aegis.compliance.export_verification import verify_export
from aegis.compliance.order_export import COLUMN_NAMES, export_rows
from aegis.errors import ComplianceError
from aegis.execution.decisions import CommittedDecision, Decision
from aegis.execution.journal import Batch
from aegis.execution.journal_chain import EMPTY, JournalHead
from aegis.execution.journal_entries import commitment_entries, order_entry
from aegis.execution.orders import Fill, OrderEvent, OrderEventKind

DECIDED, TRADED = date(2014, 6, 5), date(2014, 6, 6)
AT = datetime(2014, 6, 5, 20, 15, tzinfo=UTC)
CLOSE = datetime(2014, 6, 6, 20, tzinfo=UTC)
DECISION = f"simulated/main/{DECIDED}/rebalance/1"


def happened(name, kind, **said):
    return order_entry(
        OrderEvent(kind=kind, client_order_id=name, session=TRADED, at_utc=CLOSE, **said), decision_id=DECISION
    )


def a_fill(name, symbol, shares):
    return Fill(
        client_order_id=name, decision_id=DECISION, account="simulated", fill_number=1, session=TRADED, symbol=symbol,
        ticker=symbol, quantity_shares=shares, price_usd=93.65, reference_price_usd=93.6, commission_usd=1.25,
        slippage_usd=6.0, arrival_price_usd=93.7, filled_at_utc=CLOSE, execution_id="=1+1",
    )  # fmt: skip


@pytest.fixture
def records(order_of):
    """One order filled, one doubled by a split, one refused with a formula for a reason: fourteen events."""
    orders = tuple(
        order_of(symbol=s, ticker=s, client_order_id=s.lower(), quantity_shares=q, reason="rebalance")
        for s, q in (("AAA", -120.0), ("BBB", 50.0), ("CCC", 10.0))
    )
    refusals = {"ccc": '=HYPERLINK("http://x","y")'}
    decision = Decision(
        decision_id=DECISION, account="simulated", session=DECIDED, orders=orders, refusals=refusals, gate_rows=(),
        input_snapshot_id=7, code_version="1", config_hash="abc",
    )  # fmt: skip
    committed = CommittedDecision(
        orders=orders, refusals=refusals, gate_rows=(), input_snapshot_id=7, code_version="1", config_hash="abc"
    )
    batch = Batch()
    for entry in commitment_entries(decision, committed, AT):
        batch.append(entry)
    doubled = replace(orders[1], quantity_shares=100.0)
    for entry in (
        happened("aaa", OrderEventKind.SUBMITTED),
        happened("bbb", OrderEventKind.SUBMITTED),
        happened("aaa", OrderEventKind.ACCEPTED),
        happened("bbb", OrderEventKind.RESCALED, order=doubled, split_ratio=2.0, revision=1, reason="split 2"),
        happened("aaa", OrderEventKind.FILLED, fill=a_fill("aaa", "AAA", -120.0)),
        happened("bbb", OrderEventKind.EXPIRED, reason="-2+3 not filled"),
    ):
        batch.append(entry)
    return batch.chained("simulated", EMPTY)


@pytest.fixture(params=["csv", "parquet"])
def exported(request, records, tmp_path):
    """Return the file of an export, and a function that verifies it."""
    path = tmp_path / f"orders.{request.param}"
    head = JournalHead(records[-1].sequence, records[-1].hash)
    write_export(
        path, export_rows(records), account="simulated", workspace="w", sessions=(None, None), head=head,
        made_at_utc=AT, code_version="1",
    )  # fmt: skip

    def verify():
        manifest = read_manifest(path)
        found = read_export(path, manifest.file_format)
        at = [r.hash for r in records if r.sequence == manifest.journal_sequence]
        return verify_export(found, manifest, export_rows(records), hash_at_head=at[0] if at else None)

    return path, verify


def rewrite(path, change):
    """Let `change` have the rows of a file as lists of cells."""
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        rows = change([list(row) for row in rows])
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])
        return
    table = pq.read_table(path)
    rows = change([list(row) for row in zip(*(c.to_pylist() for c in table.columns), strict=True)])
    columns = [pa.array([row[i] for row in rows], type=field.type) for i, field in enumerate(table.schema)]
    pq.write_table(pa.Table.from_arrays(columns, names=table.column_names), path)


def column(name):
    return COLUMN_NAMES.index(name)


def test_each_order_event_is_a_row_with_its_terms_then_and_its_record_s_hash(records) -> None:
    rows = [dict(zip(COLUMN_NAMES, row, strict=True)) for row in export_rows(records)]
    told = [
        (r["sequence"], r["event"], r["symbol"], r["side"], r["order_quantity_shares"], r["executed_quantity_shares"])
        for r in rows
    ]
    assert told == [
        (2, "intent recorded", "AAA", "sell", 120.0, None),
        (3, "approved", "AAA", "sell", 120.0, None),
        (4, "intent recorded", "BBB", "buy", 50.0, None),
        (5, "approved", "BBB", "buy", 50.0, None),
        (6, "intent recorded", "CCC", "buy", 10.0, None),
        (7, "refused", "CCC", "buy", 10.0, None),
        (8, "submitted", "AAA", "sell", 120.0, None),
        (9, "submitted", "BBB", "buy", 50.0, None),
        (10, "accepted", "AAA", "sell", 120.0, None),
        (11, "rescaled", "BBB", "buy", 100.0, None),
        (12, "filled", "AAA", "sell", 120.0, 120.0),
        (13, "expired", "BBB", "buy", 100.0, None),
    ]
    filled = rows[10]
    assert (filled["execution_price_usd"], filled["commission_usd"], filled["fill_number"]) == (93.65, 1.25, 1)
    assert [r["record_hash"] for r in rows] == [record.hash for record in records[1:]]


def test_a_range_of_sessions_keeps_the_terms_of_orders_decided_before_it(records) -> None:
    rows = export_rows(records, first=TRADED)
    assert [row[column("sequence")] for row in rows] == [8, 9, 10, 11, 12, 13]
    assert {row[column("order_type")] for row in rows} == {"market"}


def test_an_event_without_its_order_s_intent_is_refused(records) -> None:
    with pytest.raises(ComplianceError, match=r"event 8 \('submitted'\) is of order aaa, whose intent is not among"):
        export_rows([records[7]])


def test_an_untouched_export_agrees_and_its_manifest_holds_the_journal_s_end(exported, records) -> None:
    path, verify = exported
    assert verify() == []
    manifest = json.loads(manifest_path(path).read_text())
    assert (manifest["rows"], manifest["journal_sequence"], manifest["journal_hash"]) == (12, 13, records[-1].hash)


def test_no_text_of_a_csv_file_begins_like_a_formula(exported) -> None:
    path, _ = exported
    if path.suffix != ".csv":
        rows = pq.read_table(path).to_pylist()
        assert rows[5]["reason"] == '=HYPERLINK("http://x","y")', "Parquet runs nothing and keeps every text"
        return
    with path.open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]
    assert '\'=HYPERLINK("http://x","y")' in cells
    assert "'-2+3 not filled" in cells
    assert "'=1+1" in cells


def test_every_changed_cell_is_located(exported) -> None:
    path, verify = exported
    original = path.read_bytes()
    for name in COLUMN_NAMES:
        number = column(name)
        other = {"sequence": 99, "fill_number": 9}.get(name, 0.5 if name.endswith(("_usd", "_shares")) else "other")
        if path.suffix == ".csv":
            other = str(other)

        def change(rows, number=number, other=other):
            rows[10][number] = other
            return rows

        path.write_bytes(original)
        rewrite(path, change)
        faults = verify()
        assert [fault.kind for fault in faults] == ["changed"], name
        assert f": {name} is {other!a}, the journal says" in faults[0].detail
        assert faults[0].detail.startswith("line 12: event 12" if path.suffix == ".csv" else "row 11: event 12")


def test_removed_added_copied_and_moved_rows_are_located(exported) -> None:
    path, verify = exported
    original = path.read_bytes()

    def faults_after(change):
        path.write_bytes(original)
        rewrite(path, change)
        return [(fault.kind, fault.detail) for fault in verify()]

    removed = faults_after(lambda rows: rows[:4] + rows[5:])
    assert [kind for kind, _ in removed] == ["removed"]
    assert "event 6 ('intent recorded' of order 'ccc')" in removed[0][1]

    invented = faults_after(lambda rows: [*rows[:4], [*rows[3][:-1], "0" * 64], *rows[4:]])
    assert [kind for kind, _ in invented] == ["added"]
    assert invented[0][1].startswith("line 6: event 5" if path.suffix == ".csv" else "row 5: event 5")

    assert [kind for kind, _ in faults_after(lambda rows: [*rows, rows[0]])] == ["added"]

    moved = faults_after(lambda rows: [*rows[1:8], rows[0], *rows[8:]])
    assert [kind for kind, _ in moved] == ["moved"]
    assert "event 2 ('intent recorded' of order 'aaa')" in moved[0][1]


def test_random_tampering_is_always_noticed(exported) -> None:
    path, verify = exported
    original, draw = path.read_bytes(), np.random.default_rng(5)
    for _ in range(15):
        path.write_bytes(original)

        def tamper(rows):
            kind = draw.choice(["remove", "copy", "swap"])
            here, there = (int(place) for place in draw.choice(len(rows), 2, replace=False))
            if kind == "remove":
                del rows[here]
            elif kind == "copy":
                rows.insert(here, rows[there])
            else:
                rows[here], rows[there] = rows[there], rows[here]
            return rows

        rewrite(path, tamper)
        assert verify()


def test_bytes_that_change_no_cell_are_noticed(exported) -> None:
    path, verify = exported
    if path.suffix == ".csv":
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    else:
        pq.write_table(pq.read_table(path), path, compression="gzip")
    assert [fault.kind for fault in verify()] == ["bytes"]


@pytest.mark.parametrize(("name", "value"), [("journal_hash", "f" * 64), ("journal_sequence", 14), ("rows", 11)])
def test_a_changed_manifest_is_noticed(exported, name, value) -> None:
    path, verify = exported
    file = manifest_path(path)
    file.write_text(json.dumps({**json.loads(file.read_text()), name: value}))
    assert [fault.kind for fault in verify()] == ["manifest"]


def test_a_file_with_other_columns_is_not_compared_row_by_row(exported) -> None:
    path, verify = exported
    if path.suffix == ".csv":
        path.write_text(path.read_text().replace("side,", "", 1))
    else:
        pq.write_table(pq.read_table(path).drop_columns(["side"]), path)
    faults = verify()
    assert [fault.kind for fault in faults] == ["columns"]
    assert "['side']" in faults[0].detail


def test_broken_files_and_manifests_are_refused_with_a_remedy(exported) -> None:
    path, verify = exported
    if path.suffix == ".parquet":
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(ComplianceError, match=r"is no parquet file any more .*; export again"):
            verify()
    else:
        path.write_bytes(path.read_bytes()[:-70] + b"\xff\n")
        assert {fault.kind for fault in verify()} == {"changed"}
    manifest_path(path).write_text("{}")
    with pytest.raises(ComplianceError, match="bring it back, or export again"):
        verify()
    manifest_path(path).unlink()
    with pytest.raises(ComplianceError, match="says nothing of what it left out"):
        verify()


def test_an_export_overwrites_nothing(exported, records) -> None:
    path, _ = exported
    before = path.read_bytes()
    about = {"account": "simulated", "workspace": "w", "sessions": (None, None), "head": EMPTY, "code_version": "1"}
    with pytest.raises(ComplianceError, match="never overwritten"):
        write_export(path, [], made_at_utc=AT, **about)
    with pytest.raises(ComplianceError, match=r"a \.csv or a \.parquet file"):
        write_export(path.with_suffix(".xlsx"), export_rows(records), made_at_utc=AT, **about)
    assert path.read_bytes() == before
