"""Machine code of functions of loops: LLVM makes it for this machine from what `llvm_source` writes."""

import ctypes
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from dbn_bptt.program import kept
from dbn_bptt.program.llvm_source import BESIDE

PLAIN = """!0 = distinct !{!0, !1, !2}
!1 = !{!"llvm.loop.unroll.disable"}
!2 = !{!"llvm.loop.vectorize.enable", i1 false}
"""  # of loops that run once: not worth the time to make them fast


@lru_cache(maxsize=1)
def _machine() -> Any:
    """The machine that code is made for: this one."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    features = llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True)


_ENGINES: list[Any] = []  # code is good as long as these are


def made(code: Mapping[str, str], arrays: Mapping[str, int]) -> dict[str, Callable[..., int]]:
    """Functions of some LLVM code, by name, with so many arrays each, as the addresses where their pointers are."""
    import llvmlite.binding as llvm

    text = "\n".join([BESIDE, *code.values(), PLAIN])
    module, machine = llvm.parse_assembly(text), _machine()
    made_from = "\n".join([llvm.get_host_cpu_name(), str(llvm.llvm_version_info), machine.triple, text])
    known = kept.taken(made_from)
    if known is None:
        tuning = llvm.create_pipeline_tuning_options(speed_level=3)
        tuning.loop_vectorization = tuning.slp_vectorization = True
        builder = llvm.create_pass_builder(machine, tuning)
        builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.set_object_cache(lambda _, code: kept.keep(made_from, code), lambda _: known)
    engine.finalize_object()
    _ENGINES.append(engine)
    return {
        name: ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_int64] * 4, *[ctypes.c_void_p] * n)(
            engine.get_function_address(name)
        )
        for name, n in arrays.items()
    }
