/*
 * A program with a mistake: three calls deep, it writes through a pointer that is null.
 */
#include <stdio.h>
#include <string.h>

struct account {
    char owner[16];
    int balance;
};

__attribute__((noinline)) static struct account *find_account(struct account *accounts, int count, const char *owner)
{
    for (int i = 0; i < count; i++)
        if (strcmp(accounts[i].owner, owner) == 0)
            return &accounts[i];
    return NULL;
}

__attribute__((noinline)) static void deposit(struct account *account, int amount)
{
    account->balance += amount;
}

__attribute__((noinline)) static void transfer(struct account *accounts, const char *from, const char *to, int amount)
{
    deposit(find_account(accounts, 2, from), -amount);
    deposit(find_account(accounts, 2, to), amount);
    printf("%s has paid %s\n", from, to);
}

int main(void)
{
    struct account accounts[2] = {{"ada", 100}, {"grace", 50}};
    transfer(accounts, "ada", "grace", 30);
    transfer(accounts, "grace", "edsger", 20);
    return 0;
}
