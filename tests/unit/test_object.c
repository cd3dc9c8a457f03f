/*
 * linker/object: what is in an object, and every way in which one can be broken.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "proto/control.h"
#include "tests/lib/elf_build.h"
#include "tests/lib/leaks.h"
#include "tests/unit/object_fixture.h"

/* A COMDAT group, relocations, data, .bss, a common symbol; C++ names would do the same more slowly. */
static const char sample[] = "    .text\n"
                             "    .globl f\n"
                             "    .type f, @function\n"
                             "f:  .cfi_startproc\n"
                             "    call g@PLT\n"
                             "    mov datum@GOTPCREL(%rip), %rax\n"
                             "    ret\n"
                             "    .cfi_endproc\n"
                             "    .size f, .-f\n"
                             "    .section .text.h, \"axG\", @progbits, h, comdat\n"
                             "    .weak h\n"
                             "h:  call f\n"
                             "    .data\n"
                             "    .globl datum\n"
                             "datum: .quad f\n"
                             "    .bss\n"
                             "    .skip 24\n"
                             "    .comm shared, 16, 8\n"
                             "    .section .note.GNU-stack, \"\", @progbits\n"
                             "    .section .gone, \"\", @progbits\n"
                             "    .quad f\n";

static void make_sample(struct object_fixture *fixture)
{
    fixture_make(fixture, compile_assembly(sample, NULL));
}

static uint32_t find_symbol(const struct object *object, const char *name)
{
    for (uint32_t i = 1; i < object->symbol_count; i++)
        if (strcmp(object_symbol_name(object, i), name) == 0)
            return i;
    cr_assert_fail("no symbol %s", name);
    return 0;
}

Test(object, opens_what_an_assembler_made)
{
    struct object_fixture fixture;
    make_sample(&fixture);
    cr_assert_eq(fixture_open(&fixture), 0, "%s", fixture.error.text);
    const struct object *object = &fixture.object;
    const struct object_section *text = &object->sections[fixture_section(&fixture, ".text")];
    cr_expect(object_section_is_loaded(text));
    cr_expect_eq(text->relocation_count, 2);
    cr_expect_eq(ELF64_R_TYPE(text->relocations[0].r_info), R_X86_64_PLT32);
    cr_expect_eq(text->content[0], 0xe8);
    const struct object_section *bss = &object->sections[fixture_section(&fixture, ".bss")];
    cr_expect(object_section_is_loaded(bss));
    cr_expect_eq(bss->bytes, 24);
    cr_expect_null(bss->content);
    const struct object_section *gone = &object->sections[fixture_section(&fixture, ".gone")];
    cr_expect_not(object_section_is_loaded(gone));
    cr_expect_eq(gone->relocation_count, 0);
    cr_expect_not(object_section_is_loaded(&object->sections[0]));

    cr_expect_eq(object_symbol_section(object, find_symbol(object, "f")), fixture_section(&fixture, ".text"));
    cr_expect_eq(object_symbol_section(object, find_symbol(object, "g")), OBJECT_UNDEFINED);
    cr_expect_eq(object_symbol_section(object, find_symbol(object, "shared")), OBJECT_COMMON);
    cr_expect_lt(find_symbol(object, ".text"), object->first_global, "a section symbol is called as its section");
    cr_expect_str_eq(object_symbol_name(object, 0), "");

    cr_assert_eq(object->group_count, 1);
    cr_expect_str_eq(object_symbol_name(object, object->groups[0].signature), "h");
    cr_expect_eq(object->sections[fixture_section(&fixture, ".text.h")].group, 1);
    cr_expect_eq(object->groups[0].member_count, 2);
    cr_expect_eq(text->group, 0);
    fixture_free(&fixture);
}

Test(object, opens_objects_with_nothing_to_link)
{
    static const char *const sources[] = {"", "    .globl only_undefined\n    call only_undefined\n",
                                          "    .section .debug_info, \"\", @progbits\n    .quad 1\n",
                                          "    .section .tbss, \"awT\", @nobits\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
        struct object_fixture fixture;
        fixture_make(&fixture, compile_assembly(sources[i], NULL));
        cr_expect_eq(fixture_open(&fixture), 0, "%s", fixture.error.text);
        fixture_free(&fixture);
    }
}

Test(object, opens_more_sections_than_fit_into_the_header, .timeout = 60)
{
    struct object_fixture fixture;
    fixture_make(&fixture, compile_assembly(".macro one\n.section .text.f\\@, \"ax\"\n.globl f\\@\nf\\@: ret\n.endm\n"
                                            ".rept 66000\none\n.endr\n",
                                            NULL));
    cr_expect_eq(elf_header(&fixture.bytes)->e_shnum, 0);
    cr_assert_eq(fixture_open(&fixture), 0, "%s", fixture.error.text);
    cr_expect_gt(fixture.object.section_count, 66000u);
    uint32_t symbol = find_symbol(&fixture.object, "f65999");
    cr_expect_eq(fixture.object.symbols[symbol].st_shndx, SHN_XINDEX);
    uint32_t section = object_symbol_section(&fixture.object, symbol);
    cr_assert_lt(section, fixture.object.section_count);
    cr_expect_str_eq(fixture.object.sections[section].name, ".text.f65999");

    /* The same, once the indices lead nowhere. */
    uint32_t *indices = (uint32_t *)(uintptr_t)fixture.object.extended_sections;
    indices[symbol] = fixture.object.section_count;
    cr_expect_eq(fixture_open(&fixture), ERROR_OBJECT_SYMBOL);
    indices[symbol] = 0;
    cr_expect_eq(fixture_open(&fixture), ERROR_OBJECT_SYMBOL);
    fixture_free(&fixture);
}

Test(object, a_program_is_told_from_a_shared_object)
{
    struct object_fixture fixture;
    fixture_make(&fixture, object_read("/proc/self/exe"));
    cr_expect_eq(fixture_open(&fixture), ERROR_OBJECT_TYPE);
    cr_expect(strstr(fixture.error.text, "PT_INTERP") && strstr(fixture.error.text, "cc -c"), "%s", fixture.error.text);
    elf_header(&fixture.bytes)->e_phoff = UINT64_MAX;
    cr_expect_eq(fixture_open(&fixture), ERROR_OBJECT_TYPE);
    cr_expect(strstr(fixture.error.text, "a shared object"), "%s", fixture.error.text);
    fixture_free(&fixture);
}

struct foreign {
    const char *bytes;
    size_t length;
    int code;
    const char *text;
};

static const struct foreign foreigners[] = {
    {"", 0, ERROR_OBJECT_TRUNCATED, "0 bytes"},
    {"\177", 1, ERROR_OBJECT_TRUNCATED, "1 bytes"},
    {"\177ELF\2\1\1", 7, ERROR_OBJECT_TRUNCATED, "too few for an ELF header"},
    {"#include", 8, ERROR_OBJECT_FORMAT, "begins with 23 69 6e 63"},
    {"!<arch>\nfoo", 11, ERROR_OBJECT_FORMAT, "an archive"},
    {"BC\xc0\xde....", 8, ERROR_OBJECT_FORMAT, "bitcode"},
    {"\xde\xc0\x17\x0b....", 8, ERROR_OBJECT_FORMAT, "-ffat-lto-objects"},
};

Test(object, files_of_other_formats_are_called_by_name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(foreigners); i++) {
        struct object_fixture fixture;
        struct object_bytes bytes = {.bytes = (uint8_t *)foreigners[i].bytes, .length = foreigners[i].length};
        fixture_make(&fixture, object_copy(&bytes));
        cr_expect_eq(fixture_open(&fixture), foreigners[i].code, "row %zu", i);
        cr_expect(strstr(fixture.error.text, foreigners[i].text), "%s", fixture.error.text);
        fixture_free(&fixture);
    }
}

Test(object, code_for_a_compiler_alone_is_refused)
{
    static const struct {
        const char *flags;
        int code;
    } rows[] = {{"-flto", ERROR_UNSUPPORTED}, {"-flto -ffat-lto-objects", 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct object_fixture fixture;
        fixture_make(&fixture, compile_c("int f(void) { return 1; }", rows[i].flags));
        cr_expect_eq(fixture_open(&fixture), rows[i].code, "%s: %s", rows[i].flags, fixture.error.text);
        cr_expect(rows[i].code == 0 || strstr(fixture.error.text, "-ffat-lto-objects"), "%s", fixture.error.text);
        fixture_free(&fixture);
    }
}

/* GCC's mark is a symbol beside sections of its intermediate code. Either alone is somebody else's. */
Test(object, the_mark_of_code_for_a_compiler_is_both_symbol_and_section)
{
    static const char section[] = ".section .gnu.lto_f,\"e\",@progbits\n.long 1\n";
    static const char symbol[] = ".comm __gnu_lto_slim,1,1\n";
    for (unsigned which = 0; which < 4; which++) {
        char source[256];
        struct object_fixture fixture;
        snprintf(source, sizeof source, "%s%s", which & 1 ? section : "", which & 2 ? symbol : "");
        fixture_make(&fixture, compile_assembly(source, NULL));
        cr_expect_eq(fixture_open(&fixture), which == 3 ? ERROR_UNSUPPORTED : 0, "%s", fixture.error.text);
        fixture_free(&fixture);
    }
}

/* Overwrites one field of a header of the sample: of the ELF header, of the section that is named, or of a symbol. */
enum part { HEADER, SECTION, SYMBOL };

struct change {
    enum part part;
    const char *name; /* of the section or symbol */
    uint8_t at;       /* offset in the header */
    uint8_t bytes;
    uint64_t value;
    int code;
    const char *text; /* a part of it */
};

#define EHDR(field, value)  HEADER, NULL, offsetof(Elf64_Ehdr, field), sizeof(((Elf64_Ehdr *)NULL)->field), value
#define IDENT(index, value) HEADER, NULL, index, 1, value
#define SHDR(section, field, value)                                                                                    \
    SECTION, section, offsetof(Elf64_Shdr, field), sizeof(((Elf64_Shdr *)NULL)->field), value
#define SYM(symbol, field, value) SYMBOL, symbol, offsetof(Elf64_Sym, field), sizeof(((Elf64_Sym *)NULL)->field), value

#define NOWHERE ((uint64_t)1 << 63)

static const struct change changes[] = {
    {IDENT(EI_CLASS, ELFCLASS32), ERROR_OBJECT_FORMAT, "class"},
    {IDENT(EI_DATA, ELFDATA2MSB), ERROR_OBJECT_FORMAT, "byte order"},
    {IDENT(EI_VERSION, 9), ERROR_OBJECT_FORMAT, "version"},
    {IDENT(EI_OSABI, ELFOSABI_FREEBSD), 0, ""},
    {IDENT(EI_OSABI, ELFOSABI_STANDALONE), 0, ""},
    {IDENT(EI_ABIVERSION, 9), 0, ""},
    {IDENT(EI_OSABI, ELFOSABI_GNU), 0, ""},
    {EHDR(e_machine, EM_AARCH64), ERROR_OBJECT_MACHINE, "183"},
    {EHDR(e_type, ET_DYN), ERROR_OBJECT_TYPE, "a shared object"},
    {EHDR(e_type, ET_EXEC), ERROR_OBJECT_TYPE, "cc -c"},
    {EHDR(e_type, ET_CORE), ERROR_OBJECT_TYPE, "core file"},
    {EHDR(e_type, ET_NONE), ERROR_OBJECT_TYPE, "ELF type 0"},
    {EHDR(e_version, 2), 0, ""},
    {EHDR(e_flags, 0x1234), 0, ""},
    {EHDR(e_ehsize, 52), 0, ""},
    {EHDR(e_phnum, 1), 0, ""},
    {EHDR(e_shentsize, 0), ERROR_OBJECT_SECTION, "e_shentsize"},
    {EHDR(e_shentsize, 63), ERROR_OBJECT_SECTION, "e_shentsize"},
    {EHDR(e_shentsize, 65), ERROR_OBJECT_SECTION, "e_shentsize"},
    {EHDR(e_shoff, 0), ERROR_OBJECT_SECTION, "e_shoff"},
    {EHDR(e_shoff, NOWHERE), ERROR_OBJECT_TRUNCATED, "e_shoff"},
    {EHDR(e_shoff, UINT64_MAX), ERROR_OBJECT_TRUNCATED, "e_shoff"},
    {EHDR(e_shnum, 0xfff0), ERROR_OBJECT_TRUNCATED, "65520 headers"},
    {EHDR(e_shnum, 0), ERROR_OBJECT_SECTION, "e_shstrndx"},
    {EHDR(e_shstrndx, 0), ERROR_OBJECT_SECTION, "e_shstrndx"},
    {EHDR(e_shstrndx, 1), ERROR_OBJECT_SECTION, "string table"},
    {EHDR(e_shstrndx, 0xff00), ERROR_OBJECT_SECTION, "e_shstrndx"},
    {EHDR(e_shstrndx, SHN_XINDEX), ERROR_OBJECT_SECTION, "e_shstrndx"},
    {SHDR(".text", sh_name, 0x10000), ERROR_OBJECT_SECTION, "section names"},
    {SHDR(".text", sh_offset, NOWHERE), ERROR_OBJECT_TRUNCATED, "is past the end of the file"},
    {SHDR(".text", sh_offset, UINT64_MAX), ERROR_OBJECT_TRUNCATED, "is past the end of the file"},
    {SHDR(".text", sh_size, UINT64_MAX), ERROR_OBJECT_TRUNCATED, "+ size 0xffffffffffffffff is past the end"},
    {SHDR(".text", sh_size, MIB(1024)), ERROR_OBJECT_TRUNCATED, "is past the end of the file"},
    {SHDR(".text", sh_addralign, 3), 0, ""},
    {SHDR(".text", sh_addralign, NOWHERE), ERROR_LIMIT, "alignment"},
    {SHDR(".text", sh_addralign, MIB(4)), ERROR_LIMIT, "alignment 0x400000"},
    {SHDR(".text", sh_addralign, MIB(2)), 0, ""},
    {SHDR(".text", sh_addralign, 0), 0, ""},
    {SHDR(".text", sh_flags, SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR), ERROR_OBJECT_SECTION, "writable and executable"},
    {SHDR(".text", sh_flags, SHF_ALLOC | SHF_COMPRESSED), ERROR_UNSUPPORTED, "compressed"},
    {SHDR(".text", sh_flags, SHF_ALLOC | SHF_EXECINSTR | 0x70000000), 0, ""},
    {SHDR(".text", sh_flags, SHF_ALLOC | SHF_EXECINSTR | SHF_OS_NONCONFORMING), 0, ""},
    {SHDR(".text", sh_flags, SHF_ALLOC | SHF_TLS), ERROR_UNSUPPORTED, "thread-local data is not supported yet"},
    {SHDR(".text", sh_type, SHT_DYNAMIC), ERROR_UNSUPPORTED, "type 0x6"},
    {SHDR(".text", sh_type, SHT_LOOS), 0, ""},
    {SHDR(".text", sh_type, SHT_HIOS), 0, ""},
    {SHDR(".text", sh_type, SHT_LOPROC), ERROR_UNSUPPORTED, "type 0x70000000"},
    {SHDR(".text", sh_type, SHT_X86_64_UNWIND), 0, ""},
    {SHDR(".text", sh_type, SHT_LOUSER), ERROR_UNSUPPORTED, "type 0x80000000"},
    {SHDR(".text", sh_type, SHT_NOBITS), ERROR_OBJECT_SECTION, "without contents"},
    {SHDR(".gone", sh_flags, SHF_COMPRESSED), 0, ""},
    {SHDR(".gone", sh_size, MIB(1)), ERROR_OBJECT_TRUNCATED, "'.gone'"},
    {SHDR(".bss", sh_size, ARENA_REACH), 0, ""},
    {SHDR(".bss", sh_size, ARENA_REACH + 1), ERROR_LIMIT, "arena"},
    {SHDR(".bss", sh_size, NOWHERE), ERROR_LIMIT, "arena"},
    {SHDR(".note.GNU-stack", sh_flags, SHF_EXECINSTR), ERROR_EXECUTABLE_STACK, "executable stack"},
    {SHDR(".symtab", sh_flags, SHF_ALLOC), 0, ""},
    {SHDR(".rela.text", sh_flags, SHF_ALLOC), 0, ""},
    {SHDR(".symtab", sh_entsize, 0), ERROR_OBJECT_SECTION, "sh_entsize"},
    {SHDR(".symtab", sh_entsize, 25), ERROR_OBJECT_SECTION, "sh_entsize"},
    {SHDR(".symtab", sh_size, 25), ERROR_OBJECT_SECTION, "of 1 in all"},
    {SHDR(".symtab", sh_size, 0), ERROR_OBJECT_SECTION, ""},
    {SHDR(".symtab", sh_link, 0), ERROR_OBJECT_SECTION, "sh_link"},
    {SHDR(".symtab", sh_link, (uint32_t)1 << 31), ERROR_OBJECT_SECTION, "sh_link"},
    {SHDR(".symtab", sh_link, 1), ERROR_OBJECT_SECTION, "string table"},
    {SHDR(".symtab", sh_info, 0), ERROR_OBJECT_SECTION, "sh_info"},
    {SHDR(".symtab", sh_info, 1000), ERROR_OBJECT_SECTION, "sh_info"},
    {SHDR(".symtab", sh_info, 1), ERROR_OBJECT_SYMBOL, "sh_info"},
    {SHDR(".symtab", sh_info, 8), ERROR_OBJECT_SYMBOL, "sh_info"},
    {SHDR(".symtab", sh_offset, 0x41), ERROR_OBJECT_SYMBOL, "null symbol"},
    {SHDR(".symtab", sh_offset, 0x40), ERROR_OBJECT_SYMBOL, "null symbol"},
    {SHDR(".data", sh_type, SHT_SYMTAB), ERROR_OBJECT_SECTION, "second symbol table"},
    {SHDR(".gone", sh_type, SHT_SYMTAB), ERROR_OBJECT_SECTION, "second symbol table"},
    {SHDR(".strtab", sh_type, SHT_PROGBITS), ERROR_OBJECT_SECTION, "string table"},
    {SHDR(".strtab", sh_size, 2), ERROR_OBJECT_SECTION, "NUL"},
    {SHDR(".strtab", sh_size, 1), ERROR_OBJECT_SYMBOL, "past the end of the names"},
    {SHDR(".strtab", sh_size, 0), ERROR_OBJECT_SECTION, "NUL"},
    {SHDR(".shstrtab", sh_size, 2), ERROR_OBJECT_SECTION, "NUL"},
    {SHDR(".rela.text", sh_type, SHT_REL), ERROR_UNSUPPORTED, "relocation table of type 0x9"},
    {SHDR(".rela.text", sh_type, 0x40000014), ERROR_UNSUPPORTED, "relocation table of type 0x40000014"},
    {SHDR(".rela.text", sh_type, SHT_RELR), ERROR_UNSUPPORTED, "SHT_RELR"},
    {SHDR(".rela.text", sh_entsize, 23), ERROR_OBJECT_SECTION, "sh_entsize"},
    {SHDR(".rela.text", sh_entsize, 0), ERROR_OBJECT_SECTION, "sh_entsize"},
    {SHDR(".rela.text", sh_info, 0), ERROR_OBJECT_RELOCATION, "sh_info"},
    {SHDR(".rela.text", sh_info, (uint32_t)1 << 31), ERROR_OBJECT_RELOCATION, "sh_info"},
    {SHDR(".rela.text", sh_link, 1), ERROR_OBJECT_SECTION, "symbol table"},
    {SHDR(".rela.text", sh_offset, 0x41), 0, ""},
    {SHDR(".rela.gone", sh_entsize, 23), 0, ""},
    {SHDR(".rela.gone", sh_type, SHT_REL), 0, ""},
    {SHDR(".group", sh_size, 0), ERROR_OBJECT_SECTION, "without its flags"},
    {SHDR(".group", sh_size, 2), ERROR_OBJECT_SECTION, "without its flags"},
    {SHDR(".group", sh_entsize, 8), ERROR_OBJECT_SECTION, "sh_entsize"},
    {SHDR(".group", sh_link, 0), ERROR_OBJECT_SECTION, "sh_link"},
    {SHDR(".group", sh_info, (uint32_t)1 << 31), ERROR_OBJECT_SECTION, "signature symbol"},
    {SHDR(".group", sh_info, 0), ERROR_OBJECT_SECTION, "signature symbol"},
    {SYM("f", st_name, 0x10000), ERROR_OBJECT_SYMBOL, "past the end of the names"},
    {SYM("f", st_name, 0), ERROR_OBJECT_SYMBOL, "without a name"},
    {SYM("f", st_info, ELF64_ST_INFO(STB_LOCAL, STT_FUNC)), ERROR_OBJECT_SYMBOL, "'f': local"},
    {SYM("f", st_info, ELF64_ST_INFO(5, STT_FUNC)), 0, ""},
    {SYM("f", st_info, ELF64_ST_INFO(15, STT_FUNC)), 0, ""},
    {SYM("f", st_info, ELF64_ST_INFO(STB_GNU_UNIQUE, STT_OBJECT)), 0, ""},
    {SYM("f", st_info, ELF64_ST_INFO(STB_GLOBAL, STT_GNU_IFUNC)), ERROR_UNSUPPORTED, "STT_GNU_IFUNC"},
    {SYM("g", st_info, ELF64_ST_INFO(STB_GLOBAL, STT_GNU_IFUNC)), 0, ""},
    {SYM("f", st_info, ELF64_ST_INFO(STB_GLOBAL, 8)), ERROR_UNSUPPORTED, "type 8"},
    {SYM("f", st_info, ELF64_ST_INFO(STB_GLOBAL, 12)), 0, ""},
    {SYM("f", st_info, ELF64_ST_INFO(STB_GLOBAL, 15)), 0, ""},
    {SYM("f", st_info, ELF64_ST_INFO(STB_GLOBAL, STT_TLS)), ERROR_OBJECT_SYMBOL, "thread-local"},
    {SYM("f", st_shndx, 1000), ERROR_OBJECT_SYMBOL, "section 1000 does not exist"},
    {SYM("f", st_shndx, 0xff20), ERROR_UNSUPPORTED, "0xff20"},
    {SYM("f", st_shndx, 0xff02), 0, ""},
    {SYM("f", st_shndx, SHN_XINDEX), ERROR_OBJECT_SYMBOL, "extended indices"},
    {SYM("f", st_shndx, SHN_ABS), 0, ""},
    {SYM("f", st_value, 13), 0, ""},
    {SYM("f", st_value, 14), 0, ""},
    {SYM("f", st_value, UINT64_MAX), 0, ""},
    {SYM("f", st_size, UINT64_MAX), 0, ""},
    {SYM("shared", st_value, 3), ERROR_OBJECT_SYMBOL, "alignment 0x3"},
    {SYM("shared", st_value, NOWHERE), ERROR_OBJECT_SYMBOL, "alignment"},
    {SYM("shared", st_value, 0), 0, ""},
    {SYM("shared", st_size, (uint64_t)1 << 40), ERROR_LIMIT, "arena"},
};

static void apply_change(struct object_bytes *bytes, const struct change *change)
{
    uint8_t *header = (uint8_t *)elf_header(bytes);
    if (change->part == SECTION)
        header = (uint8_t *)elf_section_named(bytes, change->name);
    else if (change->part == SYMBOL)
        header = (uint8_t *)elf_symbol_named(bytes, change->name);
    memcpy(header + change->at, &change->value, change->bytes);
}

Test(object, each_broken_field_is_refused_with_what_is_wrong)
{
    struct object_bytes pristine = compile_assembly(sample, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        struct object_fixture fixture;
        fixture_make(&fixture, object_copy(&pristine));
        apply_change(&fixture.bytes, &changes[i]);
        int code = fixture_open(&fixture);
        cr_expect_eq(code, changes[i].code, "row %zu (%s): %s", i, changes[i].text, fixture.error.text);
        cr_expect_eq(code, fixture.error.code);
        cr_expect(strstr(fixture.error.text, changes[i].text), "row %zu: %s", i, fixture.error.text);
        fixture_free(&fixture);
    }
    object_free(&pristine);
    expect_no_leaks();
}

/* yasm pads nothing in front of its tables. A copy of the section's contents at the end of the object, so many bytes
   past a multiple of 16, becomes the contents. */
static void misalign(struct object_bytes *object, const char *name, size_t by)
{
    size_t bytes = elf_section_named(object, name)->sh_size;
    size_t at = elf_append(object, bytes + 32);
    at = align_up(at, 16) + by;
    Elf64_Shdr *section = elf_section_named(object, name);
    memcpy(object->bytes + at, object->bytes + section->sh_offset, bytes);
    memset(object->bytes + section->sh_offset, 0xee, bytes);
    section->sh_offset = at;
}

Test(object, tables_may_lie_at_any_offset)
{
    static const char *const names[] = {".symtab", ".rela.text", ".group"};
    struct object_bytes pristine = compile_assembly(sample, NULL);
    struct object_fixture whole;
    fixture_make(&whole, object_copy(&pristine));
    cr_assert_eq(fixture_open(&whole), 0);
    for (size_t by = 0; by < 16; by++) {
        struct object_fixture fixture;
        fixture_make(&fixture, object_copy(&pristine));
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
            misalign(&fixture.bytes, names[i], by);
        cr_assert_eq(fixture_open(&fixture), 0, "%zu: %s", by, fixture.error.text);
        const struct object *object = &fixture.object;
        uint32_t text = fixture_section(&fixture, ".text");
        cr_expect_arr_eq(object->symbols, whole.object.symbols, object->symbol_count * sizeof(Elf64_Sym));
        cr_expect_arr_eq(object->sections[text].relocations, whole.object.sections[text].relocations,
                         object->sections[text].relocation_count * sizeof(Elf64_Rela));
        cr_assert_eq(object->group_count, 1);
        cr_expect_eq(object->groups[0].members[0], fixture_section(&fixture, ".text.h"));
        bool in_place = (const uint8_t *)object->symbols < fixture.bytes.bytes + fixture.bytes.length &&
                        (const uint8_t *)object->symbols >= fixture.bytes.bytes;
        cr_expect_eq(in_place, by % 8 == 0, "%zu: what is aligned is not copied", by);
        fixture_free(&fixture);
    }
    fixture_free(&whole);
    object_free(&pristine);
    expect_no_leaks();
}

Test(object, a_table_that_has_to_be_copied_needs_memory)
{
    struct object_fixture fixture;
    make_sample(&fixture);
    misalign(&fixture.bytes, ".symtab", 4);
    struct pool pool;
    for (size_t budget = 0; budget < 8192; budget += 64) {
        pool_init(&pool, budget);
        int code = object_open(&fixture.object, &pool, fixture.bytes.bytes, fixture.bytes.length, EM_X86_64, NULL);
        cr_expect(code == ERROR_NO_MEMORY || (budget > 512 && code == 0), "%d", code);
        pool_fini(&pool);
    }
    fixture_free(&fixture);
    expect_no_leaks();
}

Test(object, sections_have_the_flags_of_what_they_are_linked_into)
{
    struct object_fixture fixture;
    make_sample(&fixture);
    static const char *const names[] = {".text.h", ".data", ".bss"};
    static const uint64_t flags[] = {SHF_EXECINSTR, SHF_WRITE, SHF_WRITE};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        elf_section_named(&fixture.bytes, names[i])->sh_flags = 0;
    cr_assert_eq(fixture_open(&fixture), 0, "%s", fixture.error.text);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const struct object_section *section = &fixture.object.sections[fixture_section(&fixture, names[i])];
        cr_expect(section->loaded);
        cr_expect_eq(section->flags, flags[i], "%s", names[i]);
    }
    /* Those that it has count alone. */
    elf_section_named(&fixture.bytes, ".text.h")->sh_flags = SHF_ALLOC | SHF_WRITE;
    elf_section_named(&fixture.bytes, ".data")->sh_flags = SHF_ALLOC | SHF_EXECINSTR;
    cr_assert_eq(fixture_open(&fixture), 0, "%s", fixture.error.text);
    cr_expect_not(fixture.object.sections[fixture_section(&fixture, ".text.h")].flags & SHF_EXECINSTR);
    cr_expect_not(fixture.object.sections[fixture_section(&fixture, ".data")].flags & SHF_WRITE);
    /* SHF_EXCLUDE leaves out what it is on. */
    elf_section_named(&fixture.bytes, ".text.h")->sh_flags = SHF_ALLOC | SHF_EXECINSTR | SHF_EXCLUDE;
    cr_assert_eq(fixture_open(&fixture), 0, "%s", fixture.error.text);
    cr_expect_not(fixture.object.sections[fixture_section(&fixture, ".text.h")].loaded);
    fixture_free(&fixture);
}

Test(object, a_function_is_one_by_its_type_or_by_where_a_label_lies)
{
    struct object_fixture fixture;
    fixture_make(&fixture, compile_assembly(".globl label, typed, object, datum, missing, number\nlabel: nop\n"
                                            ".type typed, @function\ntyped: nop\n.type object, @object\nobject: nop\n"
                                            "call missing\n.data\ndatum: .long 0\nnumber = 5\n",
                                            NULL));
    cr_assert_eq(fixture_open(&fixture), 0, "%s", fixture.error.text);
    static const struct {
        const char *name;
        bool function;
    } rows[] = {{"label", true},  {"typed", true},    {"object", false},
                {"datum", false}, {"missing", false}, {"number", false}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        cr_expect_eq(object_symbol_is_function(&fixture.object, find_symbol(&fixture.object, rows[i].name)),
                     rows[i].function, "%s", rows[i].name);
    fixture_free(&fixture);
}

Test(object, broken_groups_are_refused)
{
    struct object_bytes pristine = compile_assembly(sample, NULL);
    uint32_t group = (uint32_t)elf_section_index(&pristine, ".group");
    uint32_t text = (uint32_t)elf_section_index(&pristine, ".text.h");
    uint32_t relocations = (uint32_t)elf_section_index(&pristine, ".rela.text.h");
    const struct {
        uint32_t words[3];
        int code;
    } rows[] = {
        {{GRP_COMDAT, text, relocations}, 0},
        {{0, text, relocations}, 0},
        {{2, text, relocations}, 0},
        {{0xf0000001, text, relocations}, 0},
        {{GRP_COMDAT, text, text}, ERROR_OBJECT_SECTION},
        {{GRP_COMDAT, 0, text}, ERROR_OBJECT_SECTION},
        {{GRP_COMDAT, text, (uint32_t)1 << 31}, ERROR_OBJECT_SECTION},
        {{GRP_COMDAT, group, text}, ERROR_OBJECT_SECTION},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct object_fixture fixture;
        fixture_make(&fixture, object_copy(&pristine));
        Elf64_Shdr *section = elf_section_named(&fixture.bytes, ".group");
        cr_assert_eq(section->sh_size, sizeof rows[i].words);
        memcpy(elf_contents(&fixture.bytes, section), rows[i].words, sizeof rows[i].words);
        cr_expect_eq(fixture_open(&fixture), rows[i].code, "row %zu: %s", i, fixture.error.text);
        fixture_free(&fixture);
    }
    object_free(&pristine);
}

Test(object, two_relocation_tables_for_one_section_are_refused)
{
    struct object_fixture fixture;
    make_sample(&fixture);
    elf_section_named(&fixture.bytes, ".rela.data")->sh_info = (uint32_t)elf_section_index(&fixture.bytes, ".text");
    cr_expect_eq(fixture_open(&fixture), ERROR_OBJECT_RELOCATION);
    cr_expect(strstr(fixture.error.text, "has relocations already"), "%s", fixture.error.text);
    elf_section_named(&fixture.bytes, ".rela.data")->sh_info = (uint32_t)elf_section_index(&fixture.bytes, ".bss");
    cr_expect_eq(fixture_open(&fixture), ERROR_OBJECT_RELOCATION);
    cr_expect(strstr(fixture.error.text, "has no contents"), "%s", fixture.error.text);
    fixture_free(&fixture);
}

Test(object, a_name_over_the_limit_is_refused)
{
    for (uint32_t excess = 0; excess < 2; excess++) {
        char *source = malloc(LIMIT_NAME_BYTES + 64);
        memcpy(source, ".globl ", 7);
        memset(source + 7, 'x', LIMIT_NAME_BYTES + excess);
        strcpy(source + 7 + LIMIT_NAME_BYTES + excess, "\n");
        struct object_fixture fixture;
        fixture_make(&fixture, compile_assembly(source, NULL));
        cr_expect_eq(fixture_open(&fixture), excess ? ERROR_LIMIT : 0, "%s", fixture.error.text);
        fixture_free(&fixture);
        free(source);
    }
}

Test(object, control_bytes_in_names_are_escaped)
{
    struct object_fixture fixture;
    make_sample(&fixture);
    Elf64_Shdr *names = elf_section_named(&fixture.bytes, ".shstrtab");
    Elf64_Shdr *text = elf_section_named(&fixture.bytes, ".text");
    memcpy((char *)elf_contents(&fixture.bytes, names) + text->sh_name, "\x1b\n", 2);
    text->sh_addralign = MIB(4);
    cr_expect_eq(fixture_open(&fixture), ERROR_LIMIT);
    cr_expect(strstr(fixture.error.text, "'\\x1b\\x0a"), "%s", fixture.error.text);
    fixture_free(&fixture);
}

Test(object, a_pool_without_room_is_an_error)
{
    struct object_fixture fixture;
    make_sample(&fixture);
    struct pool pool;
    for (size_t budget = 0; budget < 4096; budget += 64) {
        pool_init(&pool, budget);
        int code = object_open(&fixture.object, &pool, fixture.bytes.bytes, fixture.bytes.length, EM_X86_64, NULL);
        cr_expect(code == ERROR_NO_MEMORY || (budget > 512 && code == 0), "%d", code);
        pool_fini(&pool);
    }
    fixture_free(&fixture);
    expect_no_leaks();
}

Test(object, an_object_cut_off_anywhere_is_refused)
{
    struct object_bytes pristine = compile_assembly(sample, NULL);
    for (size_t length = 0; length < pristine.length; length++) {
        struct object_fixture fixture;
        struct object_bytes cut = {.bytes = malloc(length), .length = length};
        memcpy(cut.bytes, pristine.bytes, length);
        fixture_make(&fixture, cut);
        cr_expect_eq(fixture_open(&fixture), ERROR_OBJECT_TRUNCATED, "%zu bytes: %s", length, fixture.error.text);
        fixture_free(&fixture);
    }
    object_free(&pristine);
}

/* Everything but code and data: what the linker reads. */
static bool is_metadata(struct object_bytes *object, size_t at)
{
    for (size_t i = 1; i < elf_header(object)->e_shnum; i++) {
        const Elf64_Shdr *section = elf_section(object, i);
        bool contents =
            section->sh_type == SHT_PROGBITS && !(section->sh_flags & SHF_WRITE) && section->sh_addralign != 8;
        if (contents && range_within(section->sh_offset, 1, at + 1) && at - section->sh_offset < section->sh_size)
            return false;
    }
    return true;
}

Test(object, every_changed_byte_of_metadata_is_survived, .timeout = 60)
{
    struct object_bytes pristine = compile_assembly(sample, NULL);
    struct object_fixture fixture;
    fixture_make(&fixture, object_copy(&pristine));
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    for (size_t at = 0; at < pristine.length; at++) {
        if (!is_metadata(&pristine, at))
            continue;
        for (size_t i = 0; i < ARRAY_LENGTH(flips); i++) {
            fixture.bytes.bytes[at] ^= flips[i];
            fixture_exercise(&fixture);
            fixture.bytes.bytes[at] = pristine.bytes[at];
        }
    }
    fixture_free(&fixture);
    object_free(&pristine);
}

Test(object, random_changes_are_survived, .timeout = 60)
{
    struct object_bytes pristine = compile_assembly(sample, NULL);
    struct object_fixture fixture;
    fixture_make(&fixture, object_copy(&pristine));
    uint64_t state = 0x853c49e6748fea9b;
    for (int i = 0; i < 3000; i++) {
        for (uint64_t changed = 1 + fixture_random(&state) % 4; changed > 0; changed--)
            fixture.bytes.bytes[fixture_random(&state) % pristine.length] = (uint8_t)fixture_random(&state);
        fixture_exercise(&fixture);
        memcpy(fixture.bytes.bytes, pristine.bytes, pristine.length);
    }
    fixture_free(&fixture);
    object_free(&pristine);
}
