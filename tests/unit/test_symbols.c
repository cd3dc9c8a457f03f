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
