#include "tests/model/object.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define PART_BYTES   1024
#define RELOCATIONS  (2 * ENTRIES_MOST + 8)
#define SYMBOLS_MOST (2 * ENTRIES_MOST + 4)

/* Sections, by number; those from DATA on are there where the unit has data. */
enum { TEXT = 1, RELA_TEXT, STACK, SYMBOLS, STRINGS, SECTION_NAMES, DATA, INIT, RELA_INIT, FINI, RELA_FINI, SECTIONS };

static const char section_names[] =
    "\0.rela.text\0.note.GNU-stack\0.symtab\0.strtab\0.shstrtab\0.data\0.rela.init_array\0.rela.fini_array";
static const uint8_t section_name_at[SECTIONS] = {0, 6, 1, 12, 28, 36, 44, 54, 65, 60, 82, 77};

struct maker {
    uint8_t text[PART_BYTES];
    size_t text_bytes;
    Elf64_Rela relocations[RELOCATIONS];
    size_t relocation_count;
    Elf64_Sym symbols[SYMBOLS_MOST];
    size_t symbol_count;
    char strings[PART_BYTES];
    size_t string_bytes;
};

void object_local_name(const struct entry *entry, char out[OBJECT_NAME_BYTES])
{
    if (entry->renamed)
        snprintf(out, OBJECT_NAME_BYTES, "local_%u", entry->number);
    else
        snprintf(out, OBJECT_NAME_BYTES, "%s", operation_name(entry->name));
}

void object_probe_name(uint32_t serial, char out[OBJECT_NAME_BYTES])
{
    snprintf(out, OBJECT_NAME_BYTES, "probe_%u", serial);
}

static void emit(struct maker *maker, const void *bytes, size_t count)
{
    if (count > PART_BYTES - maker->text_bytes)
        abort(); /* PART_BYTES is enough for ENTRIES_MOST */
    memcpy(maker->text + maker->text_bytes, bytes, count);
    maker->text_bytes += count;
}

#define EMIT(maker, ...) emit(maker, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void emit_word(struct maker *maker, uint32_t value)
{
    emit(maker, &value, sizeof value);
}

/* Four bytes that refer to the symbol, from the end of which the processor counts. */
static void emit_reference(struct maker *maker, uint32_t type, size_t symbol, int64_t addend)
{
    maker->relocations[maker->relocation_count++] =
        (Elf64_Rela){maker->text_bytes, ELF64_R_INFO(symbol, type), addend - 4};
    emit_word(maker, 0);
}

static size_t add_symbol(struct maker *maker, const char *name, Elf64_Sym symbol)
{
    size_t bytes = strlen(name) + 1;

    memcpy(maker->strings + maker->string_bytes, name, bytes);
    symbol.st_name = (Elf64_Word)maker->string_bytes;
    maker->string_bytes += bytes;
    maker->symbols[maker->symbol_count] = symbol;
    return maker->symbol_count++;
}

/* ---- definitions ---- */

static void emit_value(struct maker *maker, uint32_t value)
{
    EMIT(maker, 0xb8); /* mov $value,%eax; ret */
    emit_word(maker, value);
    EMIT(maker, 0xc3);
}

/* Nobody's argument ends in CALL_ARGUMENT but that of a call. */
static void emit_noting(struct maker *maker, uint32_t value)
{
    EMIT(maker, 0x83, 0xff, CALL_ARGUMENT, 0x75, 6); /* cmp $77,%edi; jne over what a call returns */
    emit_value(maker, value);
    EMIT(maker, 0x68); /* push $value */
    emit_word(maker, value);
    EMIT(maker, 0x8b, 0x07, 0x89, 0x44, 0x24, 0x04);       /* mov (%rdi),%eax; mov %eax,4(%rsp) */
    EMIT(maker, 0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0);       /* mov $1,%eax; mov $1,%edi */
    EMIT(maker, 0x48, 0x89, 0xe6, 0xba, 8, 0, 0, 0);       /* mov %rsp,%rsi; mov $8,%edx */
    EMIT(maker, 0x0f, 0x05, 0x58, 0x31, 0xc0, 0xc3, 0x90); /* syscall; pop %rax; xor %eax,%eax; ret; nop */
}

/* Whoever enters it has nothing to say of r11 but as the way to a function. */
static void emit_adapter(struct maker *maker, uint32_t summand)
{
    EMIT(maker, 0x48, 0x83, 0xec, 0x08, 0x41, 0xff, 0xd3); /* sub $8,%rsp; call *%r11 */
    EMIT(maker, 0x6b, 0xc0, ADAPTER_FACTOR, 0x05);         /* imul $31,%eax,%eax; add $summand,%eax */
    emit_word(maker, summand);
    EMIT(maker, 0x48, 0x83, 0xc4, 0x08, 0xc3); /* add $8,%rsp; ret */
}

static void emit_body(struct maker *maker, const struct entry *entry, uint32_t serial)
{
    if (entry->adapts)
        emit_adapter(maker, ADAPTER_SUMMAND(serial, entry->number));
    else if (entry->notes)
        emit_noting(maker, DEFINITION_VALUE(serial, entry->number));
    else
        emit_value(maker, DEFINITION_VALUE(serial, entry->number));
}

static void add_definition(struct maker *maker, const struct entry *entry, uint32_t serial)
{
    char name[OBJECT_NAME_BYTES];
    uint8_t binding = entry->weak & WEAK_IN_OBJECT ? STB_WEAK : STB_GLOBAL;

    object_local_name(entry, name);
    if (entry->common) {
        add_symbol(
            maker, name,
            (Elf64_Sym){
                .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), .st_shndx = SHN_COMMON, .st_value = 8, .st_size = 8});
        return;
    }
    size_t begin = maker->text_bytes;
    size_t symbol = add_symbol(
        maker, name, (Elf64_Sym){.st_info = ELF64_ST_INFO(binding, STT_FUNC), .st_shndx = TEXT, .st_value = begin});
    emit_body(maker, entry, serial);
    maker->symbols[symbol].st_size = maker->text_bytes - begin;
}

/* ---- the probe ---- */

/* What follows answers one question, and is `bytes` long. */
static void emit_question(struct maker *maker, uint32_t question, uint8_t bytes)
{
    EMIT(maker, 0x83, 0xff, (uint8_t)question, 0x75, bytes); /* cmp $question,%edi; jne over it */
}

static void emit_use(struct maker *maker, const struct entry *entry, size_t symbol)
{
    emit_question(maker, PROBE_QUESTION(entry->number, MODE_ADDRESS), 8);
    EMIT(maker, 0x48, 0x8b, 0x05); /* mov symbol@GOTPCREL(%rip),%rax; ret */
    emit_reference(maker, R_X86_64_REX_GOTPCRELX, symbol, 0);
    EMIT(maker, 0xc3);
    emit_question(maker, PROBE_QUESTION(entry->number, MODE_CALL), entry->call ? 19 : 20);
    EMIT(maker, 0x48, 0x83, 0xec, 0x08, 0xbf, CALL_ARGUMENT, 0, 0, 0); /* sub $8,%rsp; mov $77,%edi */
    if (entry->call) {
        EMIT(maker, 0xe8); /* call symbol@PLT */
        emit_reference(maker, R_X86_64_PLT32, symbol, 0);
    } else {
        EMIT(maker, 0xff, 0x15); /* call *symbol@GOTPCREL(%rip) */
        emit_reference(maker, R_X86_64_GOTPCRELX, symbol, 0);
    }
    EMIT(maker, 0x48, 0x83, 0xc4, 0x08, 0xc3); /* add $8,%rsp; ret */
}

enum { SYMBOL_TEXT = 1, SYMBOL_DATA, SYMBOLS_LOCAL };
enum { OFFSET_COUNTER = 0, OFFSET_INITIALISED = 4, DATA_BYTES = 8 };

static void emit_counter(struct maker *maker)
{
    emit_question(maker, PROBE_QUESTION(0, MODE_COUNT), 13);
    EMIT(maker, 0xff, 0x05); /* incl counter(%rip) */
    emit_reference(maker, R_X86_64_PC32, SYMBOL_DATA, OFFSET_COUNTER);
    EMIT(maker, 0x8b, 0x05); /* mov counter(%rip),%eax; ret */
    emit_reference(maker, R_X86_64_PC32, SYMBOL_DATA, OFFSET_COUNTER);
    EMIT(maker, 0xc3);
    emit_question(maker, PROBE_QUESTION(0, MODE_INITIALISED), 7);
    EMIT(maker, 0x8b, 0x05);
    emit_reference(maker, R_X86_64_PC32, SYMBOL_DATA, OFFSET_INITIALISED);
    EMIT(maker, 0xc3);
}

/* write(1, &entry, 8), by a system call of its own, since no library need have the name; ret; the entry. */
static void emit_report(struct maker *maker, uint32_t what)
{
    EMIT(maker, 0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0); /* mov $1,%eax; mov $1,%edi */
    EMIT(maker, 0x48, 0x8d, 0x35, 8, 0, 0, 0);       /* lea entry(%rip),%rsi */
    EMIT(maker, 0xba, 8, 0, 0, 0, 0x0f, 0x05, 0xc3); /* mov $8,%edx; syscall; ret */
    emit_word(maker, 0);
    emit_word(maker, what);
}

static void emit_initialiser(struct maker *maker, uint32_t serial)
{
    EMIT(maker, 0xff, 0x05); /* incl initialised(%rip) */
    emit_reference(maker, R_X86_64_PC32, SYMBOL_DATA, OFFSET_INITIALISED);
    emit_report(maker, LEDGER_WHAT(serial, 0, LEDGER_INITIALISED));
}

static size_t symbol_of(struct maker *maker, const struct entry *use)
{
    char name[OBJECT_NAME_BYTES];
    uint8_t binding = use->weak & WEAK_IN_OBJECT ? STB_WEAK : STB_GLOBAL;

    object_local_name(use, name);
    for (size_t i = SYMBOLS_LOCAL; i < maker->symbol_count; i++)
        if (strcmp(maker->strings + maker->symbols[i].st_name, name) == 0)
            return i;
    return add_symbol(maker, name, (Elf64_Sym){.st_info = ELF64_ST_INFO(binding, STT_NOTYPE)});
}

static void add_probe(struct maker *maker, const struct unit_row *unit, uint32_t serial)
{
    char name[OBJECT_NAME_BYTES];
    size_t begin = maker->text_bytes;

    object_probe_name(serial, name);
    size_t symbol = add_symbol(
        maker, name, (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = TEXT, .st_value = begin});
    for (uint32_t i = 0; i < unit->entry_count; i++)
        if (unit->entries[i].kind == ENTRY_USE && !unit->entries[i].absent)
            emit_use(maker, &unit->entries[i], symbol_of(maker, &unit->entries[i]));
    if (unit->data)
        emit_counter(maker);
    EMIT(maker, 0x31, 0xc0, 0xc3); /* xor %eax,%eax; ret */
    maker->symbols[symbol].st_size = maker->text_bytes - begin;
}

/* ---- the file ---- */

struct file {
    uint8_t *bytes;
    size_t length;
    Elf64_Shdr headers[SECTIONS];
};

static void append(struct file *file, const void *bytes, size_t count)
{
    file->length = (file->length + 7) & ~(size_t)7;
    if (file->length + count > OBJECT_BYTES_MOST)
        abort();
    if (count)
        memcpy(file->bytes + file->length, bytes, count);
    file->length += count;
}

static void add_section(struct file *file, size_t number, Elf64_Word type, Elf64_Xword flags, const void *bytes,
                        size_t count)
{
    bool table = type == SHT_RELA || type == SHT_SYMTAB;

    append(file, bytes, count);
    file->headers[number] = (Elf64_Shdr){.sh_name = section_name_at[number],
                                         .sh_type = type,
                                         .sh_flags = flags,
                                         .sh_offset = file->length - count,
                                         .sh_size = count,
                                         .sh_addralign = 8,
                                         .sh_entsize = table ? 24 : 0,
                                         .sh_link = type == SHT_RELA ? SYMBOLS : 0};
}

/* An array of one function, and what makes it point there. */
static void add_array(struct file *file, size_t number, Elf64_Word type, size_t function)
{
    const Elf64_Rela relocation = {0, ELF64_R_INFO(SYMBOL_TEXT, R_X86_64_64), (Elf64_Sxword)function};
    const uint8_t zeros[8] = {0};

    add_section(file, number, type, SHF_ALLOC | SHF_WRITE, zeros, sizeof zeros);
    add_section(file, number + 1, SHT_RELA, SHF_INFO_LINK, &relocation, sizeof relocation);
    file->headers[number + 1].sh_info = (Elf64_Word)number;
}

/* How many sections there are with it. */
static size_t add_data(struct file *file, uint32_t data, size_t initialiser, size_t finaliser)
{
    static const size_t counts[] = {
        [DATA_NONE] = DATA, [DATA_COUNTER] = INIT, [DATA_INITIALISER] = FINI, [DATA_FINALISER] = SECTIONS};
    const uint8_t zeros[DATA_BYTES] = {0};

    if (data >= DATA_COUNTER)
        add_section(file, DATA, SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, zeros, sizeof zeros);
    if (data >= DATA_INITIALISER)
        add_array(file, INIT, SHT_INIT_ARRAY, initialiser);
    if (data >= DATA_FINALISER)
        add_array(file, FINI, SHT_FINI_ARRAY, finaliser);
    return counts[data];
}

static void finish(struct file *file, size_t count)
{
    append(file, file->headers, count * sizeof(Elf64_Shdr));
    const Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                               .e_type = ET_REL,
                               .e_machine = EM_X86_64,
                               .e_version = EV_CURRENT,
                               .e_shoff = file->length - count * sizeof(Elf64_Shdr),
                               .e_ehsize = sizeof header,
                               .e_shentsize = sizeof(Elf64_Shdr),
                               .e_shnum = (Elf64_Half)count,
                               .e_shstrndx = SECTION_NAMES};

    memcpy(file->bytes, &header, sizeof header);
}

size_t object_make(const struct unit_row *unit, uint32_t serial, uint8_t out[OBJECT_BYTES_MOST])
{
    struct maker maker = {.symbol_count = SYMBOLS_LOCAL, .string_bytes = 1};
    struct file file = {.bytes = out, .length = sizeof(Elf64_Ehdr)};
    uint16_t data = unit->data ? DATA : TEXT; /* a unit without data has no use for the second symbol */

    memset(out, 0, OBJECT_BYTES_MOST);
    maker.symbols[SYMBOL_TEXT] = (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = TEXT};
    maker.symbols[SYMBOL_DATA] = (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = data};
    for (uint32_t i = 0; i < unit->entry_count; i++)
        if (unit->entries[i].kind == ENTRY_DEFINE && !unit->entries[i].absent)
            add_definition(&maker, &unit->entries[i], serial);
    add_probe(&maker, unit, serial);
    size_t initialiser = maker.text_bytes;
    if (unit->data)
        emit_initialiser(&maker, serial);
    size_t finaliser = maker.text_bytes;
    if (unit->data)
        emit_report(&maker, LEDGER_WHAT(serial, 0, LEDGER_FINALISED));
    add_section(&file, TEXT, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, maker.text, maker.text_bytes);
    add_section(&file, RELA_TEXT, SHT_RELA, SHF_INFO_LINK, maker.relocations,
                maker.relocation_count * sizeof(Elf64_Rela));
    file.headers[RELA_TEXT].sh_info = TEXT;
    add_section(&file, STACK, SHT_PROGBITS, 0, "", 0);
    add_section(&file, SYMBOLS, SHT_SYMTAB, 0, maker.symbols, maker.symbol_count * sizeof(Elf64_Sym));
    file.headers[SYMBOLS].sh_link = STRINGS;
    file.headers[SYMBOLS].sh_info = SYMBOLS_LOCAL;
    add_section(&file, STRINGS, SHT_STRTAB, 0, maker.strings, maker.string_bytes);
    add_section(&file, SECTION_NAMES, SHT_STRTAB, 0, section_names, sizeof section_names);
    finish(&file, add_data(&file, unit->data, initialiser, finaliser));
    return file.length;
}
