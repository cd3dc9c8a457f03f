/*
 * The symbols of an object: one pass that makes every name, section index and value of the table safe to use.
 *
 * A symbol's value and size may run past its section, as ld allows (`end = . + 100`, one before an array): addresses
 * are computed from the one, modulo 2^64, and the other is good for SIZE relocations and for nothing else.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/bytes.h"
#include "common/log.h"
#include "daemon/linker/object_internal.h"
#include "proto/control.h"
#include "proto/limits.h"

/* Not in <elf.h>: the psABI's, and binutils'. */
enum { SHN_X86_64_LCOMMON = 0xff02 };
enum { STT_RELC = 8, STT_SRELC = 9 };

const char *object_symbol_name(const struct object *object, uint32_t symbol)
{
    const Elf64_Sym *entry = &object->symbols[symbol];
    if (ELF64_ST_TYPE(entry->st_info) == STT_SECTION && entry->st_name == 0) {
        uint32_t section = object_symbol_section(object, symbol);
        return section < object->section_count ? object->sections[section].name : "";
    }
    return object->names + entry->st_name;
}

static int refuse_symbol(struct opening *opening, uint32_t index, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int refuse_symbol(struct opening *opening, uint32_t index, int code, const char *format, ...)
{
    const struct object *object = opening->object;
    uint32_t at = object->symbols[index].st_name;
    const char *raw = at < object->names_length ? object->names + at : "";
    char what[320], name[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    error_set(opening->error, code, "symbol %" PRIu32 " '%s': %s", index,
              log_escape(name, sizeof name, raw, strnlen(raw, sizeof name)), what);
    error_set_symbol(opening->error, raw);
    return code;
}

static int check_binding(struct opening *opening, uint32_t index, const Elf64_Sym *symbol)
{
    /* Bindings that are not known are global ones to ld. */
    unsigned binding = ELF64_ST_BIND(symbol->st_info);
    if ((binding == STB_LOCAL) != (index < opening->object->first_global))
        return refuse_symbol(opening, index, ERROR_OBJECT_SYMBOL,
                             "%s, but the first global symbol is %" PRIu32 " (sh_info of the symbol table)",
                             binding == STB_LOCAL ? "local" : "not local", opening->object->first_global);
    if (binding != STB_LOCAL && opening->object->names[symbol->st_name] == '\0')
        return refuse_symbol(opening, index, ERROR_OBJECT_SYMBOL, "a global symbol without a name");
    return 0;
}

static int check_type(struct opening *opening, uint32_t index, const Elf64_Sym *symbol)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    if (type == STT_GNU_IFUNC && symbol->st_shndx != SHN_UNDEF)
        return refuse_symbol(opening, index, ERROR_UNSUPPORTED,
                             "an indirect function (STT_GNU_IFUNC); these are not supported yet");
    if (type == STT_RELC || type == STT_SRELC)
        return refuse_symbol(opening, index, ERROR_UNSUPPORTED,
                             "a complex relocation's expression (type %u); these are not supported", type);
    return 0;
}

/* The gABI puts a common symbol's alignment into st_value. Those of the large model are the same: all are within reach
   here. */
static int check_common(struct opening *opening, uint32_t index, const Elf64_Sym *symbol)
{
    if (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL)
        return refuse_symbol(opening, index, ERROR_OBJECT_SYMBOL, "local and common at once");
    if (symbol->st_value != 0 && (!is_power_of_two(symbol->st_value) || symbol->st_value > LIMIT_ALIGNMENT))
        return refuse_symbol(opening, index, ERROR_OBJECT_SYMBOL,
                             "alignment %#" PRIx64 " of a common symbol is not a power of two up to %#llx",
                             symbol->st_value, LIMIT_ALIGNMENT);
    if (symbol->st_size > ARENA_REACH)
        return refuse_symbol(opening, index, ERROR_LIMIT,
                             "a common symbol of %" PRIu64 " bytes does not fit into an arena: it has %llu MiB at "
                             "most, as 32-bit displacements reach no further",
                             symbol->st_size, ARENA_REACH >> 20);
    return 0;
}

/* Symbols that no section defines, or one that st_shndx is too small for. `section` becomes its index, else 0. */
static int check_reserved_section(struct opening *opening, uint32_t index, const Elf64_Sym *symbol, uint32_t *section)
{
    switch (symbol->st_shndx) {
    case SHN_ABS:
        return 0;
    case SHN_COMMON:
    case SHN_X86_64_LCOMMON:
        return check_common(opening, index, symbol);
    case SHN_XINDEX:
        if (!opening->object->extended_sections)
            return refuse_symbol(opening, index, ERROR_OBJECT_SYMBOL,
                                 "its section stands in a table of extended indices, and there is none");
        *section = opening->object->extended_sections[index];
        if (*section == SHN_UNDEF)
            return refuse_symbol(opening, index, ERROR_OBJECT_SYMBOL, "its extended section index is 0");
        return 0;
    default:
        return refuse_symbol(opening, index, ERROR_UNSUPPORTED, "section index %#x (st_shndx) is not supported",
                             symbol->st_shndx);
    }
}

static int check_place(struct opening *opening, uint32_t index, const Elf64_Sym *symbol)
{
    const struct object *object = opening->object;
    uint32_t at = symbol->st_shndx;
    if (at >= SHN_LORESERVE) {
        at = SHN_UNDEF;
        int code = check_reserved_section(opening, index, symbol, &at);
        if (code)
            return code;
    }
    if (at == SHN_UNDEF)
        return 0;
    if (at >= object->section_count)
        return refuse_symbol(opening, index, ERROR_OBJECT_SYMBOL,
                             "section %" PRIu32 " does not exist; there are %" PRIu32, at, object->section_count);
    const struct object_section *section = &object->sections[at];
    if (!section->loaded)
        return 0;
    if (ELF64_ST_TYPE(symbol->st_info) == STT_TLS && !(section->flags & SHF_TLS))
        return refuse_symbol(opening, index, ERROR_OBJECT_SYMBOL,
                             "thread-local, but section %" PRIu32 " holds no thread-local data", at);
    return 0;
}

/* GCC marks an object that has intermediate code alone by a symbol: nothing else in its symbol table is of the program.
 */
static int check_lto(struct opening *opening)
{
    const struct object *object = opening->object;
    for (uint32_t i = object->first_global; i < object->symbol_count && opening->lto; i++)
        if (strcmp(object->names + object->symbols[i].st_name, "__gnu_lto_slim") == 0)
            return error_set(opening->error, ERROR_UNSUPPORTED,
                             "holds intermediate code of GCC alone (-flto): compile it with -ffat-lto-objects, or "
                             "without -flto");
    return 0;
}

int object_check_symbols(struct opening *opening)
{
    const struct object *object = opening->object;
    static const Elf64_Sym null_symbol;
    if (object->symbol_count > 0 && memcmp(&object->symbols[0], &null_symbol, sizeof null_symbol) != 0)
        return error_set(opening->error, ERROR_OBJECT_SYMBOL, "symbol 0 must be the null symbol and is not");
    for (uint32_t i = 1; i < object->symbol_count; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        if (symbol->st_name >= object->names_length)
            return refuse_symbol(opening, i, ERROR_OBJECT_SYMBOL,
                                 "name at %#" PRIx32 " is past the end of the names (%#zx bytes)", symbol->st_name,
                                 object->names_length);
        int code = check_binding(opening, i, symbol);
        if (!code)
            code = check_type(opening, i, symbol);
        if (!code)
            code = check_place(opening, i, symbol);
        if (code)
            return code;
    }
    return check_lto(opening);
}
