"""exp and tanh as LLVM's code without branches, so that loops over them run on several numbers at once.

x = k log 2 + r with |r| <= log(2) / 2 is the usual way: exp x = 2^k exp r, of which Taylor's polynomial of degree 13 is
exact to a double's last place. tanh |x| = -m / (2 + m), m = exp(-2 |x|) - 1, needs m to be exact where it is small,
which 2^k (exp r - 1) + (2^k - 1) is. Numbers of 32 bits are computed in 64.
"""

import math
import struct

RANGE = (-746.0, 710.0)  # beyond them exp is 0 and infinite
ROUND = 1.5 * 2.0**52  # what is added to this is rounded to a whole number, which its last bits then hold
HIGH = struct.unpack("<d", struct.pack("<Q", 0x3FE62E42FEE00000))[0]  # log 2 = HIGH + LOW, HIGH with zeros at its end
LOW = 1.90821492927058770002e-10
DEGREE = 13


def real(number: float) -> str:
    """A number, bit by bit."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"


def _reduced() -> list[str]:
    """%k, %r and %q = exp r - 1 of %x."""
    lines = [
        f"  %scaled = fmul double %x, {real(1 / math.log(2))}",
        f"  %shifted = fadd double %scaled, {real(ROUND)}",
        f"  %k = fsub double %shifted, {real(ROUND)}",
        f"  %high = fmul double %k, {real(HIGH)}",
        "  %near = fsub double %x, %high",
        f"  %low = fmul double %k, {real(LOW)}",
        "  %r = fsub double %near, %low",
        "  %gone = fsub double %near, %r",
        "  %lost = fsub double %gone, %low",  # of r, by rounding
        f"  %p{DEGREE} = fadd double {real(1 / math.factorial(DEGREE))}, 0.0",
    ]
    for n in range(DEGREE - 1, 1, -1):
        lines += [
            f"  %m{n} = fmul contract double %p{n + 1}, %r",
            f"  %p{n} = fadd contract double %m{n}, {real(1 / math.factorial(n))}",
        ]
    return [
        *lines,
        "  %square = fmul double %r, %r",
        "  %rest = fmul contract double %p2, %square",
        "  %more = fadd double %rest, %lost",
        "  %q = fadd double %r, %more",
        "  %bits = bitcast double %shifted to i64",
        "  %whole = trunc i64 %bits to i32",
    ]


def _power(name: str, exponent: str) -> list[str]:
    """2 to a whole number of 32 bits."""
    return [
        f"  %{name}.biased = add i32 {exponent}, 1023",
        f"  %{name}.wide = zext i32 %{name}.biased to i64",
        f"  %{name}.bits = shl i64 %{name}.wide, 52",
        f"  %{name} = bitcast i64 %{name}.bits to double",
    ]


EXP = [
    f"  %below = fcmp olt double %given, {real(RANGE[0])}",
    f"  %least = select i1 %below, double {real(RANGE[0])}, double %given",
    f"  %above = fcmp ogt double %least, {real(RANGE[1])}",
    f"  %x = select i1 %above, double {real(RANGE[1])}, double %least",
    *_reduced(),
    f"  %exp = fadd double %q, {real(1.0)}",
    "  %half = ashr i32 %whole, 1",  # in two steps, so that what is as small as can be, or infinite, is right
    "  %other = sub i32 %whole, %half",
    *_power("one", "%half"),
    *_power("two", "%other"),
    "  %partly = fmul double %exp, %one",
    "  %result = fmul double %partly, %two",
]
TANH = [
    "  %size = call double @llvm.fabs.f64(double %given)",
    f"  %large = fcmp ogt double %size, {real(22.0)}",  # where it is 1
    f"  %most = select i1 %large, double {real(22.0)}, double %size",
    f"  %x = fmul double %most, {real(-2.0)}",
    *_reduced(),
    *_power("power", "%whole"),
    "  %scaled.q = fmul double %power, %q",
    f"  %less = fsub double %power, {real(1.0)}",
    "  %m = fadd double %scaled.q, %less",
    "  %m.gone = fsub double %less, %m",
    "  %m.lost = fadd double %m.gone, %scaled.q",
    f"  %below = fadd double %m, {real(2.0)}",
    f"  %below.gone = fsub double {real(2.0)}, %below",
    "  %below.lost = fadd double %below.gone, %m",
    "  %minus = fneg double %m",
    "  %first = fdiv double %minus, %below",
    f"  %slope = fadd double %first, {real(1.0)}",  # what rounding took from m and from 2 + m is given back
    "  %of.m = fmul double %slope, %m.lost",
    "  %of.below = fmul double %first, %below.lost",
    "  %both = fadd double %of.m, %of.below",
    "  %back = fdiv double %both, %below",
    "  %ratio = fsub double %first, %back",
    "  %result = call double @llvm.copysign.f64(double %ratio, double %given)",
]


def _function(name: str, body: list[str]) -> list[str]:
    double = [f"define internal double @own.{name}.f64(double %given) alwaysinline nounwind {{", *body]
    single = [
        f"define internal float @own.{name}.f32(float %given) alwaysinline nounwind {{",
        "  %wide = fpext float %given to double",
        f"  %found = call double @own.{name}.f64(double %wide)",
        "  %result = fptrunc double %found to float",
    ]
    return [*double, "  ret double %result", "}", *single, "  ret float %result", "}"]


OWN = {"exp", "tanh"}
COPYSIGN = "declare double @llvm.copysign.f64(double, double)"
TEXT = "\n".join([COPYSIGN, *_function("exp", EXP), *_function("tanh", TANH)])
