#include "daemon/linker/cpu.h"

/* X(name for the compiler's builtin, name in /proc/cpuinfo) */
#define FEATURES(X)                                                                                                    \
    X("cmov", "cmov")                                                                                                  \
    X("sse2", "sse2")                                                                                                  \
    X("sse3", "pni")                                                                                                   \
    X("ssse3", "ssse3")                                                                                                \
    X("sse4.1", "sse4_1")                                                                                              \
    X("sse4.2", "sse4_2")                                                                                              \
    X("popcnt", "popcnt")                                                                                              \
    X("aes", "aes")                                                                                                    \
    X("pclmul", "pclmulqdq")                                                                                           \
    X("avx", "avx")                                                                                                    \
    X("fma", "fma")                                                                                                    \
    X("bmi", "bmi1")                                                                                                   \
    X("bmi2", "bmi2")                                                                                                  \
    X("avx2", "avx2")                                                                                                  \
    X("lzcnt", "abm")                                                                                                  \
    X("movbe", "movbe")                                                                                                \
    X("f16c", "f16c")                                                                                                  \
    X("rdrnd", "rdrand")                                                                                               \
    X("rdseed", "rdseed")                                                                                              \
    X("adx", "adx")                                                                                                    \
    X("cmpxchg16b", "cx16")                                                                                            \
    X("avx512f", "avx512f")                                                                                            \
    X("avx512bw", "avx512bw")                                                                                          \
    X("avx512cd", "avx512cd")                                                                                          \
    X("avx512dq", "avx512dq")                                                                                          \
    X("avx512vl", "avx512vl")                                                                                          \
    X("avx512vbmi", "avx512vbmi")                                                                                      \
    X("avx512ifma", "avx512ifma")                                                                                      \
    X("avx512vnni", "avx512_vnni")                                                                                     \
    X("avx512bf16", "avx512_bf16")                                                                                     \
    X("gfni", "gfni")                                                                                                  \
    X("vpclmulqdq", "vpclmulqdq")                                                                                      \
    X("vaes", "vaes")

size_t cpu_features(const char *names[CPU_FEATURES_MAX])
{
    size_t count = 0;

    __builtin_cpu_init();
#define ADD_FEATURE(builtin, name)                                                                                     \
    if (__builtin_cpu_supports(builtin))                                                                               \
        names[count++] = (name);
    FEATURES(ADD_FEATURE)
#undef ADD_FEATURE
    return count;
}
