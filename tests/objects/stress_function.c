/*
 * Submitted by tests/stress: one of the functions that its program calls. Names and the identity are changed in the
 * object. With DATA it needs its data and its initialiser to have come, with NESTED that calls the next function.
 */
static long identity(void)
{
    long value;

    __asm__("movabs $0x5ead1dea5ead1dea, %0" : "=r"(value));
    return value;
}

#ifdef DATA
static volatile long copied = 1, cleared;

#ifdef NESTED
long lazy_99(long n);

static long next_is_right(void)
{
    return (lazy_99(5) - 35) >> 32 == (identity() >> 32) + 1;
}
#else
static long next_is_right(void)
{
    return 1;
}
#endif

__attribute__((constructor)) static void begin(void)
{
    if (next_is_right())
        copied++;
    cleared++;
}

__attribute__((destructor)) static void end(void)
{
    static volatile long ended;

    ended++;
}

long lazy_00(long n)
{
    return copied == 2 && cleared == 1 ? identity() + 7 * n : 0;
}
#else
long lazy_00(long n)
{
    return identity() + 7 * n;
}
#endif
