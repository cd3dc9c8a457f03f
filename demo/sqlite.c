/*
 * A program of the ordinary sort: SQLite with 100,000 rows in memory, an index, and queries.
 *
 * Its output depends on nothing but its code: rows come from a fixed generator, and no time is printed.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ORDERS    100000
#define CUSTOMERS 500

static void check(sqlite3 *database, int code, int expected)
{
    if (code == expected)
        return;
    fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(database));
    exit(1);
}

static void run(sqlite3 *database, const char *text)
{
    check(database, sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
}

/* Numerical Recipes' linear congruential generator; the high bits are the good ones. */
static uint32_t next_random(void)
{
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void insert_customers(sqlite3 *database)
{
    static const char *const cities[] = {"Aachen", "Bergen", "Cadiz", "Dublin", "Espoo", "Faro", "Ghent"};
    sqlite3_stmt *insert;
    check(database, sqlite3_prepare_v2(database, "INSERT INTO customer VALUES (?, ?, ?)", -1, &insert, NULL),
          SQLITE_OK);
    for (int i = 0; i < CUSTOMERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "customer %c%03d", 'a' + (char)(next_random() % 26), i);
        sqlite3_bind_int(insert, 1, i);
        sqlite3_bind_text(insert, 2, name, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(insert, 3, cities[next_random() % 7], -1, SQLITE_STATIC);
        check(database, sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
}

static void insert_orders(sqlite3 *database)
{
    sqlite3_stmt *insert;
    check(database, sqlite3_prepare_v2(database, "INSERT INTO purchase VALUES (?, ?, ?, ?)", -1, &insert, NULL),
          SQLITE_OK);
    for (int i = 0; i < ORDERS; i++) {
        sqlite3_bind_int(insert, 1, i);
        sqlite3_bind_int(insert, 2, (int)(next_random() % CUSTOMERS));
        sqlite3_bind_int(insert, 3, (int)(next_random() % 20) + 1);
        sqlite3_bind_double(insert, 4, (next_random() % 10000) / 100.0);
        check(database, sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
}

static void print_query(sqlite3 *database, const char *title, const char *text)
{
    sqlite3_stmt *query;
    check(database, sqlite3_prepare_v2(database, text, -1, &query, NULL), SQLITE_OK);
    printf("%s\n", title);
    int code;
    while ((code = sqlite3_step(query)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(query); i++)
            printf("  %-16s", (const char *)sqlite3_column_text(query, i));
        putchar('\n');
    }
    check(database, code, SQLITE_DONE);
    sqlite3_finalize(query);
}

int main(void)
{
    sqlite3 *database;
    check(NULL, sqlite3_open(":memory:", &database), SQLITE_OK);
    /* Sorting would otherwise spill into a temporary file, which a sandboxed program may not create. */
    run(database, "PRAGMA temp_store = MEMORY");
    run(database, "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);"
                  "CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, quantity INTEGER, price REAL);");
    run(database, "BEGIN");
    insert_customers(database);
    insert_orders(database);
    run(database, "COMMIT");
    run(database, "CREATE INDEX purchase_customer ON purchase (customer)");

    print_query(database, "purchases, pieces, mean price",
                "SELECT count(*), sum(quantity), printf('%.4f', avg(price)) FROM purchase");
    print_query(database, "turnover by city",
                "SELECT city, count(*), printf('%.2f', sum(quantity * price)) FROM purchase"
                " JOIN customer ON customer.id = purchase.customer GROUP BY city ORDER BY city");
    print_query(database, "best customers whose names have a 7",
                "SELECT name, city, printf('%.2f', sum(quantity * price)) AS turnover FROM customer"
                " JOIN purchase ON customer.id = purchase.customer WHERE name LIKE '%7%'"
                " GROUP BY customer.id ORDER BY turnover + 0.0 DESC, name LIMIT 5");
    print_query(database, "purchases of one customer, by the index",
                "SELECT count(*), max(price), min(id) FROM purchase WHERE customer = 42");
    print_query(database, "check", "PRAGMA integrity_check");
    return sqlite3_close(database) == SQLITE_OK ? 0 : 1;
}
