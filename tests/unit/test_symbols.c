#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "daemon/linker/symbols.h"
#include "tests/lib/leaks.h"

Test(symbols, interns_a_name_once_and_keeps_it_where_it_is)
{
    struct symbols *symbols = symbols_new(1);
    static struct symbol *first[20000];
    char name[32];

    for (int i = 0; i < 20000; i++)
        first[i] = symbols_intern(symbols, 0, name, (size_t)sprintf(name, "symbol_%d", i));
    for (int i = 0; i < 20000; i++) {
        size_t length = (size_t)sprintf(name, "symbol_%d", i);
        cr_assert_eq(symbols_intern(symbols, 0, name, length), first[i]);
        cr_assert_str_eq(first[i]->name, name);
    }
    cr_expect_eq(symbols_count(symbols), 20000);
    symbols_free(symbols);
    expect_no_leaks();
}

Test(symbols, tells_names_apart_that_differ_in_length_or_behind_a_nul)
{
    struct symbols *symbols = symbols_new(2);
    struct symbol *shorter = symbols_intern(symbols, 0, "ab", 2), *nul = symbols_intern(symbols, 0, "ab\0c", 4);

    cr_expect_neq(shorter, nul);
    cr_expect_neq(symbols_intern(symbols, 0, "", 0), shorter);
    cr_expect_null(symbols_find(symbols, 0, "a", 1));
    cr_expect_eq(symbols_find(symbols, 0, "ab", 2), shorter);
    symbols_free(symbols);
}

Test(symbols, a_use_can_be_taken_out_of_the_middle_of_its_list)
{
    struct symbol symbol = {0};
    struct use uses[3] = {{.symbol = &symbol}, {.symbol = &symbol}, {.symbol = &symbol}};

    for (int i = 0; i < 3; i++)
        symbol_add_use(&symbol, &uses[i]);
    symbol_remove_use(&uses[1]);
    symbol_remove_use(&uses[1]);
    cr_expect_eq(symbol.uses, &uses[2]);
    cr_expect_eq(uses[2].next, &uses[0]);
    cr_expect_null(uses[0].next);
    symbol_remove_use(&uses[2]);
    symbol_remove_use(&uses[0]);
    cr_expect_null(symbol.uses);
}

static bool is_kept(const struct symbol *symbol, void *kept)
{
    return symbol == kept;
}

static struct symbol *intern_many(struct symbols *symbols, int from, int to)
{
    struct symbol *symbol = NULL;
    char name[32];

    for (int i = from; i < to; i++)
        symbol = symbols_intern(symbols, 0, name, (size_t)sprintf(name, "symbol_%d", i));
    return symbol;
}

Test(symbols, that_nobody_speaks_of_are_swept_and_no_others)
{
    struct symbols *symbols = symbols_new(3);
    struct symbol *bound, *used, *needed, *wanted, *kept;
    struct use use = {0};
    size_t memory = symbols_memory(symbols);

    intern_many(symbols, 0, 10000);
    bound = intern_many(symbols, 10000, 10001);
    bound->binding = SYMBOL_UNIT;
    used = intern_many(symbols, 10001, 10002);
    used->users = 1;
    needed = intern_many(symbols, 10002, 10003);
    symbol_add_use(needed, &use);
    wanted = intern_many(symbols, 10003, 10004);
    wanted->wanted = true;
    kept = intern_many(symbols, 10004, 10005);
    symbols_sweep(symbols, is_kept, kept);
    cr_expect_eq(symbols_count(symbols), 5);
    cr_expect_eq(symbols_find(symbols, 0, "symbol_10000", 12), bound);
    cr_expect_eq(symbols_find(symbols, 0, "symbol_10004", 12), kept);
    cr_expect_null(symbols_find(symbols, 0, "symbol_9", 8));
    cr_expect_lt(symbols_memory(symbols), memory + 300000, "the slots stay");
    symbols_free(symbols);
    expect_no_leaks();
}

Test(symbols, are_found_whichever_of_their_neighbours_were_swept)
{
    enum { COUNT = 43000 }; /* nearly two thirds of the slots: long runs without a free one */
    struct symbols *symbols = symbols_new(6);
    struct symbol **all = calloc(COUNT, sizeof *all);
    char name[32];

    for (int i = 0; i < COUNT; i++) {
        all[i] = intern_many(symbols, i, i + 1);
        all[i]->users = i % 3 == 0;
    }
    symbols_sweep(symbols, is_kept, NULL);
    for (int i = 0; i < COUNT; i++) {
        size_t length = (size_t)sprintf(name, "symbol_%d", i);
        cr_assert_eq(symbols_find(symbols, 0, name, length), i % 3 == 0 ? all[i] : NULL, "%s", name);
    }
    free(all);
    symbols_free(symbols);
    expect_no_leaks();
}

Test(symbols, are_swept_again_only_when_there_are_twice_as_many_as_were_left)
{
    struct symbols *symbols = symbols_new(4);

    for (int i = 0; i < 6000; i++)
        intern_many(symbols, i, i + 1)->users = 1;
    symbols_sweep(symbols, is_kept, NULL);
    intern_many(symbols, 6000, 11000);
    symbols_sweep(symbols, is_kept, NULL);
    cr_expect_eq(symbols_count(symbols), 11000);
    intern_many(symbols, 11000, 12001);
    symbols_sweep(symbols, is_kept, NULL);
    cr_expect_eq(symbols_count(symbols), 6000);
    symbols_free(symbols);
    expect_no_leaks();
}

Test(symbols, that_come_and_go_by_the_million_take_bounded_memory)
{
    struct symbols *symbols = symbols_new(5);
    size_t most = 0;

    for (int i = 0; i < 1000000; i++) {
        intern_many(symbols, i, i + 1);
        symbols_sweep(symbols, is_kept, NULL);
        most = symbols_memory(symbols) > most ? symbols_memory(symbols) : most;
    }
    cr_expect_lt(most, 1 << 20);
    symbols_free(symbols);
}
