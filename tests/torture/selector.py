"""Selectors of GCC's tests: which targets, by name and by what they can do (GCC internals manual, section 7.2.2)."""

import fnmatch
import re

import tcl

TRIPLE = "x86_64-pc-linux-gnu"

# Effective targets (GCC internals manual, section 7.2.3), as they are for GNU C and C++ on x86-64 with glibc.
TRUE = set("""
    alias alloca base_quadfloat_support builtin_eh_return c99_runtime cet cxa_atexit dfp dfprt double64 double64plus
    exceptions exceptions_enabled fenv fenv_exceptions fenv_exceptions_dfp fileio float128 float128_runtime float16
    float16_runtime float32 float32_runtime float32x float32x_runtime float64 float64_runtime float64x float64x_runtime
    floatn_nx_runtime fopenmp fpic freorder fstack_protector gas gld global_constructor hard_float indirect_jumps inf
    init_priority inff int128 int32 int32plus label_values large_double large_long_double libc_has_complex_functions
    longlong64 long_neq_int lp64 lto mempcpy mmap named_sections nonlocal_goto cas_int cas_char pie pthread pthread_h
    ptr32plus return_address rtti scheduling signal signal_handlers size20plus size24plus size32plus sse sse2
    stack_size static static_libgfortran stdint_types stpcpy string_merging sync_char_short sync_int_128 sync_int_long
    supports_stack_clash_protection tls tls_native tls_runtime trampolines trapping unaligned_stack untyped_assembly
    unwrapped wchar_t_char32 weak_undefined __float128 function_sections
""".split())

FALSE = set("""
    avr_tiny coldfire_fpu default_packed double32 float128x float128x_runtime freestanding ia32 ilp32 int16
    int_eq_float keeps_null_pointer_checks llp64 longdouble128 march_option mips64 newlib newlib_nano_io noinit
    persistent run_expensive_tests short_eq_int simulator size16 size32 sparc_v9 ti_c67x tls_emulated uclibc vmx_hw
    vxworks_kernel vxworks_rtp x32
""".split())

FOREIGN = re.compile(r"(aarch64|arm|avr|csky|gcn|lasx|loongarch|lsx|mips|nvptx|powerpc|ppc|riscv|s390|vsx|vmx)[_0-9]?")

STANDARDS = {"98": 98, "03": 98, "0x": 111, "11": 111, "1y": 114, "14": 114, "1z": 117, "17": 117, "2a": 120,
             "20": 120, "2b": 123, "23": 123}


class Unknown(Exception):
    """What decides cannot be evaluated here; the exception's text is its name."""


def standard(options, default="17"):
    """The C++ standard that the options choose, as a number that grows with the years."""
    chosen = [option[-2:] for option in options if re.fullmatch(r"-std=(c|gnu)\+\+\w\w", option)]
    return STANDARDS.get(chosen[-1] if chosen else default, 0)


class Target:
    """What a test is compiled for: this machine, and a language with options."""

    def __init__(self, cxx=False, options=(), cpu=None):
        self.cxx, self.options = cxx, list(options)
        self.cpu = cpu_flags() if cpu is None else cpu

    def has(self, name):
        """Whether the effective target holds. Raises Unknown."""
        name = name.strip()
        if name == "c":
            return not self.cxx
        if name == "c++":
            return self.cxx
        dialect = re.fullmatch(r"c\+\+(\w\w)(_only|_down)?", name)
        if dialect and dialect[1] in STANDARDS:
            if not self.cxx:
                return False
            ours, theirs = standard(self.options), STANDARDS[dialect[1]]
            return {"_only": ours == theirs, "_down": ours <= theirs, None: ours >= theirs}[dialect[2]]
        runtime = re.fullmatch(r"((?:sse|ssse|avx|fma|bmi|f16c|popcnt|aes|xop)\w*)_runtime", name)
        if runtime:
            return runtime[1].replace("_", "") in self.cpu
        if name in TRUE:
            return True
        if name in FALSE or FOREIGN.match(name):
            return False
        raise Unknown(name)

    def selects(self, selector):
        """Whether a selector, the text of a Tcl list, selects this target. Raises Unknown."""
        operands = tcl.words(selector)
        if not operands:
            return False
        for operator, holds in (("||", any), ("&&", all)):
            if operator in operands:
                return self._combine(holds, split(operands, operator))
        if operands[0] == "!":
            return not self.selects(" ".join(brace(word) for word in operands[1:]))
        if len(operands) > 1:
            return self._combine(any, [[operand] for operand in operands])
        word = operands[0].strip()
        if any(space in word for space in tcl.SPACE):
            return self.selects(word)
        if word.count("-") >= 2:
            return fnmatch.fnmatchcase(TRIPLE, word)
        return self.has(word)

    def _combine(self, holds, parts):
        """any() or all() of the parts, of which an unknown one matters only if the others do not decide."""
        unknown, values = None, []
        for part in parts:
            try:
                values.append(self.selects(" ".join(brace(word) for word in part)))
            except Unknown as error:
                unknown = error
        decided = holds(values) if holds is any else not holds(values)
        if unknown and not decided:
            raise unknown
        return holds(values)


def brace(word):
    return "{" + word + "}"


def split(operands, operator):
    parts = [[]]
    for operand in operands:
        if operand == operator:
            parts.append([])
        else:
            parts[-1].append(operand)
    return parts


def cpu_flags():
    """The instruction set extensions of this machine, as the kernel calls them but without underscores."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        for line in info:
            if line.startswith("flags"):
                return {flag.replace("_", "") for flag in line.split(":", 1)[1].split()} | {"sse3"}
    return set()
