/*
 * What a unit uses of others: which symbols its sections refer to, what each of these is bound to or waits for, and the
 * further names that it gives to what it uses. Phases of resolving a batch (resolve.h), each done for all units before
 * the next; errors go to the report, and NO_MEMORY alone ends the batch at once.
 */
#ifndef LINKER_USES_H
#define LINKER_USES_H

#include "daemon/linker/gather.h"
#include "daemon/linker/link.h"

/* Marks the symbols to which the unit's kept sections refer; checks their relocations. */
int uses_mark(struct linker *linker, struct unit *unit, struct report *report);

/* Binds what is referred to, or makes it one of the unit's uses. All definitions of the batch have contended. */
int uses_resolve(struct linker *linker, struct unit *unit, struct report *report);

/* The same for uses to which nothing refers, the aliases that stand for them and the actions that call them. */
int uses_resolve_unreferenced(struct linker *linker, struct unit *unit, struct report *report);

/* Gives the unit's aliases the addresses of what they stand for; how many of them have none yet. */
uint32_t uses_settle_aliases(struct unit *unit);

/* The same for the alias that the use is for, where it is for one that has no address yet. NULL: nothing has changed.
 */
struct alias *uses_settle_alias(const struct use *use);

/* Whether the object's symbol, which it does not define, is hidden, internal or protected: then the definition is one
   of the program's own, and no library's (gABI, "Symbol Table"). USES_HIDDEN ends the text of an error about that. */
#define USES_HIDDEN ", and libraries are not asked for it, since it is not of default visibility"
bool uses_is_hidden(const struct unit *unit, uint32_t index);

/* For uses_define alone. */
struct symbol *uses_define_own(struct linker *linker, struct unit *unit, const char *name, struct symbol *found,
                               const char **why);

/* What an object's reference to the name means where no unit defines it and the search has found that, or NULL: bounds
   of sections (gather.h) come first, and what the linker itself defines (standard.h) is the batch's own. NULL: nothing;
   *why may then say why, at the end of an error's text. */
static inline struct symbol *uses_define(struct linker *linker, struct unit *unit, const char *name,
                                         struct symbol *found, const char **why)
{
    return gather_may_bound(name) || (found && found->standard) ? uses_define_own(linker, unit, name, found, why)
                                                                : found;
}

#endif
