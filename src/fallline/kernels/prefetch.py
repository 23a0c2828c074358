"""Ask for a row before it is needed: memory takes 100 ns to answer, as long as a step takes to compute."""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

LINE = 64  # bytes that come together


def _prefetch(context: Any, X: Any, row: Any) -> Any:
    """Start fetching row `row` of a matrix that lies row by row, or of a vector; nothing is read, nothing can fail."""
    from llvmlite import ir

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, array.strides, signature.args[0].ndim)[0]
        byte, i32 = ir.IntType(8), ir.IntType(32)
        start = builder.gep(builder.bitcast(array.data, byte.as_pointer()), [builder.mul(arguments[1], stride)])
        fetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte.as_pointer(), i32, i32, i32]), "llvm.prefetch.p0i8"
        )
        lines = builder.udiv(builder.add(stride, stride.type(LINE - 1)), stride.type(LINE))
        with cgutils.for_range(builder, lines) as loop:
            place = builder.gep(start, [builder.mul(loop.index, loop.index.type(LINE))])
            builder.call(fetch, [place, i32(0), i32(3), i32(1)])  # to read, to be kept near, data
        return context.get_dummy_value()

    return types.void(X, row), generate


prefetch: Any = intrinsic(_prefetch)  # prefetch(X, row)
