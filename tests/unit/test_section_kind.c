/*
 * linker/section_kind: names as ld's default script lists them, and the order that it gives to arrays.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/section_kind.h"

static const struct {
    const char *name;
    enum section_kind kind;
} names[] = {
    {".text", SECTION_CODE},
    {".text.unlikely.f", SECTION_CODE},
    {".text.", SECTION_CODE},
    {".textx", SECTION_OTHER},
    {".text_x", SECTION_OTHER},
    {".tex", SECTION_OTHER},
    {"text", SECTION_OTHER},
    {".stub", SECTION_CODE},
    {".stub.f", SECTION_OTHER},
    {".gnu.linkonce.t.f", SECTION_CODE},
    {".gnu.linkonce.x.f", SECTION_OTHER},
    {".rodata.str1.1", SECTION_CONSTANT},
    {".rodata1", SECTION_CONSTANT},
    {".rodata2", SECTION_OTHER},
    {".gcc_except_table.f", SECTION_CONSTANT},
    {".data", SECTION_DATA},
    {".data.f", SECTION_DATA},
    {".data1", SECTION_DATA},
    {".data1.f", SECTION_OTHER},
    {".data_f", SECTION_OTHER},
    {".data.rel", SECTION_DATA},
    {".data.rel.local.f", SECTION_DATA},
    {".data.rel.root", SECTION_DATA},
    {".data.rel.ro", SECTION_RELRO},
    {".data.rel.ro.f", SECTION_RELRO},
    {".data.rel.ro.local.f", SECTION_RELRO},
    {".gnu.linkonce.d.f", SECTION_DATA},
    {".gnu.linkonce.d.rel.ro.local.f", SECTION_RELRO},
    {".gnu.linkonce.d.rel.root", SECTION_DATA},
    {".jcr", SECTION_RELRO},
    {".bss.f", SECTION_DATA},
    {".dynbss", SECTION_DATA},
    {".lbss.f", SECTION_DATA},
    {".ldata", SECTION_DATA},
    {".lrodata.f", SECTION_CONSTANT},
    {".tdata", SECTION_TLS},
    {".tbss.f", SECTION_TLS},
    {".tm_clone_table", SECTION_OTHER},
    {".eh_frame", SECTION_EH_FRAME},
    {".eh_frame.f", SECTION_EH_FRAME},
    {".eh_frame_hdr", SECTION_OTHER},
    {".init", SECTION_INIT},
    {".init.text", SECTION_OTHER},
    {".fini", SECTION_FINI},
    {".fini.f", SECTION_OTHER},
    {".preinit_array", SECTION_PREINIT_ARRAY},
    {".preinit_array.1", SECTION_OTHER},
    {".init_array", SECTION_INIT_ARRAY},
    {".init_array.101", SECTION_INIT_ARRAY},
    {".init_array.f", SECTION_INIT_ARRAY},
    {".init_arrayx", SECTION_OTHER},
    {".fini_array.0", SECTION_FINI_ARRAY},
    {".fini_array_f", SECTION_OTHER},
    {".ctors", SECTION_CTORS},
    {".ctors.65434", SECTION_CTORS},
    {".ctorsx", SECTION_OTHER},
    {".dtors.1", SECTION_DTORS},
    {"", SECTION_OTHER},
    {".", SECTION_OTHER},
    {".T", SECTION_OTHER},
    {".\xff", SECTION_OTHER},
    {".zebra", SECTION_OTHER},
};

Test(section_kind, is_what_the_default_script_of_ld_makes_of_a_name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        cr_expect_eq(section_kind_of(names[i].name), names[i].kind, "%s", names[i].name);
}

Test(section_kind, gives_code_and_data_the_flags_of_their_output_section)
{
    cr_expect_eq(section_kind_flags(SECTION_CODE), SHF_EXECINSTR);
    cr_expect_eq(section_kind_flags(SECTION_INIT), SHF_EXECINSTR);
    cr_expect_eq(section_kind_flags(SECTION_DATA), SHF_WRITE);
    cr_expect_eq(section_kind_flags(SECTION_CONSTANT), 0);
    cr_expect_eq(section_kind_flags(SECTION_RELRO), 0);
    cr_expect_eq(section_kind_flags(SECTION_OTHER), 0);
    cr_expect_eq(section_kind_flags(SECTION_DTORS), 0);
}

/* In the order in which a program linked by ld runs them; those in one row run by name, or as they came. */
static const char *const ordered[][4] = {
    {".preinit_array"},
    {".init"},
    {".ctors.65535", ".init_array.0", ".init_array.00000"},
    {".ctors.65434", ".init_array.101", ".init_array.00101", ".init_array.f.101"},
    {".ctors.1", ".init_array.65534"},
    {".ctors.0", ".init_array.65535"},
    {".init_array.65536"},
    {".init_array.2147483647"},
    {".init_array.2147483648", ".ctors.65536", ".init_array.f", ".init_array.5f"},
    {".init_array", ".ctors"},
};

static uint64_t order(const char *name)
{
    return section_kind_order(section_kind_of(name), name);
}

Test(section_kind, orders_arrays_as_ld_does)
{
    for (size_t row = 0; row < ARRAY_LENGTH(ordered); row++)
        for (size_t i = 0; i < 4 && ordered[row][i]; i++) {
            cr_expect_eq(order(ordered[row][i]), order(ordered[row][0]), "%s", ordered[row][i]);
            if (row > 0)
                cr_expect_gt(order(ordered[row][i]), order(ordered[row - 1][0]), "%s", ordered[row][i]);
        }
    cr_expect_eq(order(".fini"), order(".init"));
    cr_expect_eq(order(".dtors.65434"), order(".fini_array.101"));
    cr_expect(section_kind_is_numbered(order(".init_array.5")) && section_kind_is_numbered(order(".ctors.f")));
    cr_expect_not(section_kind_is_numbered(order(".ctors")) || section_kind_is_numbered(order(".init")));
}
