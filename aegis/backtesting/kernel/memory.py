"""Reaching the kernel's records from compiled code by one address.

Belongs here: the only code that turns addresses into records and numbers. Everything compiled takes one ``handle``, the
address of a `HEADER`, and asks this module for the rest: handing a dozen arrays from function to function costs ten
times as much, because each carries its shape and a reference count. Nothing here checks an index; the functions that
strategies may call do (:mod:`aegis.backtesting.jitted`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import extending, from_dtype, types

from aegis.backtesting.compilation import compiled
from aegis.backtesting.costs import COSTS
from aegis.backtesting.kernel import records

_intrinsic: Callable[..., Any] = extending.intrinsic


def _record_at(dtype: np.dtype[Any]) -> Any:
    """Return an intrinsic ``(address, index) -> record``; the record is the memory itself, not a copy."""
    record = from_dtype(dtype)
    size = dtype.itemsize

    @_intrinsic
    def record_at(_context: Any, _address: Any, _index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address, index = arguments
            offset = builder.mul(index, ir.Constant(ir.IntType(64), size))
            return builder.inttoptr(builder.add(address, offset), context.get_value_type(signature.return_type))

        return record(types.int64, types.int64), generate

    return record_at


def _number_at(kind: Any, storage: ir.Type) -> tuple[Any, Any]:
    """Return intrinsics that load and store element `index` of a column of numbers."""

    def pointer(builder: Any, address: Any, index: Any) -> Any:
        return builder.gep(builder.inttoptr(address, storage.as_pointer()), [index])

    @_intrinsic
    def load(_context: Any, _address: Any, _index: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.load(pointer(builder, arguments[0], arguments[1]))

        return kind(types.int64, types.int64), generate

    @_intrinsic
    def store(_context: Any, _address: Any, _index: Any, _value: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            builder.store(arguments[2], pointer(builder, arguments[0], arguments[1]))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, kind), generate

    return load, store


load_f8, store_f8 = _number_at(types.float64, ir.DoubleType())
load_i8, store_i8 = _number_at(types.int64, ir.IntType(64))
load_i4, store_i4 = _number_at(types.int32, ir.IntType(32))

header_record = _record_at(records.HEADER)
account_record = _record_at(records.ACCOUNT)
cursor_record = _record_at(records.CURSOR)
rules_record = _record_at(records.RULES)
position_record = _record_at(records.POSITION)
symbol_record = _record_at(records.SYMBOL)
order_record = _record_at(records.ORDER)
fill_record = _record_at(records.FILL)
amendment_record = _record_at(records.AMENDMENT)
session_record = _record_at(records.SESSION)
action_record = _record_at(records.ACTION)
fee_rate_record = _record_at(records.FEE_RATE)
receivable_record = _record_at(records.RECEIVABLE)
costs_record = _record_at(COSTS)
candidate_record = _record_at(records.CANDIDATE)


@compiled
def header_of(handle: int) -> Any:
    """Return the `HEADER` at the handle."""
    return header_record(handle, 0)


@compiled
def account_of(handle: int) -> Any:
    """Return the `ACCOUNT`."""
    return account_record(header_record(handle, 0).account, 0)


@compiled
def cursor_of(handle: int) -> Any:
    """Return the `CURSOR`."""
    return cursor_record(header_record(handle, 0).cursor, 0)


@compiled
def rules_of(handle: int) -> Any:
    """Return the `RULES`."""
    return rules_record(header_record(handle, 0).rules, 0)


@compiled
def costs_of(handle: int) -> Any:
    """Return the `COSTS`."""
    return costs_record(header_record(handle, 0).costs, 0)


@compiled
def position_of(handle: int, symbol: int) -> Any:
    """Return the `POSITION` of a symbol."""
    return position_record(header_record(handle, 0).positions, symbol)


@compiled
def symbol_of(handle: int, symbol: int) -> Any:
    """Return the `SYMBOL` record of a symbol."""
    return symbol_record(header_record(handle, 0).symbols, symbol)


@compiled
def order_of(handle: int, order: int) -> Any:
    """Return the `ORDER` with this index."""
    return order_record(header_record(handle, 0).orders, order)


@compiled
def bar_opens_at(handle: int, row: int) -> int:
    """Return when a bar of the current step opens, nanoseconds since 1970 in UTC."""
    header = header_record(handle, 0)
    step = cursor_record(header.cursor, 0).step
    if header.row_opens_at != 0:
        return load_i8(header.row_opens_at, row)
    if header.opens_at != 0:
        return load_i8(header.opens_at, step)
    return load_i8(header.closes_at, step) - header.bar_interval
