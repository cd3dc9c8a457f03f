/*
 * Threads of real programs under stress, one session after another.
 *
 *     O=build STRESS_SEED=1 STRESS_SECONDS=60 build/test/stress
 *
 * The seed gives what is done and how long things wait; what meets what, the machine decides. In a build with STRESS=1
 * the daemon pauses at random where threads and processes meet (common/delay.h). Ends with 1 where something went
 * wrong.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/stress/random.h"
#include "tests/stress/stress.h"

#define SECOND             1000000000ull
#define ROUNDS_PER_SESSION 12

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text && text[0] ? strtoull(text, NULL, 10) : otherwise;
}

struct sums {
    uint64_t sessions, rounds, questions, removals, redirections, ends;
};

static void add(struct sums *sums, const struct stress *stress)
{
    sums->sessions++;
    sums->rounds += stress->rounds;
    sums->questions += stress->questions;
    sums->removals += stress->removals;
    sums->redirections += stress->redirections;
    sums->ends += stress->ends;
}

static void print(const struct sums *sums, uint64_t seconds)
{
    printf("%4llu s: %llu sessions, %llu runs of the program, %llu questions, %llu removals, %llu redirections, %llu "
           "lives ended on purpose\n",
           (unsigned long long)seconds, (unsigned long long)sums->sessions, (unsigned long long)sums->rounds,
           (unsigned long long)sums->questions, (unsigned long long)sums->removals,
           (unsigned long long)sums->redirections, (unsigned long long)sums->ends);
    fflush(stdout);
}

/* False where something went wrong. */
static bool run_session(uint64_t seed, uint64_t end, struct sums *sums)
{
    static struct stress stress;
    bool going = true;

    stress_open(&stress, seed);
    going = stress.text[0] == '\0';
    for (int i = 0; i < ROUNDS_PER_SESSION && going && stress_now() < end; i++)
        going = stress_round(&stress);
    add(sums, &stress);
    if (!going)
        printf("session %llu of seed %llu, round %llu: %s\n", (unsigned long long)sums->sessions,
               (unsigned long long)seed, (unsigned long long)stress.rounds, stress.text);
    stress_close(&stress);
    return going;
}

int main(void)
{
    uint64_t seed = number_of("STRESS_SEED", 1), seconds = number_of("STRESS_SECONDS", 3);
    uint64_t began = stress_now(), end = began + seconds * SECOND, shown = began, next = seed;
    struct sums sums = {0};
    bool good = true;

    printf("seed %llu, %llu s\n", (unsigned long long)seed, (unsigned long long)seconds);
    supply_prepare();
    while (good && stress_now() < end) {
        good = run_session(next, end, &sums);
        random_draw(&next, 2);
        if (stress_now() >= shown + 2 * SECOND) {
            shown = stress_now();
            print(&sums, (shown - began) / SECOND);
        }
    }
    supply_close();
    print(&sums, (stress_now() - began) / SECOND);
    return good ? 0 : 1;
}
